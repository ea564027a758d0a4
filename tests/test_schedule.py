"""Schedule: who is due when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from polymarket_ws.schedule import Schedule

NEVER = float("inf")


def test_what_is_due_comes_earliest_first() -> None:
    """And of the same time in the order of entry; what is later stays."""
    schedule: Schedule[str] = Schedule()
    for entry, due in (("c", 3.0), ("b", 2.0), ("a", 2.0), ("d", 4.0)):
        schedule.put(entry, due)

    assert 2.0 == schedule.next_due
    assert ["b", "a", "c"] == schedule.take_due(3.5)
    assert (4.0, True, False) == (schedule.next_due, "d" in schedule.due, "a" in schedule.due)


def test_an_entry_keeps_its_time() -> None:
    """Entering it again changes nothing until it is taken or dropped."""
    schedule: Schedule[str] = Schedule()
    schedule.put("a", 5.0)
    schedule.put("a", 1.0)

    assert 5.0 == schedule.next_due
    assert (True, False) == (schedule.drop("a"), schedule.drop("a"))
    schedule.put("a", 7.0)
    assert ([], 7.0) == (schedule.take_due(6.0), schedule.next_due)


def test_an_empty_schedule_is_never_due() -> None:
    """Before the first entry, and after all were forgotten."""
    schedule: Schedule[str] = Schedule()
    schedule.put("a", 1.0)
    schedule.clear()

    assert (NEVER, []) == (schedule.next_due, schedule.take_due(9.0))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(0, 4), st.integers(0, 9)),
            st.tuples(st.just("drop"), st.integers(0, 4), st.just(0)),
            st.tuples(st.just("take"), st.just(0), st.integers(0, 9)),
        )
    )
)
def test_a_schedule_equals_a_plain_dict(steps: list[tuple[str, int, int]]) -> None:
    """Whatever is entered, dropped and taken."""
    schedule: Schedule[int] = Schedule()
    model: dict[int, int] = {}
    for step, entry, due in steps:
        if step == "put":
            schedule.put(entry, due)
            model.setdefault(entry, due)
        elif step == "drop":
            assert (model.pop(entry, None) is not None) == schedule.drop(entry)
        else:
            taken = schedule.take_due(due)
            assert sorted(e for e, d in model.items() if d <= due) == sorted(taken)
            assert sorted(model[e] for e in taken) == [model.pop(e) for e in taken]
        assert min(model.values(), default=NEVER) == schedule.next_due

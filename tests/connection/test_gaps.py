"""The gaps that are open: what each waits for, and when it has ended."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from polymarket_ws.connection.gaps import Gaps
from polymarket_ws.events import Gap, Resync

ASSETS = st.frozensets(st.sampled_from("1234"), max_size=4)


def gap(asset_ids: str, reason: str = "disconnect", channel: str = "market") -> Gap:
    """A gap of one connection."""
    return Gap(channel=channel, connection="c", reason=reason, asset_ids=tuple(asset_ids))


def opened(*gaps: Gap) -> Gaps:
    """Gaps in which these were told, at 1, 2, 3 s and so on."""
    open_gaps = Gaps()
    for now, each in enumerate(gaps, start=1):
        assert each is open_gaps.open(each, float(now))
    return open_gaps


def ended(resyncs: list[Resync]) -> list[tuple[str, str, float]]:
    """The ends: reason, assets, duration."""
    return [(r.reason, "".join(r.asset_ids), r.duration) for r in resyncs]


def test_a_gap_ends_when_the_last_of_its_books_is_live() -> None:
    """With one Resync, which names its channel, connection, reason, assets and duration."""
    open_gaps = opened(gap("21"))

    assert [] == open_gaps.heal(["1"], 2.0)
    assert [
        Resync(
            channel="market",
            connection="c",
            reason="disconnect",
            asset_ids=("1", "2"),
            duration=2.5,
        )
    ] == open_gaps.heal(["2"], 3.5)
    assert [] == open_gaps.heal(["1", "2"], 4.0)
    assert (1, 1) == (open_gaps.told, open_gaps.ended)
    assert (False, True) == (open_gaps.has_open, opened(gap("1")).has_open)


def test_two_gaps_end_apart() -> None:
    """Each when its own books are live, in the order in which they were told."""
    open_gaps = opened(gap("1"), gap("2", "decode_error"), gap("3"))

    assert [("decode_error", "2", 1.0)] == ended(open_gaps.heal("2", 3.0))
    assert [("disconnect", "1", 3.0), ("disconnect", "3", 1.0)] == ended(open_gaps.heal("31", 4.0))


def test_books_that_nobody_waits_for_end_nothing() -> None:
    """Without a gap, and with one of others."""
    assert [] == Gaps().heal("1", 1.0)
    assert [] == opened(gap("1")).heal("2", 2.0)
    assert [] == opened(gap("1")).forget("", 2.0)


def test_an_unsubscribed_asset_is_not_waited_for() -> None:
    """Nor named in the end, whether its book was live by then or not."""
    open_gaps = opened(gap("123"))

    assert [] == open_gaps.heal("1", 2.0)
    assert [] == open_gaps.forget("12", 3.0)
    assert [("disconnect", "3", 3.0)] == ended(open_gaps.heal("3", 4.0))


def test_unsubscribing_the_last_one_ends_the_gap_of_the_others() -> None:
    """They are live already."""
    open_gaps = opened(gap("12"))
    open_gaps.heal("1", 2.0)

    assert [("disconnect", "1", 2.0)] == ended(open_gaps.forget("2", 3.0))


def test_unsubscribing_all_ends_a_gap_without_a_word() -> None:
    """There is nobody whom a Resync would concern."""
    open_gaps = opened(gap("12"))

    assert [] == open_gaps.forget("12", 2.0)
    assert [] == open_gaps.heal("12", 3.0)
    assert (1, 0) == (open_gaps.told, open_gaps.ended)


def test_a_book_lost_again_is_waited_for_again() -> None:
    """By both its gaps: no Resync calls a book live that is not."""
    open_gaps = opened(gap("12"))
    open_gaps.heal("1", 2.0)
    open_gaps.open(gap("1", "decode_error"), 3.0)

    assert [] == open_gaps.heal("2", 4.0)
    assert (True, False) == (
        open_gaps.waits_for("1", "disconnect"),
        open_gaps.waits_for("2", "disconnect"),
    )
    assert [("disconnect", "21", 4.0), ("decode_error", "1", 2.0)] == ended(
        open_gaps.heal("1", 5.0)
    )


def test_a_channel_without_books_is_complete_all_at_once() -> None:
    """Healing and forgetting assets does not concern it."""
    open_gaps = opened(gap("", channel="user"))

    assert [] == open_gaps.heal("1", 2.0)
    assert [] == open_gaps.forget("1", 2.0)
    assert [("disconnect", "", 2.0)] == ended(open_gaps.end_all(3.0))
    assert [] == open_gaps.end_all(4.0)
    assert (1, 1) == (open_gaps.told, open_gaps.ended)


def test_what_is_open_at_the_end_of_a_run_is_not_told() -> None:
    """The counts stay."""
    open_gaps = opened(gap("1"))
    open_gaps.clear()

    assert [] == open_gaps.heal("1", 2.0)
    assert (1, 0) == (open_gaps.told, open_gaps.ended)


@given(st.lists(st.tuples(st.sampled_from(["lose", "heal", "forget"]), ASSETS), max_size=30))
def test_every_gap_ends_once_and_truly(steps: list[tuple[str, frozenset[str]]]) -> None:
    """By a Resync all of whose books are live then, or by unsubscribing all of them."""
    open_gaps, live, known = Gaps(), set("1234"), set("1234")
    gaps: list[Gap] = []
    resyncs: list[Resync] = []
    for now, (step, assets) in enumerate([*steps, ("heal", frozenset("1234"))]):
        if step == "lose":
            lost = tuple(sorted(assets & live))
            live -= assets
            if lost:
                gaps.append(open_gaps.open(gap("".join(lost)), float(now)))
            continue
        if step == "heal":
            live |= assets & known
            told = open_gaps.heal(sorted(assets & known), float(now))
        else:
            live -= assets
            known -= assets
            told = open_gaps.forget(sorted(assets), float(now))
        assert all(resync.asset_ids and live >= set(resync.asset_ids) for resync in told)
        resyncs += told

    assert (len(gaps), len(resyncs)) == (open_gaps.told, open_gaps.ended)
    assert [] == open_gaps.end_all(99.0)
    assert len(resyncs) <= len(gaps)
    assert sum(bool(known & set(g.asset_ids)) for g in gaps) <= len(resyncs)

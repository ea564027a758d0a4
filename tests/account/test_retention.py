"""What is remembered: the open ones, and the newest of the others."""

from __future__ import annotations

import pytest

from polymarket_ws.account import retention
from polymarket_ws.account.retention import Retention


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "KEPT", 2)
    monkeypatch.setattr(retention, "MOST_OPEN", 3)


def test_the_one_that_ended_longest_ago_goes_first() -> None:
    """Open ones stay, and being told again makes an ended one no younger."""
    kept = Retention()
    told = [("a", True), *((id_, False) for id_ in "bbcde")]

    surplus = [kept.tell(id_, 0.0, is_open=is_open) for id_, is_open in told]

    assert [None, None, None, None, "b", "c"] == surplus
    assert (0, ["a"]) == (kept.dropped, kept.last_told_before(1.0))


def test_too_many_open_ones_are_dropped_and_counted() -> None:
    """The one that was told longest ago."""
    kept = Retention()
    surplus = [kept.tell(id_, 0.0, is_open=True) for id_ in "abcade"]

    assert [None, None, None, None, "b", "c"] == surplus
    assert 2 == kept.dropped
    assert ["a", "d", "e"] == sorted(kept.last_told_before(1.0))


def test_what_ended_may_be_open_again() -> None:
    """It is not forgotten then."""
    kept = Retention()
    for is_open in (True, False, True):
        kept.tell("a", 0.0, is_open=is_open)
    for id_ in "bc":
        kept.tell(id_, 0.0, is_open=False)

    assert "b" == kept.tell("d", 0.0, is_open=False)
    assert ["a"] == kept.last_told_before(1.0)


def test_when_each_was_last_told() -> None:
    """A listing that began earlier than the last word is none."""
    kept = Retention()
    kept.tell("a", 5.0, is_open=True)
    kept.tell("a", 3.0, is_open=True)
    kept.tell("b", 4.0, is_open=True)

    assert ([], ["b"], ["a", "b"]) == (
        kept.last_told_before(4.0),
        kept.last_told_before(4.5),
        kept.last_told_before(5.5),
    )

"""SilenceWatchdog: which books have been silent for too long, with numbers for a clock."""

from __future__ import annotations

import math

import pytest

from polymarket_ws.books.book import BookCore
from polymarket_ws.shards.silence import LONGEST_LIMIT, SilenceWatchdog
from polymarket_ws.wire.updates import Snapshot

NEVER = float("inf")
TIMEOUT = 60.0


def live_core(asset_id: str, received_at: float | None = None) -> BookCore:
    """A book whose snapshot has come."""
    core = BookCore(asset_id, received_at=received_at)
    core.replace(Snapshot("0xm", asset_id, 1, None, [("0.4", "1")], [("0.6", "1")], "0.01", None))
    return core


class Night:
    """A watch over some live books, with a clock that is a number."""

    def __init__(self, *asset_ids: str, now: float = 1_000.0) -> None:
        self.now = now
        self.cores = {asset_id: live_core(asset_id, now) for asset_id in asset_ids}
        self.watch = SilenceWatchdog(TIMEOUT)
        self.watch.begin(self.cores, now, anew=True)

    def wait(self) -> list[str]:
        """Let time pass up to the deadline; who is suspected then."""
        self.now = self.watch.deadline
        return self.watch.suspects(self.cores, self.now)

    def hear(self, asset_id: str) -> None:
        self.cores[asset_id].received_at = self.now

    def gaps_until_suspected(self, asset_id: str) -> float:
        """Let time pass until this one is suspected; the seconds that took."""
        began = self.now
        while asset_id not in self.wait():
            assert self.now < began + 3 * LONGEST_LIMIT
        return self.now - began


def test_silence_for_the_timeout_is_suspected_once() -> None:
    """Not a moment before, and not again until as much time has passed as before."""
    night = Night("a")

    assert 1_060.0 == night.watch.deadline
    assert [] == night.watch.suspects(night.cores, 1_059.9)
    assert ["a"] == night.watch.suspects(night.cores, 1_060.0)
    assert [] == night.watch.suspects(night.cores, 1_060.0)
    assert 1_120.0 == night.watch.deadline


def test_nobody_is_due_while_nothing_is_watched() -> None:
    """The deadline is infinite before the first book and after the last."""
    watch = SilenceWatchdog(TIMEOUT)
    assert NEVER == watch.deadline

    watch.begin({"a": None}, 0.0, anew=True)
    watch.begin({}, 1.0, anew=False)
    assert (NEVER, []) == (watch.deadline, watch.suspects({}, 1e9))


def test_data_puts_the_suspicion_off() -> None:
    """The limit counts from the last data, wherever the deadline was."""
    night = Night("a")
    night.now = 1_050.0
    night.hear("a")

    assert [] == night.watch.suspects(night.cores, 1_060.0)
    assert 1_110.0 == night.watch.deadline
    assert ["a"] == night.watch.suspects(night.cores, 1_110.0)


def test_a_book_that_was_never_heard_counts_from_the_begin() -> None:
    """A live book without a time of its last data is suspected after the timeout, too."""
    night = Night("a")
    night.cores["a"].received_at = None

    assert ["a"] == night.watch.suspects(night.cores, 1_060.0)


def test_several_are_suspected_in_order() -> None:
    """Who is due at the same time comes as a sorted list."""
    night = Night("b", "c", "a")

    assert ["a", "b", "c"] == night.wait()


def test_a_quiet_book_is_given_twice_the_time() -> None:
    """Each time it was found unchanged, counted from then."""
    night = Night("a")
    assert ["a"] == night.wait()
    night.watch.was_quiet(["a"], night.now + 2)

    assert night.now + 2 + 120.0 == night.watch.deadline
    night.now = night.watch.deadline - 0.1
    assert [] == night.watch.suspects(night.cores, night.now)
    assert ["a"] == night.wait()


def test_patience_has_an_end() -> None:
    """However quiet a book is, it is looked after every ten minutes."""
    night = Night("a")
    for _ in range(20):
        assert ["a"] == night.wait()
        night.watch.was_quiet(["a"], night.now)

    assert LONGEST_LIMIT == night.gaps_until_suspected("a")


def test_a_frozen_book_is_watched_as_strictly_as_at_first() -> None:
    """However patient the quiet hours before had made."""
    night = Night("a")
    for _ in range(4):
        night.wait()
        night.watch.was_quiet(["a"], night.now)
    night.watch.was_frozen(["a"], night.now)

    assert TIMEOUT == night.gaps_until_suspected("a")


def test_a_lively_book_gets_its_strictness_back() -> None:
    """When data came within the last quarter of the limit, the limit is halved, down to the
    timeout.
    """
    night = Night("a")
    for _ in range(4):
        night.wait()
        night.watch.was_quiet(["a"], night.now)
    limits = []
    for _ in range(6):
        night.now = night.watch.deadline
        night.hear("a")
        assert [] == night.watch.suspects(night.cores, night.now)
        limits.append(night.watch.deadline - night.now)

    assert [LONGEST_LIMIT / 2, 150.0, 75.0, 60.0, 60.0, 60.0] == limits


def test_a_rare_event_does_not_make_strict() -> None:
    """Data from longer ago than a quarter of the limit leaves the limit as it is."""
    night = Night("a")
    for _ in range(2):
        night.wait()
        night.watch.was_quiet(["a"], night.now)
    night.now += 100.0
    night.hear("a")

    assert [] == night.wait()
    assert 100.0 == night.watch.deadline - night.now


@pytest.mark.parametrize("state", ["stale", "gone"])
def test_only_live_books_are_suspected(state: str) -> None:
    """A stale book is known to be wrong; a book that is gone is nobody's. Both are asked about
    later.
    """
    night = Night("a")
    if state == "stale":
        night.cores["a"].mark_stale("disconnect")
    else:
        night.cores.clear()

    assert [] == night.wait()
    assert TIMEOUT == night.watch.deadline - night.now


def test_another_subscription_keeps_what_is_known() -> None:
    """Who stays keeps rhythm and silence, who is new begins, who is gone is forgotten."""
    night = Night("gone", "stays")
    assert ["gone", "stays"] == night.wait()
    night.watch.was_quiet(["gone", "stays"], night.now)
    night.now += 10.0
    night.cores = {"stays": night.cores["stays"], "new": live_core("new", night.now)}
    night.watch.begin(night.cores, night.now, anew=False)
    night.watch.was_quiet(["gone"], night.now)
    night.watch.was_frozen(["gone"], night.now)

    assert (["new"], 1_130.0) == (night.wait(), night.now)
    assert (["stays"], 1_180.0) == (night.wait(), night.now)


def test_a_new_connection_is_silent_from_its_beginning() -> None:
    """The time in which there was no connection is not held against a book; its rhythm stays."""
    night = Night("a")
    assert ["a"] == night.wait()
    night.watch.was_quiet(["a"], night.now)
    night.now += 1_000.0
    night.watch.begin(night.cores, night.now, anew=True)

    assert 120.0 == night.gaps_until_suspected("a")


def test_a_quiet_hour_costs_eight_suspicions() -> None:
    """A book in which nothing happens for an hour: after 1, 3, 7 and 15 minutes, then each ten."""
    night = Night("a")
    minutes = []
    while night.watch.deadline <= 1_000.0 + 3600.0:
        assert ["a"] == night.wait()
        night.watch.was_quiet(["a"], night.now)
        minutes.append((night.now - 1_000.0) / 60)

    assert [1, 3, 7, 15, 25, 35, 45, 55] == minutes


class CountedCores(dict[str, BookCore]):
    """A dict that counts how often it is asked."""

    asked = 0

    def get(self, key: str, default: BookCore | None = None) -> BookCore | None:  # type: ignore[override]
        self.asked += 1
        return super().get(key, default)


def test_ten_thousand_lively_books_cost_one_look_each_in_a_timeout() -> None:
    """Receiving touches nothing here, the deadline is found without a scan, and at an expiry only
    those that are due are looked at.
    """
    cores = CountedCores({str(n): live_core(str(n), 0.0) for n in range(10_000)})
    watch = SilenceWatchdog(TIMEOUT)
    for n in range(10):  # subscribed a thousand at a time, so that not all are due at once
        watch.begin([str(i) for i in range(1_000 * (n + 1))], float(n), anew=False)
    for core in cores.values():
        core.received_at = 50.0

    for _ in range(1_000):
        assert 60.0 == watch.deadline
    assert ([], 1_000) == (watch.suspects(cores, 60.0), cores.asked)
    assert math.isclose(61.0, watch.deadline)
    assert ([], 10_000) == (watch.suspects(cores, 70.0), cores.asked)
    assert ([], 10_000) == (watch.suspects(cores, 109.9), cores.asked)

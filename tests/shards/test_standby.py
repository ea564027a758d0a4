"""The views of two connections with one subscription: what is told of which."""

from __future__ import annotations

from kit.market_texts import MARKET, book, take, wanted

from polymarket_ws.books.shelf import Books
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.errors import DecodeError
from polymarket_ws.shards.merge import Merge
from polymarket_ws.shards.standby import FollowerView, LeaderView


def doubled(first: Wanted) -> tuple[LeaderView, FollowerView]:
    """The views of a leader and of its follower, both subscribed."""
    leading = LeaderView(Books(), merge=Merge())
    following = FollowerView(merge=leading.merge)
    for view in (leading, following):
        view.want(first)
        view.await_answers(first.cores)
    return leading, following


def test_a_follower_keeps_what_comes() -> None:
    """Nothing is told, no book is touched, nothing is lost with it."""
    first = wanted("1")
    leading, following = doubled(first)

    assert (True, False) == (leading.is_told, following.is_told)
    assert (True, True) == (leading.needs_events, following.needs_events)
    assert take(following, book()) is None
    following.await_answers(["1"])
    assert not first.cores["1"].valid
    assert ([], []) == (following.mark_stale(["1"], "silent"), following.tick(1.0))
    assert [] == following.publish(1.0)
    assert (None, False) == (following.missed_by_loss([]), following.is_complete_once_open)


def test_what_was_told_before_a_failover_is_not_told_again() -> None:
    """An event and a flaw that the new leader brings late."""
    leading, following = doubled(wanted("1"))
    take(leading, book())
    take(following, book())
    print_ = {
        "event_type": "last_trade_price",
        "asset_id": "1",
        "price": "0.5",
        "size": "1",
        "side": "BUY",
    }
    flaw = DecodeError("$", "?", event_type="book", market=MARKET)
    assert take(leading, print_) is not None
    assert [leading.books._cores["1"]] == leading.take_flaw(flaw, 1.0)

    leading.merge.promote([], 1.0)

    assert take(leading, print_) is None
    assert leading.take_flaw(flaw, 1.0) is None


def test_a_lost_follower_is_worth_nothing() -> None:
    """Its answers and its window are forgotten; a flaw is kept like anything else."""
    leading, following = doubled(wanted("1"))
    take(following, book())
    following.take_flaw(DecodeError("$", "?", event_type="book", market=MARKET), 1.0)
    assert leading.merge.has_answered("1")

    assert [] == following.connection_ended("disconnect")
    assert not leading.merge.has_answered("1")


def test_a_refresh_is_no_answer() -> None:
    """Only a snapshot that answers a subscription begins the leader's record anew."""
    leading, _ = doubled(wanted("1"))
    take(leading, book())
    refresh = {**book(), "timestamp": "2"}
    del refresh["tick_size"]

    taken = take(leading, refresh)

    assert taken is not None
    assert ["1"] == [core.asset_id for core in taken.changed]
    assert leading.merge.is_aligned([], 1.0)

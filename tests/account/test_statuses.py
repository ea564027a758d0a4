"""The ladders: which message of an order or a trade is further than another, and which is final."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest

from polymarket_ws.account.statuses import (
    is_final,
    is_later_order,
    is_later_trade,
    is_open,
    order_step,
)
from polymarket_ws.events import Order, Trade


def order(status: str | None, matched: int = 0, *, at: int = 1, **fields: Any) -> Order:
    """A message of an order of 10 shares."""
    sizes = {"original_size": Decimal(10), "size_matched": Decimal(matched)}
    return Order(id="o", status=status, timestamp_ms=at, **{**sizes, **fields})


def trade(status: str | None, at: int = 1) -> Trade:
    """A message of a trade."""
    return Trade(id="t", status=status, timestamp_ms=at)


ORDER_LADDERS = (
    [order("DELAYED"), order("UNMATCHED"), order("LIVE"), order("LIVE", 4), order("MATCHED", 10)],
    [order("LIVE"), order("LIVE", 4), order("CANCELED", 4)],
    [order("LIVE", 4), order("CANCELED_order couldn't be fully filled. FOK orders are ...", 0)],
    [order("LIVE"), order("INVALID")],
    [order("LIVE"), order("canceled_expired_order")],
    [order("PAUSED"), order("PAUSED", 1), order("MATCHED", 10)],
    [order("CANCELED", 10), order("MATCHED", 10)],
    [order("LIVE"), order("MATCHED", 4), order("LIVE", 6), order("CANCELED", 6)],
    [order(None, type="PLACEMENT"), order(None, type="UPDATE"), order(None, type="CANCELLATION")],
    [order("LIVE"), order("UNKNOWN"), order("LIVE", 1), order("CANCELED", 1)],
    [order("LIVE"), order("PAUSED", at=2)],
)


@pytest.mark.parametrize("ladder", ORDER_LADDERS)
def test_an_order_climbs(ladder: list[Order]) -> None:
    """Each message is later than all before it, and none of them later than it."""
    for former, later in itertools.combinations(ladder, 2):
        assert is_later_order(later, former)
        assert not is_later_order(former, later)
        assert order_step(former) <= order_step(later)


@pytest.mark.parametrize(
    "pair",
    [
        (order("CANCELED"), order("INVALID", at=5)),
        (order("CANCELED", 2), order("LIVE", 9)),
        (order("LIVE", at=1), order("LIVE", at=2)),
        (order("LIVE", type="PLACEMENT"), order("LIVE", type="UPDATE")),
    ],
)
def test_an_order_stays_where_it_is(pair: tuple[Order, Order]) -> None:
    """How it ended is told once; the same again, at whatever time, is the same."""
    assert not is_later_order(pair[1], pair[0])


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (order("LIVE"), True),
        (order("DELAYED"), True),
        (order(None), True),
        (order("SOMETHING NEW"), True),
        (order("MATCHED", 4), True),
        (order("MATCHED", 4, order_type="FAK"), False),
        (order("MATCHED", size_matched=None), False),
        (order("MATCHED", original_size=None), False),
        (order("MATCHED", 10), False),
        (order("LIVE", 10), False),
        (order(None, 10, type="UPDATE"), False),
        (order("LIVE", 9), True),
        (order("CANCELED_MARKET_RESOLVED"), False),
        (order("LIVE", type="CANCELLATION"), False),
        (order("UNKNOWN"), False),
    ],
)
def test_open_orders_can_still_be_matched(message: Order, expected: bool) -> None:
    """What is MATCHED in part rests, but for orders that never do; a new status is no end."""
    assert expected is is_open(message)


TRADE_LADDERS = (
    [trade(None), trade("MATCHED_NOT_BROADCASTED"), trade("MATCHED"), trade("MINED")],
    [trade("MATCHED"), trade("RETRYING", 2), trade("MINED", 3), trade("CONFIRMED", 1)],
    [trade("MINED", 1), trade("RETRYING", 2), trade("FAILED", 2)],
    [trade("MATCHED"), trade("SETTLING", 2), trade("MINED", 3), trade("CONFIRMED")],
)


@pytest.mark.parametrize("ladder", TRADE_LADDERS)
def test_a_trade_climbs(ladder: list[Trade]) -> None:
    """MINED and RETRYING are one step, on which time decides."""
    for former, later in itertools.combinations(ladder, 2):
        assert is_later_trade(later, former)
        assert not is_later_trade(former, later)


def test_of_one_time_the_status_that_is_new_is_the_later() -> None:
    """Captured messages of one trade carry the same time; a doubled one was told before."""
    mined, retrying = trade("MINED"), trade("RETRYING")

    assert is_later_trade(retrying, mined, {"MATCHED", "MINED"})
    assert not is_later_trade(mined, retrying, {"MATCHED", "MINED", "RETRYING"})


@pytest.mark.parametrize("final", ["CONFIRMED", "FAILED"])
def test_a_final_trade_stays_final(final: str) -> None:
    """Even another final status changes nothing."""
    assert is_final(trade(final))
    for status in ("CONFIRMED", "FAILED", "MINED", None):
        assert not is_later_trade(trade(status, 9), trade(final))


def test_an_unknown_status_is_no_end() -> None:
    """It may be one of tomorrow."""
    assert not is_final(trade("SETTLING"))
    assert not is_later_trade(trade("SETTLING", 9), trade("SETTLING"))

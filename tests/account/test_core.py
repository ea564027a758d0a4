"""One account's orders, trades, fills and positions: the same, however they are told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from polymarket_ws.account.core import AccountCore
from polymarket_ws.events import Book, Event, Order, Side, Trade

MARKET = "0x" + "a" * 64
KEY = "key-1"


def order(id_: str = "o1", type_: str | None = "PLACEMENT", **fields: Any) -> Order:
    """An order of one's own."""
    given = {
        "market": MARKET,
        "asset_id": "1",
        "side": Side.BUY,
        "price": Decimal("0.5"),
        "original_size": Decimal(10),
        "timestamp_ms": 1,
    }
    return Order(id=id_, type=type_, **{**given, **fields})


def trade(id_: str = "t1", status: str | None = "MATCHED", **fields: Any) -> Trade:
    """A trade in which one's own order is the taker's."""
    given = {
        "market": MARKET,
        "asset_id": "1",
        "side": Side.BUY,
        "price": Decimal("0.5"),
        "size": Decimal(10),
        "owner": KEY,
        "taker_order_id": "o1",
        "timestamp_ms": 1,
    }
    return Trade(id=id_, status=status, **{**given, **fields})


def kinds(events: tuple[Event, ...]) -> list[str]:
    """What is told."""
    return [event.event_type for event in events]


def test_a_trade_is_told_once_for_each_status_with_its_fill() -> None:
    """The server may send a status twice: the second is counted, and no news."""
    core = AccountCore(KEY)
    statuses = ["MATCHED", "MATCHED", "MINED", "MATCHED", "CONFIRMED", "CONFIRMED"]

    told = [kinds(core.apply(trade(status=status), 0.0)) for status in statuses]

    news = ["trade", "fill"]
    assert [news, [], news, [], news, []] == told
    assert (3, 0) == (core.duplicates, core.late)
    assert "CONFIRMED" == core.trades["t1"].status


def test_a_status_that_was_overtaken_is_not_told() -> None:
    """It is late, and counted."""
    core = AccountCore(KEY)
    core.apply(trade(status="CONFIRMED"), 0.0)

    assert () == core.apply(trade(status="MINED"), 0.0)
    assert (0, 1, "CONFIRMED") == (core.duplicates, core.late, core.trades["t1"].status)


def test_what_failed_is_taken_back() -> None:
    """The fill stays listed, and counts for nothing."""
    core = AccountCore(KEY)
    core.apply(trade(), 0.0)
    before = core.position("1")
    core.apply(trade(status="FAILED"), 0.0)
    after = core.position("1")

    assert (10, 0, 10) == (before.size, before.confirmed, before.pending)
    assert (0, 0, 0, None) == (after.size, after.confirmed, after.pending, after.average_price)
    assert ["FAILED"] == [fill.status for fill in core.fills()]


def test_what_is_not_ones_own_passes() -> None:
    """Other events are told, and change nothing."""
    core = AccountCore()
    book = Book(market=MARKET, asset_id="1", timestamp_ms=1, bids=(), asks=())

    assert (book,) == core.apply(book, 0.0)
    assert (0, 0) == (len(core.orders), len(core.trades))


@pytest.mark.parametrize("tell", [True, False])
def test_views_are_filled_without_telling(tell: bool) -> None:
    """What was before the start is no news."""
    core = AccountCore(KEY)

    assert tell is bool(core.apply(order(), 0.0, tell=tell))
    assert tell is bool(core.apply(trade(), 0.0, tell=tell))
    assert (["o1"], ["t1"], 1) == (list(core.orders), list(core.trades), len(core.fills()))

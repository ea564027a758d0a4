"""The builders: event values with defaults that belong together."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from polymarket_ws.events import Event, Level, LevelChange, Side
from polymarket_ws.testing import (
    make_best_bid_ask,
    make_book,
    make_last_trade_price,
    make_maker_order,
    make_market_resolved,
    make_new_market,
    make_order,
    make_price_change,
    make_tick_size_change,
    make_trade,
)
from polymarket_ws.testing.builders import MARKET, TIMESTAMP_MS
from polymarket_ws.testing.simulated_market import book_hash

BUILDERS: list[Callable[[], Event]] = [
    make_best_bid_ask,
    make_book,
    make_last_trade_price,
    make_market_resolved,
    make_new_market,
    make_order,
    make_price_change,
    make_tick_size_change,
    make_trade,
]


@pytest.mark.parametrize("build", BUILDERS)
def test_every_builder_needs_no_argument(build: Callable[[], Event]) -> None:
    """The defaults name one market at one time, and equal calls give equal values."""
    wire = build().to_dict()
    assert build() == build()
    assert (MARKET, str(TIMESTAMP_MS)) == (wire["market"], wire["timestamp"])
    assert build.__name__ == f"make_{wire['event_type']}"


def test_a_book_is_sorted_best_first_from_any_order() -> None:
    """Levels may be given as they come to mind, as text, Decimal or int."""
    book = make_book(bids=[("0.3", 5), (Decimal("0.4"), "10")], asks=[("0.7", "1"), ("0.6", "2")])
    assert (Level(Decimal("0.4"), Decimal(10)), Level(Decimal("0.3"), Decimal(5))) == book.bids
    assert ["0.6", "0.7"] == [str(level.price) for level in book.asks]
    assert ([], []) == (list(make_book(bids=[]).bids), list(make_book(asks=[]).asks))


def test_a_book_carries_its_right_hash_unless_one_is_given() -> None:
    """The hash is that of min_order_size 5, neg_risk false, a tick of 0.01 and no last trade."""
    book = make_book()
    wire = {**book.to_dict(), "tick_size": "0.01", "last_trade_price": ""}
    assert book_hash(wire, min_order_size="5", neg_risk=False) == book.hash
    assert make_book(bids=[]).hash != book.hash
    assert make_book(hash="x").hash == "x"
    assert make_book(tick_size="0.001", last_trade_price="0.5").tick_size == Decimal("0.001")


def test_a_price_change_takes_tuples_and_whole_changes() -> None:
    """Tuples are of the named asset; a LevelChange may be of the twin, with its own hash."""
    twin = LevelChange(
        asset_id="2", side=Side.SELL, price=Decimal("0.59"), size=Decimal(10), hash="h"
    )
    change = make_price_change("1", [("BUY", "0.41", 10), twin], best_bid="0.41", best_ask="0.6")
    first, second = change.price_changes
    assert ("1", Side.BUY, Decimal("0.41")) == (first.asset_id, first.side, first.price)
    assert (Decimal("0.41"), Decimal("0.6")) == (first.best_bid, first.best_ask)
    assert second is twin


def test_a_trade_is_the_users_own_and_filled_by_one_other() -> None:
    """The taker is the user; the one maker order fills all of it, unless others are given."""
    trade = make_trade(size="7", status="CONFIRMED")
    (maker,) = trade.maker_orders
    assert ("TAKER", Decimal(7), Decimal(7)) == (
        trade.trader_side,
        trade.size,
        maker.matched_amount,
    )
    assert trade.owner != maker.owner
    assert ("", True) == (make_trade().transaction_hash, bool(trade.transaction_hash))
    mine = make_maker_order(owner="me")
    assert (mine,) == make_trade(trader_side="MAKER", maker_orders=[mine]).maker_orders


def test_a_float_is_refused() -> None:
    """A float has lost digits: the sentence says what to pass."""
    with pytest.raises(TypeError, match=r"0\.4 is a float.*pass a str or a Decimal"):
        make_book(bids=[(0.4, 10)])  # type: ignore[list-item]  # the mistake under test

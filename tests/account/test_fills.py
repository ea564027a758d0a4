"""Which parts of a trade are one's own, and what their token, side, price and size are."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from polymarket_ws.account.fills import named_orders, own_fills, with_status_of
from polymarket_ws.events import Fill, MakerOrder, Order, Side, Trade

YES, NO = "111", "222"
MARKET = "0x" + "a" * 64


def maker(order_id: str, **fields: Any) -> MakerOrder:
    """An entry of a trade."""
    given = {"matched_amount": Decimal(3), "price": Decimal("0.4"), "asset_id": YES, **fields}
    return MakerOrder(order_id=order_id, **given)


def trade(*makers: MakerOrder, **fields: Any) -> Trade:
    """Somebody bought YES at 0.4."""
    given = {
        "market": MARKET,
        "asset_id": YES,
        "side": Side.BUY,
        "size": Decimal(9),
        "price": Decimal("0.4"),
        "taker_order_id": "taker",
        "owner": "other",
        **fields,
    }
    return Trade(id="t", status="MATCHED", timestamp_ms=1, maker_orders=makers, **given)


def own(found: Trade, *ids: str, known: Order | None = None) -> list[Fill]:
    """The fills of an account whose key is "key", and whose orders are these."""
    return list(
        own_fills(
            found,
            lambda order_id, owner: owner == "key" or order_id in ids,
            {known.id: known}.get if known else lambda order_id: None,
            {YES: Decimal("0.01")}.get,
        )
    )


def shown(fills: list[Fill]) -> list[tuple[Any, ...]]:
    """What matters of them."""
    return [(f.order_id, f.role, f.asset_id, f.side, f.price, f.size) for f in fills]


MINE = maker("mine", matched_amount=Decimal(2), price=Decimal("0.6"), asset_id=NO)


@pytest.mark.parametrize(
    ("found", "ids"),
    [
        (trade(owner="key"), ()),
        (trade(), ("taker",)),
        (trade(trader_side="TAKER"), ()),
    ],
)
def test_the_takers_part_is_the_trades_own(found: Trade, ids: tuple[str, ...]) -> None:
    """By the owner, by the order's id, or by the server's word."""
    expected = [("taker", "TAKER", YES, Side.BUY, Decimal("0.4"), 9)]

    assert expected == shown(own(found, *ids))


def test_a_makers_part_is_never_the_takers_total() -> None:
    """Its own token, price and size; other makers' parts are not one's own."""
    found = trade(maker("a"), MINE, maker("b"), trader_side="MAKER")

    assert [("mine", "MAKER", NO, Side.BUY, Decimal("0.6"), 2)] == shown(own(found, "mine"))


def test_an_address_makes_nothing_ones_own() -> None:
    """One address stands under orders of several owners."""
    found = trade(maker("a", maker_address="0xme"), maker_address="0xme")

    assert [] == own(found)


@pytest.mark.parametrize(
    ("entry", "known", "side"),
    [
        (maker("mine", owner="key", side=Side.BUY), None, Side.BUY),
        (maker("mine", owner="key"), None, Side.SELL),
        (maker("mine", owner="key", asset_id=NO), None, Side.BUY),
        (maker("mine"), Order(id="mine", timestamp_ms=1, side=Side.BUY), Side.BUY),
        (maker("mine", owner="key", asset_id=None), None, None),
    ],
)
def test_the_side_of_a_maker(entry: MakerOrder, known: Order | None, side: Side | None) -> None:
    """Its own, its order's, or by the taker's: opposite on the same token, the same on the twin."""
    assert [side] == [fill.side for fill in own(trade(entry), "mine", known=known)]


@pytest.mark.parametrize("lacking", ["side", "asset_id"])
def test_a_side_is_not_guessed(lacking: str) -> None:
    """Where the trade does not say what the taker did."""
    assert [None] == [f.side for f in own(trade(maker("mine"), **{lacking: None}), "mine")]


def test_what_an_entry_lacks_is_its_orders() -> None:
    """Token, price, market and outcome."""
    known = Order(
        id="mine",
        timestamp_ms=1,
        market=MARKET,
        asset_id=NO,
        side=Side.SELL,
        price=Decimal("0.7"),
        outcome="No",
    )
    found = trade(maker("mine", asset_id=None, price=None), market=None)
    [fill] = own(found, "mine", known=known)

    assert (MARKET, NO, "No", Side.SELL, Decimal("0.7")) == (
        fill.market,
        fill.asset_id,
        fill.outcome,
        fill.side,
        fill.price,
    )
    [bare] = own(found, "mine")
    assert (None, None, None) == (bare.market, bare.asset_id, bare.price)


def test_two_own_orders_give_two_fills() -> None:
    """In one trade, as taker and maker or as two makers; one that is named twice was matched
    twice.
    """
    found = trade(maker("a", owner="key"), maker("b"), maker("a", owner="key"), owner="key")

    assert [("taker", 9), ("a", 6), ("b", 3)] == [(f.order_id, f.size) for f in own(found, "b")]


def test_without_a_size_there_is_no_fill() -> None:
    """Nor is there an order's id where the trade names none."""
    assert [] == own(trade(owner="key", size=None))
    assert [None] == [f.order_id for f in own(trade(owner="key", taker_order_id=""))]


def test_the_orders_that_met() -> None:
    """The taker's, if it is named, and the makers'."""
    assert ["taker", "a"] == list(named_orders(trade(maker("a"))))
    assert ["a"] == list(named_orders(trade(maker("a"), taker_order_id=None)))


def test_prices_are_on_the_assets_tick() -> None:
    """REST's float noise is taken off; sizes are as they are."""
    entry = maker("mine", price=Decimal("0.7210000476613491"), asset_id=NO)
    [fill] = own(trade(entry), "mine")

    assert (Decimal("0.721"), 3) == (fill.price, fill.size)


def test_a_fill_takes_the_trades_status() -> None:
    """With its time and source."""
    [fill] = own(trade(owner="key"))
    found = trade(owner="key")
    later = Trade(id="t", status="MINED", timestamp_ms=5, source="rest")

    assert fill is with_status_of(found, fill)
    assert ("MINED", 5, "rest") == (
        (new := with_status_of(later, fill)).status,
        new.timestamp_ms,
        new.source,
    )

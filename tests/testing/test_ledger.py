"""The exchange's own books of the user's account: what tests of views compare with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from polymarket_ws.testing import SimulatedExchange
from polymarket_ws.testing.ledger import Account, OwnPosition


def small(**switches: Any) -> SimulatedExchange:
    """One market, from 1 share."""
    return SimulatedExchange(seed=3, markets=1, min_order_size="1", **switches)


def own_events(events: Iterable[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Those of the user channel."""
    return [event for event in events if event["event_type"] == kind]


def told(events: list[dict[str, Any]], exchange: SimulatedExchange) -> tuple[Any, Any]:
    """What a client that reads every event knows: orders and fills by their ids."""
    orders = {
        event["id"]: (event["status"], Decimal(event["size_matched"] or 0))
        for event in own_events(events, "order")
    }
    fills = {}
    for trade in own_events(events, "trade"):
        taker = {**trade, "order_id": trade["taker_order_id"], "matched_amount": trade["size"]}
        for part in (taker, *trade["maker_orders"]):
            if part["owner"] == exchange.api_key:
                numbers = (Decimal(part["price"]), Decimal(part["matched_amount"]))
                key = (trade["id"], part["order_id"])
                fills[key] = (part["asset_id"], part["side"], *numbers, trade["status"])
    return orders, fills


def known(account: Account) -> tuple[Any, Any]:
    """The same of the books of account."""
    return (
        {id_: (order.status, order.size_matched) for id_, order in account.orders.items()},
        {
            (f.trade_id, f.order_id): (f.asset_id, f.side, f.price, f.size, f.status)
            for f in account.fills
        },
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_client_that_reads_everything_comes_to_the_same(seed: int) -> None:
    """With a busy user: either token, partial fills, self-matches, cancels, expiry, failures."""
    exchange = SimulatedExchange(seed=seed, markets=2, own_share=0.5)
    events = exchange.steps(800) + exchange.advance(60_000)
    account = exchange.account()

    assert told(events, exchange) == known(account)
    assert {"LIVE", "MATCHED", "CANCELED", "CANCELED_EXPIRED_ORDER"} == {
        order.status for order in account.orders.values()
    }
    assert {"CONFIRMED", "FAILED"} == {trade.status for trade in account.trades.values()}
    assert {"TAKER", "MAKER"} == {fill.role for fill in account.fills}
    parts = Counter(fill.trade_id for fill in account.fills)
    assert max(parts.values()) > 2
    assert {o.id for o in exchange.open_orders if o.own} == {
        order.id for order in account.orders.values() if order.is_open
    }


def test_equal_seeds_give_equal_accounts() -> None:
    """Whatever the user's share."""
    first, second = (SimulatedExchange(seed=4, own_share=0.8) for _ in range(2))

    assert first.steps(300) == second.steps(300)
    assert first.account() == second.account()
    with pytest.raises(ValueError, match="own_share is from 0 to 1, not 2"):
        SimulatedExchange(own_share=2)


def test_a_maker_of_the_other_token_has_its_own_terms() -> None:
    """Two own orders in one trade: one of the taker's token, one that buys the other at 1 - p."""
    exchange = small()
    yes, no = exchange.asset_ids
    ask = exchange.book(yes).asks[0].price - exchange.book(yes).tick_size  # type: ignore[operator]
    exchange.place(yes, "SELL", ask, "3", own=True)
    exchange.place(no, "BUY", 1 - ask, "4", own=True)
    exchange.trade(yes, "BUY", "5")
    first, second = exchange.account().fills

    assert (yes, "SELL", ask, Decimal(3), "MAKER") == (
        first.asset_id,
        first.side,
        first.price,
        first.size,
        first.role,
    )
    assert (no, "BUY", 1 - ask, Decimal(2), "CONFIRMED") == (
        second.asset_id,
        second.side,
        second.price,
        second.size,
        second.status,
    )
    assert {
        yes: OwnPosition(yes, Decimal(-3), Decimal(-3)),
        no: OwnPosition(no, Decimal(2), Decimal(2)),
    } == exchange.account().positions


def test_a_self_match_gives_two_fills() -> None:
    """The taker's and the maker's, which cancel out."""
    exchange = small()
    yes = exchange.asset_ids[0]
    exchange.place(yes, "SELL", exchange.book(yes).bids[0].price + Decimal("0.01"), 3, own=True)
    exchange.trade(yes, "BUY", "3", own=True)

    assert ["TAKER", "MAKER"] == [fill.role for fill in exchange.account().fills]
    assert {Decimal(0)} == {p.size for p in exchange.account().positions.values()}


@pytest.mark.parametrize(
    ("ending", "statuses", "sizes"),
    [
        ({}, ["MATCHED", "MINED", "CONFIRMED"], (2, 2)),
        ({"retried": True}, ["MATCHED", "RETRYING", "CONFIRMED"], (2, 2)),
        ({"failed": True}, ["MATCHED", "RETRYING", "FAILED"], (0, 0)),
    ],
    ids=str,
)
def test_a_trade_ends_in_one_of_three_ways(
    ending: dict[str, bool], statuses: list[str], sizes: tuple[int, int]
) -> None:
    """FAILED takes back what MATCHED gave; until CONFIRMED a buy cannot be sold."""
    exchange = small()
    yes = exchange.asset_ids[0]
    ask = exchange.book(yes).asks[0].price
    events = exchange.place(yes, "BUY", ask, "2", own=True, **ending)
    matched = exchange.account().positions[yes]
    events += exchange.advance(10_000)
    ended = exchange.account().positions[yes]

    assert statuses == [event["status"] for event in own_events(events, "trade")]
    assert (2, 0) == (matched.size, matched.confirmed)
    assert sizes == (ended.size, ended.confirmed)


def test_a_sale_counts_at_once() -> None:
    """What is on its way out cannot be sold again; shares can have been there before."""
    exchange = small()
    yes = exchange.asset_ids[0]
    exchange.give(yes, "10", price="0.3")
    exchange.place(yes, "SELL", exchange.book(yes).bids[0].price, "2", own=True)

    assert {yes: OwnPosition(yes, Decimal(8), Decimal(8))} == exchange.account().positions


def test_an_order_expires() -> None:
    """It is taken back at its time, if it is still there."""
    exchange = small()
    yes = exchange.asset_ids[0]
    price = exchange.book(yes).bids[0].price
    [placed] = own_events(
        exchange.place(yes, "BUY", price, "2", own=True, order_type="GTD", expires_ms=5000),
        "order",
    )
    exchange.place(yes, "BUY", price, "2", own=True, order_type="GTD", expires_ms=5000)
    exchange.cancel(exchange.open_orders[-1].id)
    early, late = exchange.advance(4999), exchange.advance(1)

    assert str((exchange.start_ms + 5000) // 1000) == placed["expiration"]
    assert [] == early
    assert [(placed["id"], "CANCELED_EXPIRED_ORDER")] == [
        (event["id"], event["status"]) for event in own_events(late, "order")
    ]


def test_a_rest_that_never_rests_is_cancelled() -> None:
    """Of a FAK order; a FOK order is killed whole."""
    exchange = small()
    yes = exchange.asset_ids[0]
    level = exchange.book(yes).asks[0]
    fak = exchange.place(yes, "BUY", level.price, level.size + 1, own=True, order_type="FAK")
    fok = exchange.place(yes, "BUY", level.price, "2", own=True, order_type="FOK")
    orders = list(exchange.account().orders.values())

    assert ["PLACEMENT", "UPDATE", "CANCELLATION"] == [e["type"] for e in own_events(fak, "order")]
    assert [""] == [event["size_matched"] for event in own_events(fok, "order")]
    assert [(False, level.size), (False, 0)] == [(o.is_open, o.size_matched) for o in orders]

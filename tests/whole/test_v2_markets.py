"""Markets of protocol V2: position ids and short condition ids, and hashes nobody may know."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polymarket_ws import Credentials, Gap, Order, PriceChange, Subscriber
from polymarket_ws.lookup import find_assets
from polymarket_ws.testing import FakeServer, SimulatedExchange


@pytest.fixture(params=["same", "other"])
def exchange(request: pytest.FixtureRequest) -> SimulatedExchange:
    """Three markets, whose hashes follow the recipe that is known, or another."""
    return SimulatedExchange(seed=2, protocol="v2", hash_recipe=request.param)


@pytest.fixture
def server(exchange: SimulatedExchange) -> Iterator[FakeServer]:
    """A server of these markets."""
    with FakeServer(exchange) as server:
        yield server


def test_an_asset_that_was_looked_up_has_a_live_book(
    server: FakeServer, exchange: SimulatedExchange
) -> None:
    """Its ids are those of V2 in Gamma, in the subscription, in events, filters and views."""
    assets = find_assets("simulated-market-2", url=server.gamma_url)
    market = assets[0].market
    seen: list[PriceChange] = []
    with Subscriber(assets, options=server.options()) as sub:
        sub.on_price_change(seen.append, market=f"{market}00")
        sub.on_price_change(seen.append, market=market.upper().replace("X", "x"))
        sub.wait_ready()
        server.play(300)
        server.settle(sub)
        books = {asset.asset_id: sub.books[asset.asset_id].snapshot() for asset in assets}

    assert ([75, 75], 64) == ([len(asset.asset_id) for asset in assets], len(market))
    assert {a: exchange.book(a).bids for a in books} == {a: b.bids for a, b in books.items()}
    assert {market} == {event.market for event in seen}
    assert 0 == len(seen) % 2 < len(seen)


def test_unknown_hashes_are_no_mismatch(server: FakeServer, exchange: SimulatedExchange) -> None:
    """Their books are unverified, and nothing is asked for anew; known ones are verified."""
    gaps: list[Gap] = []
    with Subscriber(exchange.asset_ids, options=server.options()) as sub:
        sub.on_gap(gaps.append)
        sub.wait_ready()
        for _ in range(20):
            server.play(30)
            server.settle(sub)
        integrities = {book.integrity for book in sub.books.values()}
        mismatches = sub.stats().hash_mismatches

    expected = {"verified"} if exchange.hash_recipe == "same" else {"unverified"}
    assert expected == integrities
    assert (0, [], 1) == (mismatches, gaps, len(server.connections))


def test_own_orders_of_a_market_come_by_either_spelling(
    server: FakeServer, exchange: SimulatedExchange
) -> None:
    """The user channel is narrowed to it, and it can be taken out by the other one."""
    market, yes = exchange.markets[0], exchange.asset_ids[0]
    seen: list[Order] = []
    credentials = Credentials("key", "secret", "passphrase")
    sub = Subscriber(credentials=credentials, markets=[f"{market}00"], options=server.options())
    sub.on_order(seen.append, market=market)
    with sub:
        server.wait_for_connection("user")
        server.play(lambda e: e.place(yes, "BUY", e.book(yes).bids[-1].price, "20", own=True))
        server.settle(sub)
        sub.unsubscribe(markets=[market])

        assert [(market, yes)] == [(order.market, order.asset_id) for order in seen]
        assert frozenset() == sub.subscriptions.markets

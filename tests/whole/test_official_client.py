"""The official asyncio client streams from FakeServer: it follows the protocol, not our client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from polymarket_ws.testing import FakeServer, SimulatedExchange

polymarket = pytest.importorskip(
    "polymarket", reason="the official client is not installed: pip install polymarket-client"
)

SECONDS = 20.0
T = TypeVar("T")


@pytest.fixture(autouse=True)
def _past_any_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


def environment(server: FakeServer) -> Any:
    """The client's production environment with this server's URLs."""
    environments = polymarket.environments
    config = replace(
        environments.PRODUCTION._config,
        clob_market_ws_url=server.url("market"),
        clob_user_ws_url=server.url("user"),
    )
    return environments._create_environment(name="fake", config=config)


def run(main: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine function with a deadline."""

    async def bounded() -> T:
        return await asyncio.wait_for(main(), SECONDS)

    return asyncio.run(bounded())


async def in_thread(function: Callable[[], T]) -> T:
    """The server's synchronous calls, off the client's event loop."""
    return await asyncio.get_running_loop().run_in_executor(None, function)


async def take(handle: Any, count: int) -> list[Any]:
    """The next events of a subscription."""
    return [await anext(stream) for stream in [aiter(handle)] for _ in range(count)]


def test_the_official_client_streams_books_changes_and_prints() -> None:
    """It subscribes, gets each book, and then every public event in order, with equal numbers."""
    exchange = SimulatedExchange(seed=3, markets=1)
    yes, no = exchange.asset_ids

    async def main(server: FakeServer) -> None:
        from polymarket.streams import MarketSpec

        client = polymarket.AsyncPublicClient(environment(server))
        try:
            handle = await client.subscribe(
                MarketSpec(asset_ids=[yes, no], custom_feature_enabled=True)
            )
            first, second = await take(handle, 2)
            assert {yes, no} == {first.payload.asset_id, second.payload.asset_id}
            assert exchange.book(first.payload.asset_id).hash == first.payload.hash
            sent = await in_thread(lambda: server.play(60) + server.play(lambda e: e.trade(yes)))
            public = [event for event in sent if event["event_type"] not in ("order", "trade")]
            received = await take(handle, len(public))
            assert [event["event_type"] for event in public] == [e.type for e in received]
            for event, parsed in zip(public, received, strict=True):
                if event["event_type"] == "price_change":
                    told = [Decimal(change["size"]) for change in event["price_changes"]]
                    assert told == [change.size for change in parsed.payload.price_changes]
            assert {"price_change", "book", "last_trade_price"} <= {e.type for e in received}
        finally:
            await client.close()

    with FakeServer(exchange) as server:
        run(lambda: main(server))


def test_the_official_client_reconnects_to_the_present_book() -> None:
    """After a close it subscribes anew and gets the book as it is by then."""
    exchange = SimulatedExchange(seed=4, markets=1)
    yes = exchange.asset_ids[0]

    async def main(server: FakeServer) -> None:
        from polymarket.streams import MarketSpec

        client = polymarket.AsyncPublicClient(environment(server))
        try:
            handle = await client.subscribe(MarketSpec(asset_ids=[yes]))
            await take(handle, 1)
            await in_thread(lambda: server.disconnect(1012))
            await in_thread(lambda: server.play(lambda e: e.trade(yes)))
            (again,) = await take(handle, 1)
            assert exchange.book(yes).hash == again.payload.hash
        finally:
            await client.close()

    with FakeServer(exchange) as server:
        run(lambda: main(server))


def test_the_official_client_follows_own_orders_and_trades() -> None:
    """On the user channel it parses an order's placement and its trade through the statuses."""
    exchange = SimulatedExchange(seed=5, markets=1)

    async def main(server: FakeServer) -> None:
        from polymarket._internal.streams.clob.user import ClobUserStreamManager
        from polymarket.models.clob.api_key import ApiKeyCreds

        creds = ApiKeyCreds(key=exchange.api_key, secret="c2VjcmV0", passphrase="pass")

        async def resolve() -> Any:
            return creds

        async with ClobUserStreamManager(
            url=server.url("user"), resolve_credentials=resolve
        ) as manager:
            handle = await manager.subscribe()
            await in_thread(lambda: server.wait_for_connection("user"))
            sent = await in_thread(
                lambda: server.play(lambda e: e.trade(e.asset_ids[0], "BUY", own=True))
            )
            own = [event for event in sent if event["event_type"] in ("order", "trade")]
            received = await take(handle, len(own))
            assert [event["event_type"] for event in own] == [e.type for e in received]
            statuses = [e.payload.status for e in received if e.type == "trade"]
            assert ["MATCHED", "MINED", "CONFIRMED"] == [str(s) for s in statuses]

    with FakeServer(exchange) as server:
        run(lambda: main(server))

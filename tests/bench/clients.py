"""The clients, ours and others', each a process timed from its first message to its last.

    python -m bench.clients NAME PORT WORKLOAD COUNT

It prints one JSON object: events, wall and cpu seconds, and latencies where they were asked for.
Every client is used as its own documentation says; ours too.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from .workload import Workload, load


class Meter:
    """Counts messages, and knows when the last one has come."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.seen = 0
        self.done = threading.Event()
        self._wall = self._cpu = 0.0
        self.latencies_ns: list[int] = []

    def begin(self) -> None:
        """The first message after the snapshot may come now."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def see(self, many: int = 1) -> bool:
        """Count messages; True at the last."""
        self.seen += many
        if self.seen >= self.count:
            self.end()
            return True
        return False

    def end(self) -> None:
        """The last message has come."""
        self._wall, self._cpu = (
            time.perf_counter() - self._wall,
            time.process_time() - self._cpu,
        )
        self.done.set()

    def see_print(self, transaction_hash: str | None) -> None:
        """A stamped print has reached the callback."""
        self.latencies_ns.append(time.monotonic_ns() - int(transaction_hash or 0))

    def report(self, **more: Any) -> None:
        """Print the result."""
        result = {"events": self.seen, "wall": self._wall, "cpu": self._cpu, **more}
        if self.latencies_ns:
            ordered = sorted(self.latencies_ns)
            for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
                result[name] = ordered[int(share * (len(ordered) - 1))] / 1e6
        print(json.dumps(result), flush=True)


# Ours.


def _ours(meter: Meter, port: int, work: Workload, event: str, **options: Any) -> None:
    from polymarket_ws import Options, Subscriber

    url = f"ws://127.0.0.1:{port}/ws/market"
    sub = Subscriber(
        work.asset_ids,
        options=Options(market_url=url, trust_env=False, queue_limit=5_000_000, **options),
    )
    kinds = ("price_change", "last_trade_price", "book")
    if event == "book_update":
        sub.on_book_update(lambda book: book.best_bid)
    else:
        sub.on_price_change(lambda e: e.price_changes[0].price)
    with sub:
        sub.wait_ready(30)
        meter.begin()
        before = len(work.asset_ids)
        while True:
            told = sub.stats()
            meter.seen = sum(told.events.get(kind, 0) for kind in kinds) - before
            if meter.seen >= meter.count and not told.pending:
                break
            threading.Event().wait(0.02)
        meter.end()
        stats = sub.stats()
    meter.report(
        dropped=stats.dropped,
        gaps=stats.gaps,
        hash_checks=stats.hash_checks,
        mismatches=stats.hash_mismatches,
    )


def ours_top(meter: Meter, port: int, work: Workload) -> None:
    """Books live, verify "top", on_price_change."""
    _ours(meter, port, work, "price_change", verify="top")


def ours_books(meter: Meter, port: int, work: Workload) -> None:
    """Books live, verify "top", on_book_update."""
    _ours(meter, port, work, "book_update", verify="top")


def ours_hash(meter: Meter, port: int, work: Workload) -> None:
    """Books live, verify "hash", on_price_change: the default options."""
    _ours(meter, port, work, "price_change")


def _ours_receive(meter: Meter, port: int, tls: ssl.SSLContext | None) -> None:
    """Our receive path alone: the link and the frame parser."""
    import selectors

    from polymarket_ws.net.attempt import Attempt
    from polymarket_ws.net.frames import FrameParser
    from polymarket_ws.options import Options

    scheme = "wss" if tls else "ws"
    options = Options(trust_env=False)
    link = Attempt(f"{scheme}://127.0.0.1:{port}/ws/market", options, lambda: tls).open()  # type: ignore[arg-type, return-value]  # only called for wss
    link.send('{"type":"market","assets_ids":["1"]}')
    parser, selector = FrameParser(options.max_message_bytes), selectors.DefaultSelector()
    selector.register(link, selectors.EVENT_READ)
    began = False
    while True:
        if not link.has_buffered:
            selector.select(1.0)
        messages = parser.receive(link.receive())
        if not began and messages:
            began, messages = True, messages[1:]
            meter.begin()
        if messages and meter.see(len(messages)):
            break
    link.close()
    meter.report()


def ours_receive(meter: Meter, port: int, work: Workload) -> None:
    """Our receive path alone."""
    _ours_receive(meter, port, None)


def ours_receive_tls(meter: Meter, port: int, work: Workload) -> None:
    """Our receive path alone, over TLS."""
    _ours_receive(meter, port, _trusting())


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the load's certificate is thrown away
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def ours_latency(meter: Meter, port: int, work: Workload) -> None:
    """The default options under a paced load: stamped prints to on_last_trade_price."""
    _ours_paced(meter, port, work)


def ours_latency_top(meter: Meter, port: int, work: Workload) -> None:
    """The same with verify "top"."""
    _ours_paced(meter, port, work, verify="top")


def _ours_paced(meter: Meter, port: int, work: Workload, **options: Any) -> None:
    from polymarket_ws import Options, Subscriber

    url = f"ws://127.0.0.1:{port}/ws/market"
    sub = Subscriber(work.asset_ids, options=Options(market_url=url, trust_env=False, **options))
    sub.on_last_trade_price(lambda e: meter.see_print(e.transaction_hash))
    sub.on_price_change(lambda e: None)
    with sub:
        sub.wait_ready(30)
        meter.begin()
        while (seen := sum(sub.stats().events.values())) < meter.count:
            threading.Event().wait(0.05)
        meter.seen = seen
        meter.end()
        stats = sub.stats()
    meter.report(dropped=stats.dropped, gaps=stats.gaps, reconnects=stats.reconnects)


# Others'.


def official(meter: Meter, port: int, work: Workload) -> None:
    """polymarket-client's stream; it keeps no books."""
    asyncio.run(_official(meter, port, work, lambda event: None))


def official_latency(meter: Meter, port: int, work: Workload) -> None:
    """polymarket-client's stream with stamped prints."""

    def look(event: Any) -> None:
        if event.type == "last_trade_price":
            meter.see_print(event.payload.transaction_hash)

    asyncio.run(_official(meter, port, work, look))


async def _official(meter: Meter, port: int, work: Workload, look: Callable[[Any], None]) -> None:
    from dataclasses import replace

    import polymarket
    from polymarket.streams import MarketSpec

    environments = polymarket.environments
    config = replace(
        environments.PRODUCTION._config,
        clob_market_ws_url=f"ws://127.0.0.1:{port}/ws/market",
    )
    client = polymarket.AsyncPublicClient(
        environments._create_environment(name="bench", config=config)
    )
    handle = await client.subscribe(MarketSpec(asset_ids=work.asset_ids))
    left = len(work.asset_ids)
    async for event in handle:
        if left:
            left -= 1
            if not left:
                meter.begin()
            continue
        look(event)
        if meter.see():
            break
    meter.report()
    sys.stdout.flush()
    os._exit(0)


def quickstart(meter: Meter, port: int, work: Workload) -> None:
    """The docs' WebSocketOrderBook: WebSocketApp with its defaults, json.loads, a dict book."""
    import websocket

    books: dict[str, dict[str, dict[float, float]]] = {}

    def on_message(app: Any, message: str) -> None:
        data = json.loads(message)
        for event in data if isinstance(data, list) else [data]:
            _keep(books, event)
        if isinstance(data, list):
            meter.begin()
        elif meter.see():
            meter.report()
            os._exit(0)

    app = websocket.WebSocketApp(
        f"ws://127.0.0.1:{port}/ws/market",
        on_open=lambda app: app.send(json.dumps({"type": "market", "assets_ids": work.asset_ids})),
        on_message=on_message,
    )
    app.run_forever()


def _keep(books: dict[str, dict[str, dict[float, float]]], event: dict[str, Any]) -> None:
    if event["event_type"] == "book":
        books[event["asset_id"]] = {
            side: {float(level["price"]): float(level["size"]) for level in event[side]}
            for side in ("bids", "asks")
        }
    elif event["event_type"] == "price_change":
        for change in event["price_changes"]:
            side = books[change["asset_id"]]["bids" if change["side"] == "BUY" else "asks"]
            if float(change["size"]):
                side[float(change["price"])] = float(change["size"])
            else:
                side.pop(float(change["price"]), None)


def websocketapp(meter: Meter, port: int, work: Workload) -> None:
    """WebSocketApp as pip installs it, receiving alone."""
    _websocketapp(meter, f"ws://127.0.0.1:{port}/", {})


def websocketapp_tls(meter: Meter, port: int, work: Workload) -> None:
    """WebSocketApp over TLS, receiving alone."""
    options = {"sslopt": {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}}
    _websocketapp(meter, f"wss://127.0.0.1:{port}/", options)


def _websocketapp(meter: Meter, url: str, options: dict[str, Any]) -> None:
    import websocket

    first = True

    def on_message(app: Any, message: str) -> None:
        nonlocal first
        if first:
            first = False
            meter.begin()
        elif meter.see():
            meter.report()
            os._exit(0)

    app = websocket.WebSocketApp(
        url, on_open=lambda app: app.send('{"type":"market"}'), on_message=on_message
    )
    app.run_forever(**options)


def websockets_asyncio(meter: Meter, port: int, work: Workload) -> None:
    """The websockets package under asyncio, receiving alone."""
    asyncio.run(_websockets(meter, f"ws://127.0.0.1:{port}/", None))


def websockets_asyncio_tls(meter: Meter, port: int, work: Workload) -> None:
    """The same over TLS."""
    asyncio.run(_websockets(meter, f"wss://127.0.0.1:{port}/", _trusting()))


async def _websockets(meter: Meter, url: str, tls: ssl.SSLContext | None) -> None:
    import websockets

    async with websockets.connect(
        url, ssl=tls, max_size=None, compression=None, ping_interval=None
    ) as connection:
        await connection.send('{"type":"market"}')
        await connection.recv()
        meter.begin()
        while not meter.see():
            await connection.recv()
    meter.report()


def picows_receive(meter: Meter, port: int, work: Workload) -> None:
    """picows, written in C: an upper bound for receiving alone."""
    asyncio.run(_picows(meter, f"ws://127.0.0.1:{port}/"))


async def _picows(meter: Meter, url: str) -> None:
    from picows import WSListener, WSMsgType, ws_connect

    ended = asyncio.Event()

    class Listener(WSListener):  # type: ignore[misc]  # it has no types
        first = True

        def on_ws_connected(self, transport: Any) -> None:
            transport.send(WSMsgType.TEXT, b'{"type":"market"}')

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            frame.get_payload_as_utf8_text()
            if self.first:
                self.first = False
                meter.begin()
            elif meter.see():
                ended.set()

    transport, _ = await ws_connect(Listener, url)
    await ended.wait()
    transport.disconnect()
    meter.report()


def polyws(meter: Meter, port: int, work: Workload) -> None:
    """polyws: asyncio, typed events, a cache of float books."""
    asyncio.run(_polyws(meter, port, work))


async def _polyws(meter: Meter, port: int, work: Workload) -> None:
    import polyws as package
    from polyws import manager

    manager.CLOB_WSS_URL = f"ws://127.0.0.1:{port}/ws/market"
    left, ended = len(work.asset_ids), asyncio.Event()

    async def take(events: list[Any]) -> None:
        nonlocal left
        for _ in events:
            if left:
                left -= 1
                if not left:
                    meter.begin()
            elif meter.see():
                ended.set()
                return

    handlers = package.WebSocketHandlers(
        on_book=take, on_price_change=take, on_last_trade_price=take
    )
    stream = package.WSSubscriptionManager(handlers)
    await stream.add_subscriptions(work.asset_ids)
    await ended.wait()
    meter.report()
    os._exit(0)


def polymarket_apis(meter: Meter, port: int, work: Workload) -> None:
    """polymarket-apis: asyncio on a thread of its own, pydantic events, float books."""
    from polymarket_apis.clients import websockets_client as package

    # Its default would reconnect, since it reads faster than it handles.
    queue = package.WebsocketQueueConfig(maxsize=5_000_000)
    client = package.PolymarketWebsocketsClient(queue=queue)
    client.url_market = f"ws://127.0.0.1:{port}/ws/market"
    began = False

    def take(event: Any) -> None:
        nonlocal began
        if not began:
            began = True
            meter.begin()
        elif meter.see():
            meter.report()
            os._exit(0)

    books = package.LocalOrderBookStore()
    client.open_market_connection(work.asset_ids, False, take, local_order_books=books)
    threading.Event().wait()


def eggplant(meter: Meter, port: int, work: Workload) -> None:
    """eggplant-sdk: asyncio, events with Decimal as dataclasses, no books."""
    asyncio.run(_eggplant(meter, port, work))


async def _eggplant(meter: Meter, port: int, work: Workload) -> None:
    from eggplant_sdk.ws.market import MarketStream, MarketStreamConfig

    url = f"ws://127.0.0.1:{port}/ws/market"
    stream = await MarketStream.connect(MarketStreamConfig(work.asset_ids, url, False))
    await stream.next_text()  # the array of first books, which its next_event() refuses
    meter.begin()
    while await stream.next_event():
        if meter.see():
            break
    meter.report()


CLIENTS: dict[str, Callable[[Meter, int, Workload], None]] = {
    f.__name__: f
    for f in (
        ours_top,
        ours_books,
        ours_hash,
        ours_receive,
        ours_receive_tls,
        ours_latency,
        ours_latency_top,
        official,
        official_latency,
        quickstart,
        websocketapp,
        websocketapp_tls,
        websockets_asyncio,
        websockets_asyncio_tls,
        picows_receive,
        polyws,
        polymarket_apis,
        eggplant,
    )
}

if __name__ == "__main__":
    name, port, path, count = sys.argv[1:]
    CLIENTS[name](Meter(int(count)), int(port), load(path))

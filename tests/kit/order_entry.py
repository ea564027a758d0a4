"""Places and cancels on a simulated exchange, also over HTTP as the official client asks for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from attrs import define, field

from polymarket_ws.testing import FakeServer, SimulatedExchange

MILLION = 1_000_000  # of the units that orders are signed in


@define(eq=False)
class ExchangeEntry:
    """The user's orders on a running server's exchange; the answer comes after the events."""

    server: FakeServer
    placed: list[tuple[str, Decimal]] = field(factory=list)
    """Side and size of each."""
    oversold: list[str] = field(factory=list)
    """Sells of more than was confirmed and not offered, as the exchange itself knows it."""

    def place(self, quote: Any) -> str | None:
        """Post-only: None when it would match at once."""
        asset_id, side, price, size = quote.asset_id, str(quote.side), quote.price, quote.size
        ids: list[str] = []

        def act(exchange: SimulatedExchange) -> list[dict[str, Any]]:
            bid, ask = exchange.book(asset_id).top
            if side == "BUY" and ask is not None and price >= ask.price:
                return []
            if side == "SELL" and bid is not None and price <= bid.price:
                return []
            if side == "SELL" and size > sellable(exchange, asset_id):
                self.oversold.append(f"{size} of {sellable(exchange, asset_id)}")
            events = exchange.place(asset_id, side, price, size, own=True)
            ids.append(exchange.open_orders[-1].id)
            return events

        self.server.play(act)
        self.placed.append((side, size))
        return ids[0] if ids else None

    def cancel(self, order_ids: list[str]) -> list[str]:
        """Those that rest; their ids."""
        cancelled: list[str] = []

        def act(exchange: SimulatedExchange) -> list[dict[str, Any]]:
            resting = {order.id for order in exchange.open_orders}
            cancelled.extend(id_ for id_ in order_ids if id_ in resting)
            return [event for id_ in cancelled for event in exchange.cancel(id_)]

        self.server.play(act)
        return cancelled


def sellable(exchange: SimulatedExchange, asset_id: str) -> Decimal:
    """What the exchange would let the user sell: confirmed, less what rests."""
    position = exchange.account().positions.get(asset_id)
    offered = (
        order.remaining
        for order in exchange.open_orders
        if order.own and order.asset_id == asset_id and order.side == "SELL"
    )
    return (position.confirmed if position else Decimal(0)) - sum(offered, Decimal(0))


@contextmanager
def entry_service(entry: ExchangeEntry) -> Iterator[str]:
    """The part of the CLOB's REST service that polymarket-client 0.14 places and cancels with; what
    it lists is FakeServer's.

    Yields:
        Its URL.
    """
    exchange = entry.server.exchange
    assert exchange is not None

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].strip("/").split("/")
            if path == ["auth", "api-keys"]:
                self._answer({"apiKeys": [exchange.api_key]})
            elif path[0] == "markets-by-token":
                self._answer({"condition_id": exchange.market_of(path[1])})
            elif path[0] == "clob-markets":
                ids = [id_ for id_ in exchange.asset_ids if exchange.market_of(id_) == path[1]]
                tick = exchange.book(ids[0]).tick_size
                _, neg_risk = exchange.hash_parameters(ids[0])
                tokens = [{"t": id_} for id_ in ids]
                self._answer({"nr": neg_risk, "mts": str(tick), "t": tokens})
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            order = self._body()["order"]
            given, taken = int(order["makerAmount"]), int(order["takerAmount"])
            dollars, shares = (given, taken) if order["side"] == "BUY" else (taken, given)
            id_ = entry.place(
                _Quote(
                    order["tokenId"],
                    order["side"],
                    Decimal(dollars) / shares,
                    Decimal(shares) / MILLION,
                )
            )
            refusal = "" if id_ else "invalid post-only order: order crosses book"
            self._answer(
                {
                    "success": id_ is not None,
                    "errorMsg": refusal,
                    "orderID": id_ or "",
                    "status": "live" if id_ else "",
                    "makingAmount": "",
                    "takingAmount": "",
                }
            )

        def do_DELETE(self) -> None:
            ids = self._body()
            cancelled = entry.cancel(ids)
            others = dict.fromkeys(sorted(set(ids).difference(cancelled)), "the order is not open")
            self._answer({"canceled": cancelled, "not_canceled": others})

        def _body(self) -> Any:
            return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    service = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.daemon_threads = True
    thread = threading.Thread(target=service.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"http://127.0.0.1:{service.server_port}"
    finally:
        service.shutdown()
        service.server_close()
        thread.join()


@define
class _Quote:
    asset_id: str
    side: str
    price: Decimal
    size: Decimal

"""A third channel is a dialect and a view, and nothing else: one like PolyBolt lives in this file.

Its client authenticates by an operation, subscribes once that is acknowledged, and sends a JSON
ping; its data carries sequence numbers for each connection.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import define, field, frozen
from kit.recorder import DEADLINE, Recorder
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from polymarket_ws.channels.dialect import Control, DecodeFast, Heartbeat, no_fast_path
from polymarket_ws.channels.view import BooklessView, Taken
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.connection.pacing import Pacer
from polymarket_ws.errors import DecodeError
from polymarket_ws.events import EVENTS, Connected, Disconnected, Gap, Resync, Unknown
from polymarket_ws.options import Options
from polymarket_ws.shards.shard import Shard
from polymarket_ws.waiters import Waiters
from polymarket_ws.wire.updates import Decoded

pytestmark = pytest.mark.keeps_descriptors  # the websockets server's shutdown pipe

KEY = {"apiKey": "K", "secret": "SECRET", "passphrase": "P"}
text_of = functools.partial(json.dumps, separators=(",", ":"))


@frozen(eq=False)
class PricesDialect:
    """How the server of the prices speaks."""

    url: str
    heartbeat: Heartbeat
    name: str = "prices"
    authenticates: bool = True
    data_begins: frozenset[str] = frozenset()
    decode_fast: DecodeFast = no_fast_path
    fast_types: frozenset[str] = frozenset()

    def opening_texts(self, wanted: Wanted) -> list[str]:
        return [text_of({"op": "auth", "rid": "1", "auth": KEY})]

    def change_texts(self, before: Wanted, after: Wanted) -> list[str]:
        had, wants = before.ids or frozenset(), after.ids or frozenset()
        removed = [self._text("unsubscribe", had - wants)] if had - wants else []
        return removed + ([self._text("subscribe", wants - had)] if wants - had else [])

    def resubscription_texts(self, asset_ids: list[str], wanted: Wanted) -> list[str]:
        return []

    def _text(self, op: str, symbols: frozenset[str]) -> str:
        items = [{"channel": "price.crypto", "filter": {"symbol": s}} for s in sorted(symbols)]
        return text_of({"op": op, "rid": "2", "subscriptions": items})

    def read_control(self, text: str, wanted: Wanted) -> Control | None:
        op = json.loads(text).get("op")
        if op == "pong":
            return Control("pong")
        if op == "authed":
            return Control("notice", replies=[self._text("subscribe", wanted.ids or frozenset())])
        return None if op is None else Control("notice", is_warning=op == "error")

    def decode(self, text: str, received_at_ns: int) -> Sequence[Decoded | DecodeError]:
        data = json.loads(text)
        event = Unknown(
            channel=self.name,
            wire_event_type=data["channel"],
            data=data,
            received_at_ns=received_at_ns,
        )
        return [Decoded(event, None)]


@define
class PricesView(BooklessView):
    """The newest price of each symbol, and what the sequence numbers say is missing."""

    prices: dict[str, str] = field(factory=dict)
    missing: int = 0
    _seq: int = 0

    def take(self, decoded: Decoded, now: float) -> Taken:
        event = decoded.event
        assert isinstance(event, Unknown)
        self.missing += event.data["seq"] - self._seq - 1
        self._seq = event.data["seq"]
        payload = event.data["payload"]
        self.prices[payload["symbol"]] = payload["full_accuracy_value"]
        return Taken(True, ())

    def connection_ended(self, reason: str) -> list[Any]:
        self._seq = 0  # it begins anew on each connection
        return []


class PricesServer:
    """Takes one client after the other; keeps what each said, and says what a test tells it to."""

    def __init__(self) -> None:
        self.said = Recorder()
        self.clients = Recorder()

    def talk(self, client: ServerConnection) -> None:
        """Acknowledge the operations of one client until it ends."""
        number = len(self.clients.items)
        self.clients(client)
        try:
            for text in client:
                message = json.loads(text)
                self.said((number, message["op"]))
                if message["op"] == "auth":
                    client.send(text_of({"op": "authed", "rid": message["rid"]}))
                elif message["op"] == "subscribe":
                    for item in message["subscriptions"]:
                        client.send(text_of({"op": "subscribed", **item}))
                        client.send(price(1, item["filter"]["symbol"], "100"))
                elif message["op"] == "ping":
                    client.send(text_of({"op": "pong"}))
        except ConnectionClosed:
            return


def price(seq: int, symbol: str, value: str) -> str:
    """A data message."""
    payload = {"symbol": symbol, "value": 1, "full_accuracy_value": value}
    return text_of({"v": 1, "channel": "price.crypto", "seq": seq, "payload": payload})


@contextmanager
def running(heartbeat: Heartbeat) -> Iterator[tuple[PricesServer, PricesView, Recorder]]:
    """A server, and a shard that follows it."""
    server, view, told = PricesServer(), PricesView(), Recorder()
    with serve(server.talk, "127.0.0.1", 0) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        port = listener.socket.getsockname()[1]
        shard = Shard(
            "test-prices",
            PricesDialect(f"ws://127.0.0.1:{port}/ws", heartbeat),
            view,
            Options(trust_env=False, backoff_base=0.01),
            _no_tls,
            Pacer(),
            deliver=lambda items: [told(item) for item in items] and None,
            fail=told,
            on_internal_error=lambda where, error: told(error),
            hears=lambda: frozenset(EVENTS) - {"frame"},
            on_end=lambda: None,
            waiters=Waiters(),
        )
        shard.start()
        shard.want(Wanted(frozenset(["btcusdt"])))
        try:
            yield server, view, told
        finally:
            shard.stop("stopped")
            assert shard.join(DEADLINE)
            listener.shutdown()
            thread.join(DEADLINE)


def _no_tls() -> Any:
    raise AssertionError("ws:// needs no TLS")


def of(kind: type) -> Callable[[list[Any]], bool]:
    """Whether something of this kind was told."""
    return lambda items: any(isinstance(item, kind) for item in items)


def test_it_authenticates_subscribes_and_pings_in_its_own_words() -> None:
    """The subscription follows the acknowledgement; acknowledgements are no events."""
    with running(Heartbeat(text_of({"op": "ping"}), 0.02)) as (server, view, told):
        told.wait_until(of(Unknown))
        server.said.wait_until(lambda said: said.count((0, "ping")) >= 3)

        assert [(0, "auth"), (0, "subscribe")] == [
            op for op in server.said.items if op[1] != "ping"
        ]
        assert [Connected, Unknown] == [type(item) for item in told.items]
        assert {"btcusdt": "100"} == view.prices


def test_its_sequence_numbers_are_its_views_own() -> None:
    """They show what is missing; no other part of the package knows of them."""
    with running(Heartbeat(text_of({"op": "ping"}), 25.0)) as (server, view, told):
        told.wait_until(of(Unknown))
        server.clients.items[0].send(price(4, "btcusdt", "101"))
        told.wait_until(lambda items: sum(isinstance(i, Unknown) for i in items) == 2)

    assert (2, {"btcusdt": "101"}) == (view.missing, view.prices)


def test_its_lost_connection_leaves_a_gap_that_the_next_one_ends() -> None:
    """It has no snapshots, so what came in between stays unknown."""
    with running(Heartbeat(text_of({"op": "ping"}), 25.0)) as (server, view, told):
        told.wait_until(of(Unknown))
        server.clients.items[0].socket.shutdown(2)
        told.wait_until(lambda items: sum(isinstance(i, Unknown) for i in items) == 2)
        kinds = [type(item) for item in told.items]
        [gap] = [item for item in told.items if isinstance(item, Gap)]

    assert [Connected, Unknown, Disconnected, Gap, Connected, Resync, Unknown] == kinds
    assert ("prices", "disconnect", ()) == (gap.channel, gap.reason, gap.asset_ids)
    assert [(1, "auth"), (1, "subscribe")] == server.said.items[2:]
    assert 0 == view.missing

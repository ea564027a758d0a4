"""FakeServer as independent clients see it: the websockets package's, and raw sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, field
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.sync.client import ClientConnection, connect
from websockets.uri import parse_uri

from polymarket_ws import testing
from polymarket_ws.credentials import Credentials
from polymarket_ws.testing import (
    BAD_FRAMES,
    FakeServer,
    SimulatedExchange,
    make_best_bid_ask,
    make_book,
    make_last_trade_price,
    make_market_resolved,
    make_new_market,
    make_order,
    make_price_change,
    make_trade,
)
from polymarket_ws.testing.admission import Admission
from polymarket_ws.testing.simulated_market import Wire

SECONDS = 10.0
AUTH = {"apiKey": "key-1", "secret": "s3", "passphrase": "p4"}
MARKET_1, MARKET_2 = "0x" + "1" * 64, "0x" + "2" * 64


@pytest.fixture(params=[False, True], ids=["ws", "wss"])
def tls(request: pytest.FixtureRequest) -> bool:
    """Both schemes."""
    return bool(request.param)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A started server without an exchange."""
    with FakeServer() as server:
        yield server


class TlsClient:
    """The websockets package's client protocol on one TLS socket, in one thread.

    Its own threaded client reads and writes one SSL object from two threads, which now and then
    loses the request on Python 3.11.
    """

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        uri = parse_uri(url)
        plain = socket.create_connection((uri.host, uri.port), SECONDS)
        self.sock = context.wrap_socket(plain, server_hostname=uri.host)
        self.local_address = self.sock.getsockname()
        self.protocol = ClientProtocol(uri, max_size=2**24)
        self.texts: list[str] = []
        self.protocol.send_request(self.protocol.connect())
        self._flush()
        while self.protocol.state is State.CONNECTING:
            self._read()

    def __enter__(self) -> TlsClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, text: str) -> None:
        """Send one text."""
        self.protocol.send_text(text.encode())
        self._flush()

    def recv(self, timeout: float) -> str:
        """The next text, or the exception that tells how the connection ended."""
        self.sock.settimeout(timeout)
        while not self.texts:
            if self.protocol.state is State.CLOSED:
                raise self.protocol.close_exc
            self._read()
        return self.texts.pop(0)

    def _read(self) -> None:
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            raise
        except OSError:
            data = b""
        if data:
            self.protocol.receive_data(data)
        else:
            self.protocol.receive_eof()
        for event in self.protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self.texts.append(bytes(event.data).decode())
        self._flush()

    def _flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                with contextlib.suppress(OSError):
                    self.sock.sendall(data)


Client = ClientConnection | TlsClient


@pytest.fixture(autouse=True)
def _past_any_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@contextlib.contextmanager
def client(server: FakeServer, channel: str = "market") -> Iterator[Client]:
    """An open, not yet subscribed connection of a library that knows nothing of ours."""
    options = server.options()
    url = options.market_url if channel == "market" else options.user_url
    connection: Client
    if options.ssl_context is None:
        connection = connect(url, close_timeout=1, open_timeout=SECONDS, max_size=2**24)
    else:
        connection = TlsClient(url, options.ssl_context)
    with connection:
        yield connection


def say(connection: Client, **message: Any) -> None:
    """Send one JSON object."""
    connection.send(json.dumps(message))


def text(connection: Client) -> str:
    """The next text."""
    received = connection.recv(timeout=SECONDS)
    assert isinstance(received, str)
    return received


def events(connection: Client) -> Any:
    """The next text, parsed."""
    return json.loads(text(connection))


def nothing_more(connection: Client) -> bool:
    """Whether a PING is answered next: nothing else was sent before it."""
    connection.send("PING")
    return text(connection) == "PONG"


def closed(connection: Client) -> tuple[int, str] | None:
    """How the server ended the connection: its close frame's code and reason, None without one."""
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            connection.recv(timeout=SECONDS)
    received = caught.value.rcvd
    return None if received is None else (received.code, received.reason)


@contextlib.contextmanager
def raw(server: FakeServer) -> Iterator[socket.socket]:
    """A TCP connection that has sent a handshake request."""
    with socket.create_connection(("127.0.0.1", server.port), SECONDS) as sock:
        sock.sendall(
            b"GET /ws/market HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        yield sock


# --- manners of the market channel ---------------------------------------------------------------


def test_a_subscription_is_answered_with_one_compact_array(tls: bool) -> None:
    """The snapshot is one array with tick and last price and a newline, unknown tokens left out."""
    with FakeServer(tls=tls) as server:
        server.add_book(make_book("1", tick_size="0.001", last_trade_price="0.5"))
        server.add_book(make_book("2"))
        with client(server) as c:
            say(c, type="market", assets_ids=["1", "2", "3"])
            answer = text(c)
    assert answer.endswith("]\n")
    assert ": " not in answer
    first, second = json.loads(answer)
    assert ("1", "0.001", "0.5") == (
        first["asset_id"],
        first["tick_size"],
        first["last_trade_price"],
    )
    assert ("2", "0.01", "") == (
        second["asset_id"],
        second["tick_size"],
        second["last_trade_price"],
    )


def test_only_unknown_tokens_are_answered_with_an_empty_array(server: FakeServer) -> None:
    """Nothing known is [], and a book that appears later is sent."""
    with client(server) as c:
        say(c, type="market", assets_ids=["1"])
        assert "[]" == text(c)
        assert 1 == server.send(make_book("1"))
        assert "book" == events(c)["event_type"]


def test_the_initial_frame_is_accepted_once(server: FakeServer) -> None:
    """A second one gets INVALID OPERATION and the connection stays."""
    with client(server) as c:
        say(c, type="market", assets_ids=[])
        assert "[]" == text(c)
        say(c, type="market", assets_ids=["1"])
        assert "INVALID OPERATION" == text(c)
        assert nothing_more(c)


@pytest.mark.parametrize(
    "message",
    [
        "{}",
        "no JSON",
        "[]",
        '{"type":"market"}',
        '{"type":"market","assets_ids":"1"}',
        '{"type":"market","assets_ids":[1]}',
        '{"type":"user","assets_ids":["1"]}',
        '{"operation":"subscribe","assets_ids":["1"]}',
    ],
)
def test_a_bad_shape_gets_invalid_operation(server: FakeServer, message: str) -> None:
    """What is no subscription is refused as text, and a right one still works."""
    with client(server) as c:
        c.send(message)
        assert "INVALID OPERATION" == text(c)
        say(c, type="market", assets_ids=["1"])
        assert "[]" == text(c)


@pytest.mark.parametrize("channel", ["market", "user"])
def test_a_ping_before_the_subscription_ends_the_connection(
    server: FakeServer, channel: str
) -> None:
    """The first text is never PING: the server closes with 1008."""
    with client(server, channel) as c:
        c.send("PING")
        assert (1008, "invalid subscription payload") == closed(c)


def test_a_ping_is_answered_with_pong(server: FakeServer) -> None:
    """Text PING gets text PONG, and is counted."""
    with client(server) as c:
        say(c, type="market", assets_ids=[])
        assert "[]" == text(c)
        assert nothing_more(c)
        record = server.wait_for_connection()
        assert 1 == record.pings
        assert ['{"type": "market", "assets_ids": []}', "PING"] == record.texts
        assert 2 == record.texts_sent


def test_assets_come_and_go_while_connected(server: FakeServer) -> None:
    """`operation` subscribes with a snapshot, unsubscribes silently, and names duplicates."""
    server.add_book(make_book("2"))
    with client(server) as c:
        say(c, type="market", assets_ids=["1"])
        assert "[]" == text(c)
        say(c, operation="subscribe", assets_ids=["2", "2"])
        assert ["2"] == [book["asset_id"] for book in events(c)]
        say(c, operation="subscribe", assets_ids=["2", "1"])
        assert "NO NEW ASSETS" == text(c)
        say(c, operation="unsubscribe", assets_ids=["2"])
        assert nothing_more(c)
        assert 0 == server.send(make_book("2"))
        say(c, operation="subscribe", assets_ids=["2"])
        assert ["2"] == [book["asset_id"] for book in events(c)]
        say(c, operation="dance", assets_ids=["2"])
        assert "INVALID OPERATION" == text(c)


def test_an_initial_dump_can_be_declined(server: FakeServer) -> None:
    """initial_dump false: no snapshot."""
    server.add_book(make_book("1"))
    with client(server) as c:
        say(c, type="market", assets_ids=["1"], initial_dump=False)
        assert nothing_more(c)


def test_a_bare_event_has_the_odd_spacing(server: FakeServer) -> None:
    """A space after commas, none after colons, no newline."""
    with client(server) as c:
        say(c, type="market", assets_ids=["1"])
        assert "[]" == text(c)
        server.send(make_last_trade_price("1"))
        received = text(c)
    assert json.dumps(json.loads(received), separators=(", ", ":")) == received


def test_events_go_to_subscribers_of_one_of_their_assets(server: FakeServer) -> None:
    """A price_change goes whole to whoever subscribed to one of its tokens, and to nobody else."""
    both = make_price_change(
        changes=[
            *make_price_change("1").price_changes,
            *make_price_change("2", [("SELL", "0.59", "10")]).price_changes,
        ]
    )
    with client(server) as one, client(server) as three:
        say(one, type="market", assets_ids=["1"])
        say(three, type="market", assets_ids=["3"])
        assert ["[]", "[]"] == [text(one), text(three)]
        assert 1 == server.send(both)
        assert ["1", "2"] == [change["asset_id"] for change in events(one)["price_changes"]]
        assert nothing_more(three)


def test_custom_events_are_for_custom_connections(server: FakeServer) -> None:
    """Broadcasts and best_bid_ask need the flag; naming an active token again switches it on."""
    sent = [
        make_new_market(),
        make_market_resolved(),
        make_best_bid_ask("1"),
        make_best_bid_ask("9"),
    ]
    with client(server) as c:
        say(c, type="market", assets_ids=["1"])
        assert "[]" == text(c)
        server.publish(sent)
        assert nothing_more(c)
        say(c, operation="subscribe", assets_ids=["1"], custom_feature_enabled=True)
        assert "NO NEW ASSETS" == text(c)
        server.publish(sent)
        assert ["new_market", "market_resolved", "best_bid_ask"] == [
            events(c)["event_type"] for _ in range(3)
        ]
        assert nothing_more(c)


def test_an_array_goes_out_as_one_text_without_foreign_elements(server: FakeServer) -> None:
    """A list is one message, cut down to what the connection subscribed."""
    with client(server) as c:
        say(c, type="market", assets_ids=["1"])
        assert "[]" == text(c)
        server.send([make_book("1"), make_book("2"), make_last_trade_price("1")])
        assert ["book", "last_trade_price"] == [event["event_type"] for event in events(c)]


def test_texts_and_unknown_events_go_out_as_they_are(server: FakeServer) -> None:
    """str and bytes are untouched; a dict that names no asset goes to all of the channel."""
    with client(server) as c, client(server, "user") as user:
        say(c, type="market", assets_ids=[])
        assert "[]" == text(c)
        say(user, type="user", auth=AUTH)
        server.wait_for_connection("user")
        server.send("{}{}")
        server.send(b"\xc3\xa9")
        server.send({"event_type": "some_future_event"})
        server.send({"event_type": "own_future_event"}, channel="user")
        assert ["{}{}", "\xe9", '{"event_type":"some_future_event"}'] == [text(c) for _ in range(3)]
        assert "own_future_event" == events(user)["event_type"]


def test_a_remembered_book_follows_what_is_sent_after_it(server: FakeServer) -> None:
    """Changes, ticks and prints that were sent show in the next answer to a subscription."""
    server.send(make_book("1", bids=[("0.4", "10"), ("0.3", "5")]))
    server.send(make_price_change("1", [("BUY", "0.4", "0"), ("BUY", "0.35", "7")]))
    server.send(make_last_trade_price("1", "0.35"))
    with client(server) as c:
        say(c, type="market", assets_ids=["1"])
        (book,) = events(c)
    assert [("0.3", "5"), ("0.35", "7")] == [(lv["price"], lv["size"]) for lv in book["bids"]]
    assert "0.35" == book["last_trade_price"]
    assert 40 == len(book["hash"])


@pytest.mark.parametrize("path", ["/", "/ws", "/ws/other"])
def test_any_other_path_is_not_found(server: FakeServer, path: str) -> None:
    """The handshake on another path is answered with 404."""
    with pytest.raises(InvalidStatus) as caught:
        connect(f"ws://127.0.0.1:{server.port}{path}")
    assert 404 == caught.value.response.status_code


def test_assets_beyond_the_limit_are_silently_not_served(tls: bool) -> None:
    """Neither their snapshots nor their events come, though the subscription is accepted."""
    with FakeServer(tls=tls, max_assets_per_connection=2) as server:
        for asset_id in "12345":
            server.add_book(make_book(asset_id))
        with client(server) as c:
            say(c, type="market", assets_ids=["1"])
            assert ["1"] == [book["asset_id"] for book in events(c)]
            say(c, operation="subscribe", assets_ids=["3", "2", "4"])
            assert ["3"] == [book["asset_id"] for book in events(c)]
            sent = [server.send(make_price_change(asset_id)) for asset_id in "12345"]
            heard = [events(c)["price_changes"][0]["asset_id"] for _ in range(2)]
            say(c, operation="subscribe", assets_ids=["2"])

            assert "NO NEW ASSETS" == text(c)
            assert nothing_more(c)
        [record] = server.connections
    assert ([1, 0, 1, 0, 0], ["1", "3"]) == (sent, heard)
    assert ({"1", "2", "3", "4"}, {"2", "4"}) == (record.asset_ids, record.unserved)


def test_an_unsubscribed_asset_makes_room_for_the_next() -> None:
    """A place is for who subscribes next; who was turned away has to ask again."""
    with FakeServer(max_assets_per_connection=1) as server:
        for asset_id in "123":
            server.add_book(make_book(asset_id))
        with client(server) as c:
            say(c, type="market", assets_ids=["1", "2"])
            assert ["1"] == [book["asset_id"] for book in events(c)]
            say(c, operation="unsubscribe", assets_ids=["1", "2"])
            say(c, operation="subscribe", assets_ids=["3"])
            assert ["3"] == [book["asset_id"] for book in events(c)]
            assert [0, 0, 1] == [server.send(make_price_change(a)) for a in "123"]


def test_the_limit_is_that_of_each_connection() -> None:
    """Two connections are served two assets each."""
    with FakeServer(max_assets_per_connection=2) as server:
        for asset_id in "1234":
            server.add_book(make_book(asset_id))
        for wanted in (["1", "2"], ["3", "4"]):
            with client(server) as c:
                say(c, type="market", assets_ids=wanted)
                assert wanted == [book["asset_id"] for book in events(c)]


# --- manners of the user channel -----------------------------------------------------------------


def test_the_user_channel_sends_own_events_of_its_markets(server: FakeServer) -> None:
    """No `markets` key is everything; ids filter; [] gives orders but no trades."""
    own = [
        make_order(market=MARKET_1),
        make_trade(market=MARKET_1),
        make_order(market=MARKET_2),
        make_trade(market=MARKET_2),
    ]
    filters: list[dict[str, Any]] = [{}, {"markets": [MARKET_1]}, {"markets": []}]
    expected = [
        [("order", MARKET_1), ("trade", MARKET_1), ("order", MARKET_2), ("trade", MARKET_2)],
        [("order", MARKET_1), ("trade", MARKET_1)],
        [("order", MARKET_1), ("order", MARKET_2)],
    ]
    for narrowed, wanted in zip(filters, expected, strict=True):
        with client(server, "user") as c:
            say(c, type="user", auth=AUTH, **narrowed)
            assert nothing_more(c)
            server.publish(own)
            assert wanted == [(e["event_type"], e["market"]) for e in (events(c) for _ in wanted)]
            assert nothing_more(c)


def test_the_user_channel_changes_its_markets_while_connected(server: FakeServer) -> None:
    """subscribe adds a market, unsubscribe takes it away; a shape without markets is refused."""
    with client(server, "user") as c:
        say(c, type="user", auth=AUTH, markets=[MARKET_1])
        say(c, operation="subscribe", markets=[MARKET_2])
        say(c, operation="unsubscribe", markets=[MARKET_1])
        assert nothing_more(c)
        server.publish([make_trade(market=MARKET_1), make_trade(market=MARKET_2)])
        assert MARKET_2 == events(c)["market"]
        for wrong in ({"operation": "dance", "markets": []}, {"markets": [1]}, {"auth": AUTH}):
            say(c, **wrong)
            assert "INVALID OPERATION" == text(c)


@pytest.mark.parametrize("auth", [{**AUTH, "secret": "x"}, {"apiKey": "key-1"}, None])
def test_wrong_credentials_are_reset_without_a_word(auth: Any) -> None:
    """The TCP connection is dropped: no text, no close frame."""
    with FakeServer(credentials=Credentials("key-1", "s3", "p4")) as server:
        with client(server, "user") as c:
            say(c, type="user", auth=auth)
            assert closed(c) is None
        with client(server, "user") as c:
            say(c, type="user", auth=AUTH)
            assert nothing_more(c)


def test_right_credentials_can_be_refused_a_while(server: FakeServer) -> None:
    """bad_credentials resets the next user subscriptions, then lets them in."""
    server.faults.bad_credentials(times=1)
    for expected in (True, False):
        with client(server, "user") as c:
            say(c, type="user", auth=AUTH)
            if expected:
                assert closed(c) is None
            else:
                assert nothing_more(c)


# --- standing on an exchange ---------------------------------------------------------------------


def test_an_exchange_plays_through_the_server(tls: bool) -> None:
    """Snapshots come from its present state, and what it does reaches subscribers in order."""
    exchange = SimulatedExchange(seed=1)
    with FakeServer(exchange, tls) as server:
        server.play(20)
        with client(server) as c:
            say(c, type="market", assets_ids=exchange.asset_ids, custom_feature_enabled=True)
            snapshots = events(c)
            assert list(exchange.asset_ids) == [book["asset_id"] for book in snapshots]
            sent = server.play(50) + server.play(lambda e: e.trade(e.asset_ids[0], "BUY"))
            public = [event for event in sent if event["event_type"] not in ("order", "trade")]
            assert public == [events(c) for _ in public]


def test_an_exchange_plays_own_events_on_the_user_channel() -> None:
    """A trade of the user's comes from MATCHED to CONFIRMED."""
    exchange = SimulatedExchange(seed=1)
    with FakeServer(exchange) as server, client(server, "user") as c:
        say(c, type="user", auth=AUTH)
        assert nothing_more(c)
        server.play(lambda e: e.trade(e.asset_ids[0], "BUY", own=True))
        told = [events(c) for _ in range(5)]
    assert ["PLACEMENT", "UPDATE"] == [e["type"] for e in told if e["event_type"] == "order"]
    assert ["MATCHED", "MINED", "CONFIRMED"] == [
        e["status"] for e in told if e["event_type"] == "trade"
    ]


def test_what_a_client_sent_before_is_received_before_a_command() -> None:
    """Also while the server is busy: own events reach who had subscribed before they happened."""
    exchange = SimulatedExchange(seed=1)
    busy, go = threading.Event(), threading.Event()

    def hold(exchange: SimulatedExchange) -> list[Wire]:
        busy.set()
        assert go.wait(SECONDS)
        return []

    def trade(exchange: SimulatedExchange) -> list[Wire]:
        return exchange.trade(exchange.asset_ids[0], "BUY", own=True)

    with FakeServer(exchange) as server, client(server, "user") as c, ThreadPoolExecutor() as pool:
        pool.submit(server.play, hold)
        assert busy.wait(SECONDS)
        say(c, type="user", auth=AUTH)
        traded = pool.submit(server.play, trade)
        while not server._loop._commands:
            assert not traded.done()
        go.set()

        assert "order" == events(c)["event_type"]


def test_an_exchange_runs_in_the_background() -> None:
    """run(rate) plays by itself until pause()."""
    exchange = SimulatedExchange(seed=1)
    with FakeServer(exchange) as server, client(server) as c:
        say(c, type="market", assets_ids=exchange.asset_ids)
        assert text(c)
        server.run(rate=500)
        assert all(events(c)["timestamp"] for _ in range(50))
        server.pause()
        reached = exchange.now_ms
        server.send("the end")
        while text(c) != "the end":
            pass
        assert reached == exchange.now_ms


def test_playing_needs_an_exchange(server: FakeServer) -> None:
    """The sentence says how to get one."""
    with pytest.raises(RuntimeError, match="no exchange"):
        server.play()
    with pytest.raises(ValueError, match="above 0"):
        FakeServer(SimulatedExchange()).run(0)


# --- faults of open connections ------------------------------------------------------------------


@contextlib.contextmanager
def subscribed(server: FakeServer) -> Iterator[Client]:
    """A connection that follows asset 1."""
    with client(server) as c:
        say(c, type="market", assets_ids=["1"])
        assert text(c)
        yield c


@pytest.mark.parametrize("code", [1001, 1012, 1013, 4001])
def test_a_close_carries_its_code(tls: bool, code: int) -> None:
    """disconnect(code, reason) sends a close frame and ends the connection."""
    with FakeServer(tls=tls) as server, subscribed(server) as c:
        assert 1 == server.disconnect(code, "slow consumer: send buffer full")
        assert (code, "slow consumer: send buffer full") == closed(c)
        assert server.wait_until(lambda: not server.open_connections())
        assert code == server.connections[0].close_code


def test_a_reset_has_no_close_frame(tls: bool) -> None:
    """disconnect() without a code drops the TCP connection."""
    with FakeServer(tls=tls) as server, subscribed(server) as c:
        server.disconnect()
        assert closed(c) is None


def test_an_end_of_stream_has_no_close_frame(tls: bool) -> None:
    """end() finishes what was queued and then just ends."""
    with FakeServer(tls=tls) as server, subscribed(server) as c:
        server.send("last words")
        server.end()
        assert "last words" == text(c)
        assert closed(c) is None


def test_a_fault_can_be_aimed_at_one_connection(server: FakeServer) -> None:
    """`only` names the connection; the others go on."""
    with subscribed(server) as one, subscribed(server) as two:
        first, second = server.open_connections()
        assert (True, True) == (first.open, second.open)
        assert 1 == server.disconnect(1001, only=first)
        assert (1001, "") == closed(one)
        assert nothing_more(two)
        assert 0 == server.disconnect(1001, channel="user")


def test_a_frozen_connection_answers_pings_alone(server: FakeServer) -> None:
    """freeze() stops data, not PONG; a new connection flows; thaw() ends it."""
    with subscribed(server) as c:
        server.freeze()
        assert 0 == server.send(make_book("1"))
        assert nothing_more(c)
        with subscribed(server) as fresh:
            assert 1 == server.send(make_book("1"))
            assert "book" == events(fresh)["event_type"]
        server.thaw()
        server.send(make_book("1"))
        assert "book" == events(c)["event_type"]


def test_a_freeze_can_hold_for_new_connections(server: FakeServer) -> None:
    """freeze(new_too=True): not even a snapshot comes."""
    server.add_book(make_book("1"))
    server.freeze(new_too=True)
    with client(server) as c:
        say(c, type="market", assets_ids=["1"])
        assert nothing_more(c)


def test_pings_can_stay_unanswered(server: FakeServer) -> None:
    """stop_answering_pings leaves data alone."""
    with subscribed(server) as c:
        server.stop_answering_pings()
        c.send("PING")
        assert server.wait_until(lambda: server.connections[0].pings == 1)
        server.send(make_book("1"))
        assert "book" == events(c)["event_type"]


def test_a_half_open_peer_neither_reads_nor_writes(server: FakeServer) -> None:
    """Sends go nowhere, and PING is not even seen."""
    with subscribed(server) as c:
        server.half_open()
        c.send("PING")
        assert 0 == server.send(make_book("1"))
        with subscribed(server):
            assert 0 == server.connections[0].pings
            assert server.connections[0].open


def test_half_a_frame_is_followed_by_nothing(server: FakeServer) -> None:
    """stall() sends the first half of a frame; neither data nor PONG come after it."""
    with raw(server) as sock:
        assert server.wait_until(lambda: len(server.connections) == 1)
        response = sock.recv(4096)
        while not response.endswith(b"\r\n\r\n"):
            response += sock.recv(4096)
        server.stall("x" * 100)
        server.send_bytes(b"more")
        server.send("{}")
        assert bytes([0x81, 100]) + b"x" * 49 == _read(sock, 51)
        server.end()
        assert b"" == sock.recv(10)


def test_a_flood_lasts_until_it_is_stopped(tls: bool) -> None:
    """flood() sends as fast as the client reads; stop_flood() ends it and the stream is whole."""
    with FakeServer(tls=tls) as server, subscribed(server) as c:
        server.flood(make_book("1"))
        for _ in range(2000):
            assert "book" == events(c)["event_type"]
        server.stop_flood()
        server.send("the end")
        while (received := text(c)) != "the end":
            assert "book" == json.loads(received)["event_type"]


@pytest.mark.parametrize("kind", BAD_FRAMES)
def test_bad_frames_break_the_protocol(server: FakeServer, kind: str) -> None:
    """Each of BAD_FRAMES makes an RFC 6455 client fail the connection."""
    with subscribed(server) as c:
        server.send_bytes(BAD_FRAMES[kind])
        with pytest.raises((ConnectionClosed, UnicodeDecodeError)) as caught:
            c.recv(timeout=SECONDS)
        # websockets 13 decodes in recv() and raises that error instead of closing.
        if isinstance(caught.value, ConnectionClosed):
            assert caught.value.sent is not None
            assert caught.value.sent.code in (1002, 1007, 1009)


# --- faults of connections to come ---------------------------------------------------------------


def test_refused_connections_are_reset(server: FakeServer) -> None:
    """refuse(times=2): two are reset at once and counted, the third is served."""
    server.faults.refuse(times=2)
    for _ in range(2):
        with pytest.raises((OSError, EOFError)), raw(server) as sock:
            assert sock.recv(10)
            raise AssertionError("it was answered")
    with subscribed(server) as c:
        assert nothing_more(c)
    assert 3 == len(server.connections)


def test_a_closed_port_refuses_and_opens_again(server: FakeServer) -> None:
    """stop_listening() leaves open connections; listen_again() is on the same port."""
    with subscribed(server) as c:
        server.stop_listening()
        with pytest.raises(ConnectionRefusedError), raw(server):
            pass
        assert nothing_more(c)
    server.listen_again()
    with subscribed(server) as c:
        assert nothing_more(c)


@pytest.mark.parametrize("ask", [lambda f: f.hang(), lambda f: f.hang_in_tls()], ids=["tcp", "tls"])
def test_a_hang_says_nothing(tls: bool, ask: Callable[[Any], None]) -> None:
    """The greeting is read and never answered, until the client goes away."""
    with FakeServer(tls=tls) as server:
        ask(server.faults)
        with raw(server) as sock:
            assert server.wait_until(lambda: len(server.connections) == 1)
            sock.settimeout(0.05)
            with pytest.raises(TimeoutError):
                sock.recv(1)
            assert server.connections[0].open
        assert server.wait_until(lambda: not server.connections[0].open)


def test_a_dripping_handshake_comes_byte_by_byte(server: FakeServer) -> None:
    """drip() paces the answer, and the connection works once it is complete."""
    server.faults.drip(seconds_per_byte=0.001)
    with subscribed(server) as c:
        assert nothing_more(c)
    server.faults.drip(seconds_per_byte=30)
    with raw(server) as sock:
        assert b"H" == sock.recv(100)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (401, {}),
        (403, {}),
        (404, {}),
        (429, {"Retry-After": "2"}),
        (503, {}),
        (301, {"Location": "ws://127.0.0.1:1/"}),
    ],
)
def test_a_handshake_can_be_rejected(
    server: FakeServer, status: int, headers: dict[str, str]
) -> None:
    """The status and its headers reach the client."""
    server.faults.reject(status, headers)
    with raw(server) as sock:
        answer = b""
        while data := sock.recv(4096):
            answer += data
    head = answer.split(b"\r\n\r\n")[0].decode()
    assert head.startswith(f"HTTP/1.1 {status} ")
    for name, value in headers.items():
        assert f"{name}: {value}" in head


def test_a_crowd_of_handshakes_is_answered_with_429() -> None:
    """Beyond connects_per_second: HTTP 429 with Retry-After 1; later ones are let in again."""
    with FakeServer(connects_per_second=1) as server, contextlib.ExitStack() as stack:
        statuses: list[int] = []
        waits = set()
        deadline = time.monotonic() + SECONDS
        while 429 not in statuses or statuses[-1] != 101:
            assert time.monotonic() < deadline
            try:
                stack.enter_context(client(server))
                statuses.append(101)
            except InvalidStatus as error:
                statuses.append(error.response.status_code)
                waits.add(error.response.headers["Retry-After"])

        assert {"1"} == waits
        assert statuses == [record.status for record in server.connections]


def test_handshakes_are_counted_over_any_one_second() -> None:
    """Two a second: a third one within a second of the first is turned away, and does not count."""
    admission = Admission(per_second=2)
    times = (10.0, 10.5, 10.9, 10.99, 11.0, 11.4, 11.5)

    assert [True, True, False, False, True, False, True] == [
        admission.judge(now) is None for now in times
    ]


def test_without_a_limit_everybody_is_let_in() -> None:
    """None is any number."""
    assert {None} == {Admission(per_second=None).judge(10.0) for _ in range(100)}


def test_a_standing_fault_lasts_until_it_is_cleared(server: FakeServer) -> None:
    """times=None: every connection, until clear()."""
    server.faults.reject(503, times=None)
    for _ in range(3):
        with pytest.raises(InvalidStatus), client(server):
            pass
    server.faults.clear()
    with subscribed(server) as c:
        assert nothing_more(c)


# --- faults of events ----------------------------------------------------------------------------


def prices(connection: Client, count: int) -> list[str]:
    """The first prices of the next price changes."""
    received = (events(connection) for _ in range(count))
    return [event["price_changes"][0]["price"] for event in received]


def test_deltas_can_be_lost_doubled_and_late(server: FakeServer) -> None:
    """The n-th event of a type from now on; others keep their order."""
    changes = [make_price_change("1", [("BUY", f"0.1{n}", "1")]) for n in range(1, 6)]
    with subscribed(server) as c:
        server.faults.lose("price_change", nth=2)
        server.publish(changes)
        assert ["0.11", "0.13", "0.14", "0.15"] == prices(c, 4)
        server.faults.double("price_change")
        server.publish(changes[:2])
        assert ["0.11", "0.11", "0.12"] == prices(c, 3)
        server.faults.delay("price_change", nth=2, by=2)
        server.publish(changes)
        assert ["0.11", "0.13", "0.14", "0.12", "0.15"] == prices(c, 5)
        server.faults.lose("book")
        server.publish(changes[:1])
        assert ["0.11"] == prices(c, 1)
        server.faults.clear()
        server.send(make_book("1"))
        assert "book" == events(c)["event_type"]


# --- life ----------------------------------------------------------------------------------------


def test_a_server_stops_and_starts_again(server: FakeServer) -> None:
    """stop() closes with 1001; a started server refuses a second start; both are bounded."""
    with subscribed(server) as c:
        with pytest.raises(RuntimeError, match="runs already"):
            server.start()
        server.stop()
        assert (1001, "") == closed(c)
    server.stop()
    server.start()
    with subscribed(server) as c:
        assert nothing_more(c)


def test_a_server_that_never_ran_has_no_port() -> None:
    """Before start there is no URL, and stop is a no-op; books may be added."""
    server = FakeServer()
    server.add_book(make_book("1"))
    server.faults.refuse()
    with pytest.raises(RuntimeError, match="not started"):
        server.options()
    server.stop()


def test_waiting_has_a_deadline(server: FakeServer) -> None:
    """wait_until says False, wait_for_connection raises."""
    assert not server.wait_until(lambda: False, timeout=0.01)
    with pytest.raises(TimeoutError, match="no subscribed user connection within"):
        server.wait_for_connection("user", timeout=0.01)


def test_many_threads_may_use_one_server(server: FakeServer) -> None:
    """Sends from several threads are all delivered."""
    with subscribed(server) as c:
        threads = [
            threading.Thread(target=lambda: [server.send(make_book("1")) for _ in range(50)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        assert ["book"] * 200 == [events(c)["event_type"] for _ in range(200)]
        for thread in threads:
            thread.join(SECONDS)


def test_a_failing_command_fails_its_caller_alone(server: FakeServer) -> None:
    """What a play function raises is raised to its caller; the server goes on."""
    with FakeServer(SimulatedExchange(seed=1)) as playing:
        with pytest.raises(KeyError):
            playing.play(lambda exchange: exchange.trade("1"))
        assert playing.play(1)


def test_the_options_lead_here_and_can_be_overridden() -> None:
    """URLs, trust in the certificate, no proxy; overrides win."""
    with FakeServer(tls=True) as server:
        options = server.options(heartbeat_interval=1, user_url="ws://127.0.0.1:1/ws/user")
    assert server.url("market") == options.market_url
    assert options.market_url.startswith("wss://127.0.0.1:")
    assert ("ws://127.0.0.1:1/ws/user", False, 1) == (
        options.user_url,
        options.trust_env,
        options.heartbeat_interval,
    )
    assert isinstance(options.ssl_context, ssl.SSLContext)


# --- settle --------------------------------------------------------------------------------------


@define
class Stats:
    """What settle reads of a subscriber."""

    connections: list[Any]
    pending: int


@define
class Counted:
    local_port: int
    messages: int = 0
    state: str = "open"
    generation: int = 1


@define
class CountingSubscriber:
    """A subscriber as small as settle allows: it counts texts of one connection in a thread."""

    connection: Client
    pending: int = 0
    counted: list[Counted] = field(factory=list)
    progress: threading.Condition = field(factory=threading.Condition)

    def stats(self) -> Stats:
        return Stats(list(self.counted), self.pending)

    def _wait_until(self, predicate: Callable[[], bool], timeout: float) -> bool:
        with self.progress:
            return self.progress.wait_for(predicate, timeout)

    def connect(self) -> None:
        with self.progress:
            self.counted = [Counted(self.connection.local_address[1])]
            self.progress.notify_all()

    def receive(self, count: int) -> None:
        for _ in range(count):
            text(self.connection)
            with self.progress:
                self.counted[0].messages += 1
                self.progress.notify_all()


def test_settling_waits_for_every_text_and_every_callback(server: FakeServer) -> None:
    """It returns when all was received and nothing is pending, and else says what is missing."""
    with subscribed(server) as c:
        subscriber = CountingSubscriber(c)
        with pytest.raises(TimeoutError, match="the subscriber has no connection"):
            server.settle(subscriber, timeout=0.05)
        subscriber.connect()
        subscriber.counted[0].messages = 1
        server.settle(subscriber)
        server.publish([make_book("1"), make_book("1")])
        with pytest.raises(TimeoutError, match="1 of 3 texts received on port"):
            server.settle(subscriber, timeout=0.05)
        reader = threading.Thread(target=subscriber.receive, args=(2,))
        reader.start()
        server.settle(subscriber, timeout=SECONDS)
        reader.join(SECONDS)
        drained = Counted(0, messages=7, state="idle")
        subscriber.counted.append(drained)
        server.settle(subscriber, timeout=SECONDS)
        for waited_for in (Counted(0, state="waiting"), Counted(0, state="idle", generation=0)):
            subscriber.counted[1] = waited_for
            with pytest.raises(TimeoutError, match="no subscription from port"):
                server.settle(subscriber, timeout=0.05)
        subscriber.counted[1:] = []
        subscriber.pending = 4
        with pytest.raises(TimeoutError, match="4 events wait for their callbacks"):
            server.settle(subscriber, timeout=0.05)


def test_settling_waits_for_a_subscription_on_its_way(server: FakeServer) -> None:
    """A connection that has not subscribed yet is waited for, its snapshot included."""
    with client(server) as c:
        subscriber = CountingSubscriber(c)
        subscriber.connect()
        with pytest.raises(TimeoutError, match="no subscription from port"):
            server.settle(subscriber, timeout=0.05)
        say(c, type="market", assets_ids=["1"])
        reader = threading.Thread(target=subscriber.receive, args=(1,))
        reader.start()
        server.settle(subscriber, timeout=SECONDS)
        reader.join(SECONDS)
        assert 1 == subscriber.counted[0].messages


# --- packaging -----------------------------------------------------------------------------------


def test_without_websockets_the_import_says_what_to_install() -> None:
    """One sentence names the extra."""
    program = (
        "import sys; sys.modules['websockets'] = None\n"
        "try:\n    import polymarket_ws.testing\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert "install polymarket-ws[testing]" in done.stdout


def test_the_public_names_are_there() -> None:
    """`__all__` holds what can be imported."""
    assert all(hasattr(testing, name) for name in testing.__all__)
    assert sorted(testing.__all__) == testing.__all__


@pytest.mark.polymarket_server(exchange=SimulatedExchange(seed=1), tls=True)
def test_the_marker_chooses_the_fixtures_server(polymarket_server: FakeServer) -> None:
    """The fixture's server takes the marker's arguments."""
    assert polymarket_server.url().startswith("wss://")
    assert polymarket_server.play(1)


def test_the_fixture_starts_a_plain_server(polymarket_server: FakeServer) -> None:
    """Without a marker: ws://, no exchange."""
    assert polymarket_server.url().startswith("ws://")
    assert polymarket_server.exchange is None
    polymarket_server.send(make_book("1", bids=[("0.4", "10")]))
    with client(polymarket_server) as c:
        say(c, type="market", assets_ids=["1"])
        assert Decimal("0.4") == Decimal(events(c)[0]["bids"][-1]["price"])


def _read(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += sock.recv(count - len(data))
    return data

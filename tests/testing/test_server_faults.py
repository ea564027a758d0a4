"""FakeServer's faults, as independent clients see them."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from kit.server_clients import (
    AUTH,
    SECONDS,
    Client,
    client,
    closed,
    events,
    nothing_more,
    raw,
    read_exactly,
    say,
    subscribed,
    text,
)
from websockets.exceptions import ConnectionClosed, InvalidStatus

from polymarket_ws.testing import (
    BAD_FRAMES,
    FakeServer,
    SimulatedExchange,
    make_book,
    make_price_change,
)
from polymarket_ws.testing.admission import Admission


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
        assert bytes([0x81, 100]) + b"x" * 49 == read_exactly(sock, 51)
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


def test_own_events_can_be_put_in_disorder() -> None:
    """Doubled and overtaken at random, none lost; what is still held back comes at the end."""
    exchange = SimulatedExchange(seed=4, markets=1, own_share=0.8)
    with FakeServer(exchange) as server, client(server, "user") as c:
        say(c, type="user", auth=AUTH)
        assert nothing_more(c)
        server.faults.disorder(double=0.2, delay=0.3, by=50, seed=1)
        told = [e for e in server.play(100) if e["event_type"] in ("order", "trade")]
        late = server.send_delayed()
        heard = [events(c) for _ in range(server.connections[0].texts_sent - 1)]
        after = [e for e in server.play(50) if e["event_type"] in ("order", "trade")]
        heard_after = [events(c) for _ in after]
        assert nothing_more(c)

    once = list(map(json.loads, dict.fromkeys(map(json.dumps, heard))))
    assert 0 < late < len(told) < len(heard)
    assert told != once
    assert sorted(map(json.dumps, told)) == sorted(map(json.dumps, once))
    assert after == heard_after

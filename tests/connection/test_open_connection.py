"""An open socket with its session, over real sockets on 127.0.0.1."""

from __future__ import annotations

import json
import selectors
import socket
from collections.abc import Iterator

import pytest
from attrs import evolve
from kit.dialects import market_dialect
from kit.loopback import read_frame, text_frame

from polymarket_ws import Options
from polymarket_ws.channels.view import BooklessView
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.clock import SYSTEM
from polymarket_ws.connection.connector import Connector
from polymarket_ws.connection.open_connection import OpenConnection
from polymarket_ws.connection.pacing import Pacer
from polymarket_ws.connection.session import Session
from polymarket_ws.connection.tally import Tally
from polymarket_ws.errors import ConnectionLost
from polymarket_ws.net.open_socket import OpenSocket
from polymarket_ws.testing import make_tick_size_change

NOW = 1000.0
SEND_TIMEOUT = 5.0


class Pair:
    """Both ends of a connection, ours with a session that has subscribed."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            self.peer, _ = listener.accept()
        self.peer.settimeout(10.0)
        self.selector = selectors.DefaultSelector()
        options = Options(send_timeout=SEND_TIMEOUT)
        connector = Connector(
            market_dialect(),
            options,
            Pacer(),
            self.selector,
            evolve(SYSTEM, wall_ns=lambda: 77),
            lambda: pytest.fail("no TLS here"),
            lambda: None,
        )
        hears = {"tick_size_change"}
        self.session = Session(
            "x", connector.dialect, BooklessView(), options, Tally(), lambda: hears
        )
        self.session.open(Wanted(frozenset("1")), NOW)
        self.opened = OpenConnection(OpenSocket(ours), self.session, connector, self)

    def events(self) -> int:
        """What the selector waits for."""
        [key] = self.selector.get_map().values()
        assert self is key.data
        return key.events

    def close(self) -> None:
        if self.selector.get_map():
            self.opened.close()
        self.selector.close()
        self.peer.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    """An open connection and its peer."""
    pair = Pair()
    yield pair
    pair.close()


def test_what_the_session_wants_sent_is_due_at_once(pair: Pair) -> None:
    """Then the heartbeat is the next thing to do."""
    assert 0.0 == pair.opened.deadline
    pair.opened.write(NOW)

    assert b"assets_ids" in read_frame(pair.peer)[1]
    assert (NOW + 10, None) == (pair.opened.deadline, pair.opened.blocked_since)


def test_a_read_brings_events_with_the_time_of_the_clock(pair: Pair) -> None:
    """And None when nothing waits."""
    pair.opened.write(NOW)
    assert pair.opened.receive(NOW) is None
    text = json.dumps(make_tick_size_change("1", "0.01", "0.001").to_dict())
    pair.peer.sendall(text_frame(text))
    assert pair.selector.select(10.0)
    items = pair.opened.receive(NOW)

    assert items is not None
    assert [77] == [getattr(item, "received_at_ns", None) for item in items]


def test_the_end_of_the_stream_is_the_sessions_end(pair: Pair) -> None:
    """It is due at once, and nothing is read after it."""
    pair.opened.write(NOW)
    pair.peer.shutdown(socket.SHUT_WR)
    assert pair.selector.select(10.0)

    assert (None, None) == (pair.opened.receive(NOW), pair.opened.receive(NOW))
    assert isinstance(pair.session.ended, ConnectionLost)
    assert ("eof", 0.0) == (pair.session.ended.reason, pair.opened.deadline)


def test_a_peer_that_reads_nothing_is_given_up(pair: Pair) -> None:
    """What the socket does not take waits in the selector, for `send_timeout` at most."""
    pair.session.outbox.append("x" * 20_000_000)
    pair.opened.write(NOW)
    assert selectors.EVENT_READ | selectors.EVENT_WRITE == pair.events()
    assert (NOW, NOW + SEND_TIMEOUT) == (pair.opened.blocked_since, pair.opened.deadline)
    pair.opened.write(NOW + SEND_TIMEOUT - 0.1)
    assert pair.session.ended is None
    pair.opened.write(NOW + SEND_TIMEOUT)

    assert isinstance(pair.session.ended, ConnectionLost)
    assert "send_timeout" == pair.session.ended.reason


def test_its_end_says_goodbye_and_gives_the_socket_back(pair: Pair) -> None:
    """The close frame that the session left in its outbox is the last thing sent."""
    pair.opened.write(NOW)
    pair.session.close()
    pair.opened.close()

    assert [1, 8] == [read_frame(pair.peer)[0], read_frame(pair.peer)[0]]
    assert (b"", 0) == (pair.peer.recv(1), len(pair.selector.get_map()))

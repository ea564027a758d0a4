"""Attempts to connect and their outcomes, over real sockets on 127.0.0.1."""

from __future__ import annotations

import selectors
import threading
from collections.abc import Iterator

import pytest
from kit.dialects import market_dialect
from kit.loopback import PATIENCE, Server, drip, reply, speak

from polymarket_ws import Options
from polymarket_ws.clock import SYSTEM
from polymarket_ws.connection.connector import Connector
from polymarket_ws.connection.pacing import Pacer
from polymarket_ws.errors import ConnectionLost, ConnectTimeout, HandshakeRejected
from polymarket_ws.net.open_socket import OpenSocket

NOW = 1000.0


class Waiting:
    """A connector of one server, and whoever waits for its attempts."""

    def __init__(self, server: Server, proxy: str | None = None) -> None:
        self.woken = threading.Event()
        self.selector = selectors.DefaultSelector()
        self.connector = Connector(
            market_dialect(f"ws://127.0.0.1:{server.port}/ws/market"),
            Options(trust_env=False, connect_timeout=10.0, proxy=proxy),
            Pacer(),
            self.selector,
            SYSTEM,
            lambda: pytest.fail("no TLS here"),
            self.woken.set,
        )

    def join(self) -> None:
        for thread in self.connector.threads():
            thread.join(PATIENCE)
        self.selector.close()


@pytest.fixture
def slow_server() -> Iterator[Server]:
    """It does not finish its answer in time."""
    with Server(drip(b"HTTP/1.1 101 " + b"x" * 100_000)) as server:
        yield server


def test_an_attempt_wakes_who_waits_and_is_taken_once() -> None:
    """Its outcome is an open socket."""
    with Server(speak()) as server:
        waiting = Waiting(server)
        attempt = waiting.connector.start("x", NOW)
        assert waiting.woken.wait(PATIENCE)
        waiting.join()
        outcome = waiting.connector.take(attempt, NOW)
        assert isinstance(outcome, OpenSocket)
        outcome.close()

        assert waiting.connector.take(attempt, NOW) is None


def test_an_attempt_is_given_up_at_its_deadline(slow_server: Server) -> None:
    """The error says how far it came; its thread ends."""
    waiting = Waiting(slow_server)
    attempt = waiting.connector.start("x", NOW)
    assert NOW + 10.0 < attempt.deadline
    assert waiting.connector.take(attempt, attempt.deadline - 0.01) is None
    outcome = waiting.connector.take(attempt, attempt.deadline)
    waiting.join()

    assert (True, []) == (isinstance(outcome, ConnectTimeout), waiting.connector.threads())


def test_threads_are_told_apart_by_their_connection(slow_server: Server) -> None:
    """Each connection bounds how many of its own look-ups may hang."""
    waiting = Waiting(slow_server)
    attempts = [waiting.connector.start(name, NOW) for name in ("x", "x", "y")]
    counts = [len(waiting.connector.threads(name)) for name in ("x", "y", "z", None)]
    for attempt in attempts:
        attempt.abandon()
    waiting.join()

    assert [2, 1, 0, 3] == counts


@pytest.mark.parametrize(
    ("status", "pause"), [("429 Too Many Requests", 7.0), ("502 Bad Gateway", 0.0)]
)
def test_a_server_that_has_enough_is_left_alone_by_all(status: str, pause: float) -> None:
    """The whole run waits as long as the answer says; another refusal concerns one connection."""
    with Server(
        reply(f"HTTP/1.1 {status}\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")
    ) as server:
        waiting = Waiting(server)
        attempt = waiting.connector.start("x", NOW)
        waiting.join()
        outcome = waiting.connector.take(attempt, NOW)

    assert isinstance(outcome, HandshakeRejected)
    assert pause == waiting.connector.pacer.take(NOW)


@pytest.mark.parametrize("through_proxy", [False, True])
def test_a_failure_names_where_it_was_to_connect(slow_server: Server, through_proxy: bool) -> None:
    """Host, port and proxy, without the proxy's user and password; of an attempt that was given up,
    too.
    """
    with Server(reply("HTTP/1.1 503 Busy\r\n\r\n")) as busy:
        for server in (busy, slow_server):
            proxy = f"http://me:hunter2@127.0.0.1:{server.port}" if through_proxy else None
            waiting = Waiting(server, proxy)
            attempt = waiting.connector.start("x", NOW)
            if server is busy:
                assert waiting.woken.wait(PATIENCE)
            else:
                server.accepted.acquire(timeout=PATIENCE)
            outcome = waiting.connector.take(attempt, NOW + 60)
            waiting.join()
            place = f"127.0.0.1:{server.port}"
            through = f" through the proxy {place}" if through_proxy else ""

            assert isinstance(outcome, ConnectionLost)
            assert outcome.detail.endswith(f" ({place}{through})")
            assert str(outcome).endswith(outcome.detail)

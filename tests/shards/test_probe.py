"""A probe: one question on a connection of its own, and every way in which it ends."""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from kit.dialects import market_dialect
from kit.loopback import Handler, Server, answer, drip, read_frame, read_head, reset, speak
from kit.recorder import DEADLINE

from polymarket_ws import Options
from polymarket_ws.clock import SYSTEM
from polymarket_ws.connection.connector import Connector
from polymarket_ws.connection.pacing import Pacer
from polymarket_ws.errors import ConnectionLost, ConnectTimeout, PolymarketWsError
from polymarket_ws.shards.probe import Probe
from polymarket_ws.testing import make_book, make_price_change
from polymarket_ws.wire.updates import Snapshot


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """A server's frame."""
    size = len(payload)
    head = bytes([size]) if size < 126 else bytes([126]) + size.to_bytes(2, "big")
    return bytes([0x80 | opcode]) + head + payload


def books(*asset_ids: str) -> bytes:
    """The answer to a subscription."""
    wires = [{**make_book(asset_id).to_dict(), "tick_size": "0.01"} for asset_id in asset_ids]
    return frame(json.dumps(wires).encode())


def say(*messages: bytes) -> Handler:
    """A handler that reads the question, says this, and waits for the close frame."""

    def handle(connection: socket.socket) -> None:
        read_frame(connection)
        connection.sendall(b"".join(messages))
        while read_frame(connection)[0] != 8:
            pass

    return speak(handle)


class Shore:
    """What a shard is to a probe: the selector that it waits at, and the clock."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        self.selector.register(self._wake_in, selectors.EVENT_READ)
        self.probes: list[Probe] = []

    def close(self) -> None:
        for probe in self.probes:
            probe.close()
            self.join_attempts()
        self.selector.close()
        self._wake_in.close()
        self._wake_out.close()

    def join_attempts(self) -> None:
        for thread in self.connector.threads():
            thread.join(DEADLINE)
        assert [] == self.connector.threads()

    def ask(self, server: Server, *asset_ids: str, connect_timeout: float = 10.0) -> Probe:
        """Begin a probe of that server."""
        options = Options(trust_env=False, connect_timeout=connect_timeout)
        self.connector = Connector(
            market_dialect(f"ws://127.0.0.1:{server.port}/ws/market"),
            options,
            Pacer(),
            self.selector,
            SYSTEM,
            lambda: pytest.fail("no TLS here"),
            lambda: self._wake_out.send(b"\0") and None,
        )
        ids = list(asset_ids or ("1",))
        probe = Probe("x-market", self.connector, ids, "silent", time.monotonic())
        self.probes.append(probe)
        return probe

    def turn(self, probe: Probe) -> None:
        """One wait, and what is due after it."""
        now = time.monotonic()
        for key, _ in self.selector.select(max(0.0, min(probe.deadline - now, 1.0))):
            if key.data is None:
                self._wake_in.recv(4096)
        probe.read(time.monotonic())
        probe.turn(time.monotonic())

    def drive(self, probe: Probe, until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not until():
            assert time.monotonic() < deadline
            self.turn(probe)

    def finish(self, probe: Probe) -> PolymarketWsError | None:
        """Let it come to its end; the error it ended with."""
        self.drive(probe, lambda: probe.is_done)
        return probe.error

    def is_asking(self, probe: Probe) -> bool:
        """Whether its connection is open and watched."""
        return any(key.data is probe for key in self.selector.get_map().values())


@pytest.fixture
def shore() -> Iterator[Shore]:
    """Somebody to wait for a probe."""
    shore = Shore()
    yield shore
    shore.close()


def test_the_first_answer_of_each_asset_is_kept(shore: Shore) -> None:
    """It subscribes once, takes the snapshots, whatever else comes, and ends with the last."""
    change = make_price_change("1", [("BUY", "0.41", "5")]).to_dict()
    other = json.dumps({**make_book("1").to_dict(), "bids": []}).encode()
    noise = [b"PONG", b"NO NEW ASSETS", b"{not json", json.dumps(change).encode()]
    messages = [*map(frame, noise), frame(b"", 9), books("1"), frame(other), books("2")]
    with Server(say(*messages)) as server:
        probe = shore.ask(server, "1", "2")
        threads = [thread.name for thread in shore.connector.threads()]
        assert (None, True) == (shore.finish(probe), not shore.is_asking(probe))

    assert {"1", "2"} == probe.answers.keys()
    snapshot = probe.answers["1"].update
    assert isinstance(snapshot, Snapshot)
    assert [("0.4", "10")] == snapshot.bids
    assert ("x-market-probe", ["polymarket-ws-x-market-probe-connect"]) == (probe.name, threads)


def test_an_answer_that_came_with_the_handshake_is_read_at_once(shore: Shore) -> None:
    """No selector tells of it: the deadline is now."""

    def handle(connection: socket.socket) -> None:
        connection.sendall(answer(read_head(connection)) + books("1"))
        while read_frame(connection)[0] != 8:
            pass

    with Server(handle) as server:
        probe = shore.ask(server)
        shore.drive(probe, lambda: shore.is_asking(probe))
        assert 0.0 == probe.deadline
        assert shore.finish(probe) is None

    assert ["1"] == list(probe.answers)


ENDS: dict[str, tuple[Handler, str]] = {
    "end of the stream": (speak(lambda connection: read_frame(connection) and None), "eof"),
    "close frame": (say(frame((1013).to_bytes(2, "big"), 8)), "closed: code 1013"),
    "close without a code": (say(frame(b"", 8)), "closed: without a code"),
    "broken frame": (say(b"\x83\x00"), "1002"),
    "no WebSocket": (lambda connection: read_head(connection) and None, "eof"),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_failed_connection_ends_it(shore: Shore, name: str) -> None:
    """At once, with the cause, and with what was answered before."""
    handler, cause = ENDS[name]
    with Server(handler) as server:
        probe = shore.ask(server)
        error = shore.finish(probe)

    assert cause in str(error)
    assert ({}, False) == (probe.answers, shore.is_asking(probe))


def test_a_server_that_says_nothing_ends_it_without_an_error(shore: Shore) -> None:
    """After twice the connect timeout: who has not answered by then has no book to tell."""
    with Server(say()) as server:
        probe = shore.ask(server, connect_timeout=5.0)
        shore.drive(probe, lambda: shore.is_asking(probe))
        probe.turn(probe.deadline - 0.001)
        assert not probe.is_done
        probe.turn(probe.deadline)

    assert (True, None) == (probe.is_done, probe.error)


def test_a_connection_that_is_not_made_in_time_is_given_up(shore: Shore) -> None:
    """The error names the phase; the attempt's thread ends."""
    with Server(drip(b"HTTP/1.1 101 " + b"x" * 100_000)) as server:
        probe = shore.ask(server)
        probe.turn(probe.deadline)
        probe.read(probe.deadline)
        shore.join_attempts()

    assert isinstance(probe.error, ConnectTimeout)


def test_a_long_question_is_written_as_the_server_reads_it(shore: Shore) -> None:
    """What the socket does not take at once waits in the selector, and reading goes on."""
    may_read, asked = threading.Event(), list[str]()

    def handle(connection: socket.socket) -> None:
        assert may_read.wait(DEADLINE)
        asked.extend(json.loads(read_frame(connection)[1])["assets_ids"])
        connection.sendall(frame(b"PONG"))
        while read_frame(connection)[0] != 8:
            pass

    asset_ids = [str(n).zfill(1_000_000) for n in range(20)]
    with Server(speak(handle)) as server:
        probe = shore.ask(server, *asset_ids)
        shore.drive(probe, lambda: shore.is_asking(probe))
        events = [k.events for k in shore.selector.get_map().values() if k.data is probe]
        assert [selectors.EVENT_READ | selectors.EVENT_WRITE] == events
        may_read.set()
        shore.drive(probe, lambda: len(asked) > 0)
        probe.turn(time.monotonic())
        events = [k.events for k in shore.selector.get_map().values() if k.data is probe]

    assert [selectors.EVENT_READ] == events
    assert (asset_ids, False) == (asked, probe.is_done)


@pytest.mark.parametrize("moment", ["asking", "closing"])
def test_a_reset_while_writing_is_an_end_like_any_other(shore: Shore, moment: str) -> None:
    """The question cannot be sent: that is the error. The goodbye cannot: nobody minds."""
    gone = threading.Event()

    def handle(connection: socket.socket) -> None:
        if moment == "closing":
            read_frame(connection)
        reset(connection)
        connection.close()
        gone.set()

    with Server(speak(handle)) as server:
        probe = shore.ask(server)
        if moment == "asking":
            shore.join_attempts()
            assert gone.wait(DEADLINE)
            probe.turn(time.monotonic())
        else:
            shore.drive(probe, lambda: shore.is_asking(probe))
            assert gone.wait(DEADLINE)
            probe.close()

    assert isinstance(probe.error, ConnectionLost)
    assert {"asking": "reset", "closing": "stopped"}[moment] == probe.error.reason
    assert not shore.is_asking(probe)


def test_a_probe_ends_once(shore: Shore) -> None:
    """Giving up one that has its answers changes nothing."""
    with Server(say(books("1"))) as server:
        probe = shore.ask(server)
        shore.finish(probe)
        probe.close()

    assert (None, ["1"]) == (probe.error, list(probe.answers))

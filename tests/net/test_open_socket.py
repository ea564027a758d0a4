"""link: an open WebSocket's socket."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kit.loopback import (
    PATIENCE,
    Handler,
    Server,
    Way,
    attempt_to,
    client_context,
    encrypt,
    long_frame,
    plain_and_tls,
    read_frame,
    receive,
    reset,
    server_context,
    speak,
    wait,
    wait_for_end,
    wait_readable,
)

from polymarket_ws.errors import (
    ConnectionLost,
)
from polymarket_ws.net.open_socket import READ_BYTES, OpenSocket, lost


@plain_and_tls
def test_nothing_to_read(way: Way) -> None:
    """receive() never waits: nothing now is b""."""
    wrap, context = way()
    with Server(wrap(speak())) as server:
        link = attempt_to(server.port, context=context).open()

        assert b"" == link.receive()
        assert not link.has_buffered
        link.close()


@plain_and_tls
def test_big_reads(way: Way) -> None:
    """A long message comes complete in bulk reads of bounded size, over TLS too."""
    wrap, context = way()
    payload = os.urandom(3_000_000)
    frame = long_frame(payload)

    def send_and_hang_up(connection: socket.socket) -> None:
        connection.sendall(frame)

    with Server(wrap(speak(send_and_hang_up))) as server:
        link = attempt_to(server.port, context=context).open()
        chunks: list[bytes] = []
        while sum(map(len, chunks)) < len(frame):
            chunks.append(receive(link))

        assert max(map(len, chunks)) <= READ_BYTES
        assert frame == b"".join(chunks)
        with pytest.raises(ConnectionLost) as caught:
            receive(link)
        assert "eof" == caught.value.reason
        link.close()


def test_a_tls_read_gathers_records() -> None:
    """One read over TLS gathers all the records that came, not one of 16 KiB."""
    sent = threading.Event()

    def send(connection: socket.socket) -> None:
        for _ in range(100):
            connection.sendall(bytes(500))
        sent.set()
        wait_for_end(connection)

    with Server(encrypt(server_context(), speak(send))) as server:
        link = attempt_to(server.port, context=client_context()).open()
        assert sent.wait(PATIENCE)
        reads: list[int] = []
        while sum(reads) < 50_000:
            reads.append(len(receive(link)))

        assert max(reads) > 500
        link.close()


def test_more_than_a_read_over_tls() -> None:
    """Decrypted bytes that a full read left behind are told by has_buffered."""
    size = READ_BYTES + 10_000

    def send(connection: socket.socket) -> None:
        connection.sendall(bytes(size))
        wait_for_end(connection)

    with Server(encrypt(server_context(), speak(send))) as server:
        link = attempt_to(server.port, context=client_context()).open()
        received = 0
        while received < size:
            received += len(receive(link))

        assert size == received
        link.close()


@pytest.mark.parametrize(("end", "reason"), [(lambda _: None, "eof"), (reset, "reset")])
@plain_and_tls
def test_the_end(way: Way, end: Handler, reason: str) -> None:
    """The peer's FIN is "eof" and its RST "reset", each time that one asks.

    Over TLS an RST may be "eof": for some OpenSSL it is an unexpected end, its errno lost.
    """
    wrap, context = way()
    reasons = {reason} if context is None else {reason, "eof"}
    opened = threading.Event()

    def end_later(connection: socket.socket) -> None:
        assert opened.wait(PATIENCE)
        end(connection)

    with Server(wrap(speak(end_later))) as server:
        link = attempt_to(server.port, context=context).open()
        opened.set()
        for _ in range(2):
            with pytest.raises(ConnectionLost) as caught:
                receive(link)
            assert caught.value.reason in reasons
        assert link.has_buffered
        link.close()


def test_a_write_to_a_peer_that_left() -> None:
    """Writing to a connection that was reset is "reset"."""
    opened = threading.Event()

    def reset_later(connection: socket.socket) -> None:
        assert opened.wait(PATIENCE)
        reset(connection)

    with Server(speak(reset_later)) as server:
        link = attempt_to(server.port).open()
        opened.set()
        wait_readable(link)
        with pytest.raises(ConnectionLost) as caught:
            link.send("PING")
        assert "reset" == caught.value.reason
        assert isinstance(caught.value.__cause__, OSError)
        link.close()


@plain_and_tls
def test_a_peer_that_does_not_read(way: Way) -> None:
    """What a peer does not take waits without blocking, and goes on in order when it reads."""
    wrap, context = way()
    may_read = threading.Event()
    received: list[tuple[int, bytes]] = []
    complete = threading.Event()
    texts = [f"{i}:" + "x" * 400_000 for i in range(30)]

    def read_late(connection: socket.socket) -> None:
        assert may_read.wait(PATIENCE)
        received.extend(read_frame(connection) for _ in range(len(texts) + 2))
        complete.set()
        wait_for_end(connection)

    with Server(wrap(speak(read_late))) as server:
        link = attempt_to(server.port, context=context).open()
        for text in texts:
            link.send(text)
        link.send_pong(b"payload")
        link.send_close(1000)
        assert link.wants_write
        assert b"" == link.receive()
        may_read.set()
        while link.wants_write:
            wait(link, selectors.EVENT_WRITE)
            link.flush()
        assert complete.wait(PATIENCE)
        link.close()

    expected = [(1, text.encode()) for text in texts]
    assert [*expected, (10, b"payload"), (8, struct.pack(">H", 1000))] == received


class TurnCoat(socket.socket):
    """A socket that, as TLS may, cannot read before it has written, or the other way round.

    OpenSSL does so for key updates and renegotiations, which Python cannot provoke.
    """

    read_errors: list[Exception]
    write_errors: list[Exception]

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        if self.read_errors:
            raise self.read_errors.pop(0)
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        if self.write_errors:
            raise self.write_errors.pop(0)
        return super().send(*args, **kwargs)


@contextlib.contextmanager
def turncoat(**errors: list[Exception]) -> Iterator[tuple[OpenSocket, socket.socket]]:
    """A link over such a socket, and the other end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours.close()
        theirs.close()
        sock = TurnCoat(socket.AF_INET, socket.SOCK_STREAM)
        sock.read_errors = errors.get("read", [])
        sock.write_errors = errors.get("write", [])
        sock.connect(listener.getsockname())
        peer, _ = listener.accept()
    with sock, peer:
        yield OpenSocket(sock), peer


def test_a_read_that_has_to_write_first() -> None:
    """Then the link wants to write, and flush goes on with the read."""
    with turncoat(read=[ssl.SSLWantWriteError()]) as (link, peer):
        peer.sendall(b"data")
        wait(link, selectors.EVENT_READ)

        assert b"" == link.receive()
        assert link.wants_write
        link.flush()
        assert not link.wants_write
        assert link.has_buffered
        assert b"data" == link.receive()


def test_a_write_that_has_to_read_first() -> None:
    """Then the link does not want to write, which would spin; receive goes on with the write."""
    with turncoat(write=[ssl.SSLWantReadError()]) as (link, peer):
        peer.settimeout(PATIENCE)
        link.send("PING")

        assert not link.wants_write
        assert b"" == link.receive()
        assert (1, b"PING") == read_frame(peer)


def test_other_socket_errors() -> None:
    """An error without a word of its own is "network", with the system's sentence."""
    with (
        turncoat(read=[OSError(113, "No route to host")]) as (link, _),
        pytest.raises(ConnectionLost, match="network: No route to host"),
    ):
        link.receive()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "refused"),
        (ConnectionAbortedError(103, "aborted"), "reset"),
        (BrokenPipeError(32, "Broken pipe"), "reset"),
        (TimeoutError(110, "Connection timed out"), "network"),
        (ssl.SSLEOFError(8, "EOF"), "eof"),
        (ssl.SSLError(1, "bad record mac"), "tls"),
    ],
)
def test_reasons(error: OSError, reason: str) -> None:
    """Each socket error has its documented word."""
    assert reason == lost(error).reason

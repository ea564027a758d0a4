"""Servers and proxies on 127.0.0.1 for the tests of the transport, and attempts to reach them."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme

from polymarket_ws.errors import (
    PolymarketWsError,
)
from polymarket_ws.net.attempt import Attempt
from polymarket_ws.net.frames import FrameParser
from polymarket_ws.net.open_socket import OpenSocket
from polymarket_ws.options import Options

PATIENCE = 10.0  # seconds that a test waits for what is sure to come
SHORT = 0.3  # seconds: a connect deadline that is meant to pass
SECRET = "hunter2"

Handler = Callable[[socket.socket], None]


class Server:
    """Listens on 127.0.0.1 and gives each connection to `handle`, in a thread of its own."""

    def __init__(self, handle: Handler, family: int = socket.AF_INET, port: int = 0) -> None:
        self.accepted = threading.Semaphore(0)
        self._handle = handle
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        self._listener = socket.create_server((host, port), family=family)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Server:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(PATIENCE)
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._start(self._serve, connection)
            self.accepted.release()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, EOFError):
            self._handle(connection)


def read_head(connection: socket.socket) -> str:
    """Read byte by byte up to the end of an HTTP head."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise EOFError
        data += byte
    return data.decode()


def read_exactly(connection: socket.socket, size: int) -> bytes:
    """Read that many bytes."""
    data = b""
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


def read_frame(connection: socket.socket) -> tuple[int, bytes]:
    """Read a client's frame and unmask it: its opcode and payload."""
    first, second = read_exactly(connection, 2)
    assert second & 0x80, "a client masks"
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack(">H", read_exactly(connection, 2))
    elif length == 127:
        (length,) = struct.unpack(">Q", read_exactly(connection, 8))
    mask = read_exactly(connection, 4) * (length // 4 + 1)
    masked = read_exactly(connection, length)
    unmasked = int.from_bytes(masked, "big") ^ int.from_bytes(mask[:length], "big")
    return first & 0xF, unmasked.to_bytes(length, "big")


def wait_for_end(connection: socket.socket) -> None:
    """Read until the other side ends the connection."""
    while connection.recv(65536):
        pass


def answer(request: str, extra: str = "") -> bytes:
    """The answer of a WebSocket server to an opening handshake."""
    key = request.split("Sec-WebSocket-Key: ")[1].split("\r\n")[0]
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"{extra}Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n\r\n"
    ).encode()


def speak(then: Handler = wait_for_end, extra: str = "") -> Handler:
    """A handler that does the opening handshake."""

    def handle(connection: socket.socket) -> None:
        connection.sendall(answer(read_head(connection), extra))
        then(connection)

    return handle


def reply(text: str) -> Handler:
    """A handler that answers any request with this text."""

    def handle(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(text.encode())
        wait_for_end(connection)

    return handle


def encrypt(context: ssl.SSLContext, then: Handler) -> Handler:
    """A handler within TLS."""

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as encrypted:
            then(encrypted)

    return handle


def drip(text: bytes, then: Handler = wait_for_end) -> Handler:
    """A handler that sends a byte every few milliseconds, for as long as the client stays."""

    def handle(connection: socket.socket) -> None:
        connection.settimeout(0.02)
        for byte in text:
            connection.sendall(bytes((byte,)))
            with contextlib.suppress(TimeoutError):
                if not connection.recv(4096):
                    return
        connection.settimeout(None)
        then(connection)

    return handle


def reset(connection: socket.socket) -> None:
    """End a connection with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the end, and pass the end on."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def tunnel(client: socket.socket, port: int) -> None:
    """Connect a proxy's client to a port of 127.0.0.1, until both ended."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as target:
        back = threading.Thread(target=pump, args=(target, client), daemon=True)
        back.start()
        pump(client, target)
        back.join(PATIENCE)


class HttpProxy(Server):
    """An HTTP proxy that knows CONNECT, with a user and password if given; keeps the heads that it
    was sent.
    """

    def __init__(self, user: str = "", password: str = "", port: int = 0) -> None:
        self.heads: list[str] = []
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._login = f"Proxy-Authorization: Basic {token}\r\n" if user else ""
        super().__init__(self._connect, port=port)

    def _connect(self, client: socket.socket) -> None:
        self.heads.append(read_head(client))
        if self._login not in self.heads[-1]:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        client.sendall(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        tunnel(client, int(self.heads[-1].split(" ")[1].rpartition(":")[2]))


class SocksProxy(Server):
    """A SOCKS5 proxy, with a user and password if given; keeps the address that was asked for."""

    def __init__(self, user: str = "", password: str = "", refusal: int = 0, port: int = 0) -> None:
        self.asked: list[tuple[int, bytes]] = []
        self._login = (user.encode(), password.encode())
        self._refusal = refusal
        super().__init__(self._connect, port=port)

    def _connect(self, client: socket.socket) -> None:
        read_exactly(client, read_exactly(client, 2)[1])
        client.sendall(b"\x05\x02" if self._login[0] else b"\x05\x00")
        if self._login[0] and not self._log_in(client):
            return
        _, _, _, kind = read_exactly(client, 4)
        size = {1: 4, 3: 0, 4: 16}[kind] or read_exactly(client, 1)[0]
        self.asked.append((kind, read_exactly(client, size)))
        (port,) = struct.unpack(">H", read_exactly(client, 2))
        client.sendall(bytes((5, self._refusal, 0, 1, 127, 0, 0, 1, 0, 0)))
        if not self._refusal:
            tunnel(client, port)

    def _log_in(self, client: socket.socket) -> bool:
        user = read_exactly(client, read_exactly(client, 2)[1])
        password = read_exactly(client, read_exactly(client, 1)[0])
        client.sendall(b"\x01\x00" if (user, password) == self._login else b"\x01\x01")
        return (user, password) == self._login


class Opening:
    """An attempt that runs in a thread."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.outcome: OpenSocket | PolymarketWsError | None = None
        self._thread = threading.Thread(target=self._open, daemon=True)
        self._thread.start()

    def _open(self) -> None:
        try:
            self.outcome = self.attempt.open()
        except PolymarketWsError as error:
            self.outcome = error

    def wait_for_phase(self, phase: str) -> None:
        """Return once the attempt is in this phase."""
        gives_up_at = time.monotonic() + PATIENCE
        while self.attempt.phase != phase:
            assert self._thread.is_alive()
            self._thread.join(0.001)
            assert time.monotonic() < gives_up_at

    def join(self) -> OpenSocket | PolymarketWsError | None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.outcome


def plain_context() -> ssl.SSLContext:
    """Stands where no TLS is expected."""
    raise AssertionError("no TLS context is asked for")


def attempt_to(
    port: int,
    *,
    host: str = "127.0.0.1",
    context: ssl.SSLContext | None = None,
    trust_env: bool = False,
    **options: Any,
) -> Attempt:
    """An attempt to reach a test's server."""
    options = {"connect_timeout": PATIENCE, "trust_env": trust_env, **options}
    if context is None:
        return Attempt(f"ws://{host}:{port}/ws", Options(**options), plain_context)
    return Attempt(f"wss://{host}:{port}/ws", Options(**options), lambda: context)


def failure_of(attempt: Attempt) -> PolymarketWsError:
    """The error with which an attempt fails."""
    with pytest.raises(PolymarketWsError) as caught:
        attempt.open()
    return caught.value


def wait_readable(link: OpenSocket) -> None:
    """Wait until a link has something, as its owner does."""
    if not link.has_buffered:
        wait(link, selectors.EVENT_READ)


def wait(link: OpenSocket, events: int) -> None:
    """Wait for a link's socket."""
    with selectors.DefaultSelector() as selector:
        selector.register(link, events)
        assert selector.select(PATIENCE)


def receive(link: OpenSocket) -> bytes:
    """Wait for a link's next data."""
    while True:
        wait_readable(link)
        data = link.receive()
        if data:
            return data


def receive_messages(link: OpenSocket, count: int) -> list[object]:
    """Wait for that many messages."""
    parser, messages = FrameParser(2**26), list[object]()
    while len(messages) < count:
        messages += parser.receive(receive(link))
    return messages


def text_frame(text: str) -> bytes:
    """A server's text frame of up to 65535 bytes."""
    payload = text.encode()
    if len(payload) < 126:
        return bytes((0x81, len(payload))) + payload
    return struct.pack(">BBH", 0x81, 126, len(payload)) + payload


def long_frame(payload: bytes) -> bytes:
    """A server's binary frame of any length over 65535."""
    return struct.pack(">BBQ", 0x82, 127, len(payload)) + payload


@functools.cache
def authority() -> trustme.CA:
    """A certificate authority of our own."""
    return trustme.CA()


@functools.cache
def server_context(host: str = "127.0.0.1") -> ssl.SSLContext:
    """A TLS server for this host and localhost, or for another host alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = (host, "localhost") if host == "127.0.0.1" else (host,)
    authority().issue_cert(*names).configure_cert(context)
    return context


@functools.cache
def client_context() -> ssl.SSLContext:
    """A TLS client that trusts our authority."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


Way = Callable[[], tuple[Callable[[Handler], Handler], ssl.SSLContext | None]]


def plain() -> tuple[Callable[[Handler], Handler], ssl.SSLContext | None]:
    """No TLS: what to wrap a handler in, and the client's context."""
    return (lambda handle: handle), None


def tls() -> tuple[Callable[[Handler], Handler], ssl.SSLContext | None]:
    """TLS: what to wrap a handler in, and the client's context."""
    return (lambda handle: encrypt(server_context(), handle)), client_context()


plain_and_tls = pytest.mark.parametrize("way", [plain, tls])


@contextlib.contextmanager
def silent_address() -> Iterator[tuple[str, int]]:
    """An address that answers no SYN: a listener whose backlog is full."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()

"""transport and what it stands on: one attempt to connect, over real sockets on 127.0.0.1."""

from __future__ import annotations

import base64
import contextlib
import gc
import hashlib
import logging
import os
import selectors
import socket
import ssl
import struct
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import trustme

from polymarket_ws import dialing
from polymarket_ws.dialing import dial, interleave
from polymarket_ws.errors import (
    AuthenticationError,
    CertificateError,
    ConfigurationError,
    ConnectionLost,
    ConnectTimeout,
    HandshakeRejected,
    PolymarketWsError,
)
from polymarket_ws.frames import FrameParser
from polymarket_ws.http_heads import decode_head, retry_after_seconds
from polymarket_ws.lifeline import GuardedSocket, Lifeline
from polymarket_ws.link import READ_BYTES, Link, lost
from polymarket_ws.options import Options
from polymarket_ws.proxies import decode_proxy
from polymarket_ws.transport import Attempt

PATIENCE = 10.0  # seconds that a test waits for what is sure to come
SHORT = 0.3  # seconds: a connect deadline that is meant to pass
SECRET = "hunter2"

Handler = Callable[[socket.socket], None]


class Server:
    """Listens on 127.0.0.1 and gives each connection to `handle`, in a thread of its own."""

    def __init__(self, handle: Handler, family: int = socket.AF_INET) -> None:
        self.accepted = threading.Semaphore(0)
        self._handle = handle
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        self._listener = socket.create_server((host, 0), family=family)
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
    """An HTTP proxy that knows CONNECT; keeps the heads that it was sent."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        super().__init__(self._connect)

    def _connect(self, client: socket.socket) -> None:
        self.heads.append(read_head(client))
        client.sendall(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        tunnel(client, int(self.heads[-1].split(" ")[1].rpartition(":")[2]))


class SocksProxy(Server):
    """A SOCKS5 proxy, with a user and password if given; keeps the address that was asked for."""

    def __init__(self, user: str = "", password: str = "", refusal: int = 0) -> None:
        self.asked: list[tuple[int, bytes]] = []
        self._login = (user.encode(), password.encode())
        self._refusal = refusal
        super().__init__(self._connect)

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
        self.outcome: Link | PolymarketWsError | None = None
        self._thread = threading.Thread(target=self._open, daemon=True)
        self._thread.start()

    def _open(self) -> None:
        try:
            self.outcome = self.attempt.open()
        except PolymarketWsError as error:
            self.outcome = error

    def join(self) -> Link | PolymarketWsError | None:
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


def wait_readable(link: Link) -> None:
    """Wait until a link has something, as its owner does."""
    if not link.has_buffered:
        wait(link, selectors.EVENT_READ)


def wait(link: Link, events: int) -> None:
    """Wait for a link's socket."""
    with selectors.DefaultSelector() as selector:
        selector.register(link, events)
        assert selector.select(PATIENCE)


def receive(link: Link) -> bytes:
    """Wait for a link's next data."""
    while True:
        wait_readable(link)
        data = link.receive()
        if data:
            return data


def receive_messages(link: Link, count: int) -> list[object]:
    """Wait for that many messages."""
    parser, messages = FrameParser(2**26), list[object]()
    while len(messages) < count:
        messages += parser.receive(receive(link))
    return messages


def text_frame(text: str) -> bytes:
    """A server's text frame of up to 125 bytes."""
    return bytes((0x81, len(text))) + text.encode()


def long_frame(payload: bytes) -> bytes:
    """A server's binary frame of any length over 65535."""
    return struct.pack(">BBQ", 0x82, 127, len(payload)) + payload


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority of our own."""
    return trustme.CA()


@pytest.fixture(scope="session")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """A TLS server for 127.0.0.1 and localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_context(authority: trustme.CA) -> ssl.SSLContext:
    """A TLS client that trusts our authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(autouse=True)
def no_descriptor_leaks() -> Iterator[None]:
    """Every test gives back the descriptors that it took."""
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    gc.collect()
    assert before == len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on the proxies of the machine."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(params=["ws", "wss"])
def secured(
    request: pytest.FixtureRequest, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> tuple[Callable[[Handler], Handler], ssl.SSLContext | None]:
    """Plain and TLS: what to wrap a handler in, and the client's context."""
    if request.param == "ws":
        return (lambda handle: handle), None
    return (lambda handle: encrypt(server_context, handle)), client_context


Secured = tuple[Callable[[Handler], Handler], ssl.SSLContext | None]


# Opening.


def test_open(secured: Secured) -> None:
    """A link is open after the handshake: texts go both ways, masked and whole."""
    wrap, context = secured
    ports: list[int] = []

    def echo(connection: socket.socket) -> None:
        ports.append(connection.getpeername()[1])
        assert read_frame(connection) == (1, "grüß dich".encode())
        connection.sendall(text_frame("PONG"))
        wait_for_end(connection)

    with Server(wrap(speak(echo))) as server:
        attempt = attempt_to(server.port, context=context)
        link = attempt.open()
        link.send("grüß dich")

        assert ["PONG"] == receive_messages(link, 1)
        assert "open" == attempt.phase
        assert [link.local_port] == ports
        assert not link.wants_write
        link.close()
        link.close()
        assert -1 == link.fileno()
        assert not link.has_buffered


def test_the_request(caplog: pytest.LogCaptureFixture) -> None:
    """The handshake asks for the URL's path and host, with no Origin, and nothing is printed."""
    requests: list[str] = []

    def handle(connection: socket.socket) -> None:
        requests.append(read_head(connection))
        connection.sendall(answer(requests[0]))

    with Server(handle) as server:
        attempt_to(server.port).open().close()

    assert requests[0].startswith("GET /ws HTTP/1.1\r\n")
    assert f"\r\nHost: 127.0.0.1:{server.port}\r\n" in requests[0]
    assert "Origin" not in requests[0]


def test_data_behind_the_handshake(secured: Secured) -> None:
    """Frames that came with the answer, in the same packet, are the first to be received."""
    wrap, context = secured

    def handle(connection: socket.socket) -> None:
        connection.sendall(answer(read_head(connection)) + text_frame("early") + text_frame("2"))
        wait_for_end(connection)

    with Server(wrap(handle)) as server:
        link = attempt_to(server.port, context=context).open()
        assert ["early", "2"] == receive_messages(link, 2)
        link.close()


def test_cookies_stay_out_of_the_process() -> None:
    """A cookie of one connection is not sent by the next: the library's jar is process-wide."""
    requests: list[str] = []

    def handle(connection: socket.socket) -> None:
        requests.append(read_head(connection))
        connection.sendall(answer(requests[-1], "Set-Cookie: id=1; Domain=127.0.0.1\r\n"))

    with Server(handle) as server:
        attempt_to(server.port).open().close()
        attempt_to(server.port).open().close()

    assert 2 == len(requests)
    assert not any("Cookie" in request for request in requests)


def test_socket_options() -> None:
    """A link's socket has TCP_NODELAY and keepalive."""
    with Server(speak()) as server:
        link = attempt_to(server.port).open()
        with socket.socket(fileno=os.dup(link.fileno())) as sock:
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert 30_000 == sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert not os.get_inheritable(link.fileno())
        link.close()


# Names and addresses.


def test_localhost_on_ipv4_alone() -> None:
    """A name whose IPv6 address refuses is reached by IPv4."""
    with Server(speak()) as server:
        sock = dial(
            [
                (socket.AF_INET6, ("::1", server.port, 0, 0)),
                (socket.AF_INET, ("127.0.0.1", server.port)),
            ],
            Lifeline(PATIENCE),
        )
        assert ("127.0.0.1", server.port) == sock.getpeername()
        sock.close()
        attempt_to(server.port, host="localhost").open().close()


def test_addresses_take_turns() -> None:
    """The families take turns, beginning with the first."""
    four, six = socket.AF_INET, socket.AF_INET6

    assert [(six, 1), (four, 2), (six, 3), (six, 4)] == interleave(
        [(six, 1), (six, 3), (six, 4), (four, 2)]
    )


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


def test_a_silent_address_delays_but_does_not_block() -> None:
    """While one address is silent, the next is tried; the loser is closed."""
    with Server(speak()) as server, silent_address() as silent:
        addresses = [(socket.AF_INET, silent), (socket.AF_INET, ("127.0.0.1", server.port))]
        lifeline = Lifeline(PATIENCE)
        sock = dial(addresses, lifeline)

        assert server.port == sock.getpeername()[1]
        lifeline.close_all()
        assert -1 == sock.fileno()


def test_all_addresses_fail() -> None:
    """When no address can be reached, the last one's error is told."""
    unusable = (socket.AF_INET, ("255.255.255.255", 1))

    with pytest.raises(OSError, match=r"unreachable|denied|Invalid|Cannot assign"):
        dial([unusable], Lifeline(PATIENCE))
    with pytest.raises(OSError, match="no address"):
        dial([], Lifeline(PATIENCE))


@pytest.mark.parametrize("host", ["a" * 64, "a..b", "[::1%25nowhere]"])
def test_a_name_that_does_not_exist(host: str) -> None:
    """A name that cannot be looked up is a lost connection with reason "dns"."""
    error = failure_of(attempt_to(1, host=host))

    assert isinstance(error, ConnectionLost)
    assert "dns" == error.reason


def test_refused() -> None:
    """A port where nobody listens is "refused"."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failure_of(attempt_to(port))

    assert isinstance(error, ConnectionLost)
    assert "refused" == error.reason


# Hanging in each phase.


@contextlib.contextmanager
def hanging(phase: str, client_context: ssl.SSLContext) -> Iterator[Callable[[float], Attempt]]:
    """A server, or proxy, that hangs in this phase; gives what makes attempts to reach it."""
    if phase == "tcp":
        with silent_address() as silent:
            yield lambda seconds: attempt_to(silent[1], connect_timeout=seconds)
        return
    dripping = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX-A: " + b"a" * 10_000
    handler = drip(dripping) if phase in ("drip", "proxy drip") else wait_for_end
    with Server(handler) as server:
        if phase.startswith("proxy"):
            proxy = f"http://127.0.0.1:{server.port}"
            yield lambda seconds: attempt_to(1, proxy=proxy, connect_timeout=seconds)
        elif phase == "socks":
            proxy = f"socks5h://127.0.0.1:{server.port}"
            yield lambda seconds: attempt_to(1, proxy=proxy, connect_timeout=seconds)
        elif phase == "tls":
            yield lambda seconds: attempt_to(
                server.port, context=client_context, connect_timeout=seconds
            )
        else:
            yield lambda seconds: attempt_to(server.port, connect_timeout=seconds)


HANGS = {
    "tcp": "tcp",
    "proxy": "proxy",
    "proxy drip": "proxy",
    "socks": "proxy",
    "tls": "tls",
    "handshake": "handshake",
    "drip": "handshake",
}


@pytest.mark.parametrize("hang", HANGS)
def test_the_deadline_ends_every_phase(hang: str, client_context: ssl.SSLContext) -> None:
    """A peer that is silent, or drips, is given up at the total deadline; the error names the phase."""
    with hanging(hang, client_context) as attempt:
        error = failure_of(attempt(SHORT))

    assert isinstance(error, ConnectTimeout)
    assert HANGS[hang] == error.phase
    assert "connect_timeout" == error.reason


@pytest.mark.parametrize("hang", HANGS)
def test_abort_ends_every_phase(hang: str, client_context: ssl.SSLContext) -> None:
    """abort() ends an attempt in any phase, long before its deadline."""
    with hanging(hang, client_context) as make:
        attempt = make(600)
        opening = Opening(attempt)
        in_phase = threading.Event()
        while attempt.phase != HANGS[hang]:
            assert opening.outcome is None
            in_phase.wait(0.001)
        attempt.abort()
        attempt.abort()
        error = opening.join()

    assert isinstance(error, ConnectionLost)
    assert "stopped" == error.reason
    assert repr(HANGS[hang]) in error.detail


def test_abort_before_open() -> None:
    """An abort that comes first is not lost."""
    with Server(speak()) as server:
        attempt = attempt_to(server.port)
        attempt.abort()
        error = failure_of(attempt)

    assert isinstance(error, ConnectionLost)
    assert "stopped" == error.reason


def test_abort_at_any_moment(secured: Secured) -> None:
    """Whenever abort() comes, open() either gives a link or says "stopped"; nothing leaks."""
    wrap, context = secured
    with Server(wrap(speak())) as server:
        for turn in range(30):
            attempt = attempt_to(server.port, context=context)
            opening = Opening(attempt)
            threading.Event().wait(turn * 0.0002)
            attempt.abort()
            outcome = opening.join()
            if isinstance(outcome, Link):
                outcome.close()
            else:
                assert isinstance(outcome, ConnectionLost)
                assert "stopped" == outcome.reason


def test_abort_does_not_touch_an_open_link() -> None:
    """Once open() returned, the link is its owner's."""
    with Server(speak(lambda connection: connection.sendall(text_frame("still here")))) as server:
        attempt = attempt_to(server.port)
        link = attempt.open()
        attempt.abort()

        assert ["still here"] == receive_messages(link, 1)
        link.close()


def test_a_link_is_not_handed_over_after_an_abort() -> None:
    """An abort between the last step and the hand-over closes the socket."""
    lifeline = Lifeline(PATIENCE)
    with socket.socket() as sock:
        lifeline.register(sock)
        lifeline.abort()
        with pytest.raises(ConnectionLost, match="stopped"):
            lifeline.release(sock)
        lifeline.close_all()
        assert -1 == sock.fileno()


# TLS.


def test_a_certificate_that_is_not_trusted(server_context: ssl.SSLContext) -> None:
    """A certificate of an unknown authority is fatal and says why."""
    with Server(encrypt(server_context, speak())) as server:
        error = failure_of(attempt_to(server.port, context=ssl.create_default_context()))

    assert isinstance(error, CertificateError)
    assert "127.0.0.1" == error.host
    assert "unable to get local issuer certificate" in error.detail


def test_a_certificate_for_another_host(
    authority: trustme.CA, client_context: ssl.SSLContext
) -> None:
    """A certificate for another name is fatal."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("example.org").configure_cert(context)
    with Server(encrypt(context, speak())) as server:
        error = failure_of(attempt_to(server.port, host="localhost", context=client_context))

    assert isinstance(error, CertificateError)
    assert "localhost" == error.host
    assert "mismatch" in error.detail


def test_no_tls_at_all(client_context: ssl.SSLContext) -> None:
    """A server that speaks no TLS is lost with reason "tls"."""
    with Server(lambda connection: connection.sendall(b"HTTP/1.1 400 No\r\n\r\n")) as server:
        error = failure_of(attempt_to(server.port, context=client_context))

    assert isinstance(error, ConnectionLost)
    assert "tls" == error.reason


def test_end_in_the_tls_handshake(client_context: ssl.SSLContext) -> None:
    """A server that hangs up in the TLS handshake is lost with reason "tls" or "reset"."""
    with Server(lambda connection: None) as server:
        error = failure_of(attempt_to(server.port, context=client_context))

    assert isinstance(error, ConnectionLost)
    assert error.reason in ("tls", "reset")


# The opening handshake.


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials(status: int) -> None:
    """HTTP 401 and 403 are fatal and say what to look at, not what the server wrote."""
    with Server(reply(f"HTTP/1.1 {status} No\r\nX: {SECRET}\r\n\r\n{SECRET}")) as server:
        error = failure_of(attempt_to(server.port))

    assert isinstance(error, AuthenticationError)
    assert f"HTTP status {status}: " in str(error)
    assert SECRET not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("", None), ("Retry-After: 7\r\n", 7.0), ("Retry-After: soon\r\n", None)],
)
@pytest.mark.parametrize("status", [200, 404, 429, 500, 503])
def test_rejected(status: int, header: str, seconds: float | None) -> None:
    """Any other status is a rejection that may be retried, after Retry-After; no body is read."""
    body = "Content-Length: 1000000\r\n\r\nnever"
    with Server(reply(f"HTTP/1.1 {status} Something\r\n{header}{body}")) as server:
        error = failure_of(attempt_to(server.port))

    assert isinstance(error, HandshakeRejected)
    assert (status, seconds) == (error.status, error.retry_after)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_refused(status: int) -> None:
    """A redirect is a rejection; its target is never contacted."""
    with Server(speak()) as target:
        url = f"ws://127.0.0.1:{target.port}/"
        with Server(reply(f"HTTP/1.1 {status} Moved\r\nLocation: {url}\r\n\r\n")) as server:
            error = failure_of(attempt_to(server.port))

        assert isinstance(error, HandshakeRejected)
        assert status == error.status
        assert not target.accepted.acquire(blocking=False)


NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("Thu, 01 Jan 2026 00:01:30 GMT", 90.0),
        ("Thu, 01 Jan 2026 00:01:30 -0000", 90.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        ("-1", None),
        ("1.5", None),
        ("9" * 400, None),
        ("Thu, 99 Jan 2026 00:00:00 GMT", None),
        ("", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    """Retry-After is seconds or an HTTP date, never negative; anything else is none."""
    head = decode_head(f"HTTP/1.1 429 Slow\r\nRetry-After: {value}".encode())

    assert seconds == retry_after_seconds(head, NOW)
    assert timedelta(0) == NOW.utcoffset()


def test_headers_of_one_name_are_joined() -> None:
    """Names are in lower case; several of one name become one."""
    head = decode_head(b"HTTP/1.0 200\nA: 1\nB:2\na: 3")

    assert (200, {"a": "1, 3", "b": "2"}) == (head.status, head.headers)


@pytest.mark.parametrize(
    "text",
    [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nno colon\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n folded: 1\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        "Sec-WebSocket-Accept: d3Jvbmc=\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nX: " + "a" * 70_000 + "\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nX: " + "a" * 70_000,
    ],
)
def test_answers_that_are_no_websocket(text: str) -> None:
    """An answer that is malformed, too long or not a WebSocket server's is "protocol_error"."""
    with Server(reply(text)) as server:
        error = failure_of(attempt_to(server.port))

    assert isinstance(error, ConnectionLost)
    assert "protocol_error" == error.reason
    assert len(str(error)) < 200


@pytest.mark.parametrize("name", ["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"])
def test_answers_to_what_was_not_asked(name: str) -> None:
    """An extension or subprotocol that was not offered fails the handshake (RFC 6455, 4.1)."""
    with Server(speak(extra=f"{name}: permessage-deflate\r\n")) as server:
        error = failure_of(attempt_to(server.port))

    assert isinstance(error, ConnectionLost)
    assert "protocol_error" == error.reason


def test_end_in_the_handshake(secured: Secured) -> None:
    """A server that hangs up instead of an answer is "eof"."""
    wrap, context = secured
    with Server(wrap(lambda connection: (read_head(connection), None)[1])) as server:
        error = failure_of(attempt_to(server.port, context=context))

    assert isinstance(error, ConnectionLost)
    assert "eof" == error.reason


def test_reset_in_the_handshake() -> None:
    """A server that resets instead of an answer is "reset"."""
    with Server(lambda connection: (read_head(connection), reset(connection))[1]) as server:
        error = failure_of(attempt_to(server.port))

    assert isinstance(error, ConnectionLost)
    assert "reset" == error.reason


def test_a_dripped_handshake_succeeds_in_time() -> None:
    """A slow answer is an answer."""

    def handle(connection: socket.socket) -> None:
        for byte in answer(read_head(connection)):
            connection.sendall(bytes((byte,)))
        wait_for_end(connection)

    with Server(handle) as server:
        attempt_to(server.port).open().close()


# Proxies.


def test_connect_proxy(secured: Secured) -> None:
    """An HTTP proxy is asked for a tunnel with the URL's credentials, TLS runs through it."""
    wrap, context = secured
    hello: Handler = lambda connection: connection.sendall(text_frame("hello"))  # noqa: E731
    with Server(wrap(speak(hello))) as server, HttpProxy() as proxy:
        url = f"http://me:{SECRET}%21@127.0.0.1:{proxy.port}"
        link = attempt_to(server.port, context=context, proxy=url).open()
        assert ["hello"] == receive_messages(link, 1)
        link.close()

    token = base64.b64encode(f"me:{SECRET}!".encode()).decode()
    assert proxy.heads[0].startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n")
    assert f"\r\nProxy-Authorization: Basic {token}\r\n" in proxy.heads[0]


def test_connect_proxy_without_credentials() -> None:
    """Without a user none is sent; an IPv6 target stands in brackets."""
    with Server(speak()) as server, HttpProxy() as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        attempt_to(server.port, host="[::1]", proxy=url).open().close()

    assert proxy.heads[0].startswith(f"CONNECT [::1]:{server.port} HTTP/1.1\r\n")
    assert "Authorization" not in proxy.heads[0]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("HTTP/1.1 503 Busy\r\nRetry-After: 3\r\n\r\n", 503),
        ("HTTP/1.1 200 OK\r\n\r\nand more", None),
        ("SSH-2.0-OpenSSH\r\n\r\n", None),
    ],
)
def test_connect_proxy_refuses(text: str, code: int | None) -> None:
    """A proxy that refuses, or talks nonsense, is "proxy" with its status."""
    with Server(reply(text)) as proxy:
        error = failure_of(attempt_to(1, proxy=f"http://me:{SECRET}@127.0.0.1:{proxy.port}"))

    assert isinstance(error, ConnectionLost)
    assert ("proxy", code) == (error.reason, error.code)
    assert (3.0 if code else None) == error.retry_after
    assert SECRET not in "".join(traceback.format_exception(error))


def test_connect_proxy_hangs_up_or_is_not_there() -> None:
    """A proxy that ends the connection, or does not listen, is "proxy" too."""
    with Server(lambda connection: None) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        ended = failure_of(attempt_to(1, proxy=url))
    refused = failure_of(attempt_to(1, proxy=url))

    assert isinstance(ended, ConnectionLost)
    assert isinstance(refused, ConnectionLost)
    assert ("proxy", "proxy") == (ended.reason, refused.reason)
    assert "refused" in refused.detail


def test_connect_proxy_wants_credentials() -> None:
    """HTTP 407 is a wrong setting, which no retry mends."""
    with Server(reply("HTTP/1.1 407 Who are you\r\n\r\n")) as proxy:
        error = failure_of(attempt_to(1, proxy=f"http://me:{SECRET}@127.0.0.1:{proxy.port}"))

    assert isinstance(error, ConfigurationError)
    assert "407" in str(error)
    assert SECRET not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(("scheme", "kind"), [("socks5", 1), ("socks5h", 3)])
def test_socks5_proxy(secured: Secured, scheme: str, kind: int) -> None:
    """socks5 looks the name up here, socks5h lets the proxy; both log in and carry TLS."""
    wrap, context = secured
    with Server(wrap(speak())) as server, SocksProxy("me", SECRET) as proxy:
        url = f"{scheme}://me:{SECRET}@127.0.0.1:{proxy.port}"
        attempt_to(server.port, host="localhost", context=context, proxy=url).open().close()

    asked_kind, address = proxy.asked[0]
    assert kind == asked_kind or asked_kind == 4
    assert (address == b"localhost") == (scheme == "socks5h")


@pytest.mark.parametrize("scheme", ["socks4", "socks4a"])
def test_socks4_proxy(scheme: str) -> None:
    """socks4 is sent an IPv4 address, socks4a the name."""
    requests: list[bytes] = []

    def handle(client: socket.socket) -> None:
        requests.append(read_exactly(client, 9))
        if scheme == "socks4a":
            requests.append(read_exactly(client, len("localhost") + 1))
        client.sendall(b"\x00\x5a" + bytes(6))
        tunnel(client, struct.unpack(">H", requests[0][2:4])[0])

    with Server(speak()) as server, Server(handle) as proxy:
        url = f"{scheme}://127.0.0.1:{proxy.port}"
        attempt_to(server.port, host="localhost", proxy=url).open().close()

    if scheme == "socks4":
        assert bytes((127, 0, 0, 1)) == requests[0][4:8]
    else:
        assert b"localhost\0" == requests[1]


def test_socks_proxy_refuses() -> None:
    """A SOCKS proxy's refusal is "proxy" with its reply code; a wrong password is not shown."""
    with SocksProxy(refusal=2) as proxy:
        refused = failure_of(attempt_to(1, proxy=f"socks5h://127.0.0.1:{proxy.port}"))
    with SocksProxy("me", "other") as proxy:
        url = f"socks5h://me:{SECRET}@127.0.0.1:{proxy.port}"
        unknown = failure_of(attempt_to(1, proxy=url))
    with Server(lambda connection: None) as server:
        ended = failure_of(attempt_to(1, proxy=f"socks5h://127.0.0.1:{server.port}"))

    assert isinstance(refused, ConnectionLost)
    assert ("proxy", 2) == (refused.reason, refused.code)
    for error in (unknown, ended):
        assert isinstance(error, ConnectionLost)
        assert "proxy" == error.reason
        assert SECRET not in "".join(traceback.format_exception(error))


def test_socks_password_that_cannot_be_sent() -> None:
    """A password that SOCKS cannot carry is a wrong setting and is not shown."""
    with SocksProxy("me", SECRET) as proxy:
        url = f"socks5h://me:{SECRET}ß@127.0.0.1:{proxy.port}"
        error = failure_of(attempt_to(1, proxy=url))

    assert isinstance(error, ConfigurationError)
    assert SECRET not in "".join(traceback.format_exception(error))


def test_socks_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without python-socks a SOCKS proxy is a wrong setting that names the extra."""
    monkeypatch.setitem(__import__("sys").modules, "python_socks", None)
    with SocksProxy() as proxy:
        error = failure_of(attempt_to(1, proxy=f"socks5h://127.0.0.1:{proxy.port}"))

    assert isinstance(error, ConfigurationError)
    assert "pip install 'polymarket-ws[socks]'" in str(error)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_environment_proxy(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The environment's proxy is taken when trusted, unless NO_PROXY names the host or it is off."""
    with Server(speak()) as server, HttpProxy() as proxy:
        monkeypatch.setenv(name, f"127.0.0.1:{proxy.port}")
        attempt_to(server.port, trust_env=True).open().close()
        assert 1 == len(proxy.heads)
        attempt_to(server.port, trust_env=False).open().close()
        for exempt in ("127.0.0.1", f"127.0.0.1:{server.port}", "*"):
            monkeypatch.setenv("NO_PROXY", exempt)
            attempt_to(server.port, trust_env=True).open().close()
        assert 1 == len(proxy.heads)


def test_environment_proxy_for_wss(
    monkeypatch: pytest.MonkeyPatch, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """wss takes HTTPS_PROXY, read at each connect, and a SOCKS one is spoken to as such."""
    with Server(encrypt(server_context, speak())) as server, SocksProxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", "127.0.0.1:1")
        attempt_to(server.port, context=client_context, trust_env=True).open().close()
        assert not proxy.asked
        monkeypatch.setenv("HTTPS_PROXY", f"socks5://127.0.0.1:{proxy.port}")
        attempt_to(server.port, context=client_context, trust_env=True).open().close()
        assert 1 == len(proxy.asked)


def test_the_option_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options.proxy is taken whatever the environment says, NO_PROXY too."""
    monkeypatch.setenv("HTTP_PROXY", "127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "*")
    with Server(speak()) as server, HttpProxy() as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        attempt_to(server.port, trust_env=True, proxy=url).open().close()

    assert 1 == len(proxy.heads)


@pytest.mark.parametrize(
    "value", [f"https://me:{SECRET}@proxy", f"http://me:{SECRET}@proxy:port", f"http://{SECRET}@"]
)
def test_an_environment_proxy_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """A proxy that cannot be used is a wrong setting; the sentence names the variable alone."""
    monkeypatch.setenv("HTTP_PROXY", value)
    error = failure_of(attempt_to(1, trust_env=True))

    assert isinstance(error, ConfigurationError)
    assert "environment's HTTP_PROXY" in str(error)
    assert SECRET not in "".join(traceback.format_exception(error))


def test_proxy_repr() -> None:
    """A proxy's repr shows neither user nor password."""
    proxy = decode_proxy(f"socks5://{SECRET}:{SECRET}@host", "a test")

    assert "Proxy(scheme='socks5', host='host', port=1080)" == repr(proxy)


def test_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG the phases are logged, the proxy's credentials are not."""
    caplog.set_level(logging.DEBUG)
    with Server(speak()) as server, HttpProxy() as proxy:
        url = f"http://me:{SECRET}@127.0.0.1:{proxy.port}"
        attempt_to(server.port, proxy=url).open().close()

    assert [
        f"127.0.0.1:{server.port}: {phase}" for phase in ("tcp", "proxy", "handshake", "open")
    ] == [record.getMessage() for record in caplog.records]


# Links.


def test_nothing_to_read(secured: Secured) -> None:
    """receive() never waits: nothing now is b""."""
    wrap, context = secured
    with Server(wrap(speak())) as server:
        link = attempt_to(server.port, context=context).open()

        assert b"" == link.receive()
        assert not link.has_buffered
        link.close()


def test_big_reads(secured: Secured) -> None:
    """A long message comes complete in bulk reads of at most 256 KiB, over TLS too."""
    wrap, context = secured
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


def test_a_tls_read_gathers_records(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """One read over TLS gathers all the records that came, not one of 16 KiB."""
    sent = threading.Event()

    def send(connection: socket.socket) -> None:
        for _ in range(100):
            connection.sendall(bytes(500))
        sent.set()
        wait_for_end(connection)

    with Server(encrypt(server_context, speak(send))) as server:
        link = attempt_to(server.port, context=client_context).open()
        assert sent.wait(PATIENCE)
        total = 0
        while total < 50_000:
            total += (gathered := len(receive(link)))

        assert gathered > 500
        link.close()


def test_more_than_a_read_over_tls(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """Decrypted bytes that a full read left behind are told by has_buffered."""
    size = READ_BYTES + 10_000

    def send(connection: socket.socket) -> None:
        connection.sendall(bytes(size))
        wait_for_end(connection)

    with Server(encrypt(server_context, speak(send))) as server:
        link = attempt_to(server.port, context=client_context).open()
        received = 0
        while received < size:
            received += len(receive(link))

        assert size == received
        link.close()


@pytest.mark.parametrize(("end", "reason"), [(lambda _: None, "eof"), (reset, "reset")])
def test_the_end(secured: Secured, end: Handler, reason: str) -> None:
    """The peer's FIN is "eof" and its RST "reset", each time that one asks."""
    wrap, context = secured
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
            assert reason == caught.value.reason
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


def test_a_peer_that_does_not_read(secured: Secured) -> None:
    """What a peer does not take waits without blocking, and goes on in order when it reads."""
    wrap, context = secured
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
def turncoat(**errors: list[Exception]) -> Iterator[tuple[Link, socket.socket]]:
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
        yield Link(sock), peer


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


def test_the_kernels_timeout_is_no_deadline() -> None:
    """ETIMEDOUT before the deadline passes on as it is."""
    lifeline = Lifeline(PATIENCE)
    with socket.socket() as sock:
        with pytest.raises(TimeoutError), lifeline.limit(sock):
            raise TimeoutError(110, "Connection timed out")
        guarded = GuardedSocket(sock, lifeline)
        assert 0 < guarded.gettimeout() <= PATIENCE
        guarded.close()
        guarded.close()


def test_constants() -> None:
    """The next address is tried after 250 ms (RFC 8305)."""
    assert 0.25 == dialing.HEAD_START

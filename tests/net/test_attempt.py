"""One attempt to connect, over real sockets on 127.0.0.1."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import traceback
from collections.abc import Callable, Iterator

import pytest
from kit.loopback import (
    PATIENCE,
    SECRET,
    SHORT,
    Opening,
    Server,
    Way,
    answer,
    attempt_to,
    client_context,
    drip,
    encrypt,
    failure_of,
    plain_and_tls,
    plain_context,
    read_exactly,
    read_frame,
    read_head,
    receive_messages,
    reply,
    reset,
    server_context,
    silent_address,
    speak,
    text_frame,
    wait_for_end,
)
from websocket import create_connection
from websocket._handshake import CookieJar

from polymarket_ws.errors import (
    AuthenticationError,
    CertificateError,
    ConnectionLost,
    ConnectTimeout,
    HandshakeRejected,
)
from polymarket_ws.net.attempt import Attempt
from polymarket_ws.net.open_socket import OpenSocket
from polymarket_ws.options import Options


@plain_and_tls
def test_open_stream(way: Way) -> None:
    """For another protocol the socket is handed over without a handshake; errors are the same."""
    wrap, context = way()
    scheme = "http" if context is None else "https"
    with Server(wrap(lambda connection: connection.sendall(read_exactly(connection, 2)))) as server:
        url = f"{scheme}://127.0.0.1:{server.port}/x"
        options = Options(connect_timeout=PATIENCE, trust_env=False)
        with Attempt(url, options, lambda: context or plain_context()).open_stream() as sock:
            sock.sendall(b"ok")
            assert b"ok" == read_exactly(sock, 2)
    with pytest.raises(ConnectionLost, match="refused"):
        Attempt(url, options, plain_context).open_stream()


@plain_and_tls
def test_open(way: Way) -> None:
    """A link is open after the handshake: texts go both ways, masked and whole."""
    wrap, context = way()
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


@plain_and_tls
def test_data_behind_the_handshake(way: Way) -> None:
    """Frames that came with the answer, in the same packet, are the first to be received."""
    wrap, context = way()

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


def test_cookies_of_others_are_not_sent() -> None:
    """One that websocket-client was given elsewhere in the process, by the same host."""
    requests: list[str] = []

    def handle(connection: socket.socket) -> None:
        requests.append(read_head(connection))
        connection.sendall(answer(requests[-1], "Set-Cookie: id=1; Domain=127.0.0.1\r\n"))

    with Server(handle) as server:
        url = f"ws://127.0.0.1:{server.port}/ws"
        try:
            for _ in range(2):
                create_connection(url, timeout=10, http_no_proxy=["*"]).close()
            attempt_to(server.port).open().close()
        finally:
            CookieJar.jar.clear()

    assert [False, True, False] == ["\r\nCookie: id=1\r\n" in request for request in requests]
    assert requests[2].endswith("\r\n\r\n")


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


@contextlib.contextmanager
def hanging(phase: str) -> Iterator[Callable[[float], Attempt]]:
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
                server.port, context=client_context(), connect_timeout=seconds
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
def test_the_deadline_ends_every_phase(hang: str) -> None:
    """A peer that is silent, or drips, is given up at the total deadline, the phase being told."""
    with hanging(hang) as attempt:
        for seconds in (SHORT, 5 * SHORT, PATIENCE):  # a busy machine may get no further in SHORT
            error = failure_of(attempt(seconds))
            if isinstance(error, ConnectTimeout) and error.phase == HANGS[hang]:
                break

    assert isinstance(error, ConnectTimeout)
    assert HANGS[hang] == error.phase
    assert "connect_timeout" == error.reason


@pytest.mark.parametrize("hang", HANGS)
def test_abort_ends_every_phase(hang: str) -> None:
    """abort() ends an attempt in any phase, long before its deadline."""
    with hanging(hang) as make:
        attempt = make(600)
        opening = Opening(attempt)
        opening.wait_for_phase(HANGS[hang])
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


@plain_and_tls
def test_abort_at_any_moment(way: Way) -> None:
    """Whenever abort() comes, open() either gives a link or says "stopped"; nothing leaks."""
    wrap, context = way()
    with Server(wrap(speak())) as server:
        for turn in range(30):
            attempt = attempt_to(server.port, context=context)
            opening = Opening(attempt)
            threading.Event().wait(turn * 0.0002)
            attempt.abort()
            outcome = opening.join()
            if isinstance(outcome, OpenSocket):
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


def test_a_certificate_that_is_not_trusted() -> None:
    """A certificate of an unknown authority is fatal and says why."""
    with Server(encrypt(server_context(), speak())) as server:
        error = failure_of(attempt_to(server.port, context=ssl.create_default_context()))

    assert isinstance(error, CertificateError)
    assert "127.0.0.1" == error.host
    assert "unable to get local issuer certificate" in error.detail


def test_a_certificate_for_another_host() -> None:
    """A certificate for another name is fatal."""
    with Server(encrypt(server_context("example.org"), speak())) as server:
        error = failure_of(attempt_to(server.port, host="localhost", context=client_context()))

    assert isinstance(error, CertificateError)
    assert "localhost" == error.host
    assert "mismatch" in error.detail


def test_no_tls_at_all() -> None:
    """A server that speaks no TLS is lost with reason "tls"."""

    def handle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 No\r\n\r\n")
        wait_for_end(connection)

    with Server(handle) as server:
        error = failure_of(attempt_to(server.port, context=client_context()))

    assert isinstance(error, ConnectionLost)
    assert "tls" == error.reason


def test_end_in_the_tls_handshake() -> None:
    """A server that hangs up in the TLS handshake is lost with reason "tls" or "reset"."""
    with Server(lambda connection: None) as server:
        error = failure_of(attempt_to(server.port, context=client_context()))

    assert isinstance(error, ConnectionLost)
    assert error.reason in ("tls", "reset")


@pytest.mark.parametrize("status", [401, 403, 451])
def test_refused_credentials(status: int) -> None:
    """HTTP 401, 403 and 451 are fatal and say what to look at, not what the server wrote."""
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


@plain_and_tls
def test_end_in_the_handshake(way: Way) -> None:
    """A server that hangs up instead of an answer is "eof"."""
    wrap, context = way()
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

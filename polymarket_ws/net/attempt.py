"""One attempt to connect: name, TCP, proxy, TLS and opening handshake under one deadline.

This file and open_socket.py are the only ones that import websocket-client.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from urllib.parse import urlsplit

from websocket import WebSocket, WebSocketException

from polymarket_ws.errors import (
    AuthenticationError,
    CertificateError,
    ConnectionLost,
    HandshakeRejected,
    PolymarketWsError,
)
from polymarket_ws.logs import Log
from polymarket_ws.options import Options

from .deadline import GuardedSocket, SocketDeadline
from .descriptors import owned
from .dial import dial, resolve
from .http_heads import ResponseHead, receive_head, retry_after_seconds
from .open_socket import OpenSocket, lost
from .proxies import Proxy, decode_proxy, find_environment_proxy, pass_through

__all__ = ["Attempt", "OpenSocket"]

logger = Log(__name__)

_SWITCHING_PROTOCOLS = 101
_REFUSALS = {
    401: "check the API key, secret and passphrase",
    451: "it serves no clients from this country (unavailable for legal reasons)",
    403: "it serves no clients from this address or country, or the key has no access",
}
_COOKIES = re.compile(rb"(?m)^Cookie: .*\r\n")
_NEVER_ASKED_FOR = ("sec-websocket-extensions", "sec-websocket-protocol")  # RFC 6455, 4.1


class Attempt:
    """One attempt to open a connection.

    Made by a shard for each attempt, and for each HTTP request. One thread calls `open` or
    `open_stream`, once; any thread may call `abort` and read `phase`.

        attempt = Attempt(url, options, ssl.create_default_context)
        opened = attempt.open()

    Args:
        url: ws:// or wss://; http:// or https:// for `open_stream`.
        options: The deadline and the proxy.
        ssl_context: Called for wss:// and https:// alone, by the thread that connects.
    """

    def __init__(
        self, url: str, options: Options, ssl_context: Callable[[], ssl.SSLContext]
    ) -> None:
        parts = urlsplit(url)
        self._url = url
        self._secure = parts.scheme in ("wss", "https")
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._options = options
        self._ssl_context = ssl_context
        self._proxy: Proxy | None = None
        self._socket_deadline = SocketDeadline(options.connect_timeout)

    @property
    def phase(self) -> str:
        """What is going on: "dns", "tcp", "proxy", "tls", "handshake" or "open"."""
        return self._socket_deadline.phase

    @property
    def place(self) -> str:
        """Where it connects to: "host:port", and through which proxy. No user, no password."""
        proxy = self._proxy
        through = f" through the proxy {proxy.host}:{proxy.port}" if proxy is not None else ""
        return f"{self._host}:{self._port}{through}"

    def abort(self) -> None:
        """End `open` at once, in any phase but "dns", which ends when the system answers.

        From any thread, at any time, as often as one likes; does not wait. What `open` returned is
        not touched: it is its owner's.
        """
        self._socket_deadline.abort()

    def open(self) -> OpenSocket:
        """Connect; blocks for `Options.connect_timeout` at most, but while a name is looked up.

        Raises:
            ConnectionLost: it failed, also as ConnectTimeout or HandshakeRejected; its reason is
                "stopped" after `abort`.
            AuthenticationError: HTTP status 401, 403 or 451.
            ConfigurationError: the proxy's settings are wrong.
            CertificateError: the server's certificate was refused.
        """
        with self._translating_errors():
            sock = self._connect()
            self._enter("handshake")
            opened = OpenSocket(sock, self._shake_hands(sock))
            self._socket_deadline.release(sock)
            self._enter("open")
            return opened

    def open_stream(self) -> socket.socket:
        """Connect as `open` does, for another protocol than WebSocket: an http or https URL.

        Raises:
            ConnectionLost, ConfigurationError, CertificateError: as `open`.
        """
        with self._translating_errors():
            sock = self._connect()
            self._socket_deadline.release(sock)
            return sock

    @contextlib.contextmanager
    def _translating_errors(self) -> Iterator[None]:
        """Raise errors of ours alone, and close what was not handed over."""
        try:
            yield
        except PolymarketWsError as error:
            if self._socket_deadline.aborted:
                raise self._socket_deadline.stopped() from error
            raise
        except (OSError, EOFError, ValueError, WebSocketException) as error:
            raise self._translate(error) from error
        finally:
            self._socket_deadline.close_all()

    def _connect(self) -> socket.socket:
        self._socket_deadline.start()
        self._proxy = self._find_proxy()
        sock = self._reach()
        return self._encrypt(sock) if self._secure else sock

    def _enter(self, phase: str) -> None:
        self._socket_deadline.phase = phase
        logger.debug("%s:%d: %s", self._host, self._port, phase)

    def _find_proxy(self) -> Proxy | None:
        if self._options.proxy is not None:
            return decode_proxy(self._options.proxy, "Options.proxy")
        if self._options.trust_env:
            return find_environment_proxy(self._host, self._port, secure=self._secure)
        return None

    def _reach(self) -> socket.socket:
        """Connect to the server, or through the proxy to it."""
        proxy, host = self._proxy, self._host
        if proxy is None:
            return self._dial(host, self._port)
        if not proxy.resolves_names:
            host = resolve(host, self._port, only_ipv4=proxy.scheme == "socks4")[0][1][0]
        sock = self._dial(proxy.host, proxy.port)
        self._enter("proxy")
        pass_through(proxy, GuardedSocket(sock, self._socket_deadline), host, self._port)
        return sock

    def _dial(self, host: str, port: int) -> socket.socket:
        addresses = resolve(host, port)
        self._socket_deadline.remaining()
        self._enter("tcp")
        return dial(addresses, self._socket_deadline)

    def _encrypt(self, sock: socket.socket) -> ssl.SSLSocket:
        self._enter("tls")
        try:
            encrypted = owned(
                self._ssl_context().wrap_socket(
                    sock, server_hostname=self._host, do_handshake_on_connect=False
                )
            )
        except OSError as error:
            _close_half_made(error)
            raise
        self._socket_deadline.register(encrypted)
        with self._socket_deadline.limit(encrypted):
            encrypted.do_handshake()
        return encrypted

    def _shake_hands(self, sock: socket.socket) -> bytes:
        """Let websocket-client do the opening handshake; return what came after it."""
        guarded = _HandshakeSocket(sock, self._socket_deadline)
        # With `socket` given it looks at no environment variable and opens no connection itself.
        client = WebSocket()
        client.connect(  # type: ignore[no-untyped-call]  # it has no annotations in 1.9
            self._url, socket=guarded, redirect_limit=0, suppress_origin=True
        )
        return guarded.rest

    def _translate(self, error: Exception) -> PolymarketWsError:
        phase = self._socket_deadline.phase
        if self._socket_deadline.aborted:
            return self._socket_deadline.stopped()
        if isinstance(error, ssl.SSLCertVerificationError):
            return CertificateError(self._host, getattr(error, "verify_message", str(error)))
        if phase == "dns":
            return ConnectionLost("dns", getattr(error, "strerror", None) or "not a host name")
        if self._proxy is not None and phase in ("tcp", "proxy"):
            return ConnectionLost("proxy", f"{_detail(error)} ({phase})")
        if isinstance(error, EOFError):
            return ConnectionLost("eof", str(error))
        if phase == "tls" and isinstance(error, ssl.SSLError):
            return ConnectionLost("tls", getattr(error, "reason", None) or "the handshake failed")
        if isinstance(error, OSError):
            return lost(error)
        return ConnectionLost("protocol_error", _detail(error))


def _close_half_made(error: OSError) -> None:
    """Close what wrap_socket had begun when it found the peer gone.

    It has moved the descriptor into an SSLSocket by then, which only its own frame, kept by the
    traceback, still holds (CPython 3.11, `SSLSocket._create`).
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        half_made = frame.f_locals.get("self")
        if isinstance(half_made, ssl.SSLSocket):
            half_made.close()


def _detail(error: Exception) -> str:
    if isinstance(error, OSError):
        return lost(error).detail
    return str(error)


class _HandshakeSocket(GuardedSocket):
    """Reads the server's answer itself, bounded, and shows websocket-client what is to be checked.

    So no body is read, no redirect is seen, let alone followed, and no cookie gets into the
    library's jar, which is shared by the whole process. Nor does a cookie get out of it: another
    user of the library may have been given one by the same host, for another account.
    """

    rest = b""
    _answer: bytes | None = None

    def send(self, data: bytes) -> int:
        self.sendall(_COOKIES.sub(b"", data))
        return len(data)

    def recv(self, size: int) -> bytes:
        if self._answer is None:
            head, self.rest = receive_head(super().recv)
            self._answer = _check_answer(head)
        data, self._answer = self._answer[:size], self._answer[size:]
        return data


def _check_answer(head: ResponseHead) -> bytes:
    """Judge the status; return the part of the head that proves a WebSocket server."""
    if head.status in _REFUSALS:
        hint = _REFUSALS[head.status]
        raise AuthenticationError(
            f"the server refused the opening handshake with HTTP status {head.status}: {hint}"
        )
    if head.status != _SWITCHING_PROTOCOLS:
        retry_after = retry_after_seconds(head, datetime.now(timezone.utc))
        raise HandshakeRejected(head.status, retry_after=retry_after)
    for name in _NEVER_ASKED_FOR:
        if name in head.headers:
            raise ConnectionLost("protocol_error", f"the server answers with {name} unasked")
    shown = ("upgrade", "connection", "sec-websocket-accept")
    lines = [f"{name}: {head.headers[name]}" for name in shown if name in head.headers]
    return "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, "", ""]).encode()

"""Clients of FakeServer that know nothing of ours: the websockets package's, and raw sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.sync.client import ClientConnection, connect
from websockets.uri import parse_uri

from polymarket_ws.testing import FakeServer

SECONDS = 10.0
AUTH = {"apiKey": "key-1", "secret": "s3", "passphrase": "p4"}
MARKET_1, MARKET_2 = "0x" + "1" * 64, "0x" + "2" * 64


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


@contextlib.contextmanager
def subscribed(server: FakeServer) -> Iterator[Client]:
    """A connection that follows asset 1."""
    with client(server) as c:
        say(c, type="market", assets_ids=["1"])
        assert text(c)
        yield c


def read_exactly(sock: socket.socket, count: int) -> bytes:
    """So many bytes, however they come."""
    data = b""
    while len(data) < count:
        data += sock.recv(count - len(data))
    return data

"""Where no key or password may be found: tracebacks with locals, pickles, unencrypted lines."""

from __future__ import annotations

import base64
import copy
import logging
import pickle
import socket
import ssl
import struct
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from kit.loopback import Handler, Server, answer, read_frame, read_head, reply
from kit.recorder import DEADLINE, Recorder

from polymarket_ws import Credentials, Options, Subscriber
from polymarket_ws.errors import ConfigurationError, PolymarketWsError
from polymarket_ws.lookup import find_assets
from polymarket_ws.net.open_socket import OpenSocket
from polymarket_ws.testing import FakeServer, make_book

PARTS = ("5e8c1f00-key-key", "c2VjcmV0LXNlY3JldA==", "passphrase-passphrase")
KEYS = Credentials(*PARTS)
PASSWORD = "proxy-password-proxy"


def _reset_after_the_first_text(connection: socket.socket) -> None:
    """Take the subscription, and reset the connection."""
    connection.sendall(answer(read_head(connection)))
    read_frame(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _reset_before_the_first_text(connection: socket.socket) -> None:
    """Accept, and reset at once: the first text meets a dead socket."""
    connection.sendall(answer(read_head(connection)))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _locals_of(error: BaseException) -> list[str]:
    """The local variables of this package's frames, as tools print them, of an error's whole
    chain.
    """
    found: list[str] = []
    for link in _chain(error):
        shown = traceback.TracebackException.from_exception(link, capture_locals=True)
        # Of attrs' own methods, too: "<attrs generated methods polymarket_ws.options.Options>".
        places = ("/polymarket_ws/", " polymarket_ws.")
        frames = [f for f in shown.stack if any(place in f.filename for place in places)]
        found += [f"{frame.name}: {frame.locals}" for frame in frames]
    return found


_DIRECT = [_reset_after_the_first_text, _reset_before_the_first_text]
_EITHER = [reply(f"HTTP/1.1 {line}\r\n\r\n") for line in ("401 No", "407 No", "503 No", "")]


@pytest.mark.parametrize("answer", ["407 No", "503 No", ""])
def test_no_frame_of_a_failed_lookup_shows_a_secret(answer: str) -> None:
    """Locals of every frame of find_assets' exceptions, and of their causes."""
    with Server(reply(f"HTTP/1.1 {answer}\r\n\r\n")) as server:
        proxy = f"http://user:{PASSWORD}@127.0.0.1:{server.port}"
        options = Options(proxy=proxy, trust_env=False)
        with pytest.raises(PolymarketWsError) as raised:
            find_assets("x", url="http://127.0.0.1:1", options=options, timeout=1)

    shown = _locals_of(raised.value)
    assert shown
    assert [] == [line for line in shown if PASSWORD in line or "Basic " in line]


@pytest.mark.parametrize(
    ("handler", "through_proxy"),
    [*((h, False) for h in (*_DIRECT, *_EITHER)), *((h, True) for h in _EITHER)],
)
def test_no_frame_of_a_fatal_error_shows_a_secret(handler: Handler, through_proxy: bool) -> None:
    """Locals of every frame of run()'s and on_error's exceptions, and of their causes."""
    errors = Recorder()
    with Server(handler) as server:
        url = f"ws://127.0.0.1:{server.port}/ws/user"
        proxy = f"http://user:{PASSWORD}@127.0.0.1:{server.port}" if through_proxy else None
        options = Options(user_url=url, max_attempts=1, proxy=proxy, trust_env=False)
        sub = Subscriber(credentials=KEYS, options=options)
        sub.on_error(errors)
        with pytest.raises(PolymarketWsError) as raised:
            sub.run()

    shown = _locals_of(raised.value) + _locals_of(errors.items[0])
    assert shown
    assert [] == [line for line in shown for secret in (*PARTS, PASSWORD) if secret in line]


@pytest.mark.parametrize(
    ("url", "is_refused"),
    [
        ("ws://example.org/ws/user", True),
        ("ws://10.0.0.1/ws/user", True),
        ("ws://localhost.example.org/ws/user", True),
        ("ws://[2001:db8::1]/ws/user", True),
        ("wss://example.org/ws/user", False),
        ("ws://localhost:8080/ws/user", False),
        ("ws://127.8.9.1/ws/user", False),
        ("ws://[::1]/ws/user", False),
    ],
)
def test_credentials_are_not_sent_in_clear_over_a_network(url: str, is_refused: bool) -> None:
    """ws:// is for this machine, unless the option says otherwise."""
    options = Options(user_url=url)
    if is_refused:
        with pytest.raises(ConfigurationError, match="allow_insecure_credentials=True"):
            Subscriber(credentials=KEYS, options=options)
    else:
        Subscriber(credentials=KEYS, options=options)
    Subscriber(["1"], options=options)
    Subscriber(credentials=KEYS, options=Options(user_url=url, allow_insecure_credentials=True))


def test_a_subscriber_is_not_copied() -> None:
    """Two subscribers with the threads, locks and keys of one: refused, with what to do."""
    sub = Subscriber(["1"], credentials=KEYS)
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="make one in the other process"):
            attempt(sub)


def test_a_context_that_verifies_nothing_draws_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once a run, however often it connects."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with FakeServer(tls=True) as server, caplog.at_level(logging.WARNING):
        server.add_book(make_book("1"))
        options = server.options(ssl_context=context, backoff_cap=0.01)
        told = Recorder()
        with Subscriber(["1"], options=options) as sub:
            sub.on_connect(told)
            sub.wait_ready(timeout=DEADLINE)
            server.end()
            told.wait_for(1)
            sub.wait_ready(timeout=DEADLINE)

    assert 1 == sum("verifies no certificate" in message for message in caplog.messages)


@pytest.mark.parametrize("arguments", [{"queue_limit": -1}, {"trust_env": 1}, {}])
def test_no_frame_of_a_refused_option_shows_a_proxy_s_password(arguments: dict[str, Any]) -> None:
    """Whichever option is wrong, the constructor had the password among its arguments."""
    scheme = "http" if arguments else "ftp"
    with pytest.raises(ConfigurationError) as raised:
        Options(proxy=f"{scheme}://user:{PASSWORD}@127.0.0.1", **arguments)
    assert [] == [line for line in _locals_of(raised.value) if PASSWORD in line]


@pytest.mark.parametrize("place", ["_append", "flush"])
def test_no_frame_of_an_internal_error_shows_a_key(
    monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """An exception that was not foreseen, while the key is sent: to on_error and to log handlers
    alike.
    """
    told, shown = Recorder(), list[str]()
    good = getattr(OpenSocket, place)

    class Shows(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            shown.extend(_locals_of(record.exc_info[1]) if record.exc_info else ())

    def fail(self: OpenSocket, *arguments: Any) -> None:
        monkeypatch.setattr(OpenSocket, place, good)
        raise MemoryError

    handler = Shows()
    logging.getLogger("polymarket_ws").addHandler(handler)
    monkeypatch.setattr(OpenSocket, place, fail)
    try:
        with (
            FakeServer(credentials=KEYS) as server,
            Subscriber(credentials=KEYS, options=server.options()) as sub,
        ):
            sub.on_error(told)
            sub.wait_ready(timeout=DEADLINE)
    finally:
        logging.getLogger("polymarket_ws").removeHandler(handler)
    shown += _locals_of(told.wait_for(1)[0])

    assert shown
    assert [] == [line for line in shown for secret in PARTS if secret in line]


def test_no_log_of_a_failed_attempt_shows_a_proxy_s_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bug on the way through a proxy is logged with its traceback, whose frames had it."""
    shown = list[str]()

    class Shows(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            shown.extend(_locals_of(record.exc_info[1]) if record.exc_info else ())

    def fail(head: object) -> None:
        raise TypeError

    monkeypatch.setattr("polymarket_ws.net.proxies._check_answer", fail)
    handler = Shows()
    logging.getLogger("polymarket_ws").addHandler(handler)
    try:
        with Server(reply("HTTP/1.1 200 OK\r\n\r\n")) as server:
            options = Options(
                proxy=f"http://user:{PASSWORD}@127.0.0.1:{server.port}", max_attempts=1
            )
            with pytest.raises(PolymarketWsError, match="unexpected TypeError"):
                Subscriber(["1"], options=options).run()
    finally:
        logging.getLogger("polymarket_ws").removeHandler(handler)

    token = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    assert shown
    assert [] == [line for line in shown if PASSWORD in line or token in line]

"""proxies: which one is taken, and the way through it."""

from __future__ import annotations

import base64
import logging
import os
import socket
import struct
import traceback

import pytest
from kit.loopback import (
    SECRET,
    Handler,
    HttpProxy,
    Server,
    SocksProxy,
    Way,
    attempt_to,
    client_context,
    encrypt,
    failure_of,
    plain_and_tls,
    read_exactly,
    receive_messages,
    reply,
    server_context,
    speak,
    text_frame,
    tunnel,
)

from polymarket_ws.errors import (
    ConfigurationError,
    ConnectionLost,
)
from polymarket_ws.net.proxies import decode_proxy


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on the proxies of the machine."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@plain_and_tls
def test_connect_proxy(way: Way) -> None:
    """An HTTP proxy is asked for a tunnel with the URL's credentials, TLS runs through it."""
    wrap, context = way()
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
@plain_and_tls
def test_socks5_proxy(way: Way, scheme: str, kind: int) -> None:
    """socks5 looks the name up here, socks5h lets the proxy; both log in and carry TLS."""
    wrap, context = way()
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
    """The environment's proxy is taken, unless NO_PROXY names the host or trust_env is False."""
    with Server(speak()) as server, HttpProxy() as proxy:
        monkeypatch.setenv(name, f"127.0.0.1:{proxy.port}")
        attempt_to(server.port, trust_env=True).open().close()
        assert 1 == len(proxy.heads)
        attempt_to(server.port, trust_env=False).open().close()
        for exempt in ("127.0.0.1", f"127.0.0.1:{server.port}", "*"):
            monkeypatch.setenv("NO_PROXY", exempt)
            attempt_to(server.port, trust_env=True).open().close()
        assert 1 == len(proxy.heads)


def test_environment_proxy_for_wss(monkeypatch: pytest.MonkeyPatch) -> None:
    """wss takes HTTPS_PROXY, read at each connect, and a SOCKS one is spoken to as such."""
    with Server(encrypt(server_context(), speak())) as server, SocksProxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", "127.0.0.1:1")
        attempt_to(server.port, context=client_context(), trust_env=True).open().close()
        assert not proxy.asked
        monkeypatch.setenv("HTTPS_PROXY", f"socks5://127.0.0.1:{proxy.port}")
        attempt_to(server.port, context=client_context(), trust_env=True).open().close()
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

"""HTTP and SOCKS proxies: which one to take, and the way through it."""

from __future__ import annotations

import base64
from datetime import datetime, timezone
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote, urlsplit
from urllib.request import (  # type: ignore[attr-defined]  # typeshed lacks the second name
    getproxies_environment,
    proxy_bypass_environment,
)

from attrs import field, frozen

from polymarket_ws.errors import ConfigurationError, ConnectionLost

from .deadline import GuardedSocket
from .http_heads import ResponseHead, receive_head, retry_after_seconds

if TYPE_CHECKING:
    from python_socks.sync import Proxy as SocksClient

_DEFAULT_PORTS = {"http": 80, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}
_MAX_SOCKS_TEXT_BYTES = 255  # RFC 1929: lengths of user and password are one byte
_PROXY_AUTHENTICATION_REQUIRED = 407


@frozen
class Proxy:
    """Where a proxy is, and who we are to it. Its repr and str show no user and no password."""

    scheme: str
    host: str
    port: int
    user: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def is_socks(self) -> bool:
        return self.scheme != "http"

    @property
    def resolves_names(self) -> bool:
        """Whether the proxy is given the server's name, not an address that was looked up here."""
        return self.scheme in ("http", "socks4a", "socks5h")


def decode_proxy(url: str, source: str) -> Proxy:
    """Take a proxy's URL apart. `source` says in errors where it comes from; the URL is not shown.

    Raises:
        ConfigurationError: no such URL, or a scheme that is not known.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(f"the proxy in {source} is no URL") from None
    if parts.scheme not in _DEFAULT_PORTS:
        known = ", ".join(_DEFAULT_PORTS)
        raise ConfigurationError(f"the proxy in {source} must have a scheme of {known}")
    if not host:
        raise ConfigurationError(f"the proxy in {source} has no host")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Proxy(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], user, password)


def find_environment_proxy(host: str, port: int, *, secure: bool) -> Proxy | None:
    """Read the environment: HTTPS_PROXY for wss, HTTP_PROXY for ws, else ALL_PROXY, and NO_PROXY.

    Raises:
        ConfigurationError: the variable's value is no proxy that can be used.
    """
    urls = getproxies_environment()
    scheme = "https" if secure else "http"
    name = scheme if urls.get(scheme) else "all"
    url = urls.get(name)
    if not url:
        return None
    for target in (host, f"{host}:{port}"):
        if proxy_bypass_environment(target, urls):
            return None
    return decode_proxy(url, f"the environment's {name.upper()}_PROXY")


def pass_through(proxy: Proxy, sock: GuardedSocket, host: str, port: int) -> None:
    """Ask the proxy, to which the socket is connected, for a tunnel to host and port.

    Raises:
        ConfigurationError: it wants other credentials, or the extra for SOCKS is missing.
        ConnectionLost: "proxy", it refused.
        OSError, EOFError, ValueError: the connection to it failed, or what it says is not HTTP.
    """
    if proxy.is_socks:
        _ask_socks(proxy, sock, host, port)
    else:
        _ask_http(proxy, sock, host, port)


def _ask_http(proxy: Proxy, sock: GuardedSocket, host: str, port: int) -> None:
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.user or proxy.password:
        token = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {token}")
    sock.sendall("\r\n".join([*lines, "", ""]).encode())
    head, rest = receive_head(sock.recv)
    _check_answer(head)
    if rest:  # in TLS, in HTTP and in WebSocket the client speaks first
        raise ConnectionLost("proxy", "data came before the tunnel was used")


def _check_answer(head: ResponseHead) -> None:
    if head.status == _PROXY_AUTHENTICATION_REQUIRED:
        raise ConfigurationError(
            "the proxy asks for other credentials (HTTP status 407): "
            "put user:password@ before its host"
        )
    if not 200 <= head.status < 300:
        raise ConnectionLost(
            "proxy",
            f"the proxy refused the tunnel with HTTP status {head.status}",
            code=head.status,
            retry_after=retry_after_seconds(head, datetime.now(timezone.utc)),
        )


class _Reached:
    """The proxy as python-socks sees it: another one, in a chain, that has already connected.

    That is its public way (`forward`) to speak SOCKS on a socket that it did not make.
    """

    def __init__(self, sock: GuardedSocket) -> None:
        self._socket = sock

    def connect(self, dest_host: str, dest_port: int, timeout: float) -> GuardedSocket:
        return self._socket


def _ask_socks(proxy: Proxy, sock: GuardedSocket, host: str, port: int) -> None:
    try:
        from python_socks import ProxyError, ProxyType
        from python_socks.sync import Proxy as SocksClient
    except ImportError as error:
        raise ConfigurationError(
            "a SOCKS proxy needs an extra: pip install 'polymarket-ws[socks]'"
        ) from error
    _check_socks_user(proxy)
    client: SocksClient = SocksClient(
        ProxyType.SOCKS4 if proxy.scheme.startswith("socks4") else ProxyType.SOCKS5,
        proxy.host,
        proxy.port,
        proxy.user or None,
        proxy.password or None,
        rdns=True,  # what is to be looked up here has been
        forward=cast("SocksClient", _Reached(sock)),
    )
    try:
        client.connect(host, port, timeout=sock.socket_deadline.remaining())
    except ProxyError as error:
        raise ConnectionLost("proxy", f"SOCKS: {error}", code=error.error_code) from error


def _check_socks_user(proxy: Proxy) -> None:
    """python-socks would raise an exception that holds the password."""
    for text in (proxy.user, proxy.password):
        if not text.isascii() or len(text) > _MAX_SOCKS_TEXT_BYTES:
            raise ConfigurationError(
                "the SOCKS proxy's user and password must be ASCII and at most 255 characters"
            )

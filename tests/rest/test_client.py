"""The REST client against servers on the loopback interface: answers, retries, limits, proxies."""

from __future__ import annotations

import time
from typing import Any

import pytest
from kit.loopback import (
    SECRET,
    HttpProxy,
    Server,
    SocksProxy,
    client_context,
    drip,
    encrypt,
    read_head,
    reply,
    reset,
    server_context,
)

from polymarket_ws.errors import CertificateError, ConfigurationError
from polymarket_ws.options import Options
from polymarket_ws.rest import client
from polymarket_ws.rest.client import RestClient
from polymarket_ws.rest.failures import RequestFailed

SECONDS = 20.0


def http(body: str, status: str = "200 OK", head: str = "") -> str:
    """A whole HTTP answer."""
    length = f"Content-Length: {len(body.encode())}\r\n"
    return f"HTTP/1.1 {status}\r\n{length}{head}\r\n{body}"


def get(port: int, *, seconds: float = SECONDS, scheme: str = "http", **options: Any) -> object:
    """The document at /x?y=z of a server on this machine."""
    settings = Options(**{"trust_env": False, **options})
    asked = RestClient(f"{scheme}://127.0.0.1:{port}", settings)
    url = asked.address(["x"], [("y", "z")])
    return asked.get(url, deadline=time.monotonic() + seconds)


def failure(port: int, **arguments: Any) -> RequestFailed:
    """How it fails."""
    with pytest.raises(RequestFailed) as caught:
        get(port, **arguments)
    return caught.value


class Answers(Server):
    """Answers one request after the other; the last answer stays."""

    def __init__(self, *texts: str) -> None:
        self.heads: list[str] = []
        self._texts = list(texts)
        super().__init__(self._answer)

    def _answer(self, connection: Any) -> None:
        text = self._texts[min(len(self.heads), len(self._texts) - 1)]
        self.heads.append("asked")
        reply(text)(connection)


@pytest.fixture(autouse=True)
def _short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_JITTER", 0.01)
    monkeypatch.setattr(client, "_BACKOFF_BASE", 0.01)


def test_an_address_is_quoted() -> None:
    """Segments and values cannot leave their place; the service may have a path of its own."""
    asked = RestClient("https://example.org/gamma/")

    assert "https://example.org/gamma/markets/slug/a%2Fb%3F" == asked.address(
        ["markets", "slug", "a/b?"]
    )
    assert "https://example.org/gamma/m?i=1&i=2%26" == asked.address(
        ["m"], [("i", "1"), ("i", "2&")]
    )


def test_a_document_is_parsed() -> None:
    """Numbers with a fraction are Decimal, as everywhere."""
    with Server(reply(http('{"a": 0.01}'))) as server:
        assert "{'a': Decimal('0.01')}" == str(get(server.port))


def test_a_chunked_answer_is_read() -> None:
    """As services behind a gateway send it."""
    text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n"
    with Server(reply(text)) as server:
        assert [1] == get(server.port)


def test_the_request_names_host_and_path() -> None:
    """What the server reads of it."""
    with Server(reply(http("[]"))) as server, HttpProxy() as proxy:
        get(server.port, proxy=f"http://me:{SECRET}@127.0.0.1:{proxy.port}")

    assert proxy.heads[0].startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n")


@pytest.mark.parametrize("status", ["429 Slow down", "425 Too Early", "503 Busy", "500 Oops"])
def test_a_passing_refusal_is_tried_again(status: str) -> None:
    """Up to three times."""
    refusal = http("", status)
    with Answers(refusal, refusal, refusal, http("[5]")) as server:
        assert [5] == get(server.port)

    assert 4 == len(server.heads)


def test_a_lasting_refusal_is_told_after_four_attempts() -> None:
    """With its status."""
    with Answers(http("", "502 Bad Gateway")) as server:
        error = failure(server.port)

    assert ("HTTP status 502 (Bad Gateway)", 502) == (error.detail, error.status)
    assert 4 == len(server.heads)


def test_retry_after_is_waited_for() -> None:
    """Seconds are honoured."""
    with Answers(http("", "429 Slow down", "Retry-After: 1\r\n"), http("[5]")) as server:
        began_at = time.monotonic()
        assert [5] == get(server.port)

    assert time.monotonic() - began_at >= 1


def test_a_retry_after_beyond_the_deadline_is_told_at_once() -> None:
    """Nobody waits for what cannot help."""
    with Answers(http("", "429 Slow down", "Retry-After: 60\r\n")) as server:
        began_at = time.monotonic()
        error = failure(server.port)

    assert time.monotonic() - began_at < SECONDS / 2
    assert "HTTP status 429 (Too Many Requests): it asks to wait 60 s" == error.detail
    assert (429, 60.0) == (error.status, error.retry_after)
    assert 1 == len(server.heads)


@pytest.mark.parametrize("text", ["soon", "99999999999999999999", "Thu, 99 Nov 2026"])
def test_a_retry_after_that_is_none_is_ignored(text: str) -> None:
    """The backoff's own time is waited, or it is beyond any deadline."""
    with Answers(http("", "503 Busy", f"Retry-After: {text}\r\n"), http("[5]")) as server:
        if text.isdigit():
            assert 503 == failure(server.port).status
        else:
            assert [5] == get(server.port)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("404 Not Found", "HTTP status 404 (Not Found)"),
        ("403 Forbidden", "HTTP status 403 (Forbidden)"),
        ("599 ", "HTTP status 599"),
        ("302 Found", "HTTP status 302 (Found): redirects are not followed"),
    ],
)
def test_other_statuses_are_told_at_once(status: str, told: str) -> None:
    """Trying again cannot help; a redirect leads nowhere."""
    with Answers(http("{}", status, "Location: http://127.0.0.1:1/\r\n")) as server:
        assert told == failure(server.port).detail

    assert 1 == len(server.heads)


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        (
            "<html>\x1b[31mAttention Required!</html>",
            "text/html; charset=utf-8",
            r"the answer is no JSON but text/html: <html>\x1b[31mAttention Required!</html>",
        ),
        ('{"a": ', "application/json", 'the answer is no JSON but application/json: {"a":'),
        ("[" * 100_000, "", "the answer is no JSON but without a content type: " + "[" * 60),
        ('"\\ud800"', "text/json", r'the answer is no JSON but text/json: "\ud800"'),
        ("", "text/plain", "the answer is empty"),
    ],
)
def test_what_is_no_json_is_told(body: str, kind: str, told: str) -> None:
    """A block page instead of an answer: its type and its beginning, made printable."""
    with Server(reply(http(body, head=f"Content-Type: {kind}\r\n"))) as server:
        error = failure(server.port)

    assert (told, 200) == (error.detail, error.status)


def test_an_endless_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of an answer is bounded."""
    monkeypatch.setattr(client, "MAX_ANSWER_BYTES", 1000)
    with Server(reply(http("5" * 1001))) as server:
        assert "the answer has more than 1000 bytes" == failure(server.port).detail


def test_a_dripping_answer_ends_at_the_deadline() -> None:
    """Byte by byte, the head or the body: the deadline holds for the whole."""
    for text in (http("5" * 5000), "HTTP/1.1 200 OK\r\nX: " + "5" * 5000):
        with Server(drip(text.encode())) as server:
            began_at = time.monotonic()
            error = failure(server.port, seconds=0.5)
            assert time.monotonic() - began_at < 5
        assert error.detail.startswith("no whole answer: none within 0.")


def test_a_silent_server_ends_at_the_deadline() -> None:
    """Nothing comes at all."""
    with Server(lambda connection: connection.recv(65536) and connection.recv(65536)) as server:
        assert "no whole answer: none within 0." in failure(server.port, seconds=0.3).detail


def test_a_deadline_that_passed_is_a_failure() -> None:
    """Without a request that could come back in time."""
    with Server(reply(http("[]"))) as server:
        assert failure(server.port, seconds=-1).status is None


def test_a_lost_connection_is_tried_again() -> None:
    """Reset, ended within the body, no HTTP: then the words of what happened."""
    with Server(lambda connection: reset(connection) if read_head(connection) else None) as server:
        assert "no whole answer: " in failure(server.port).detail
    with Server(reply("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1")) as server:
        assert "no whole answer" in failure(server.port, seconds=1).detail
    with Server(reply("SSH-2.0-OpenSSH\r\n\r\n")) as server:
        assert "no whole answer" in failure(server.port, seconds=1).detail
    error = failure(server.port)

    assert ("no answer: refused: Connection refused", None) == (error.detail, error.status)


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
def test_it_goes_through_the_same_proxies(scheme: str) -> None:
    """HTTP and SOCKS, with a password, and TLS through them."""
    proxy = HttpProxy() if scheme == "http" else SocksProxy("me", SECRET)
    inside = encrypt(server_context(), reply(http("[5]")))
    with Server(inside) as server, proxy:
        url = f"{scheme}://me:{SECRET}@127.0.0.1:{proxy.port}"
        found = get(server.port, scheme="https", proxy=url, ssl_context=client_context())

    assert [5] == found


def test_the_environments_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the connections do, unless trust_env is off."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with Server(reply(http("[5]"))) as server, HttpProxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        assert [5] == get(server.port, trust_env=True)
        assert [5] == get(server.port, trust_env=False)

    assert 1 == len(proxy.heads)


def test_what_the_user_has_to_mend_is_not_tried_again() -> None:
    """A refused certificate, a proxy that wants other credentials."""
    with (
        Server(encrypt(server_context(), reply(http("[]")))) as server,
        pytest.raises(CertificateError),
    ):
        get(server.port, scheme="https")
    with (
        Server(reply("HTTP/1.1 407 Who are you\r\n\r\n")) as proxy,
        pytest.raises(ConfigurationError, match="407"),
    ):
        get(1, proxy=f"http://me:{SECRET}@127.0.0.1:{proxy.port}")

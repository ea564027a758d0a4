"""Listing an account page by page, against a server on the loopback interface."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from kit.loopback import Server, read_head, wait_for_end

from polymarket_ws.credentials import Credentials
from polymarket_ws.errors import AuthenticationError, ConfigurationError
from polymarket_ws.options import Options
from polymarket_ws.rest import client, clob
from polymarket_ws.rest.clob import ClobAccount
from polymarket_ws.rest.failures import KeyRefused, RequestFailed, UnexpectedAnswer
from polymarket_ws.rest.signing import signature

KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
ADDRESS, HOLDER = "0x" + "1" * 40, "0x" + "2" * 40


class Service(Server):
    """Answers each request by a function of its path and query; keeps the heads."""

    def __init__(
        self, answer: Callable[[str, dict[str, str]], Any], status: str = "200 OK"
    ) -> None:
        self.heads: list[dict[str, str]] = []
        self.targets: list[str] = []
        self.status = status
        self.date: float | None = None
        self.kind = "Content-Type: application/json\r\n"
        self._answer_to = answer
        super().__init__(self._serve_one)

    def _serve_one(self, connection: Any) -> None:
        lines = read_head(connection).split("\r\n")
        target = lines[0].split()[1]
        self.targets.append(target)
        self.heads.append({k.upper(): v for k, _, v in (x.partition(": ") for x in lines[1:])})
        parts = urlsplit(target)
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        body = json.dumps(self._answer_to(parts.path, query))
        date = "" if self.date is None else f"Date: {formatdate(self.date, usegmt=True)}\r\n"
        head = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(body)}\r\n{date}{self.kind}\r\n"
        connection.sendall((head + body).encode())
        wait_for_end(connection)


def account(server: Server, wall: float = 1_790_000_000.0) -> ClobAccount:
    """Of this server, at a fixed time."""
    url = f"http://127.0.0.1:{server.port}"
    options = Options(rest_url=url, data_url=url, trust_env=False)
    return ClobAccount(
        Credentials("key", KEY, "phrase"), ADDRESS, HOLDER, options, wall=lambda: wall
    )


@pytest.fixture(autouse=True)
def _short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_JITTER", 0.01)
    monkeypatch.setattr(client, "_BACKOFF_BASE", 0.01)


def test_all_pages_are_read() -> None:
    """The cursor of each page asks for the next, until the base64 of -1."""
    pages = {"": (["a", "b"], "MQ=="), "MQ==": (["c"], "LTE=")}

    def answer(path: str, query: dict[str, str]) -> object:
        ids, cursor = pages[query.get("next_cursor", "")]
        return {"data": [{"id": id_} for id_ in ids], "next_cursor": cursor}

    with Service(answer) as server:
        rows = list(account(server).open_orders())

    assert ["a", "b", "c"] == [row["id"] for row in rows]
    assert ["/data/orders", "/data/orders?next_cursor=MQ%3D%3D"] == server.targets


def test_the_path_is_signed_without_its_query() -> None:
    """With the time of the request."""
    with Service(lambda path, query: {"data": []}) as server:
        list(account(server).trades(after_seconds=5.7, id="t1"))

    (head,) = server.heads
    assert ["/data/trades?id=t1&after=5"] == server.targets
    assert "1790000000" == head["POLY_TIMESTAMP"]
    assert signature(KEY, "1790000000GET/data/trades") == head["POLY_SIGNATURE"]
    assert ADDRESS == head["POLY_ADDRESS"]


@pytest.mark.parametrize(
    "answer", [{"data": [1], "next_cursor": "MQ=="}, [], {"rows": []}, {"data": {}}]
)
def test_what_are_no_pages_is_told(answer: object) -> None:
    """A list that goes in circles, too."""
    with Service(lambda path, query: answer) as server, pytest.raises(UnexpectedAnswer):
        list(account(server).open_orders())


def test_a_list_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cursor is new."""
    monkeypatch.setattr(clob, "_MOST_PAGES", 3)
    count = iter(range(100))
    pages = lambda path, query: {"data": [], "next_cursor": str(next(count) + 1)}  # noqa: E731
    with Service(pages) as server, pytest.raises(UnexpectedAnswer, match="more than 3 pages"):
        list(account(server).open_orders())


def test_positions_are_those_of_the_holder() -> None:
    """Unsigned, by offsets."""
    with Service(
        lambda path, query: [{"asset": "1"}] * (500 if query["offset"] == "0" else 2)
    ) as server:
        rows = list(account(server).positions())

    assert 502 == len(rows)
    assert {HOLDER} == {parse_qs(urlsplit(t).query)["user"][0] for t in server.targets}
    assert not any("POLY_API_KEY" in head for head in server.heads)


def test_positions_without_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that ignores the offset."""
    monkeypatch.setattr(clob, "_MOST_POSITIONS", 1000)
    with Service(lambda path, query: [{}] * 500) as server, pytest.raises(UnexpectedAnswer):
        list(account(server).positions())


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_a_refused_key_is_told(status: str) -> None:
    """And asked once: it is no better the second time."""
    with Service(lambda path, query: {"error": "Invalid api key"}, status) as server:
        server.date = 1_790_000_001.0
        with pytest.raises(KeyRefused):
            list(account(server).open_orders())

    assert 1 == len(server.heads)


@pytest.mark.parametrize(
    ("status", "kind"), [("404 Not Found", "application/json"), ("403 Forbidden", "text/html")]
)
def test_another_failure_is_not_the_keys(status: str, kind: str) -> None:
    """A wrong URL; a page of what stands before the service."""
    refusing = Service(lambda path, query: {}, status)
    refusing.kind = f"Content-Type: {kind}\r\n"
    with refusing as server, pytest.raises(RequestFailed) as caught:
        list(account(server).open_orders())

    assert not isinstance(caught.value, KeyRefused)


def test_a_wrong_clock_is_put_right_by_the_servers() -> None:
    """The refusal tells the server's time, with which the same request is signed again."""
    service_time = 1_790_000_100.0

    def answer(path: str, query: dict[str, str]) -> object:
        is_right = server.heads[-1]["POLY_TIMESTAMP"] == str(int(service_time))
        server.status = "200 OK" if is_right else "401 Unauthorized"
        return {"data": []}

    with Service(answer) as server:
        server.date = service_time
        asked = account(server)
        assert [] == list(asked.open_orders())
        list(asked.trades(after_seconds=50.0))

    assert 100 == asked.clock_offset
    assert "/data/trades?after=50" == server.targets[-1]
    assert ["1790000000", "1790000100", "1790000100"] == [h["POLY_TIMESTAMP"] for h in server.heads]


def test_a_date_that_is_none_changes_nothing() -> None:
    """The header is not ours."""
    with Service(lambda path, query: {"data": []}, "200 OK\r\nDate: yesterday") as server:
        asked = account(server)
        list(asked.open_orders())

    assert 0 == asked.clock_offset


def test_nothing_is_asked_after_stop() -> None:
    """Nor waited for."""
    with Service(lambda path, query: {"data": []}) as server:
        asked = account(server)
        asked.stop()
        began_at = time.monotonic()
        with pytest.raises(RequestFailed):
            list(asked.open_orders())

    assert time.monotonic() - began_at < 20


def test_two_hosts_whose_clocks_differ_are_asked_once_more() -> None:
    """And not for ever: each refusal tells another time."""
    times = iter(range(1_790_000_100, 1_790_100_000, 100))

    def answer(path: str, query: dict[str, str]) -> object:
        server.date = float(next(times))
        return {"error": "Invalid timestamp"}

    with Service(answer, "401 Unauthorized") as server, pytest.raises(KeyRefused):
        list(account(server).open_orders())

    assert 2 == len(server.heads)


@pytest.mark.parametrize("phrase", ["phrase\n", "pässe"])
def test_a_part_that_fits_in_no_header_shows_nowhere(phrase: str) -> None:
    """The error of the HTTP library would show it."""
    if phrase.endswith("\n"):
        with pytest.raises(ConfigurationError, match="strip") as refused:
            Credentials("key", KEY, phrase)
        assert "phrase has" in str(refused.value)
        return
    with Service(lambda path, query: {"data": []}) as server:
        asked = account(server)
        asked.credentials = Credentials("key", KEY, phrase)
        with pytest.raises(AuthenticationError, match="no HTTP header") as caught:
            list(asked.open_orders())
    assert phrase not in str(caught.value)

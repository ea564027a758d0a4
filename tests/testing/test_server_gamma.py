"""FakeServer in the place of Gamma, as an HTTP client of the standard library sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from kit.server_clients import subscribed

from polymarket_ws.testing import FakeServer, SimulatedExchange, make_book


@pytest.fixture
def market_server() -> Iterator[FakeServer]:
    """A server with the markets of an exchange."""
    with FakeServer(SimulatedExchange(seed=5), connects_per_second=1) as server:
        yield server


def get(server: FakeServer, target: str) -> tuple[int, str, Any]:
    """Status, content type and document."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", target)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    kind = response.headers["Content-Type"]
    return response.status, kind, json.loads(body) if kind == "application/json" else body


def test_a_market_has_the_captured_shape(market_server: FakeServer) -> None:
    """Lists as JSON texts, numbers as numbers, its event beside it."""
    status, kind, market = get(market_server, "/markets/slug/simulated-market-1?x=y")
    exchange = market_server.exchange
    assert exchange is not None

    assert (200, "application/json") == (status, kind)
    assert exchange.asset_ids[:2] == tuple(json.loads(market["clobTokenIds"]))
    assert '["Yes", "No"]' == market["outcomes"]
    assert 0.01 == market["orderPriceMinTickSize"]
    assert ("v1", False, True) == (market["version"], market["closed"], market["acceptingOrders"])
    assert ["simulated-market-1"] == [event["slug"] for event in market["events"]]


def test_an_event_has_its_markets(market_server: FakeServer) -> None:
    """Which do not name it again."""
    _, _, event = get(market_server, "/events/slug/simulated-market-1")

    assert "simulated-market-1" == event["slug"]
    assert [False] == ["events" in market for market in event["markets"]]


def test_a_listing_has_closed_markets_only_on_request(market_server: FakeServer) -> None:
    """As /markets/keyset: open ones, or with closed=true the closed ones."""
    exchange = market_server.exchange
    assert exchange is not None
    first, second = exchange.markets[:2]
    market_server.play(lambda exchange: exchange.resolve(first))
    query = f"/markets/keyset?condition_ids={first}&condition_ids={second.upper()}"
    found = [
        [market["conditionId"] for market in get(market_server, target)[2]["markets"]]
        for target in (query, f"{query}&closed=true", "/markets/keyset")
    ]

    assert [[second], [first], []] == found


def test_what_is_unknown_is_404(market_server: FakeServer) -> None:
    """In JSON where the path is Gamma's."""
    assert (404, "application/json") == get(market_server, "/markets/slug/nothing")[:2]
    assert (404, "application/json") == get(market_server, "/events/slug/nothing")[:2]
    assert 404 == get(market_server, "/events")[0]


def test_requests_are_no_handshakes(market_server: FakeServer) -> None:
    """They are not counted by connects_per_second, and are on record."""
    for _ in range(3):
        assert 200 == get(market_server, "/markets/slug/simulated-market-1")[0]

    record = market_server.connections[0]
    assert ("/markets/slug/simulated-market-1", 200) == (record.path, record.status)


def test_markets_can_be_added(server: FakeServer) -> None:
    """Without an exchange too; a newer one replaces that of the same slug."""
    for question in ("Old?", "New?"):
        server.add_market({"slug": "x", "question": question, "events": [{"slug": "e"}]})

    assert "New?" == get(server, "/markets/slug/x")[2]["question"]
    assert 1 == len(get(server, "/events/slug/e")[2]["markets"])


def test_faults_happen_to_the_next_requests(market_server: FakeServer) -> None:
    """A status, a page, other names: once, some times, or until clear()."""
    target, faults = "/markets/slug/simulated-market-1", market_server.faults
    faults.gamma(429, {"Retry-After": "2"})
    faults.gamma(body="<html>")
    faults.gamma(rename={"clobTokenIds": "tokens"})
    faults.gamma(500, times=None)
    answers = [get(market_server, target) for _ in range(4)]

    assert [429, 200, 200, 500] == [answer[0] for answer in answers]
    assert ("text/html; charset=utf-8", "<html>") == answers[1][1:]
    assert ("tokens" in answers[2][2], "clobTokenIds" in answers[2][2]) == (True, False)
    faults.clear()
    assert 200 == get(market_server, target)[0]


def test_the_channels_go_on_meanwhile(server: FakeServer) -> None:
    """One port serves both."""
    with subscribed(server):
        assert 404 == get(server, "/markets/slug/x")[0]
        assert 1 == server.send(make_book("1"))

"""What FakeServer's REST answers do wrong on request."""

from __future__ import annotations

import json
import math
import random
import threading
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from http.client import IncompleteRead
from typing import Any, cast

import pytest
from kit.rest_client import ask, rows, signed
from kit.server_clients import client, say, text

from polymarket_ws.testing import FakeServer, SimulatedExchange
from polymarket_ws.testing.http_messages import HttpRequest
from polymarket_ws.testing.rest_answers import RestAnswers
from polymarket_ws.testing.rest_faults import Lag, RestFaults

ORDERS, TRADES = "/data/orders", "/data/trades"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """Its user has five open orders."""
    exchange = SimulatedExchange(seed=3, markets=1)
    yes = exchange.asset_ids[0]
    for _ in range(5):
        exchange.place(yes, "BUY", exchange.book(yes).bids[0].price, "50", own=True)
    with FakeServer(exchange) as server:
        yield server


def ids(server: FakeServer) -> list[str]:
    """Of the orders that REST lists."""
    return [row["id"] for row in rows(server, ORDERS)]


def own(server: FakeServer) -> list[str]:
    """Of the orders that are open."""
    assert server.exchange is not None
    return [order.id for order in server.exchange.open_orders if order.own]


def test_faults_are_used_up_by_requests(server: FakeServer) -> None:
    """A status, a page, wrong JSON: some times, until they are ended, for some paths alone."""
    faults = server.faults
    faults.rest(425, times=2)
    faults.rest(429, {"Retry-After": "2"}, path=TRADES)
    faults.rest(body="<html>")
    faults.rest(body='{"data": 5}')
    answers = [ask(server, path) for path in (ORDERS, TRADES, TRADES, ORDERS, ORDERS, ORDERS)]
    faults.rest(503, times=None)
    last = [ask(server, ORDERS)[0], ask(server, ORDERS)[0]]
    faults.end_rest()

    assert [425, 425, 429, 200, 200, 200] == [answer[0] for answer in answers]
    assert "2" == answers[2][2]["Retry-After"]
    assert ["<html>", {"data": 5}] == [answer[1] for answer in answers[3:5]]
    assert [503, 503, 200] == [*last, ask(server, ORDERS)[0]]
    assert [425, 425, 429] == [request.status for request in server.rest_requests[:3]]


def test_half_an_answer(server: FakeServer) -> None:
    """The connection ends in the middle of the body."""
    server.faults.rest(cut=True)

    with pytest.raises(IncompleteRead):
        ask(server, ORDERS)


def test_an_answer_can_be_held_back(server: FakeServer) -> None:
    """For some seconds, or until it is released; the channels go on meanwhile."""
    server.faults.rest(seconds=0.05)
    began = time.monotonic()
    assert 200 == ask(server, ORDERS)[0]
    assert time.monotonic() - began >= 0.05

    server.faults.rest(seconds=math.inf)
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(ask(server, ORDERS)[0]))
    asking.start()
    assert server.wait_until(lambda: len(server.rest_requests) == 2)
    with client(server) as channel:
        say(channel, type="market", assets_ids=["1"])
        assert "[]" == text(channel)
    assert [] == answers
    server.faults.end_rest()
    asking.join(10)
    assert [200] == answers


def test_the_clock_may_differ(server: FakeServer) -> None:
    """A right timestamp is then refused; the answer's Date says what the time is there."""
    server.faults.rest_clock(3600)
    status, _, headers = ask(server, ORDERS)
    there = int(parsedate_to_datetime(headers["Date"]).timestamp())

    assert 401 == status
    assert 200 == ask(server, ORDERS, headers=signed(ORDERS, timestamp=there))[0]


def test_answers_may_lag_by_the_exchanges_time(server: FakeServer) -> None:
    """They show the exchange as it was; never more than the lag ago."""
    before = own(server)
    server.play(lambda exchange: exchange.advance(10_000))
    server.play(lambda exchange: exchange.cancel(before[0]))
    server.faults.rest_lag(2.0)
    seen = {len(ids(server)) for _ in range(3)}
    server.play(lambda exchange: exchange.advance(2_000))

    assert {5} == seen
    assert own(server) == ids(server)


def test_answers_may_lag_by_the_servers_clock(server: FakeServer) -> None:
    """Which runs on while the exchange stands still."""
    exchange, now, faults = server.exchange, [1000.0], RestFaults()
    assert exchange is not None
    answers = RestAnswers(
        lambda: exchange, exchange.snapshot, lambda act: None, None, faults, lambda: now[0]
    )

    def orders() -> int:
        headers = {n.lower(): v for n, v in signed(ORDERS, timestamp=int(now[0])).items()}
        answer = answers.answer(HttpRequest("GET", ORDERS, headers))
        assert answer is not None
        return int(json.loads(answer.body)["count"])

    faults.lag = Lag(2.0, "server", cast(random.Random, Longest()))
    assert 5 == orders()
    for order_id in own(server)[:3]:
        answers.note()
        exchange.cancel(order_id)
        answers.note()
        now[0] += 1
    assert [4, 3, 2, 2] == [orders() for now[0] in (1002.5, 1003.5, 1004.0, 1100.0)]


class Longest:
    """Draws the longest lag."""

    def uniform(self, low: float, high: float) -> float:
        """The highest number."""
        return high


def test_pages_may_tear(server: FakeServer) -> None:
    """An order that goes between two pages moves the others: one of them is on neither."""
    server.rest_style.page_size = 2
    first, *others = own(server)
    server.faults.tear_pages()
    assert [first, others[0], *others[2:]] == ids(server)
    assert [first, *others] == ids(server)

    server.faults.tear_pages(lambda exchange: exchange.cancel(first))
    assert [first, others[0], *others[2:]] == ids(server)
    assert others == ids(server)


def test_rejections_are_for_handshakes(server: FakeServer) -> None:
    """A request in between leaves them to the next handshake."""
    server.faults.reject(503)

    assert 200 == ask(server, ORDERS)[0]
    assert 503 == ask(server, "/ws/market", headers={})[0]


@pytest.mark.parametrize(
    ("style", "kind", "field", "shown"),
    [
        ({"base_units": True}, ORDERS, "original_size", "50000000"),
        ({"prefixes": True}, ORDERS, "status", "ORDER_STATUS_LIVE"),
        ({"prefixes": True}, TRADES, "status", "TRADE_STATUS_CONFIRMED"),
    ],
    ids=str,
)
def test_styles_of_rows(
    server: FakeServer, style: dict[str, Any], kind: str, field: str, shown: str
) -> None:
    """Units and prefixes, of which captures and documentation disagree."""
    assert server.exchange is not None
    yes = server.exchange.asset_ids[0]
    server.play(lambda exchange: exchange.trade(yes, "BUY", "15", own=True))
    for name, value in style.items():
        setattr(server.rest_style, name, value)

    assert shown == rows(server, kind)[0][field]


def test_makers_prices_may_have_float_noise(server: FakeServer) -> None:
    """As captured: "0.7210000476613491"."""
    assert server.exchange is not None
    yes = server.exchange.asset_ids[0]
    server.play(lambda exchange: exchange.trade(yes, "SELL", "2000"))
    [trade] = rows(server, TRADES)
    server.rest_style.float_noise = True
    [noisy] = rows(server, TRADES)
    plain, other = (row["maker_orders"][0]["price"] for row in (trade, noisy))

    assert other.startswith(plain)
    assert 16 <= len(other)

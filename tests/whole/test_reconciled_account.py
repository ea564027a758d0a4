"""One's own account from outside: listed over REST, reconciled after a cut, refused, restarted."""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Iterator
from decimal import Decimal

import pytest
from kit.accounts import SIGNER, Course, credentials_of
from kit.recorder import DEADLINE, Recorder

from polymarket_ws import Credentials, Subscriber
from polymarket_ws.errors import AuthenticationError, OrderEnded, ReconciliationFailed
from polymarket_ws.rest import client
from polymarket_ws.testing import FakeServer, SimulatedExchange

QUICK = {"backoff_base": 0.01, "backoff_cap": 0.05, "rest_staleness": 0.0}


@pytest.fixture(autouse=True)
def _short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_JITTER", 0.01)
    monkeypatch.setattr(client, "_BACKOFF_BASE", 0.01)


@pytest.fixture
def exchange() -> SimulatedExchange:
    """Two markets, in which only the test does anything."""
    return SimulatedExchange(3, 2, min_order_size=Decimal(1))


@pytest.fixture
def server(exchange: SimulatedExchange) -> Iterator[FakeServer]:
    """Lets in the exchange's user alone."""
    with FakeServer(exchange, credentials=credentials_of(exchange)) as server:
        yield server


def subscriber(server: FakeServer, credentials: Credentials, **options: object) -> Subscriber:
    """Of the user channel."""
    return Subscriber(credentials=credentials, options=server.options(**{**QUICK, **options}))


def place(server: FakeServer, price: str = "0.01", size: str = "50") -> str:
    """An own order that rests far from the others; its id."""
    (event,) = (
        event
        for event in server.play(lambda e: e.place(e.asset_ids[0], "BUY", price, size, own=True))
        if event["event_type"] == "order"
    )
    return str(event["id"])


def cut(server: FakeServer, sub: Subscriber, *acts: object) -> None:
    """Lose the user channel, let things happen meanwhile, and wait until it is open again."""
    generation = sub.stats().connections[0].generation
    server.faults.reject(502, times=None)
    server.disconnect(1012, channel="user")
    assert sub._wait_until(lambda: sub.stats().connections[0].state == "waiting", DEADLINE)
    for act in acts:
        server.play(act)  # type: ignore[arg-type]
    server.faults.clear()
    assert sub._wait_until(lambda: sub.stats().connections[0].generation > generation, DEADLINE)


def wait_complete(sub: Subscriber) -> None:
    """Reconciled."""
    assert sub._wait_until(lambda: sub.account.complete, DEADLINE)


@pytest.mark.parametrize("seed", [4, 101])
def test_a_busy_account_ends_as_the_exchange_has_it(seed: int) -> None:
    """Through cuts, doubled and late messages, and listings that are stale."""
    course = Course(seed, orders=120, cuts=4, staleness=0.1)
    course.run()

    assert 4 == len(course.seconds_to_complete)


def test_a_busy_account_without_rest_never_says_complete() -> None:
    """What the channel told is shown, and each status once."""
    Course(5, orders=80, cuts=2, rest=False).run()


def test_what_was_there_before_the_start_is_known_when_ready(
    exchange: SimulatedExchange, server: FakeServer
) -> None:
    """And not told."""
    order_id = place(server)
    exchange.give(exchange.asset_ids[0], 70, "0.25")
    server.play(lambda e: e.advance(60_000))
    sub = subscriber(server, credentials_of(exchange))
    told = Recorder()
    sub.on_order(told)
    with sub:
        sub.wait_ready(DEADLINE)

        assert sub.account.complete
        assert sub.healthy
        assert [order_id] == [order.id for order in sub.account.open_orders()]
        position = sub.account.position(exchange.asset_ids[0])
        assert (70, Decimal("0.25")) == (position.size, position.average_price)
    assert not told.items


def test_an_outage_is_told_before_its_resync(
    exchange: SimulatedExchange, server: FakeServer
) -> None:
    """A cancelled order, a trade and its fill, each with its source; then nothing is missing."""
    asset = exchange.asset_ids[0]
    sub = subscriber(server, credentials_of(exchange))
    told = Recorder()
    for register in (sub.on_gap, sub.on_resync, sub.on_order, sub.on_trade, sub.on_fill):
        register(told)
    with sub:
        sub.wait_ready(DEADLINE)
        cancelled = place(server)
        server.settle(sub, DEADLINE)
        cut(
            server,
            sub,
            lambda e: e.cancel(cancelled),
            lambda e: e.trade(asset, "BUY", "20", own=True),
        )
        wait_complete(sub)
        server.settle(sub, DEADLINE)

        kinds = [(event.event_type, getattr(event, "source", "")) for event in told.items]
        assert [
            ("order", "stream"),
            ("gap", ""),
            ("trade", "rest"),
            ("fill", "rest"),
            ("order", "rest"),
            ("resync", ""),
        ] == kinds
        assert "UNKNOWN" == sub.account.orders[cancelled].status
        assert 20 == sub.account.position(asset).confirmed
        stats = sub.stats()
        assert (2, 0, 1) == (stats.reconciliations, stats.rest_failures, stats.resyncs)


@pytest.mark.parametrize("style", ["base units", "prefixes", "newest first", "small pages"])
def test_every_style_of_listing_is_understood(
    exchange: SimulatedExchange, server: FakeServer, style: str
) -> None:
    """Millionths of a share are known by an order that the channel told."""
    server.rest_style.base_units = style == "base units"
    server.rest_style.prefixes = style == "prefixes"
    server.rest_style.newest_first = style == "newest first"
    server.rest_style.page_size = 1 if style == "small pages" else 300
    asset = exchange.asset_ids[0]
    sub = subscriber(server, credentials_of(exchange))
    with sub:
        sub.wait_ready(DEADLINE)
        kept = place(server)
        server.settle(sub, DEADLINE)
        cut(
            server,
            sub,
            lambda e: e.place(asset, "BUY", "0.02", "60", own=True),
            lambda e: e.trade(asset, "BUY", "20", own=True),
            lambda e: e.trade(asset, "BUY", "30", own=True, failed=True),
        )
        wait_complete(sub)

        sizes = {order.price: order.original_size for order in sub.account.open_orders()}
        assert {Decimal("0.01"): 50, Decimal("0.02"): 60} == sizes
        assert kept in sub.account.orders
        assert ["CONFIRMED", "FAILED"] == [fill.status for fill in sub.account.fills()]
        assert 20 == sub.account.position(asset).size


def test_torn_pages_end_no_order(exchange: SimulatedExchange, server: FakeServer) -> None:
    """A page misses a row; the next listing has it."""
    server.rest_style.page_size = 2
    sub = subscriber(server, credentials_of(exchange))
    with sub:
        sub.wait_ready(DEADLINE)
        ids = {place(server) for _ in range(5)}
        server.settle(sub, DEADLINE)
        server.faults.tear_pages(times=1)
        generation = sub.stats().connections[0].generation
        server.disconnect(1012, channel="user")
        assert sub._wait_until(lambda: sub.stats().connections[0].generation > generation, DEADLINE)
        wait_complete(sub)

        assert ids == {order.id for order in sub.account.open_orders()}


def test_wrong_keys_are_told_by_rest(server: FakeServer) -> None:
    """After two refusals, whatever the channel does."""
    sub = subscriber(server, Credentials("wrong", "c2VjcmV0", "phrase", address=SIGNER))
    with pytest.raises(AuthenticationError, match=r"REST refuses the API key.*address"), sub:
        sub.wait_ready(DEADLINE)

    statuses = [request.status for request in server.rest_requests]
    assert {401} == set(statuses)
    assert len(statuses) <= 3  # one more, since the first told the server's clock


def test_a_secret_that_cannot_sign_is_told_at_once(server: FakeServer) -> None:
    """It is no base64 text."""
    sub = subscriber(server, Credentials("wrong", "no base64!", "phrase", address=SIGNER))
    with pytest.raises(AuthenticationError, match="not URL-safe base64"), sub:
        sub.wait_ready(DEADLINE)


def test_a_busy_server_is_not_taken_for_wrong_keys(
    exchange: SimulatedExchange, server: FakeServer
) -> None:
    """It closes right after the credentials, ten times; REST knows the key."""
    server.faults.bad_credentials(10)
    sub = subscriber(server, credentials_of(exchange))
    with sub:
        sub.wait_ready(DEADLINE)
        assert sub.account.complete


def test_a_restarting_engine_is_not_taken_for_wrong_keys(
    exchange: SimulatedExchange, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """425 for a while, and no channel; nothing is lost, and what holds it up is told."""
    order_id = place(server)
    sub = subscriber(server, credentials_of(exchange))
    errors = Recorder()
    sub.on_error(errors)
    server.faults.rest(425, times=None)
    server.faults.bad_credentials(5)
    with sub:
        with pytest.raises(TimeoutError, match=r"own orders and trades over REST.*425"):
            sub.wait_ready(2)
        assert not sub.healthy
        server.faults.end_rest()
        sub.wait_ready(DEADLINE)

        assert [order_id] == [order.id for order in sub.account.open_orders()]
    assert {ReconciliationFailed} == {type(error) for error in errors.items}
    assert "the matching engine restarts" in str(errors.items[0])


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 429, "headers": {"Retry-After": "0"}},
        {"cut": True},
        {"body": "<html>maintenance</html>"},
        {"body": "[]"},
    ],
)
def test_a_listing_that_fails_is_asked_for_again(
    exchange: SimulatedExchange, server: FakeServer, fault: dict[str, object]
) -> None:
    """Until it comes."""
    order_id = place(server)
    server.faults.rest(**fault, times=6)  # type: ignore[arg-type]
    with subscriber(server, credentials_of(exchange)) as sub:
        sub.wait_ready(DEADLINE)
        assert [order_id] == [order.id for order in sub.account.open_orders()]


def test_clocks_that_differ(exchange: SimulatedExchange, server: FakeServer) -> None:
    """The server's is ten minutes ahead, and it refuses old timestamps."""
    server.faults.rest_clock(600)
    place(server)
    with subscriber(server, credentials_of(exchange)) as sub:
        sub.wait_ready(DEADLINE)
        assert 1 == len(sub.account.open_orders())


def test_stop_ends_a_listing_that_hangs(exchange: SimulatedExchange, server: FakeServer) -> None:
    """Every thread, within the usual time."""
    server.faults.rest(seconds=math.inf)
    sub = subscriber(server, credentials_of(exchange))
    with sub:
        assert server.wait_until(lambda: not server.rest_requests, DEADLINE)
        assert sub._wait_until(lambda: sub.state == "LIVE", DEADLINE)
        assert sub.stop(DEADLINE)
    assert not sub.account.complete


def test_without_an_address_only_the_caller_can_tell(
    exchange: SimulatedExchange, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once; the gap ends as ever, and nothing says complete."""
    key, secret, passphrase = credentials_of(exchange).reveal()
    sub = subscriber(server, Credentials(key, secret, passphrase))
    resyncs = Recorder()
    sub.on_resync(resyncs)
    assert not sub.account.confirm()
    with caplog.at_level(logging.WARNING), sub:
        sub.wait_ready(DEADLINE)
        assert not sub.account.complete
        assert sub.account.confirm()
        assert sub.account.complete

        cut(server, sub)
        resyncs.wait_for(1)
        assert not sub.account.complete
        assert sub.account.confirm()
    assert not sub.account.complete
    assert not sub.account.confirm()
    assert 1 == sum("address" in record.getMessage() for record in caplog.records)
    assert not server.rest_requests


def test_without_the_extra_it_is_said(
    exchange: SimulatedExchange,
    server: FakeServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How to install it."""
    monkeypatch.delitem(sys.modules, "polymarket_ws.rest.clob", raising=False)
    monkeypatch.delitem(sys.modules, "polymarket_ws.rest.client", raising=False)
    monkeypatch.setitem(sys.modules, "urllib3", None)
    with caplog.at_level(logging.WARNING), subscriber(server, credentials_of(exchange)) as sub:
        sub.wait_ready(DEADLINE)
        assert not sub.account.complete
    assert "pip install 'polymarket-ws[rest]'" in caplog.text


def test_reconcile_can_be_switched_off(
    exchange: SimulatedExchange, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a word: it was asked for."""
    sub = subscriber(server, credentials_of(exchange), reconcile=False)
    with caplog.at_level(logging.WARNING), sub:
        sub.wait_ready(DEADLINE)
        assert not sub.account.complete
    assert not caplog.records


def test_an_order_that_was_filled_in_an_outage_is_waited_for(
    exchange: SimulatedExchange, server: FakeServer
) -> None:
    """Known from REST alone; the other one was cancelled."""
    with subscriber(server, credentials_of(exchange)) as sub:
        sub.wait_ready(DEADLINE)
        asset = exchange.asset_ids[0]
        best = exchange.book(asset).bids[0].price
        filled, cancelled = place(server, str(best)), place(server)
        server.settle(sub, DEADLINE)
        everything = sum(level.size for level in exchange.book(asset).bids)
        cut(
            server,
            sub,
            lambda e: e.trade(asset, "SELL", everything - 50),
            lambda e: e.cancel(cancelled) if cancelled in _open(e) else [],
        )

        (order,) = sub.account.wait_filled(filled, timeout=DEADLINE)
        assert 50 == order.size_matched
        with pytest.raises(OrderEnded) as caught:
            sub.account.wait_filled([filled, cancelled], timeout=DEADLINE)
        assert cancelled == caught.value.order.id


def _open(exchange: SimulatedExchange) -> set[str]:
    return {order.id for order in exchange.open_orders}


def test_a_message_that_is_not_understood_is_made_up_for(
    exchange: SimulatedExchange, server: FakeServer
) -> None:
    """It may have been an order: the account is not complete until REST was asked."""
    with subscriber(server, credentials_of(exchange)) as sub:
        sub.wait_ready(DEADLINE)
        before = sub.stats().reconciliations
        server.send('{"event_type": "order", "status": "LIVE"}', channel="user")

        assert sub._wait_until(lambda: sub.stats().decode_errors == 1, DEADLINE)
        assert sub._wait_until(lambda: sub.stats().reconciliations > before, DEADLINE)
        assert sub.account.complete


def test_one_more_market_is_reconciled(exchange: SimulatedExchange, server: FakeServer) -> None:
    """What it had before it was subscribed is listed."""
    first, second = exchange.markets
    server.play(lambda e: e.place(e.asset_ids[2], "BUY", "0.01", "50", own=True))
    options = server.options(**QUICK)
    with Subscriber(credentials=credentials_of(exchange), markets=[first], options=options) as sub:
        sub.wait_ready(DEADLINE)
        assert () == sub.account.open_orders()
        before = sub.stats().reconciliations

        sub.subscribe(markets=[second])
        assert sub._wait_until(lambda: sub.stats().reconciliations > before, DEADLINE)
        assert sub._wait_until(lambda: bool(sub.account.open_orders()), DEADLINE)
        wait_complete(sub)


def test_two_accounts_share_nothing(exchange: SimulatedExchange, server: FakeServer) -> None:
    """Each has its own server, key and orders."""
    other = SimulatedExchange(9, 1, api_key="00000000-0000-0000-0000-000000000002")
    with FakeServer(other, credentials=credentials_of(other)) as second:
        ids = place(server), place(second)
        with (
            subscriber(server, credentials_of(exchange)) as one,
            subscriber(second, credentials_of(other)) as two,
        ):
            one.wait_ready(DEADLINE)
            two.wait_ready(DEADLINE)
            assert ids == tuple(sub.account.open_orders()[0].id for sub in (one, two))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_not_complete(exchange: SimulatedExchange, server: FakeServer) -> None:
    """No thread feeds it."""
    with subscriber(server, credentials_of(exchange)) as sub:
        sub.wait_ready(DEADLINE)
        child = os.fork()
        if child == 0:
            os._exit(1 if sub.account.complete else 0)
        assert 0 == os.waitpid(child, 0)[1]
        assert sub.account.complete

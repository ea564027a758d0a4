"""`sub.account` over a real loopback WebSocket: told by one thread, waited for on another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from kit.recorder import DEADLINE, Recorder

from polymarket_ws import Credentials, Fill, Order, Side, Subscriber, Trade
from polymarket_ws.errors import CallbackError, OrderEnded, PolymarketWsError, QueueOverflow
from polymarket_ws.testing import FakeServer, make_maker_order, make_order, make_trade

KEYS = Credentials("key-1", "VE9QU0VDUkVU", "PASSPHRASE9")
MARKET, OTHER = "0x" + "a" * 64, "0x" + "b" * 64


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that takes any key."""
    with FakeServer() as server:
        yield server


@pytest.fixture
def sub(server: FakeServer) -> Iterator[Subscriber]:
    """A started subscriber of the user channel."""
    with Subscriber(credentials=KEYS, options=server.options()) as sub:
        server.wait_for_connection("user")
        yield sub


def settle(server: FakeServer, sub: Subscriber) -> None:
    """Wait until all that was sent is taken and told."""
    server.settle(sub, timeout=DEADLINE)


def test_a_fill_is_told_after_its_trade(server: FakeServer, sub: Subscriber) -> None:
    """To on_fill, with filters, to events(Fill) and to on_event; and it is in the account."""
    every, named, filtered, elsewhere = Recorder(), Recorder(), Recorder(), Recorder()
    sub.on_event(every)
    sub.on_fill(named)
    sub.on_fill(filtered, asset_id="2", market=MARKET)
    sub.on_fill(elsewhere, market=OTHER)
    maker = make_maker_order("mine", "3", "0.6", asset_id="2", owner="x", side="BUY")
    with sub.events(Fill, timeout=DEADLINE) as fills:
        server.send(make_order("2", "BUY", "0.6", id="mine", market=MARKET))
        for status in ("MATCHED", "CONFIRMED"):
            trade = make_trade("1", status=status, owner="x", market=MARKET, trader_side="MAKER")
            server.send({**trade.to_dict(), "maker_orders": [maker.to_dict()]})
        settle(server, sub)
        pulled = [next(fills), next(fills)]

    assert [Order, Trade, Fill, Trade, Fill] == [type(event) for event in every.items]
    assert pulled == named.items == filtered.items
    assert [] == elsewhere.items
    assert ["MATCHED", "CONFIRMED"] == [fill.status for fill in pulled]
    assert (pulled[1],) == sub.account.fills(market=MARKET)
    assert (Side.BUY, 3, "MAKER", "stream") == (
        pulled[0].side,
        pulled[0].size,
        pulled[0].role,
        pulled[0].source,
    )
    assert (3, Decimal("0.6")) == (
        sub.account.position("2").confirmed,
        sub.account.positions["2"].average_price,
    )


def test_waiting_ends_when_the_channel_tells_it(server: FakeServer, sub: Subscriber) -> None:
    """On another thread; afterwards it returns at once, and is over with a cancelled order."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(sub.account.wait_filled, ["a"], timeout=DEADLINE)
        server.send(make_order(id="a"))
        server.send(make_order(id="a", type="UPDATE", status="MATCHED", size_matched="10"))
        [found] = waiting.result(DEADLINE)
    server.send(make_order(id="b", type="CANCELLATION", status="CANCELED"))

    assert found is sub.orders["a"] is sub.account.orders["a"]
    assert (found,) == sub.account.wait_filled("a", timeout=0.0)
    with pytest.raises(OrderEnded) as caught:
        sub.account.wait_filled(["a", "b"], timeout=DEADLINE)
    assert "b" == caught.value.order.id
    with pytest.raises(TimeoutError, match=r"^not filled: c \(within 0\.01 s\)$"):
        sub.account.wait_filled("c", timeout=0.01)


def test_a_callback_must_not_wait(server: FakeServer, sub: Subscriber) -> None:
    """Even for what is filled: the thread that calls back would wait for itself."""
    failures = Recorder()
    sub.on_error(failures)
    sub.on_order(lambda order: sub.account.wait_filled(order.id, timeout=1))
    server.send(make_order(id="a", type="UPDATE", status="MATCHED", size_matched="10"))
    settle(server, sub)

    [failure] = failures.items
    assert isinstance(failure, CallbackError)
    assert "wait_filled() waits, so it must not be called in a callback" in str(failure)


def test_waiting_ends_with_the_run(server: FakeServer) -> None:
    """By stop(), by the fatal error; and there has to be one."""
    sub = Subscriber(credentials=KEYS, options=server.options(queue_limit=1))
    account = sub.account
    with pytest.raises(RuntimeError, match="wait_filled: start the subscriber first"):
        account.wait_filled("a", timeout=DEADLINE)
    with ThreadPoolExecutor(1) as pool, sub:
        server.wait_for_connection("user")
        waiting = pool.submit(account.wait_filled, "a", timeout=DEADLINE)
        server.send(make_order(id="b", type="UPDATE", status="MATCHED", size_matched="10"))
        account.wait_filled("b", timeout=DEADLINE)
        sub.stop()
        with pytest.raises(TimeoutError, match="not filled: a: the subscriber was stopped"):
            waiting.result(DEADLINE)
    assert ["b"] == [order.id for order in account.wait_filled("b", timeout=0.0)]

    gate = threading.Event()
    sub.on_order(lambda order: gate.wait(DEADLINE))
    with sub:
        sub.wait_ready(timeout=DEADLINE)
        for number in range(4):
            server.send(make_order(id=f"o{number}"))
        with pytest.raises(QueueOverflow):
            account.wait_filled("a", timeout=DEADLINE)
        gate.set()
    assert account is sub.account


def test_without_credentials_it_is_empty() -> None:
    """And there all the same."""
    account = Subscriber(["1"]).account

    assert ({}, {}, {}, (), ()) == (
        dict(account.orders),
        dict(account.trades),
        dict(account.positions),
        account.open_orders(),
        account.fills(),
    )
    assert (False, 0) == (account.complete, account.position("1").size)


def test_whatever_a_message_lacks_it_is_told(
    server: FakeServer, sub: Subscriber, caplog: pytest.LogCaptureFixture
) -> None:
    """An id suffices; what is missing is said to on_error, and once in a while in the log."""
    told, flaws = Recorder(), Recorder()
    sub.on_trade(told)
    sub.on_order(told, market=MARKET)
    sub.on_error(flaws)
    server.send({"event_type": "trade", "id": "t"})
    server.send({"event_type": "order", "id": "o"})
    settle(server, sub)

    assert ["t"] == [trade.id for trade in told.items]
    assert (["t"], ["o"]) == (list(sub.trades), list(sub.orders))
    assert [("trade", "missing: timestamp"), ("order", "missing: timestamp")] == [
        (flaw.event_type, flaw.reason.partition(",")[0]) for flaw in flaws.items
    ]
    assert all(isinstance(flaw, PolymarketWsError) and not flaw.lost for flaw in flaws.items)  # type: ignore[attr-defined]  # a DecodeError
    [line] = [r.getMessage() for r in caplog.records if "missing" in r.getMessage()][:1]
    assert "missing: timestamp, status, market, asset_id, side, size, price" in line

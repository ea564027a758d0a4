"""Moments between the moments: ends that meet starts, callbacks that do not return, streams that
outlive a run.
"""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest
from kit.loopback import Server, read_frame, speak
from kit.recorder import DEADLINE, Recorder

from polymarket_ws import (
    Book,
    Credentials,
    Disconnected,
    LastTradePrice,
    Options,
    Subscriber,
    running,
)
from polymarket_ws.engine.engine import Engine
from polymarket_ws.errors import AuthenticationError
from polymarket_ws.events import State
from polymarket_ws.testing import (
    FakeServer,
    make_book,
    make_last_trade_price,
    make_order,
    make_price_change,
)

KEYS = Credentials("key", "c2VjcmV0", "passphrase")
QUICK = {"backoff_base": 0.001, "backoff_cap": 0.01}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server with one book."""
    with FakeServer() as server:
        server.add_book(make_book("1"))
        yield server


def _wait_for_subscriptions(server: FakeServer, count: int) -> None:
    """Wait until so many connections have subscribed, the ended ones included."""
    assert server.wait_until(lambda: sum(c.ready for c in server.connections) >= count, DEADLINE)


def test_stop_that_meets_start_still_ends_the_run(server: FakeServer) -> None:
    """However a stop() from another thread falls into start(), the run ends and wait() returns."""
    sub = Subscriber(["1"], options=server.options())
    over = threading.Event()

    def keep_stopping() -> None:
        while not over.is_set():
            sub.stop(timeout=0)

    stopper = threading.Thread(target=keep_stopping)
    former = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    stopper.start()
    try:
        for _ in range(200):
            sub.start()
            sub.stop(timeout=0)

            assert sub.wait(timeout=DEADLINE)
    finally:
        sys.setswitchinterval(former)
        over.set()
        stopper.join(DEADLINE)

    assert sub.stop(timeout=DEADLINE)
    assert () == running()


def test_events_after_a_fatal_error_raise_it(server: FakeServer) -> None:
    """events() and wait_for() of a run that has failed raise its error instead of waiting
    for ever.
    """
    server.faults.reject(401, times=None)
    with Subscriber(["1"], options=server.options()) as sub:
        with pytest.raises(AuthenticationError):
            sub.wait(timeout=DEADLINE)
        with pytest.raises(AuthenticationError):
            next(sub.events(Book))
        with pytest.raises(AuthenticationError):
            sub.wait_for(Book, timeout=DEADLINE)


def test_events_after_stop_end_at_once(server: FakeServer) -> None:
    """A stopped subscriber has no further events; wait_for says that it was stopped."""
    sub = Subscriber(["1"], options=server.options())
    with sub:
        sub.wait_ready(timeout=DEADLINE)

    assert [] == list(sub.events(Book))
    with pytest.raises(TimeoutError, match="was stopped"):
        sub.wait_for(Book, timeout=DEADLINE)
    with pytest.raises(TimeoutError, match="was stopped"):
        sub.wait_ready(timeout=DEADLINE)


def test_a_new_runs_streams_know_nothing_of_the_former_run(server: FakeServer) -> None:
    """The late end of a failed run neither ends the next run's streams nor tells them its error."""
    entered, gate = threading.Event(), threading.Event()
    sub = Subscriber(["1"], options=server.options())

    def hold_the_end_up(_: object) -> None:
        entered.set()
        gate.wait(DEADLINE)

    sub.on_disconnect(hold_the_end_up)
    server.faults.reject(401)
    sub.start()
    with pytest.raises(AuthenticationError):
        sub.wait_ready(timeout=DEADLINE)
    assert entered.wait(DEADLINE)
    sub.start()
    stream = sub.events(LastTradePrice, timeout=DEADLINE)
    sub.wait_ready(timeout=DEADLINE)
    gate.set()
    server.send(make_last_trade_price("1"))

    assert "1" == next(stream).asset_id
    assert sub.stop(timeout=DEADLINE)


def test_a_blocked_callback_does_not_keep_the_end_from_streams(server: FakeServer) -> None:
    """While a callback blocks, a stream still hears of the end, since it has a thread of
    its own.
    """
    gate = threading.Event()
    sub = Subscriber(["1"], options=server.options())
    sub.on_book(lambda _: gate.wait(DEADLINE))
    stream = sub.events("disconnect", timeout=DEADLINE)
    sub.start()
    sub.wait_ready(timeout=DEADLINE)
    sub.stop(timeout=0)

    assert ["stopped"] == [event.reason for event in stream if isinstance(event, Disconnected)]
    gate.set()
    assert sub.stop(timeout=DEADLINE)


def test_a_restart_of_the_exchange_is_not_taken_for_wrong_credentials(server: FakeServer) -> None:
    """Quick closes after the keys have worked, or with a busy server's code, are retried
    for ever.
    """
    told = Recorder()
    sub = Subscriber(credentials=KEYS, options=server.options(**QUICK))
    sub.on_disconnect(told)
    with sub:
        for number in range(1, 6):
            _wait_for_subscriptions(server, number)
            server.disconnect(1013, "try again later")
            told.wait_for(number)
        _wait_for_subscriptions(server, 6)
        server.send(make_order())
        server.settle(sub, timeout=DEADLINE)
        for number in range(6, 11):
            _wait_for_subscriptions(server, number)
            server.end()
            told.wait_for(number)

        assert sub.error is None


def test_run_ends_though_a_callback_does_not_return(server: FakeServer) -> None:
    """After one SIGTERM run() returns in seconds, and a WARNING names the callback that hangs."""
    code = textwrap.dedent("""
        import sys, threading
        from polymarket_ws import Options, Subscriber
        sub = Subscriber(["1"], options=Options(market_url=sys.argv[1], trust_env=False))

        @sub.on_book
        def hang(book):
            print("hanging")
            threading.Event().wait()

        sub.run()
        print("returned", sub.state)
    """)
    script = subprocess.Popen(
        [sys.executable, "-u", "-c", code, server.url()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_PROXY": "*"},
    )
    assert script.stdout is not None
    assert "hanging\n" == script.stdout.readline()
    script.send_signal(signal.SIGTERM)
    out, err = script.communicate(timeout=60)

    assert "returned STOPPED\n" == out
    assert "callback hang has not returned" in err


def test_what_a_failed_run_had_queued_is_discarded_by_a_later_stop(server: FakeServer) -> None:
    """stop() after a restart also silences the former run, which was still delivering its queue."""
    entered, gate, heard = threading.Event(), threading.Event(), Recorder()
    options = server.options(callback_errors="log", queue_limit=100)
    sub = Subscriber(["1"], credentials=KEYS, options=options)

    def slow(event: LastTradePrice) -> None:
        heard(event)
        entered.set()
        gate.wait(DEADLINE)

    sub.on_last_trade_price(slow)
    sub.start()
    server.wait_for_connection("user")
    sub.wait_ready(timeout=DEADLINE)
    for _ in range(20):
        server.send(make_last_trade_price("1"))
    assert entered.wait(DEADLINE)
    server.faults.reject(401, times=None)
    server.disconnect()
    assert sub._wait_until(lambda: sub.error is not None, DEADLINE)
    server.faults.clear()
    sub.start()
    assert not sub.stop(timeout=0)
    gate.set()

    assert sub.stop(timeout=DEADLINE)
    assert 1 == len(heard.items)


def test_stop_start_stop_in_one_callback(server: FakeServer) -> None:
    """A callback of a former run is still a callback: it is not waited for, and may not wait."""
    answers = Recorder()
    sub = Subscriber(["1"], options=server.options())

    @sub.on_book
    def churn(_: Book) -> None:
        sub.stop()
        sub.start()
        answers(sub.stop())
        try:
            sub.wait()
        except RuntimeError as error:
            answers(str(error))

    sub.start()
    assert "wait() waits" in answers.wait_for(2)[1]
    assert answers.items[0] is False
    assert sub.stop(timeout=DEADLINE)


def test_wait_lasts_over_a_restart_in_a_callback(server: FakeServer) -> None:
    """wait() returns when the subscriber has stopped, not when one of its runs has."""
    lives, waited = Recorder(), Recorder()
    sub = Subscriber(["1"], options=server.options())

    @sub.on_book
    def restart_once(_: Book) -> None:
        lives("live")
        if len(lives.items) == 1:
            sub.stop()
            sub.start()

    sub.start()
    waiter = threading.Thread(target=lambda: waited(sub.wait(timeout=DEADLINE)))
    waiter.start()
    lives.wait_for(2)

    assert [] == waited.items
    assert sub.stop(timeout=DEADLINE)
    waiter.join(DEADLINE)
    assert [True] == waited.items


def test_wait_lasts_while_a_restart_begins(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that start() is about to start is no run that has stopped; a stop() meets it too."""
    entered, gate, start_run = threading.Event(), threading.Event(), Engine.start
    sub = Subscriber(["1"], options=server.options())
    sub.start()
    assert sub.stop(timeout=DEADLINE)

    def start_late(run: Engine, former: Engine | None) -> None:
        entered.set()
        assert gate.wait(DEADLINE)
        start_run(run, former)

    monkeypatch.setattr(Engine, "start", start_late)
    starter = threading.Thread(target=sub.start)
    starter.start()
    assert entered.wait(DEADLINE)
    assert not sub.wait(timeout=0)
    sub.stop(timeout=0)
    gate.set()
    starter.join(DEADLINE)

    assert sub.wait(timeout=DEADLINE)
    assert (State.STOPPED, True) == (sub.state, sub.stop(timeout=DEADLINE))


FEW = ["0x" + "1" * 64]


def _many() -> list[str]:
    """So many that no buffer holds the 17 MB of their text."""
    return [f"0x{number:064x}" for number in range(250_000)]


def _own(server: Server, markets: list[str]) -> Subscriber:
    url = f"ws://127.0.0.1:{server.port}"
    options = Options(market_url=url, user_url=url, trust_env=False, **QUICK)
    return Subscriber(credentials=KEYS, markets=markets, options=options)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_channel_is_not_ready_before_its_subscription_was_sent(is_first: bool) -> None:
    """A server that has not read it sends no own orders and trades, however open the line is."""
    over = threading.Event()

    def go_deaf(connection: socket.socket) -> None:
        if not is_first:
            read_frame(connection)
        over.wait(DEADLINE)

    with Server(speak(go_deaf)) as server:
        sub = _own(server, _many() if is_first else FEW)
        connected = sub.events("connect", timeout=DEADLINE)
        with sub:
            try:
                next(connected)
                if not is_first:
                    sub.wait_ready(timeout=DEADLINE)
                    sub.subscribe(markets=_many())
                with pytest.raises(TimeoutError, match="missing the user channel"):
                    sub.wait_ready(timeout=0.5)
            finally:
                over.set()


def test_a_new_connection_is_not_ready_since_the_former_was() -> None:
    """The server goes deaf after a reconnect."""
    lost, over, turns = threading.Event(), threading.Event(), itertools.count()

    def go_deaf_later(connection: socket.socket) -> None:
        if next(turns) == 0:
            read_frame(connection)
            lost.wait(DEADLINE)
        else:
            over.wait(DEADLINE)

    with Server(speak(go_deaf_later)) as server:
        sub = _own(server, _many())
        connected = sub.events("connect", timeout=DEADLINE)
        with sub:
            try:
                next(connected)
                sub.wait_ready(timeout=DEADLINE)
                lost.set()
                next(connected)
                with pytest.raises(TimeoutError, match="missing the user channel"):
                    sub.wait_ready(timeout=0.5)
            finally:
                over.set()


def test_a_book_that_never_came_is_missing(server: FakeServer) -> None:
    """Over a reconnect it stays "no_snapshot"; the others decide the state, but not the health."""
    told = Recorder()
    sub = Subscriber(["1", "99"], options=server.options(**QUICK))
    sub.on_connect(told)
    with sub:
        sub.wait_ready(timeout=DEADLINE, asset_ids=["1"])
        server.disconnect(1001)
        told.wait_for(2)
        sub.wait_ready(timeout=DEADLINE, asset_ids=["1"])

        assert "no_snapshot" == sub.books["99"].stale_reason
        assert ("LIVE", False, ("99",)) == (sub.state, sub.healthy, sub.missing)


def test_unsubscribing_in_one_callback_keeps_the_event_from_the_next(server: FakeServer) -> None:
    """The second callback of an event is not called when the first has unsubscribed its asset."""
    first, second = Recorder(), Recorder()
    sub = Subscriber(["1"], options=server.options())

    @sub.on_book
    def leave(book: Book) -> None:
        sub.unsubscribe([book.asset_id])
        first(book)

    sub.on_book(second)
    told = sub.events("disconnect", timeout=DEADLINE)
    with sub:
        assert "unwanted" == getattr(next(told), "reason", None)

    assert (1, 0) == (len(first.items), len(second.items))


def test_the_last_word_during_backoff_is_stopped(server: FakeServer) -> None:
    """A connection that was to be tried again is told as "stopped", so will_retry is never left
    open.
    """
    server.faults.reject(503, times=None)
    told = Recorder()
    sub = Subscriber(["1"], options=server.options(backoff_base=100, backoff_cap=100))
    sub.on_disconnect(told)
    with sub:
        told.wait_for(1)

    assert [("rejected", True), ("stopped", False)] == [
        (t.reason, t.will_retry) for t in told.items
    ]


def test_downtime_counts_from_the_loss(server: FakeServer) -> None:
    """The first Connected of a run has no downtime, even after failed attempts; the next has it."""
    server.faults.reject(503)
    told = Recorder()
    sub = Subscriber(["1"], options=server.options(**QUICK))
    sub.on_connect(told)
    with sub:
        told.wait_for(1)
        server.wait_for_connection()
        server.disconnect(1001)
        first, second = told.wait_for(2)

    assert (None, 2, False) == (first.downtime, first.attempt, first.reconnected)
    assert second.downtime > 0
    assert (1, True) == (second.attempt, second.reconnected)


def test_a_server_that_closes_after_each_snapshot_is_asked_ever_less_often(
    server: FakeServer,
) -> None:
    """Data does not reset the backoff at once: the bound on the delay doubles while nothing
    lasts.
    """
    told = Recorder()
    sub = Subscriber(["1"], options=server.options(backoff_base=0.001, backoff_cap=100))
    sub.on_disconnect(told)
    with sub:
        for number in range(1, 6):
            sub.wait_ready(timeout=DEADLINE)
            server.disconnect(1013)
            told.wait_for(number)

        assert 5 == next(iter(sub._runs.present.shards)).failover.leader._backoff._losses  # type: ignore[union-attr]


def test_slow_streams_are_counted_and_logged(
    server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """What a stream drops is one WARNING and a count in stats()."""
    sub = Subscriber(["1"], options=server.options(queue_limit=2))
    with sub:
        sub.wait_ready(timeout=DEADLINE)
        stream = sub.events("price_change")
        for _ in range(5):
            server.send(make_price_change("1"))
        server.settle(sub, timeout=DEADLINE)

        assert (3, 3) == (stream.dropped, sub.stats().stream_dropped)
    assert 1 == sum("read too slowly" in record.message for record in caplog.records)

"""What a bug, a broken log handler, or a signal at a bad moment may cost: never a silent thread."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kit.locks import locks_of
from kit.recorder import DEADLINE, Recorder

from polymarket_ws import Disconnected, Resync, State, Subscriber
from polymarket_ws.books.book import BookCore
from polymarket_ws.connection.connection import Connection
from polymarket_ws.connection.connector import Connector
from polymarket_ws.connection.open_connection import OpenConnection
from polymarket_ws.connection.session import Session
from polymarket_ws.delivery.callbacks import Registration
from polymarket_ws.delivery.dispatcher import Dispatcher
from polymarket_ws.delivery.event_queue import EventQueue
from polymarket_ws.errors import CallbackError, PolymarketWsError
from polymarket_ws.shards.failover import Failover
from polymarket_ws.shards.shard import Shard
from polymarket_ws.testing import FakeServer, make_book, make_price_change
from polymarket_ws.waiters import Waiters


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server with one book."""
    with FakeServer() as server:
        server.add_book(make_book("1"))
        yield server


@pytest.fixture
def sub(server: FakeServer) -> Iterator[Subscriber]:
    """A live subscriber."""
    with Subscriber(["1"], options=server.options(backoff_cap=0.01)) as sub:
        sub.wait_ready(timeout=DEADLINE)
        yield sub


class _Broken(logging.Handler):
    """A log handler of a user's that fails."""

    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("no log today")


def test_a_log_handler_that_raises_costs_nothing(
    server: FakeServer, sub: Subscriber, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every line of a lost connection fails to be written, and the next one is live."""
    told = Recorder()
    sub.on_connect(told)
    package, broken = logging.getLogger("polymarket_ws"), _Broken()
    package.addHandler(broken)
    try:
        for count in range(1, 4):
            server.end()
            told.wait_for(count)
        sub.wait_ready(timeout=DEADLINE)
    finally:
        package.removeHandler(broken)

    assert (State.LIVE, 0) == (sub.state, sub.stats().internal_errors)
    assert "no log today" in capsys.readouterr().err


def test_a_bug_on_the_callback_thread_costs_one_event(
    server: FakeServer, sub: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told to on_error before it is logged, counted, and the next event is delivered."""
    told, errors = Recorder(), Recorder()
    sub.on_price_change(told)
    sub.on_error(errors)
    good = Registration.matches

    def matches(self: Registration, event: Any) -> bool:
        monkeypatch.setattr(Registration, "matches", good)
        raise KeyError("a bug")

    monkeypatch.setattr(Registration, "matches", matches)
    server.send(make_price_change("1"))
    server.send(make_price_change("1"))

    told.wait_for(1)
    assert "internal error in the callback thread, please report it: KeyError: 'a bug'" == str(
        errors.wait_for(1)[0]
    )
    assert isinstance(errors.items[0].__cause__, KeyError)
    assert (State.LIVE, 1) == (sub.state, sub.stats().internal_errors)


@pytest.mark.parametrize("standby", [False, True])
def test_a_bug_on_the_io_thread_costs_the_connection(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, standby: bool
) -> None:
    """It is told, then the connection is lost, with its Gap, and made anew, with its Resync."""
    told = Recorder()
    options = server.options(backoff_cap=0.01, standby=standby)
    with Subscriber(["1"], options=options) as sub:
        sub.wait_ready(timeout=DEADLINE)
        for register in (sub.on_error, sub.on_disconnect, sub.on_gap, sub.on_resync):
            register(told)
        good = BookCore.apply

        def apply(self: BookCore, *args: Any) -> bool:
            monkeypatch.setattr(BookCore, "apply", good)
            good(self, *args)
            raise MemoryError

        monkeypatch.setattr(BookCore, "apply", apply)
        server.send(make_price_change("1"))
        told.wait_until(lambda items: isinstance(items[-1], Resync) if items else False)
        sub.wait_ready(timeout=DEADLINE)

        kinds = [type(item).__name__ for item in told.items if not _is_of_standby(item)]
        assert ["PolymarketWsError", "Disconnected", "Gap", "Resync"] == kinds
        [lost] = [i for i in told.items if isinstance(i, Disconnected) and not _is_of_standby(i)]
        assert ("internal_error", True) == (lost.reason, lost.will_retry)
        assert (State.LIVE, 1) == (sub.state, sub.stats().internal_errors)


def _is_of_standby(item: Any) -> bool:
    return getattr(item, "connection", "").endswith("-standby")


def test_no_thread_for_an_attempt_is_a_failed_attempt(
    server: FakeServer, sub: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's limit is told as Disconnected("network"), and the next attempt works."""
    told = Recorder()
    sub.on_disconnect(told)
    good = threading.Thread.start

    def start(self: threading.Thread) -> None:
        if self.name.endswith("-connect"):
            monkeypatch.setattr(threading.Thread, "start", good)
            raise RuntimeError("can't start new thread")
        good(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    server.end()

    assert "can't start new thread" == told.wait_for_reason("network").detail
    sub.wait_ready(timeout=DEADLINE)


def test_no_thread_for_a_shard_leaves_what_is_wanted_unchanged(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """subscribe() raises what start() would, and what was followed goes on."""
    server.add_book(make_book("2"))
    options = server.options(max_assets_per_connection=1)
    with Subscriber(["1"], options=options) as sub:
        sub.wait_ready(timeout=DEADLINE)
        with monkeypatch.context() as patch:

            def start(self: threading.Thread) -> None:
                raise RuntimeError("can't start new thread")

            patch.setattr(threading.Thread, "start", start)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                sub.subscribe(["2"])

        assert ({"1"}, State.LIVE) == (set(sub.books), sub.state)
        sub.subscribe(["2"])
        sub.wait_ready(timeout=DEADLINE)


def test_five_bugs_within_a_minute_end_the_run(
    server: FakeServer, sub: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes wrong over and over ends as FAILED, told to on_error, instead of for ever."""
    errors = Recorder()
    sub.on_price_change(print)
    sub.on_error(errors)

    def matches(self: Registration, event: Any) -> bool:
        raise KeyError("a bug")

    monkeypatch.setattr(Registration, "matches", matches)
    for _ in range(5):
        server.send(make_price_change("1"))
    with pytest.raises(Exception, match="internal error in the callback thread"):
        sub.wait(timeout=DEADLINE)

    assert (State.FAILED, 5) == (sub.state, sub.stats().internal_errors)
    assert 5 == len(errors.items)


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit])
def test_other_base_exceptions_of_a_callback_are_its_failures(
    server: FakeServer, sub: Subscriber, error: type[BaseException]
) -> None:
    """CancelledError and GeneratorExit are told as CallbackError; the stream goes on."""
    told, errors = Recorder(), Recorder()
    sub.on_error(errors)

    @sub.on_price_change
    def fail(event: Any) -> None:
        told(event)
        raise error

    server.send(make_price_change("1"))
    server.send(make_price_change("1"))

    told.wait_for(2)
    assert isinstance(errors.wait_for(2)[0], CallbackError)
    assert isinstance(errors.items[0].cause, error)
    assert State.LIVE == sub.state


def test_stop_in_a_signal_handler_returns_at_once_whatever_it_interrupts(
    server: FakeServer,
) -> None:
    """Where the interrupted call holds a lock that the threads need, stop() only asks; the run ends
    once the handler has returned.
    """
    answers: list[bool] = []
    with Subscriber(["1"], options=server.options()) as sub:
        places = {place for place, _ in locks_of(sub)}
    former = signal.getsignal(signal.SIGUSR1)
    try:
        for place in sorted(places & {"Runs", "Callbacks", "BookCore", "Waiters"}):
            with Subscriber(["1"], options=server.options()) as sub:
                sub.wait_ready(timeout=DEADLINE)
                stop = sub.stop
                signal.signal(signal.SIGUSR1, lambda *_, stop=stop: answers.append(stop(3600)))
                lock = next(lock for owner, lock in locks_of(sub) if owner == place)
                with lock:
                    signal.raise_signal(signal.SIGUSR1)
                assert sub.wait(timeout=DEADLINE)
                assert State.STOPPED == sub.state
    finally:
        signal.signal(signal.SIGUSR1, former)

    assert [False] * 4 == answers


@pytest.mark.parametrize(
    ("owner", "name"),
    [(EventQueue, "pop_some"), (Waiters, "notify"), (Dispatcher, "_sleep")],
)
def test_a_bug_between_two_events_does_not_end_the_callback_thread(
    server: FakeServer,
    sub: Subscriber,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    name: str,
) -> None:
    """Also what takes and waits may fail: it is told, and the next event is delivered."""
    told, errors = Recorder(), Recorder()
    sub.on_price_change(told)
    sub.on_error(errors)
    good = getattr(owner, name)

    def fail(self: Any, *args: Any) -> Any:
        if not threading.current_thread().name.endswith("-callbacks"):
            return good(self, *args)
        monkeypatch.setattr(owner, name, good)
        raise MemoryError

    monkeypatch.setattr(owner, name, fail)
    server.send(make_price_change("1"))
    errors.wait_for(1)
    server.send(make_price_change("1"))

    told.wait_for(2)
    assert (State.LIVE, 1) == (sub.state, sub.stats().internal_errors)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Failover, "connection_lost"),
        (Connection, "_decide"),
        (OpenConnection, "__init__"),
        (Session, "open"),
        (Connector, "threads"),
        (BookCore, "mark_stale"),
    ],
)
def test_a_bug_between_two_states_of_a_connection_leaves_it_a_next_attempt(
    server: FakeServer, sub: Subscriber, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    """Whichever step of losing or making it fails, it is told as lost, and made anew."""
    lost = Recorder()
    sub.on_disconnect(lost)
    good = getattr(owner, name)

    def fail(self: Any, *args: Any, **options: Any) -> Any:
        monkeypatch.setattr(owner, name, good)
        raise MemoryError

    monkeypatch.setattr(owner, name, fail)
    server.end()

    lost.wait_for_reason("internal_error")
    sub.wait_ready(timeout=DEADLINE)
    assert (State.LIVE, 1) == (sub.state, sub.stats().internal_errors)


def test_stop_in_a_signal_handler_that_interrupts_stop_returns_at_once(
    server: FakeServer, sub: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Thread.join within one of the same thread may wait for itself, until its timeout."""
    answers: list[bool] = []
    good = Dispatcher.join

    def join(self: Dispatcher, timeout: float | None) -> bool:
        if threading.current_thread() is threading.main_thread():
            monkeypatch.setattr(Dispatcher, "join", lambda *_: pytest.fail("joined twice"))
            signal.raise_signal(signal.SIGUSR1)
            monkeypatch.setattr(Dispatcher, "join", good)
        return good(self, timeout)

    monkeypatch.setattr(Dispatcher, "join", join)
    former = signal.signal(signal.SIGUSR1, lambda *_: answers.append(sub.stop(3600)))
    try:
        assert sub.stop()
    finally:
        signal.signal(signal.SIGUSR1, former)
    assert [False] == answers


@pytest.mark.parametrize("owner", [Shard, Dispatcher])
def test_what_is_no_exception_ends_the_run_and_is_told(
    server: FakeServer, sub: Subscriber, monkeypatch: pytest.MonkeyPatch, owner: type
) -> None:
    """A log handler's SystemExit, say, on a thread of ours: FAILED, and no thread that is gone."""
    errors = Recorder()
    sub.on_error(errors)
    name = "_do_duties" if owner is Shard else "_sleep"

    def leave(self: Any, *args: Any) -> None:
        monkeypatch.undo()
        raise SystemExit

    monkeypatch.setattr(owner, name, leave)
    server.end()
    with pytest.raises(PolymarketWsError, match=r"internal error in the .* thread: SystemExit"):
        sub.wait(timeout=DEADLINE)

    assert State.FAILED == sub.state
    assert sub.stop()
    if owner is Shard:
        errors.wait_for(1)

"""What a bug, a broken log handler, or a signal at a bad moment may cost: never a silent thread."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from kit.locks import locks_of
from kit.recorder import DEADLINE, Recorder

from polymarket_ws import State, Subscriber
from polymarket_ws.delivery.callbacks import Registration
from polymarket_ws.errors import CallbackError
from polymarket_ws.testing import FakeServer, make_book, make_price_change


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
        for place in sorted(places & {"Subscriber", "Callbacks", "BookCore", "Waiters"}):
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

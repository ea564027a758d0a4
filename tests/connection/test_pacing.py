"""How fast a run may connect."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymarket_ws.connection.pacing import BURST, LONGEST_PAUSE, PAUSE_SECONDS, SECONDS_EACH, Pacer

MOST_IN_ONE_SECOND = 5

starts = st.floats(0, 1e7, allow_nan=False)
steps = st.lists(st.floats(0, 0.7), max_size=60)


def patient(pacer: Pacer, asked_at: float) -> float:
    """When somebody who waits as told to, each time, gets his place."""
    for _ in range(100):
        wait = pacer.take(asked_at)
        if not wait:
            return asked_at
        asked_at += wait
    raise AssertionError(f"still waiting at {asked_at}")


def test_two_at_once_then_three_a_second() -> None:
    """The market and the user channel open at once; further ones are spread."""
    pacer = Pacer()

    took = [patient(pacer, 100.0) for _ in range(8)]

    assert pytest.approx([100, 100, *(100 + SECONDS_EACH * n for n in range(1, 7))]) == took


def test_who_has_to_wait_takes_nothing() -> None:
    """Asking often does not push the place away."""
    pacer = Pacer()
    for _ in range(BURST):
        pacer.take(100.0)

    assert pytest.approx([SECONDS_EACH] * 5) == [pacer.take(100.0) for _ in range(5)]
    assert pytest.approx(SECONDS_EACH / 2) == pacer.take(100.0 + SECONDS_EACH / 2)
    assert 0.0 == pacer.take(100.0 + SECONDS_EACH)


def test_rest_earns_no_more_than_the_burst() -> None:
    """After an hour without connects two may begin at once, and no more."""
    pacer = Pacer()
    pacer.take(0.0)

    assert [True, True, False] == [pacer.take(3600.0) == 0 for _ in range(3)]


@pytest.mark.parametrize(
    ("asked", "paused"),
    [(None, PAUSE_SECONDS), (7.0, 7.0), (0.0, 0.0), (86_400.0, LONGEST_PAUSE)],
)
def test_a_pause_holds_as_long_as_the_server_asked(asked: float | None, paused: float) -> None:
    """Retry-After is honoured up to a bound; without one a second passes."""
    pacer = Pacer()
    pacer.pause(100.0, asked)

    assert paused == pacer.take(100.0)
    assert 0.0 == pacer.take(100.0 + paused)


def test_the_longer_of_two_pauses_holds() -> None:
    """A later 429 with a shorter time shortens nothing."""
    pacer = Pacer()
    pacer.pause(100.0, 10.0)
    pacer.pause(101.0, 2.0)

    assert 8.0 == pacer.take(102.0)


@given(starts, steps)
def test_no_second_has_more_than_five(start: float, waits: list[float]) -> None:
    """However often somebody asks, and in whatever rhythm."""
    pacer, now = Pacer(), start
    took: list[float] = []
    for wait in waits:
        now += wait
        while pacer.take(now) == 0.0:
            took.append(now)

    crowds = [[at for at in took if first <= at < first + 0.999] for first in took]
    assert all(len(crowd) <= MOST_IN_ONE_SECOND for crowd in crowds)


@given(starts, st.lists(st.floats(0, 2), min_size=1, max_size=20))
def test_who_waits_as_told_gets_a_place(start: float, asks: list[float]) -> None:
    """One who asks again at the promised time is not sent away, if nobody else took the place."""
    pacer, now = Pacer(), start
    for ask in asks:
        now += ask
        wait = pacer.take(now)
        if wait:
            now += wait
            assert 0.0 == pacer.take(now)


@given(
    starts,
    st.lists(st.tuples(st.floats(0, 1), st.none() | st.floats(0, 5), st.booleans()), max_size=40),
)
def test_nobody_connects_during_a_pause(
    start: float, acts: list[tuple[float, float | None, bool]]
) -> None:
    """A pause that one connection met holds for all who ask before it is over."""
    pacer, now, until = Pacer(), start, 0.0
    for passed, seconds, is_pause in acts:
        now += passed
        if is_pause:
            pacer.pause(now, seconds)
            until = max(until, now + (PAUSE_SECONDS if seconds is None else seconds))
        elif pacer.take(now) == 0.0:
            assert until <= now


def test_threads_share_the_places() -> None:
    """Eight threads that ask at the same moment get two places in all."""
    pacer, took, gate = Pacer(), [], threading.Barrier(8)

    def ask() -> None:
        gate.wait(10)
        took.append(pacer.take(100.0))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert (2, 8) == (took.count(0.0), len(took))

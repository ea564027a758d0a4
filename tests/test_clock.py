"""The clock that is handed in."""

from __future__ import annotations

import time

from polymarket_ws.clock import SYSTEM, Clock


def test_the_systems_clock_is_that_of_the_standard_library() -> None:
    """Monotonic seconds, nanoseconds since 1970, and a number from 0 to 1."""
    assert time.monotonic() <= SYSTEM.monotonic() <= time.monotonic()
    assert 0 <= SYSTEM.wall_ns() - time.time_ns() + 10**9 <= 2 * 10**9
    assert 0 <= SYSTEM.random() < 1


def test_a_test_gives_its_own() -> None:
    """Any of the three."""
    clock = Clock(monotonic=lambda: 1.0, random=lambda: 0.5)

    assert (1.0, 0.5) == (clock.monotonic(), clock.random())

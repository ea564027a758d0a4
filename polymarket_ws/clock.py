"""The clock and the random numbers of a run, as a value that is handed in."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from attrs import frozen


@frozen
class Clock:
    """What the I/O threads of a run take time and chance from; a test gives its own."""

    monotonic: Callable[[], float] = time.monotonic
    """Seconds since some moment, never going back."""
    wall_ns: Callable[[], int] = time.time_ns
    """Nanoseconds since 1970, for the `received_at_ns` of events."""
    random: Callable[[], float] = random.random
    """From 0 to 1, for the jitter of a backoff."""


SYSTEM = Clock()

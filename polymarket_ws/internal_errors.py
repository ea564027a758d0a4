"""Exceptions that this package did not foresee: a few are survived, many end the run."""

from __future__ import annotations

from collections import deque

from attrs import define, field

MOST, WITHIN_SECONDS = 5, 60.0  # so many in so short a time will go on: the run ends


@define(eq=False)
class InternalErrors:
    """Counts the internal errors of one run. Any thread."""

    count: int = 0
    _times: deque[float] = field(factory=lambda: deque(maxlen=MOST))

    def take(self, now: float) -> bool:
        """Count one; whether they are so many that the run has to end."""
        self.count += 1
        self._times.append(now)
        return len(self._times) == MOST and now - self._times[0] < WITHIN_SECONDS

"""How fast one run may open connections, all its channels and shards together."""

from __future__ import annotations

import threading

from attrs import define, field

BURST = 2  # the market and the user channel of most programs open at once
SECONDS_EACH = 1 / 3  # after that: five in a second draw HTTP 429 (nautilus_trader#2238)
PAUSE_SECONDS = 1.0  # for all, after a 429 or 503 that names no time
LONGEST_PAUSE = 300.0  # seconds: a server that asks for more is asked again after this

_ROUNDING = 1e-6  # of a token: who waited as long as told to is not sent away for a last bit


@define(eq=False)
class Pacer:
    """A token bucket for connects. Any thread."""

    _tokens: float = BURST
    _filled_at: float = 0.0
    _not_before: float = 0.0
    _lock: threading.Lock = field(factory=threading.Lock)
    """Guards the three above, for some arithmetic."""

    def take(self, now: float, spare: int = 0) -> float:
        """Take a place; returns 0 when the connect may begin now, else the seconds to wait first.

        Who has to wait has taken nothing, and asks again.

        Args:
            spare: Places to leave for others: a probe lets every lost connection go first.
        """
        with self._lock:
            if now < self._not_before:
                return self._not_before - now
            grown = (now - self._filled_at) / SECONDS_EACH
            self._tokens, self._filled_at = min(BURST, self._tokens + grown), now
            lacking = 1 + spare - self._tokens
            if lacking <= _ROUNDING:
                self._tokens -= 1
                return 0.0
            return lacking * SECONDS_EACH

    def pause(self, now: float, seconds: float | None) -> None:
        """The server has had enough: nobody connects for so long (None: PAUSE_SECONDS)."""
        with self._lock:
            until = now + (PAUSE_SECONDS if seconds is None else min(seconds, LONGEST_PAUSE))
            self._not_before = max(self._not_before, until)

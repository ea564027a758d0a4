"""Waiting for something that other threads bring about."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from attrs import define, field


@define(eq=False)
class Waiters:
    """Where callers wait for a run's threads, without polling. One for each run.

    The threads call `notify` after whatever may matter; it costs one comparison while nobody waits.
    """

    _waiting: int = 0
    _version: int = 0
    _changed: threading.Condition = field(factory=threading.Condition)
    """Guards the two counters; never held while a predicate runs."""

    def notify(self) -> None:
        if self._waiting:
            with self._changed:
                self._version += 1
                self._changed.notify_all()

    @property
    def locks(self) -> list[Any]:
        """What a call of a user may hold."""
        return [self._changed]

    def renew_locks(self) -> None:
        """In a forked child: whoever held the lock, or waited, stayed behind in the parent."""
        self._waiting, self._changed = 0, threading.Condition()

    def wait_until(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait until `predicate()` holds; False when `timeout` seconds pass first.

        The wait is cut into seconds: a predicate may also become true by something that nobody
        tells.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            self._waiting += 1
        try:
            while True:
                seen = self._version
                if predicate():
                    return True
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                with self._changed:
                    if self._version == seen:
                        self._changed.wait(min(left, 1.0))
        finally:
            with self._changed:
                self._waiting -= 1

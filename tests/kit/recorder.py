"""Collects what callbacks are called with, and lets a test wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

DEADLINE = 20.0  # seconds: far beyond what a busy machine needs; a failure, not a measure


class Recorder:
    """A callback that keeps its arguments, in order. Any thread."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._changed = threading.Condition()

    def __call__(self, item: Any) -> None:
        with self._changed:
            self.items.append(item)
            self._changed.notify_all()

    def wait_until(self, predicate: Callable[[list[Any]], bool]) -> None:
        """Wait until the predicate holds for the items; fail with what there is."""
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self.items), DEADLINE):
                raise AssertionError(f"not within {DEADLINE} s: {self.items[-5:]}")

    def wait_for(self, count: int) -> list[Any]:
        """Wait for so many items, and return them."""
        self.wait_until(lambda items: len(items) >= count)
        return self.items

    def wait_for_reason(self, reason: str) -> Any:
        """Wait for an item with this `reason`, and return it."""
        self.wait_until(lambda items: any(i.reason == reason for i in items))
        return next(i for i in self.items if i.reason == reason)

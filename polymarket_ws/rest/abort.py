"""Ends requests from another thread, whatever they wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Abort:
    """One for each thread that makes requests, which hands it to its clients.

    `abort` may be called from any thread, the rest is for the thread that makes the requests.
    """

    def __init__(self) -> None:
        self._aborted = threading.Event()
        # Guards `_action`, so that what is waited for is ended, whenever the call comes.
        self._lock = threading.Lock()
        self._action: Callable[[], object] | None = None

    @property
    def is_aborted(self) -> bool:
        """Whether no further request is to be made."""
        return self._aborted.is_set()

    def abort(self) -> None:
        """End what is waited for now, and what comes after it. Never blocks."""
        self._aborted.set()
        with self._lock:
            action = self._action
        if action is not None:
            action()

    def wait(self, seconds: float) -> bool:
        """Wait between two attempts; True when it was aborted."""
        return self._aborted.wait(seconds)  # not sleep: gevent and eventlet replace it

    @contextmanager
    def calls(self, action: Callable[[], object]) -> Iterator[None]:
        """Within this block `abort` calls this; at once when it was called before."""
        with self._lock:
            self._action = action
        if self.is_aborted:
            action()
        try:
            yield
        finally:
            with self._lock:
                self._action = None

"""What the process that subscribers run in does to them: its exit, and its signals."""

from __future__ import annotations

import atexit
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Generic, Protocol, TypeVar

EXIT_SECONDS = 2.0  # that the interpreter's exit waits for all subscribers together


class Stoppable(Protocol):
    """A subscriber, as its process sees it."""

    def stop(self, timeout: float = 5.0) -> bool:
        """Wait until it has ended."""


S = TypeVar("S", bound=Stoppable)


class ExitHook(Generic[S]):
    """Stops what is started when the interpreter exits. One for the process; any thread.

    The threads are daemons, so an exit does not wait for them; without this the servers would see
    connections that end without a close frame.

    Args:
        running: What is started at the moment of the exit.
        request_stop: Asks one of these to end, without waiting for it.
    """

    def __init__(
        self, running: Callable[[], Iterable[S]], request_stop: Callable[[S], object]
    ) -> None:
        self._running = running
        self._request_stop = request_stop
        self._is_registered = False

    def register(self) -> None:
        """Called with the first start: importing the package registers nothing."""
        if not self._is_registered:
            self._is_registered = True
            atexit.register(self.stop_all)

    def stop_all(self) -> None:
        """Ask all to end before waiting for any: the time is bounded for all together."""
        deadline = time.monotonic() + EXIT_SECONDS
        subscribers = list(self._running())
        for subscriber in subscribers:
            self._request_stop(subscriber)
        for subscriber in subscribers:
            subscriber.stop(max(0.0, deadline - time.monotonic()))


@contextmanager
def handling_signals(request_stop: Callable[[], object]) -> Iterator[Callable[[], bool]]:
    """Handle SIGINT and SIGTERM in the main thread, and restore the former handlers.

    A second SIGINT raises KeyboardInterrupt, for whoever does not want to wait. In another thread
    nothing is handled: Python lets only the main thread set handlers.

    Yields:
        Whether a signal came.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and received:
            raise KeyboardInterrupt
        received.append(number)
        request_stop()

    former = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

"""Ctrl-C and SIGTERM: the first asks a command to end, a later one forces it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ECHO_SECONDS = 0.5  # timeout(1), for one, signals the process and then its group


@contextmanager
def handled(ask_to_end: Callable[[], None], echo_seconds: float = ECHO_SECONDS) -> Iterator[None]:
    """Call `ask_to_end` at the first signal, raise KeyboardInterrupt at a later one.

    `ask_to_end` runs in the main thread between two instructions of it, so it must take no lock and
    wait for nothing. In another thread, where Python handles no signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked_at: float | None = None

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked_at
        now = time.monotonic()
        if asked_at is None:
            asked_at = now
            ask_to_end()
        elif now - asked_at >= echo_seconds:
            raise KeyboardInterrupt

    former = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

"""Ctrl-C and SIGTERM: the first asks a command to end, the second forces it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def handled(ask_to_end: Callable[[], None]) -> Iterator[None]:
    """Call `ask_to_end` at the first signal, raise KeyboardInterrupt at the second; then as before.

    `ask_to_end` runs in the main thread between two instructions of it, so it must take no lock and
    wait for nothing. In another thread, where Python handles no signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        ask_to_end()

    former = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

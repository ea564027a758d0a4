"""A view that a cell keeps up to date until it is interrupted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .output import open_output

REDRAW_SECONDS = 0.25  # between two updates
REFRESH_SECONDS = 2.0  # after which it is sent though unchanged: see style.STALE_AFTER

_views: dict[object, threading.Event] = {}
"""What ends the view of each subject that has one."""
_lock = threading.Lock()
"""Guards `_views`: cells of one kernel may run on several threads."""


def show(
    subject: object,
    render: Callable[[bool, str], str],
    is_over: Callable[[], bool],
    seconds: float | None,
) -> None:
    """Draw on the calling thread until the cell is interrupted, or the subject or the time is over.

    Args:
        subject: What is shown; another view of it ends the former one.
        render: Makes the HTML; given whether it moves, and why it does not any more.
        is_over: Whether nothing will change any more.
        seconds: None is no limit.

    Raises:
        RuntimeError: outside of a notebook, or in a callback.
    """
    if threading.current_thread().name.startswith("polymarket-ws-"):
        raise RuntimeError("show() waits, so it must not be called in a callback")
    with _only_view_of(subject) as ended:
        output = open_output(render(True, ""), repr(subject))
        note = "view ended"
        try:
            _follow(output.draw, lambda: render(True, ""), is_over, ended, seconds)
        except KeyboardInterrupt:  # the cell's interrupt is how a view is meant to end
            note = "view ended by interrupt"
        finally:
            output.close(render(False, note))


def _follow(
    draw: Callable[[str], None],
    render: Callable[[], str],
    is_over: Callable[[], bool],
    ended: threading.Event,
    seconds: float | None,
) -> None:
    drawn, drawn_at = "", time.monotonic()
    end_at = float("inf") if seconds is None else drawn_at + seconds
    while not is_over() and (now := time.monotonic()) < end_at:
        html = render()
        if html != drawn or now - drawn_at >= REFRESH_SECONDS:
            draw(html)
            drawn, drawn_at = html, now
        if ended.wait(min(REDRAW_SECONDS, end_at - now)):
            return


@contextmanager
def _only_view_of(subject: object) -> Iterator[threading.Event]:
    """End the former view of it; what is given will end this one."""
    ended = threading.Event()
    with _lock:
        former = _views.get(subject)
        _views[subject] = ended
    if former is not None:
        former.set()
    try:
        yield ended
    finally:
        with _lock:
            if _views.get(subject) is ended:
                del _views[subject]

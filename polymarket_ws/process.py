"""What the process that subscribers run in does to them: its exit, its signals, and a fork.

Threads do not survive a fork: a forked child has the subscribers, books and sockets of its parent,
and none of the threads that feed them, nor those that held a lock at that moment. So the child's
copies are told before any other code of the child runs. Nothing is asked of the parent, which goes
on as before.
"""

from __future__ import annotations

import atexit
import os
import signal
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakSet

from .logs import Log

logger = Log(__name__)

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


class Forkable(Protocol):
    """A subscriber, as a fork sees it."""

    def _become_forked(self) -> None:
        """In a forked child: no thread of it exists here. Acquires no lock of before the fork."""

    def _restart_after_fork(self) -> None:
        """In a forked child, once all have become forked: start, if its options say so."""


F = TypeVar("F", bound=Forkable)


class ForkHook(Generic[F]):
    """Tells what it watches in each forked child. One for the process; any thread.

    A child that was made without a fork (spawn, forkserver, an exec) has nothing to be told of, and
    `posix_spawn`, and `subprocess` without a `preexec_fn`, run no hooks.

    Args:
        forget: Called first in each child: what it has to give back that is not a subscriber's.
    """

    def __init__(self, forget: Callable[[], object]) -> None:
        self._forget = forget
        self._watched: WeakSet[F] = WeakSet()
        self._is_registered = False

    def watch(self, subscriber: F) -> None:
        """Called when it is made: also one that is not started has locks."""
        if not self._is_registered and hasattr(os, "register_at_fork"):
            self._is_registered = True
            os.register_at_fork(after_in_child=self._tell_child)
        self._watched.add(subscriber)

    def _tell_child(self) -> None:
        watched = list(self._watched)
        steps: list[Callable[[], object]] = [self._forget]
        steps += [subscriber._become_forked for subscriber in watched]
        steps += [subscriber._restart_after_fork for subscriber in watched]
        for step in steps:
            try:
                step()
            except Exception as error:  # one must not keep the others from being told
                logger.error(
                    "a subscriber was not told of the fork; please report this", cause=error
                )


_GEVENT_WORKER = "gunicorn.workers.ggevent"
_IN_GEVENT_WORKER = (
    "under gunicorn's gevent worker, call start() in the post_worker_init hook of its configuration"
)
_IN_UWSGI = "under uWSGI, call start() in a function decorated with @uwsgidecorators.postfork"
_GREEN = ("gevent", "eventlet")  # whose ssl cannot wrap a socket by a context of before

# Modules that are loaded where such a server runs, and where a worker of it is to call start().
_WORKERS = (
    ("uwsgi", _IN_UWSGI),
    (_GEVENT_WORKER, _IN_GEVENT_WORKER),
    ("gunicorn.arbiter", "under gunicorn, call start() in the post_fork hook of its configuration"),
    ("celery.concurrency.prefork", "under Celery, call start() on the worker_process_init signal"),
)


def how_to_start_in_child() -> str:
    """Where a forked worker calls start(), for the server that this process belongs to."""
    found = (remedy for module, remedy in _WORKERS if module in sys.modules)
    otherwise = "call start() in the child, or set Options(restart_after_fork=True)"
    return next(found, otherwise)


def why_not_to_start(ssl_context: object) -> str:
    """Why threads that are started now would not work, and what to do; "" when they will.

    Args:
        ssl_context: The user's; an ssl.SSLContext, of today or of before a patching, or None.
    """
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None and hasattr(uwsgi, "masterpid"):
        if not getattr(uwsgi, "has_threads", True) and not _is_patched_by_gevent():
            return "this uWSGI runs no Python threads: set enable-threads = true for it"
        if _forks_unseen(uwsgi):
            return f"this process of uWSGI will be forked without a word to Python: {_IN_UWSGI}"
    if _GEVENT_WORKER in sys.modules and not _is_patched_by_gevent() and _is_gunicorn_worker():
        return f"gevent has not patched this worker yet, and will: {_IN_GEVENT_WORKER}"
    library = ssl.SSLContext.__module__.partition(".")[0]
    if library in _GREEN and not isinstance(ssl_context, ssl.SSLContext | None):
        return f"Options.ssl_context was made before {library} patched ssl: patch first"
    return ""


def _is_patched_by_gevent() -> bool:
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def _forks_unseen(uwsgi: Any) -> bool:
    """Whether workers are forked from this process of uWSGI, and no hook of Python's will run.

    Then a worker takes the parent's threads for its own. With py-call-osafterfork the hooks run,
    but threads that the master had leave a worker in which none can be started (uWSGI 2.0.31).
    """
    is_master = uwsgi.masterpid() == os.getpid()
    is_first = not uwsgi.masterpid() and not uwsgi.worker_id() and uwsgi.numproc > 1
    return (is_master or is_first) and not uwsgi.opt.get("py-call-uwsgi-fork-hooks")


def _is_gunicorn_worker() -> bool:
    """Whether this is called within a worker of gunicorn: nothing else tells it from the master."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        is_in_arbiter = frame.f_globals.get("__name__") == "gunicorn.arbiter"
        if is_in_arbiter and frame.f_code.co_name == "spawn_worker":
            return True
        frame = frame.f_back
    return False


def is_outdated(lock: object) -> bool:
    """Whether gevent or eventlet has replaced the class of locks since this one was made.

    A greenlet that waits for a real lock holds up the one that has it, too.
    """
    return type(lock) is not type(threading.RLock())


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

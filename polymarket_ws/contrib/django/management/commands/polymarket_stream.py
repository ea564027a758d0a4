"""`manage.py polymarket_stream`: follow Polymarket and call the project's handlers."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.utils import autoreload

from polymarket_ws import PolymarketWsError
from polymarket_ws.contrib.django.lazy_subscriber import import_subscriptions, lazy
from polymarket_ws.contrib.stream_report import (
    counted,
    describe_end,
    describe_followed,
    describe_missing,
    describe_ready,
    is_anything_followed,
    is_anything_subscribed,
    seconds,
)

_LOOK_SECONDS = 0.25  # between two looks for a signal, for readiness and for the end


class Command(BaseCommand):
    """Runs in the foreground until SIGTERM or Ctrl-C, and exits with 0 after these."""

    help = "Follow Polymarket and call the handlers of each app's subscriptions.py."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--once-ready",
            action="store_true",
            help="Exit with 0 once every book is live, else with 1 and the reason; calls no "
            "handler.",
        )
        parser.add_argument(
            "--ready-timeout",
            type=seconds,
            default=30.0,
            metavar="SECONDS",
            help="After which a book that is missing is told (default: 30).",
        )
        parser.add_argument(
            "--stop-timeout",
            type=seconds,
            default=10.0,
            metavar="SECONDS",
            help="For handlers to take what is queued at the end (default: 10).",
        )
        parser.add_argument(
            "--reload", action="store_true", help="Start anew when a file changes, as runserver."
        )

    def handle(self, *args: object, **options: Any) -> None:
        if options["once_ready"]:
            with _as_command_errors():
                self._wait_ready(options["ready_timeout"])
        elif options["reload"]:
            autoreload.run_with_reloader(self._follow_reloaded, **options)
        else:
            self._follow(**options)

    def _wait_ready(self, timeout: float) -> None:
        if not is_anything_subscribed(lazy.made):
            raise CommandError("nothing to wait for: give POLYMARKET_WS ASSET_IDS or CREDENTIALS")
        lazy.host(call_handlers=False)
        try:
            lazy.made.wait_ready(timeout)
            self._tell_ready()
        finally:
            lazy.made.stop()

    def _follow_reloaded(self, **options: Any) -> None:
        """In the reloader's child, on a thread of its own; the reloader goes on after an error."""
        try:
            self._follow(**options)
        except CommandError as error:
            self.stderr.write(self.style.ERROR(f"CommandError: {error}"))

    def _follow(self, *, ready_timeout: float, stop_timeout: float, **_: object) -> None:
        with _as_command_errors(), _asked_to_stop() as asked:
            modules = import_subscriptions()
            event_types = [name.removeprefix("on_") for name in lazy.handler_names]
            if not is_anything_followed(lazy.made, event_types):
                raise CommandError("nothing to follow: give POLYMARKET_WS ASSET_IDS or CREDENTIALS")
            lazy.host(call_handlers=True)
            connections.close_all()  # of this thread, which may have asked for asset ids
            found = ", ".join(modules) or "no subscriptions.py"
            handlers = counted(len(event_types), "handler")
            self._tell(f"following {describe_followed(lazy.made)} with {handlers} of {found}")
            self._stay(asked, ready_timeout, stop_timeout)
        self._tell(describe_end(lazy.made.stats()))
        if lazy.exits:
            raise lazy.exits[-1]

    def _stay(self, asked: list[int], ready_timeout: float, stop_timeout: float) -> None:
        made, is_told = lazy.made, False
        while not made.wait(_LOOK_SECONDS):
            if asked:
                if not made.stop(stop_timeout, drain=True):
                    self._warn(f"a handler has not returned within {stop_timeout:g} s")
                return
            if is_told:
                continue
            is_late = made.stats().uptime > ready_timeout
            is_told = made.healthy or is_late
            if made.healthy:
                self._tell_ready()
            elif is_late:
                self._warn(f"not ready after {ready_timeout:g} s: {describe_missing(made)}")

    def _tell_ready(self) -> None:
        self._tell(self.style.SUCCESS(describe_ready(lazy.made)))

    def _tell(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _warn(self, text: str) -> None:
        self.stderr.write(self.style.WARNING(text))


@contextmanager
def _as_command_errors() -> Iterator[None]:
    """Show a sentence, and no traceback, of what the project's settings or Polymarket caused."""
    try:
        yield
    except (PolymarketWsError, ImproperlyConfigured, TimeoutError) as error:
        raise CommandError(str(error)) from error


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """Note SIGTERM and SIGINT in the main thread; a second SIGINT raises KeyboardInterrupt."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # the reloader handles them
        yield received
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and received:
            raise KeyboardInterrupt
        received.append(number)

    former = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in former.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

"""Pulling events on the caller's own thread: `Subscriber.events()` and `wait_for()`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar, overload

from polymarket_ws.errors import ConfigurationError
from polymarket_ws.events import EVENTS, Event
from polymarket_ws.timeouts import check_timeout

from .streams import EventStream

E = TypeVar("E", bound=Event)


class EventSource:
    """What events are pulled from: the base of Subscriber, which opens the streams."""

    @overload
    def events(self, *, timeout: float | None = None) -> EventStream[Event]: ...

    @overload
    def events(self, *events: type[E], timeout: float | None = None) -> EventStream[E]: ...

    @overload
    def events(
        self, *events: type[Event] | str, timeout: float | None = None
    ) -> EventStream[Event]: ...

    def events(
        self, *events: type[E] | type[Event] | str, timeout: float | None = None
    ) -> EventStream[E] | EventStream[Event]:
        """Iterate over events on the caller's own thread, from this call on.

        Args:
            events: Event classes, or their names ("book", "on_book"); none is all, lifecycle
                included.
            timeout: Seconds without an event after which it ends; None is no limit.

        Returns:
            An iterator with a queue of its own (see `Options.queue_limit`); close it, or forget it.
            It ends with the run: with the present one, or the next when none was started yet.

        Raises:
            ConfigurationError: an unknown event, one's own events without credentials, or a
                `timeout` that is no number, below 0, or NaN.
            RuntimeError: called in a callback.
        """
        if timeout is not None:
            check_timeout("events", timeout)
        return self._open_stream(frozenset(map(_kind, events)), timeout)

    @overload
    def wait_for(
        self, event: type[E], *, timeout: float, where: Callable[[E], bool] | None = None
    ) -> E: ...

    @overload
    def wait_for(
        self, event: str, *, timeout: float, where: Callable[[Event], bool] | None = None
    ) -> Event: ...

    def wait_for(
        self,
        event: type[Event] | str,
        *,
        timeout: float,
        where: Callable[..., bool] | None = None,
    ) -> Event:
        """The next such event for which `where(event)` is true; `where` runs on the caller's
        thread.

        Raises:
            TimeoutError: none came within `timeout` seconds, or the subscriber stopped.
            PolymarketWsError: the fatal error.
            ConfigurationError, RuntimeError: as `events`.
        """
        check_timeout("wait_for", timeout)
        deadline = time.monotonic() + timeout
        name = event if isinstance(event, str) else event.__name__
        with self.events(event) as stream:
            while (left := deadline - time.monotonic()) > 0:
                found = stream.next_within(left)
                if found is None:
                    break
                if where is None or where(found):
                    return found
            was_stopped = stream.ended
        raise TimeoutError(
            f"no such {name}: the subscriber was stopped"
            if was_stopped
            else f"no such {name} within {timeout:g} s"
        )

    def _open_stream(
        self, kinds: frozenset[type[Event]], timeout: float | None
    ) -> EventStream[Event]:
        """A stream of these kinds, of none of all but raw frames; the Subscriber opens it."""
        raise NotImplementedError


def _kind(event: type[Event] | str) -> type[Event]:
    if isinstance(event, str):
        found = EVENTS.get(event.removeprefix("on_"))
        if found is not None:
            return found
    elif isinstance(event, type) and event in EVENTS.values():
        return event
    raise ConfigurationError(
        f"{event!r} is no event that can be waited for; there are {', '.join(sorted(EVENTS))}"
    )

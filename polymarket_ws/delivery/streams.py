"""Events pulled on the caller's own thread: what `Subscriber.events()` and `wait_for()`
stand on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, cast
from weakref import WeakSet

from polymarket_ws.errors import PolymarketWsError, QueueOverflow
from polymarket_ws.events import Event
from polymarket_ws.logs import Log

from .event_queue import EventQueue

logger = Log(__name__)


E = TypeVar("E", bound=Event)


class EventStream(Iterator[E], Generic[E]):
    """An iterator over the events that arrive from now on. Made by `Subscriber.events()`.

    One thread iterates; any thread may close it. It ends when the subscriber stops, when `timeout`
    seconds pass without an event, or when it is closed; a fatal error of the subscriber is raised.
    It has a queue of its own with the limit and the rule of `Options.queue_limit`; a slow callback
    does not delay it.

        for trade in sub.events(LastTradePrice, timeout=60):
            print(trade.price)
    """

    def __init__(
        self,
        kinds: frozenset[type[Event]],
        timeout: float | None,
        limit: int,
        is_wanted: Callable[[Event], bool],
    ) -> None:
        self.kinds = kinds
        self._timeout = timeout
        self._is_wanted = is_wanted
        self._queue = EventQueue(limit)
        self._ended = False
        self._error: PolymarketWsError | None = None
        # Guards the two above; held for an append or a flag, never while an event is handled.
        self._changed = threading.Condition()

    @property
    def dropped(self) -> int:
        """Events of this stream that were dropped because its reader was too slow."""
        return self._queue.dropped

    @property
    def ended(self) -> bool:
        return self._ended

    def put(self, items: Iterable[object]) -> int:
        """Queue those of the items that it asked for; returns how many older ones were dropped."""
        mine = [i for i in items if isinstance(i, Event) and type(i) in self.kinds]
        if not mine or self._ended:
            return 0
        dropped = 0
        try:
            dropped = self._queue.put(mine)
        except QueueOverflow as overflow:
            self.end(overflow)
        with self._changed:
            self._changed.notify()
        return dropped

    def end(self, error: PolymarketWsError | None) -> None:
        """Let the reader have what waits, then the error or the end."""
        with self._changed:
            if not self._ended:
                self._ended, self._error = True, error
            self._changed.notify()

    def close(self) -> None:
        """End now; what waits is discarded. Idempotent."""
        self.end(None)
        self._queue.clear()

    @property
    def locks(self) -> list[Any]:
        """What a call of a user may hold."""
        return [self._changed, *self._queue.locks]

    def renew_locks(self) -> None:
        """In a forked child: whoever held a lock stayed behind in the parent."""
        self._changed = threading.Condition()
        self._queue.renew_locks()

    def __next__(self) -> E:
        event = self.next_within(self._timeout)
        if event is None:
            self.close()
            raise StopIteration
        return event

    def next_within(self, timeout: float | None) -> E | None:
        """The next event; None at the end or after `timeout` seconds without one (None: no limit).

        Raises:
            PolymarketWsError: the subscriber's fatal error.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            item = self._queue.pop()
            # Its queue's own Gap is for those that asked for gaps; the others see `dropped`.
            if isinstance(item, Event) and type(item) in self.kinds and self._is_wanted(item):
                return cast(E, item)
            if item is None and not self._wait(deadline):
                return None

    def _wait(self, deadline: float | None) -> bool:
        """Wait for something to happen; False at the end or past the deadline."""
        with self._changed:
            if len(self._queue):
                return True
            if self._ended:
                if self._error is not None:
                    raise self._error
                return False
            left = 1.0 if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return False
            self._changed.wait(min(left, 1.0))
            return True

    def __enter__(self) -> EventStream[E]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class EventStreams:
    """The open streams of one run; a stream that nobody holds any more is forgotten.
    Thread-safe.
    """

    def __init__(self) -> None:
        self.dropped = 0
        """Events that streams dropped because their readers were too slow."""
        self._streams: WeakSet[EventStream[Event]] = WeakSet()
        # Guards the set, which may not change while it is iterated; not held while a stream takes
        # items.
        self._lock = threading.RLock()

    @property
    def locks(self) -> list[Any]:
        """What a call of a user may hold."""
        with self._lock:
            streams = list(self._streams)
        return [self._lock, *(lock for stream in streams for lock in stream.locks)]

    def renew_locks(self) -> None:
        """In a forked child: whoever held a lock stayed behind in the parent."""
        self._lock = threading.RLock()
        for stream in list(self._streams):
            stream.renew_locks()

    def close(self) -> None:
        """End all; what waits in them is discarded."""
        for stream in self._open():
            stream.close()

    def add(self, stream: EventStream[Event]) -> None:
        with self._lock:
            self._streams.add(stream)

    def put(self, items: Sequence[object]) -> None:
        dropped = sum(stream.put(items) for stream in self._open())
        if dropped:
            if not self.dropped:
                logger.warning("events() is read too slowly: its oldest market data is dropped")
            self.dropped += dropped

    def end(self, error: PolymarketWsError | None) -> None:
        for stream in self._open():
            stream.end(error)

    def names(self) -> frozenset[str]:
        """The events that some stream asks for."""
        return frozenset(kind.event_type for stream in self._open() for kind in stream.kinds)

    def _open(self) -> list[EventStream[Event]]:
        if not self._streams:
            return []
        with self._lock:
            return [stream for stream in self._streams if not stream.ended]

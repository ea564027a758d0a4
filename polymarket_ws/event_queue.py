"""The bounded queue between threads that receive and one that handles: what to drop, and when."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable

from attrs import define, field

from .books import BookCore
from .errors import PolymarketWsError, QueueOverflow
from .events import OWN, Connected, Disconnected, Event

Item = Event | BookCore | PolymarketWsError
"""An event, a book that changed, or an error to tell."""

LIFECYCLE_LIMIT = 64  # connect and disconnect events kept for each connection


@define(eq=False)
class EventQueue:
    """A queue that never blocks its producers and never grows without bound.

    Beyond `limit` the oldest market data goes. One's own orders and trades are never dropped: they
    have a limit of their own, beyond which `put` raises. A book that changed waits once, however
    often it changes. Of one connection's connect and disconnect events the newest LIFECYCLE_LIMIT
    wait.

    Any thread may call any member.
    """

    limit: int
    dropped: int = 0
    """Market-data events that had to go."""
    coalesced: int = 0
    """Connect and disconnect events that had to go."""
    high_water: int = 0
    """The most that ever waited."""
    _numbered: int = 0
    _market_data: deque[tuple[int, Item]] = field(factory=deque)
    _kept: deque[tuple[int, Item]] = field(factory=deque)
    _marked: set[BookCore] = field(factory=set)
    _own: int = 0
    _lifecycle: Counter[str] = field(factory=Counter)
    _lock: threading.Lock = field(factory=threading.Lock)
    """Guards everything above; held while items move, never while one is handled."""

    def __len__(self) -> int:
        return len(self._market_data) + len(self._kept)

    def put(self, items: Iterable[Item]) -> int:
        """Append the items in order; returns how many older ones were dropped for them.

        Raises:
            QueueOverflow: more than `limit` own orders and trades wait. They are queued though.
        """
        with self._lock:
            for item in items:
                self._append(item)
            surplus = max(0, len(self._market_data) - self.limit)
            for _ in range(surplus):
                self._market_data.popleft()
            self.dropped += surplus
            self.high_water = max(self.high_water, len(self))
            own = self._own
        if own > self.limit:
            raise QueueOverflow(
                f"{own} of your own orders and trades wait for callbacks (queue_limit {self.limit})"
            )
        return surplus

    def pop(self) -> Item | None:
        """The oldest item; None when there is none."""
        with self._lock:
            queue = self._older()
            if not queue:
                return None
            item = queue.popleft()[1]
            self._forget(item)
            return item

    def clear(self) -> None:
        """Discard all that waits."""
        with self._lock:
            self._market_data.clear()
            self._kept.clear()
            self._marked.clear()
            self._lifecycle.clear()
            self._own = 0

    def _older(self) -> deque[tuple[int, Item]]:
        if not self._kept or not self._market_data:
            return self._kept or self._market_data
        return min(self._kept, self._market_data, key=lambda queue: queue[0][0])

    def _append(self, item: Item) -> None:
        self._numbered += 1
        if isinstance(item, BookCore):
            if item in self._marked:
                return
            self._marked.add(item)
        elif type(item) in OWN:
            self._own += 1
        elif isinstance(item, (Connected, Disconnected)):
            self._lifecycle[item.connection] += 1
            if self._lifecycle[item.connection] > LIFECYCLE_LIMIT:
                self._drop_lifecycle(item.connection)
        else:
            self._market_data.append((self._numbered, item))
            return
        self._kept.append((self._numbered, item))

    def _drop_lifecycle(self, connection: str) -> None:
        oldest = next(
            index
            for index, (_, item) in enumerate(self._kept)
            if isinstance(item, (Connected, Disconnected)) and item.connection == connection
        )
        del self._kept[oldest]
        self._lifecycle[connection] -= 1
        self.coalesced += 1

    def _forget(self, item: Item) -> None:
        if isinstance(item, BookCore):
            self._marked.discard(item)
        elif type(item) in OWN:
            self._own -= 1
        elif isinstance(item, (Connected, Disconnected)):
            self._lifecycle[item.connection] -= 1

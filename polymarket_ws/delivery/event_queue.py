"""The bounded queue between threads that receive and one that handles: what to drop, and when."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from attrs import define, field

from polymarket_ws.books.book import BookCore
from polymarket_ws.errors import PolymarketWsError, QueueOverflow
from polymarket_ws.events import DROPPABLE, OWN, Connected, Disconnected, Event, Gap, Resync

_Told = (Connected, Disconnected, Gap, Resync)

Item = Event | BookCore | PolymarketWsError
"""An event, a book that changed, or an error to tell."""

PER_CONNECTION_LIMIT = 128  # connects, disconnects, gaps and resyncs kept for each connection


@define
class _Overflow:
    """What was dropped since its Gap was last told: that Gap stands in its place."""

    number: int
    asset_ids: dict[str, None] = field(factory=dict)
    dropped: int = 0
    since_ns: int = 0
    until_ns: int = 0

    def add(self, item: Item) -> None:
        self.dropped += 1
        if isinstance(item, Event):
            self.asset_ids.update(dict.fromkeys(item.assets))
            self.since_ns = self.since_ns or item.received_at_ns
            self.until_ns = item.received_at_ns

    def told(self) -> tuple[Gap, Resync]:
        assets = tuple(self.asset_ids)
        return (
            Gap(
                channel="market",
                connection="",
                reason="overflow",
                asset_ids=assets,
                dropped=self.dropped,
                received_at_ns=self.since_ns,
            ),
            Resync(
                channel="market",
                connection="",
                reason="overflow",
                asset_ids=assets,
                received_at_ns=self.until_ns,
            ),
        )


@define(eq=False)
class EventQueue:
    """A queue that never blocks its producers and never grows without bound.

    Beyond `limit` the oldest market data goes; in its place stand a Gap("overflow") that names its
    assets, and at once its Resync. One's own orders and trades are never dropped: they have a limit
    of their own, beyond which `put` raises. A book that changed waits once, however often it
    changes. Of what is told of one connection's life the newest PER_CONNECTION_LIMIT wait; a Gap is
    not dropped without its Resync.

    Any thread may call any member.
    """

    limit: int
    dropped: int = 0
    """Market-data events that had to go."""
    coalesced: int = 0
    """Connects, disconnects, gaps and resyncs that had to go."""
    high_water: int = 0
    """The most that ever waited."""
    _numbered: int = 0
    _market_data: deque[tuple[int, Item]] = field(factory=deque)
    _kept: deque[tuple[int, Item]] = field(factory=deque)
    _marked: set[BookCore] = field(factory=set)
    _own: int = 0
    _of_connection: Counter[str] = field(factory=Counter)
    _overflow: _Overflow | None = None
    _resync: Resync | None = None
    _lock: threading.RLock = field(factory=threading.RLock)
    """Guards everything above; held while items move, never while one is handled."""

    def __len__(self) -> int:
        extra = (self._overflow is not None) + (self._resync is not None)
        return len(self._market_data) + len(self._kept) + extra

    @property
    def locks(self) -> list[Any]:
        """What a call of a user may hold."""
        return [self._lock]

    def renew_locks(self) -> None:
        """In a forked child: whoever held the lock stayed behind in the parent."""
        self._lock = threading.RLock()

    def put(self, items: Iterable[Item]) -> int:
        """Append the items in order; returns how many older ones were dropped for them.

        Raises:
            QueueOverflow: more than `limit` own orders and trades wait. They are queued though.
        """
        with self._lock:
            for item in items:
                self._numbered += 1
                if item.__class__ in DROPPABLE:  # most of a stream
                    self._market_data.append((self._numbered, item))
                else:
                    self._append(item)
            surplus = max(0, len(self._market_data) - self.limit)
            for _ in range(surplus):
                self._drop(*self._market_data.popleft())
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
            return self._pop()

    def pop_some(self, count: int) -> list[Item]:
        """The oldest items, at most so many; they are within no bound any more."""
        with self._lock:
            queue = self._market_data
            if not self._kept and self._overflow is None and self._resync is None:
                return [queue.popleft()[1] for _ in range(min(count, len(queue)))]
            items: list[Item] = []
            # A book's marker comes alone: what changes until its turn is the same call.
            while len(items) < count and not (items and self._marked and self._is_next_a_book()):
                item = self._pop()
                if item is None:
                    break
                items.append(item)
                if isinstance(item, BookCore):
                    break
            return items

    def _is_next_a_book(self) -> bool:
        queue = self._older()
        return bool(queue) and isinstance(queue[0][1], BookCore)

    def _pop(self) -> Item | None:
        if self._resync is not None:
            resync, self._resync = self._resync, None
            return resync
        queue = self._older()
        overflow = self._overflow
        if overflow is not None and not (queue and queue[0][0] < overflow.number):
            self._overflow = None
            gap, self._resync = overflow.told()
            return gap
        if not queue:
            return None
        item = queue.popleft()[1]
        if queue is self._kept:
            self._forget(item)
        return item

    def clear(self) -> None:
        """Discard all that waits."""
        with self._lock:
            self._market_data.clear()
            self._kept.clear()
            self._marked.clear()
            self._of_connection.clear()
            self._overflow = self._resync = None
            self._own = 0

    def _older(self) -> deque[tuple[int, Item]]:
        if not self._kept or not self._market_data:
            return self._kept or self._market_data
        return min(self._kept, self._market_data, key=lambda queue: queue[0][0])

    def _append(self, item: Item) -> None:
        if isinstance(item, BookCore):
            if item in self._marked:
                return
            self._marked.add(item)
        elif type(item) in OWN:
            self._own += 1
        elif isinstance(item, _Told):
            self._of_connection[item.connection] += 1
            if self._of_connection[item.connection] > PER_CONNECTION_LIMIT:
                self._drop_of_connection(item.connection)
        else:
            self._market_data.append((self._numbered, item))
            return
        self._kept.append((self._numbered, item))

    def _drop(self, number: int, item: Item) -> None:
        if self._overflow is None:
            self._overflow = _Overflow(number)
        self._overflow.add(item)

    def _drop_of_connection(self, connection: str) -> None:
        """Drop the oldest that can go: a Gap goes with its Resync alone, and never one of them."""
        told = [
            (index, item)
            for index, (_, item) in enumerate(self._kept)
            if isinstance(item, _Told) and item.connection == connection
        ]
        for place, (index, item) in enumerate(told):
            if isinstance(item, (Connected, Disconnected)):
                gone = [index]
            elif isinstance(item, Gap):
                later = (i for i, other in told[place + 1 :] if _ends(other, item))
                end = next(later, None)
                gone = [] if end is None else [end, index]
            else:
                gone = []
            for i in gone:
                del self._kept[i]
            if gone:
                self._of_connection[connection] -= len(gone)
                self.coalesced += len(gone)
                return

    def _forget(self, item: Item) -> None:
        """One of what is kept is taken: these three kinds alone are."""
        if isinstance(item, BookCore):
            self._marked.discard(item)
        elif type(item) in OWN:
            self._own -= 1
        else:
            assert isinstance(item, _Told)
            self._of_connection[item.connection] -= 1


def _ends(item: Item, gap: Gap) -> bool:
    return (
        isinstance(item, Resync)
        and item.reason == gap.reason
        and set(item.asset_ids) <= set(gap.asset_ids)
    )

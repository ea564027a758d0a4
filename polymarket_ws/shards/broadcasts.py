"""Broadcasts come over every connection; each is to be told once."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence

from attrs import define, field

from polymarket_ws.delivery.event_queue import Item
from polymarket_ws.events import BROADCASTS, Event

REMEMBERED = 4096  # broadcasts: hours of them, while the copies come within seconds


@define(eq=False)
class Broadcasts:
    """The broadcasts that one of a run's shards has delivered. Any thread."""

    duplicates: int = 0
    """Copies that were not delivered."""
    _seen: dict[Hashable, None] = field(factory=dict)
    _lock: threading.Lock = field(factory=threading.Lock)
    """Guards the two above."""

    def first(self, items: Sequence[Item]) -> Sequence[Item]:
        """These items without the broadcasts that were delivered before."""
        if BROADCASTS.isdisjoint(map(type, items)):
            return items
        return [item for item in items if self._is_first(item)]

    def _is_first(self, item: Item) -> bool:
        if not isinstance(item, Event) or not item.is_broadcast:
            return True
        key = item.identity
        with self._lock:
            if key in self._seen:
                self.duplicates += 1
                return False
            self._seen[key] = None
            if len(self._seen) > REMEMBERED:
                del self._seen[next(iter(self._seen))]
        return True

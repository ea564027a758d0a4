"""Broadcasts come over every connection; each is to be told once."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from attrs import define, field

from polymarket_ws.delivery.event_queue import Item
from polymarket_ws.events import MarketResolved, NewMarket

REMEMBERED = 4096  # broadcasts: hours of them, while the copies come within seconds


@define(eq=False)
class Broadcasts:
    """The broadcasts that one of a run's shards has delivered. Any thread."""

    duplicates: int = 0
    """Copies that were not delivered."""
    _seen: dict[tuple[str, str, int], None] = field(factory=dict)
    _lock: threading.Lock = field(factory=threading.Lock)
    """Guards the two above."""

    def first(self, items: Sequence[Item]) -> Sequence[Item]:
        """These items without the broadcasts that were delivered before."""
        if not any(isinstance(item, (NewMarket, MarketResolved)) for item in items):
            return items
        return [item for item in items if self._is_first(item)]

    def _is_first(self, item: Item) -> bool:
        if not isinstance(item, (NewMarket, MarketResolved)):
            return True
        key = (item.event_type, item.id, item.timestamp_ms)
        with self._lock:
            if key in self._seen:
                self.duplicates += 1
                return False
            self._seen[key] = None
            if len(self._seen) > REMEMBERED:
                del self._seen[next(iter(self._seen))]
        return True

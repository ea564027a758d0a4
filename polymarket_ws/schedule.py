"""Who is due when: each once, dropped at will, the earliest found at once."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Generic, TypeVar

from attrs import define, field

T = TypeVar("T", bound=Hashable)


@define(eq=False)
class Schedule(Generic[T]):
    """Entries and the times at which they are due. Used by one thread.

    What is dropped stays in the heap until its time: entries are cheap, and none waits long.
    """

    due: dict[T, tuple[float, int]] = field(factory=dict)
    """What is entered; for others only to be looked in, which costs no call of ours."""
    _heap: list[tuple[float, int, T]] = field(factory=list)
    _numbers: count[int] = field(factory=count)

    @property
    def next_due(self) -> float:
        """The earliest time; infinite when there is nothing."""
        heap = self._heap
        while heap and self.due.get(heap[0][2]) != heap[0][:2]:
            heapq.heappop(heap)
        return heap[0][0] if heap else float("inf")

    def put(self, entry: T, due: float) -> None:
        """Enter it; one that is there already keeps its time."""
        if entry not in self.due:
            key = self.due[entry] = due, next(self._numbers)
            heapq.heappush(self._heap, (*key, entry))

    def drop(self, entry: T) -> bool:
        """Forget it; False when it was not there."""
        return self.due.pop(entry, None) is not None

    def take_due(self, now: float) -> list[T]:
        """Remove and return what is due, earliest first."""
        taken: list[T] = []
        while self.next_due <= now:
            entry = heapq.heappop(self._heap)[2]
            del self.due[entry]
            taken.append(entry)
        return taken

    def clear(self) -> None:
        self.due.clear()
        self._heap.clear()

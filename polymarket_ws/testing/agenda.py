"""The time of a simulated exchange, and what is to happen at later times."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from attrs import define, field

from .simulated_market import Wire


@define(order=True)
class _Pending:
    due_ms: int
    number: int
    happen: Callable[[], list[Wire]] = field(order=False)


@define(eq=False)
class Agenda:
    """Made and driven by one SimulatedExchange. Time stands still unless it is moved."""

    now_ms: int
    """Milliseconds since 1970."""
    put: int = 0
    """How often something was put on it."""
    _pending: list[_Pending] = field(init=False, factory=list)

    def later(self, milliseconds: int, happen: Callable[[], list[Wire]]) -> None:
        """Let something happen so long after now; its events are told then."""
        self.put += 1
        heapq.heappush(self._pending, _Pending(self.now_ms + milliseconds, self.put, happen))

    def has_due(self, at_ms: int) -> bool:
        """Whether something is to happen until then."""
        return bool(self._pending) and self._pending[0].due_ms <= at_ms

    def happen_next(self) -> list[Wire]:
        """Move to the next thing, and let it happen."""
        pending = heapq.heappop(self._pending)
        self.now_ms = max(self.now_ms, pending.due_ms)
        return pending.happen()

    def advance(self, until_ms: int) -> list[Wire]:
        """Move to a time, and let happen what falls due."""
        events: list[Wire] = []
        while self.has_due(until_ms):
            events += self.happen_next()
        self.now_ms = max(self.now_ms, until_ms)
        return events

    def advance_over(self, former: int) -> list[Wire]:
        """Move until all has happened that was put on it after so many things."""
        return self.advance(max(p.due_ms for p in self._pending if p.number > former))

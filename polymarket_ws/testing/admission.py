"""How many handshakes a FakeServer lets in."""

from __future__ import annotations

from collections import deque

from attrs import define, field

from .faults import ConnectFault

_WINDOW_SECONDS = 1.0
_TOO_MANY = ConnectFault("reject", status=429, headers={"Retry-After": "1"})


@define(eq=False)
class Admission:
    """At most so many connections within any one second; None: any number. Sans-I/O.

    Owned by one FakeServer; only its thread calls it. Who is turned away does not count.
    """

    per_second: int | None
    _admitted_at: deque[float] = field(factory=deque)

    def judge(self, now: float) -> ConnectFault | None:
        """What happens to a handshake instead of being accepted; None: it is accepted."""
        if self.per_second is None:
            return None
        while self._admitted_at and now - self._admitted_at[0] >= _WINDOW_SECONDS:
            self._admitted_at.popleft()
        if len(self._admitted_at) >= self.per_second:
            return _TOO_MANY
        self._admitted_at.append(now)
        return None

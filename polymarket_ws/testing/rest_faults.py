"""What goes wrong with a FakeServer's REST answers. Sans-I/O."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Literal

from attrs import define, field, frozen

from .exchange import SimulatedExchange
from .http_messages import Answer, HttpRequest
from .simulated_market import Wire

Act = Callable[[SimulatedExchange], list[Wire]]


@frozen
class RestFault:
    """What happens to one request; see `Faults.rest`."""

    status: int = 200
    headers: Mapping[str, str] = field(factory=dict)
    body: str | None = None
    cut: bool = False
    seconds: float = 0.0
    path: str = ""

    def apply(self, answer: Answer) -> Answer:
        """What is answered in the place of the right answer."""
        altered = answer.altered(self.status, self.headers, self.body)
        return Answer(altered.status, altered.body, altered.headers, self.seconds, self.cut)


@frozen
class Lag:
    """By how much answers are stale; see `Faults.rest_lag`."""

    seconds: float
    clock: Literal["exchange", "server"]
    random: random.Random


@define(eq=False)
class RestFaults:
    """Owned by one server's Faults, whose methods say what each does; for its thread alone."""

    clock_seconds: float = 0.0
    lag: Lag | None = None
    between_pages: deque[Act | None] = field(factory=deque)
    _once: deque[RestFault] = field(factory=deque)
    _standing: list[RestFault] = field(factory=list)

    def add(self, fault: RestFault, times: int | None) -> None:
        """Let it happen so often; None: until `clear`."""
        if times is None:
            self._standing.append(fault)
        else:
            self._once.extend([fault] * times)

    def take(self, request: HttpRequest) -> RestFault | None:
        """What happens to the present request."""
        for fault in self._once:
            if request.path.startswith(fault.path):
                self._once.remove(fault)
                return fault
        return next((f for f in self._standing if request.path.startswith(f.path)), None)

    def clear(self) -> None:
        """Forget them all."""
        self.clock_seconds, self.lag = 0.0, None
        self.between_pages.clear()
        self._once.clear()
        self._standing.clear()

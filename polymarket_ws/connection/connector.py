"""Opens sockets for the connections of one shard, each on a thread of its own."""

from __future__ import annotations

import selectors
import ssl
import threading
from collections.abc import Callable

from attrs import define, field

from polymarket_ws.channels.dialect import Dialect
from polymarket_ws.clock import Clock
from polymarket_ws.errors import ConnectTimeout, HandshakeRejected, PolymarketWsError
from polymarket_ws.net.attempt import Attempt, OpenSocket
from polymarket_ws.net.attempt_thread import AttemptThread
from polymarket_ws.options import Options

from .pacing import Pacer

_TOO_MANY = frozenset({429, 503})
# Seconds past the deadline: all phases but DNS end themselves, with a better error.
_DNS_GRACE = 0.25


@define(eq=False)
class Connector:
    """What the connections and probes of a shard share: where they connect to, and how.

    Made by a shard, and used by its thread; only `threads` is for others.
    """

    dialect: Dialect
    options: Options
    pacer: Pacer
    """Of the whole run."""
    selector: selectors.BaseSelector
    """The shard's; the data of a key is what has a `read`."""
    clock: Clock
    _ssl_context: Callable[[], ssl.SSLContext]
    wake: Callable[[], None]
    """Interrupts the shard's wait. Any thread."""
    _attempts: list[AttemptThread] = field(factory=list)

    def start(self, name: str, now: float) -> AttemptThread:
        """Begin an attempt for the connection of this name."""
        attempt = AttemptThread(
            name,
            Attempt(self.dialect.url, self.options, self._ssl_context),
            self.wake,
            now + self.options.connect_timeout + _DNS_GRACE,
        )
        attempt.start()
        self._attempts = [a for a in self._attempts if a.thread.is_alive()] + [attempt]
        return attempt

    def take(self, attempt: AttemptThread, now: float) -> OpenSocket | PolymarketWsError | None:
        """The outcome of an attempt, once; None while there is none and its time is not over."""
        outcome = attempt.take()
        if outcome is None and now >= attempt.deadline:
            attempt.abandon()
            timeout = ConnectTimeout(attempt.phase, self.options.connect_timeout)
            timeout.add_place(attempt.place)
            return timeout
        if isinstance(outcome, HandshakeRejected) and outcome.status in _TOO_MANY:
            self.pacer.pause(now, outcome.retry_after)
        return outcome

    def threads(self, name: str | None = None) -> list[threading.Thread]:
        """Those of attempts that have not ended, of all connections or of one. Any thread."""
        attempts = [a for a in self._attempts if name in (None, a.name)]
        return [attempt.thread for attempt in attempts if attempt.thread.is_alive()]

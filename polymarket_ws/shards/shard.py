"""One I/O thread: clock, thread, sockets and sessions meet here."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Container, Sequence
from typing import Protocol

import attrs

from polymarket_ws.channels.dialect import Dialect
from polymarket_ws.channels.view import View
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.clock import SYSTEM, Clock
from polymarket_ws.connection.connection import Connection
from polymarket_ws.connection.connector import Connector
from polymarket_ws.connection.gaps import Gaps
from polymarket_ws.connection.owner import Loss
from polymarket_ws.connection.pacing import Pacer
from polymarket_ws.delivery.event_queue import Item
from polymarket_ws.errors import (
    ConnectionLost,
    PolymarketWsError,
    ProtocolError,
    forget_locals,
)
from polymarket_ws.events import CONTINUITY, Event
from polymarket_ws.logs import Log
from polymarket_ws.net.descriptors import owned
from polymarket_ws.options import Options
from polymarket_ws.waiters import Waiters

from .failover import Failover
from .inspector import Inspector
from .reconciler import Reconciler

logger = Log(__name__)

# seconds: some platforms lose a wake-up (macOS: cpython#154224), so no wait is endless
LONGEST_WAIT = 1.0


class Duty(Protocol):
    """What a shard does when it is due. Used by its thread."""

    @property
    def deadline(self) -> float:
        """When `turn` is due, whatever comes before; 0 for at once."""

    def turn(self, now: float) -> None:
        """Do what is due."""


class Shard:
    """Owns the connections of one channel and everything that their messages change. Made by a run.

    Its thread, `polymarket-ws-<name>`, is a daemon, so that the interpreter can exit without it; it
    ends soon after `stop`. It alone touches sockets, sessions and books. `want`, `stop` and `wake`
    may be called from any thread; `stop` and `wake` take no lock.

    Args:
        name: "<subscriber>-<channel>".
        deliver: Takes what one read brought. Never blocks.
        fail: Takes a fatal error, once.
        on_internal_error: Takes an exception that was not foreseen, and where it was raised.
        hears: The event types that somebody listens for.
        on_end: Called on its thread when its connections are closed.
    """

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        view: View,
        options: Options,
        ssl_context: Callable[[], ssl.SSLContext],
        pacer: Pacer,
        *,
        deliver: Callable[[Sequence[Item]], None],
        fail: Callable[[PolymarketWsError], None],
        on_internal_error: Callable[[str, Exception], object],
        hears: Callable[[], Container[str]],
        on_end: Callable[[], None],
        waiters: Waiters,
        clock: Clock = SYSTEM,
    ) -> None:
        self.name = name
        self._clock = clock
        self.hears = hears
        self._deliver = deliver
        self.fail = fail
        self._on_internal_error = on_internal_error
        self._on_end = on_end
        self._waiters = waiters
        self.has_ended = False
        self._wake_in, self._wake_out = map(owned, socket.socketpair())
        self._selector = owned(selectors.DefaultSelector())
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)

        self._connector = Connector(
            dialect, options, pacer, self._selector, clock, ssl_context, self.wake
        )

        def make(name: str, view: View, gaps: Gaps) -> Connection:
            return Connection(name, view, gaps, self._connector, self)

        self.failover = Failover(name, dialect, view, options, make, self.deliver)
        self._inspectors: tuple[Inspector, ...] = ()
        """One where there are books to inspect."""
        if view.inspectable is not None:
            self._inspectors = (Inspector(self.failover, view.inspectable, self._connector),)
        self.reconcilers: tuple[Reconciler, ...] = ()
        """One where there is an account to reconcile."""
        if view.reconciled is not None:
            plan, service = view.reconciled
            self.reconcilers = (Reconciler(plan, service, self.failover, self._connector, self),)
        self._duties: tuple[Duty, ...] = (self.failover, *self._inspectors, *self.reconcilers)
        self._due_at = 0.0  # when a duty is due
        self._inbox: deque[Wanted] = deque()
        self._stop_reason: str | None = None
        self._is_forked = False
        self._thread = threading.Thread(
            target=self._main, name=f"polymarket-ws-{name}", daemon=True
        )

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: the system has none left.
        """
        try:
            self._thread.start()
        except RuntimeError:
            self._close_descriptors()
            raise

    def want(self, wanted: Wanted) -> None:
        """Replace what is wanted."""
        self._inbox.append(wanted)
        self.wake()

    def stop(self, reason: str) -> None:
        """Ask the thread to close its connections and end; the first reason counts."""
        self._stop_reason = self._stop_reason or reason
        self.wake()

    def become_forked(self) -> None:
        """In a forked child: if a log handler forked on this thread, it is to end there when that
        returns. All that it would close is closed.
        """
        self._is_forked, self._stop_reason = True, "forked"

    def wake(self) -> None:
        """Interrupt the wait. A full pair means that a wake-up waits already; a closed one, that
        all is over.
        """
        with contextlib.suppress(OSError):
            self._wake_out.send(b"\0")

    def join(self, timeout: float) -> bool:
        """Wait for the thread and those that connect or ask for it; True when all have ended."""
        deadline = self._clock.monotonic() + timeout
        self._thread.join(timeout)
        others = self._connector.threads()
        for reconciler in self.reconcilers:
            others += reconciler.threads
        for thread in others:
            thread.join(max(0.0, deadline - self._clock.monotonic()))
        return not any(thread.is_alive() for thread in (self._thread, *others))

    def join_thread(self) -> None:
        """Wait for the I/O thread alone, which never waits for anything without a deadline."""
        self._thread.join()

    @property
    def is_stopping(self) -> bool:
        return self._stop_reason is not None

    @property
    def is_open(self) -> bool:
        """Whether the connection that leads is open."""
        return self.failover.leader.is_open

    @property
    def is_subscribed(self) -> bool:
        """Whether it also was sent all that was asked for so far."""
        return not self._inbox and self.failover.leader.is_subscribed

    @property
    def probes(self) -> int:
        """Fresh snapshots asked for beside the live connection so far."""
        return sum(inspector.probes for inspector in self._inspectors)

    def connection_lost(
        self, lost: Connection, error: ConnectionLost | ProtocolError, now: float
    ) -> Loss:
        return self.failover.connection_lost(lost, error, now)

    def deliver(self, items: Sequence[Item]) -> None:
        if items:
            if not CONTINUITY.isdisjoint(map(type, items)):
                items = [self._stamped(item) for item in items]
            self._deliver(items)

    def _stamped(self, item: Item) -> Item:
        """A gap or its end has no clock of its own where it is noticed: this is its time."""
        if type(item) in CONTINUITY and isinstance(item, Event) and not item.received_at_ns:
            return attrs.evolve(item, received_at_ns=self._clock.wall_ns())
        return item

    def _main(self) -> None:
        self._selector.register(self._wake_in, selectors.EVENT_READ)
        try:
            while self._stop_reason is None:
                try:
                    self._turn()
                except Exception as error:
                    if not self._is_forked:
                        self._survive(error)
        except BaseException as error:  # a log handler's SystemExit, a greenlet that is killed
            self._fail_internally(error)
        finally:
            if not self._is_forked:
                self._close()

    def _survive(self, error: Exception) -> None:
        """Make the connections anew: whatever an exception left half done is replaced with them."""
        self._due_at = 0.0
        try:
            self._on_internal_error(f"the I/O thread of {self.name}", error)
            self.failover.break_off(self._clock.monotonic())
        except Exception as second:
            self._fail_internally(second)

    def _fail_internally(self, error: BaseException) -> None:
        """End the run by what cannot be survived: whatever else fails, it does not go unsaid."""
        forget_locals(error)
        told = PolymarketWsError(f"internal error in the I/O thread: {type(error).__name__}")
        told.__cause__ = error
        self.fail(told)
        logger.error("%s: the I/O thread failed; please report this", self.name, cause=error)

    def _turn(self) -> None:
        """One wait, and all that is due after it: mostly a read, and no duty."""
        ready = self._selector.select(self._wait())
        now = self._clock.monotonic()
        due_at = self._due_at if ready else 0.0
        for key, events in ready:
            if key.data is None:
                self._drain_wakes()
            elif events & selectors.EVENT_READ:
                due_at = min(due_at, key.data.read(now))
            if key.data is None or events & selectors.EVENT_WRITE:
                due_at = 0.0
        if due_at <= now or self._inbox:
            self._do_duties(now)
            due_at = min([duty.deadline for duty in self._duties])
        self._due_at = due_at
        self._waiters.notify()

    def _do_duties(self, now: float) -> None:
        while self._inbox:
            self.failover.want(self._inbox[0], now)
            self._inbox.popleft()  # not before it is known there: is_subscribed looks at both
        for duty in self._duties:
            duty.turn(now)

    def _wait(self) -> float:
        """Seconds until a duty is due. What a read changed since then, `read` has returned."""
        return min(max(self._due_at - self._clock.monotonic(), 0.0), LONGEST_WAIT)

    def _drain_wakes(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while len(self._wake_in.recv(4096)) == 4096:
                pass

    def _close(self) -> None:
        try:
            for inspector in self._inspectors:
                inspector.close()
            for reconciler in self.reconcilers:
                reconciler.close()
            self.failover.stop(self._stop_reason or "failed")
        finally:
            self._close_descriptors()
            self.has_ended = True
            self._on_end()
            self._waiters.notify()

    def _close_descriptors(self) -> None:
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()

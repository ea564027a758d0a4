"""Waiting until a subscriber has handled all that a FakeServer sent it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import define, field

from .record import ConnectionRecord


class _ObservedConnection(Protocol):
    @property
    def state(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def local_port(self) -> int: ...
    @property
    def messages(self) -> int: ...


class _ObservedStats(Protocol):
    @property
    def connections(self) -> Sequence[_ObservedConnection]: ...
    @property
    def pending(self) -> int: ...


class ObservedSubscriber(Protocol):
    """What `FakeServer.settle` needs to see of a Subscriber."""

    def stats(self) -> _ObservedStats:
        """A snapshot of its counters."""

    def _wait_until(self, predicate: Callable[[], bool], timeout: float) -> bool: ...


class ObservedServer(Protocol):
    """What it needs to see of a FakeServer."""

    def open_connections(self) -> tuple[ConnectionRecord, ...]:
        """Those whose subscription was accepted."""

    def wait_until(self, predicate: Callable[[], bool], timeout: float = 10.0) -> bool:
        """Wait for the server's progress."""


@define(eq=False)
class Settling:
    """One call of `FakeServer.settle`: covers what was sent before it was made."""

    server: ObservedServer
    subscriber: ObservedSubscriber
    _targets: dict[int, int] = field(init=False)
    """By the client's port: how many texts it has to receive."""

    def __attrs_post_init__(self) -> None:
        self._targets = {r.peer_port: r.texts_sent for r in self.server.open_connections()}

    def wait(self, timeout: float) -> None:
        """Wait until it is done; TimeoutError says what is missing."""
        deadline = time.monotonic() + timeout
        while (remaining := deadline - time.monotonic()) > 0:
            if not self.server.wait_until(lambda: not self._unserved(), min(remaining, 0.2)):
                self._wait(lambda: not self._unserved(), min(remaining, 0.2))
            elif (
                self._wait(lambda: bool(self._unserved()) or not self._missing(), remaining)
                and not self._missing()
            ):
                return
        raise TimeoutError(
            f"not settled within {timeout:g} s: {self._missing() or 'it settled too late'}"
        )

    def _wait(self, predicate: Callable[[], bool], timeout: float) -> bool:
        return self.subscriber._wait_until(predicate, timeout)

    def _unserved(self) -> str:
        connections = self.subscriber.stats().connections
        ports = [c.local_port for c in connections if c.state != "idle" or not c.generation]
        served = {record.peer_port for record in self.server.open_connections()}
        if not ports:
            return "the subscriber has no connection"
        waiting = [port for port in ports if port not in served]
        return f"the server has no subscription from port {waiting}" if waiting else ""

    def _missing(self) -> str:
        unserved = self._unserved()
        if unserved:
            return unserved
        stats = self.subscriber.stats()
        sent = {record.peer_port: record.texts_sent for record in self.server.open_connections()}
        for connection in stats.connections:
            port = connection.local_port
            target = self._targets.setdefault(port, sent.get(port, 0))
            if connection.messages < target:
                return f"{connection.messages} of {target} texts received on port {port}"
        return f"{stats.pending} events wait for their callbacks" if stats.pending else ""

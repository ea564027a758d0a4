"""Whom a connection works for: its shard, and what it asks of that."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple, Protocol, TypeVar

from polymarket_ws.delivery.event_queue import Item
from polymarket_ws.errors import ConnectionLost, PolymarketWsError, ProtocolError

C = TypeVar("C", contravariant=True)


class Loss(NamedTuple):
    """What the loss of a connection means beyond the connection."""

    stale: Sequence[Item] = ()
    """Books that are not live any more, told before its Disconnected."""
    after: Sequence[Item] = ()
    """The Gap, or what another connection goes on with, told after its Disconnected."""


class Owner(Protocol[C]):
    """What a connection, a `C`, asks of its shard."""

    @property
    def is_stopping(self) -> bool:
        """Whether the shard was asked to end."""

    def deliver(self, items: Sequence[Item]) -> None:
        """Hand events over to whoever listens."""

    def fail(self, error: PolymarketWsError) -> None:
        """End the run."""

    def hears(self) -> Container[str]:
        """The event types that somebody listens for."""

    def connection_lost(self, lost: C, error: ConnectionLost | ProtocolError, now: float) -> Loss:
        """An open connection is lost: let another one go on with its view, or end that."""

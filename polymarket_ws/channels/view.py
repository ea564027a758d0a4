"""The view of a channel: what its events change, and what the loss of a connection makes unsure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from attrs import define

from polymarket_ws.account.listing import Service
from polymarket_ws.account.reconciliation import Reconciliation
from polymarket_ws.books.book import BookCore
from polymarket_ws.books.shelf import Books
from polymarket_ws.errors import DecodeError
from polymarket_ws.events import Event
from polymarket_ws.wire.updates import Decoded

from .wanted import Wanted


class Taken(NamedTuple):
    """What an event did to the view."""

    is_news: bool
    """False when it was told before."""
    changed: Sequence[BookCore]
    revived: tuple[str, ...] = ()
    """Assets whose book is live from here on, and was not."""
    broken: tuple[tuple[BookCore, str], ...] = ()
    """Books that this event proved wrong, and has put right, each with the Gap's reason."""
    told: Sequence[Event] = ()
    """What is delivered by it: in its place where that is no news."""


class InspectableBooks(Protocol):
    """Books with which fresh snapshots, fetched beside the connection, can be compared."""

    @property
    def books(self) -> Books: ...

    def await_probe(self, asset_ids: Iterable[str]) -> None:
        """A probe asks for these: hold their changes until its snapshots are judged."""

    def release(self, asset_ids: Iterable[str]) -> None:
        """No probe's snapshot of these is awaited any more."""

    def differs(self, decoded: Decoded) -> bool:
        """Whether a fresh snapshot, with what was held since it was asked for, is not our book."""


class Reconciled(NamedTuple):
    """What of a view is compared with REST, and who is asked."""

    plan: Reconciliation
    service: Service


class View(Protocol):
    """What the events of a channel change. Used by one shard's thread alone.

    Whoever owns a session gives it a view: the shard's, or one that only keeps what it receives,
    as a follower's does.
    """

    @property
    def needs_events(self) -> bool:
        """Whether every event is to be made, also one that nobody listens for."""

    @property
    def is_told(self) -> bool:
        """Whether what a session makes of messages is told. A connection of which nothing is told
        gives way to others when it connects, and its failure ends no run."""

    @property
    def is_complete_once_open(self) -> bool:
        """Whether a gap ends with the next connection, since nothing has a snapshot."""

    @property
    def inspectable(self) -> InspectableBooks | None:
        """What an inspector may compare with fresh snapshots; None where there are none."""

    @property
    def reconciled(self) -> Reconciled | None:
        """What is compared with REST; None where nothing is."""

    def want(self, wanted: Wanted) -> None:
        """Hold what is wanted, and nothing else."""

    def await_answers(self, asset_ids: Iterable[str]) -> None:
        """Hold the changes of these until their snapshots come."""

    def take(self, decoded: Decoded, now: float) -> Taken | None:
        """Apply an event; None for one that another connection told, or may."""

    def take_flaw(self, error: DecodeError, now: float) -> list[BookCore] | None:
        """Mark stale what a message that was not understood may have changed; None as of `take`."""

    def publish(self, now: float) -> list[BookCore]:
        """Show users what a read changed; returns the books that look different."""

    def mark_stale(self, asset_ids: Iterable[str], reason: str) -> list[BookCore]:
        """Mark these books stale; returns those that were live until now."""

    @property
    def deadline(self) -> float:
        """When `tick` is due, whatever comes before."""

    def tick(self, now: float) -> list[BookCore]:
        """Do what time asks of the view; returns the books that changed."""

    def connection_ended(self, reason: str) -> list[BookCore]:
        """The connection ended: mark everything stale; returns what was live until now."""

    def missed_by_loss(self, stale: Sequence[BookCore]) -> tuple[str, ...] | None:
        """The assets that the Gap of a lost connection names; None where it leaves no gap.

        Args:
            stale: What `connection_ended` returned.
        """


@define
class BooklessView:
    """A view without books: nothing in it is stale, or asked for again.

    Nothing has a snapshot, so every lost connection leaves a gap, which names no assets and ends
    with the next connection: what came in between stays unknown.
    """

    needs_events: bool = True
    is_told: bool = True
    is_complete_once_open: bool = True
    inspectable: InspectableBooks | None = None
    reconciled: Reconciled | None = None
    deadline: float = float("inf")

    def want(self, wanted: Wanted) -> None:
        """Nothing: what is known stays known when it is not wanted any more."""

    def await_answers(self, asset_ids: Iterable[str]) -> None:
        """Nothing: there are no snapshots."""

    def take(self, decoded: Decoded, now: float) -> Taken | None:
        return Taken(True, ())

    def take_flaw(self, error: DecodeError, now: float) -> list[BookCore] | None:
        return []

    def publish(self, now: float) -> list[BookCore]:
        return []

    def mark_stale(self, asset_ids: Iterable[str], reason: str) -> list[BookCore]:
        return []

    def tick(self, now: float) -> list[BookCore]:
        return []

    def connection_ended(self, reason: str) -> list[BookCore]:
        return []

    def missed_by_loss(self, stale: Sequence[BookCore]) -> tuple[str, ...] | None:
        return ()

"""The lanes of a shard's events: each comes in the same order over both connections.

Which lane a message belongs to, and what is remembered of each lane.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from attrs import define, field

from polymarket_ws.errors import DecodeError
from polymarket_ws.events import BROADCASTS, BestBidAsk, Book, PriceChange, Unknown
from polymarket_ws.wire.updates import Decoded, Snapshot

from .alignment import MOST_LAG, Entry, Mark, Message, refreshed

FROZEN_SECONDS = 1.5  # after which what only the follower received has frozen on the leader
WINDOW_SECONDS = 3.0  # of the follower: what came while the leader's freeze was not noticed yet
DELIVERED_SECONDS = WINDOW_SECONDS + 2 * MOST_LAG  # so that the counterpart of each is known

LaneId = tuple[str, str]
"""A kind, and a condition id or token id."""

BOOKS = "books"
"""The lane kind of changes and refreshes, one for each market; the others are of one asset."""
UNSURE = frozenset({"unknown", "flaw", BestBidAsk.event_type})
"""Kinds that may come over one connection alone: where they differ, nothing was missed for sure."""


@define(eq=False)
class Lane:
    """One order of events, as it was delivered and as the follower received it."""

    delivered: deque[Entry] = field(factory=deque)
    window: deque[Entry] = field(factory=deque)
    duplicates: deque[object] = field(factory=deque)
    """Keys of what a new leader will bring, and the former one has delivered."""
    duplicates_until: float = 0.0
    heard_at: float = float("-inf")
    """When the leader last brought something for it."""
    starts_at: float = float("-inf")
    """When the leader's newest subscription was answered: what came before is not missing."""
    base: tuple[str, Mark] | None = None
    """Of books: the asset and the state of its book then."""

    def is_delivered(self, key: object, now: float) -> bool:
        """Whether it was delivered by the former leader; what comes out of turn ends this."""
        duplicates = self.duplicates
        if not duplicates:
            return False
        if now <= self.duplicates_until and key in duplicates:
            while duplicates.popleft() != key:
                pass
            return True
        duplicates.clear()
        return False

    def keep(self, entry: Entry) -> None:
        """Take what the follower received."""
        self.window.append(entry)
        drop_older(self.window, entry.at - WINDOW_SECONDS)

    def deliver(self, entry: Entry) -> None:
        """Take what is delivered."""
        self.delivered.append(entry)
        drop_older(self.delivered, entry.at - DELIVERED_SECONDS)

    def prune(self, now: float) -> None:
        """Let go of what is too old to matter; a quiet lane would keep it."""
        drop_older(self.delivered, now - DELIVERED_SECONDS)
        drop_older(self.window, now - WINDOW_SECONDS)

    def is_frozen(self, awaited: Collection[str], now: float) -> bool:
        """Whether the follower has had something for a while that the leader has not brought.

        Args:
            awaited: Assets of which the leader gets no refreshes yet.
            now: Monotonic seconds.
        """
        oldest = max(now - WINDOW_SECONDS, self.heard_at - MOST_LAG, self.starts_at + MOST_LAG)
        newest = now - FROZEN_SECONDS
        if newest <= oldest:  # the leader brought something of late
            return False
        waiting = [
            e for e in self.window if oldest < e.at <= newest and refreshed(e) not in awaited
        ]
        brought = {entry.key for entry in self.delivered} if waiting else set()
        # An equal event is another one, where it came too late to be the same.
        return any(e.key not in brought or e.at > self.heard_at + MOST_LAG for e in waiting)


def drop_older(entries: deque[Entry], oldest: float) -> None:
    while entries and entries[0].at < oldest:
        entries.popleft()


def is_answer(message: Message) -> bool:
    """Whether it answers a subscription: it belongs to one connection, and to no lane."""
    update = message.update if isinstance(message, Decoded) else None
    return isinstance(update, Snapshot) and update.is_answer


def is_broadcast(message: Message) -> bool:
    return isinstance(message, Decoded) and type(message.event) in BROADCASTS


def key_of(message: Message) -> object:
    if isinstance(message, DecodeError):
        return message.event_type, message.reason, message.asset_id, message.market, message.excerpt
    event = message.event
    return (event.wire_event_type, repr(event.data)) if isinstance(event, Unknown) else event


def lane_of(message: Message) -> LaneId:
    if isinstance(message, DecodeError):
        return "flaw", message.market or ""
    event = message.event
    if isinstance(event, (PriceChange, Book)):
        return BOOKS, event.market
    if isinstance(event, Unknown):
        return "unknown", ""
    return message.event_type, getattr(event, "asset_id", "")

"""What one element of a message becomes: an event, and in the wire's own strings what the books
need of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from attrs import define

from polymarket_ws.events import Book, Event, PriceChange


@define  # not frozen, which would make it in three times the time
class Change:
    """One level's new size, in the wire's own strings.

    A parser may hand over objects of its own that have these attributes: read them, no more.
    """

    asset_id: str
    price: str
    size: str
    side: str
    """"BUY" changes the bids, "SELL" the asks."""
    hash: str | None
    best_bid: str | None
    best_ask: str | None


PRINT_FIELDS = (
    "market",
    "timestamp",
    "asset_id",
    "price",
    "size",
    "side",
    "fee_rate_bps",
    "transaction_hash",
)
Print = tuple[str, ...]
"""These fields of a last_trade_price, in the wire's own strings: the books need none of them."""


class Changes(NamedTuple):
    """The level changes of one price_change message."""

    market: str
    timestamp_ms: int
    changes: Sequence[Change]


class Snapshot(NamedTuple):
    """A whole book, in the wire's own strings and order of levels."""

    market: str
    asset_id: str
    timestamp_ms: int
    hash: str | None
    bids: Sequence[tuple[str, str]]
    asks: Sequence[tuple[str, str]]
    tick_size: str | None
    last_trade_price: str | None

    @property
    def is_answer(self) -> bool:
        """Whether it answers a subscription: only such a one has a tick_size."""
        return self.tick_size is not None


class Decoded(NamedTuple):
    """One event, and what the books need of it."""

    event: Event | None
    """None for a book or a price_change that nobody listens for."""
    update: Snapshot | Changes | None
    """For a book or a price_change, in the wire's own strings; else None."""

    @property
    def event_type(self) -> str:
        """The event's, also where it was not made."""
        if self.event is not None:
            return self.event.event_type
        return PriceChange.event_type if isinstance(self.update, Changes) else Book.event_type

"""What two parsers make of the hottest messages in their usual shape: strings, not checked yet.

The keys are these, and all values are strings; whether one is a number, a time or a side is left to
`usual`. A parser may hand over objects of its own that have the attributes of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from attrs import define

from .updates import Change


class Unusual(Exception):
    """A message has another shape, which decode.py reads."""


# Not frozen, which would make each in three times the time. Nothing changes them.


@define
class ChangesShape:
    """A price_change."""

    event_type: ClassVar[str] = "price_change"

    market: str
    timestamp: str
    price_changes: Sequence[Change]


@define
class BookShape:
    """A book."""

    event_type: ClassVar[str] = "book"

    market: str
    asset_id: str
    timestamp: str
    hash: str
    bids: list[tuple[str, str]]
    """Price and size, in the wire's order."""
    asks: list[tuple[str, str]]
    tick_size: str | None
    last_trade_price: str | None


@define
class PrintShape:
    """A last_trade_price."""

    event_type: ClassVar[str] = "last_trade_price"

    market: str
    asset_id: str
    price: str
    size: str
    side: str
    timestamp: str
    fee_rate_bps: str
    transaction_hash: str


Shape = ChangesShape | BookShape | PrintShape

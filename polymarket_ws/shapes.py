"""What two parsers make of the hottest messages in their usual shape: strings, not checked yet.

A price_change and a book become what the books take. Their keys, times and sides are checked, and
that all are texts; whether these are numbers is not.
"""

from __future__ import annotations

from typing import NamedTuple

from .books import Changes, Snapshot
from .wire_values import FIRST_MS

_MS_CHARS = 13  # of the times from 2001 to 2286


class Print(NamedTuple):
    """A last_trade_price."""

    market: str
    asset_id: str
    price: str
    size: str
    side: str
    timestamp_ms: int
    fee_rate_bps: str
    transaction_hash: str


Shape = Changes | Snapshot | Print


def time_ms(text: str) -> int:
    """0 for a time that is not written as 13 digits of milliseconds."""
    ms = int(text) if len(text) == _MS_CHARS and text.isdecimal() else 0
    return ms if ms >= FIRST_MS else 0

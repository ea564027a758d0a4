"""The fields of the hottest messages, as two parsers hand them over: the wire's strings alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Entry(NamedTuple):
    """One of price_changes."""

    asset_id: str
    price: str
    size: str
    side: str
    hash: str
    best_bid: str
    best_ask: str


class ChangeFields(NamedTuple):
    """A price_change."""

    market: str
    timestamp: str
    price_changes: Sequence[tuple[str, str, str, str, str, str, str]]
    """Of each entry the fields of Entry."""


class BookFields(NamedTuple):
    """A book; levels as on the wire, worst first."""

    market: str
    asset_id: str
    timestamp: str
    hash: str
    bids: Sequence[tuple[str, str]]
    asks: Sequence[tuple[str, str]]
    tick_size: str | None
    last_trade_price: str | None


class PrintFields(NamedTuple):
    """A last_trade_price."""

    market: str
    asset_id: str
    price: str
    size: str
    side: str
    timestamp: str
    fee_rate_bps: str
    transaction_hash: str


Fields = ChangeFields | BookFields | PrintFields

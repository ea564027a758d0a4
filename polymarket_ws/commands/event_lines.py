"""One event as one line: readable, or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from types import MappingProxyType

from polymarket_ws.events import Book, Event, LastTradePrice, Level, PriceChange

_SHORT_CHARS = 13


def short(asset_id: str) -> str:
    """A token id that fits in a line: its first eight and its last four digits."""
    return asset_id if len(asset_id) <= _SHORT_CHARS else f"{asset_id[:8]}…{asset_id[-4:]}"


def level_text(level: Level | None) -> str:
    """A price and its size; "-" for an empty side."""
    return "-" if level is None else f"{level.price:f} x {level.size:f}"


def readable(event: Event, labels: Mapping[str, str] = MappingProxyType({})) -> str:
    """Time of arrival in UTC, kind, and what matters of it.

    Args:
        labels: What to say in the place of an asset id, where it is known.
    """
    received = datetime.fromtimestamp(event.received_at_ns / 1e9, timezone.utc)
    told = _told(event, lambda asset_id: labels.get(asset_id) or short(asset_id))
    return f"{received:%H:%M:%S}.{received.microsecond // 1000:03d} {told}"


def json_line(event: Event) -> str:
    """Its wire shape as one JSON object, with `event_type` and `received_at_ns` first."""
    named = {"event_type": event.event_type, "received_at_ns": event.received_at_ns}
    return json.dumps({**named, **event.to_dict()}, separators=(",", ":"), default=str)


def _told(event: Event, named: Callable[[str], str]) -> str:
    if isinstance(event, Book):
        bid, ask = event.top
        depth = f"({len(event.bids)} bids, {len(event.asks)} asks)"
        return f"book {named(event.asset_id)} {level_text(bid)} / {level_text(ask)} {depth}"
    if isinstance(event, PriceChange):
        changes = (
            f"{named(c.asset_id)} {c.side} {c.price:f} = {c.size:f}" for c in event.price_changes
        )
        return f"price_change {', '.join(changes)}"
    if isinstance(event, LastTradePrice):
        asset = named(event.asset_id)
        return f"last_trade_price {asset} {event.side} {event.size:f} at {event.price:f}"
    return f"{event.event_type} {event!r}"

"""One event as one line: readable, or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from types import MappingProxyType

from polymarket_ws.events import (
    Book,
    Event,
    Fill,
    LastTradePrice,
    Level,
    Order,
    PriceChange,
    Trade,
    plain,
)
from polymarket_ws.logs import printable

_SHORT_CHARS = 13


def short(asset_id: str) -> str:
    """A token id that fits in a line: its first eight and its last four digits."""
    return asset_id if len(asset_id) <= _SHORT_CHARS else f"{asset_id[:8]}…{asset_id[-4:]}"


def level_text(level: Level | None) -> str:
    """A price and its size; "-" for an empty side."""
    return "-" if level is None else f"{level.price:f} x {level.size:f}"


def trade_text(event: LastTradePrice | Trade | Fill) -> str:
    """What was traded; of one's own part also as what, how it stands, and whether REST told it."""
    told = f"{event.side or '?'} {_number(event.size)} at {_number(event.price)}"
    if isinstance(event, LastTradePrice):
        return told
    role = f"your own as {event.role.lower()}, " if isinstance(event, Fill) else ""
    return f"{told}  {role}{printable(event.status or '?')}{_by(event)}"


def order_text(order: Order) -> str:
    """How one's own order stands."""
    return (
        f"{order.side or '?'} {_number(order.original_size)} at {_number(order.price)}  "
        f"{_number(order.size_matched)} matched, {printable(order.status or order.type or '?')}"
        f"{_by(order)}"
    )


def _number(number: Decimal | None) -> str:
    return "?" if number is None else plain(number)


def _by(event: Order | Trade | Fill) -> str:
    return " (told by REST)" if event.source == "rest" else ""


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
    if isinstance(event, (Trade, Fill)):
        return f"{event.event_type} {named(event.asset_id or '?')} {trade_text(event)}"
    if isinstance(event, Order):
        return f"order {named(event.asset_id or '?')} {order_text(event)}"
    return f"{event.event_type} {event!r}"

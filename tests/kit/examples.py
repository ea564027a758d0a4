"""Single events with fields to choose, and a strategy of any event."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from kit import strategies

from polymarket_ws.events import (
    Book,
    Connected,
    Disconnected,
    Event,
    Frame,
    Gap,
    Level,
    Order,
    Resync,
    Side,
    Unknown,
)

M = "0x" + "1" * 64
TOKEN = "28756001267446015644282192000586184633181417034487430148393633388063374846479"


def book(**fields: Any) -> Book:
    """A book of two bids and an ask."""
    given: dict[str, Any] = {
        "market": M,
        "asset_id": TOKEN,
        "timestamp_ms": 1_700_000_000_123,
        "bids": (Level(Decimal("0.4"), Decimal(10)), Level(Decimal("0.3"), Decimal(5))),
        "asks": (Level(Decimal("0.6"), Decimal("7.5")),),
    }
    return Book(**{**given, **fields})


def order(**fields: Any) -> Order:
    """An order of one's own."""
    given: dict[str, Any] = {
        "id": "0x" + "f" * 64,
        "type": "PLACEMENT",
        "market": M,
        "asset_id": TOKEN,
        "side": Side.BUY,
        "price": Decimal("0.5"),
        "original_size": Decimal(10),
        "timestamp_ms": 1_700_000_000_000,
    }
    return Order(**{**given, **fields})


def disconnected(**fields: Any) -> Disconnected:
    """The end of a connection."""
    given: dict[str, Any] = {
        "channel": "market",
        "connection": "1-market",
        "generation": 1,
        "reason": "closed",
        "will_retry": True,
    }
    return Disconnected(**{**given, **fields})


def gap(**fields: Any) -> Gap:
    """What a lost connection leaves unknown."""
    given: dict[str, Any] = {
        "channel": "market",
        "connection": "1-market",
        "reason": "disconnect",
        "asset_ids": (TOKEN, "2"),
    }
    return Gap(**{**given, **fields})


def resync(**fields: Any) -> Resync:
    """Its end."""
    given: dict[str, Any] = {
        "channel": "market",
        "connection": "1-market",
        "reason": "disconnect",
        "asset_ids": ("2",),
    }
    return Resync(**{**given, **fields})


_ours: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        Unknown, channel=st.just("market"), wire_event_type=strategies.words, data=st.just({"a": 1})
    ),
    st.builds(Frame, channel=st.just("user"), text=strategies.words),
    st.builds(
        Connected,
        channel=st.just("market"),
        connection=strategies.words,
        generation=st.integers(1, 9),
        reconnected=st.booleans(),
        attempt=st.integers(1, 9),
        downtime=st.none() | st.floats(0, 1e6),
    ),
    st.builds(
        disconnected,
        detail=st.text(max_size=300),
        code=st.none() | st.integers(1000, 4999),
        delay=st.none() | st.floats(0, 300),
    ),
    st.builds(
        gap,
        asset_ids=st.lists(strategies.words, max_size=300).map(tuple),
        dropped=st.integers(0, 10**9),
    ),
    st.builds(resync, duration=st.floats(0, 1e6)),
)
all_events = strategies.wire_events | _ours

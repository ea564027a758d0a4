"""Assets, as a lookup would find them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from polymarket_ws.asset import Asset


def asset(asset_id: str = "71", **fields: Any) -> Asset:
    """The Yes of an open market."""
    given: dict[str, Any] = {
        "asset_id": asset_id,
        "outcome": "Yes",
        "market": "0x" + "1" * 64,
        "question": "Will it rain?",
        "slug": "will-it-rain",
        "event_slug": "weather",
        "tick_size": Decimal("0.01"),
        "min_order_size": Decimal(5),
        "neg_risk": False,
        "closed": False,
    }
    return Asset(**{**given, **fields})

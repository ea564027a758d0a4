"""What tests of the market channel's views share: what is wanted, and messages of one market."""

from __future__ import annotations

import json
from typing import Any

from polymarket_ws.books.book import BookCore
from polymarket_ws.channels.view import Taken, View
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.wire.decode import decode_market
from polymarket_ws.wire.updates import Decoded

MARKET = "0x" + "a" * 64


def wanted(*asset_ids: str, custom_features: bool = False, former: Wanted | None = None) -> Wanted:
    """A wish for these assets, with the cores of the former one where it has them."""
    known = former.cores if former else {}
    cores = {id_: known.get(id_) or BookCore(id_) for id_ in asset_ids}
    return Wanted(frozenset(asset_ids), cores, custom_features)


def book(asset_id: str = "1") -> dict[str, Any]:
    """A snapshot that answers a subscription."""
    bids = [{"price": "0.4", "size": "1"}]
    return {
        "event_type": "book",
        "asset_id": asset_id,
        "bids": bids,
        "asks": [],
        "tick_size": "0.1",
    }


def take(view: View, message: dict[str, Any], now: float = 1.0) -> Taken | None:
    """What a message from the server does."""
    [decoded] = decode_market(json.dumps({"market": MARKET, "timestamp": "1", **message}), 0)
    assert isinstance(decoded, Decoded)
    return view.take(decoded, now)

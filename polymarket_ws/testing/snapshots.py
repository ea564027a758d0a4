"""The books with which a FakeServer without an exchange answers subscriptions."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import define, field

from .simulated_market import Wire, book_hash

_SIDES = {"BUY": "bids", "SELL": "asks"}


@define
class Snapshots:
    """The last book of each asset, kept current by the price changes that were sent after it.

    Owned by one FakeServer; only its thread calls it. A hash is made anew, with `min_order_size` 5
    and `neg_risk` false, once a change has made the author's own one wrong.
    """

    _books: dict[str, Wire] = field(factory=dict)

    def answer(self, asset_id: str) -> Wire | None:
        """The book that answers a subscription, tick and last price included, or None."""
        book = self._books.get(asset_id)
        if book is None:
            return None
        answer = {"tick_size": "0.01", "last_trade_price": "", **book}
        if not answer.get("hash"):
            answer["hash"] = book_hash(answer, min_order_size="5", neg_risk=False)
        return answer

    def remember(self, event: Mapping[str, Any]) -> None:
        """Take over what a sent event says about books; other events are ignored."""
        kind = event.get("event_type")
        if kind == "book" and "asset_id" in event:
            kept = self._books.get(event["asset_id"], {})
            lasting: Wire = {k: kept[k] for k in ("tick_size", "last_trade_price") if k in kept}
            self._books[event["asset_id"]] = {**lasting, **event}
        elif kind == "price_change":
            for change in event.get("price_changes", ()):
                self._apply(change, event)
        elif kind in ("tick_size_change", "last_trade_price"):
            self._apply_value(event)

    def _apply(self, change: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        book = self._books.get(change["asset_id"])
        side = _SIDES.get(change.get("side", ""))
        if book is None or side is None:
            return
        levels = [
            level for level in book[side] if Decimal(level["price"]) != Decimal(change["price"])
        ]
        if Decimal(change["size"]):
            levels.append({"price": change["price"], "size": change["size"]})
        levels.sort(key=lambda level: Decimal(level["price"]), reverse=side == "asks")
        changed = {side: levels, "hash": change.get("hash"), "timestamp": event["timestamp"]}
        self._books[change["asset_id"]] = {**book, **changed}

    def _apply_value(self, event: Mapping[str, Any]) -> None:
        book = self._books.get(event.get("asset_id", ""))
        if book is None:
            return
        if event["event_type"] == "tick_size_change":
            book = {**book, "tick_size": event["new_tick_size"], "hash": None}
        else:
            book = {**book, "last_trade_price": event["price"], "hash": None}
        self._books[event["asset_id"]] = book

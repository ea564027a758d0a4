"""How the two channels answer a client's texts, sans-I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from attrs import field, frozen

from polymarket_ws.condition_ids import condition_key
from polymarket_ws.credentials import Credentials
from polymarket_ws.events import EVENTS, OWN, Event, Order, Unknown

from .record import ConnectionRecord
from .simulated_market import Wire

INVALID_OPERATION = "INVALID OPERATION"
NO_NEW_ASSETS = "NO NEW ASSETS"
CHANNELS = {"/ws/market": "market", "/ws/user": "user"}
"""The channel behind each path; any other path is answered with 404."""


@frozen
class Close:
    """The server's answer is a close frame."""

    code: int
    reason: str


@frozen
class Reset:
    """The server's answer is to drop the TCP connection without a word."""


Reply = str | Close | Reset
"""A text to send, or how to end the connection."""


@frozen
class Manners:
    """Reads a client's texts into its record and yields what the server says to them."""

    snapshot: Callable[[str], Mapping[str, Any] | None]
    """The book that answers a subscription; None for an unknown token."""
    credentials: Credentials | None = field(default=None, repr=False)
    """Whom the user channel lets in; None: anyone."""
    most_assets: int | None = None
    """How many assets of one market connection are served; None: all."""

    def receive(self, text: str, record: ConnectionRecord) -> Iterator[Reply]:
        """Take one text of the client; the record is changed before the first reply is yielded."""
        if text == "PING":
            yield from self._ping(record)
            return
        message = _json_object(text)
        if message is None:
            yield INVALID_OPERATION
        elif record.channel == "market":
            yield from self._market(message, record)
        else:
            yield from self._user(message, record)

    def _ping(self, record: ConnectionRecord) -> Iterator[Reply]:
        record.pings += 1
        if not record.ready:
            yield Close(1008, "invalid subscription payload")
        elif record.answers_pings:
            yield "PONG"

    def _market(self, message: Wire, record: ConnectionRecord) -> Iterator[Reply]:
        assets = message.get("assets_ids")
        first = _is_first(message, record)
        operation = message.get("operation") if record.ready else None
        if not _is_texts(assets) or not (first or operation in ("subscribe", "unsubscribe")):
            yield INVALID_OPERATION
            return
        if operation == "unsubscribe":
            record.asset_ids.difference_update(assets)
            record.unserved.difference_update(assets)
            return
        if "custom_feature_enabled" in message:
            record.custom_features = bool(message["custom_feature_enabled"])
        new = [asset for asset in dict.fromkeys(assets) if asset not in record.asset_ids]
        served = self._serve(new, record)
        if not first and not new:
            yield NO_NEW_ASSETS
        elif not record.frozen and (not first or message.get("initial_dump", True)):
            yield snapshot_text([book for book in map(self.snapshot, served) if book])
        record.ready = True

    def _serve(self, new: list[str], record: ConnectionRecord) -> list[str]:
        """Subscribe to these; returns those that there is room for."""
        served = new
        if self.most_assets is not None:
            served = new[: max(0, self.most_assets - len(record.asset_ids - record.unserved))]
        record.asset_ids.update(new)
        record.unserved.update(new[len(served) :])
        return served

    def _user(self, message: Wire, record: ConnectionRecord) -> Iterator[Reply]:
        markets = message.get("markets")
        if markets is not None and not _is_texts(markets):
            yield INVALID_OPERATION
        elif _is_first(message, record):
            yield from self._admit(message, record)
        elif not record.ready or markets is None:
            yield INVALID_OPERATION
        elif message.get("operation") == "subscribe":
            record.markets = (
                record.markets if record.markets is None else record.markets | set(markets)
            )
        elif message.get("operation") == "unsubscribe":
            record.markets = (
                record.markets if record.markets is None else record.markets - set(markets)
            )
        else:
            yield INVALID_OPERATION

    def _admit(self, message: Wire, record: ConnectionRecord) -> Iterator[Reply]:
        auth = message.get("auth")
        if not isinstance(auth, dict):
            yield Reset()
            return
        shown = tuple(auth.get(name) for name in ("apiKey", "secret", "passphrase"))
        if None in shown or (self.credentials and shown != self.credentials.reveal()):
            yield Reset()
            return
        record.markets = set(message["markets"]) if "markets" in message else None
        record.ready = True


def wants(record: ConnectionRecord, event: Mapping[str, Any]) -> bool:
    """Whether a connection is sent this event."""
    if not record.ready:
        return False
    kind = kind_of(event)
    if kind in OWN:
        return record.channel == "user" and _wants_own(record, event)
    if record.channel != "market" or (kind.needs_custom_features and not record.custom_features):
        return False
    return kind.is_broadcast or bool(assets_of(event) & record.asset_ids - record.unserved)


def kind_of(event: Mapping[str, Any]) -> type[Event]:
    """The class that says who is sent such an event."""
    return EVENTS.get(event.get("event_type", ""), Unknown)


def _wants_own(record: ConnectionRecord, event: Mapping[str, Any]) -> bool:
    # Without the key `markets` everything is sent; [] was seen to give orders but no trades
    # (py-sdk#102).
    if not record.markets:
        return record.markets is None or event["event_type"] == Order.event_type
    return condition_key(str(event.get("market"))) in map(condition_key, record.markets)


def assets_of(event: Mapping[str, Any]) -> set[str]:
    """The tokens that a market event names."""
    changes = event.get("price_changes") or ()
    named = [event.get("asset_id"), *(change.get("asset_id") for change in changes)]
    return {asset for asset in named if asset is not None}


def snapshot_text(books: Sequence[Mapping[str, Any]]) -> str:
    """The array that answers a subscription: compact, with a newline; a bare [] if empty."""
    return json.dumps(books, separators=(",", ":"), ensure_ascii=False) + ("\n" if books else "")


def event_text(event: Mapping[str, Any]) -> str:
    """A bare event, with the server's odd spacing: after commas but not after colons."""
    return json.dumps(event, separators=(", ", ":"), ensure_ascii=False)


def _is_first(message: Wire, record: ConnectionRecord) -> bool:
    kind = message.get("type")
    return not record.ready and isinstance(kind, str) and kind.lower() == record.channel


def _is_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _json_object(text: str) -> Wire | None:
    try:
        message = json.loads(text)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None

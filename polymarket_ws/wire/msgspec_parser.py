"""The frequent messages parsed by msgspec, of the extra `[fast]`: the only file that imports it.

It reads 700 bytes into the fields of a price_change in 0.6 us, the standard library into dicts in
2.6 us (CPython 3.11, shared x86-64, 2026-11; orjson: 0.9 us into dicts).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec.structs import astuple

from .fast_fields import FastPathMiss, read_time
from .limits import ID_CHARS
from .updates import Changes, Print, Snapshot

_new = tuple.__new__  # what a named tuple's own constructor does, by one call less
_Id = Annotated[str, msgspec.Meta(max_length=ID_CHARS)]


class _Change(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Has the attributes of a Change, and is handed over as one: nothing is copied."""

    asset_id: _Id
    price: str
    size: str
    side: str
    hash: _Id
    best_bid: str
    best_ask: str


class _Level(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    price: str
    size: str


class _Message(msgspec.Struct, forbid_unknown_fields=True, gc=False, tag_field="event_type"):
    market: _Id
    timestamp: str


class _Changes(_Message, tag="price_change", forbid_unknown_fields=True, gc=False):
    price_changes: list[_Change]


class _Book(_Message, tag="book", forbid_unknown_fields=True, gc=False):
    asset_id: _Id
    hash: _Id
    bids: list[_Level]
    asks: list[_Level]
    tick_size: str | msgspec.UnsetType = msgspec.UNSET
    last_trade_price: str | msgspec.UnsetType = msgspec.UNSET


class _Print(_Message, tag="last_trade_price", forbid_unknown_fields=True, gc=False):
    """Has PRINT_FIELDS, in their order."""

    asset_id: _Id
    price: str
    size: str
    side: str
    fee_rate_bps: str
    transaction_hash: str


_One = _Changes | _Book | _Print
_decode_any = msgspec.json.Decoder(_One | list[_One]).decode
_decode_book = msgspec.json.Decoder(_Book).decode
_decode_changes = msgspec.json.Decoder(_Changes).decode


def parse(text: str) -> list[Changes | Snapshot | Print]:
    """What all elements are; FastPathMiss unless each is of a known kind with its fields alone."""
    # Where a message may be of several kinds, all of it is read once more in search of its tag,
    # which the server writes last. What ends so is one object of that kind, if it is JSON at all.
    try:
        if text.endswith('"event_type":"price_change"}'):
            return [_changes(_decode_changes(text))]
        if text.endswith('"event_type":"book"}'):
            return [_snapshot(_decode_book(text))]
        found = _decode_any(text)
    except (msgspec.MsgspecError, RecursionError):
        raise FastPathMiss from None
    return [_UPDATES[one.__class__](one) for one in (found if isinstance(found, list) else [found])]


def _changes(one: _Changes) -> Changes:
    return _new(Changes, (one.market, read_time(one.timestamp), one.price_changes))


def _snapshot(one: _Book) -> Snapshot:
    tick_size, last_trade_price = one.tick_size, one.last_trade_price
    return Snapshot(
        one.market,
        one.asset_id,
        read_time(one.timestamp),
        one.hash or None,
        [astuple(level) for level in one.bids],
        [astuple(level) for level in one.asks],
        None if tick_size is msgspec.UNSET else tick_size,
        (None if last_trade_price is msgspec.UNSET else last_trade_price) or None,
    )


_UPDATES: dict[type, Callable[[Any], Changes | Snapshot | Print]] = {
    _Changes: _changes,
    _Book: _snapshot,
    _Print: astuple,
}

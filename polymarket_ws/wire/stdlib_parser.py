"""The frequent messages parsed by the standard library, where the extra `[fast]` is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from operator import itemgetter
from typing import Any, NoReturn

from .fast_fields import FastPathMiss, read_time
from .limits import ID_CHARS
from .updates import PRINT_FIELDS, Change, Changes, Print, Snapshot


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and its like


_JSON = json.JSONDecoder(parse_constant=_refuse)  # no number is read: all fields are strings
_CHANGE = itemgetter("asset_id", "price", "size", "side", "hash", "best_bid", "best_ask")
_LEVEL = itemgetter("price", "size")
_BOOK = itemgetter("market", "asset_id", "timestamp", "hash")
_PRINT = itemgetter(*PRINT_FIELDS)


def parse(text: str) -> list[Changes | Snapshot | Print]:
    """What all elements are; FastPathMiss unless each is of a known kind with its fields alone."""
    try:
        document = _JSON.decode(text)
        elements = document if document.__class__ is list else [document]
        return [_PARSERS[element["event_type"]](element) for element in elements]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise FastPathMiss from None


def _parse_changes(element: dict[str, Any]) -> Changes:
    changes: list[Change] = []
    for entry in element["price_changes"]:
        texts = _CHANGE(entry)
        # A TypeError for all that is no string; one that is too long is none of theirs either.
        if len(entry) != len(texts) or len("".join(texts)) > ID_CHARS:
            raise KeyError
        changes.append(Change(*texts))
    if len(element) != 4:
        raise KeyError
    market = _text(element["market"])
    _check_ids(market)
    return Changes(market, read_time(_text(element["timestamp"])), changes)


def _parse_book(element: dict[str, Any]) -> Snapshot:
    market, asset_id, timestamp, hash = _BOOK(element)
    tick_size, last_trade_price = element.get("tick_size"), element.get("last_trade_price")
    fields = (market, asset_id, timestamp, hash, tick_size, last_trade_price)
    texts = [text for text in fields if text is not None]
    "".join(texts)
    if len(element) != len(texts) + 3:  # event_type and the two sides
        raise KeyError
    _check_ids(market, asset_id, hash)
    return Snapshot(
        market,
        asset_id,
        read_time(timestamp),
        hash or None,
        _parse_levels(element["bids"]),
        _parse_levels(element["asks"]),
        tick_size,
        last_trade_price or None,
    )


def _parse_levels(levels: Any) -> list[tuple[str, str]]:
    if levels.__class__ is not list:
        raise TypeError
    texts = [_LEVEL(level) for level in levels]
    "".join(map("".join, texts))
    if any(len(level) != 2 for level in levels):
        raise KeyError
    return texts


def _parse_print(element: dict[str, Any]) -> Print:
    texts: Print = _PRINT(element)
    if len(element) != len(texts) + 1:
        raise KeyError
    "".join(texts)
    _check_ids(element["market"], element["asset_id"])
    return texts


def _check_ids(*ids: str) -> None:
    if max(map(len, ids)) > ID_CHARS:
        raise ValueError


def _text(value: Any) -> str:
    if value.__class__ is not str:
        raise TypeError
    return str(value)


_PARSERS: dict[str, Callable[[dict[str, Any]], Changes | Snapshot | Print]] = {
    "price_change": _parse_changes,
    "book": _parse_book,
    "last_trade_price": _parse_print,
}

"""The hottest messages in their usual shape, read without ceremony; all else is left to the codec.

What this reads, the codec reads alike: a property test holds the two equal. It knows no errors:
where anything is unusual it returns None, and the codec, which can say what and where, reads again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Sequence
from decimal import Decimal
from operator import gt, itemgetter, lt
from typing import Any, NamedTuple, NoReturn

from .books import Change, Changes, Snapshot, known_prices, price_of
from .events import Book, Event, LastTradePrice, Level, LevelChange, PriceChange, Side
from .json_text import NUMBER_CHARS
from .shapes import BookFields, ChangeFields, Entry, Fields, PrintFields
from .wire_values import FIRST_MS


def find_fast_parser() -> Callable[[str], list[Fields] | None] | None:
    """msgspec's; None when the extra [fast] is not installed."""
    try:
        from .fast_shapes import parse
    except ImportError:
        return None
    return parse


parse_fast = find_fast_parser()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and its like


_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
_JSON = json.JSONDecoder(parse_constant=_refuse)  # any number makes a shape unusual
_ENTRY = itemgetter(*Entry._fields)
_LEVEL = itemgetter("price", "size")
_PRINT = itemgetter(*PrintFields._fields)
_BOOK = itemgetter(*BookFields._fields[:4])
_MS_CHARS = 13  # of the times from 2001 to 2286


class Decoded(NamedTuple):
    """One event, and what the books need of it."""

    event: Event | None
    """None for a book or a price_change that nobody listens for."""
    update: Snapshot | Changes | None
    """For a book or a price_change, in the wire's own strings; else None."""

    @property
    def event_type(self) -> str:
        """The event's, also where it was not made."""
        if self.event is not None:
            return self.event.event_type
        return PriceChange.event_type if isinstance(self.update, Changes) else Book.event_type


def read_usual(
    text: str, received_at_ns: int, heard: Container[str] | None
) -> list[Decoded] | None:
    """The events of a text message whose shapes are all usual ones; None for any other.

    Args:
        text: A data message.
        received_at_ns: Given to the events.
        heard: The event types that somebody listens for; None is all. Of a book or price_change
            that is not among them no event is made.
    """
    if "\\" in text or not text.isascii():  # an escape may hide a digit of another script
        return None
    found = (parse_fast or parse_plain)(text)
    if found is None:
        return None
    decoded: list[Decoded] = []
    for fields in found:
        one = _BUILDERS[fields.__class__](fields, received_at_ns, heard)
        if one is None:
            return None
        decoded.append(one)
    return decoded


# The standard library's parser.


def parse_plain(text: str) -> list[Fields] | None:
    """The fields of all elements, if each has a usual shape: these keys alone, strings alone."""
    try:
        document, end = _JSON.raw_decode(text)
        if end < len(text) and text[end:].strip(" \t\r\n"):
            return None
        elements = document if document.__class__ is list else [document]
        return [_PARSERS[element["event_type"]](element) for element in elements]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _parse_changes(element: dict[str, Any]) -> ChangeFields:
    entries = [Entry(*_ENTRY(entry)) for entry in element["price_changes"] if len(entry) == 7]
    if len(element) != 4 or len(entries) != len(element["price_changes"]):
        raise KeyError
    for entry in entries:
        "".join(entry)  # a TypeError for all that is no string
    return ChangeFields(_text(element["market"]), _text(element["timestamp"]), entries)


def _parse_book(element: dict[str, Any]) -> BookFields:
    tick_size, last_trade_price = element.get("tick_size"), element.get("last_trade_price")
    if len(element) != 7 + (tick_size is not None) + (last_trade_price is not None):
        raise KeyError
    for text in (tick_size, last_trade_price):
        if text is not None:
            _text(text)
    market, asset_id, timestamp, hash = _BOOK(element)
    "".join((market, asset_id, timestamp, hash))
    bids, asks = _parse_levels(element["bids"]), _parse_levels(element["asks"])
    return BookFields(market, asset_id, timestamp, hash, bids, asks, tick_size, last_trade_price)


def _parse_levels(levels: Any) -> list[tuple[str, str]]:
    if levels.__class__ is not list:
        raise TypeError
    texts = [_LEVEL(level) for level in levels if len(level) == 2]
    if len(texts) != len(levels):
        raise KeyError
    "".join(map("".join, texts))
    return texts


def _parse_print(element: dict[str, Any]) -> PrintFields:
    fields = PrintFields(*_PRINT(element))
    if len(element) != len(fields) + 1:
        raise KeyError
    "".join(fields)
    return fields


def _text(value: Any) -> str:
    if value.__class__ is not str:
        raise TypeError
    return str(value)


_PARSERS: dict[str, Callable[[dict[str, Any]], Fields]] = {
    "price_change": _parse_changes,
    "book": _parse_book,
    "last_trade_price": _parse_print,
}


# From fields to events. The numbers are checked here, whoever parsed.


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() and len(text) <= NUMBER_CHARS


def _time_ms(text: str) -> int:
    """0 for a time that is not written in 13 digits."""
    ms = int(text) if len(text) == _MS_CHARS and text.isdecimal() else 0
    return ms if ms >= FIRST_MS else 0


def _build_changes(
    fields: ChangeFields, received_at_ns: int, heard: Container[str] | None
) -> Decoded | None:
    market, timestamp, entries = fields
    timestamp_ms = _time_ms(timestamp)
    if not timestamp_ms or not entries:
        return None
    is_heard = heard is None or PriceChange.event_type in heard
    levels: list[LevelChange] = []
    for asset_id, price, size, side, hash, best_bid, best_ask in entries:
        if not (
            hash
            and side in _SIDES
            and _is_number(size)
            and (price in known_prices or _is_number(price))
            and (best_bid in known_prices or _is_number(best_bid))
            and (best_ask in known_prices or _is_number(best_ask))
        ):
            return None
        if is_heard:
            levels.append(
                LevelChange(
                    asset_id=asset_id,
                    price=price_of(price),
                    size=Decimal(size),
                    side=_SIDES[side],
                    hash=hash,
                    best_bid=price_of(best_bid),
                    best_ask=price_of(best_ask),
                )
            )
    event = None
    if is_heard:
        event = PriceChange(
            market=market,
            price_changes=tuple(levels),
            timestamp_ms=timestamp_ms,
            received_at_ns=received_at_ns,
        )
    # An entry is a Change as it is: the same fields, the same strings.
    changes = [tuple.__new__(Change, entry) for entry in entries]
    return Decoded(event, Changes(market, timestamp_ms, changes))


def _build_book(
    fields: BookFields, received_at_ns: int, heard: Container[str] | None
) -> Decoded | None:
    market, asset_id, timestamp, hash, bids, asks, tick_size, last_trade_price = fields
    timestamp_ms = _time_ms(timestamp)
    has_numbers = _has_numbers(bids) and _has_numbers(asks)
    if not timestamp_ms or not has_numbers or not (tick_size is None or _is_number(tick_size)):
        return None
    if last_trade_price and not _is_number(last_trade_price):
        return None
    event = None
    if heard is None or Book.event_type in heard:
        bid_levels, ask_levels = _best_first(bids, lt), _best_first(asks, gt)
        if bid_levels is None or ask_levels is None:
            return None
        event = Book(
            market=market,
            asset_id=asset_id,
            timestamp_ms=timestamp_ms,
            hash=hash or None,
            bids=bid_levels,
            asks=ask_levels,
            tick_size=None if tick_size is None else price_of(tick_size),
            last_trade_price=price_of(last_trade_price) if last_trade_price else None,
            received_at_ns=received_at_ns,
        )
    snapshot = Snapshot(
        market,
        asset_id,
        timestamp_ms,
        hash or None,
        bids,
        asks,
        tick_size,
        last_trade_price or None,
    )
    return Decoded(event, snapshot)


def _has_numbers(levels: Sequence[tuple[str, str]]) -> bool:
    """Whether all are numbers; looked at together, since a book has many."""
    sizes = [size for _, size in levels]
    digits = "".join(sizes).replace(".", "")
    return (
        (digits.isdecimal() or not sizes)
        and not {"", "."}.intersection(sizes)
        and all(size.count(".") < 2 and len(size) <= NUMBER_CHARS for size in sizes)
        and all(price in known_prices or _is_number(price) for price, _ in levels)
    )


def _best_first(
    levels: Sequence[tuple[str, str]], is_worse: Callable[[Decimal, Decimal], bool]
) -> tuple[Level, ...] | None:
    """The wire has the best last; None where that is not so, or a size is 0."""
    prices = [price_of(price) for price, _ in reversed(levels)]
    sizes = [Decimal(size) for _, size in reversed(levels)]
    if not (all(map(is_worse, prices[1:], prices)) and all(sizes)):
        return None
    return tuple(map(Level._make, zip(prices, sizes, strict=True)))


def _build_print(
    fields: PrintFields, received_at_ns: int, heard: Container[str] | None
) -> Decoded | None:
    market, asset_id, price, size, side, timestamp, fee_rate_bps, transaction_hash = fields
    timestamp_ms = _time_ms(timestamp)
    numbers = _is_number(price) and _is_number(size) and _is_number(fee_rate_bps)
    if not timestamp_ms or side not in _SIDES or not numbers:
        return None
    event = LastTradePrice(
        market=market,
        asset_id=asset_id,
        price=price_of(price),
        size=Decimal(size),
        side=_SIDES[side],
        timestamp_ms=timestamp_ms,
        fee_rate_bps=Decimal(fee_rate_bps),
        transaction_hash=transaction_hash,
        received_at_ns=received_at_ns,
    )
    return Decoded(event, None)


_BUILDERS: dict[type[Fields], Callable[[Any, int, Container[str] | None], Decoded | None]] = {
    ChangeFields: _build_changes,
    BookFields: _build_book,
    PrintFields: _build_print,
}

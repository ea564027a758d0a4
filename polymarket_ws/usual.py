"""The hottest messages in their usual shape, read without ceremony; all else is left to the codec.

What this reads, the codec reads alike: a property test holds the two equal. It knows no errors:
where anything is unusual it returns None, and the codec, which can say what and where, reads again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container
from decimal import Decimal
from operator import gt, itemgetter, lt
from typing import Any, NamedTuple, NoReturn

from .drafts import make_last_trade_price, make_level_change, make_price_change
from .events import Book, Event, Level, LevelChange, PriceChange, Side
from .json_text import NUMBER_CHARS
from .prices import known_prices, price_of
from .shapes import BookShape, ChangesShape, PrintShape, Shape, Unusual
from .updates import Change, Changes, Snapshot

_MS_CHARS = 13
_LEVELS_LIMIT = 16_384  # some 400 bytes each


def find_fast_parser() -> Callable[[str], list[Shape]] | None:
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
_new = tuple.__new__  # what a named tuple's own constructor does, by one call less


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
    try:
        shapes = (parse_fast or parse_plain)(text)
        return [_READERS[shape.event_type](shape, received_at_ns, heard) for shape in shapes]
    except Unusual:
        return None


# The standard library's parser.


_CHANGE = itemgetter("asset_id", "price", "size", "side", "hash", "best_bid", "best_ask")
_LEVEL = itemgetter("price", "size")
_BOOK = itemgetter("market", "asset_id", "timestamp", "hash")
_PRINT = itemgetter(
    "market",
    "asset_id",
    "price",
    "size",
    "side",
    "timestamp",
    "fee_rate_bps",
    "transaction_hash",
)


def parse_plain(text: str) -> list[Shape]:
    """What all elements are; Unusual unless each has a usual shape."""
    try:
        document = _JSON.decode(text)
        elements = document if document.__class__ is list else [document]
        return [_PARSERS[element["event_type"]](element) for element in elements]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Unusual from None


def _parse_changes(element: dict[str, Any]) -> ChangesShape:
    changes: list[Change] = []
    for entry in element["price_changes"]:
        texts = _CHANGE(entry)
        "".join(texts)  # a TypeError for all that is no string
        if len(entry) != len(texts):
            raise KeyError
        changes.append(Change(*texts))
    if len(element) != 4:
        raise KeyError
    return ChangesShape(_text(element["market"]), _text(element["timestamp"]), changes)


def _parse_book(element: dict[str, Any]) -> BookShape:
    tick_size, last_trade_price = element.get("tick_size"), element.get("last_trade_price")
    if len(element) != 7 + (tick_size is not None) + (last_trade_price is not None):
        raise KeyError
    market, asset_id, timestamp, hash = _BOOK(element)
    "".join((market, asset_id, timestamp, hash, tick_size or "", last_trade_price or ""))
    bids, asks = _parse_levels(element["bids"]), _parse_levels(element["asks"])
    return BookShape(market, asset_id, timestamp, hash, bids, asks, tick_size, last_trade_price)


def _parse_levels(levels: Any) -> list[tuple[str, str]]:
    if levels.__class__ is not list:
        raise TypeError
    texts = [_LEVEL(level) for level in levels if len(level) == 2]
    if len(texts) != len(levels):
        raise KeyError
    "".join(map("".join, texts))
    return texts


def _parse_print(element: dict[str, Any]) -> PrintShape:
    texts = _PRINT(element)
    if len(element) != len(texts) + 1:
        raise KeyError
    "".join(texts)
    return PrintShape(*texts)


def _text(value: Any) -> str:
    if value.__class__ is not str:
        raise TypeError
    return str(value)


_PARSERS: dict[str, Callable[[dict[str, Any]], Shape]] = {
    "price_change": _parse_changes,
    "book": _parse_book,
    "last_trade_price": _parse_print,
}


# From shapes to events. The values are checked here, whoever parsed.


def _read_time(text: str) -> int:
    """Milliseconds since 1970, from 2001 to 2286: 13 digits."""
    if len(text) != _MS_CHARS or not text.isdecimal() or text[0] == "0":
        raise Unusual
    return int(text)


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() and len(text) <= NUMBER_CHARS


def _read_number(text: str) -> Decimal:
    if not _is_number(text):
        raise Unusual
    return Decimal(text)


def _read_price(text: str) -> Decimal:
    """Interned, if there is room."""
    if not _is_number(text):
        raise Unusual
    return price_of(text)


def _read_changes(
    shape: ChangesShape, received_at_ns: int, heard: Container[str] | None
) -> Decoded:
    market, changes, timestamp_ms = shape.market, shape.price_changes, _read_time(shape.timestamp)
    is_heard = heard is None or "price_change" in heard
    known = known_prices.get
    levels: list[LevelChange] = []
    text = ""
    for change in changes:
        if change.size != text:  # both tokens of a market have the same
            text = change.size
            size = _read_number(text)
        side, hash = _SIDES.get(change.side), change.hash
        bid, ask = change.best_bid, change.best_ask
        price = known(change.price) or _read_price(change.price)
        best_bid = known(bid) or _read_price(bid)  # type: ignore[arg-type]  # a shape's is a str
        best_ask = known(ask) or _read_price(ask)  # type: ignore[arg-type]
        if not (text and hash and side):
            raise Unusual
        if is_heard:
            level = make_level_change(change.asset_id, price, size, side, hash, best_bid, best_ask)
            levels.append(level)
    if not changes:
        raise Unusual
    event = None
    if is_heard:
        event = make_price_change(market, tuple(levels), timestamp_ms, received_at_ns)
    return _new(Decoded, (event, _new(Changes, (market, timestamp_ms, changes))))


def _read_book(shape: BookShape, received_at_ns: int, heard: Container[str] | None) -> Decoded:
    timestamp_ms, hash = _read_time(shape.timestamp), shape.hash or None
    tick_size, last_trade_price = shape.tick_size, shape.last_trade_price or None
    bids = [_known_levels[texts] for texts in shape.bids]
    asks = [_known_levels[texts] for texts in shape.asks]
    tick, last = (None if t is None else _read_price(t) for t in (tick_size, last_trade_price))
    event = None
    if heard is None or "book" in heard:
        if not (_is_ordered(bids, lt) and _is_ordered(asks, gt)):
            raise Unusual
        event = Book(
            market=shape.market,
            asset_id=shape.asset_id,
            timestamp_ms=timestamp_ms,
            hash=hash,
            bids=tuple(bids[::-1]),
            asks=tuple(asks[::-1]),
            tick_size=tick,
            last_trade_price=last,
            received_at_ns=received_at_ns,
        )
    update = Snapshot(
        shape.market,
        shape.asset_id,
        timestamp_ms,
        hash,
        shape.bids,
        shape.asks,
        tick_size,
        last_trade_price,
    )
    return Decoded(event, update)


class _KnownLevels(dict[tuple[str, str], Level]):
    """Levels by their texts: a book comes anew after each trade, with most of them as before."""

    def __missing__(self, texts: tuple[str, str]) -> Level:
        price, size = texts
        numbers = known_prices.get(price) or _read_price(price), _read_number(size)
        if not numbers[1]:  # a book without that level
            raise Unusual
        level: Level = _new(Level, numbers)
        if len(self) >= _LEVELS_LIMIT:
            self.clear()
        self[texts] = level
        return level


_known_levels = _KnownLevels()


def _is_ordered(levels: list[Level], is_worse: Callable[[Decimal, Decimal], bool]) -> bool:
    """Whether they are in the wire's order, the best last, each price once."""
    prices = [price for price, _ in levels]
    return all(map(is_worse, prices, prices[1:]))


def _read_print(shape: PrintShape, received_at_ns: int, heard: Container[str] | None) -> Decoded:
    side, fee_rate_bps = _SIDES.get(shape.side), known_prices.get(shape.fee_rate_bps)
    if side is None:
        raise Unusual
    if fee_rate_bps is None:  # mostly it is the known 0, which `or` would read again
        fee_rate_bps = _read_price(shape.fee_rate_bps)
    event = make_last_trade_price(
        shape.market,
        shape.asset_id,
        known_prices.get(shape.price) or _read_price(shape.price),
        _read_number(shape.size),
        side,
        _read_time(shape.timestamp),
        fee_rate_bps,
        shape.transaction_hash,
        received_at_ns,
    )
    return _new(Decoded, (event, None))


_READERS: dict[str, Callable[[Any, int, Container[str] | None], Decoded]] = {
    "price_change": _read_changes,
    "book": _read_book,
    "last_trade_price": _read_print,
}

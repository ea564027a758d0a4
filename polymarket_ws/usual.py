"""The hottest messages in their usual shape, read without ceremony; all else is left to the codec.

What this reads, the codec reads alike: a property test holds the two equal. It knows no errors:
where anything is unusual it returns None, and the codec, which can say what and where, reads again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Sequence
from decimal import Decimal, InvalidOperation
from functools import partial
from operator import eq, gt, itemgetter, lt
from typing import Any, NamedTuple, NoReturn, cast

from .books import Change, Changes, Snapshot, known_prices, price_of
from .drafts import make_last_trade_price, make_level_change, make_price_change
from .events import Book, Event, Level, LevelChange, PriceChange, Side
from .json_text import NUMBER_CHARS
from .shapes import Print, Shape, time_ms


def find_fast_parser() -> Callable[[str], list[Shape] | None] | None:
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
_CHANGE = itemgetter(*Change._fields)
_LEVEL = itemgetter("price", "size")
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
_BOOK = itemgetter("market", "asset_id", "timestamp", "hash")


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
    for shape in found:
        one = _BUILDERS[shape.__class__](shape, received_at_ns, heard)
        if one is None:
            return None
        decoded.append(one)
    return decoded


# The standard library's parser.


def parse_plain(text: str) -> list[Shape] | None:
    """What all elements are, if each has a usual shape: these keys alone, strings alone."""
    try:
        document, end = _JSON.raw_decode(text)
        if end < len(text) and text[end:].strip(" \t\r\n"):
            return None
        elements = document if document.__class__ is list else [document]
        return [_PARSERS[element["event_type"]](element) for element in elements]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _parse_changes(element: dict[str, Any]) -> Changes:
    changes = [Change(*_CHANGE(entry)) for entry in element["price_changes"] if len(entry) == 7]
    if len(element) != 4 or len(changes) != len(element["price_changes"]):
        raise KeyError
    for change in changes:
        "".join(change)  # type: ignore[arg-type]  # a TypeError for all that is no string
        _SIDES[change.side]
    return Changes(_text(element["market"]), time_ms(_text(element["timestamp"])), changes)


def _parse_book(element: dict[str, Any]) -> Snapshot:
    tick_size, last_trade_price = element.get("tick_size"), element.get("last_trade_price")
    if len(element) != 7 + (tick_size is not None) + (last_trade_price is not None):
        raise KeyError
    for text in (tick_size, last_trade_price):
        if text is not None:
            _text(text)
    market, asset_id, timestamp, hash = _BOOK(element)
    "".join((market, asset_id, timestamp, hash))
    bids, asks = _parse_levels(element["bids"]), _parse_levels(element["asks"])
    return Snapshot(
        market,
        asset_id,
        time_ms(timestamp),
        hash or None,
        bids,
        asks,
        tick_size,
        last_trade_price or None,
    )


def _parse_levels(levels: Any) -> list[tuple[str, str]]:
    if levels.__class__ is not list:
        raise TypeError
    texts = [_LEVEL(level) for level in levels if len(level) == 2]
    if len(texts) != len(levels):
        raise KeyError
    "".join(map("".join, texts))
    return texts


def _parse_print(element: dict[str, Any]) -> Print:
    texts = _PRINT(element)
    if len(element) != len(texts) + 1:
        raise KeyError
    "".join(texts)
    market, asset_id, price, size, side, timestamp, *rest = texts
    _SIDES[side]
    return Print(market, asset_id, price, size, side, time_ms(timestamp), *rest)


def _text(value: Any) -> str:
    if value.__class__ is not str:
        raise TypeError
    return str(value)


_PARSERS: dict[str, Callable[[dict[str, Any]], Shape]] = {
    "price_change": _parse_changes,
    "book": _parse_book,
    "last_trade_price": _parse_print,
}


# From shapes to events. The numbers are checked here, whoever parsed.


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() and len(text) <= NUMBER_CHARS


def _intern_price(text: str | None) -> bool:
    """False for what is no number; a price is interned, if there is room."""
    if text is None or not _is_number(text):
        return False
    price_of(text)
    return True


def _build_changes(
    shape: Changes, received_at_ns: int, heard: Container[str] | None
) -> Decoded | None:
    market, timestamp_ms, changes = shape
    if not timestamp_ms or not changes:
        return None
    known = known_prices
    for _, price, size, _, hash, best_bid, best_ask in changes:
        if not (
            hash
            and (price in known or _intern_price(price))
            and (best_bid in known or _intern_price(best_bid))
            and (best_ask in known or _intern_price(best_ask))
            and size.replace(".", "", 1).isdecimal()  # as _is_number(), by one call less
            and len(size) <= NUMBER_CHARS
        ):
            return None
    event = None
    if heard is None or PriceChange.event_type in heard:
        levels: list[LevelChange] = []
        for asset_id, price, size, side, hash, best_bid, best_ask in changes:
            level = make_level_change(
                asset_id,
                known.get(price) or price_of(price),
                Decimal(size),
                _SIDES[side],
                hash,
                known.get(best_bid) or price_of(best_bid),  # type: ignore[arg-type]  # a str
                known.get(best_ask) or price_of(best_ask),  # type: ignore[arg-type]
            )
            levels.append(level)
        event = make_price_change(market, tuple(levels), timestamp_ms, received_at_ns)
    return tuple.__new__(Decoded, (event, shape))  # as Decoded(event, shape), by one call less


def _build_book(
    shape: Snapshot, received_at_ns: int, heard: Container[str] | None
) -> Decoded | None:
    market, asset_id, timestamp_ms, hash, bids, asks, tick_size, last_trade_price = shape
    bid_numbers, ask_numbers = _numbers(bids), _numbers(asks)
    if not (
        timestamp_ms
        and bid_numbers is not None
        and ask_numbers is not None
        and (tick_size is None or _is_number(tick_size))
        and (last_trade_price is None or _is_number(last_trade_price))
    ):
        return None
    event = None
    if heard is None or Book.event_type in heard:
        if not (_is_best_last(*bid_numbers, lt) and _is_best_last(*ask_numbers, gt)):
            return None
        event = Book(
            market=market,
            asset_id=asset_id,
            timestamp_ms=timestamp_ms,
            hash=hash,
            bids=_best_first(*bid_numbers),
            asks=_best_first(*ask_numbers),
            tick_size=None if tick_size is None else price_of(tick_size),
            last_trade_price=None if last_trade_price is None else price_of(last_trade_price),
            received_at_ns=received_at_ns,
        )
    return Decoded(event, shape)


_Numbers = tuple[list[Decimal], list[Decimal]]
"""Of one side the prices and the sizes, in the wire's order."""


def _numbers(levels: Sequence[tuple[str, str]]) -> _Numbers | None:
    """None where one is unusual. Looked at together: a book has many."""
    if not levels:
        return [], []
    texts, sizes = zip(*levels, strict=True)
    prices = list(map(known_prices.get, texts))
    if not all(prices):  # some are new, or 0
        if not all(map(_intern_price, texts)):
            return None
        prices = list(map(price_of, texts))
    # Of digits alone no text means infinity or has an exponent. What is no number raises, or is
    # NaN where the program has switched that trap off for all its threads.
    if not "".join(sizes).replace(".", "").isdecimal() or max(map(len, sizes)) > NUMBER_CHARS:
        return None
    try:
        numbers = list(map(Decimal, sizes))
    except InvalidOperation:
        return None
    return (cast(list[Decimal], prices), numbers) if all(map(eq, numbers, numbers)) else None


def _is_best_last(
    prices: list[Decimal], sizes: list[Decimal], is_worse: Callable[[Decimal, Decimal], bool]
) -> bool:
    """Whether they are in the wire's order, each price once, and no size is 0."""
    return all(map(is_worse, prices, prices[1:])) and all(sizes)


def _best_first(prices: list[Decimal], sizes: list[Decimal]) -> tuple[Level, ...]:
    return tuple(map(_level, zip(reversed(prices), reversed(sizes), strict=True)))


_level = partial(tuple.__new__, Level)  # as Level._make, which would count two fields each time


def _build_print(shape: Print, received_at_ns: int, heard: Container[str] | None) -> Decoded | None:
    market, asset_id, price, size, side, timestamp_ms, fee_rate_bps, transaction_hash = shape
    if not (
        timestamp_ms
        and (price in known_prices or _intern_price(price))
        and (fee_rate_bps in known_prices or _is_number(fee_rate_bps))
        and _is_number(size)
    ):
        return None
    event = make_last_trade_price(
        market,
        asset_id,
        price_of(price),
        Decimal(size),
        _SIDES[side],
        timestamp_ms,
        Decimal(fee_rate_bps),
        transaction_hash,
        received_at_ns,
    )
    return tuple.__new__(Decoded, (event, None))


_BUILDERS: dict[type[Shape], Callable[[Any, int, Container[str] | None], Decoded | None]] = {
    Changes: _build_changes,
    Snapshot: _build_book,
    Print: _build_print,
}

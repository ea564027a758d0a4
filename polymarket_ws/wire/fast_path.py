"""The hottest messages in their usual shape, read without ceremony; all else is left to decode.py.

What this reads, decode.py reads alike: a property test holds the two equal. It knows no errors:
where anything is unusual it returns None, and decode.py, which can say what and where, reads again.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from decimal import Decimal
from operator import gt, lt
from typing import Any

from polymarket_ws.events import Book, Level, LevelChange, Side

from .construct import make_last_trade_price, make_level_change, make_price_change
from .levels import LevelReader, check_levels, is_number, read_price
from .prices import known_prices
from .shapes import BookShape, ChangesShape, PrintShape, Shape, Unusual
from .stdlib_parser import parse as parse_plain
from .updates import Changes, Decoded, Snapshot

_MS_CHARS = 13


def find_fast_parser() -> Callable[[str], list[Shape]] | None:
    """msgspec's; None when the extra [fast] is not installed."""
    try:
        from .msgspec_parser import parse
    except ImportError:
        return None
    return parse


parse_fast = find_fast_parser()

_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
_new = tuple.__new__  # what a named tuple's own constructor does, by one call less
_levels = LevelReader()


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


def _read_time(text: str) -> int:
    """Milliseconds since 1970, from 2001 to 2286: 13 digits."""
    if len(text) != _MS_CHARS or not text.isdecimal() or text[0] == "0":
        raise Unusual
    return int(text)


def _read_number(text: str) -> Decimal:
    if not is_number(text):
        raise Unusual
    return Decimal(text)


def _read_changes(
    shape: ChangesShape, received_at_ns: int, heard: Container[str] | None
) -> Decoded:
    market, changes, timestamp_ms = shape.market, shape.price_changes, _read_time(shape.timestamp)
    is_heard = heard is None or "price_change" in heard
    known = known_prices.get
    levels: list[LevelChange] = []
    size_text = ""
    for change in changes:
        if change.size != size_text:  # both tokens of a market have the same
            size_text = change.size
            size = _read_number(size_text)
        side, hash = _SIDES.get(change.side), change.hash
        bid, ask = change.best_bid, change.best_ask
        price = known(change.price) or read_price(change.price)
        best_bid = known(bid) or read_price(bid)  # type: ignore[arg-type]  # a shape's is a str
        best_ask = known(ask) or read_price(ask)  # type: ignore[arg-type]
        if not (size_text and hash and side):
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
    tick, last = (None if t is None else read_price(t) for t in (tick_size, last_trade_price))
    event = None
    if heard is None or "book" in heard:
        levels = _levels.read(shape.asset_id, shape.bids + shape.asks)
        bids, asks = levels[: len(shape.bids)], levels[len(shape.bids) :]
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
    else:
        check_levels(shape.bids)
        check_levels(shape.asks)
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


def _is_ordered(levels: list[Level], is_worse: Callable[[Decimal, Decimal], bool]) -> bool:
    """Whether they are in the wire's order, the best last, each price once."""
    prices = [price for price, _ in levels]
    return all(map(is_worse, prices, prices[1:]))


def _read_print(shape: PrintShape, received_at_ns: int, heard: Container[str] | None) -> Decoded:
    side, fee_rate_bps = _SIDES.get(shape.side), known_prices.get(shape.fee_rate_bps)
    if side is None:
        raise Unusual
    if fee_rate_bps is None:  # mostly it is the known 0, which `or` would read again
        fee_rate_bps = read_price(shape.fee_rate_bps)
    event = make_last_trade_price(
        shape.market,
        shape.asset_id,
        known_prices.get(shape.price) or read_price(shape.price),
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

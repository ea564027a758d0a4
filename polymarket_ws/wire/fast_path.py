"""The fast path: reads the three most frequent messages, whose fields it knows in advance.

Nearly all of a market stream is price_change, book and last_trade_price with the same fields, all
of them strings. The general decoder (decode.py) would find each field's reader, alias, default and
error path by name, which takes three to five times as long. The fast path has two steps:

1. A parser (msgspec's, or the standard library's without the extra `[fast]`) turns the text into
   what the books take: `Changes` or a `Snapshot`, in the wire's own strings. It refuses a message
   with a field that is unknown, missing, or no string.
2. The functions below check that the strings are numbers and sides, and make the event if somebody
   listens for it. The books' strings are those that were checked.

It knows no errors. Whatever it does not read, it gives up whole (FastPathMiss): the general decoder
reads the text from its beginning, keeps unknown fields, and says what is wrong and where.

The danger is a difference: a text of which the two make different events. So nothing is repaired
here. Levels out of order, a size of 0 in a snapshot, seconds for milliseconds, a digit of another
script: all are left to the general decoder. A property test holds the two equal on recorded, made
and mutated messages. The other danger is that a new field of the server's sends every message the
slow way without a word; `Stats.slow_path` counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from decimal import Decimal
from operator import gt, lt
from typing import Any

from polymarket_ws.events import Book, Level, LevelChange

from .construct import make_last_trade_price, make_level_change, make_price_change
from .fast_fields import SIDES, FastPathMiss, read_number, read_price, read_time
from .levels import LevelReader, check_levels
from .limits import ELEMENTS, ENTRIES, LEVELS
from .prices import known_prices
from .stdlib_parser import parse as parse_plain
from .updates import Changes, Decoded, Print, Snapshot


def find_fast_parser() -> Callable[[str], list[Changes | Snapshot | Print]] | None:
    """msgspec's; None when the extra [fast] is not installed."""
    try:
        from .msgspec_parser import parse
    except ImportError:
        return None
    return parse


parse_fast = find_fast_parser()

_new = tuple.__new__  # what a named tuple's own constructor does, by one call less
_levels = LevelReader()
forget_levels = _levels.forget


def decode_fast(
    text: str, received_at_ns: int, heard: Container[str] | None
) -> list[Decoded] | None:
    """The events of a text message; None where the general decoder has to read it.

    Args:
        text: A data message.
        received_at_ns: Given to the events.
        heard: The event types that somebody listens for; None is all. Of a book or price_change
            that is not among them no event is made.
    """
    if "\\" in text or not text.isascii():  # an escape may hide a digit of another script
        return None
    try:
        updates = (parse_fast or parse_plain)(text)
        if len(updates) > ELEMENTS:
            return None
        return [_READERS[update.__class__](update, received_at_ns, heard) for update in updates]
    except FastPathMiss:
        return None


def _read_changes(update: Changes, received_at_ns: int, heard: Container[str] | None) -> Decoded:
    market, timestamp_ms, changes = update
    is_heard = heard is None or "price_change" in heard
    known = known_prices.get
    levels: list[LevelChange] = []
    size_text = ""
    for change in changes:
        if change.size != size_text:  # both tokens of a market have the same
            size_text = change.size
            size = read_number(size_text)
        side, hash = SIDES.get(change.side), change.hash
        bid, ask = change.best_bid, change.best_ask
        price = known(change.price) or read_price(change.price)
        best_bid = known(bid) or read_price(bid)  # type: ignore[arg-type]  # a parser's is a str
        best_ask = known(ask) or read_price(ask)  # type: ignore[arg-type]
        if not (size_text and hash and side):
            raise FastPathMiss
        if is_heard:
            level = make_level_change(change.asset_id, price, size, side, hash, best_bid, best_ask)
            levels.append(level)
    if not 0 < len(changes) <= ENTRIES:
        raise FastPathMiss
    event = None
    if is_heard:
        event = make_price_change(market, tuple(levels), timestamp_ms, received_at_ns)
    return _new(Decoded, (event, update))


def _read_book(update: Snapshot, received_at_ns: int, heard: Container[str] | None) -> Decoded:
    market, asset_id, timestamp_ms, hash, bid_texts, ask_texts, tick_size, last = update
    if max(len(bid_texts), len(ask_texts)) > LEVELS:
        raise FastPathMiss
    tick, last_price = (None if t is None else read_price(t) for t in (tick_size, last))
    if heard is not None and "book" not in heard:
        check_levels(bid_texts)
        check_levels(ask_texts)
        return _new(Decoded, (None, update))
    levels = _levels.read(asset_id, [*bid_texts, *ask_texts])
    bids, asks = levels[: len(bid_texts)], levels[len(bid_texts) :]
    if not (_is_ordered(bids, lt) and _is_ordered(asks, gt)):
        raise FastPathMiss
    event = Book(
        market=market,
        asset_id=asset_id,
        timestamp_ms=timestamp_ms,
        hash=hash,
        bids=tuple(bids[::-1]),
        asks=tuple(asks[::-1]),
        tick_size=tick,
        last_trade_price=last_price,
        received_at_ns=received_at_ns,
    )
    return _new(Decoded, (event, update))


def _is_ordered(levels: list[Level], is_worse: Callable[[Decimal, Decimal], bool]) -> bool:
    """Whether they are in the wire's order, the best last, each price once."""
    prices = [price for price, _ in levels]
    return all(map(is_worse, prices, prices[1:]))


def _read_print(texts: Print, received_at_ns: int, heard: Container[str] | None) -> Decoded:
    market, timestamp, asset_id, price, size, side_text, fee_text, transaction_hash = texts
    side, fee_rate_bps = SIDES.get(side_text), known_prices.get(fee_text)
    if side is None:
        raise FastPathMiss
    if fee_rate_bps is None:  # mostly it is the known 0, which `or` would read again
        fee_rate_bps = read_price(fee_text)
    event = make_last_trade_price(
        market,
        asset_id,
        known_prices.get(price) or read_price(price),
        read_number(size),
        side,
        read_time(timestamp),
        fee_rate_bps,
        transaction_hash,
        received_at_ns,
    )
    return _new(Decoded, (event, None))


_READERS: dict[type, Callable[[Any, int, Container[str] | None], Decoded]] = {
    Changes: _read_changes,
    Snapshot: _read_book,
    tuple: _read_print,
}

FAST_TYPES = frozenset({"price_change", "book", "last_trade_price"})
"""The event types that the fast path reads."""

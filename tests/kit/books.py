"""Books fed by hand: snapshots and changes, and what a server with right hashes would tell."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import attrs

from polymarket_ws.books.book import BookCore
from polymarket_ws.books.live_book import LiveBook
from polymarket_ws.books.proof import Parameters, book_hash, book_head
from polymarket_ws.books.shelf import Books
from polymarket_ws.books.verifier import CHECK_SECONDS, STEP_SECONDS
from polymarket_ws.clock import Clock
from polymarket_ws.wire.updates import Change, Changes, Snapshot

MARKET = "0x" + "a" * 64
YES, NO = "1", "2"


def snapshot(
    timestamp_ms: int = 1,
    bids: Sequence[tuple[str, str]] = (("0.4", "10"),),
    asks: Sequence[tuple[str, str]] = (("0.6", "10"),),
    *,
    asset_id: str = YES,
    hash: str | None = None,
    is_answer: bool = True,
    last_trade_price: str | None = None,
) -> Snapshot:
    """A whole book of one asset."""
    tick_size = "0.01" if is_answer else None
    return Snapshot(MARKET, asset_id, timestamp_ms, hash, bids, asks, tick_size, last_trade_price)


def change(
    price: str,
    size: str,
    *,
    is_bid: bool = True,
    asset_id: str = YES,
    hash: str | None = None,
    best: tuple[str | None, str | None] = (None, None),
) -> Change:
    """One level's new size."""
    return Change(asset_id, price, size, "BUY" if is_bid else "SELL", hash, *best)


def changes(timestamp_ms: int, *entries: Change) -> Changes:
    """One price_change message."""
    return Changes(MARKET, timestamp_ms, entries)


def make_books(*asset_ids: str, verify: str = "top") -> tuple[Books, list[LiveBook]]:
    """Books that await their snapshots, and their handles; the clock stands at 100 s, and at
    2 000 s since 1970.
    """
    books = Books(verify)
    cores = [BookCore(asset_id) for asset_id in asset_ids]
    for core in cores:
        books.add(core)
    books.await_snapshots(asset_ids)
    clock = Clock(monotonic=lambda: 100.0, wall_ns=lambda: 2_000 * 10**9)
    return books, [LiveBook(core, clock) for core in cores]


def read(books: Books, message: Changes, now: float) -> list[BookCore]:
    """What a read that brings one message makes look different."""
    books.apply(message, now)
    return books.publish(now)


def read_step(books: Books, message: Changes, now: float) -> list[BookCore]:
    """What looks different `now`, when the step that the message tells has just ended."""
    read(books, message, now - STEP_SECONDS)
    return books.tick(now)


def sides(book: LiveBook) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
    """Bids and asks as the book shows them."""
    shown = book.snapshot()
    return dict(shown.bids), dict(shown.asks)


def numbers(levels: dict[str, str]) -> dict[Decimal, Decimal]:
    """The same in Decimal."""
    return {Decimal(price): Decimal(size) for price, size in levels.items()}


NEVER = float("inf")
REAL = "ab" * 20  # 40 hex digits that are no hash of anything here


class Told:
    """What a server with one market would tell: the true book, and its right hashes."""

    def __init__(self, asset_id: str = YES, price: str = "") -> None:
        self.asset_id, self.price, self.tick_size = asset_id, price, "0.01"
        self.parameters = Parameters("15", True)
        self.bids, self.asks = {"0.3": "5", "0.4": "10"}, {"0.6": "10"}

    def hash(self, timestamp_ms: int) -> str:
        return book_hash(
            book_head(MARKET, self.asset_id),
            str(timestamp_ms),
            sorted(self.bids.items()),
            sorted(self.asks.items(), reverse=True),
            self.parameters,
            self.tick_size,
            self.price,
        )

    def snapshot(self, timestamp_ms: int = 1, *, is_answer: bool = True) -> Snapshot:
        return Snapshot(
            MARKET,
            self.asset_id,
            timestamp_ms,
            self.hash(timestamp_ms),
            list(self.bids.items()),
            list(self.asks.items()),
            self.tick_size if is_answer else None,
            self.price if is_answer else None,
        )

    def change(self, timestamp_ms: int, price: str, size: str) -> Changes:
        self.bids[price] = size
        if size == "0":
            del self.bids[price]
        entry = change(price, size, asset_id=self.asset_id, hash=self.hash(timestamp_ms))
        return changes(timestamp_ms, entry)


def hashed(*asset_ids: str) -> tuple[Books, list[LiveBook], list[Told]]:
    """Live, verified books at time 0, and what their server would tell."""
    books, handles = make_books(*asset_ids, verify="hash")
    told = [Told(asset_id) for asset_id in asset_ids]
    for one in told:
        books.replace(one.snapshot(), now=0)
    return books, handles, told


def integrities(handles: list[LiveBook]) -> list[str]:
    """Of each book."""
    return [book.integrity for book in handles]


def in_question() -> tuple[Books, LiveBook, BookCore, Told]:
    """A book in a mismatch, of which a probe is asked for at 4 s: its newest hash was made up."""
    books, [book], [told] = hashed(YES)
    [entry] = told.change(2, "0.45", "1").changes
    read(books, changes(2, attrs.evolve(entry, hash=REAL)), now=1)
    books.tick(1 + CHECK_SECONDS)
    [core] = books.suspects(4)
    return books, book, core, told


def lasting_mismatch() -> tuple[Books, LiveBook, Told, BookCore]:
    """A book that lost a change at 2 and is in a mismatch since second 5; the next change was 3."""
    books, [book], [told] = hashed(YES)
    told.change(2, "0.3", "7")
    [core] = read_step(books, told.change(3, "0.2", "1"), now=5)
    return books, book, told, core

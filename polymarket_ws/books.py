"""Live order books: the cores that one shard writes, and the handles that users read."""

from __future__ import annotations

import logging
import threading
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from attrs import define, field, frozen

from .events import Book, Level

logger = logging.getLogger(__name__)

NO_SNAPSHOT = "no_snapshot"
HELD_LIMIT = 4096  # changes kept for one awaited snapshot: some seconds of the busiest market
_INTERNED_LIMIT = 65_536  # prices on the finest known grid (0.0001) are 10 000


class Change(NamedTuple):
    """One level's new size, in the wire's own strings."""

    asset_id: str
    is_bid: bool
    price: str
    size: str
    hash: str | None
    best_bid: str | None
    best_ask: str | None


class Changes(NamedTuple):
    """The level changes of one price_change message."""

    market: str
    timestamp_ms: int
    changes: Sequence[Change]


class Snapshot(NamedTuple):
    """A whole book, in the wire's own strings and order of levels."""

    market: str
    asset_id: str
    timestamp_ms: int
    hash: str | None
    bids: Sequence[tuple[str, str]]
    asks: Sequence[tuple[str, str]]
    tick_size: str | None
    last_trade_price: str | None


@frozen
class Top:
    """The best of both sides of one book at one moment."""

    bid: Level | None
    """Best bid; None when there is none."""
    ask: Level | None
    """Best ask; None when there is none."""
    timestamp_ms: int
    """The server's time of the last change, in ms since 1970; 0 before the first snapshot."""
    valid: bool
    """True while the book is live: fed by an open connection, with its snapshot received."""
    integrity: str
    """"unverified", or "mismatch" while the best prices differ from what the server last said."""


_prices: dict[str, Decimal] = {}


def _price(text: str) -> Decimal:
    """The price as a number, interned: on its grid few texts make up most of a stream."""
    try:
        return _prices[text]
    except KeyError:
        number = Decimal(text)
        if len(_prices) < _INTERNED_LIMIT:
            _prices[text] = number
        return number


def _is_zero(size: str) -> bool:
    return size == "0" or (size[0] not in "123456789" and not Decimal(size))


class _Side:
    """One side of a book: the wire's strings by price, and the prices in ascending order."""

    __slots__ = ("levels", "prices")

    def __init__(self, levels: Iterable[tuple[str, str]] = ()) -> None:
        self.levels = {_price(p): (p, s) for p, s in levels if not _is_zero(s)}
        self.prices = sorted(self.levels)

    def set(self, price: str, size: str) -> None:
        number = _price(price)
        if _is_zero(size):
            if self.levels.pop(number, None):
                del self.prices[bisect_left(self.prices, number)]
            return
        if number not in self.levels:
            insort(self.prices, number)
        self.levels[number] = (price, size)

    def best(self, index: int) -> tuple[str, str] | None:
        return self.levels[self.prices[index]] if self.prices else None


class _Published(NamedTuple):
    """What a book shows without a lock: replaced whole, in one assignment."""

    bid: tuple[str, str] | None
    ask: tuple[str, str] | None
    timestamp_ms: int
    stale_reason: str | None
    integrity: str


_EMPTY = _Published(None, None, 0, NO_SNAPSHOT, "unverified")


@define(eq=False)
class BookCore:
    """One asset's book in one run. Written by one shard's thread, read from any thread."""

    asset_id: str
    published: _Published = _EMPTY
    market: str = ""
    tick_size: Decimal | None = None
    last_trade_price: Decimal | None = None
    received_at: float | None = None
    """Monotonic seconds at which something for this book last arrived."""
    lock: threading.Lock = field(factory=threading.Lock)
    """Guards the sides with their hash, and `published`, while they change; held for one message,
    never while anything else is called. The fields above are each one value, replaced whole."""
    _bids: _Side = field(factory=_Side)
    _asks: _Side = field(factory=_Side)
    _hash: str | None = None
    _snapshot_ms: int = 0
    _awaited: bool = False
    _final_reason: str | None = None
    _held: deque[tuple[int, Change]] = field(factory=deque)

    @property
    def valid(self) -> bool:
        return self.published.stale_reason is None

    def await_snapshot(self) -> None:
        """A subscription was sent: until its snapshot comes, changes are held."""
        self._awaited = True
        self._held.clear()

    def replace(self, snapshot: Snapshot) -> None:
        """Take a whole book, then the held changes that it does not contain yet.

        Only a snapshot that answers a subscription carries tick_size (PROTOCOL 1.3). A refresh may
        overtake that answer; what is held then stays held, since the answer may be the older one.
        """
        with self.lock:
            self.market = snapshot.market
            self._bids, self._asks = _Side(snapshot.bids), _Side(snapshot.asks)
            self._hash, self._snapshot_ms = snapshot.hash, snapshot.timestamp_ms
            if snapshot.tick_size:
                self.tick_size = Decimal(snapshot.tick_size)
            if snapshot.last_trade_price:
                self.last_trade_price = Decimal(snapshot.last_trade_price)
            timestamp_ms = self._replay(snapshot)
            if snapshot.tick_size:
                self._awaited = False
                self._held.clear()
            self._publish(timestamp_ms, "unverified")

    def _replay(self, snapshot: Snapshot) -> int:
        held = list(self._held)
        marks = [i for i, (_, c) in enumerate(held) if c.hash and c.hash == snapshot.hash]
        if marks:
            newer = held[marks[-1] + 1 :]
        else:
            newer = [item for item in held if item[0] >= snapshot.timestamp_ms]
        for _, change in newer:
            self._set(change)
        return newer[-1][0] if newer else snapshot.timestamp_ms

    def hold(self, timestamp_ms: int, changes: Iterable[Change]) -> int:
        """Keep changes for the awaited snapshot; returns how many had to be given up.

        None of a live book's: a refresh overtook the answer, which after so many will not come.
        """
        if not self._awaited:
            return 0
        self._held.extend((timestamp_ms, change) for change in changes)
        surplus = max(0, len(self._held) - HELD_LIMIT)
        if surplus and self.valid:
            self._awaited = False
            self._held.clear()
            return 0
        for _ in range(surplus):
            self._held.popleft()
        return surplus

    def apply(self, timestamp_ms: int, changes: Sequence[Change], verify_top: bool) -> bool:
        """Set the levels that changed; False when the snapshot contains them already."""
        if timestamp_ms < self._snapshot_ms:
            return False
        with self.lock:
            for change in changes:
                self._set(change)
            integrity = self.published.integrity
            if verify_top:
                integrity = "unverified" if self._agrees(changes[-1]) else "mismatch"
            self._publish(timestamp_ms, integrity)
        return True

    def mark_stale(self, reason: str, *, for_good: bool = False) -> bool:
        """Stop being served as live; False when it was not. The levels stay, to be looked at."""
        with self.lock:
            was_live = self.valid
            if for_good:
                self._final_reason = reason
            elif self.published.stale_reason == NO_SNAPSHOT:
                return False  # it never was live: that is what it lacks
            self.published = self.published._replace(stale_reason=self._final_reason or reason)
        return was_live

    def levels(self, depth: int | None) -> Book:
        """A consistent copy of both sides, best first."""
        with self.lock:
            bids = [self._bids.levels[p] for p in reversed(self._bids.prices[-(depth or 0) :])]
            asks = [self._asks.levels[p] for p in self._asks.prices[:depth]]
            shown, market, hash_ = self.published, self.market, self._hash
            tick_size, last_trade_price = self.tick_size, self.last_trade_price
        return Book(
            market=market,
            asset_id=self.asset_id,
            timestamp_ms=shown.timestamp_ms,
            hash=hash_,
            bids=tuple(_level(text) for text in bids),
            asks=tuple(_level(text) for text in asks),
            tick_size=tick_size,
            last_trade_price=last_trade_price,
        )

    def _set(self, change: Change) -> None:
        (self._bids if change.is_bid else self._asks).set(change.price, change.size)
        self._hash = change.hash

    def _agrees(self, change: Change) -> bool:
        return _same_price(self._bids.best(-1), change.best_bid, "0") and _same_price(
            self._asks.best(0), change.best_ask, "1"
        )

    def _publish(self, timestamp_ms: int, integrity: str) -> None:
        bid, ask = self._bids.best(-1), self._asks.best(0)
        self.published = _Published(bid, ask, timestamp_ms, self._final_reason, integrity)


def _same_price(ours: tuple[str, str] | None, theirs: str | None, empty: str) -> bool:
    """Whether the best price is the server's, which writes `empty` or nothing for an empty side."""
    if not theirs:
        return True
    price = ours[0] if ours else empty
    return price == theirs or _price(price) == _price(theirs)


def _level(text: tuple[str, str]) -> Level:
    return Level(_price(text[0]), Decimal(text[1]))


@define(eq=False)
class Books:
    """The cores of one shard, by asset: where its messages are applied. Used by its thread alone.

    `late_changes`, `held_overflows` and `top_mismatches` count what Stats documents.
    """

    verify_top: bool = True
    late_changes: int = 0
    held_overflows: int = 0
    top_mismatches: int = 0
    _cores: dict[str, BookCore] = field(factory=dict)
    _by_market: dict[str, dict[str, BookCore]] = field(factory=dict)

    def __iter__(self) -> Iterator[BookCore]:
        return iter(list(self._cores.values()))

    def __contains__(self, asset_id: str) -> bool:
        return asset_id in self._cores

    def add(self, core: BookCore) -> None:
        self._cores[core.asset_id] = core

    def remove(self, asset_id: str) -> None:
        core = self._cores.pop(asset_id, None)
        if core is not None:
            twins = self._by_market.get(core.market, {})
            twins.pop(asset_id, None)
            if not twins:
                self._by_market.pop(core.market, None)
            core.mark_stale("unsubscribed", for_good=True)

    def await_snapshots(self, asset_ids: Iterable[str]) -> None:
        for asset_id in asset_ids:
            if asset_id in self._cores:
                self._cores[asset_id].await_snapshot()

    def replace(self, snapshot: Snapshot, now: float) -> list[BookCore]:
        """Take a whole book; returns the cores that changed: none for a foreign asset."""
        core = self._cores.get(snapshot.asset_id)
        if core is None:
            return []
        core.replace(snapshot)
        core.received_at = now
        self._by_market.setdefault(core.market, {})[core.asset_id] = core
        return [core]

    def apply(self, changes: Changes, now: float) -> list[BookCore]:
        """Apply the changes of our own assets, each asset's at once; returns those that changed."""
        by_asset: dict[str, list[Change]] = {}
        for change in changes.changes:
            if change.asset_id in self._cores:
                by_asset.setdefault(change.asset_id, []).append(change)
        return [
            core
            for asset_id, own in by_asset.items()
            if self._apply_one(core := self._cores[asset_id], changes.timestamp_ms, own, now)
        ]

    def _apply_one(
        self, core: BookCore, timestamp_ms: int, changes: list[Change], now: float
    ) -> bool:
        core.received_at = now
        self.held_overflows += core.hold(timestamp_ms, changes)
        if not core.valid:
            return False
        before = core.published.integrity
        if not core.apply(timestamp_ms, changes, self.verify_top):
            self.late_changes += len(changes)
            return False
        if core.published.integrity == "mismatch" != before:
            self._tell_mismatch(core, changes[-1])
        return True

    def _tell_mismatch(self, core: BookCore, change: Change) -> None:
        self.top_mismatches += 1
        bid, ask = core.published.bid, core.published.ask
        logger.warning(
            "book %s: best prices %s/%s, but the server says %s/%s",
            core.asset_id,
            bid and bid[0],
            ask and ask[0],
            change.best_bid,
            change.best_ask,
        )

    def set_tick_size(self, asset_id: str, tick_size: Decimal, now: float) -> list[BookCore]:
        core = self._cores.get(asset_id)
        if core is None:
            return []
        core.tick_size = tick_size
        core.received_at = now
        return [core]

    def set_last_trade_price(
        self, market: str, asset_id: str, price: Decimal, now: float
    ) -> list[BookCore]:
        """Both tokens of a market carry the same last price (PROTOCOL 1.6)."""
        cores = dict(self._by_market.get(market, {}))
        if asset_id in self._cores:
            cores[asset_id] = self._cores[asset_id]
        for core in cores.values():
            core.last_trade_price = price
            core.received_at = now
        return list(cores.values())

    def mark_stale(
        self, reason: str, *, asset_id: str | None = None, market: str | None = None
    ) -> list[BookCore]:
        """Mark one asset's book, one market's or all; returns those that were live until now."""
        return [
            core
            for core in self._cores.values()
            if (asset_id is None or core.asset_id == asset_id)
            and (market is None or core.market == market)
            and core.mark_stale(reason)
        ]


class LiveBook:
    """One asset's order book, kept up to date by a Subscriber's own threads.

    A Subscriber makes one for each subscribed asset and hands out the same object until the asset
    is unsubscribed, over reconnects and restarts. Every member may be used from any thread at any
    time. Prices and sizes are Decimal.

        book = sub.books[asset_id]
        top = book.top                      # one consistent view of both sides
        if top.valid and top.bid:
            print(top.bid.price, top.bid.size)
    """

    __slots__ = ("_clock", "_core")

    def __init__(self, core: BookCore, clock: Callable[[], float]) -> None:
        self._core = core
        self._clock = clock

    def shows(self, core: BookCore) -> bool:
        """Whether this is the handle of that core."""
        return self._core is core

    def show(self, core: BookCore) -> None:
        """Show another run's core from now on."""
        self._core = core

    def leave(self) -> None:
        """Be stale for good: the asset is not subscribed any more."""
        self._core.mark_stale("unsubscribed", for_good=True)

    @property
    def asset_id(self) -> str:
        """Token id."""
        return self._core.asset_id

    @property
    def market(self) -> str:
        """Condition id; "" before the first snapshot."""
        return self._core.market

    @property
    def top(self) -> Top:
        """Best bid and ask with their validity, in one atomic read."""
        shown = self._core.published
        return Top(
            shown.bid and _level(shown.bid),
            shown.ask and _level(shown.ask),
            shown.timestamp_ms,
            shown.stale_reason is None,
            shown.integrity,
        )

    @property
    def best_bid(self) -> Decimal | None:
        """The highest price bid; None when there is none."""
        bid = self._core.published.bid
        return _price(bid[0]) if bid else None

    @property
    def best_ask(self) -> Decimal | None:
        """The lowest price asked; None when there is none."""
        ask = self._core.published.ask
        return _price(ask[0]) if ask else None

    @property
    def mid(self) -> Decimal | None:
        """Halfway between the best prices; None when a side is empty."""
        bid, ask = self._best_prices()
        return (bid + ask) / 2 if bid is not None and ask is not None else None

    @property
    def spread(self) -> Decimal | None:
        """Best ask less best bid; None when a side is empty."""
        bid, ask = self._best_prices()
        return ask - bid if bid is not None and ask is not None else None

    def _best_prices(self) -> tuple[Decimal | None, Decimal | None]:
        shown = self._core.published
        return (
            _price(shown.bid[0]) if shown.bid else None,
            _price(shown.ask[0]) if shown.ask else None,
        )

    def snapshot(self, depth: int | None = None) -> Book:
        """A consistent copy of both sides.

        Args:
            depth: Levels of each side, from 1; None is all.

        Raises:
            ValueError: `depth` is less than 1.
        """
        if depth is not None and depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth}")
        return self._core.levels(depth)

    @property
    def tick_size(self) -> Decimal | None:
        """The smallest price step; None before a snapshot told it."""
        return self._core.tick_size

    @property
    def last_trade_price(self) -> Decimal | None:
        """The market's last trade price, the same on both tokens; None before the first trade."""
        return self._core.last_trade_price

    @property
    def age(self) -> float | None:
        """Seconds since anything for this book arrived; None before. Quiet books grow old."""
        received_at = self._core.received_at
        return None if received_at is None else max(0.0, self._clock() - received_at)

    @property
    def valid(self) -> bool:
        """True while the book is live: fed by an open connection, with its snapshot received."""
        return self._core.valid

    @property
    def integrity(self) -> str:
        """Whether the best prices are those that the server last told.

        "mismatch" while they differ, else "unverified". More may come.
        """
        return self._core.published.integrity

    @property
    def stale_reason(self) -> str | None:
        """Why the book is not valid; None when it is.

        "no_snapshot" (none received yet), "disconnect", "decode_error" (a change was not
        understood), "unsubscribed", "unwanted", "stopped" or "failed". More may come.
        """
        return self._core.published.stale_reason

    def __repr__(self) -> str:
        shown, asset_id = self._core.published, self.asset_id
        short = asset_id if len(asset_id) <= 16 else f"{asset_id[:8]}…{asset_id[-4:]}"
        bid = "x".join(shown.bid) if shown.bid else "-"
        ask = "x".join(shown.ask) if shown.ask else "-"
        return f"<LiveBook {short} {bid} / {ask} {shown.stale_reason or 'live'}>"

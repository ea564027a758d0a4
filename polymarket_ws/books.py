"""Live order books: the cores that one shard writes, and the handles that users read."""

from __future__ import annotations

import logging
import threading
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from attrs import define, field

from .agenda import Agenda
from .events import Book, Level
from .integrity import Claim, HashProof, book_head, level_text, looks_real

logger = logging.getLogger(__name__)

NO_SNAPSHOT = "no_snapshot"
HELD_LIMIT = 4096  # changes kept for one awaited snapshot: some seconds of the busiest market
CHECK_SECONDS = 0.1  # between two checks of one asset's hash, unless something has to know now
NEAR_LEVELS = 5  # of each side: what a trade through several levels usually reaches
FAILURES, FAILING_SECONDS = 20, 1.0  # checks failed in a row, and the pause between more of them
DOUBT_SECONDS = 2.0  # that a mismatch may last before evidence is asked for: prints explain many
MOST_PARDONS = 8  # after which a mismatch lasts 8.5 min before evidence is asked for
RECIPE_ASSETS = 5  # that have to fail, and be most of all, before the recipe is given up
_INTERNED_LIMIT = 65_536  # prices on the finest known grid (0.0001) are 10 000


@define
class Change:
    """One level's new size, in the wire's own strings."""

    asset_id: str
    price: str
    size: str
    side: str
    """"BUY" changes the bids, "SELL" the asks."""
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


known_prices: dict[str, Decimal] = {}
"""Prices by their text, each of which was read as a number once."""
_texts: dict[Decimal, str] = {}
"""The first text of each level's price: on the wire it has one, but for old frames."""


def price_of(text: str) -> Decimal:
    """The price as a number, interned: on its grid few texts make up most of a stream."""
    try:
        return known_prices[text]
    except KeyError:
        number = Decimal(text)
        if len(known_prices) < _INTERNED_LIMIT:
            known_prices[text] = number
        return number


def _is_usual(number: Decimal, text: str) -> bool:
    """Whether a level's price is written as it was at first, and so need not be kept."""
    if len(_texts) < _INTERNED_LIMIT:
        return _texts.setdefault(number, text) == text
    return _texts.get(number) == text


def _is_zero(size: str) -> bool:
    return size == "0" or (size[0] not in "123456789" and not Decimal(size))


class _Side:
    """One side of a book: the wire's sizes by price, and the prices in ascending order.

    A level costs its size's text and a place in a dict: its price's text is shared by all books,
    and kept in `_odd` only where it is not the usual one.
    """

    __slots__ = ("_hashed", "_odd", "prices", "sizes")

    def __init__(self, levels: Sequence[tuple[str, str]] = ()) -> None:
        texts, sizes = zip(*levels, strict=True) if levels else ((), ())
        numbers = list(map(price_of, texts))
        self.sizes = dict(zip(numbers, sizes, strict=True))
        odd = {n: t for n, t in zip(numbers, texts, strict=True) if not _is_usual(n, t)}
        self._odd: dict[Decimal, str] | None = odd or None
        for number in [n for n, size in self.sizes.items() if _is_zero(size)]:
            del self.sizes[number]
        self.prices = sorted(self.sizes)
        # Of each level its part of the hashed text, from the second hash on.
        self._hashed: dict[Decimal, str] | None = None

    def set(self, price: str, size: str) -> None:
        number = known_prices.get(price)
        if number is None:
            number = price_of(price)
        if size[0] in "0." and _is_zero(size):
            if self.sizes.pop(number, None):
                del self.prices[bisect_left(self.prices, number)]
            return
        if number not in self.sizes:
            insort(self.prices, number)
        self.sizes[number] = size
        if _texts.get(number) != price or self._odd is not None:
            self._keep_text(number, price)
        if self._hashed is not None:
            self._hashed[number] = level_text(price, size)

    def _keep_text(self, number: Decimal, price: str) -> None:
        odd = self._odd or {}
        if _is_usual(number, price):
            odd.pop(number, None)
        else:
            odd[number] = price
        self._odd = odd or None

    def level(self, number: Decimal) -> tuple[str, str]:
        """Price and size as the wire wrote them."""
        odd = self._odd
        if odd is not None and number in odd:
            return odd[number], self.sizes[number]
        return _texts[number], self.sizes[number]

    def best(self, index: int) -> tuple[str, str] | None:
        if not self.prices:
            return None
        number = self.prices[index]  # as level(), by one call less
        return (_texts[number], self.sizes[number]) if self._odd is None else self.level(number)

    def ascending_texts(self, *, keep: bool) -> list[str]:
        """Of each level its part of the hashed text, lowest price first.

        Args:
            keep: Whether another hash will follow soon.
        """
        texts = self._hashed
        if texts is None or len(texts) > 2 * len(self.prices):  # those that went are still in it
            texts = {price: level_text(*self.level(price)) for price in self.prices}
            self._hashed = texts if keep else None
        return [texts[price] for price in self.prices]

    def repeats(self, other: _Side) -> bool:
        """Whether it is the other one to the letter."""
        return self is other or (self.sizes == other.sizes and self._odd == other._odd)

    def shows(self, levels: Sequence[tuple[str, str]]) -> bool:
        """Whether its levels, ascending by price, are these to the letter."""
        if len(levels) != len(self.prices):
            return False
        sizes = self.sizes
        if self._odd is not None:
            return [self.level(number) for number in self.prices] == levels
        return [(_texts[number], sizes[number]) for number in self.prices] == levels

    def equals(self, other: _Side) -> bool:
        """By value: the same size may be written in several ways."""
        ours, theirs = self.sizes, other.sizes
        return (
            ours is theirs
            or ours == theirs
            or (
                ours.keys() == theirs.keys()
                and all(Decimal(ours[p]) == Decimal(theirs[p]) for p in ours)
            )
        )


class _Sides(NamedTuple):
    """Both sides of one book."""

    bids: _Side
    asks: _Side

    @classmethod
    def of(cls, snapshot: Snapshot) -> _Sides:
        return cls(_Side(snapshot.bids), _Side(snapshot.asks))

    def set(self, change: Change) -> None:
        (self.bids if change.side == "BUY" else self.asks).set(change.price, change.size)

    def equals(self, other: _Sides) -> bool:
        return self.bids.equals(other.bids) and self.asks.equals(other.asks)

    def claim(self, head: str, timestamp_ms: int, hash: str, *, keep: bool) -> Claim:
        bids = self.bids.ascending_texts(keep=keep)
        asks = self.asks.ascending_texts(keep=keep)[::-1]
        return Claim.of(head, str(timestamp_ms), bids, asks, hash)


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
    proof: HashProof = field(factory=HashProof)
    """Used by the writer alone."""
    top_differs: bool = False
    """Whether the best prices are not those that the server last told."""
    checked_at: float = float("-inf")
    """Monotonic seconds of the last check of a hash."""
    pardons: int = 0
    """Mismatches since its subscription was answered that evidence found to be none."""
    _verdict: str = "unverified"
    _sides: _Sides = field(factory=lambda: _Sides(_Side(), _Side()))
    _hash: str | None = None
    _snapshot_ms: int = 0
    is_awaited: bool = False
    """Whether changes are held for a snapshot."""
    _questioned: bool = False
    _final_reason: str | None = None
    _held: deque[tuple[int, Change]] = field(factory=deque)

    @property
    def valid(self) -> bool:
        return self.published.stale_reason is None

    @property
    def integrity(self) -> str:
        return self.published.integrity

    @property
    def is_doubted(self) -> bool:
        """Whether it is served, but not as the server has it."""
        return self.valid and self.integrity == "mismatch"

    @property
    def mark(self) -> tuple[int, str | None]:
        """The time of its newest change, in ms, and the hash that came with it."""
        return self.published.timestamp_ms, self._hash

    @property
    def mismatch_reason(self) -> str:
        """What a Gap is to say of the present mismatch."""
        return "top_mismatch" if self.top_differs else "hash_mismatch"

    def await_snapshot(self) -> None:
        """A subscription was sent: until its snapshot comes, changes are held."""
        self.is_awaited, self._questioned = True, False
        self._held.clear()

    def question(self) -> None:
        """Evidence was asked for: until it comes, changes are held too."""
        self.await_snapshot()
        self._questioned = True

    def sides_of(self, snapshot: Snapshot) -> _Sides:
        """A snapshot's levels: its own where they are the same, as in most refreshes."""
        bids, asks = self._sides
        if bids.shows(snapshot.bids) and asks.shows(snapshot.asks[::-1]):
            return self._sides
        return _Sides.of(snapshot)

    def replace(
        self, snapshot: Snapshot, sides: _Sides | None = None, verdict: str = "unverified"
    ) -> None:
        """Take a whole book, then the held changes that it does not contain yet.

        Only a snapshot that answers a subscription carries tick_size (PROTOCOL 1.3). A refresh may
        overtake that answer; what is held then stays held, since the answer may be the older one.

        Args:
            sides: The snapshot's, if they are read already: its own, or this book's, which goes on
                changing them. Nothing else may keep them.
            verdict: How the check of the snapshot's own hash ended.
        """
        sides = sides or _Sides.of(snapshot)
        with self.lock:
            self.market = snapshot.market
            self._sides = sides
            self._hash, self._snapshot_ms = snapshot.hash, snapshot.timestamp_ms
            if snapshot.tick_size:
                self.tick_size = Decimal(snapshot.tick_size)
            if snapshot.last_trade_price:
                self.last_trade_price = Decimal(snapshot.last_trade_price)
            newer = self._newer_held(snapshot)
            for _, change in newer:
                self._set(change)
            if snapshot.tick_size:
                self.release()
                self.pardons = 0
            self.top_differs, self._verdict = False, verdict
            self._publish(newer[-1][0] if newer else snapshot.timestamp_ms)

    def _newer_held(self, snapshot: Snapshot) -> list[tuple[int, Change]]:
        """The held changes that the snapshot does not contain."""
        held = list(self._held)
        marks = [i for i, (_, c) in enumerate(held) if c.hash and c.hash == snapshot.hash]
        if marks:
            return held[marks[-1] + 1 :]
        return [item for item in held if item[0] >= snapshot.timestamp_ms]

    def release(self) -> None:
        """No snapshot is awaited any more."""
        self.is_awaited = self._questioned = False
        self._held.clear()

    def contradicts(self, snapshot: Snapshot, sides: _Sides) -> bool:
        """Whether a refresh proves the live book wrong: no change lies between, levels differ."""
        return (
            self.valid
            and not snapshot.tick_size
            and snapshot.timestamp_ms >= self.published.timestamp_ms
            and not self._sides.equals(sides)
        )

    def is_at(self, snapshot: Snapshot) -> bool:
        """Whether the newest change is the snapshot's."""
        return self.mark == (snapshot.timestamp_ms, snapshot.hash)

    def repeats(self, snapshot: Snapshot, sides: _Sides) -> bool:
        """Whether it is the book as it stands, to the letter."""
        ours = self._sides
        return (
            self.is_at(snapshot) and ours.bids.repeats(sides.bids) and ours.asks.repeats(sides.asks)
        )

    @property
    def awaits_answer(self) -> bool:
        """Whether the snapshot that answers a subscription is still to come."""
        return self.is_awaited and not self._questioned

    @property
    def is_questioned(self) -> bool:
        """Whether evidence was asked for and has not come."""
        return self._questioned

    def compare(self, snapshot: Snapshot) -> str:
        """What a snapshot of another connection says: "equal", "different" or, if one of both
        knows changes that the other does not, "unclear". The held changes bridge the two.
        """
        sides, timestamp_ms = self._expected(snapshot)
        if timestamp_ms != self.published.timestamp_ms:
            return "unclear"
        return "equal" if self._sides.equals(sides) else "different"

    def differs_from(self, snapshot: Snapshot) -> bool:
        """Whether its levels, with the held changes, are others than ours, whoever is ahead."""
        return not self._sides.equals(self._expected(snapshot)[0])

    def _expected(self, snapshot: Snapshot) -> tuple[_Sides, int]:
        sides, newer = _Sides.of(snapshot), self._newer_held(snapshot)
        for _, change in newer:
            sides.set(change)
        return sides, newer[-1][0] if newer else snapshot.timestamp_ms

    def claim(self) -> Claim | None:
        """The book as it stands with the hash of its newest change; None if that is no hash."""
        if self._hash is None or not looks_real(self._hash):
            return None
        head = book_head(self.market, self.asset_id)
        return self._sides.claim(head, self.published.timestamp_ms, self._hash, keep=True)

    def near_prices(self) -> Iterator[str]:
        """The best prices of both sides, which a trade reaches first."""
        for side, best in zip(
            self._sides, (slice(-NEAR_LEVELS, None), slice(NEAR_LEVELS)), strict=True
        ):
            for price in side.prices[best]:
                yield side.level(price)[0]

    def judge(self, verdict: str) -> bool:
        """Take how the last check of a hash ended; whether the integrity is another now."""
        before = self.published.integrity
        with self.lock:
            self._verdict = verdict
            self.published = self.published._replace(integrity=self._integrity())
        return before != self.published.integrity

    def _integrity(self) -> str:
        return "mismatch" if self.top_differs else self._verdict

    def hold(self, timestamp_ms: int, changes: Iterable[Change]) -> int:
        """Keep changes for the snapshot that is awaited; returns how many had to be given up.

        None of a live book's: a refresh overtook the answer, which after so many will not come.
        """
        self._held.extend((timestamp_ms, change) for change in changes)
        surplus = max(0, len(self._held) - HELD_LIMIT)
        if surplus and self.valid:
            self.release()
            return 0
        for _ in range(surplus):
            self._held.popleft()
        return surplus

    def apply(self, timestamp_ms: int, changes: Sequence[Change], verify: str) -> bool:
        """Set the levels that changed; False when the snapshot contains them already.

        Args:
            timestamp_ms: The server's.
            changes: Of this asset, at least one.
            verify: As of Books: what is checked, and so what is kept for checks.
        """
        if timestamp_ms < self._snapshot_ms:
            return False
        bids, asks = self._sides
        if verify == "hash":
            self.proof.touched.extend([change.price for change in changes])
        with self.lock:
            bid, ask = self.published.bid, self.published.ask
            for change in changes:
                if change.side == "BUY":
                    bids.set(change.price, change.size)
                    bid = bids.best(-1)
                else:
                    asks.set(change.price, change.size)
                    ask = asks.best(0)
            best_bid, best_ask = change.best_bid, change.best_ask
            self._hash = change.hash
            if verify != "off":
                # Mostly the texts are equal: two calls saved.
                is_bid_right = bid and bid[0] == best_bid
                is_ask_right = ask and ask[0] == best_ask
                self.top_differs = not (
                    (is_bid_right or _same_price(bid, best_bid, "0"))
                    and (is_ask_right or _same_price(ask, best_ask, "1"))
                )
            integrity = "mismatch" if self.top_differs else self._verdict
            shown = bid, ask, timestamp_ms, self._final_reason, integrity
            self.published = tuple.__new__(_Published, shown)  # its own call would cost twice that
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
            bid_side, ask_side = self._sides
            bids = [bid_side.level(p) for p in reversed(bid_side.prices[-(depth or 0) :])]
            asks = [ask_side.level(p) for p in ask_side.prices[:depth]]
            shown, market, hash_ = self.published, self.market, self._hash
            tick_size, last_trade_price = self.tick_size, self.last_trade_price
        return Book(
            market=market,
            asset_id=self.asset_id,
            timestamp_ms=shown.timestamp_ms,
            hash=hash_,
            bids=tuple(level_of(text) for text in bids),
            asks=tuple(level_of(text) for text in asks),
            tick_size=tick_size,
            last_trade_price=last_trade_price,
        )

    def _set(self, change: Change) -> None:
        self._sides.set(change)
        self._hash = change.hash
        self.proof.touched.append(change.price)

    def _publish(self, timestamp_ms: int) -> None:
        bid, ask = self._sides.bids.best(-1), self._sides.asks.best(0)
        self.published = _Published(bid, ask, timestamp_ms, self._final_reason, self._integrity())


def _same_price(ours: tuple[str, str] | None, theirs: str | None, empty: str) -> bool:
    """Whether the best price is the server's, which writes `empty` or nothing for an empty side."""
    if not theirs:
        return True
    price = ours[0] if ours else empty
    return price == theirs or price_of(price) == price_of(theirs)


def level_of(text: tuple[str, str]) -> Level:
    return Level(price_of(text[0]), Decimal(text[1]))


@define(eq=False)
class Books:
    """The cores of one shard, by asset: where its messages are applied. Used by its thread alone.

    With verify="hash" the newest change of each book is checked by its hash, at most once in
    CHECK_SECONDS. Whoever owns it calls `tick` at `deadline`, and after each read whose `deadline`
    has passed: what arrived in one read explains itself. `late_changes` to `refresh_mismatches`
    count what Stats documents.
    """

    verify: str = "hash"
    """"hash", "top" or "off"; "hash" becomes "top" when the recipe fits hardly any snapshot."""
    late_changes: int = 0
    held_overflows: int = 0
    top_mismatches: int = 0
    hash_checks: int = 0
    """Hashes that were compared with the local book."""
    hash_mismatches: int = 0
    """Times that a book's hash began to differ; a later print may have explained it."""
    unverifiable: int = 0
    """Snapshots and due changes without a hash that can be checked: it is missing, all zeros or
    made up, or no known parameters fit the snapshot's."""
    refresh_mismatches: int = 0
    """Refreshes that proved their book wrong."""
    _cores: dict[str, BookCore] = field(factory=dict)
    _by_market: dict[str, dict[str, BookCore]] = field(factory=dict)
    _checks: Agenda[BookCore] = field(factory=Agenda)
    _doubts: Agenda[BookCore] = field(factory=Agenda)
    _suspects: list[BookCore] = field(factory=list)
    _proofs: list[tuple[BookCore, str]] = field(factory=list)
    _fitted: set[str] = field(factory=set)
    """Assets whose last snapshot had a hash that fitted."""
    _unfitted: set[str] = field(factory=set)
    """Assets whose last snapshot had a hash that looked real and fitted nothing."""

    def __iter__(self) -> Iterator[BookCore]:
        return iter(list(self._cores.values()))

    def __contains__(self, asset_id: str) -> bool:
        return asset_id in self._cores

    @property
    def deadline(self) -> float:
        """When `tick` or `suspects` has something to do; infinite when neither has."""
        return min(self._checks.next_due, self._doubts.next_due)

    def add(self, core: BookCore) -> None:
        self._cores[core.asset_id] = core

    def remove(self, asset_id: str) -> None:
        core = self._cores.pop(asset_id, None)
        if core is not None:
            twins = self._by_market.get(core.market, {})
            twins.pop(asset_id, None)
            if not twins:
                self._by_market.pop(core.market, None)
            self._forget(core)
            self._fitted.discard(asset_id)
            self._unfitted.discard(asset_id)
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
        changed: list[BookCore] = []
        if snapshot.tick_size or snapshot.last_trade_price:  # a refresh has neither
            changed = self._settle_market(snapshot.market, now)
        sides = core.sides_of(snapshot)
        if self.verify != "off" and core.contradicts(snapshot, sides):
            self.refresh_mismatches += 1
            self._proofs.append((core, "refresh_mismatch"))
        self._forget(core)
        verdict = "unverified"
        if self.verify == "hash":
            verdict, recanted = self._judge(core, snapshot, sides, now)
            changed += recanted
        core.replace(snapshot, sides, verdict)
        core.received_at = now
        self._by_market.setdefault(core.market, {})[core.asset_id] = core
        if not core.is_at(snapshot):
            self._put_check(core, now)
        self._watch(core, now)
        return [core, *(other for other in changed if other is not core)]

    def _judge(
        self, core: BookCore, snapshot: Snapshot, sides: _Sides, now: float
    ) -> tuple[str, list[BookCore]]:
        """Check a snapshot's own hash; the verdict, and the cores that lose theirs by it."""
        proof = core.proof
        proof.tick_size = snapshot.tick_size or proof.tick_size
        if not looks_real(snapshot.hash) or not proof.tick_size:
            self.unverifiable += 1
            return "unverified", []
        if core.integrity == "verified" and core.repeats(snapshot, sides):
            return "verified", []
        self.hash_checks += 1
        core.checked_at = now
        claim = _claim(snapshot, sides)
        if snapshot.tick_size or proof.parameters is None:
            return self._learn(core, claim, snapshot)
        if proof.check(claim):
            return "verified", []
        self.hash_mismatches += core.integrity != "mismatch"
        return "mismatch", []

    def _learn(
        self, core: BookCore, claim: Claim, snapshot: Snapshot
    ) -> tuple[str, list[BookCore]]:
        """Find what a snapshot's hash fits with; as `_judge`."""
        last_trade_price = snapshot.last_trade_price or ("" if snapshot.tick_size else None)
        if core.proof.learn(claim, last_trade_price):
            self._unfitted.discard(core.asset_id)
            self._fitted.add(core.asset_id)
            return "verified", []
        self.unverifiable += 1
        self._fitted.discard(core.asset_id)
        self._unfitted.add(core.asset_id)
        return "unverified", self._doubt_recipe()

    def _doubt_recipe(self) -> list[BookCore]:
        """Give the recipe up when it fits hardly anything; returns who is not verified any more."""
        failed = len(self._unfitted)
        if failed < RECIPE_ASSETS or failed <= len(self._fitted):
            return []
        logger.warning(
            "the hashes of %d of %d books fit no known recipe: only best prices are checked",
            failed,
            failed + len(self._fitted),
        )
        self.verify = "top"
        self._checks.clear()
        return [core for core in self._cores.values() if core.judge("unverified")]

    def apply(self, changes: Changes, now: float) -> list[BookCore]:
        """Apply the changes of our own assets, each asset's at once; returns those that changed."""
        cores, timestamp_ms = self._cores, changes.timestamp_ms
        changed: list[BookCore] = []
        for own in _by_asset(changes.changes):
            core = cores.get(own[0].asset_id)
            if core is not None and self._apply_one(core, timestamp_ms, own, now):
                changed.append(core)
        return changed

    def _apply_one(
        self, core: BookCore, timestamp_ms: int, changes: Sequence[Change], now: float
    ) -> bool:
        core.received_at = now
        if core.is_awaited:
            self.held_overflows += core.hold(timestamp_ms, changes)
        before, differed = core.published, core.top_differs
        if before.stale_reason is not None:
            return False
        if not core.apply(timestamp_ms, changes, self.verify):
            self.late_changes += len(changes)
            return False
        if core.top_differs and not differed:
            self._tell_mismatch(core, changes[-1])
        if core.published.integrity != before.integrity:
            self._watch(core, now)
        if self.verify == "hash" and core not in self._checks:
            self._put_check(core, now)
        return True

    def _put_check(self, core: BookCore, now: float) -> None:
        """Have the newest change checked; seldom where checks fail, which costs most."""
        if self.verify == "hash" and core.proof.parameters is not None:
            seconds = FAILING_SECONDS if core.proof.failures > FAILURES else CHECK_SECONDS
            self._checks.put(core, max(now, core.checked_at + seconds))

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

    def tick(self, now: float) -> list[BookCore]:
        """Make the checks that are due; returns the cores whose integrity changed."""
        self._collect_suspects(now)
        return [core for core in self._checks.take_due(now) if self._check(core, now)]

    def suspects(self, now: float) -> list[BookCore]:
        """The live books in a mismatch for DOUBT_SECONDS, each once until its state changes.

        Each waits for evidence from then on, as for a snapshot: give it to `settle`.
        """
        self._collect_suspects(now)
        suspects = [core for core in self._suspects if core.is_doubted]
        self._suspects = []
        for core in suspects:
            core.question()
        return suspects

    def doubt_again(self, now: float) -> None:
        """Evidence that was asked for will not come: let every mismatch become a suspicion anew."""
        for core in self._cores.values():
            if core.is_doubted:
                self._watch(core, now)

    def _collect_suspects(self, now: float) -> None:
        for core in self._doubts.take_due(now):
            if core.awaits_answer:  # what is on its way will settle it
                self._watch(core, now)
            else:
                self._suspects.append(core)

    def settle(self, core: BookCore, snapshot: Snapshot, now: float) -> str:
        """Take what another connection was told of a book.

        Returns:
            "equal": the book is right, the recipe or a price of it was not: it is learned anew.
            "different": tell it, and give the snapshot to `replace`, which adds what came since.
            "unclear": one of both is ahead; the book is a suspect again after DOUBT_SECONDS.
        """
        finding = core.compare(snapshot)
        if finding == "different":
            return finding
        core.release()
        if finding == "equal":
            core.pardons += 1
            self._checks.drop(core)
            verdict = "unverified"
            if self.verify == "hash":
                verdict, _ = self._judge(core, snapshot, _Sides.of(snapshot), now)
            core.top_differs = False
            core.judge("unverified" if verdict == "mismatch" else verdict)
        self._watch(core, now)
        return finding

    def take_proofs(self) -> list[tuple[BookCore, str]]:
        """Return and forget the books that a refresh proved wrong, and healed, with the reason."""
        proofs, self._proofs = self._proofs, []
        return proofs

    def _settle_market(self, market: str, now: float) -> list[BookCore]:
        """Make the pending checks of a market now: what they are made with is about to change."""
        cores = self._by_market.get(market, {}).values()
        return [core for core in cores if self._checks.drop(core) and self._check(core, now)]

    def _check(self, core: BookCore, now: float) -> bool:
        """Compare a book with the hash of its newest change; whether its integrity changed."""
        if not core.valid:
            return False
        before, claim, verdict = core.integrity, core.claim(), "unverified"
        if claim is None:
            self.unverifiable += 1
        elif core.proof.check(claim, core.near_prices()):
            core.top_differs, verdict = False, "verified"
        else:
            verdict = "mismatch"
        if claim is not None:
            self.hash_checks += 1
            core.checked_at = now
        core.judge(verdict)
        return self._note(core, before, now)

    def _note(self, core: BookCore, before: str, now: float) -> bool:
        """Act on another integrity than before; whether it is another."""
        after = core.published.integrity
        if after == before:
            return False
        if after == "mismatch":
            self.hash_mismatches += 1
            logger.info("book %s: its levels do not have the server's hash", core.asset_id)
        self._watch(core, now)
        return True

    def _watch(self, core: BookCore, now: float) -> None:
        """Let a mismatch become a suspicion when it lasts, and end it with the mismatch."""
        if core.published.integrity == "mismatch" and core.valid:
            # Where the recipe is wrong now and then, evidence is asked for ever less often.
            self._doubts.put(core, now + DOUBT_SECONDS * 2 ** min(core.pardons, MOST_PARDONS))
        else:
            self._doubts.drop(core)
            if core.is_questioned:
                core.release()

    def _forget(self, core: BookCore) -> None:
        self._checks.drop(core)
        self._doubts.drop(core)
        core.proof.unexplained = None

    def _explain(self, cores: Iterable[BookCore], now: float) -> None:
        """What was unexplained may fit with the price or tick that just came."""
        for core in cores:
            if core.proof.explain():
                before = core.published.integrity
                core.judge("verified")
                self._note(core, before, now)

    def set_tick_size(self, asset_id: str, tick_size: Decimal, now: float) -> list[BookCore]:
        core = self._cores.get(asset_id)
        if core is None:
            return []
        changed = self._settle_market(core.market, now)
        core.tick_size = tick_size
        core.proof.tick_size = f"{tick_size:f}"
        core.received_at = now
        self._explain([core], now)
        return [core, *(other for other in changed if other is not core)]

    def set_last_trade_price(
        self, market: str, asset_id: str, price: Decimal, now: float
    ) -> list[BookCore]:
        """Both tokens of a market carry the same last price (PROTOCOL 1.6)."""
        cores = dict(self._by_market.get(market, {}))
        if asset_id in self._cores:
            cores[asset_id] = self._cores[asset_id]
        if all(
            core.last_trade_price == price
            and core.proof.knows_print(price, is_own=core.asset_id == asset_id)
            for core in cores.values()
        ):
            for core in cores.values():
                core.received_at = now
            return list(cores.values())
        self._settle_market(market, now)
        for core in cores.values():
            core.last_trade_price = price
            core.received_at = now
            core.proof.hear_print(price, is_own=core.asset_id == asset_id)
        self._explain(cores.values(), now)
        return list(cores.values())

    def mark_stale(
        self, reason: str, *, asset_id: str | None = None, market: str | None = None
    ) -> list[BookCore]:
        """Mark one asset's book, one market's or all; returns those that were live until now."""
        stale = [
            core
            for core in self._cores.values()
            if (asset_id is None or core.asset_id == asset_id)
            and (market is None or core.market == market)
            and core.mark_stale(reason)
        ]
        for core in stale:
            self._forget(core)
        return stale


def _by_asset(changes: Sequence[Change]) -> Iterable[Sequence[Change]]:
    """Each asset's in their order. Mostly there is one of each of a market's two tokens."""
    if len(changes) == 2 and changes[0].asset_id != changes[1].asset_id:
        return (changes[0],), (changes[1],)
    by_asset: dict[str, list[Change]] = {}
    for change in changes:
        by_asset.setdefault(change.asset_id, []).append(change)
    return by_asset.values()


def _claim(snapshot: Snapshot, sides: _Sides) -> Claim:
    head = book_head(snapshot.market, snapshot.asset_id)
    return sides.claim(head, snapshot.timestamp_ms, snapshot.hash or "", keep=False)

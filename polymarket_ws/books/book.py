"""One live book: written by one shard, shown to any thread."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from attrs import define, field

from polymarket_ws.asset import Asset, name_of
from polymarket_ws.condition_ids import condition_key
from polymarket_ws.events import Book, LastTradePrice
from polymarket_ws.wire.prices import level_of, price_of
from polymarket_ws.wire.updates import Change, Snapshot

from .held import HeldChanges
from .proof import Claim, HashProof, book_head, looks_real
from .sides import BookSide, BookSides
from .verification import PROBE, WHOLE, AwaitedCause, FindingCause, StepCause, Verification

NO_SNAPSHOT = "no_snapshot"
UNSUBSCRIBED = "unsubscribed"


class _State(NamedTuple):
    """A book but for its levels: replaced whole, in one assignment."""

    bid: tuple[str, str] | None
    ask: tuple[str, str] | None
    timestamp_ms: int
    hash: str | None
    stale_reason: str | None
    integrity: str


_EMPTY = _State(None, None, 0, None, NO_SNAPSHOT, "unverified")


@define(eq=False)
class BookCore:
    """One asset's book in one run. Written by one shard's thread, read from any thread.

    The exchange tells one step of its engine in one or several messages, and the hash and the best
    prices in each describe the book after the last of them. In the middle of a step a right book
    differs from both, and may be crossed. So there are two states: `latest`, after the newest
    message, and `published`, which users see. The writer applies messages to the levels at once,
    and keeps the former size of what they change until it publishes; a reader who comes in between
    is shown the levels with their former sizes.
    """

    asset_id: str
    published: _State = _EMPTY
    """What users see. Read without a lock, and written by the writer alone: what it sets is never
    overtaken, so it needs none either."""
    latest: _State = _EMPTY
    """After the newest message. Used by the writer, and under the lock."""
    told: _State = _EMPTY
    """What was published when `on_book_update` was last asked for. Used by the writer alone."""
    asset: Asset | None = None
    """What is known of the asset, if it was subscribed as an Asset. Set under the Subscriber's lock
    alone, on any thread."""
    market: str = ""
    tick_size: Decimal | None = None
    last_trade_price: Decimal | None = None
    last_trade: LastTradePrice | None = None
    """The newest of the market, of either token."""
    continuous_from: float | None = None
    """Monotonic seconds of the snapshot since which no change was missed; None while stale."""
    received_at: float | None = None
    """Monotonic seconds at which something for this book last arrived."""
    lock: threading.RLock = field(factory=threading.RLock)
    """Guards the sides and `latest` while they change; held for one message, never while anything
    else is called. The fields above are each one value, replaced whole."""
    proof: HashProof = field(factory=HashProof)
    """Used by the writer alone."""
    verification: Verification = field(factory=Verification)
    """Used by the writer alone."""
    held: HeldChanges = field(factory=HeldChanges)
    """Used by the writer alone."""
    _bids: BookSide = field(factory=BookSide)
    _asks: BookSide = field(factory=BookSide)
    _snapshot_ms: int = 0

    @property
    def name(self) -> str:
        """What logs and exceptions call it."""
        return name_of(self.asset_id, self.asset)

    @property
    def market_key(self) -> str:
        """What its market is compared by; "" while neither a snapshot nor its Asset told it."""
        return condition_key(self.market or (self.asset.market if self.asset else ""))

    @property
    def sides(self) -> BookSides:
        return BookSides(self._bids, self._asks)

    @property
    def valid(self) -> bool:
        return self.published.stale_reason is None

    @property
    def integrity(self) -> str:
        return self.published.integrity

    @property
    def is_mismatched(self) -> bool:
        """Whether it is served, but not as the server has it."""
        shown = self.published
        return shown.stale_reason is None and shown.integrity == "mismatch"

    @property
    def mark(self) -> tuple[int, str | None]:
        """The time of its newest change, in ms, and the hash that came with it."""
        return self.latest[2:4]

    def await_snapshot(self, cause: AwaitedCause = AwaitedCause.SUBSCRIBED) -> None:
        """A subscription was sent, or a probe asked for: hold changes until its snapshot comes."""
        self.held.release()
        self.verification.expect(cause)

    def release_probe(self) -> None:
        """No probe's snapshot is awaited any more; what a subscription waits for stays held."""
        if self.verification.awaited is PROBE:
            self.held.release()
            self.verification.expect(AwaitedCause.GIVEN_UP)

    def sides_of(self, snapshot: Snapshot) -> BookSides:
        """A snapshot's levels: its own where they are the same, as in most refreshes."""
        if self._bids.shows(snapshot.bids) and self._asks.shows(snapshot.asks[::-1]):
            return self.sides
        return BookSides.of(snapshot)

    def replace(
        self,
        snapshot: Snapshot,
        sides: BookSides | None = None,
        finding: FindingCause | None = None,
    ) -> list[tuple[int, Change]]:
        """Take a whole book, and show it; return the held changes that it does not contain yet.

        A refresh may overtake the answer to a subscription; what is held then stays held, since the
        answer may be the older one.

        Args:
            snapshot: The whole book.
            sides: The snapshot's, if they are read already: its own, or this book's, which goes on
                changing them. Nothing else may keep them.
            finding: How the check of the snapshot's own hash ended; None if it was not checked.
        """
        sides = sides or BookSides.of(snapshot)
        newer = self.held.newer(snapshot)
        with self.lock:
            self.market = snapshot.market
            self._bids, self._asks = sides
            self._snapshot_ms = snapshot.timestamp_ms
            self.take_values(snapshot)
            if snapshot.is_answer:
                self.held.release()
                self.verification.expect(AwaitedCause.ANSWERED)
                self.verification.false_alarms = 0
            if self.verification.step is not WHOLE:
                self.verification.move_step(StepCause.REPLACED)
            self.verification.find(FindingCause.REPLACED)
            if finding is not None:
                self.verification.find(finding)
            bid, ask = self._bids.best(-1), self._asks.best(0)
            mark = snapshot.timestamp_ms, snapshot.hash
            self.latest = _State(bid, ask, *mark, None, self.verification.finding.integrity)
            self.published = self.latest
        return newer

    def take_values(self, snapshot: Snapshot) -> None:
        """What an answer tells beside the levels, but for what was heard since it was asked for."""
        if snapshot.tick_size and not self.held.has_tick:
            self.tick_size = Decimal(snapshot.tick_size)
        if snapshot.last_trade_price and not self.held.has_print:
            self.last_trade_price = Decimal(snapshot.last_trade_price)

    def hear_tick(self, tick_size: Decimal) -> None:
        self.tick_size = tick_size
        self.held.has_tick = self.verification.awaited is PROBE

    def hear_print(self, price: Decimal) -> None:
        self.last_trade_price = price
        self.held.has_print = self.verification.awaited is PROBE

    def contradicts(self, snapshot: Snapshot, sides: BookSides) -> bool:
        """Whether a refresh proves the live book wrong: no change lies between, levels differ."""
        return (
            self.valid
            and not snapshot.is_answer
            and snapshot.timestamp_ms >= self.latest.timestamp_ms
            and not self.sides.equals(sides)
        )

    def is_at(self, snapshot: Snapshot) -> bool:
        """Whether the newest change is the snapshot's."""
        return self.mark == (snapshot.timestamp_ms, snapshot.hash)

    def repeats(self, snapshot: Snapshot, sides: BookSides) -> bool:
        """Whether it is the book as it stands, to the letter."""
        return (
            self.is_at(snapshot)
            and self._bids.repeats(sides.bids)
            and self._asks.repeats(sides.asks)
        )

    def compare(self, snapshot: Snapshot) -> str:
        """What a snapshot of another connection says: "equal", "different" or, if one of both
        knows changes that the other does not, "unclear". The held changes bridge the two.
        """
        sides, timestamp_ms = self._expected(snapshot)
        if timestamp_ms != self.latest.timestamp_ms:
            return "unclear"
        return "equal" if self.sides.equals(sides) else "different"

    def differs_from(self, snapshot: Snapshot) -> bool:
        """Whether its levels, with the held changes, are others than ours, whoever is ahead."""
        return not self.sides.equals(self._expected(snapshot)[0])

    def _expected(self, snapshot: Snapshot) -> tuple[BookSides, int]:
        sides, newer = BookSides.of(snapshot), self.held.newer(snapshot)
        for _, change in newer:
            sides.set(change)
        return sides, newer[-1][0] if newer else snapshot.timestamp_ms

    def claim(self) -> Claim | None:
        """The book as it stands with the hash of its newest change; None if that is no hash."""
        timestamp_ms, hash = self.mark
        if hash is None or not looks_real(hash):
            return None
        head = book_head(self.market, self.asset_id)
        return self.sides.claim(head, timestamp_ms, hash, keep=True)

    def find(self, *causes: FindingCause) -> bool:
        """Take what was found, one after the other; whether the integrity is another now."""
        before = self.published.integrity
        with self.lock:
            for cause in causes:
                self.verification.find(cause)
            self._show(self.latest.stale_reason)
        return before != self.published.integrity

    def end_step(self) -> bool:
        """Publish the newest step as a whole one; whether its best prices began to differ."""
        differs, before = self.verification.step.by_top, self.verification.finding
        with self.lock:
            self.verification.move_step(StepCause.ENDED)
            self.verification.find(FindingCause.TOP_DIFFERS if differs else FindingCause.TOP_AGREES)
            self.published = self.latest
            self._show(self.latest.stale_reason)
        return differs and not before.top_differs

    def prove(self) -> None:
        """The newest step is proved right, and so has ended: publish it."""
        self.verification.move_step(StepCause.PROVED)
        self.published = self.latest

    def _show(self, stale_reason: str | None) -> None:
        """Set what `latest` and `published` have in common, and keep them one where they are."""
        integrity = self.verification.finding.integrity
        if stale_reason is not None:
            self.continuous_from = None
        latest, published = self.latest, self.published
        if latest.stale_reason == stale_reason and latest.integrity == integrity:
            return
        self.latest = latest._replace(stale_reason=stale_reason, integrity=integrity)
        self.published = (
            self.latest
            if published is latest
            else published._replace(stale_reason=stale_reason, integrity=integrity)
        )

    def is_ended_by(self, timestamp_ms: int, hash: str | None) -> bool:
        """Whether a change belongs to a later step than the newest; a late one ends nothing."""
        return timestamp_ms >= self._snapshot_ms and self.latest[2:4] != (timestamp_ms, hash)

    def hold(self, timestamp_ms: int, changes: Iterable[Change]) -> int:
        """Keep changes for the snapshot that is awaited; returns how many had to be given up.

        None of a live book's: a refresh overtook the answer, which after so many will not come.
        """
        surplus = self.held.hold(timestamp_ms, changes)
        if surplus and self.valid:
            self.held.release()
            self.verification.expect(AwaitedCause.GIVEN_UP)
            return 0
        self.held.drop_oldest(surplus)
        return surplus

    def apply(self, timestamp_ms: int, changes: Sequence[Change], verify: str) -> bool:
        """Set the levels that changed; False when the snapshot contains them already.

        The step before, if these belong to another one, is published: it has ended. What they
        change is published by whoever knows that nothing else of their step has come with them.

        Args:
            timestamp_ms: The server's.
            changes: Of this asset, at least one.
            verify: As of Books: what is checked, and so what is kept for checks.
        """
        if timestamp_ms < self._snapshot_ms:
            return False
        bids, asks = self._bids, self._asks
        touched = self.proof.touched if verify == "hash" else None
        self.lock.acquire()  # `with` would cost twice that
        try:
            bid, ask, latest_ms, latest_hash, stale_reason, integrity = latest = self.latest
            hash = changes[-1].hash
            if latest_hash != hash or latest_ms != timestamp_ms:
                self.published = latest
            if self.published is latest:
                bids.former = asks.former = None
            for change in changes:
                if touched is not None:
                    touched.append(change.price)
                # Most changes lie behind the best price, and leave it as it is.
                if change.side == "BUY":
                    price = bids.set(change.price, change.size)
                    if bid is None or price >= price_of(bid[0]):
                        bid = bids.best(-1)
                else:
                    price = asks.set(change.price, change.size)
                    if ask is None or price <= price_of(ask[0]):
                        ask = asks.best(0)
            best_bid, best_ask = change.best_bid, change.best_ask
            if verify != "off":
                # Mostly the texts are equal: two calls saved.
                is_bid_right = bid and bid[0] == best_bid
                is_ask_right = ask and ask[0] == best_ask
                if (is_bid_right or _same_price(bid, best_bid, "0")) and (
                    is_ask_right or _same_price(ask, best_ask, "1")
                ):
                    if self.verification.step is not WHOLE:
                        self.verification.move_step(StepCause.TOP_FITS)
                else:
                    self.verification.move_step(StepCause.TOP_UNFIT)
                    self.verification.told_best = best_bid, best_ask
            state = bid, ask, timestamp_ms, hash, stale_reason, integrity
            self.latest = tuple.__new__(_State, state)  # its own call would cost twice that
        finally:
            self.lock.release()
        return True

    def mark_stale(self, reason: str) -> bool:
        """Stop being served as live; False when it was not. The levels stay, to be looked at."""
        with self.lock:
            published = self.published
            if published.stale_reason == NO_SNAPSHOT and reason != UNSUBSCRIBED:
                return False  # it never was live: that is what it lacks
            self._show(reason)
        return published.stale_reason is None

    def renew_locks(self) -> None:
        """In a forked child: whoever held the lock stayed behind in the parent."""
        self.lock = threading.RLock()

    def become_forked(self) -> None:
        """In a forked child, where no thread feeds it: be stale.

        Where the lock was held the writer may have made half a change: then no levels are kept.
        """
        if not self.lock.acquire(blocking=False):
            self._bids, self._asks = BookSide(), BookSide()
        self.renew_locks()
        if self.published.stale_reason != UNSUBSCRIBED:
            self._show("forked")

    def levels(self, depth: int | None) -> Book:
        """A consistent copy of both sides as they are published, best first."""
        with self.lock:
            bid_side, ask_side = self._bids, self._asks
            shown, market = self.published, self.market
            if shown is not self.latest:  # published meanwhile, it would be as right
                bid_side, ask_side = bid_side.as_published(), ask_side.as_published()
            bids = [bid_side.level(p) for p in reversed(bid_side.prices[-(depth or 0) :])]
            asks = [ask_side.level(p) for p in ask_side.prices[:depth]]
            tick_size, last_trade_price = self.tick_size, self.last_trade_price
        return Book(
            market=market,
            asset_id=self.asset_id,
            timestamp_ms=shown.timestamp_ms,
            hash=shown.hash,
            bids=tuple(level_of(text) for text in bids),
            asks=tuple(level_of(text) for text in asks),
            tick_size=tick_size,
            last_trade_price=last_trade_price,
        )


def _same_price(ours: tuple[str, str] | None, theirs: str | None, empty: str) -> bool:
    """Whether the best price is the server's, which writes `empty` or nothing for an empty side."""
    if not theirs:
        return True
    price = ours[0] if ours else empty
    return price == theirs or price_of(price) == price_of(theirs)

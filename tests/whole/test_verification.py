"""Verification over whole streams: nothing false on a right one, nothing lost goes unseen."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from polymarket_ws.books.book import BookCore
from polymarket_ws.books.live_book import LiveBook
from polymarket_ws.books.shelf import Books
from polymarket_ws.books.suspects import SUSPECT_SECONDS
from polymarket_ws.books.verifier import CHECK_SECONDS, STEP_SECONDS
from polymarket_ws.channels.market import MarketView
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.testing import SimulatedExchange
from polymarket_ws.wire.decode import decode_market
from polymarket_ws.wire.updates import Decoded

Wire = dict[str, Any]
EVENTS = 6_000
DELETIONS = 100
WATCHED_SECONDS = 1.5
UNHEARD = ("order", "trade")  # the user channel's
LAST_PRICES: tuple[Literal["market", "taker"], ...] = ("market", "taker")
TIMINGS: tuple[Literal["early", "late"], ...] = ("early", "late")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "frames"


class Reader:
    """Books that are fed as a session feeds them: one read at a time, each timer at its time."""

    def __init__(self, asset_ids: Iterable[str], verify: str = "hash") -> None:
        self.cores = {asset_id: BookCore(asset_id) for asset_id in asset_ids}
        self.books = Books(verify)
        self.view = MarketView(self.books)
        self.mismatches: set[str] = set()
        """Assets that were in a mismatch after a read."""
        self.suspects: list[BookCore] = []
        wanted = Wanted(frozenset(self.cores), self.cores)
        self.view.want(wanted)
        self.view.await_answers(self.cores)

    def read(self, events: object, now: float) -> None:
        """What arrived together, and the timers that were due before it."""
        self.pass_time(now)
        for decoded in decode_market(json.dumps(events), 0):
            assert isinstance(decoded, Decoded)
            self.view.take(decoded, now)
        self.view.publish(now)
        self.books.tick(now)
        self.mismatches |= {a for a, core in self.cores.items() if core.integrity == "mismatch"}

    def pass_time(self, now: float) -> None:
        """Let the timers run that are due before `now`."""
        while (due := self.books.deadline) < now:
            for core in self.books.tick(due):
                self.mismatches |= {core.asset_id} if core.integrity == "mismatch" else set()
            self.suspects += self.books.suspects(due)

    def integrities(self) -> set[str]:
        return {core.integrity for core in self.cores.values()}


class Market:
    """A simulated exchange, its events as one connection hears them, and its time in seconds."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self.exchange = exchange

    @property
    def now(self) -> float:
        return (self.exchange.now_ms - self.exchange.start_ms) / 1000

    def reader(self, verify: str = "hash") -> Reader:
        """Subscribed to everything there is now."""
        reader = Reader(self.exchange.asset_ids, verify)
        reader.read([self.exchange.snapshot(a) for a in reader.cores], self.now)
        return reader

    def steps(self) -> Iterator[list[Wire]]:
        """What is told at one moment, for ever."""
        while True:
            yield [e for e in self.exchange.step() if e["event_type"] not in UNHEARD]


@pytest.mark.parametrize("hash_last_price", LAST_PRICES)
@pytest.mark.parametrize("hash_timing", TIMINGS)
def test_a_right_stream_is_never_doubted(
    hash_last_price: Literal["market", "taker"], hash_timing: Literal["early", "late"]
) -> None:
    """However the last trade price enters the hash, early or late, and through tick changes."""
    exchange = SimulatedExchange(seed=3, hash_last_price=hash_last_price, hash_timing=hash_timing)
    market, kinds = Market(exchange), Counter[str]()
    reader = market.reader()
    for events in market.steps():
        reader.read(events, market.now)
        kinds.update(event["event_type"] for event in events)
        if kinds.total() >= EVENTS:
            break

    books = reader.books
    assert ([], set(), []) == (reader.suspects, reader.mismatches, books.take_replaced())
    assert (0, 0, 0) == (
        books.counts.hash_mismatches,
        books.counts.top_mismatches,
        books.counts.unverifiable,
    )
    assert {"verified"} == reader.integrities()
    assert books.counts.hash_checks > EVENTS / 10
    assert min(kinds["tick_size_change"], kinds["last_trade_price"]) > 0


def test_events_read_one_by_one_leave_no_lasting_mismatch() -> None:
    """A read that ends within a trade may show a price too early; what follows explains it."""
    market = Market(SimulatedExchange(seed=4, hash_timing="early"))
    reader = market.reader()
    for events, _ in zip(market.steps(), range(3_000), strict=False):
        for event in events:
            reader.read(event, market.now)
        assert "mismatch" not in reader.integrities()

    assert ([], []) == (reader.suspects, reader.books.take_replaced())


def test_hashes_of_an_unknown_recipe_are_no_mismatch() -> None:
    """A minimum order size that nobody knows: every book is unverified, and nothing else."""
    market = Market(SimulatedExchange(seed=5, markets=2, min_order_size=7))
    reader = market.reader()
    for events, _ in zip(market.steps(), range(500), strict=False):
        reader.read(events, market.now)

    assert ({"unverified"}, set(), []) == (
        reader.integrities(),
        reader.mismatches,
        reader.books.take_replaced(),
    )


class Deletion:
    """One price_change that a reader never hears, and what becomes of its books."""

    def __init__(self, market: Market, reader: Reader, event: Wire) -> None:
        self._market = market
        self._reader = reader
        self._condition_id = event["market"]
        self._assets = [c["asset_id"] for c in event["price_changes"]]
        self._wrong_since: dict[str, float] = {}
        """Assets whose book is wrong, and since when a later change of it could have told so."""
        self.wrong_for: dict[str, float] = dict.fromkeys(self._assets, 0.0)
        """For how long it was, at longest."""

    def look(self, events: list[Wire]) -> None:
        """Compare the books with the exchange's, after these events were told."""
        heard = {c["asset_id"] for e in events for c in e.get("price_changes", ())}
        is_touched = any(event["market"] == self._condition_id for event in events)
        for asset_id in self._assets:
            since = self._wrong_since.get(asset_id)
            if since is not None:
                longest = max(self.wrong_for[asset_id], self._market.now - since)
                self.wrong_for[asset_id] = longest
            if not is_touched:
                continue
            if self._is_right(asset_id):
                self._wrong_since.pop(asset_id, None)
            elif asset_id in heard:
                self._wrong_since.setdefault(asset_id, self._market.now)

    def _is_right(self, asset_id: str) -> bool:
        ours = LiveBook(self._reader.cores[asset_id]).snapshot()
        theirs = self._market.exchange.book(asset_id)
        return (theirs.bids, theirs.asks) == (ours.bids, ours.asks)

    def seen(self) -> set[str]:
        """Assets whose loss was noticed: by a hash, a top or a refresh."""
        return self._reader.mismatches | {c.asset_id for c, _ in self._reader.books.take_replaced()}


def delete_one(market: Market) -> Deletion:
    """Let a reader miss the next price_change, and follow it for a while."""
    reader, deletion, end = market.reader(), None, market.now + 60
    for events in market.steps():
        missed = next((e for e in events if e["event_type"] == "price_change"), None)
        told = events
        if deletion is None and missed is not None:
            told = [event for event in events if event is not missed]
            deletion, end = Deletion(market, reader, missed), market.now + WATCHED_SECONDS
        reader.read(told, market.now)
        if deletion is not None:
            deletion.look(told)
        if market.now >= end:
            break
    assert deletion is not None
    return deletion


def test_a_lost_change_is_noticed() -> None:
    """Any that leaves a book wrong for longer than a check and the end of a step may be waited
    for, after a change that tells.
    """
    market, dice, found = Market(SimulatedExchange(seed=6)), random.Random(6), Counter[str]()
    for _ in range(DELETIONS):
        market.exchange.steps(dice.randrange(60))
        deletion = delete_one(market)
        seen = deletion.seen()
        for asset_id, seconds in deletion.wrong_for.items():
            lasts = seconds > CHECK_SECONDS + STEP_SECONDS
            assert not lasts or asset_id in seen
            found["lasting" if lasts else "seen soon" if asset_id in seen else "overwritten"] += 1

    assert 2 * DELETIONS == found.total()
    assert found["lasting"] > DELETIONS


def test_a_lost_change_makes_a_suspect_that_a_probe_heals() -> None:
    """The whole way: mismatch, suspect, another connection's snapshot, adopted, verified."""
    market = Market(SimulatedExchange(seed=8, markets=1, min_order_size=5))
    exchange, [yes, no] = market.exchange, market.exchange.asset_ids
    reader = market.reader()
    best, *_, worst = (level.price for level in exchange.book(yes).bids)
    exchange.place(yes, "BUY", best, 50)
    for _ in range(3 * int(SUSPECT_SECONDS / CHECK_SECONDS)):
        exchange.advance(50)
        reader.read(exchange.place(yes, "BUY", worst, 5), market.now)
    suspects = [core.asset_id for core in reader.suspects]
    probe = exchange.snapshot(yes)
    exchange.advance(10)
    reader.read(exchange.place(yes, "BUY", worst, 20), market.now)
    [decoded] = decode_market(json.dumps(probe), 0)
    assert isinstance(decoded, Decoded)
    snapshot: Any = decoded.update

    finding = reader.books.settle(reader.cores[yes], snapshot, market.now).finding
    reader.books.tick(market.now + CHECK_SECONDS)

    assert ({yes, no}, "different") == (set(suspects), finding)
    assert ("verified", "mismatch") == tuple(reader.cores[a].integrity for a in (yes, no))
    assert exchange.book(yes).bids == LiveBook(reader.cores[yes]).snapshot().bids


def capture() -> tuple[list[Any], Wire]:
    """The frames of the live capture, and its notes."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared/frames")
    lines = (SHARED / "market_capture.jsonl").read_text().splitlines()
    notes = json.loads((SHARED / "market_capture.notes.json").read_text())
    return [json.loads(line) for line in lines], notes["real_gap"]


def test_the_loss_in_the_live_capture_is_noticed() -> None:
    """At frame 5, on the token and its twin, and nowhere else, until frame 54 heals it."""
    frames, gap = capture()
    reader = Reader(book["asset_id"] for book in frames[0])
    seen: dict[int, set[str]] = {}
    for number, frame in enumerate(frames, 1):
        reader.read(frame, float(number))
        reader.pass_time(number + 2 * STEP_SECONDS)
        wrong = {a for a, core in reader.cores.items() if core.integrity == "mismatch"}
        seen[number] = wrong

    lossy = {gap["asset"], gap["mirror_asset"]}
    assert [gap["first_frame_with_wrong_hash"], *range(6, gap["healed_by_frame"])] == [
        number for number, wrong in seen.items() if wrong == lossy
    ]
    assert len(frames) - 49 == sum(not wrong for wrong in seen.values())
    assert ({"verified"}, 2, 0, []) == (
        reader.integrities(),
        reader.books.counts.hash_mismatches,
        reader.books.counts.unverifiable,
        reader.books.take_replaced(),
    )


def test_every_hash_of_the_healed_capture_fits() -> None:
    """With the lost change put in after the snapshots, as verify_hashes.py --heal does."""
    frames, gap = capture()
    reader = Reader(book["asset_id"] for book in frames[0])
    reader.read(frames[0], 1.0)
    lost = [
        {"asset_id": gap[asset], "price": gap[price], "size": gap["true_size"], "side": side}
        for asset, price, side in (
            ("asset", "price", "BUY"),
            ("mirror_asset", "mirror_price", "SELL"),
        )
    ]
    first = next(book for book in frames[0] if book["asset_id"] == gap["asset"])
    reader.read({**first, "event_type": "price_change", "price_changes": lost}, 2.0)
    for number, frame in enumerate(frames[1:], 3):
        reader.read(frame, float(number))

    assert (set(), {"verified"}) == (reader.mismatches, reader.integrities())
    assert (0, []) == (reader.books.counts.hash_mismatches, reader.books.take_replaced())
    assert reader.books.counts.hash_checks > len(frames)

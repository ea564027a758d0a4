"""Engine steps told in several messages: never judged, warned of or shown before their end."""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.loopback import text_frame
from kit.recorder import DEADLINE, Recorder

from polymarket_ws import Book, LiveBook, Subscriber
from polymarket_ws.books import verifier
from polymarket_ws.books.book import BookCore
from polymarket_ws.books.shelf import Books
from polymarket_ws.books.verification import AwaitedCause, FindingCause
from polymarket_ws.books.verifier import CHECK_SECONDS, LONGEST_STEP, RECIPE_ASSETS, STEP_SECONDS
from polymarket_ws.channels.market import MarketView
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.testing import FakeServer, SimulatedExchange
from polymarket_ws.wire.decode import decode_market
from polymarket_ws.wire.updates import Decoded, Snapshot

Wire = dict[str, Any]
UNHEARD = ("order", "trade")
CAPTURED = {"step_1": "0.441", "step_2": "0.630"}
"""The captured steps, with the last trade price that their hashes have (found by trying all)."""


class Connection:
    """The books of a market as one connection keeps them, fed message by message."""

    def __init__(self, exchange: SimulatedExchange, verify: str = "hash") -> None:
        self.exchange = exchange
        self.books = Books(verify)
        self.cores = {asset_id: BookCore(asset_id) for asset_id in exchange.asset_ids}
        self.view = MarketView(self.books)
        self.view.want(Wanted(frozenset(self.cores), self.cores))
        self.now = 100.0
        self.told: list[BookCore] = []
        """The books that on_book_update was told of, in order."""
        self.books.await_snapshots(self.cores)
        self.read(*(exchange.snapshot(asset_id) for asset_id in self.cores))

    def read(self, *events: object) -> None:
        """What arrives together, and the timers that are due after it."""
        for event in events:
            for decoded in decode_market(json.dumps(event), 0):
                assert isinstance(decoded, Decoded)
                self.view.take(decoded, self.now)
        self.told += self.view.publish(self.now)
        self.wait(0.0)

    def wait(self, seconds: float) -> None:
        """Let time pass, and each timer run when it is due."""
        until = self.now + seconds
        while (due := self.books.deadline) <= until:
            self.now = max(self.now, due)
            self.told += self.view.tick(self.now)
            if self.books.suspects(self.now):
                break
        self.now = until

    def shown(self) -> dict[str, Any]:
        """The levels of each book as a user reads them."""
        return {a: levels(LiveBook(core).snapshot()) for a, core in self.cores.items()}

    def integrities(self) -> set[str]:
        return {core.integrity for core in self.cores.values()}


def levels(book: Book) -> tuple[Any, ...]:
    """Both sides, best first."""
    return book.bids, book.asks


def truth(connection: Connection) -> dict[str, Any]:
    """The levels of each book as the exchange has them."""
    return {a: levels(connection.exchange.book(a)) for a in connection.cores}


def one_market(seed: int, *, share: float = 1.0) -> SimulatedExchange:
    """An exchange that does nothing but steps of 2 to 6 messages."""
    return SimulatedExchange(seed, 1, step_share=share, step_frames=(2, 6))


def steps(exchange: SimulatedExchange, count: int) -> Iterator[list[Wire]]:
    """What the market channel brings of so many steps."""
    for _ in range(count):
        happened = [e for e in exchange.step() if e["event_type"] not in UNHEARD]
        yield [e for e in happened if e["event_type"] != "new_market"]


def next_step(connection: Connection) -> tuple[dict[str, Wire | None], list[Wire]]:
    """The answers of before a step of several messages, and its messages. Those before are read."""
    exchange = connection.exchange
    while True:
        before = {asset_id: exchange.snapshot(asset_id) for asset_id in connection.cores}
        [happened] = steps(exchange, 1)
        told = [e for e in happened if e["event_type"] == "price_change"]
        if len(told) > 1 and {"price_change", "best_bid_ask"} >= {
            e["event_type"] for e in happened
        }:
            return before, told
        connection.read(*happened)


def tops(connection: Connection) -> dict[str, tuple[Decimal | None, Decimal | None]]:
    """Of each book its best prices at the exchange."""
    books = {a: connection.exchange.book(a) for a in connection.cores}
    return {
        a: (b.bids[0].price if b.bids else None, b.asks[0].price if b.asks else None)
        for a, b in books.items()
    }


def best_shown(connection: Connection, asset_id: str) -> tuple[Decimal | None, Decimal | None]:
    """A book's best prices as a user reads them."""
    book = LiveBook(connection.cores[asset_id])
    return book.best_bid, book.best_ask


# --- right streams -------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from(["hash", "top"]))
def test_a_step_in_one_read_is_shown_whole_at_its_end(seed: int, verify: str) -> None:
    """Nothing waits: what is shown after each read is the exchange's own book."""
    exchange = one_market(seed, share=0.7)
    connection = Connection(exchange, verify)
    for happened in steps(exchange, 30):
        connection.read(*happened)
        assert truth(connection) == connection.shown()
        connection.wait(0.02)

    assert {"hash": {"verified"}, "top": {"unverified"}}[verify] == connection.integrities()


@settings(max_examples=40)
@given(
    st.integers(0, 10_000), st.sampled_from(["market", "taker"]), st.sampled_from(["early", "late"])
)
def test_a_step_cut_by_reads_is_no_mismatch(seed: int, price: Any, timing: Any) -> None:
    """What is shown in its middle has the best prices of before it or after it."""
    dice = random.Random(seed)
    exchange = SimulatedExchange(seed, 1, step_share=0.7, hash_last_price=price, hash_timing=timing)
    connection = Connection(exchange)
    before = tops(connection)
    for happened in steps(exchange, 40):
        after = tops(connection)
        for event in happened:
            connection.read(event)
            for asset_id, top in after.items():
                assert best_shown(connection, asset_id) in (before[asset_id], top)
            connection.wait(dice.choice((0.0, 0.002, 0.02)))
        assert truth(connection) == connection.shown()
        assert "mismatch" not in connection.integrities()
        connection.wait(dice.choice((0.0, 0.01, 0.3)))
        before = after

    connection.wait(1.0)
    counts = connection.books.counts
    assert {"verified"} == connection.integrities()
    assert (0, 0, 0) == (counts.hash_mismatches, counts.top_mismatches, counts.refresh_mismatches)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.data())
def test_steps_of_two_markets_interleave(seed: int, data: st.DataObject) -> None:
    """Each market's messages keep their order, and end nothing of the other one's."""
    exchange = SimulatedExchange(seed, 2, step_share=1.0)
    connection = Connection(exchange)
    queues: dict[str, list[Wire]] = {}
    for happened in steps(exchange, 20):
        for event in happened:
            queues.setdefault(event["market"], []).append(event)
    while any(queues.values()):
        market = data.draw(st.sampled_from(sorted(m for m, q in queues.items() if q)))
        connection.read(queues[market].pop(0))
        assert "mismatch" not in connection.integrities()

    connection.wait(1.0)
    assert truth(connection) == connection.shown()
    assert {"verified"} == connection.integrities()


@given(st.integers(0, 10_000), st.data())
def test_a_step_may_be_cut_by_an_answer_to_a_subscription(seed: int, data: st.DataObject) -> None:
    """Whether the answer is of before the step or of after it, and whatever of it was held."""
    exchange = one_market(seed)
    connection = Connection(exchange)
    for happened in steps(exchange, data.draw(st.integers(0, 10))):
        connection.read(*happened)
    asset_id = data.draw(st.sampled_from(exchange.asset_ids))
    before, told = next_step(connection)
    is_old = data.draw(st.booleans())
    answer = before[asset_id] if is_old else exchange.snapshot(asset_id)
    asked, answered = sorted(data.draw(st.integers(0, len(told))) for _ in range(2))
    if is_old:  # what was told before the subscription is in its answer
        asked = 0
    elif data.draw(st.booleans()):
        connection.books.mark_stale("disconnect")

    for number, event in enumerate([*told, None]):
        if number == asked:
            connection.books.await_snapshots([asset_id])
        if number == answered:
            connection.read(answer)
        if event is not None:
            connection.read(event)
        assert connection.cores[asset_id].integrity != "mismatch"

    connection.wait(1.0)
    assert truth(connection)[asset_id] == connection.shown()[asset_id]
    assert "verified" == connection.cores[asset_id].integrity


@given(st.integers(0, 10_000), st.data())
def test_a_refresh_after_a_step_proves_nothing_wrong(seed: int, data: st.DataObject) -> None:
    """However much of the step came with it."""
    exchange = one_market(seed)
    connection = Connection(exchange)
    asset_id = exchange.asset_ids[0]
    size = sum(size for _, size in exchange.book(asset_id).asks[:3])
    told = exchange.trade(asset_id, "BUY", size)
    cut = data.draw(st.integers(0, len(told)))

    connection.read(*told[:cut])
    connection.read(*told[cut:])

    assert ([], 0) == (connection.books.take_replaced(), connection.books.counts.refresh_mismatches)
    assert truth(connection) == connection.shown()
    assert sum(e["event_type"] == "price_change" for e in told) == 3


def test_a_message_with_a_known_hash_is_never_skipped() -> None:
    """Messages of one step have the same hash, and changes of their own."""
    connection = Connection(one_market(1))
    _, told = next_step(connection)
    hashes = {change["asset_id"]: change["hash"] for change in told[0]["price_changes"]}

    for event in told:
        connection.read(event)

    assert all(hashes[c["asset_id"]] == c["hash"] for e in told for c in e["price_changes"])
    assert truth(connection) == connection.shown()


# --- readers, and what is told -------------------------------------------------------------------


def crossing_step(verify: str = "hash") -> tuple[SimulatedExchange, Connection, list[Wire]]:
    """A quote that moves to the other side at its own price: crossed after the first message."""
    exchange = SimulatedExchange(5, 1, step_share=0)
    connection = Connection(exchange, verify)
    return exchange, connection, cross(exchange)


def cross(exchange: SimulatedExchange, side: str = "SELL") -> list[Wire]:
    """Let the best quote move to this side at its own price; returns the two messages."""
    yes = exchange.asset_ids[0]
    book = exchange.book(yes)
    best = (book.bids if side == "SELL" else book.asks)[0].price
    order = next(o for o in exchange.open_orders if o.asset_id == yes and o.price == best)
    return only_changes(exchange.replace(order.id, best, 30, side=side))


def only_changes(events: list[Wire]) -> list[Wire]:
    """What changes levels."""
    return [e for e in events if e["event_type"] == "price_change"]


def test_a_book_in_the_middle_of_a_step_is_shown_as_before_it() -> None:
    """Levels, best prices, time and hash; nothing is told. At its end all change together."""
    exchange, connection, [first, last] = crossing_step()
    yes = exchange.asset_ids[0]
    book = LiveBook(connection.cores[yes])
    before, connection.told[:] = book.snapshot(), []

    connection.read(first)
    in_between = (book.snapshot(), connection.told[:])
    connection.read(last)

    assert (before, []) == in_between
    assert truth(connection) == connection.shown()
    assert set(exchange.asset_ids) == {core.asset_id for core in connection.told}
    assert str(book.top.timestamp_ms) == last["timestamp"]


def test_a_step_that_never_ends_is_shown_and_judged_after_a_while() -> None:
    """STEP_SECONDS after its newest message, or LONGEST_STEP after its first."""
    exchange, connection, [first, _] = crossing_step()
    core = connection.cores[exchange.asset_ids[0]]
    connection.read(first)
    connection.wait(STEP_SECONDS / 2)
    connection.read(first)
    connection.wait(STEP_SECONDS * 0.75)
    early = core.integrity
    connection.wait(STEP_SECONDS / 2)

    assert ("verified", "mismatch", "top_mismatch") == (
        early,
        core.integrity,
        core.verification.finding.reason,
    )
    assert core.published is core.latest

    exchange, connection, [first, _] = crossing_step()
    core = connection.cores[exchange.asset_ids[0]]
    for _ in range(int(LONGEST_STEP / 0.02) + 3):
        connection.read(first)
        connection.wait(0.02)
    assert ("mismatch", first["timestamp"]) == (core.integrity, str(core.published.timestamp_ms))


def test_the_timer_of_a_completed_step_ends_no_later_one() -> None:
    """A step was cut by a read; since then the market has not been quiet, for LONGEST_STEP."""
    exchange, connection, [first, last] = crossing_step("top")
    yes, began_at = exchange.asset_ids[0], connection.now
    connection.read(first)
    connection.read(last)
    while connection.now < began_at + LONGEST_STEP - STEP_SECONDS / 2:
        connection.wait(STEP_SECONDS / 2)
        low = exchange.book(yes).bids[-1].price
        connection.read(*only_changes(exchange.place(yes, "BUY", low, 1)))
    [first, last] = cross(exchange, "BUY")
    connection.read(first)
    connection.wait(STEP_SECONDS * 0.8)

    assert ({"unverified"}, 0) == (connection.integrities(), connection.books.counts.top_mismatches)
    connection.read(last)
    connection.wait(1.0)
    assert ({"unverified"}, 0) == (connection.integrities(), connection.books.counts.top_mismatches)
    assert truth(connection) == connection.shown()


def test_a_late_change_ends_no_step() -> None:
    """It is older than the snapshot, which contains it."""
    _, connection, [first, last] = crossing_step()
    connection.read(first)
    connection.read({**first, "timestamp": "1"})
    connection.read(last)

    assert ({"verified"}, 0) == (connection.integrities(), connection.books.counts.top_mismatches)
    assert 2 == connection.books.counts.late_changes


def test_a_step_that_is_open_when_the_recipe_is_given_up_is_judged_by_its_best_prices() -> None:
    """Nothing is called verified, or a mismatch, by a hash from then on."""
    exchange, connection, [first, last] = crossing_step()
    connection.wait(1.0)
    connection.read(first)
    heads = {"tick_size": "0.01", "hash": "1" * 40, "bids": [], "asks": []}
    strangers = [
        {**exchange.snapshot(exchange.asset_ids[0]), **heads, "asset_id": str(number)}
        for number in range(RECIPE_ASSETS)
    ]
    for stranger in strangers:
        connection.books.add(BookCore(stranger["asset_id"]))
        connection.read(stranger)
    given_up = connection.books.verifier.verify
    connection.read(last)
    connection.wait(1.0)

    assert ("top", {"unverified"}) == (given_up, connection.integrities())


def test_a_message_of_the_next_step_ends_the_one_before() -> None:
    """Also in the same read: what was missing of it is noticed then, and not overlooked."""
    exchange, connection, [first, _] = crossing_step()
    yes = exchange.asset_ids[0]
    later = exchange.place(yes, "BUY", exchange.book(yes).bids[-1].price, 50)

    connection.read(first, *later)

    assert 2 == connection.books.counts.top_mismatches
    assert {"mismatch"} == connection.integrities()


@pytest.mark.parametrize("how", ["tick", "print"])
def test_a_tick_change_ends_a_step_and_a_print_does_not(how: str) -> None:
    """A print is sent at a time of its own, and may come between two messages of a step."""
    exchange, connection, [first, last] = crossing_step()
    yes = exchange.asset_ids[0]
    connection.read(first)
    if how == "tick":
        connection.read(*exchange.change_tick(first["market"], "0.001"))
    else:
        connection.books.set_last_trade_price(first["market"], yes, Decimal("0.77"), connection.now)
    seen = connection.integrities()
    connection.read(last)
    connection.wait(1.0)

    assert {"tick": {"mismatch"}, "print": {"verified"}}[how] == seen
    assert {"tick": 2, "print": 0}[how] == connection.books.counts.top_mismatches


def test_an_unfinished_step_ends_with_its_connection() -> None:
    """What is shown stays as it was published, stale; no timer is left."""
    exchange, connection, [first, _] = crossing_step()
    yes = exchange.asset_ids[0]
    before = connection.shown()
    connection.read(first)
    connection.view.connection_ended("disconnect")

    assert float("inf") == connection.books.deadline
    assert before == connection.shown()
    connection.read(*(exchange.snapshot(a) for a in exchange.asset_ids))
    assert truth(connection) == connection.shown()
    assert "verified" == connection.cores[yes].integrity


def test_a_probe_that_has_the_whole_step_does_not_judge_half_of_it() -> None:
    """A probe's snapshot of after the step comes before its last message: it is unclear."""
    exchange, connection, [first, last] = crossing_step()
    yes = exchange.asset_ids[0]
    core = connection.cores[yes]
    connection.read(first)
    [decoded] = decode_market(json.dumps(exchange.snapshot(yes)), 0)
    assert isinstance(decoded, Decoded)
    assert isinstance(decoded.update, Snapshot)

    assert "unclear" == connection.books.settle(core, decoded.update, connection.now).finding
    connection.read(last)
    assert "equal" == connection.books.settle(core, decoded.update, connection.now).finding


def test_a_probe_of_before_a_step_does_not_show_half_of_it() -> None:
    """With what was held since it is our book, which proves the book before the step alone."""
    exchange, connection, [first, last] = crossing_step()
    yes = exchange.asset_ids[0]
    core, before = connection.cores[yes], connection.shown()[yes]
    [decoded] = decode_market(json.dumps(SimulatedExchange(5, 1).snapshot(yes)), 0)
    assert isinstance(decoded, Decoded)
    assert isinstance(decoded.update, Snapshot)
    core.find(FindingCause.HASH_DIFFERS)
    core.await_snapshot(AwaitedCause.PROBED)
    connection.read(first)

    assert "equal" == connection.books.settle(core, decoded.update, connection.now).finding
    assert (before, "verified") == (connection.shown()[yes], core.integrity)
    connection.wait(STEP_SECONDS)
    assert ("mismatch", "top_mismatch") == (core.integrity, core.verification.finding.reason)
    connection.read(last)
    connection.wait(1.0)
    assert "verified" == core.integrity
    assert truth(connection) == connection.shown()


def test_with_verify_off_each_read_is_shown() -> None:
    """Nothing is compared, so nothing can be known to be unfinished."""
    exchange, _, [first, _] = crossing_step()
    connection = Connection(exchange, "off")
    connection.read(first)

    assert {"unverified"} == connection.integrities()
    assert all(core.published is core.latest for core in connection.cores.values())


# --- lost messages -------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.data())
def test_a_lost_message_of_a_step_is_noticed_at_its_end(seed: int, data: st.DataObject) -> None:
    """Unless what is left makes the same book: a level that the step names twice."""
    exchange = one_market(seed)
    connection = Connection(exchange)
    _, told = next_step(connection)
    lost = data.draw(st.integers(0, len(told) - 1))

    for number, event in enumerate(told):
        if number != lost:
            connection.read(event)
            assert "mismatch" not in connection.integrities()
    connection.wait(CHECK_SECONDS + STEP_SECONDS)

    shown, true = connection.shown(), truth(connection)
    expected = {a: "verified" if shown[a] == true[a] else "mismatch" for a in true}
    assert expected == {a: core.integrity for a, core in connection.cores.items()}


# --- the captured steps, over real sockets -------------------------------------------------------


def captured(frames_dir: Path, name: str) -> tuple[list[Wire], list[str]]:
    """The books before a captured step, and the wire's messages from there on."""
    books, *texts = (frames_dir / "steps" / f"{name}.jsonl").read_text().splitlines()
    more = {"event_type": "book", "tick_size": "0.001", "last_trade_price": CAPTURED[name]}
    return [{**book, **more} for book in json.loads(books)], texts


class Watcher:
    """A thread that reads a subscriber's books all the time, and keeps what was crossed."""

    def __init__(self, sub: Subscriber) -> None:
        self.crossed: list[str] = []
        self._sub, self._done = sub, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._done.is_set():
            for book in self._sub.books.values():
                self.note(book)

    def note(self, book: LiveBook) -> None:
        """Keep a book that is crossed or in a mismatch. Any thread."""
        top, whole = book.top, book.snapshot()
        bid, ask = (side[0] if side else None for side in (whole.bids, whole.asks))
        for one, other in ((top.bid, top.ask), (bid, ask)):
            if one and other and one.price >= other.price:
                self.crossed.append(f"{book!r} {one} {other}")
        if top.integrity == "mismatch":
            self.crossed.append(f"{book!r} mismatch")

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(DEADLINE)


def received(server: FakeServer, sub: Subscriber) -> int:
    """How many messages were received, all handled by now."""
    server.settle(sub)
    return sum(c.total_messages for c in sub.stats().connections)


def subscribed(server: FakeServer, books: list[Wire]) -> Subscriber:
    """A subscriber to these books, with the default options."""
    for book in books:
        server.add_book(book)
    return Subscriber([book["asset_id"] for book in books], options=server.options())


@pytest.mark.parametrize("name", CAPTURED)
@pytest.mark.parametrize("in_one_read", [True, False])
def test_a_captured_step_is_no_false_alarm(
    frames_dir: Path,
    name: str,
    in_one_read: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the default options: no gap, no warning, nothing crossed to be read or told.

    A busy machine may take more than STEP_SECONDS between two messages: then a step would have
    ended.
    """
    monkeypatch.setattr(verifier, "STEP_SECONDS", DEADLINE)
    monkeypatch.setattr(verifier, "LONGEST_STEP", DEADLINE)
    books, texts = captured(frames_dir, name)
    gaps = Recorder()
    with FakeServer() as server, subscribed(server, books) as sub, Watcher(sub) as watcher:
        sub.on_gap(gaps)
        sub.on_book_update(watcher.note)
        sub.wait_ready()
        before = received(server, sub)
        if in_one_read:
            server.send_bytes(b"".join(map(text_frame, texts)))
            assert sub._wait_until(lambda: received(server, sub) >= before + len(texts), DEADLINE)
        for number, text in enumerate([] if in_one_read else texts, before + 1):
            server.send(text)
            sub._wait_until(lambda n=number: received(server, sub) >= n, DEADLINE)  # type: ignore[misc]
        assert sub._wait_until(lambda: sub.stats().hash_checks >= 4, DEADLINE)
        assert {"verified"} == {book.integrity for book in sub.books.values()}
        stats = sub.stats()

    assert ([], []) == (watcher.crossed, gaps.items)
    assert [] == [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert (0, 0, 0) == (stats.hash_mismatches, stats.top_mismatches, stats.gaps)
    last = json.loads([t for t in texts if "price_changes" in t][-1])
    for change in last["price_changes"]:
        book = sub.books[change["asset_id"]]
        assert Decimal(change["best_bid"]) == book.best_bid
        assert Decimal(change["best_ask"]) == book.best_ask


LOSSES = [
    *[("step_1", lost, "mismatch") for lost in range(4)],
    *[("step_2", lost, "refresh_mismatch") for lost in range(2)],
]


@pytest.mark.parametrize(("name", "lost", "how"), LOSSES)
def test_a_lost_message_of_a_captured_step_is_told(
    frames_dir: Path, name: str, lost: int, how: str
) -> None:
    """By the integrity of its books, or at once as a gap where a refresh follows the step."""
    books, texts = captured(frames_dir, name)
    changes = [t for t in texts if "price_changes" in t]
    told = Recorder()
    with FakeServer() as server, subscribed(server, books) as sub:
        sub.on_gap(lambda gap: told(gap.reason))
        sub.on_book_update(lambda book: told(book.integrity))
        sub.wait_ready()
        for text in texts:
            if text != changes[lost]:
                server.send(text)
        told.wait_until(lambda items: how in items)

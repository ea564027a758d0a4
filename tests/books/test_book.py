"""One book: changes, best prices, a plain model of it, and readers on other threads."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.books import (
    NO,
    YES,
    change,
    changes,
    make_books,
    numbers,
    read,
    read_step,
    sides,
    snapshot,
)

from polymarket_ws.books.book import BookCore
from polymarket_ws.books.live_book import LiveBook
from polymarket_ws.events import Level
from polymarket_ws.wire.updates import Change, Snapshot

STRESS_FRAMES = 2_000


def test_a_change_sets_the_size_of_a_level() -> None:
    """The size is the new aggregate, not a difference; the hash is that of the last change."""
    books, [book] = make_books(YES)
    books.replace(snapshot(1, hash="h1"), now=0)

    [core] = read(
        books,
        changes(
            2,
            change("0.4", "3", hash="h2"),
            change("0.61", "4", is_bid=False, hash="h3"),
        ),
        now=99,
    )

    assert book._shows(core)
    assert (numbers({"0.4": "3"}), numbers({"0.6": "10", "0.61": "4"})) == sides(book)
    assert (2, "h3", 1.0) == (book.top.timestamp_ms, book.snapshot().hash, book.age)


def test_a_change_older_than_its_snapshot_is_not_applied() -> None:
    """The snapshot holds it already: it is counted as late. One of the same time is applied."""
    books, [book] = make_books(YES)
    books.replace(snapshot(5), now=0)

    late = read(books, changes(4, change("0.5", "1"), change("0.5", "2")), now=0)
    same = read(books, changes(5, change("0.45", "1")), now=0)

    assert ([], 2, 1) == (late, books.counts.late_changes, len(same))
    assert numbers({"0.4": "10", "0.45": "1"}) == sides(book)[0]


@pytest.mark.parametrize(
    ("bids", "asks", "told"),
    [
        (["0.4"], ["0.6"], ("0.4", "0.6")),
        (["0.4"], ["0.6"], (".40", "0.60")),
        ([], [], ("0", "1")),
        ([], [], ("0.0", "1.0")),
        ([], [], ("", "")),
        ([], [], (None, None)),
        (["0.4"], ["0.6"], (None, "")),
    ],
)
def test_the_top_agrees(
    bids: list[str], asks: list[str], told: tuple[str | None, str | None]
) -> None:
    """However the server writes a price or an empty side ("0" and "1", "" or nothing at all)."""
    books, [book] = make_books(YES)
    books.replace(snapshot(1, [(b, "1") for b in bids], [(a, "1") for a in asks]), now=0)

    read(books, changes(2, change("0.01", "0", best=told)), now=0)

    assert ("unverified", 0) == (book.integrity, books.counts.top_mismatches)


@pytest.mark.parametrize(
    ("bids", "asks", "told"),
    [
        (["0.4"], ["0.6"], ("0.41", "0.6")),
        (["0.4"], ["0.6"], ("0.4", "0.59")),
        (["0.4"], ["0.6"], ("0", "0.6")),
        (["0.4"], ["0.6"], ("0.4", "1")),
        ([], ["0.6"], ("0.4", "0.6")),
        (["0.4"], [], ("0.4", "0.6")),
    ],
)
def test_the_top_differs(
    bids: list[str], asks: list[str], told: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """A lost change that moved a best price shows at once: "mismatch", one WARNING, one count."""
    books, [book] = make_books(YES)
    books.replace(snapshot(1, [(b, "1") for b in bids], [(a, "1") for a in asks]), now=0)

    with caplog.at_level(logging.WARNING):
        for time in (2, 3):
            read(books, changes(time, change("0.01", "0", best=told)), now=0)

    assert ("mismatch", "mismatch") == (book.integrity, book.top.integrity)
    assert (1, 1) == (books.counts.top_mismatches, len(caplog.records))
    assert book.valid


def test_the_warning_of_a_mismatch_has_both_sides(caplog: pytest.LogCaptureFixture) -> None:
    """The line names the asset, our best prices and the server's."""
    books, _ = make_books(YES)
    books.replace(snapshot(1, asks=[]), now=0)

    read_step(books, changes(2, change("0.01", "0", best=("0.5", "0.6"))), now=0)

    [record] = caplog.records
    assert "book 1: best prices 0.4/None, but the server says 0.5/0.6" == record.getMessage()


def test_a_mismatch_ends_when_the_best_prices_agree_again() -> None:
    """By a change that repairs the level, or by a snapshot; the next mismatch counts anew."""
    books, [book] = make_books(YES)
    books.replace(snapshot(1), now=0)
    seen = []
    for time, entry in (
        (2, change("0.01", "0", best=("0.5", "0.6"))),
        (3, change("0.5", "1", best=("0.5", "0.6"))),
        (4, change("0.01", "0", best=("0.55", "0.6"))),
    ):
        read_step(books, changes(time, entry), now=0)
        seen.append(book.integrity)
    books.replace(snapshot(5), now=0)

    assert ["mismatch", "unverified", "mismatch"] == seen
    assert ("unverified", 2) == (book.integrity, books.counts.top_mismatches)


def test_only_the_last_entry_of_a_message_is_checked() -> None:
    """A message is applied whole: the best prices after its earlier entries are never seen."""
    books, [book] = make_books(YES)
    books.replace(snapshot(1), now=0)

    read(
        books,
        changes(
            2,
            change("0.5", "1", best=("0.5", "0.6")),
            change("0.55", "1", best=("0.55", "0.6")),
        ),
        now=0,
    )

    assert ("unverified", 0) == (book.integrity, books.counts.top_mismatches)


def test_the_check_can_be_off() -> None:
    """verify="off" compares nothing."""
    books, [book] = make_books(YES, verify="off")
    books.replace(snapshot(1), now=0)

    read(books, changes(2, change("0.5", "1", best=("0.9", "0.95"))), now=0)

    assert ("unverified", 0) == (book.integrity, books.counts.top_mismatches)


price_texts = st.sampled_from(
    ["0.48", ".48", "0.480", "0.5", "0.50", "0.001", ".001", "0.999", "0.52", "0.0030000000012"]
)
size_texts = st.sampled_from(["0", "0.0", ".0", "1", "1.0", "0.000001", "2500.25", ".5"])
entries = st.tuples(st.booleans(), price_texts, size_texts)
level_lists = st.lists(
    st.tuples(price_texts, size_texts), max_size=5, unique_by=lambda p: Decimal(p[0])
)


class Model:
    """A book as two plain dicts."""

    def __init__(self, bids: Any = (), asks: Any = ()) -> None:
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        for is_bid, levels in ((True, bids), (False, asks)):
            for price, size in levels:
                self.set(is_bid, price, size)

    def set(self, is_bid: bool, price: str, size: str) -> None:
        side = self.bids if is_bid else self.asks
        side[Decimal(price)] = Decimal(size)
        if not side[Decimal(price)]:
            del side[Decimal(price)]

    def snapshot(self, timestamp_ms: int, hash: str | None, *, is_answer: bool) -> Snapshot:
        bids, asks = (
            [(str(p), str(s)) for p, s in side.items()] for side in (self.bids, self.asks)
        )
        return snapshot(timestamp_ms, bids, asks, hash=hash, is_answer=is_answer)


def assert_equals_model(book: LiveBook, model: Model) -> None:
    """Compare levels, top and best prices with the model's."""
    shown, top = book.snapshot(), book.top
    bids = sorted(model.bids.items(), reverse=True)
    asks = sorted(model.asks.items())
    assert (bids, asks) == (list(shown.bids), list(shown.asks))
    best_bid, best_ask = (bids[0] if bids else None), (asks[0] if asks else None)
    assert (best_bid, best_ask) == (top.bid, top.ask)
    assert best_bid is None or best_bid[0] == book.best_bid
    assert best_ask is None or best_ask[0] == book.best_ask


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("changes"), st.lists(entries, min_size=1, max_size=4)),
            st.tuples(st.just("duplicate"), st.lists(entries, min_size=1, max_size=4)),
            st.tuples(st.just("late"), st.lists(entries, min_size=1, max_size=4)),
            st.tuples(st.sampled_from(["refresh", "reconnect", "resubscribe"]), level_lists),
        ),
        max_size=20,
    )
)
def test_a_book_equals_a_plain_model(steps: list[tuple[str, Any]]) -> None:
    """After every snapshot, change, repetition, late change, reconnect and new subscription."""
    books, [book, complement] = make_books(YES, NO)
    model = Model(asks=[("0.6", "1")])
    books.replace(model.snapshot(0, None, is_answer=True), now=0)
    for time, (step, content) in enumerate(steps, 1):
        if step in ("changes", "duplicate", "late"):
            message = changes(
                -1 if step == "late" else 10 * time,
                *(change(p, s, is_bid=b) for b, p, s in content),
                *(change(p, s, is_bid=not b, asset_id="3") for b, p, s in content),
            )
            for _ in range(2 if step == "duplicate" else 1):
                read(books, message, now=0)
            if step != "late":
                for is_bid, price, size in content:
                    model.set(is_bid, price, size)
        else:
            model = Model(content, [(p, s) for p, s in content if Decimal(p) > Decimal("0.5")])
            if step == "reconnect":
                books.mark_stale("disconnect")
            if step == "resubscribe":
                books.remove(YES)
                books.add(core := BookCore(YES))
                book._show(core)
            if step != "refresh":
                books.await_snapshots([YES])
                read(books, changes(10 * time - 1, change("0.77", "7")), now=0)
            books.replace(model.snapshot(10 * time, None, is_answer=step != "refresh"), now=0)
        assert_equals_model(book, model)
        assert book.valid
    assert (False, 0) == (complement.valid, complement.top.timestamp_ms)


@st.composite
def subscriptions(draw: st.DrawFn) -> dict[str, Any]:
    """A server's changes, and where among them a client comes in and gets which snapshots.

    `heard` is the first change that the client hears, `answered` the last one that the answer
    contains, `told` the last one that is delivered before the answer.
    """
    steps = draw(st.lists(st.tuples(entries, st.integers(0, 1)), max_size=12))
    answered = draw(st.integers(0, len(steps)))
    return {
        "steps": steps,
        "heard": draw(st.integers(0, answered)),
        "answered": answered,
        "told": draw(st.integers(0, len(steps))),
        "refreshed": draw(st.sets(st.integers(0, len(steps)))),
        "hashed": draw(st.booleans()),
        "doubled": draw(st.booleans()),
    }


@given(subscriptions())
def test_a_subscription_may_come_in_anywhere(case: dict[str, Any]) -> None:
    """However the answer lies to the changes and refreshes around it, the book ends up right."""
    states, times = [Model(bids=[("0.2", "2")])], [0]
    for (is_bid, price, size), later in case["steps"]:
        state = Model()
        state.bids, state.asks = dict(states[-1].bids), dict(states[-1].asks)
        state.set(is_bid, price, size)
        states.append(state)
        times.append(times[-1] + later)

    def hash_of(number: int) -> str | None:
        return f"h{number}" if case["hashed"] else None

    books, [book] = make_books(YES)

    def answer() -> None:
        number = case["answered"]
        whole = states[number].snapshot(times[number], hash_of(number), is_answer=True)
        books.replace(whole, now=0)

    for number, ((is_bid, price, size), _) in enumerate(case["steps"], 1):
        if number == case["told"] + 1:
            answer()
        if number > case["heard"]:
            entry = change(price, size, is_bid=is_bid, hash=hash_of(number))
            for _ in range(1 + case["doubled"]):
                read(books, changes(times[number], entry), now=0)
        if number in case["refreshed"] and case["heard"] < number <= case["told"]:
            books.replace(
                states[number].snapshot(times[number], hash_of(number), is_answer=False), now=0
            )
    if case["told"] == len(case["steps"]):
        answer()

    assert book.valid
    assert_equals_model(book, states[-1])


def stress_levels(number: int) -> list[tuple[str, str]]:
    """Five bids that move with the frame's number, each of that size."""
    return [(f"0.{20 + 10 * (number % 2) + depth}", str(number)) for depth in range(5)]


def mirrored(levels: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The other side: each price is 1 less the price."""
    return [(str(1 - Decimal(price)), size) for price, size in levels]


def stress_frame(number: int) -> list[Change]:
    """Frame `number - 1`'s levels removed, `number`'s set, on both sides."""
    gone = [(price, "0") for price, _ in stress_levels(number - 1)]
    bids = gone + stress_levels(number)
    return [change(p, s) for p, s in bids] + [change(p, s, is_bid=False) for p, s in mirrored(bids)]


def torn(book: LiveBook) -> str:
    """What of one reading of the levels and one of the top is not of one frame; "" when all is."""
    shown, top = book.snapshot(), book.top
    numbers_seen = {level.size for level in shown.bids + shown.asks}
    mirror = tuple(Level(1 - level.price, level.size) for level in shown.bids)
    if {shown.timestamp_ms} != numbers_seen or (5, 5) != (len(shown.bids), len(shown.asks)):
        return f"levels of {sorted(numbers_seen)} at {shown.timestamp_ms}"
    if mirror != shown.asks:
        return f"bids {shown.bids} but asks {shown.asks}"
    if not top.bid or not top.ask or {top.bid.size, top.ask.size} != {top.timestamp_ms}:
        return f"top {top}"
    return "" if top.bid.price == 1 - top.ask.price else f"top {top}"


def test_no_read_is_torn() -> None:
    """While one thread applies frames, what other threads read is always of one frame.

    Every level's size is the frame's number, and asks mirror bids; the levels of each frame lie
    elsewhere than those of the one before. The next two tests show that this check can fail.
    """
    books, [book] = make_books(YES)
    books.replace(snapshot(1, stress_levels(1), mirrored(stress_levels(1))), now=0)
    flaws: list[str] = []
    reads = [0, 0, 0]
    done = threading.Event()

    def look(reader: int) -> None:
        while not flaws:
            flaw = torn(book)
            reads[reader] += 1
            if flaw:
                flaws.append(flaw)
            if done.is_set():
                return

    readers = [threading.Thread(target=look, args=(reader,)) for reader in range(len(reads))]
    for reader in readers:
        reader.start()
    try:
        for number in range(2, STRESS_FRAMES):
            if number % 10:
                read(books, changes(number, *stress_frame(number)), now=0)
            else:
                levels = stress_levels(number)
                books.replace(snapshot(number, levels, mirrored(levels), is_answer=False), now=0)
    finally:
        done.set()
        for reader in readers:
            reader.join(10)

    assert [] == flaws
    assert all(reads)
    assert STRESS_FRAMES - 1 == book.top.timestamp_ms


class HaltingFrame(list[Change]):
    """A frame whose writer pauses after half of it."""

    def __init__(self, frame: Sequence[Change]) -> None:
        super().__init__(frame)
        self.halted, self.go_on = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[Change]:
        for index, entry in enumerate(super().__iter__()):
            if index == len(self) // 2:
                self.halted.set()
                self.go_on.wait(10)
            yield entry


@contextlib.contextmanager
def half_applied(core: BookCore) -> Iterator[HaltingFrame]:
    """A core of frame 1 to which another thread has applied half of frame 2."""
    core.replace(snapshot(1, stress_levels(1), mirrored(stress_levels(1))))
    frame = HaltingFrame(stress_frame(2))
    writer = threading.Thread(target=core.apply, args=(2, frame, False))
    writer.start()
    try:
        assert frame.halted.wait(10)
        yield frame
    finally:
        frame.go_on.set()
        writer.join(10)


class NoLock(contextlib.nullcontext[None]):
    """A lock that lets everybody in."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return


def test_without_its_lock_a_book_is_read_torn() -> None:
    """A core whose lock does nothing shows half a frame to a reader: what the check looks for."""
    core = BookCore(YES, lock=NoLock())  # type: ignore[arg-type]
    book = LiveBook(core)

    with half_applied(core):
        flaw = torn(book)

    assert flaw.startswith("levels of [")
    assert "" == torn(book)


def test_a_reader_in_the_midst_of_a_frame_waits_for_its_end() -> None:
    """Then it is shown the levels as they are published: those before the frame, like the top."""
    core = BookCore(YES)
    book = LiveBook(core)
    flaws: list[str] = []
    reader = threading.Thread(target=lambda: flaws.append(torn(book)))

    with half_applied(core) as frame:
        assert (1, Decimal(1)) == (book.top.timestamp_ms, book.top.bid and book.top.bid.size)
        reader.start()
        frame.go_on.set()
        reader.join(10)

    assert [""] == flaws
    assert 1 == book.top.timestamp_ms


@pytest.mark.parametrize("is_held", [False, True])
def test_a_forked_book_keeps_levels_that_nobody_was_changing(is_held: bool) -> None:
    """It is stale; where the lock was held, it is empty. An unsubscribed one stays that."""
    core, gone = BookCore(YES), BookCore(YES)
    gone.mark_stale("unsubscribed")
    core.replace(snapshot(1, [("0.4", "1")], []))
    lock = core.lock
    forking = threading.Thread(target=lambda: (core.become_forked(), gone.become_forked()))
    with lock if is_held else contextlib.nullcontext():
        forking.start()
        forking.join(10)

    assert ("forked", "unsubscribed") == (core.published.stale_reason, gone.published.stale_reason)
    assert (0 if is_held else 1) == len(core.levels(None).bids)
    assert lock is not core.lock

"""The states of a book's verification: each row of the tables is walked by messages and timers."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.books import MARKET, REAL, YES, change, changes, hashed

from polymarket_ws.books import verification
from polymarket_ws.books.held import HELD_LIMIT
from polymarket_ws.books.suspects import SUSPECT_SECONDS
from polymarket_ws.books.verification import (
    AWAITED,
    FINDINGS,
    PROBE,
    SNAPSHOT,
    STEPS,
    SUSPECT,
    Awaited,
    AwaitedCause,
    Finding,
    FindingCause,
    Step,
    StepCause,
)
from polymarket_ws.books.verifier import CHECK_SECONDS, STEP_SECONDS
from polymarket_ws.wire.prices import price_of

WRONG = ("0.5", "0.6")  # best prices that the book never has
TABLES = {"STEPS": STEPS, "FINDINGS": FINDINGS, "AWAITED": AWAITED}


class Walked(dict[Any, Any]):
    """A table that notes which of its rows are used, in their order."""

    def __init__(self, rows: dict[Any, Any]) -> None:
        super().__init__(rows)
        self.rows: list[tuple[Enum, Enum]] = []

    def __getitem__(self, row: tuple[Enum, Enum]) -> Any:
        self.rows.append(row)
        return super().__getitem__(row)


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> Walked:
    """All three tables in one, which a book uses instead."""
    rows = Walked({**STEPS, **FINDINGS, **AWAITED})
    for name in TABLES:
        monkeypatch.setattr(verification, name, rows)
    return rows


class Market:
    """One live, verified book, fed by a server that may tell wrong hashes and best prices."""

    def __init__(self) -> None:
        self.books, [self.book], [self.server] = hashed(YES)
        [self.core] = self.books
        self.state = self.core.verification
        self.now, self.timestamp_ms, self.sizes = 10.0, 2, 0

    def tell(self, *, top: bool = True, hash: str | None = REAL, goes_on: bool = False) -> None:
        """A read with one change: of the next step, or of the one before.

        Args:
            top: Whether its best prices are the book's.
            hash: What it has; "right" for that of the server's book.
            goes_on: Whether it is of the step before, whose hash it then has.
        """
        self.sizes += 1
        if goes_on:
            hash = self.core.mark[1]
        else:
            self.timestamp_ms += 1
        [told] = self.server.change(self.timestamp_ms, "0.2", str(self.sizes)).changes
        hash = told.hash if hash == "right" else hash
        bid, ask = (None, None) if top else WRONG
        entry = attrs.evolve(told, hash=hash, best_bid=bid, best_ask=ask)
        self.books.apply(changes(self.timestamp_ms, entry), self.now)
        self.books.publish(self.now)

    def tick(self) -> None:
        self.books.tick(self.now)

    def rest(self, seconds: float = CHECK_SECONDS) -> None:
        """Let the step end, and everything be due that is due by then."""
        self.now += STEP_SECONDS
        self.tick()
        self.now += seconds
        self.tick()

    def refresh(self, *, is_answer: bool = False) -> None:
        self.books.replace(self.server.snapshot(self.timestamp_ms, is_answer=is_answer), self.now)

    def settle(self) -> None:
        """A probe's snapshot that is equal, of the newest change."""
        snapshot = self.server.snapshot(self.timestamp_ms)
        self.books.settle(self.core, snapshot._replace(hash=self.core.mark[1]), self.now)

    def subscribe(self) -> None:
        self.books.await_snapshots([YES])

    def probe(self) -> None:
        self.books.await_probe([YES])

    def give_up(self) -> None:
        """More changes come than may be held for an answer, or the probe brings nothing."""
        if self.state.awaited is SNAPSHOT:
            many = [change("0.2", "1", hash=REAL)] * (HELD_LIMIT + 1)
            self.server.bids["0.2"] = "1"
            self.books.apply(changes(self.timestamp_ms, *many), self.now)
        elif self.state.awaited is PROBE:
            self.books.release([YES])
        else:
            self.refresh()

    def lose(self) -> None:
        self.books.mark_stale("disconnect")

    def print_price(self) -> None:
        self.books.set_last_trade_price(MARKET, YES, price_of("0.77"), self.now)

    def change_tick(self) -> None:
        self.books.set_tick_size(YES, price_of(self.server.tick_size), self.now)

    # The states, each from a verified book.

    def reach_step(self, step: Step) -> None:
        self.tell(top=False)
        if step.by_hash:
            self.tick()
        if not step.by_top:
            self.tell(goes_on=True)

    def reach_finding(self, finding: Finding) -> None:
        """Where the hash differs, the server's last trade price is ahead of its print."""
        if finding.by_hash == "unverified":
            self.tell(hash=None, top=not finding.top_differs)
        elif finding.by_hash == "mismatch":
            self.server.price = "0.770"
            self.tell(hash="right", top=not finding.top_differs)
            self.server.price = ""
        else:
            self.tell(hash="right")
            self.tick()  # the next hash is not due before the next step has ended
            if finding.top_differs:
                self.tell(hash="right", top=False)
        self.now += STEP_SECONDS
        self.tick()

    def reach_awaited(self, awaited: Awaited) -> None:
        """Always with a book in a mismatch."""
        self.tell()
        self.rest()
        if awaited is SUSPECT:
            self.rest(SUSPECT_SECONDS)
        elif awaited is SNAPSHOT:
            self.subscribe()
        elif awaited is PROBE:
            self.probe()


def judge(market: Market, hash: str | None) -> None:
    """A step that ends with the hash to be judged, before its best prices are."""
    market.now += CHECK_SECONDS
    market.tell(top=False, hash=hash)
    market.tick()
    market.now += STEP_SECONDS
    market.tick()


def check_again(market: Market) -> None:
    """More of the step comes, and its hash is compared."""
    market.tell(goes_on=True, top=not market.state.step.by_top)
    market.tick()


def end(market: Market, *, agrees: bool) -> None:
    """A step is cut by a read, and ended by the next one."""
    market.tell(top=False)
    if agrees:
        market.tell(goes_on=True)
    market.tell()


CAUSES: dict[Enum, Callable[[Market], None]] = {
    StepCause.TOP_FITS: lambda m: m.tell(goes_on=True),
    StepCause.TOP_UNFIT: lambda m: m.tell(goes_on=True, top=False),
    StepCause.HASH_UNFIT: check_again,
    StepCause.HASH_DECIDED: Market.lose,
    StepCause.PROVED: Market.settle,
    StepCause.ENDED: Market.tell,
    StepCause.REPLACED: Market.refresh,
    FindingCause.TOP_AGREES: lambda m: end(m, agrees=True),
    FindingCause.TOP_DIFFERS: lambda m: end(m, agrees=False),
    FindingCause.HASH_FITS: lambda m: judge(m, "right"),
    FindingCause.HASH_DIFFERS: lambda m: judge(m, REAL),
    FindingCause.HASH_EXPLAINED: Market.print_price,
    FindingCause.HASH_UNKNOWN: lambda m: judge(m, None),
    FindingCause.REPLACED: Market.refresh,
    AwaitedCause.SUBSCRIBED: Market.subscribe,
    AwaitedCause.LASTED: lambda m: m.rest(SUSPECT_SECONDS),
    AwaitedCause.PROBED: Market.probe,
    AwaitedCause.ANSWERED: lambda m: m.refresh(is_answer=True),
    AwaitedCause.GIVEN_UP: Market.give_up,
}
"""What brings each cause about."""


def name(value: Enum) -> str:
    """Of a state or cause in a test's id."""
    return f"{type(value).__name__}.{value.name}"


@pytest.mark.parametrize(("state", "cause"), STEPS, ids=name)
def test_a_step_moves(state: Step, cause: StepCause, walked: Walked) -> None:
    """By what messages, checks and timers tell of it."""
    market = Market()
    market.reach_step(state)
    assert state is market.state.step
    walked.rows.clear()

    CAUSES[cause](market)

    assert (state, cause) in walked.rows


@pytest.mark.parametrize(("state", "cause"), FINDINGS, ids=name)
def test_a_finding_moves(state: Finding, cause: FindingCause, walked: Walked) -> None:
    """By what a whole step, a hash or a snapshot tells; it is what users read."""
    market = Market()
    market.reach_finding(state)
    assert (state, state.integrity) == (market.state.finding, market.book.integrity)
    walked.rows.clear()

    CAUSES[cause](market)

    assert (state, cause) in walked.rows
    assert market.state.finding.integrity == market.book.integrity


@pytest.mark.parametrize(("state", "cause"), AWAITED, ids=name)
def test_what_is_awaited_moves(state: Awaited, cause: AwaitedCause, walked: Walked) -> None:
    """By what asks the server and by what it answers."""
    market = Market()
    market.reach_awaited(state)
    assert state is market.state.awaited
    walked.rows.clear()

    CAUSES[cause](market)

    assert (state, cause) in walked.rows


ACTS: list[Callable[[Market], object]] = [
    *CAUSES.values(),
    Market.change_tick,
    Market.tick,
    Market.rest,
    lambda m: m.tell(hash="right"),
    lambda m: m.tell(hash=None),
    lambda m: m.rest(SUSPECT_SECONDS),
    lambda m: m.books.suspects(m.now),
    lambda m: m.books.suspect_again(m.now),
    lambda m: m.books.overrule(m.core, m.server.snapshot(m.timestamp_ms), "silent", m.now),
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(ACTS), max_size=30))
def test_nothing_happens_that_the_tables_do_not_have(
    acts: list[Callable[[Market], object]],
) -> None:
    """In any order: a pair that is not there would raise. Users read the finding all along."""
    market = Market()
    for act in acts:
        act(market)
        assert market.state.finding.integrity == market.book.integrity
        assert (market.state.awaited is SUSPECT) <= market.core.is_mismatched


def test_states_have_the_meaning_that_users_read() -> None:
    """Best prices that differ are a mismatch whatever the hash says, and the Gap's reason."""
    assert {
        "UNVERIFIED": "unverified",
        "VERIFIED": "verified",
        "HASH_MISMATCH": "mismatch",
        "TOP_MISMATCH": "mismatch",
        "TOP_MISMATCH_ONLY": "mismatch",
        "BOTH_MISMATCH": "mismatch",
    } == {finding.name: finding.integrity for finding in Finding}
    assert ["HASH_MISMATCH"] == [
        f.name for f in Finding if f.reason == "hash_mismatch" and f.integrity == "mismatch"
    ]

"""What verification by hash notices, and what it never takes for wrong. A command: `make proofs`.

    python tests/hash_proof.py quiet 1000000      # no faults: false alarms, for each hash switch
    python tests/hash_proof.py deleted 200        # one price_change deleted at so many places

A fifth of what happens are engine steps of several messages; each message is a read of its own.
Sans-I/O: a Session is fed with the texts of a SimulatedExchange, and its clock is the exchange's. A
probe is answered by the exchange at once, as a Inspector would have it.
"""

from __future__ import annotations

import json
import logging
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any

from polymarket_ws.books.book import BookCore
from polymarket_ws.books.shelf import Books
from polymarket_ws.channels import clob
from polymarket_ws.channels.market import MarketDialect, MarketView
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.connection.session import Session, Tally
from polymarket_ws.events import Gap, Resync
from polymarket_ws.options import Options
from polymarket_ws.testing import SimulatedExchange
from polymarket_ws.wire.decode import decode_market
from polymarket_ws.wire.updates import Decoded, Snapshot

SWITCHES = list(product(("market", "taker"), ("early", "late")))
_ELSEWHERE = frozenset({"order", "trade", "best_bid_ask", "new_market"})
NOTICED_MS = 100  # a book that is wrong for less may be overwritten before it is checked
STEP_SHARE = 0.2
RUN = 20_000  # events after a deletion: enough for everything to be noticed and healed


def _frame(text: str) -> bytes:
    data = text.encode()
    size = len(data)
    if size < 126:
        return bytes([0x81, size]) + data
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + data
    return b"\x81\x7f" + size.to_bytes(8, "big") + data


class Line:
    """One session on one exchange, in the exchange's time."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self.exchange = exchange
        self.books = Books("hash")
        view = MarketView(self.books)
        dialect = MarketDialect("ws://127.0.0.1/ws/market", clob.heartbeat(10))
        assets = list(exchange.asset_ids)
        self.wanted = Wanted(frozenset(assets), {a: BookCore(a) for a in assets})
        view.want(self.wanted)
        self.session = Session("proof", dialect, view, Options(), Tally(), frozenset)
        self.told: list[tuple[float, Gap | Resync]] = []
        self.now = 0.0
        self.session.open(self.wanted, self.now)
        snapshots = [exchange.snapshot(a) for a in assets]
        self.receive(json.dumps(snapshots), self.now)

    def receive(self, text: str, now: float) -> None:
        self._pass_time(now)
        self._keep(self.session.receive(_frame(text), self.now, 0))
        self._pass_time(now)

    def _pass_time(self, now: float) -> None:
        """Run each timer when it is due, as a shard would."""
        while (due := self.books.deadline) <= now:
            self.now = max(self.now, due)
            self._keep(self.session.tick(self.now))
            for core in self.books.suspects(self.now):
                self._probe(core)
        self.now = max(self.now, now)

    def _probe(self, core: BookCore) -> None:
        (fresh,) = decode_market(json.dumps(self.exchange.snapshot(core.asset_id)), 0)
        assert isinstance(fresh, Decoded)
        assert isinstance(fresh.update, Snapshot)
        settled = self.books.settle(core, fresh.update, self.now)
        if settled.reason:
            replaced = [(fresh, settled.changed)]
            self._keep(self.session.tell_replaced(replaced, settled.reason, self.now))
        core.release_probe()

    def _keep(self, items: list[Any]) -> None:
        self.told += [(self.now, item) for item in items if isinstance(item, (Gap, Resync))]

    def wrong(self) -> list[str]:
        """The live books that are not the exchange's."""
        return [
            asset_id
            for asset_id, core in self.wanted.cores.items()
            if core.valid and not _same(core, self.exchange, asset_id)
        ]


def _same(core: BookCore, exchange: SimulatedExchange, asset_id: str) -> bool:
    ours, theirs = core.levels(None), exchange.book(asset_id)
    return (ours.bids, ours.asks) == (theirs.bids, theirs.asks)


def _public(exchange: SimulatedExchange) -> Iterator[tuple[float, dict[str, Any], bool]]:
    """Market-channel events with the exchange's time in seconds since its first, and whether its
    books stand as this event left them: the last of a step.
    """
    start_ms = None
    while True:
        happened = exchange.step()
        for event in happened:
            if event["event_type"] == "new_market":  # else ever less would happen in ours
                exchange.resolve(event["market"])
        events = [event for event in happened if event["event_type"] not in _ELSEWHERE]
        for number, event in enumerate(events, 1):
            start_ms = start_ms or int(event["timestamp"])
            yield (int(event["timestamp"]) - start_ms) / 1000, event, number == len(events)


def _exchange(seed: int, switches: tuple[str, str]) -> SimulatedExchange:
    price, timing = switches
    return SimulatedExchange(
        seed,
        3,
        hash_last_price=price,  # type: ignore[arg-type]  # two literals
        hash_timing=timing,  # type: ignore[arg-type]
        step_share=STEP_SHARE,
    )


class Warnings(logging.Handler):
    """Counts what is logged at WARNING or above."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def quiet(events: int) -> None:
    """Without faults: how many gaps are told, and how the checks ended."""
    for switches in SWITCHES:
        exchange, began = _exchange(1, switches), time.perf_counter()
        warnings = Warnings(logging.WARNING)
        logging.getLogger("polymarket_ws").addHandler(warnings)
        line = Line(exchange)
        kinds: Counter[str] = Counter()
        for count, (now, event, is_comparable) in enumerate(_public(exchange), 1):
            kinds[event["event_type"]] += 1
            line.receive(json.dumps(event), now)
            if count >= events and is_comparable:
                break
        wrong, counts = len(line.wrong()), line.books.counts
        print(
            f"{switches}: {events} events, false gaps {len(line.told)}, false mismatches "
            f"{counts.hash_mismatches} by hash, {counts.top_mismatches} by best prices, "
            f"warnings {warnings.count}, wrong books {wrong}, checks {counts.hash_checks}, "
            f"tick changes {kinds['tick_size_change']}, {time.perf_counter() - began:.0f} s",
            flush=True,
        )
        logging.getLogger("polymarket_ws").removeHandler(warnings)


def deleted(places: int) -> None:
    """One price_change is deleted at random: is it noticed, told and healed, and after how long?"""
    dice, outcomes = random.Random(7), Counter[str]()
    seen_after: list[float] = []
    healed_after: list[float] = []
    for place in range(places):
        line = Line(_exchange(place, SWITCHES[place % len(SWITCHES)]))
        outcome, seen, healed = _one_deletion(line, dice.randrange(200, 1500))
        outcomes[outcome] += 1
        seen_after += [] if seen is None else [seen]
        healed_after += [] if healed is None else [healed]
    for outcome, count in outcomes.most_common():
        print(f"{count:5} {outcome}")
    _print_times("loss to mismatch", seen_after)
    _print_times("loss to Resync", healed_after)


def _is_ours(line: Line, event: dict[str, Any]) -> bool:
    """Whether it is about a market of the beginning; the exchange opens more."""
    return all(change["asset_id"] in line.wanted.cores for change in event["price_changes"])


def _print_times(name: str, seconds: list[float]) -> None:
    if len(seconds) > 1:
        p90 = statistics.quantiles(seconds, n=10)[-1]
        print(
            f"{name}: {len(seconds)} times, median {statistics.median(seconds):.3f} s, "
            f"p90 {p90:.3f} s, most {max(seconds):.3f} s"
        )


def _one_deletion(line: Line, place: int) -> tuple[str, float | None, float | None]:
    """The outcome, and the seconds from the loss to the first mismatch and to the Resync."""
    lost_at, seen_at, wrong_at = None, None, 0.0
    changes, after, next_change_at = 0, 0, None
    lost: set[str] = set()
    for now, event, is_comparable in _public(line.exchange):
        is_change = event["event_type"] == "price_change" and _is_ours(line, event)
        changes += is_change
        if lost_at is None and changes == place:
            lost_at, lost = now, {c["asset_id"] for c in event["price_changes"]}
            continue
        line.receive(json.dumps(event), now)
        if lost_at is None:
            continue
        after += 1
        if seen_at is None and any(line.wanted.cores[a].integrity == "mismatch" for a in lost):
            seen_at = now
        if not is_comparable:
            continue
        if line.wrong():
            wrong_at = now
            if is_change and any(c["asset_id"] in lost for c in event["price_changes"]):
                next_change_at = next_change_at or now
        elif after > 50 or after >= RUN:
            break
    assert lost_at is not None
    seen = None if seen_at is None else seen_at - lost_at
    told = [at - lost_at for at, item in line.told if isinstance(item, Resync) and at >= lost_at]
    if told:
        return "told and healed", seen, told[0]
    if not wrong_at or wrong_at - lost_at <= NOTICED_MS / 1000:
        return "overwritten within 100 ms", seen, None
    if seen is not None:
        return "seen as a mismatch, overwritten by the stream before the proof", seen, None
    if next_change_at is None or wrong_at - next_change_at <= NOTICED_MS / 1000:
        return "overwritten within 100 ms of the asset's next change", None, None
    return "WRONG FOR MORE THAN 100 ms AND NOT SEEN", None, None


if __name__ == "__main__":
    logging.getLogger("polymarket_ws").propagate = False
    {"quiet": quiet, "deleted": deleted}[sys.argv[1]](int(sys.argv[2]))

"""A subscriber under load for minutes: what it keeps, and whether it stays right. `make soak`.

    python tests/proofs/soak_proof.py 20 --standby --write

The exchange acts several hundred times a second in a process of its own, and cuts a connection
every two seconds, in one of three ways. The subscriber follows some markets all the time, and
subscribes or unsubscribes another asset twice a second. Its callbacks are slow, or raise.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import itertools
import logging
import multiprocessing
import os
import random
import statistics
import sys
import threading
import time
from collections import Counter
from decimal import Decimal
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from kit.measured import write_part

from polymarket_ws import Options, Subscriber
from polymarket_ws.testing import FakeServer, SimulatedExchange

MARKETS, LASTING = 20, 10  # how many there are; how many of them are followed all the time
STEPS_PER_SECOND, BATCHES = 300, 50
CUT_SECONDS, SETTLED_SECONDS, CHURN_SECONDS = 2.0, 1.5, 0.5
COUNTED = ("price_change", "last_trade_price")
PATIENCE = 30.0
MIB = 2**20

SLOW_EVERY, SLOW_SECONDS, RAISE_EVERY = 100, 0.02, 250  # calls of one callback

Levels = list[tuple[tuple[Decimal, Decimal], ...]]


class Sum:
    """How many events, and a digest of them that does not depend on their order."""

    def __init__(self) -> None:
        self.count = 0
        self.digest = 0

    def add(self, *words: object) -> None:
        """Count one event by what tells it from others."""
        told = hashlib.blake2b("|".join(map(str, words)).encode(), digest_size=8).digest()
        self.count += 1
        self.digest = (self.digest + int.from_bytes(told, "big")) % 2**64


def serve(pipe: Pipe, standby: bool) -> None:
    """The server's process: act and cut until it is told to end, then tell what it sent.

    With a standby one of the two is cut, and only once both are sure to be in step: losing both at
    once is a gap, as it has to be.
    """
    exchange = SimulatedExchange(11, MARKETS, step_share=0.2)
    lasting = set(exchange.markets[:LASTING])
    sent, cuts, dice = Sum(), Counter[str](), random.Random(5)

    def act(exchange: SimulatedExchange) -> list[dict[str, Any]]:
        events = exchange.steps(STEPS_PER_SECOND // BATCHES)
        for event in events:
            if event["event_type"] == "new_market":  # else nothing would happen in ours any more
                exchange.resolve(event["market"])
        return events

    with FakeServer(exchange) as server:
        assets = list(exchange.asset_ids)
        pipe.send((server.url(), assets, assets[: 2 * LASTING], lasting))
        pipe.recv()  # the subscriber is ready
        ways = {
            "RST": lambda only: server.disconnect(only=only),
            "close": lambda only: server.disconnect(1001, "going away", only=only),
            "EOF": lambda only: server.end(only=only),
        }
        turn_at = cut_at = time.monotonic()
        while not pipe.poll(max(0.0, turn_at - time.monotonic())):
            turn_at += 1 / BATCHES
            for event in server.play(act):
                if event["event_type"] in COUNTED and event["market"] in lasting:
                    sent.add(*_told_on_the_wire(event))
            settled = [
                record
                for record in server.open_connections()
                if time.monotonic() >= record.accepted_at + SETTLED_SECONDS
            ]
            if time.monotonic() >= cut_at + CUT_SECONDS and len(settled) > standby:
                cut_at = time.monotonic()
                way = dice.choice(sorted(ways))
                cuts[way] += ways[way](dice.choice(settled))
        followed = pipe.recv()
        books = {asset_id: _levels(exchange.book(asset_id)) for asset_id in followed}
        pipe.send((sent, dict(cuts), books))
        pipe.recv()


def _told_on_the_wire(event: dict[str, Any]) -> list[object]:
    entries = event.get("price_changes")
    if entries is None:
        return [event["market"], event["timestamp"], event["transaction_hash"]]
    return [event["market"], event["timestamp"], *(e["asset_id"] + e["hash"] for e in entries)]


def _told(event: Any) -> list[object]:
    entries = getattr(event, "price_changes", None)
    if entries is None:
        return [event.market, event.timestamp_ms, event.transaction_hash]
    return [event.market, event.timestamp_ms, *(e.asset_id + e.hash for e in entries)]


def _levels(book: Any) -> Levels:
    return [tuple(map(tuple, side)) for side in (book.bids, book.asks)]


class Soak:
    """One run's subscriber: its callbacks, and what it follows besides the lasting markets."""

    def __init__(
        self, url: str, assets: list[str], lasting: list[str], markets: set[str], standby: bool
    ) -> None:
        self.received = Sum()
        self.gaps: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.churned = 0
        self._dice = random.Random(7)
        self._others = [asset_id for asset_id in assets if asset_id not in lasting]
        self._markets = markets
        options = Options(market_url=url, trust_env=False, standby=standby, backoff_cap=1.0)
        self.sub = Subscriber(lasting, options=options)
        for kind in COUNTED:
            getattr(self.sub, f"on_{kind}")(self._count)
        self.sub.on_gap(lambda gap: self.gaps.update([gap.reason]))
        self.sub.on_error(lambda error: self.errors.update([type(error).__name__]))
        calls = itertools.count(1)

        @self.sub.on_price_change
        def misbehave(event: Any) -> None:
            number = next(calls)
            if number % SLOW_EVERY == 0:
                _pause(SLOW_SECONDS)
            if number % RAISE_EVERY == 0:
                raise ValueError(f"call {number}")

    def _count(self, event: Any) -> None:
        if event.market in self._markets:
            self.received.add(*_told(event))

    def churn(self) -> None:
        """Subscribe one asset more, or one less."""
        asset_id = self._dice.choice(self._others)
        change = self.sub.unsubscribe if asset_id in self.sub.books else self.sub.subscribe
        change([asset_id])
        self.churned += 1

    def wrong_books(self, books: dict[str, Levels]) -> list[str]:
        """The assets whose book is not what the exchange has."""
        live = self.sub.books
        return [
            asset_id
            for asset_id, levels in books.items()
            if not live[asset_id].valid or _levels(live[asset_id].snapshot()) != levels
        ]


def follow(minutes: float, standby: bool) -> tuple[list[str], bool]:
    """Run, and return the report's lines and whether all is well."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs, standby), daemon=True
    )
    server.start()
    soak = Soak(*ours.recv(), standby)
    samples: list[tuple[float, float]] = []
    before = _usage()
    with soak.sub as sub:
        sub.wait_ready(PATIENCE)
        if standby:
            sub.wait_for("connect", timeout=PATIENCE)
        ours.send("ready")
        begun_at = time.monotonic()
        in_use = _usage()
        while (seconds := time.monotonic() - begun_at) < minutes * 60:
            samples.append((seconds, _usage()["RSS MiB"]))
            soak.churn()
            _pause(CHURN_SECONDS)
        ours.send(list(sub.books))
        sent, cuts, books = ours.recv()
        deadline = time.monotonic() + PATIENCE
        while soak.wrong_books(books) and time.monotonic() < deadline:
            _pause(0.1)
        sub._wait_until(lambda: not sub.stats().pending, PATIENCE)
        wrong, stats, at_end = soak.wrong_books(books), sub.stats(), _usage()
    ours.send("done")
    server.join(PATIENCE)
    gc.collect()
    after = _usage()
    received, slope = soak.received, _slope(samples[len(samples) // 2 :])
    is_exact = (received.count, received.digest) == (sent.count, sent.digest)
    rows = {
        "load": f"{minutes:g} minutes, {sent.count} counted events of {2 * LASTING} lasting assets",
        "cuts": ", ".join(f"{count} by {way}" for way, count in sorted(cuts.items())),
        "connections made anew, failovers": f"{stats.reconnects}, {stats.failovers}",
        "subscription changes": str(soak.churned),
        "callback errors, each raised on purpose": str(stats.callback_errors),
        "RSS, slope over the second half": f"{slope:+.2f} MiB an hour",
        "RSS at the start, at the end, after stop()": _three("RSS MiB", in_use, at_end, after),
        "threads before, in use, at the end, after stop()": _three(
            "threads", before, in_use, at_end, after
        ),
        "descriptors before, in use, at the end, after stop()": _three(
            "descriptors", before, in_use, at_end, after
        ),
        "delivered against sent": f"{received.count} of {sent.count}, "
        + ("each once" if is_exact else f"{sent.count - received.count} fell into gaps"),
        "gaps told": ", ".join(f"{count} {reason}" for reason, count in soak.gaps.items())
        or "none",
        "dropped by the queue, highest queue": f"{stats.dropped}, {stats.queue_high_water}",
        "hash mismatches of hash checks": f"{stats.hash_mismatches} of {stats.hash_checks}",
        "books wrong at the end": f"{len(wrong)} of {len(books)}",
        "on_error besides callbacks": ", ".join(sorted(soak.errors)) or "none",
        "internal errors": str(stats.internal_errors),
    }
    is_good = not (wrong or stats.internal_errors or stats.dropped) and (is_exact or not standby)
    is_good = is_good and after["threads"] == before["threads"]
    is_good = is_good and after["descriptors"] <= before["descriptors"]
    return [f"| {what} | {value} |" for what, value in rows.items()], is_good


def _usage() -> dict[str, float]:
    status = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in status)
    return {
        "RSS MiB": int(fields["VmRSS"].split()[0]) / 1024,
        "threads": int(fields["Threads"]),
        "descriptors": len(os.listdir("/proc/self/fd")),
    }


def _three(kind: str, *usages: dict[str, float]) -> str:
    return ", ".join(f"{usage[kind]:.4g}" for usage in usages)


def _slope(samples: list[tuple[float, float]]) -> float:
    """MiB an hour, by least squares."""
    times, sizes = zip(*samples, strict=True)
    return statistics.linear_regression(times, sizes).slope * 3600


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def main(arguments: list[str]) -> int:
    """Run once with these arguments; returns 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("minutes", type=float)
    parser.add_argument("--standby", action="store_true")
    parser.add_argument("--write", action="store_true", help="to docs/reliability.md")
    asked = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    lines, is_good = follow(asked.minutes, asked.standby)
    report = [f"| {'with' if asked.standby else 'without'} a standby | |", "|---|---|", *lines]
    print("\n".join(report))
    if asked.write:
        write_part("soak with standby" if asked.standby else "soak", report)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A standby and a rotation under load: what is delivered, against all that the exchange did.

    python tests/standby_proof.py 60 5000 killed rotated alone

- killed: with a standby, and one random connection is cut each second.
- rotated: each connection is replaced each second.
- alone: cut each second, without a standby.

The events are made first (minutes); the server runs in a process of its own. `make standby`.
"""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import pickle
import random
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from polymarket_ws import Gap, Options, Subscriber
from polymarket_ws.testing import FakeServer, SimulatedExchange
from polymarket_ws.testing.simulated_market import book_hash

LANE_KINDS = ("price_change", "book", "last_trade_price", "tick_size_change")
STEP_SHARE = 0.2  # of what happens: engine steps of several price_changes
BATCHES = 50  # a second: so many events at once, in the rhythm of a busy feed
TOLD_ELSEWHERE = frozenset({"order", "trade", "best_bid_ask", "new_market"})


class Replay:
    """Prepared events, and the books as they stand after those that were played: an exchange to a
    FakeServer, but as fast as it can send.
    """

    def __init__(self, count: int) -> None:
        exchange = SimulatedExchange(3, 4, step_share=STEP_SHARE)
        self.asset_ids = list(exchange.asset_ids)
        self._books = {a: dict(exchange.snapshot(a) or {}) for a in self.asset_ids}
        self._levels = {
            a: {s: {lv["price"]: lv["size"] for lv in book[s]} for s in ("bids", "asks")}
            for a, book in self._books.items()
        }
        self._parameters = {a: exchange.hash_parameters(a) for a in self.asset_ids}
        self.events: list[dict[str, Any]] = []
        self._prices: list[dict[str, str]] = []  # the market's last prices after each event
        self._ends: list[int] = []  # how many events there are after each engine step
        self._played = 0
        while len(self.events) < count:
            happened = exchange.step()
            for event in happened:
                if (
                    event["event_type"] == "new_market"
                ):  # else nothing would happen in ours any more
                    exchange.resolve(event["market"])
            ours = [e for e in happened if _is_ours(e, self.asset_ids)]
            self.events += ours
            self._prices += [dict(exchange._markets[e["market"]].last_prices) for e in ours]
            self._ends.append(len(self.events))

    def play(self, count: int) -> list[dict[str, Any]]:
        """The next events, so many or up to the end of the step that these cut; the books stand as
        they leave them: a snapshot never shows half a step.
        """
        until = self._ends[bisect_left(self._ends, min(self._played + count, len(self.events)))]
        events = self.events[self._played : until]
        for event, prices in zip(events, self._prices[self._played : until], strict=True):
            self._apply(event, prices)
        self._played = until
        return events

    def _apply(self, event: dict[str, Any], prices: dict[str, str]) -> None:
        for asset_id, price in prices.items():
            self._books[asset_id]["last_trade_price"] = price
        for change in event.get("price_changes", ()):
            sizes = self._levels[change["asset_id"]]["bids" if change["side"] == "BUY" else "asks"]
            if change["size"] == "0":
                sizes.pop(change["price"], None)
            else:
                sizes[change["price"]] = change["size"]
            self._books[change["asset_id"]]["timestamp"] = event["timestamp"]
        if event["event_type"] == "tick_size_change":
            self._books[event["asset_id"]]["tick_size"] = event["new_tick_size"]

    def snapshot(self, asset_id: str) -> dict[str, Any] | None:
        """The `book` that answers a subscription, with its true hash."""
        book, sides = self._books[asset_id], self._levels[asset_id]
        for side, falls in (("bids", False), ("asks", True)):
            prices = sorted(sides[side], key=Decimal, reverse=falls)
            book[side] = [{"price": price, "size": sides[side][price]} for price in prices]
        minimum, neg_risk = self._parameters[asset_id]
        return {**book, "hash": book_hash(book, min_order_size=minimum, neg_risk=neg_risk)}


def serve(pipe: Pipe, path: str, events_per_second: int, killing: bool) -> None:
    """The server's process: play prepared events at a rate; cut a connection each second."""
    replay: Replay = pickle.loads(Path(path).read_bytes())
    dice, cuts = random.Random(5), 0
    with FakeServer(replay) as server:  # type: ignore[arg-type]  # what it asks of an exchange
        pipe.send((server.url(), replay.asset_ids))
        pipe.recv()  # the subscriber is ready
        count, batch = len(replay.events), events_per_second // BATCHES
        began, sent = time.monotonic(), 0
        next_cut = began + 1.0
        while sent < count:
            sent += len(server.play(lambda _: replay.play(batch)))
            now = time.monotonic()
            if killing and now >= next_cut and sent < count - 2 * events_per_second:
                next_cut += 1.0
                open_ones = server.open_connections()
                if open_ones:
                    cuts += server.disconnect(only=dice.choice(open_ones))
            _pause(began + sent / events_per_second - now)
        took = time.monotonic() - began
        pipe.send((count, cuts, took, _digests(map(_of_wire, replay.events))))
        pipe.recv()


def _is_ours(event: dict[str, Any], assets: list[str]) -> bool:
    """Whether it is on the market channel, of a market of the beginning: more are opened."""
    return event["event_type"] not in TOLD_ELSEWHERE and bool(_assets(event) & set(assets))


def _pause(seconds: float) -> None:
    if seconds > 0:
        threading.Event().wait(seconds)


def _assets(event: dict[str, Any]) -> set[str]:
    named = [event.get("asset_id"), *(c["asset_id"] for c in event.get("price_changes", ()))]
    return {asset for asset in named if asset}


Told = tuple[str, str, str, str, str]
"""What tells an event: kind, market, asset, time, and the hashes of its changes or transaction.

Of texts alone, so that the garbage collector need not look at it: 300 000 events kept as they are
make each full collection last a second, in which nothing is received and both connections are cut.
"""


def _of_event(event: Any) -> Told:
    changes = getattr(event, "price_changes", None)
    if changes is not None:
        asset_id, mark = "", "".join(change.hash or "" for change in changes)
    else:
        asset_id = event.asset_id
        mark = getattr(event, "hash", None) or getattr(event, "transaction_hash", None) or ""
    return event.event_type, event.market, asset_id, str(event.timestamp_ms), mark


def _of_wire(event: dict[str, Any]) -> Told:
    mark = "".join(change["hash"] for change in event.get("price_changes", ()))
    mark = mark or event.get("hash") or event.get("transaction_hash") or ""
    kind, market, asset_id = event["event_type"], event["market"], event.get("asset_id", "")
    return kind, market, asset_id, event["timestamp"], mark


def _digests(events: Iterable[Told]) -> dict[tuple[str, str], list[str]]:
    """By lane, a digest of each event."""
    lanes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for told in events:
        kind, market, asset_id, *_ = told
        is_books = kind in ("price_change", "book")
        lane = ("books", market) if is_books else (kind, asset_id)
        lanes[lane].append(hashlib.sha1("|".join(told).encode()).hexdigest())
    return dict(lanes)


def follow(mode: str, path: str, events_per_second: int) -> int:
    """The client's process; returns the exit code."""
    ours, theirs = multiprocessing.Pipe()
    killing = mode in ("killed", "alone")
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs, path, events_per_second, killing), daemon=True
    )
    server.start()
    url, assets = ours.recv()
    options = Options(
        market_url=url,
        trust_env=False,
        standby=mode == "killed",
        rotate_every=1.0 if mode == "rotated" else None,
        queue_limit=2_000_000,
    )
    received: list[Told] = []
    gaps: list[Gap] = []

    def note(event: Any) -> None:
        if getattr(event, "tick_size", None) is None:  # else it answers a subscription
            received.append(_of_event(event))

    sub = Subscriber(assets, options=options)
    for kind in LANE_KINDS:
        getattr(sub, f"on_{kind}")(note)
    sub.on_gap(gaps.append)
    with sub:
        sub.wait_ready(60)
        assert mode != "killed" or sub.wait_for("connect", timeout=10)
        ours.send("ready")
        count, cuts, took, happened = ours.recv()
        deadline = time.monotonic() + 10
        while len(received) < count and time.monotonic() < deadline:
            _pause(0.1)
        _pause(0.5)
        stats = sub.stats()
    ours.send("done")
    return _report(mode, happened, _digests(received), cuts, took, gaps, stats, len(received))


def _report(
    mode: str,
    happened: dict[tuple[str, str], list[str]],
    delivered: dict[tuple[str, str], list[str]],
    cuts: int,
    took: float,
    gaps: list[Gap],
    stats: Any,
    count: int,
) -> int:
    missing = doubled = out_of_order = 0
    for lane, digests in happened.items():
        mine = delivered.get(lane, [])
        missing += sum((Counter(digests) - Counter(mine)).values())
        doubled += sum((Counter(mine) - Counter(digests)).values())
        out_of_order += sorted(mine) == sorted(digests) and mine != digests
    total = sum(map(len, happened.values()))
    print(
        f"{mode}: {total} events in {took:.0f} s ({total / took:.0f} a second), {cuts} cuts, "
        f"{stats.failovers} failovers, {stats.reconnects} connections made anew; "
        f"delivered {count}: missing {missing}, doubled {doubled}, "
        f"lanes out of order {out_of_order}; gaps {len(gaps)} "
        f"{dict(Counter(gap.reason for gap in gaps))}, dropped {stats.dropped}",
        flush=True,
    )
    exact = not (missing or doubled or out_of_order or gaps)
    return 0 if exact or mode == "alone" else 1


if __name__ == "__main__":
    logging.disable(logging.ERROR)
    seconds, rate, *modes = sys.argv[1:]
    with tempfile.NamedTemporaryFile() as file:
        file.write(pickle.dumps(Replay(int(seconds) * int(rate))))
        file.flush()
        sys.exit(max(follow(mode, file.name, int(rate)) for mode in modes))

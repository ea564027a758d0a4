"""The frames that every client is fed with: a life that can be told again and again.

All of it happens in one millisecond and ends where it began, so each round is as right as the first
one: every hash fits, no level is older than the snapshot.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from attrs import frozen

from polymarket_ws.testing import SimulatedExchange
from polymarket_ws.testing.exchange import OpenOrder

CAPTURE = Path(__file__).resolve().parents[3] / "shared" / "frames" / "market_capture.jsonl"
PRINTS, REFRESHES = 0.07, 0.03  # of all messages; the rest are price_change
STEPS = 0.1  # of the quotes and cancels: told as one engine step of several price_change
STEP_FRAMES = 2, 6


@frozen
class Workload:
    """Whom to subscribe, the answer to that, and one round of what follows."""

    asset_ids: list[str]
    snapshot: str
    texts: list[str]


def simulated(rounds: int = 2000, markets: int = 20, depth: int = 40, seed: int = 1) -> Workload:
    """Orders that come and go again: 90 % price_change, 7 % last_trade_price, 3 % book.

    One in ten is placed in place of another, in a step of two price_change; one in ten times
    several of a market are taken back at once.

    Args:
        rounds: Orders that are placed, and taken back, in one round: each brings two price_change.
        markets: Each with two tokens.
        depth: Levels on each side of a book, at first.
        seed: Of everything random.
    """
    exchange = SimulatedExchange(seed, markets, depth=depth, tick_size=Decimal("0.001"))
    assets, dice = list(exchange.asset_ids), random.Random(seed)
    prints = {a: _first_print(exchange, a) for a in assets[::2]}
    known = {order.id for order in exchange.open_orders}
    snapshot = json.dumps([exchange.snapshot(a) for a in assets], separators=(",", ":")) + "\n"
    texts: list[str] = []

    def tell(events: list[dict[str, Any]]) -> None:
        changes = [_text(e) for e in events if e["event_type"] == "price_change"]
        texts.extend(changes)
        for _ in changes:
            roll = dice.random() * (1 - PRINTS - REFRESHES)
            if roll < PRINTS:
                texts.append(_text(prints[dice.choice(assets[::2])]))
            elif roll < PRINTS + REFRESHES:
                texts.append(_text(_refresh(exchange, dice.choice(assets))))

    for _ in range(rounds):
        mine = _placed_since(exchange, known) if dice.random() < STEPS else []
        if mine:
            tell(_replace(exchange, dice.choice(mine), dice))
        else:
            tell(_quote(exchange, dice.choice(assets), dice))
    for order_ids in _taken_together(_placed_since(exchange, known), exchange, dice):
        tell(exchange.cancel_all(order_ids))
    return Workload(assets, snapshot, texts)


def _first_print(exchange: SimulatedExchange, asset_id: str) -> dict[str, Any]:
    """A trade before all else: its price is the last one throughout."""
    told = exchange.trade(asset_id, "BUY", "5")
    return next(e for e in told if e["event_type"] == "last_trade_price")


def _quote(exchange: SimulatedExchange, asset_id: str, dice: random.Random) -> list[dict[str, Any]]:
    """An order at or behind the best price."""
    return exchange.place(asset_id, "BUY", *_price_and_size(exchange, asset_id, dice))


def _replace(
    exchange: SimulatedExchange, order: OpenOrder, dice: random.Random
) -> list[dict[str, Any]]:
    """Another order for this one, in one step."""
    return exchange.replace(order.id, *_price_and_size(exchange, order.asset_id, dice))


def _price_and_size(
    exchange: SimulatedExchange, asset_id: str, dice: random.Random
) -> tuple[Decimal, Decimal]:
    best = exchange.book(asset_id).bids[0].price
    price = max(best - Decimal(dice.randrange(40)) / 1000, Decimal("0.001"))
    return price, dice.randrange(1500, 90000) / Decimal(100)


def _placed_since(exchange: SimulatedExchange, known: set[str]) -> list[OpenOrder]:
    return [order for order in exchange.open_orders if order.id not in known]


def _taken_together(
    orders: list[OpenOrder], exchange: SimulatedExchange, dice: random.Random
) -> Iterator[list[str]]:
    """The orders' ids in a random order, one by one or several of one market."""
    dice.shuffle(orders)
    left = {order.id: exchange.market_of(order.asset_id) for order in orders}
    for order_id, market in list(left.items()):
        if order_id not in left:
            continue
        most = dice.randint(*STEP_FRAMES) if dice.random() < STEPS else 1
        others = (other for other, of in left.items() if of == market and other != order_id)
        together = [order_id, *islice(others, most - 1)]
        for taken in together:
            del left[taken]
        yield together


def _refresh(exchange: SimulatedExchange, asset_id: str) -> dict[str, Any]:
    book = dict(exchange.snapshot(asset_id) or {})
    return {k: v for k, v in book.items() if k not in ("tick_size", "last_trade_price")}


def _text(event: dict[str, Any]) -> str:
    return json.dumps(event, separators=(", ", ":"))


def captured() -> Workload:
    """The live capture: its 59 frames after the first, whose hashes do not fit a second time."""
    first, *rest = CAPTURE.read_text().splitlines()
    return Workload([book["asset_id"] for book in json.loads(first)], first + "\n", rest)


def load(path: str) -> Workload:
    """Read what this file, run as a command, wrote."""
    data = json.loads(Path(path).read_text())
    return Workload(data["asset_ids"], data["snapshot"], data["texts"])


def write(made: Workload, path: Path) -> None:
    """Keep a workload for other processes."""
    parts = {"asset_ids": made.asset_ids, "snapshot": made.snapshot, "texts": made.texts}
    path.write_text(json.dumps(parts))


if __name__ == "__main__":
    write({"simulated": simulated, "captured": captured}[sys.argv[1]](), Path(sys.argv[2]))

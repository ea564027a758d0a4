"""The frames that every client is fed with: a life that can be told again and again.

All of it happens in one millisecond and ends where it began, so each round is as right as the first
one: every hash fits, no level is older than the snapshot.
"""

from __future__ import annotations

import json
import random
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import frozen

from polymarket_ws.testing import SimulatedExchange

CAPTURE = Path(__file__).resolve().parents[3] / "shared" / "frames" / "market_capture.jsonl"
PRINTS, REFRESHES = 0.07, 0.03  # of all messages; the rest are price_change


@frozen
class Workload:
    """Whom to subscribe, the answer to that, and one round of what follows."""

    asset_ids: list[str]
    snapshot: str
    texts: list[str]


def simulated(rounds: int = 2000, markets: int = 20, depth: int = 40, seed: int = 1) -> Workload:
    """Orders that come and go again: 90 % price_change, 7 % last_trade_price, 3 % book.

    Args:
        rounds: Orders that are placed, and taken back, in one round.
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
        texts.extend(_text(e) for e in events if e["event_type"] == "price_change")
        roll = dice.random() * (1 - PRINTS - REFRESHES)
        if roll < PRINTS:
            texts.append(_text(prints[dice.choice(assets[::2])]))
        elif roll < PRINTS + REFRESHES:
            texts.append(_text(_refresh(exchange, dice.choice(assets))))

    for _ in range(rounds):
        tell(_quote(exchange, dice.choice(assets), dice))
    mine = [order.id for order in exchange.open_orders if order.id not in known]
    dice.shuffle(mine)
    for order_id in mine:
        tell(exchange.cancel(order_id))
    return Workload(assets, snapshot, texts)


def _first_print(exchange: SimulatedExchange, asset_id: str) -> dict[str, Any]:
    """A trade before all else: its price is the last one throughout."""
    told = exchange.trade(asset_id, "BUY", "5")
    return next(e for e in told if e["event_type"] == "last_trade_price")


def _quote(exchange: SimulatedExchange, asset_id: str, dice: random.Random) -> list[dict[str, Any]]:
    """An order at or behind the best price."""
    best = exchange.book(asset_id).bids[0].price
    price = max(best - Decimal(dice.randrange(40)) / 1000, Decimal("0.001"))
    return exchange.place(asset_id, "BUY", price, str(dice.randrange(1500, 90000) / Decimal(100)))


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

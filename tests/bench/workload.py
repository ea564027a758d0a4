"""The frames that every client is fed with, made once and kept in a file."""

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
MIX = {"price_change": 0.90, "last_trade_price": 0.07, "book": 0.03}


@frozen
class Workload:
    """One market channel's life: whom to subscribe, the answer to that, and what follows."""

    asset_ids: list[str]
    snapshot: str
    texts: list[str]


def simulated(count: int, markets: int = 20, depth: int = 40, seed: int = 1) -> Workload:
    """A SimulatedExchange whose messages are 90 % price_change, 7 % prints and 3 % refreshes.

    Every hash is right. Books have about `depth` levels on each side.
    """
    exchange = SimulatedExchange(seed, markets, depth=depth, tick_size=Decimal("0.001"))
    assets = list(exchange.asset_ids)
    snapshots = [exchange.snapshot(asset_id) for asset_id in assets]
    dice, texts = random.Random(seed), []
    while len(texts) < count:
        asset_id = dice.choice(assets)
        is_trade = dice.random() < MIX["last_trade_price"]
        events = (
            exchange.trade(asset_id, "BUY", "5") if is_trade else _quote(exchange, asset_id, dice)
        )
        exchange.advance(dice.choice((0, 1, 3)))
        texts += [_text(e) for e in events if _is_kept(e, dice)]
    return Workload(assets, json.dumps(snapshots, separators=(",", ":")) + "\n", texts[:count])


def _quote(exchange: SimulatedExchange, asset_id: str, dice: random.Random) -> list[dict[str, Any]]:
    """An order near the best price, or a cancel where there are many."""
    top = exchange.book(asset_id)
    resting = (
        [o for o in exchange.open_orders if o.asset_id == asset_id] if len(top.bids) > 60 else []
    )
    if resting:
        return exchange.cancel(dice.choice(resting).id)
    best = top.bids[0].price if top.bids else Decimal("0.010")
    price = max(best - Decimal(dice.randrange(40)) / 1000, Decimal("0.001"))
    return exchange.place(asset_id, "BUY", price, str(dice.randrange(1500, 90000) / Decimal(100)))


def _is_kept(event: dict[str, Any], dice: random.Random) -> bool:
    """A trade brings two refreshes, of which so many are kept as the mix wants."""
    kind = event["event_type"]
    if kind == "book":
        return dice.random() < MIX["book"] / (2 * MIX["last_trade_price"])
    return kind in MIX or kind == "tick_size_change"


def _text(event: dict[str, Any]) -> str:
    return json.dumps(event, separators=(", ", ":"))


def captured(count: int) -> Workload:
    """The live capture again and again, each time with later times; its hashes then fit no more."""
    first, *rest = CAPTURE.read_text().splitlines()
    books = json.loads(first)
    events = [json.loads(line) for line in rest]
    texts: list[str] = []
    for turn in range(count // len(events) + 1):
        for event in events:
            moved = {**event, "timestamp": str(int(event["timestamp"]) + turn * 3_600_000)}
            texts.append(_text(moved))
    assets = [book["asset_id"] for book in books]
    return Workload(assets, first + "\n", texts[:count])


def load(path: Path) -> Workload:
    """Read what `main` wrote."""
    data = json.loads(path.read_text())
    return Workload(data["asset_ids"], data["snapshot"], data["texts"])


def main(kind: str, count: int, path: Path) -> None:
    """Make a workload and write it."""
    made = {"simulated": simulated, "captured": captured}[kind](count)
    path.write_text(
        json.dumps({"asset_ids": made.asset_ids, "snapshot": made.snapshot, "texts": made.texts})
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))

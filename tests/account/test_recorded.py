"""Captured and documented frames through the account: whose fills they are, and what is held."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from polymarket_ws.account.core import AccountCore
from polymarket_ws.events import Order, Trade
from polymarket_ws.wire.decode import decode_listed_trade, decode_user
from polymarket_ws.wire.updates import Decoded

TAKER, MAKER = "699a8016-2639-997b-e72e-916e57783395", "f13cd2a4-7647-a9ed-eb2e-30a05e27b270"
CAPTURED = "3e2c94ca-8124-c4c1-c7ea-be1ea21b71fe"  # who was sent the frame with six makers
YES, NO = "4301913150008555", "7219288355080279"


def listed(frames: Path) -> list[Trade]:
    """The captured rows of REST, as they were listed for MAKER."""
    rows = json.loads((frames / "rest" / "data_trades.json").read_text())["data"]
    return [decode_listed_trade(row, 5) for row in rows]


def as_seen_by_the_other(trade: Trade) -> Trade:
    """The same row, listed for the other owner."""
    return evolve(trade, trader_side="TAKER" if trade.trader_side == "MAKER" else "MAKER")


@pytest.mark.parametrize(
    ("key", "fills", "asset", "size"),
    [
        (MAKER, [("MAKER", "15.88", "0.13"), ("TAKER", "4.12", "0.13")], YES, "-20.00"),
        (TAKER, [("TAKER", "15.88", "0.87"), ("MAKER", "4.12", "0.87")], NO, "-20.00"),
        ("another", [], YES, "0"),
    ],
)
def test_the_listed_trades_of_each_owner(
    frames_dir: Path, key: str, fills: list[tuple[str, str, str]], asset: str, size: str
) -> None:
    """Two trades in which one sold YES and the other NO: each one's own token, size and price."""
    core = AccountCore(key)
    for trade in listed(frames_dir):
        seen = trade if key == MAKER else as_seen_by_the_other(trade)
        core.apply(evolve(seen, trader_side=None) if key == "another" else seen, 0.0)

    expected = [(role, Decimal(s), Decimal(p)) for role, s, p in fills]
    assert expected == [(fill.role, fill.size, fill.price) for fill in core.fills()]
    assert {asset} == {fill.asset_id[:16] for fill in core.fills() if fill.asset_id} or not fills
    assert all(fill.side == "SELL" and fill.source == "rest" for fill in core.fills())
    held = [core.position(asset_id).size for asset_id in core.ledgers]
    assert ([Decimal(size)] if fills else []) == held


TABLE = """
user_order:1 0001 order 0x123456 CANCELED 0.0/100.0 => order
user_order:2 0001 order 0x123456 MATCHED 100.0/100.0 => order
user_order:3 0001 order 0x123456 LIVE 0.0/100.0 => nothing
user_order:4 0001 order 0x123456 LIVE 0.0/100.0 => nothing
user_order:5 0001 order 0x123456 LIVE 25.0/100.0 => nothing
user_order:6 0001 order 0x0e INVALID 0/20 => order
user_order:7 71fe order 0x0f76f4 LIVE 0/5 => order
user_order:8 a465 order 0xff354c None 0/10 => order
user_order:9 a465 order 0xff354c None 0/10 => nothing
user_order:10 a465 order 0xff354c LIVE 0/10 => order
user_order:11 71fe order 0x0f76f4 LIVE 2/5 => order
user_order_captured:1 c608 order 0x75e088 LIVE 0/100 => order
user_order_captured:2 c608 order 0x75e088 CANCELED 0/100 => order
user_trade:1 0001 trade trade-0x CONFIRMED => trade; TAKER 0x123456 BUY 25.0 at 0.5
user_trade:2 0001 trade trade-0x CONFIRMED => nothing
user_trade:3 71fe trade 0c357886 CONFIRMED => trade; TAKER 0x4505aa BUY 5 at 0.489
user_trade:4 71fe trade 83b5c849 MINED => trade; MAKER 0xab679e SELL 5 at 0.518
user_trade:5 71fe trade f50e8ab2 MATCHED => trade; TAKER 0x5b605a BUY 5 at 0.52
user_trade:6 a465 trade 28c4d2eb MATCHED => trade; TAKER 0x06bc63 BUY 10 at 0.57; MAKER 0xff354c SELL 10 at 0.57
user_trade:7 a465 trade 28c4d2eb MATCHED => nothing
user_trade:8 71fe trade f50e8ab2 MATCHED => nothing
user_trade:9 71fe trade f50e8ab2 MINED => trade; TAKER 0x5b605a BUY 5 at 0.52
user_trade:10 71fe trade f50e8ab2 RETRYING => trade; TAKER 0x5b605a BUY 5 at 0.52
user_trade:11 71fe trade f50e8ab2 FAILED => trade; TAKER 0x5b605a BUY 5 at 0.52
"""  # noqa: E501 - a table


def table(frames: Path) -> list[str]:
    """Every line of the user channel, each account's through its own."""
    found: list[str] = []
    cores: dict[str, AccountCore] = {}
    for name in ("user_order", "user_order_captured", "user_trade"):
        lines = (frames / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            decoded = decode_user(line, 1)[0]
            assert isinstance(decoded, Decoded)
            event: Any = decoded.event
            key = CAPTURED if getattr(event, "trader_side", None) == "MAKER" else event.owner
            core = cores.setdefault(key, AccountCore(key))
            told = [_shown(event) for event in core.apply(event, float(number))]
            found.append(f"{name}:{number} {key[-4:]} {_shown(event)} => {_words(told)}")
    return found


def _shown(event: Any) -> str:
    if isinstance(event, Order):
        return f"order {event.id[:8]} {event.status} {event.size_matched}/{event.original_size}"
    if isinstance(event, Trade):
        return f"trade {event.id[:8]} {event.status}"
    return f"{event.role} {event.order_id[:8]} {event.side} {event.size} at {event.price}"


def _words(told: list[str]) -> str:
    return "; ".join([told[0].split()[0], *told[1:]]) if told else "nothing"


def test_every_frame_of_the_user_channel(frames_dir: Path) -> None:
    """What each line is, and what is told by it: its fills, or nothing for one told before."""
    assert TABLE.split("\n")[1:-1] == table(frames_dir)

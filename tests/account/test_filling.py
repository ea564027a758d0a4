"""Whether an order is filled: by its own word or by its fills, less what FAILED."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from polymarket_ws.account.filling import Filling, filling
from polymarket_ws.events import Fill, Order, Side

OPEN, FILLED, ENDED = Filling.OPEN, Filling.FILLED, Filling.ENDED


def order(status: str, matched: int | None = 0, **fields: Any) -> Order:
    """An order of 10 shares."""
    size = None if matched is None else Decimal(matched)
    given = {"original_size": Decimal(10), "size_matched": size, **fields}
    return Order(id="o", status=status, timestamp_ms=1, **given)


def fill(size: int, status: str = "MATCHED") -> Fill:
    """A part of it."""
    return Fill(
        trade_id=f"t{size}",
        order_id="o",
        market=None,
        asset_id="1",
        outcome=None,
        side=Side.BUY,
        price=None,
        size=Decimal(size),
        fee_rate_bps=None,
        role="MAKER",
        status=status,
        timestamp_ms=1,
    )


@pytest.mark.parametrize(
    ("known", "fills", "expected"),
    [
        (None, [fill(10)], OPEN),
        (order("LIVE"), [], OPEN),
        (order("LIVE", 4), [fill(4)], OPEN),
        (order("LIVE"), [fill(4), fill(6)], FILLED),
        (order("MATCHED", 10), [], FILLED),
        (order("MATCHED", 10), [fill(10, "CONFIRMED")], FILLED),
        (order("MATCHED", 10), [fill(4), fill(6, "FAILED")], ENDED),
        (order("LIVE", 10), [fill(6, "FAILED")], ENDED),
        (order("MATCHED", None), [], FILLED),
        (order("MATCHED", None, original_size=None), [fill(1, "FAILED")], ENDED),
        (order("MATCHED", 9, order_type="FAK"), [], FILLED),
        (order("CANCELED", 4), [fill(4)], ENDED),
        (order("CANCELED", 10), [], FILLED),
        (order("CANCELED_not enough", None), [], ENDED),
        (order("UNKNOWN", 4), [fill(4)], ENDED),
        (order("UNKNOWN", 4), [fill(4), fill(6)], FILLED),
    ],
)
def test_how_an_order_stands(known: Order | None, fills: list[Fill], expected: Filling) -> None:
    """Either may come first; an unknown order may still be filled; FAILED shares do not count."""
    assert expected is filling(known, fills)

"""What a fast constructor makes cannot be told from what the frozen class makes itself."""

from __future__ import annotations

import pickle
from decimal import Decimal

import attrs
import pytest

from polymarket_ws.events import LastTradePrice, LevelChange, PriceChange, Side, Value
from polymarket_ws.wire.construct import make_last_trade_price, make_level_change, make_price_change

LEVEL = LevelChange(
    asset_id="1",
    price=Decimal("0.5"),
    size=Decimal(10),
    side=Side.BUY,
    hash="ab",
    best_bid=Decimal("0.5"),
    best_ask=Decimal("0.6"),
)
CHANGE = PriceChange(market="0x1", price_changes=(LEVEL,), timestamp_ms=1, received_at_ns=2)
PRINT = LastTradePrice(
    market="0x1",
    asset_id="1",
    price=Decimal("0.5"),
    size=Decimal(3),
    side=Side.SELL,
    timestamp_ms=1,
    fee_rate_bps=Decimal(0),
    transaction_hash="0xab",
    received_at_ns=2,
)
MADE = [
    (
        LEVEL,
        make_level_change(
            "1", Decimal("0.5"), Decimal(10), Side.BUY, "ab", Decimal("0.5"), Decimal("0.6")
        ),
    ),
    (CHANGE, make_price_change("0x1", (LEVEL,), 1, 2)),
    (
        PRINT,
        make_last_trade_price(
            "0x1", "1", PRINT.price, PRINT.size, Side.SELL, 1, Decimal(0), "0xab", 2
        ),
    ),
]


@pytest.mark.parametrize(("value", "made"), MADE, ids=["level", "change", "print"])
def test_a_fast_constructor_makes_the_value(value: Value, made: Value) -> None:
    """Of its class, with all its fields, equal, frozen, hashable and picklable."""
    names = [field.name for field in attrs.fields(type(value))]

    assert type(made) is type(value)
    assert [getattr(value, name) for name in names] == [getattr(made, name) for name in names]
    assert value == made
    assert hash(value) == hash(made)
    assert repr(value) == repr(made)
    assert made == pickle.loads(pickle.dumps(made))
    assert made.to_dict() == attrs.evolve(value).to_dict()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.extra = {}  # type: ignore[misc]


def test_each_made_value_has_an_extra_of_its_own() -> None:
    """What a caller writes into one does not show in another."""
    one, other = (make_price_change("0x1", (), 1, 2) for _ in range(2))

    assert one.extra == {} == other.extra
    assert one.extra is not other.extra

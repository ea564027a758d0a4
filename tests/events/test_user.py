"""What the user channel sends, and its shape on the wire."""

from __future__ import annotations

from decimal import Decimal

from kit.examples import TOKEN, M, order

from polymarket_ws.events import MakerOrder, Side, Trade


def test_an_order_goes_back_to_the_wires_shape() -> None:
    """Times that the wire has in seconds are in seconds, unless that would lose something."""
    value = order(
        size_matched=Decimal("0"),
        created_at_ms=1_700_000_000_000,
        expiration_ms=1_700_000_000_001,
        associate_trades=("t1", "t2"),
        status="LIVE",
    )

    assert {
        "event_type": "order",
        "id": "0x" + "f" * 64,
        "type": "PLACEMENT",
        "market": M,
        "asset_id": TOKEN,
        "side": "BUY",
        "price": "0.5",
        "original_size": "10",
        "size_matched": "0",
        "status": "LIVE",
        "timestamp": "1700000000000",
        "created_at": "1700000000",
        "expiration": "1700000000001",
        "associate_trades": ["t1", "t2"],
    } == value.to_dict()
    assert str is type(value.to_dict()["side"])


def test_makers_go_back_too() -> None:
    """They are objects on the wire; a whole number stays one, 0 too."""
    maker = MakerOrder(
        order_id="o", matched_amount=Decimal(3), price=Decimal("0.5"), outcome_index=1
    )
    written = Trade(
        id="t",
        status="MATCHED",
        market=M,
        asset_id=TOKEN,
        side=Side.BUY,
        size=Decimal(3),
        price=Decimal("0.5"),
        bucket_index=0,
        maker_orders=(maker,),
        timestamp_ms=1,
    ).to_dict()

    assert [
        {"order_id": "o", "matched_amount": "3", "price": "0.5", "outcome_index": 1}
    ] == written["maker_orders"]
    assert 0 == written["bucket_index"]

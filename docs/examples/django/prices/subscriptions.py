"""Handlers, found by `manage.py polymarket_stream`."""

from polymarket_ws import LastTradePrice
from polymarket_ws.contrib.django import subscriber

from .models import Print


@subscriber.on_last_trade_price
def store(trade: LastTradePrice) -> None:
    """Write a row for each public trade."""
    Print.objects.create(
        asset_id=trade.asset_id,
        side=trade.side.value,
        price=trade.price,
        size=trade.size,
        timestamp_ms=trade.timestamp_ms,
    )

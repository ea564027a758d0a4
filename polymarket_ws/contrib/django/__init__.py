"""A Django app: `POLYMARKET_WS` in the settings, handlers in each app's subscriptions.py.

    # shop/subscriptions.py
    from polymarket_ws.contrib.django import subscriber

    @subscriber.on_last_trade_price
    def store(trade):
        Print.objects.create(asset_id=trade.asset_id, price=trade.price, size=trade.size)

`manage.py polymarket_stream` calls the handlers; `start_in_worker` keeps books live in a web
worker. Installing the app starts nothing. See docs/django.md.
"""

from __future__ import annotations

from .lazy_subscriber import subscriber
from .workers import start_in_worker

__all__ = ["start_in_worker", "subscriber"]

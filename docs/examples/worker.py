"""A worker's price feed: one Subscriber for a process, started and stopped by its hooks.

    prices = PriceFeed(["7132104567...2563"])

    # under gunicorn, in gunicorn.conf.py
    def post_fork(server, worker): prices.start()
    def worker_exit(server, worker): prices.stop()

Construct it at import time: that starts nothing. Start it in the worker process, after the fork.
Celery and Flask have integrations that do: docs/celery.md, docs/flask.md.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from decimal import Decimal

from polymarket_ws import LastTradePrice, Options, Subscriber

logger = logging.getLogger(__name__)


class PriceFeed:
    """Prices for the tasks of one process. Every method may be called from any thread."""

    def __init__(self, asset_ids: Iterable[str], options: Options | None = None) -> None:
        self._sub = Subscriber(asset_ids, options=options, name="prices")
        self._sub.on_last_trade_price(self._count)
        self.trades = 0

    def start(self, **_: object) -> None:
        """Begin to follow; a second call changes nothing."""
        self._sub.start()

    def stop(self, **_: object) -> None:
        """End, within five seconds."""
        if not self._sub.stop(timeout=5):
            logger.error("a callback of the price feed did not return")

    def restart(self) -> None:
        self.stop()
        self.start()

    def wait_ready(self, timeout: float = 10) -> None:
        self._sub.wait_ready(timeout)

    def mid(self, asset_id: str) -> Decimal | None:
        """Halfway between the best prices; None while the book cannot be trusted."""
        top = self._sub.books[asset_id].top
        if not (top.valid and top.bid and top.ask):
            return None
        return (top.bid.price + top.ask.price) / 2

    def health(self) -> dict[str, object]:
        """For a health check's endpoint."""
        stats = self._sub.stats()
        return {
            "healthy": self._sub.healthy,
            "state": str(stats.state),
            "reconnects": stats.reconnects,
            "dropped": stats.dropped,
        }

    def _count(self, trade: LastTradePrice) -> None:
        self.trades += 1  # on the callback thread, the only one that writes it

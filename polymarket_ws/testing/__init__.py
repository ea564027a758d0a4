"""A fake server, a simulated exchange and event builders, for tests of code that uses this package.

Needs the extra: `pip install polymarket-ws[testing]`.
"""

from __future__ import annotations

try:
    import websockets.server  # noqa: F401 - only to say at once what is missing
except ImportError as error:
    raise ImportError(
        "polymarket_ws.testing needs the websockets package: install polymarket-ws[testing]"
    ) from error

from .builders import (
    make_best_bid_ask,
    make_book,
    make_last_trade_price,
    make_maker_order,
    make_market_resolved,
    make_new_market,
    make_order,
    make_price_change,
    make_tick_size_change,
    make_trade,
)
from .exchange import SimulatedExchange
from .faults import BAD_FRAMES, Faults
from .record import ConnectionRecord
from .server import FakeServer

__all__ = [
    "BAD_FRAMES",
    "ConnectionRecord",
    "FakeServer",
    "Faults",
    "SimulatedExchange",
    "make_best_bid_ask",
    "make_book",
    "make_last_trade_price",
    "make_maker_order",
    "make_market_resolved",
    "make_new_market",
    "make_order",
    "make_price_change",
    "make_tick_size_change",
    "make_trade",
]

"""One's own orders and trades: the latest of each, and which trade statuses were told already."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

from attrs import define, field

from polymarket_ws.events import Event, Order, Trade

KEPT = 10_000  # of each kind; months of a busy account, and a bound for a worker that never ends

_OPEN_ORDERS = frozenset({"LIVE", "DELAYED", "UNMATCHED"})
_FINAL_TRADES = frozenset({"CONFIRMED", "FAILED"})

_V = TypeVar("_V", bound=Order | Trade)


@define(eq=False)
class Account:
    """What the user channel told in one run. Written by its shard's thread, read from any."""

    orders: OrderedDict[str, Order] = field(factory=OrderedDict)
    """The latest of each by id, the one told last at the end."""
    trades: OrderedDict[str, Trade] = field(factory=OrderedDict)
    """The same."""
    duplicates: int = 0
    """Trades whose (id, status) had been told before."""
    _told: dict[tuple[str, str], None] = field(factory=dict)

    def apply(self, event: Event) -> bool:
        """Take an order or a trade; False when it was told before: not to be delivered."""
        if isinstance(event, Order):
            _keep(self.orders, event.id, event)
        elif isinstance(event, Trade):
            return self._apply_trade(event)
        return True

    def _apply_trade(self, trade: Trade) -> bool:
        key = (trade.id, trade.status)
        if key in self._told:
            self.duplicates += 1
            return False
        self._told[key] = None
        if len(self._told) > 4 * KEPT:
            del self._told[next(iter(self._told))]
        former = self.trades.get(trade.id)
        if former is None or former.status not in _FINAL_TRADES:
            _keep(self.trades, trade.id, trade)
        return True


def _is_open(value: Order | Trade) -> bool:
    if isinstance(value, Trade):
        return value.status not in _FINAL_TRADES
    return value.type != "CANCELLATION" and (value.status or "LIVE") in _OPEN_ORDERS


def _keep(values: OrderedDict[str, _V], id_: str, value: _V) -> None:
    """Store the value; beyond KEPT the one that ended longest ago goes. Open ones always stay."""
    values[id_] = value
    values.move_to_end(id_)  # and never out of it for a moment: other threads look it up meanwhile
    if len(values) <= KEPT:
        return
    oldest = next((i for i, v in values.items() if not _is_open(v)), None)
    if oldest is not None:
        del values[oldest]

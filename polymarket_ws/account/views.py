"""One's own orders and trades: the latest of each, and which trade statuses were told already."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

from attrs import define, field

from polymarket_ws.events import Event, Order, Trade

KEPT = 10_000  # of each kind; months of a busy account, and a bound for a worker that never ends
MOST_OPEN = 100_000  # of each kind: far more than an account can have open, so a server's fault

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
    _ended_orders: dict[str, None] = field(factory=dict)
    """The ids of those that can go, the one that ended longest ago first."""
    _ended_trades: dict[str, None] = field(factory=dict)

    def apply(self, event: Event) -> bool:
        """Take an order or a trade; False when it was told before: not to be delivered."""
        if isinstance(event, Order):
            is_open = event.type != "CANCELLATION" and (event.status or "LIVE") in _OPEN_ORDERS
            _keep(self.orders, event, self._ended_orders, is_open=is_open)
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
            is_open = trade.status not in _FINAL_TRADES
            _keep(self.trades, trade, self._ended_trades, is_open=is_open)
        return True


def _keep(
    values: OrderedDict[str, _V], value: _V, ended: dict[str, None], *, is_open: bool
) -> None:
    """Store the latest; beyond KEPT the one that ended longest ago goes.

    Open ones stay, up to MOST_OPEN: then the one that was told longest ago goes, whatever it is.
    """
    id_ = value.id
    values[id_] = value
    values.move_to_end(id_)  # and never out of it for a moment: other threads look it up meanwhile
    ended.pop(id_, None)
    if not is_open:
        ended[id_] = None
    if len(values) > KEPT and ended:
        oldest = next(iter(ended))
        del ended[oldest], values[oldest]
    elif len(values) > MOST_OPEN:
        values.popitem(last=False)

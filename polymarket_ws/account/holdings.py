"""All of one's own fills, by trade, order and asset, and the positions that they make."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from decimal import Decimal
from types import MappingProxyType

from attrs import define, field

from polymarket_ws.events import Fill, Trade

from .positions import Ledger, Row
from .retention import KEPT

_NO_ROWS: Mapping[str | None, Row] = MappingProxyType({})


@define(eq=False)
class Holdings:
    """Written by one thread, read by any: what is handed out is a copy."""

    ledgers: dict[str, Ledger] = field(factory=dict)
    """What is held of each asset."""
    dropped: int = 0
    """Positions that were forgotten though something was held, since there were too many."""
    _rows: dict[tuple[str, str | None], Row] = field(factory=dict)
    """All fills, by trade and order."""
    _by_trade: dict[str, dict[str | None, Row]] = field(factory=dict)
    _by_order: dict[str, dict[str, Row]] = field(factory=dict)
    _idle: OrderedDict[str, None] = field(factory=OrderedDict)
    """The assets of which something is held, and no fill is remembered; the one idle longest
    first."""

    def of_trade(self, trade_id: str) -> Mapping[str | None, Row]:
        """The fills of one trade, by order. For the writing thread."""
        return self._by_trade.get(trade_id, _NO_ROWS)

    def of_order(self, order_id: str) -> list[Fill]:
        """The fills of one order."""
        return [row.fill for row in list(self._by_order.get(order_id, {}).values())]

    def fills(self, order_id: str | None, asset_id: str | None) -> list[Fill]:
        """The fills of one order, one asset, or all; oldest first."""
        if order_id is not None:
            rows = list(self._by_order.get(order_id, {}).values())
        elif asset_id is not None:
            ledger = self.ledgers.get(asset_id)
            rows = [] if ledger is None else list(ledger.rows.values())
        else:
            rows = list(self._rows.values())
        rows.sort(key=lambda row: row.key)
        fills = (row.fill for row in rows)
        return [fill for fill in fills if asset_id is None or fill.asset_id == asset_id]

    def put(self, trade: Trade, first_ms: int, fill: Fill) -> bool:
        """Take a fill of a trade; whether it is new or has a new status.

        Args:
            trade: As it is known now.
            first_ms: The time of its first message.
            fill: One's own part in it.
        """
        key = trade.match_time_ms or first_ms, first_ms, trade.id, fill.order_id or ""
        row = self._rows.get((trade.id, fill.order_id))
        is_told = row is None or row.fill.status != fill.status
        if row is None:
            row = self._add(Row(fill, key))
        if row.ledger is None and fill.asset_id is not None:
            row.ledger = self.ledger(fill.asset_id)
            row.ledger.put(row, fill)
        elif row.ledger is None:
            row.fill = fill
        elif row.fill != fill:
            row.ledger.put(row, fill)
        if row.key != key:
            row.move(key)
        return is_told

    def forget(self, trade_id: str) -> None:
        """Forget the fills of a trade, but not what they have done to positions."""
        for row in self._by_trade.pop(trade_id, {}).values():
            order_id = row.fill.order_id
            del self._rows[trade_id, order_id]
            if order_id is not None:
                of_order = self._by_order[order_id]
                del of_order[trade_id]
                if not of_order:
                    del self._by_order[order_id]
            if row.ledger is not None:
                row.ledger.forget(row)
                self._forget_ledger(row.ledger)

    def seed(
        self,
        asset_id: str,
        market: str | None,
        size: Decimal,
        average: Decimal | None,
        counted: Collection[str],
    ) -> None:
        """Start a position from what somebody else says is held; see `Ledger.seed`."""
        ledger = self.ledger(asset_id)
        ledger.market = ledger.market or market
        ledger.seed(size, average, counted)
        self._forget_ledger(ledger)

    def ledger(self, asset_id: str) -> Ledger:
        """The ledger of an asset, made when it is first needed."""
        ledger = self.ledgers.get(asset_id)
        if ledger is None:
            ledger = self.ledgers[asset_id] = Ledger(asset_id)
        return ledger

    def _add(self, row: Row) -> Row:
        trade_id, order_id = row.fill.trade_id, row.fill.order_id
        self._rows[trade_id, order_id] = row
        self._by_trade.setdefault(trade_id, {})[order_id] = row
        if order_id is not None:
            self._by_order.setdefault(order_id, {})[trade_id] = row
        return row

    def _forget_ledger(self, ledger: Ledger) -> None:
        """Forget an asset without fills of which nothing is held; or the one idle longest."""
        self._idle.pop(ledger.asset_id, None)
        if ledger.rows:
            return
        if not ledger.total[0]:
            del self.ledgers[ledger.asset_id]
            return
        self._idle[ledger.asset_id] = None
        if len(self._idle) > KEPT:
            idle, _ = self._idle.popitem(last=False)
            if not self.ledgers[idle].rows:
                del self.ledgers[idle]
                self.dropped += 1

"""What is known of one account: its orders, trades, fills and positions, whoever told of them.

The user channel and REST's listings come through the same door, in any order and any number of
times; what is held in the end does not depend on it. Sans-I/O.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from decimal import Decimal

from attrs import define, evolve, field

from polymarket_ws.events import Event, Fill, Order, Trade

from .completeness import Completeness
from .filling import Filling, filling
from .fills import TickOf, named_orders, own_fills, with_status_of
from .merging import merged_order, merged_trade
from .positions import Ledger, Position, Row
from .retention import KEPT, Retention
from .statuses import (
    CONFIRMED,
    UNKNOWN,
    is_final,
    is_later_order,
    is_later_trade,
    is_open,
)

MOST_FORGOTTEN = 4 * KEPT  # ids of trades

_NOTHING = Decimal(0)
_NEVER = float("-inf")


def no_tick(asset_id: str) -> None:
    """Nothing is known of any asset."""


@define(eq=False)
class _TradeRecord:
    """What is known of a trade beside its latest message."""

    first_ms: int
    """The least time of any message."""
    told: set[str | None] = field(factory=set)
    """The statuses that were news."""
    rows: dict[str | None, Row] = field(factory=dict)
    """One's own fills in it, by order."""


@define(eq=False)
class AccountCore:
    """The account in one run. Made by an Engine.

    The user shard's thread alone changes it. Any thread may read it without a lock: what is handed
    out is a copy, or is replaced whole.
    """

    api_key: str = field(default="", repr=False)
    deliver_duplicates: bool = False
    """Whether messages that were told before are returned again. They change nothing."""
    tick_of: TickOf = no_tick
    """The price step of an asset, where it is known."""
    completeness: Completeness = field(factory=Completeness)
    seeded: bool = False
    """Whether what was held at the start was asked for. Whoever reconciles sets it."""
    orders: dict[str, Order] = field(factory=dict)
    """The latest of each by id, completed by what former messages said."""
    trades: dict[str, Trade] = field(factory=dict)
    """The same."""
    duplicates: int = 0
    """Messages of the channel that had been told before."""
    late: int = 0
    """Messages of the channel that a later one had overtaken."""
    lost: int = 0
    """Messages of the channel, or parts of them, that could not be read."""
    dropped_positions: int = 0
    """Positions that were forgotten, since there were too many."""
    ledgers: dict[str, Ledger] = field(factory=dict)
    """What is held of each asset."""
    _records: dict[str, _TradeRecord] = field(factory=dict)
    _rows: dict[tuple[str, str | None], Row] = field(factory=dict)
    """All fills, by trade and order."""
    _rows_by_order: dict[str, dict[str, Row]] = field(factory=dict)
    """Those of each order, by trade."""
    _named: dict[str, list[str]] = field(factory=dict)
    """The trades that name an order which is not known as one's own, in case it turns out to be."""
    _open_orders: Retention = field(factory=Retention)
    _open_trades: Retention = field(factory=Retention)
    _given_up: dict[str, float] = field(factory=dict)
    """When each order that is UNKNOWN was listed no more."""
    _forgotten_trades: OrderedDict[str, None] = field(factory=OrderedDict)
    """The ids of trades that were forgotten, so that none is counted anew."""
    _idle_ledgers: OrderedDict[str, None] = field(factory=OrderedDict)
    """The assets of which something is held, and no fill is remembered."""

    @property
    def dropped(self) -> int:
        """What had to be given up though it mattered: open orders, trades and positions that were
        too many.
        """
        return self._open_orders.dropped + self._open_trades.dropped + self.dropped_positions

    @property
    def complete(self) -> bool:
        """Whether nothing is known to be missing."""
        return self.completeness.complete and not self.dropped

    def apply(self, event: Event, at: float, *, tell: bool = True) -> tuple[Event, ...]:
        """Take an order or a trade.

        Args:
            event: From the channel or, with source "rest", from a listing. Any other is returned.
            at: Monotonic seconds: when it was received; for REST when its listing began.
            tell: False fills the views, and returns nothing.

        Returns:
            What is to be delivered, in order: the order or trade if it changes something, and the
            fills that are new or have a new status.
        """
        if isinstance(event, Order):
            news = self._apply_order(event, at)
        elif isinstance(event, Trade):
            news = self._apply_trade(event, at)
        else:
            return (event,)
        return news if tell else ()

    def end(self, order_id: str, at: float, timestamp_ms: int) -> tuple[Event, ...]:
        """An open order is listed no more: it ended as its fills say, or nobody knows how.

        Returns:
            The order, with source "rest" and status MATCHED or UNKNOWN; nothing if it was not open.
        """
        order = self.orders.get(order_id)
        if order is None or not is_open(order):
            return ()
        self._given_up[order_id] = at
        ended = evolve(
            order,
            status=UNKNOWN,
            type=None,
            source="rest",
            timestamp_ms=timestamp_ms,
            received_at_ns=timestamp_ms * 1_000_000,
        )
        ended = self._as_its_fills_say(ended)
        self._hold(ended, at)
        return (ended,)

    def seed_position(
        self,
        asset_id: str,
        market: str | None,
        size: Decimal,
        average_price: Decimal | None,
        counted_trades: Collection[str],
    ) -> None:
        """Start a position from what the data API says is held; a later seed replaces a former one.

        Which trades are in such a total it does not say, and it lags behind them. So whoever asks
        notes `confirmed_trades()` before, and gives them here: these are taken to be in it, and
        every other trade comes on top. A trade that is confirmed while it is asked may so be
        counted twice, and one that was confirmed so shortly before that the data API had not seen
        it, not at all: until the next seed.

        Args:
            asset_id: Whose position.
            market: Its condition id; None where it is not known.
            size: Shares held.
            average_price: What one of them cost; None where it is not known.
            counted_trades: The ids of trades whose fills are in `size`. Kept, not copied.
        """
        ledger = self._ledger(asset_id)
        ledger.market = ledger.market or market
        ledger.seed(size, average_price, counted_trades)

    # What is known. Any thread.

    def confirmed_trades(self) -> frozenset[str]:
        """The ids of the trades that are final, and did not fail."""
        trades = list(self.trades.values())
        return frozenset(trade.id for trade in trades if trade.status == CONFIRMED)

    def absent(self, listed: Collection[str], before: float) -> tuple[str, ...]:
        """The open orders that are not listed, and were last told before this moment."""
        return tuple(id_ for id_ in self._open_orders.last_told_before(before) if id_ not in listed)

    def unsettled(self, before: float) -> tuple[str, ...]:
        """The trades that are not final, and were last told before this moment."""
        return tuple(self._open_trades.last_told_before(before))

    def open_orders(self) -> list[Order]:
        """The orders that can still be matched."""
        found = map(self.orders.get, self._open_orders.told_at.copy())
        return [order for order in found if order is not None]

    def fills(self, order_id: str | None = None, asset_id: str | None = None) -> list[Fill]:
        """The fills of one order, one asset, or all; oldest first."""
        rows: Collection[Row]
        if order_id is not None:
            rows = list(self._rows_by_order.get(order_id, {}).values())
        elif asset_id is not None:
            ledger = self.ledgers.get(asset_id)
            rows = list(ledger.rows.values()) if ledger else ()
        else:
            rows = list(self._rows.values())
        fills = [row.fill for row in sorted(rows, key=lambda row: row.key)]
        return [fill for fill in fills if asset_id in (None, fill.asset_id)]

    def filling(self, order_id: str) -> Filling:
        """Whether an order is filled."""
        rows = list(self._rows_by_order.get(order_id, {}).values())
        return filling(self.orders.get(order_id), (row.fill for row in rows))

    def with_fills(self, order: Order) -> Order:
        """An order with `size_matched` no less than the sum of its fills, which may come first."""
        rows = list(self._rows_by_order.get(order.id, {}).values())
        filled = sum((row.fill.size for row in rows), _NOTHING)
        return evolve(order, size_matched=max(filled, order.size_matched or _NOTHING))

    def position(self, asset_id: str) -> Position:
        """What is held of an asset: nothing, as far as nothing is known of it."""
        ledger = self.ledgers.get(asset_id) or Ledger()
        size, pending, average_price = ledger.total
        return Position(
            asset_id=asset_id,
            market=ledger.market,
            size=size,
            confirmed=size - pending,
            pending=pending,
            average_price=average_price,
            complete=self.complete and self.seeded,
        )

    # Orders.

    def _apply_order(self, order: Order, at: float) -> tuple[Event, ...]:
        former = self.orders.get(order.id)
        if former is None:
            self._hold(order, at)
            return (order, *self._claim(order.id, at))
        if is_later_order(order, former) or self._is_back(order, at):
            kept, is_news = merged_order(order, former), True
        else:
            kept = merged_order(former, order)
            is_news = kept.size_matched != former.size_matched
        says_it_is_open = is_news or order.source == "rest"  # and not what came late
        self._hold(kept, at if says_it_is_open else _NEVER)
        if is_news:
            return (kept,)
        return self._take_old(order, is_duplicate=not is_later_order(former, order))

    def _is_back(self, order: Order, at: float) -> bool:
        """Whether a listing has an order again that older ones had not."""
        given_up_at = self._given_up.get(order.id, at)
        return at > given_up_at and order.source == "rest" and is_open(order)

    def _hold(self, order: Order, at: float) -> None:
        self.orders[order.id] = order
        if order.status != UNKNOWN:
            self._given_up.pop(order.id, None)
        surplus = self._open_orders.tell(order.id, at, is_open=is_open(order))
        if surplus is not None:
            del self.orders[surplus]
            self._given_up.pop(surplus, None)

    def _as_its_fills_say(self, order: Order) -> Order:
        """An UNKNOWN order with what its fills have matched: MATCHED when that is all of it."""
        order = self.with_fills(order)
        matched = order.size_matched or _NOTHING
        is_whole = order.original_size is not None and matched >= order.original_size
        return evolve(order, status="MATCHED" if is_whole else UNKNOWN)

    def _take_old(self, event: Order | Trade, *, is_duplicate: bool) -> tuple[Event, ...]:
        """Count a message that is no news; REST says everything again each time."""
        if event.source == "rest":
            return ()
        if not is_duplicate:
            self.late += 1
            return ()
        self.duplicates += 1
        return (event,) if self.deliver_duplicates else ()

    # Trades and their fills.

    def _apply_trade(self, trade: Trade, at: float) -> tuple[Event, ...]:
        if trade.id in self._forgotten_trades:
            return self._take_old(trade, is_duplicate=False)
        former, record = self.trades.get(trade.id), self._records.get(trade.id)
        told: tuple[Event, ...] = (trade,)
        kept = trade
        if former is None or record is None:
            record = self._records[trade.id] = _TradeRecord(trade.timestamp_ms)
            self._remember_names(trade, None)
        elif is_later_trade(trade, former):
            kept = merged_trade(trade, former)
            told = (kept,)
        else:
            kept = merged_trade(former, trade)
            told = self._take_old(trade, is_duplicate=trade.status in record.told)
        record.told.add(trade.status)
        is_earlier = trade.timestamp_ms < record.first_ms
        if is_earlier:
            record.first_ms = trade.timestamp_ms
        if kept is not former:
            self.trades[trade.id] = kept
            self._remember_names(kept, former)
        if kept is not former or is_earlier:
            told += self._fill(record, kept, at)
        surplus = self._open_trades.tell(trade.id, at, is_open=not is_final(kept))
        if surplus is not None:
            self._forget_trade(surplus)
        return told

    def _fill(self, record: _TradeRecord, trade: Trade, at: float) -> tuple[Event, ...]:
        """Make one's own fills of a trade; returns those that are new or have a new status."""
        rows = record.rows

        def is_own(order_id: str | None, owner: str | None) -> bool:
            is_mine = bool(owner) and owner == self.api_key
            return is_mine or order_id in self.orders or order_id in rows

        told: list[Event] = []
        fills = {f.order_id: f for f in own_fills(trade, is_own, self.orders.get, self.tick_of)}
        for order_id in rows.keys() - fills.keys():  # named in a former message only
            fills[order_id] = with_status_of(trade, rows[order_id].fill)
        for fill in fills.values():
            if self._put(record, trade, fill):
                told.append(fill)
        return (*told, *self._resolved(fills))

    def _put(self, record: _TradeRecord, trade: Trade, fill: Fill) -> bool:
        """Hold a fill; whether it is new or has a new status."""
        row = record.rows.get(fill.order_id)
        key = (
            trade.match_time_ms or record.first_ms,
            record.first_ms,
            fill.trade_id,
            fill.order_id or "",
        )
        is_new = row is None
        if row is None:
            row = record.rows[fill.order_id] = Row(fill, key)
            self._rows[fill.trade_id, fill.order_id] = row
            if fill.order_id is not None:
                self._rows_by_order.setdefault(fill.order_id, {})[fill.trade_id] = row
        is_told = is_new or row.fill.status != fill.status
        ledger = None if fill.asset_id is None else self._ledger(fill.asset_id)
        if ledger is None:
            row.fill = fill
        elif is_new or row.fill != fill:
            ledger.put(row, fill)
        if row.key != key and ledger is not None:
            ledger.move(row, key)
        row.key = key
        return is_told

    def _resolved(self, order_ids: Iterable[str | None]) -> list[Order]:
        """The orders of which nobody knew how they ended, and now their fills say it."""
        resolved = []
        for order_id in order_ids:
            order = None if order_id is None else self.orders.get(order_id)
            if order is not None and order.status == UNKNOWN:
                found = self._as_its_fills_say(order)
                if found.size_matched != order.size_matched:
                    self.orders[found.id] = found
                    if found.status != UNKNOWN:
                        self._given_up.pop(found.id, None)
                    resolved.append(found)
        return resolved

    def _claim(self, order_id: str, at: float) -> list[Event]:
        """An order is known to be one's own: tell its fills in trades that came before it."""
        told: list[Event] = []
        for trade_id in self._named.pop(order_id, ()):
            told += self._fill(self._records[trade_id], self.trades[trade_id], at)
        return told

    def _remember_names(self, trade: Trade, former: Trade | None) -> None:
        """Note which trade names which orders, but for one's own."""
        before = () if former is None else frozenset(named_orders(former))
        if former is not None and (
            trade.maker_orders is former.maker_orders
            or len(trade.maker_orders) == len(former.maker_orders)
        ):
            return
        for order_id in frozenset(named_orders(trade)).difference(before):
            if order_id not in self.orders:
                self._named.setdefault(order_id, []).append(trade.id)

    def _forget_trade(self, trade_id: str) -> None:
        """Forget a trade and its fills, but not what they have done to positions."""
        trade, record = self.trades.pop(trade_id), self._records.pop(trade_id)
        self._forgotten_trades[trade_id] = None
        if len(self._forgotten_trades) > MOST_FORGOTTEN:
            self._forgotten_trades.popitem(last=False)
        for order_id in frozenset(named_orders(trade)):
            trade_ids = self._named.get(order_id, [])
            if trade_id in trade_ids:
                trade_ids.remove(trade_id)
            if not trade_ids:
                self._named.pop(order_id, None)
        for row in record.rows.values():
            self._forget_row(row)

    def _forget_row(self, row: Row) -> None:
        trade_id, order_id, asset_id = row.fill.trade_id, row.fill.order_id, row.fill.asset_id
        del self._rows[trade_id, order_id]
        if order_id is not None:
            of_order = self._rows_by_order[order_id]
            del of_order[trade_id]
            if not of_order:
                del self._rows_by_order[order_id]
        if asset_id is not None:
            self._ledger(asset_id).forget(row)
            self._forget_ledger(asset_id)

    def _ledger(self, asset_id: str) -> Ledger:
        ledger = self.ledgers.get(asset_id)
        if ledger is None:
            ledger = self.ledgers[asset_id] = Ledger()
        return ledger

    def _forget_ledger(self, asset_id: str) -> None:
        """Forget an asset of which nothing is held; of too many others the one idle longest."""
        ledger = self.ledgers[asset_id]
        if ledger.rows:
            return
        if not ledger.total[0]:
            del self.ledgers[asset_id]
            return
        self._idle_ledgers[asset_id] = None
        if len(self._idle_ledgers) > KEPT:
            idle, _ = self._idle_ledgers.popitem(last=False)
            if not self.ledgers[idle].rows:
                del self.ledgers[idle]
                self.dropped_positions += 1

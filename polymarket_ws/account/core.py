"""What is known of one account: its orders, trades, fills and positions, whoever told of them.

The user channel and REST's listings come through the same door, in any order and any number of
times; what is held in the end does not depend on it. Sans-I/O.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from decimal import Decimal

from attrs import define, evolve, field

from polymarket_ws.condition_ids import condition_key
from polymarket_ws.events import Event, Fill, Order, Trade

from .completeness import Completeness
from .filling import Filling, filling
from .fills import TickOf, named_orders, own_fills, with_status_of
from .holdings import Holdings
from .merging import merged_order, merged_trade
from .positions import Ledger, Position
from .retention import KEPT, Retention
from .statuses import (
    CONFIRMED,
    UNKNOWN,
    is_final,
    is_later_order,
    is_later_trade,
    is_open,
)
from .unclaimed import Unclaimed

MOST_FORGOTTEN = 4 * KEPT  # ids of trades

_NOTHING = Decimal(0)
_NEVER = float("-inf")


def no_tick(asset_id: str) -> None:
    """Nothing is known of any asset."""


@define(eq=False)
class _Told:
    """What was told of a trade."""

    first_ms: int
    """The least time of any message."""
    statuses: set[str | None] = field(factory=set)
    """Those that were delivered, or came too late."""


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
    markets: frozenset[str] | None = None
    """Keys of the condition ids that the channel tells of; None is all. The others' orders and
    trades stay known, as they were."""
    completeness: Completeness = field(factory=Completeness)
    seeded: bool = False
    """Whether what was held at the start was asked for. Whoever reconciles sets it."""
    orders: dict[str, Order] = field(factory=dict, repr=False)
    """The latest of each by id, completed by what former messages said."""
    trades: dict[str, Trade] = field(factory=dict, repr=False)
    """The same."""
    duplicates: int = 0
    """Messages of the channel that had been told before."""
    late: int = 0
    """Messages of the channel that a later one had overtaken."""
    lost: int = 0
    """Messages of the channel, or parts of them, that could not be read."""
    _holdings: Holdings = field(factory=Holdings, repr=False)
    _told: dict[str, _Told] = field(factory=dict, repr=False)
    """By trade."""
    _untold_orders: dict[str, None] = field(factory=dict, repr=False)
    """The orders whose present state was filled in without being told."""
    _given_up: dict[str, float] = field(factory=dict, repr=False)
    """When each order that is UNKNOWN was found to be listed no more."""
    _unclaimed: Unclaimed = field(factory=Unclaimed, repr=False)
    _open_orders: Retention = field(factory=Retention, repr=False)
    _open_trades: Retention = field(factory=Retention, repr=False)
    _forgotten_trades: OrderedDict[str, None] = field(factory=OrderedDict, repr=False)
    """The ids of trades that were forgotten, so that none is counted anew."""

    @property
    def dropped(self) -> int:
        """What had to be given up though it mattered: open orders, trades that were not final and
        positions that were too many.
        """
        return self._open_orders.dropped + self._open_trades.dropped + self._holdings.dropped

    @property
    def complete(self) -> bool:
        """Whether nothing is known to be missing."""
        return self.completeness.complete and not self.dropped

    @property
    def ledgers(self) -> dict[str, Ledger]:
        """What is held of each asset. Any thread may copy it."""
        return self._holdings.ledgers

    def apply(self, event: Event, at: float, *, tell: bool = True) -> tuple[Event, ...]:
        """Take an order or a trade.

        Args:
            event: From the channel or, with source "rest", from a listing. Any other is returned.
            at: Monotonic seconds: when it was received; for REST when its listing began.
            tell: False fills the views, and returns nothing. Should the channel say the same
                afterwards, that is told: it sends only what happened since it is open.

        Returns:
            What is to be delivered, in order: the order or trade if it changes something, and the
            fills that are new or have a new status.
        """
        if isinstance(event, Order):
            news = self._apply_order(event, at, tell)
        elif isinstance(event, Trade):
            news = self._apply_trade(event, at, tell)
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
        self._holdings.seed(asset_id, market, size, average_price, counted_trades)

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
        """The orders that can still be matched, of the markets that the channel tells of."""
        found = map(self.orders.get, self._open_orders.told_at.copy())
        return [o for o in found if o is not None and is_open(o) and self.is_followed(o.market)]

    def is_followed(self, market: str | None) -> bool:
        """Whether the channel tells of this market; of one that is not known it may."""
        return self.markets is None or market is None or condition_key(market) in self.markets

    def fills(self, order_id: str | None = None, asset_id: str | None = None) -> list[Fill]:
        """The fills of one order, one asset, or all; oldest first."""
        return self._holdings.fills(order_id, asset_id)

    def fills_in(self, trade_id: str) -> list[Fill]:
        """The fills of one's own orders in one trade."""
        return [row.fill for row in list(self._holdings.of_trade(trade_id).values())]

    def filling(self, order_id: str) -> tuple[Filling, Order | None]:
        """Whether an order is filled, and the order as it is known."""
        order = self.orders.get(order_id)
        return filling(order, self._holdings.of_order(order_id)), order

    def with_fills(self, order: Order) -> Order:
        """An order with `size_matched` no less than the sum of its fills, which may come first."""
        filled = sum((fill.size for fill in self._holdings.of_order(order.id)), _NOTHING)
        if filled <= (order.size_matched or _NOTHING):
            return order
        return evolve(order, size_matched=filled)

    def position(self, asset_id: str) -> Position:
        """What is held of an asset: nothing, as far as nothing is known of it."""
        ledger = self.ledgers.get(asset_id) or Ledger(asset_id)
        size, pending, average_price = ledger.total
        return Position(
            asset_id=asset_id,
            market=ledger.market,
            size=size,
            confirmed=size - pending,
            pending=pending,
            average_price=average_price,
            complete=self.complete and self.seeded and self.is_followed(ledger.market),
        )

    # Orders.

    def _apply_order(self, order: Order, at: float, tell: bool) -> tuple[Event, ...]:
        former = self.orders.get(order.id)
        kept, is_news = order, True
        if former is not None and (is_later_order(order, former) or self._is_back(order, at)):
            kept = merged_order(order, former)
        elif former is not None:
            kept = merged_order(former, order)
            is_news = kept.size_matched != former.size_matched
        says_it_is_open = is_news or order.source == "rest"  # and not what came late
        self._hold(kept, at if says_it_is_open else _NEVER)
        claimed = self._claim(kept, former)
        if not is_news:
            assert former is not None
            is_same = not is_later_order(former, order)
            is_untold = order.source != "rest" and order.id in self._untold_orders
            if not (is_same and tell and is_untold):
                return (*self._take_old(order, is_duplicate=is_same), *claimed)
        if tell:
            self._untold_orders.pop(order.id, None)
        else:
            self._untold_orders[order.id] = None
        return (kept, *claimed)

    def _is_back(self, order: Order, at: float) -> bool:
        """Whether a listing has an order again that older ones had not."""
        given_up_at = self._given_up.get(order.id, at)
        return at > given_up_at and order.source == "rest" and is_open(order)

    def _hold(self, order: Order, at: float) -> None:
        surplus = self._open_orders.tell(order.id, at, is_open=is_open(order))
        self.orders[order.id] = order  # after it: who finds it here finds it among the open ones
        if order.status != UNKNOWN:
            self._given_up.pop(order.id, None)
        if surplus is not None:
            del self.orders[surplus]
            self._given_up.pop(surplus, None)
            self._untold_orders.pop(surplus, None)

    def _as_its_fills_say(self, order: Order) -> Order:
        """An UNKNOWN order with what its fills have matched: MATCHED when that is all of it."""
        order = self.with_fills(order)
        matched = order.size_matched or _NOTHING
        is_whole = order.original_size is not None and matched >= order.original_size
        return evolve(order, status="MATCHED" if is_whole else UNKNOWN)

    def _take_old(self, event: Order | Trade, *, is_duplicate: bool) -> tuple[Event, ...]:
        """Count a message that is no news; but REST says everything again each time."""
        if event.source == "rest":
            return ()
        if not is_duplicate:
            self.late += 1
            return ()
        self.duplicates += 1
        return (event,) if self.deliver_duplicates else ()

    # Trades and their fills.

    def _apply_trade(self, trade: Trade, at: float, tell: bool) -> tuple[Event, ...]:
        if trade.id in self._forgotten_trades:
            return self._take_old(trade, is_duplicate=False)
        former, told = self.trades.get(trade.id), self._told.get(trade.id)
        kept, is_news = trade, True
        if former is None or told is None:
            told = self._told[trade.id] = _Told(trade.timestamp_ms)
            self._note_names(trade, ())
        else:
            is_news = is_later_trade(trade, former, told.statuses)
            kept = merged_trade(trade, former) if is_news else merged_trade(former, trade)
            if _names_differ(kept, former):
                self._note_names(kept, frozenset(named_orders(former)))
        is_earlier = trade.timestamp_ms < told.first_ms
        told.first_ms = min(trade.timestamp_ms, told.first_ms)
        self.trades[trade.id] = kept
        fills: Iterable[Event] = ()
        if is_earlier or kept is not former:
            fills = self._fill(kept, told.first_ms)
        surplus = self._open_trades.tell(trade.id, at, is_open=not is_final(kept))
        if surplus is not None:
            self._forget_trade(surplus)
        if not is_news and not (tell and self._is_untold_status(trade, kept, told)):
            is_duplicate = trade.status == kept.status or trade.status in told.statuses
            if trade.source != "rest":
                told.statuses.add(trade.status)
            return (*self._take_old(trade, is_duplicate=is_duplicate), *fills)
        if tell:
            told.statuses.add(trade.status)
        if not is_news:
            fills = (row.fill for row in self._holdings.of_trade(trade.id).values())
        return (kept, *fills)

    def _is_untold_status(self, trade: Trade, kept: Trade, told: _Told) -> bool:
        """Whether the channel says what was filled in before without being told."""
        is_known = trade.status == kept.status
        return is_known and trade.source != "rest" and trade.status not in told.statuses

    def _fill(self, trade: Trade, first_ms: int) -> list[Event]:
        """Hold one's own fills of a trade; returns those that are new or have a new status."""
        rows = self._holdings.of_trade(trade.id)

        def is_own(order_id: str | None, owner: str | None) -> bool:
            is_mine = bool(owner) and owner == self.api_key
            return is_mine or order_id in self.orders or order_id in rows

        fills = {f.order_id: f for f in own_fills(trade, is_own, self.orders.get, self.tick_of)}
        for order_id in rows.keys() - fills.keys():  # which only a former message named
            fills[order_id] = with_status_of(trade, rows[order_id].fill)
        told: list[Event] = [
            fill for fill in fills.values() if self._holdings.put(trade, first_ms, fill)
        ]
        return told + self._resolved(fills)

    def _resolved(self, order_ids: Iterable[str | None]) -> list[Order]:
        """The orders of which nobody knew how they ended, now that their fills say it."""
        resolved = []
        for order_id in order_ids:
            order = self.orders.get(order_id or "")
            if order is None or order.status != UNKNOWN:
                continue
            found = self._as_its_fills_say(order)
            if found.size_matched != order.size_matched:
                self.orders[found.id] = found
                if found.status != UNKNOWN:
                    self._given_up.pop(found.id, None)
                resolved.append(found)
        return resolved

    def _claim(self, order: Order, former: Order | None) -> list[Event]:
        """Tell the fills of an order in trades that came before it, or before its own asset."""
        trade_ids: Iterable[str] = ()
        if former is None:
            trade_ids = self._unclaimed.claim(order.id)
        elif former.side is not order.side or former.asset_id != order.asset_id:
            trade_ids = [fill.trade_id for fill in self._holdings.of_order(order.id)]
        told: list[Event] = []
        for trade_id in trade_ids:
            told += self._fill(self.trades[trade_id], self._told[trade_id].first_ms)
        return told

    def _note_names(self, trade: Trade, known: Collection[str]) -> None:
        """Note the orders that a trade names, but for one's own."""
        named = frozenset(named_orders(trade)).difference(known)
        self._unclaimed.note(trade.id, (id_ for id_ in named if id_ not in self.orders))

    def _forget_trade(self, trade_id: str) -> None:
        trade = self.trades.pop(trade_id)
        del self._told[trade_id]
        self._unclaimed.forget(trade_id, frozenset(named_orders(trade)))
        self._holdings.forget(trade_id)
        self._forgotten_trades[trade_id] = None
        if len(self._forgotten_trades) > MOST_FORGOTTEN:
            self._forgotten_trades.popitem(last=False)


def _names_differ(trade: Trade, former: Trade) -> bool:
    """Whether one message named orders that the other did not."""
    return trade.taker_order_id != former.taker_order_id or (
        len(trade.maker_orders) != len(former.maker_orders)
    )

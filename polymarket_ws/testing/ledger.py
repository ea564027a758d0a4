"""A simulated exchange's own books of the user's account: its truth, and what REST says of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from operator import attrgetter
from typing import Generic, TypeVar

from attrs import define, field, frozen

from polymarket_ws.events import Side

from .own_events import SimulatedTrade
from .simulated_market import RestingOrder, SimulatedMarket, Wire

_T = TypeVar("_T")
_ZERO = Decimal(0)


@frozen
class OwnOrder:
    """One of the user's orders as the exchange knows it."""

    id: str
    market: str
    """Condition id."""
    asset_id: str
    side: Side
    price: Decimal
    size: Decimal
    """Shares when it was placed."""
    size_matched: Decimal
    status: str
    """Of its latest event: "LIVE", "MATCHED", "CANCELED", ..."""
    is_open: bool
    """Whether it can still be matched."""


@frozen
class OwnTrade:
    """A trade that the user took part in."""

    id: str
    market: str
    asset_id: str
    """The taker's."""
    side: Side
    """The taker's."""
    price: Decimal
    """Of the taker's token."""
    size: Decimal
    """Shares in all, those of other makers too."""
    status: str
    """The latest."""
    matched_ms: int
    """Milliseconds since 1970."""


@frozen
class OwnFill:
    """What one of the user's orders got in one trade."""

    trade_id: str
    order_id: str
    market: str
    asset_id: str
    """The order's."""
    side: Side
    """The order's."""
    price: Decimal
    """The maker's own; the taker's is that of the trade."""
    size: Decimal
    role: str
    """ "TAKER" or "MAKER"."""
    status: str
    """The trade's latest."""


@frozen
class OwnPosition:
    """What the user holds of one token."""

    asset_id: str
    size: Decimal
    """Shares of all fills that did not fail, and what the user had at first."""
    confirmed: Decimal
    """Of them, what could be sold now: confirmed buys less all sells that did not fail."""


@frozen
class Account:
    """The user's account at one moment, for assertions: `SimulatedExchange.account()`."""

    orders: Mapping[str, OwnOrder]
    """By id, oldest first, all there ever were."""
    trades: Mapping[str, OwnTrade]
    """By id, oldest first."""
    fills: tuple[OwnFill, ...]
    """Oldest trade first; the taker's before the makers'."""
    positions: Mapping[str, OwnPosition]
    """By asset, of each that was ever held."""


@define
class Holding:
    """Shares of one token that have arrived."""

    market: SimulatedMarket
    asset_id: str
    size: Decimal = _ZERO
    bought: Decimal = _ZERO
    """Shares that came in, those sold since too."""
    cost: Decimal = _ZERO
    """Of those bought, in dollars."""

    def add(self, side: Side, size: Decimal, price: Decimal) -> None:
        """Count a confirmed fill."""
        self.size += size if side is Side.BUY else -size
        if side is Side.BUY:
            self.bought += size
            self.cost += size * price


@frozen
class _Version:
    number: int
    at_ms: int
    event: Wire
    """As the user channel tells it."""


@define(eq=False)
class _History(Generic[_T]):
    """An order or a trade, and every state that it was in."""

    what: _T
    versions: list[_Version] = field(factory=list)

    def at(self, number: int) -> _Version | None:
        """The state after so many entries of the ledger; None before its first."""
        later = bisect_right(self.versions, number, key=attrgetter("number"))
        return self.versions[later - 1] if later else None


@define(eq=False)
class Ledger:
    """Every state of the user's orders and trades, in order. Made by one SimulatedExchange.

    A moment is the number of entries made until then (`entries`).
    """

    _orders: dict[str, _History[RestingOrder]] = field(factory=dict)
    _trades: dict[str, _History[SimulatedTrade]] = field(factory=dict)
    _gifts: list[tuple[SimulatedMarket, str, Decimal, Decimal]] = field(factory=list)
    _times_ms: list[int] = field(factory=list)
    """Of the entries."""

    @property
    def entries(self) -> int:
        """The present moment."""
        return len(self._times_ms)

    def entries_at(self, at_ms: int) -> int:
        """The moment at a time of the exchange, all that happened at that time included."""
        return bisect_right(self._times_ms, at_ms)

    def give(self, market: SimulatedMarket, asset_id: str, size: Decimal, price: Decimal) -> None:
        """Let the user have shares that no trade of the ledger brought."""
        self._gifts.append((market, asset_id, size, price))

    def enter_order(self, order: RestingOrder, event: Wire, now_ms: int) -> Wire:
        """Enter what the user is told of an order, and return it."""
        history = self._orders.setdefault(order.id, _History(order))
        history.versions.append(self._version(event, now_ms))
        return event

    def enter_trade(self, trade: SimulatedTrade, event: Wire, now_ms: int) -> Wire:
        """Enter what the user is told of a trade, and return it."""
        history = self._trades.setdefault(trade.id, _History(trade))
        history.versions.append(self._version(event, now_ms))
        return event

    # What REST asks for.

    def open_orders(self, moment: int) -> Iterator[Wire]:
        """The `order` events of the orders that were open at a moment, oldest first."""
        for history in self._orders.values():
            version = history.at(moment)
            if version is not None and _is_open(version.event):
                yield version.event

    def trades(self, moment: int) -> Iterator[Wire]:
        """The `trade` events of all trades known at a moment, oldest first."""
        versions = (history.at(moment) for history in self._trades.values())
        return (version.event for version in versions if version is not None)

    def holdings(self, moment: int) -> list[Holding]:
        """What had arrived in the user's wallet at a moment."""
        held: dict[str, Holding] = {}
        for market, asset_id, size, price in self._gifts:
            held.setdefault(asset_id, Holding(market, asset_id)).add(Side.BUY, size, price)
        for fill in self._fills(moment):
            if fill.status == "CONFIRMED":
                market = self._trades[fill.trade_id].what.market
                holding = held.setdefault(fill.asset_id, Holding(market, fill.asset_id))
                holding.add(fill.side, fill.size, fill.price)
        return list(held.values())

    # What tests compare with.

    def account(self) -> Account:
        """All of it as it stands."""
        fills = tuple(self._fills(self.entries))
        return Account(
            {id_: _own_order(history) for id_, history in self._orders.items()},
            {id_: _own_trade(history) for id_, history in self._trades.items()},
            fills,
            self._positions(fills),
        )

    def _positions(self, fills: Iterable[OwnFill]) -> dict[str, OwnPosition]:
        sizes: dict[str, Decimal] = {}
        confirmed: dict[str, Decimal] = {}
        counted = [(asset_id, size, True) for _, asset_id, size, _ in self._gifts]
        for fill in fills:
            bought = fill.side is Side.BUY
            if fill.status == "FAILED":
                counted.append((fill.asset_id, _ZERO, False))
            else:
                amount = fill.size if bought else -fill.size
                counted.append((fill.asset_id, amount, not bought or fill.status == "CONFIRMED"))
        for asset_id, amount, counts in counted:
            sizes[asset_id] = sizes.get(asset_id, _ZERO) + amount
            confirmed[asset_id] = confirmed.get(asset_id, _ZERO) + (amount if counts else 0)
        return {asset: OwnPosition(asset, sizes[asset], confirmed[asset]) for asset in sizes}

    def _fills(self, moment: int) -> Iterator[OwnFill]:
        for history in self._trades.values():
            version = history.at(moment)
            if version is not None:
                yield from _own_fills(history.what, str(version.event["status"]))

    def _version(self, event: Wire, now_ms: int) -> _Version:
        self._times_ms.append(now_ms)
        return _Version(self.entries, now_ms, event)


def _own_fills(trade: SimulatedTrade, status: str) -> Iterator[OwnFill]:
    parts = [(trade.taker, trade.price, trade.size, "TAKER")]
    parts += [(fill.maker, fill.maker.price, fill.amount, "MAKER") for fill in trade.fills]
    for order, price, size, role in parts:
        if order.own:
            yield OwnFill(
                trade_id=trade.id,
                order_id=order.id,
                market=trade.market.condition_id,
                asset_id=order.asset_id,
                side=order.side,
                price=price,
                size=size,
                role=role,
                status=status,
            )


def _own_order(history: _History[RestingOrder]) -> OwnOrder:
    order, event = history.what, history.versions[-1].event
    return OwnOrder(
        id=order.id,
        market=event["market"],
        asset_id=order.asset_id,
        side=order.side,
        price=order.price,
        size=order.size,
        size_matched=order.size - order.remaining,
        status=event["status"],
        is_open=_is_open(event),
    )


def _own_trade(history: _History[SimulatedTrade]) -> OwnTrade:
    trade = history.what
    return OwnTrade(
        id=trade.id,
        market=trade.market.condition_id,
        asset_id=trade.taker.asset_id,
        side=trade.taker.side,
        price=trade.price,
        size=trade.size,
        status=history.versions[-1].event["status"],
        matched_ms=trade.matched_ms,
    )


def _is_open(event: Wire) -> bool:
    return bool(event["type"] != "CANCELLATION" and event["status"] == "LIVE")

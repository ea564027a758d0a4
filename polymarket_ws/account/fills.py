"""Which parts of a trade are one's own: by the order's id or its owner, never by address."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from attrs import evolve

from polymarket_ws.events import Fill, MakerOrder, Order, Side, Trade

from .prices import on_tick

TickOf = Callable[[str], Decimal | None]
"""An asset's price step; None where it is not known."""
IsOwn = Callable[[str | None, str | None], bool]
"""Whether an order is one's own, by its id and its owner's API key."""
OrderOf = Callable[[str], Order | None]
"""One's own order of an id, as far as it is known."""

_OPPOSITE = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}


def named_orders(trade: Trade) -> Iterator[str]:
    """The ids of all orders that met in a trade, one's own and others'."""
    if trade.taker_order_id:
        yield trade.taker_order_id
    for maker in trade.maker_orders:
        yield maker.order_id


def own_fills(trade: Trade, is_own: IsOwn, order_of: OrderOf, tick_of: TickOf) -> Iterator[Fill]:
    """The fills of one's own orders in a trade: none, one, or several where two of them met.

    Without a size there is no fill.
    """
    taker_id = trade.taker_order_id or None
    is_taker = trade.trader_side == "TAKER" or is_own(taker_id, trade.owner)
    if is_taker and trade.size is not None:
        yield _taker_fill(trade, trade.size, taker_id, tick_of)
    for maker in _one_for_each_order(trade.maker_orders):
        if is_own(maker.order_id, maker.owner):
            yield _maker_fill(trade, maker, order_of(maker.order_id), tick_of)


def with_status_of(trade: Trade, fill: Fill) -> Fill:
    """A fill of a trade, with the trade's present status."""
    if fill.status == trade.status:
        return fill
    return evolve(
        fill,
        status=trade.status,
        timestamp_ms=trade.timestamp_ms,
        source=trade.source,
        received_at_ns=trade.received_at_ns,
    )


def _one_for_each_order(makers: tuple[MakerOrder, ...]) -> Iterable[MakerOrder]:
    """An order that is named twice was matched twice."""
    by_id: dict[str, MakerOrder] = {}
    for maker in makers:
        if former := by_id.get(maker.order_id):
            maker = evolve(former, matched_amount=former.matched_amount + maker.matched_amount)
        by_id[maker.order_id] = maker
    return by_id.values()


def _taker_fill(trade: Trade, size: Decimal, order_id: str | None, tick_of: TickOf) -> Fill:
    return Fill(
        trade_id=trade.id,
        order_id=order_id,
        market=trade.market,
        asset_id=trade.asset_id,
        outcome=trade.outcome,
        side=trade.side,
        price=_price(trade.price, trade.asset_id, tick_of),
        size=size,
        fee_rate_bps=trade.fee_rate_bps,
        role="TAKER",
        status=trade.status,
        timestamp_ms=trade.timestamp_ms,
        source=trade.source,
        received_at_ns=trade.received_at_ns,
    )


def _maker_fill(trade: Trade, maker: MakerOrder, order: Order | None, tick_of: TickOf) -> Fill:
    """The order's own asset, side and price, which need not be the trade's."""
    asset_id = maker.asset_id or (order.asset_id if order else None)
    price = maker.price if maker.price is not None else (order.price if order else None)
    return Fill(
        trade_id=trade.id,
        order_id=maker.order_id,
        market=trade.market or (order.market if order else None),
        asset_id=asset_id,
        outcome=maker.outcome or (order.outcome if order else None),
        side=maker.side or (order.side if order else None) or _side_by_taker(trade, asset_id),
        price=_price(price, asset_id, tick_of),
        size=maker.matched_amount,
        fee_rate_bps=maker.fee_rate_bps,
        role="MAKER",
        status=trade.status,
        timestamp_ms=trade.timestamp_ms,
        source=trade.source,
        received_at_ns=trade.received_at_ns,
    )


def _side_by_taker(trade: Trade, asset_id: str | None) -> Side | None:
    """On one token they are opposite; with one's buy of each of the twins new pairs are made."""
    if trade.side is None or trade.asset_id is None or asset_id is None:
        return None
    return _OPPOSITE[trade.side] if asset_id == trade.asset_id else trade.side


def _price(price: Decimal | None, asset_id: str | None, tick_of: TickOf) -> Decimal | None:
    return price if price is None else on_tick(price, tick_of(asset_id) if asset_id else None)

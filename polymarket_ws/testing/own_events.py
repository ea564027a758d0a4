"""The user channel's events of a simulated exchange: `order` and `trade` in the wire's shape."""

from __future__ import annotations

from decimal import Decimal

import attrs

from polymarket_ws.events import Side

from .simulated_market import Fill, RestingOrder, SimulatedMarket, Wire, number_text


@attrs.frozen
class SimulatedTrade:
    """One match of a taker with its makers, on its way to CONFIRMED or FAILED."""

    id: str
    market: SimulatedMarket
    taker: RestingOrder
    fills: tuple[Fill, ...]
    price: Decimal
    """The worst price that the taker paid or got, of its own token."""
    matched_ms: int
    transaction_hash: str

    @property
    def size(self) -> Decimal:
        """Shares in all."""
        return sum((fill.amount for fill in self.fills), Decimal(0))

    @property
    def is_own(self) -> bool:
        """Whether the user took part in it."""
        return self.taker.own or any(fill.maker.own for fill in self.fills)


def order_event(
    order: RestingOrder, market: SimulatedMarket, kind: str, status: str, now_ms: int
) -> Wire:
    """An `order` event; `kind` is PLACEMENT, UPDATE or CANCELLATION."""
    return {
        "asset_id": order.asset_id,
        "associate_trades": list(order.trade_ids) or None,
        "created_at": str(order.placed_ms // 1000),
        "event_type": "order",
        "expiration": str(order.expires_ms // 1000),
        "id": order.id,
        "maker_address": order.maker_address,
        "market": market.condition_id,
        "order_owner": order.owner,
        "order_type": order.order_type,
        "original_size": number_text(order.size),
        "outcome": market.outcome(order.asset_id),
        "owner": order.owner,
        "price": number_text(order.price),
        "side": str(order.side),
        "size_matched": number_text(order.size - order.remaining),
        "status": status,
        "timestamp": str(now_ms),
        "type": kind,
    }


def trade_event(trade: SimulatedTrade, status: str, now_ms: int) -> Wire:
    """A `trade` event in one of its statuses."""
    taker = trade.taker
    return {
        "asset_id": taker.asset_id,
        "bucket_index": 0,
        "event_type": "trade",
        "fee_rate_bps": "0",
        "id": trade.id,
        "last_update": str(now_ms // 1000),
        "maker_address": taker.maker_address,
        "maker_orders": [_maker_order(fill, trade.market) for fill in trade.fills],
        "market": trade.market.condition_id,
        "match_time": str(trade.matched_ms // 1000),
        "outcome": trade.market.outcome(taker.asset_id),
        "owner": taker.owner,
        "price": number_text(trade.price),
        "side": str(taker.side),
        "size": number_text(trade.size),
        "status": status,
        "taker_order_id": taker.id,
        "timestamp": str(now_ms),
        "trade_owner": taker.owner,
        "trader_side": "TAKER" if taker.own else "MAKER",
        "transaction_hash": "" if status == "MATCHED" else trade.transaction_hash,
        "type": "TRADE",
    }


def print_event(trade: SimulatedTrade, now_ms: int) -> Wire:
    """The public `last_trade_price` of a trade: for the taker's token only."""
    return {
        "market": trade.market.condition_id,
        "asset_id": trade.taker.asset_id,
        "price": number_text(trade.price),
        "size": number_text(trade.size),
        "fee_rate_bps": "0",
        "side": str(trade.taker.side),
        "timestamp": str(now_ms),
        "event_type": "last_trade_price",
        "transaction_hash": trade.transaction_hash,
    }


def _maker_order(fill: Fill, market: SimulatedMarket) -> Wire:
    maker = fill.maker
    return {
        "asset_id": maker.asset_id,
        "fee_rate_bps": "0",
        "maker_address": maker.maker_address,
        "matched_amount": number_text(fill.amount),
        "order_id": maker.id,
        "outcome": market.outcome(maker.asset_id),
        "outcome_index": market.asset_ids.index(maker.asset_id),
        "owner": maker.owner,
        "price": number_text(maker.price),
        "side": str(Side(maker.side)),
    }

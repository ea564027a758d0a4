"""The rows in which a FakeServer's REST answers show orders, trades, books and positions.

Their shapes are those of captured answers (2026) where there is one; of open orders there is none,
and the documentation's is taken.
"""

from __future__ import annotations

from decimal import Decimal

from .ledger import Holding
from .simulated_market import Wire

_BASE_UNITS = 10**6
_LEFT_OUT = ("event_type", "timestamp", "type", "trade_owner", "order_owner")
_LEFT_OUT_OF_MAKERS = ("outcome_index",)


def order_row(event: Wire, *, base_units: bool, prefixes: bool) -> Wire:
    """A row of /data/orders.

    Args:
        event: The `order` event of the same state.
        base_units: Sizes in millionths of a share, as in the documentation.
        prefixes: The status begins with ORDER_STATUS_, as in the documentation.
    """
    row = {name: value for name, value in event.items() if name not in _LEFT_OUT}
    row["associate_trades"] = row["associate_trades"] or []
    if base_units:
        for name in ("original_size", "size_matched"):
            row[name] = str(int(Decimal(row[name]) * _BASE_UNITS))
    if prefixes:
        row["status"] = f"ORDER_STATUS_{row['status']}"
    return row


def trade_row(event: Wire, *, float_noise: bool, prefixes: bool) -> Wire:
    """A row of /data/trades.

    Args:
        event: The `trade` event of the same state.
        float_noise: Makers' prices with the noise that was captured ("0.7210000476613491").
        prefixes: The status begins with TRADE_STATUS_.
    """
    row = {name: value for name, value in event.items() if name not in _LEFT_OUT}
    row["maker_orders"] = [_maker_row(m, float_noise=float_noise) for m in row["maker_orders"]]
    if not row["transaction_hash"]:
        del row["transaction_hash"]
    if prefixes:
        row["status"] = f"TRADE_STATUS_{row['status']}"
    return row


def _maker_row(maker: Wire, *, float_noise: bool) -> Wire:
    row = {name: value for name, value in maker.items() if name not in _LEFT_OUT_OF_MAKERS}
    row["fee_rate_bps"] = ""
    if float_noise:
        row["price"] = str(Decimal(row["price"]) + Decimal("0.0000000476613491"))
    return row


def book_row(snapshot: Wire, *, min_order_size: str, neg_risk: bool) -> Wire:
    """The answer of /book: the `book` event that a subscription gets, and more."""
    names = ("market", "asset_id", "timestamp", "hash", "bids", "asks")
    return {
        **{name: snapshot[name] for name in names},
        "min_order_size": min_order_size,
        "tick_size": snapshot["tick_size"],
        "neg_risk": neg_risk,
        "last_trade_price": snapshot["last_trade_price"],
    }


def position_row(held: Holding, wallet: str) -> Wire:
    """A row of /positions; its numbers are floats."""
    market, asset_id = held.market, held.asset_id
    bid, ask = market.best(asset_id)
    price, average = (bid + ask) / 2, held.cost / held.bought if held.bought else Decimal(0)
    worth, cost = held.size * price, held.size * average
    index = market.asset_ids.index(asset_id)
    return {
        "proxyWallet": wallet,
        "asset": asset_id,
        "conditionId": market.condition_id,
        "size": float(held.size),
        "avgPrice": float(average),
        "initialValue": float(cost),
        "currentValue": float(worth),
        "cashPnl": float(worth - cost),
        "percentPnl": float(100 * (worth - cost) / cost) if cost else 0.0,
        "totalBought": float(held.bought),
        "realizedPnl": 0.0,
        "percentRealizedPnl": 0.0,
        "curPrice": float(price),
        "redeemable": False,
        "mergeable": False,
        "title": market.question,
        "slug": market.slug,
        "icon": "",
        "eventSlug": market.slug,
        "outcome": market.outcomes[index],
        "outcomeIndex": index,
        "oppositeOutcome": market.outcomes[1 - index],
        "oppositeAsset": market.asset_ids[1 - index],
        "endDate": "2026-12-31T00:00:00Z",
        "negativeRisk": market.neg_risk,
    }

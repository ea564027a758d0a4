"""The market channel's events of a simulated market other than its book, changes and prints."""

from __future__ import annotations

from decimal import Decimal

from .simulated_market import SimulatedMarket, Wire, number_text


def best_bid_ask_event(market: SimulatedMarket, asset_id: str, now_ms: int) -> Wire:
    """A `best_bid_ask` of one token as its book stands."""
    bid, ask = market.best(asset_id)
    return {
        "market": market.condition_id,
        "asset_id": asset_id,
        "best_bid": number_text(bid),
        "best_ask": number_text(ask),
        "spread": number_text(ask - bid),
        "timestamp": str(now_ms),
        "event_type": "best_bid_ask",
    }


def tick_size_change_event(
    market: SimulatedMarket, asset_id: str, old_tick_size: Decimal, now_ms: int
) -> Wire:
    """A `tick_size_change` of one token to the market's present tick."""
    return {
        "market": market.condition_id,
        "asset_id": asset_id,
        "old_tick_size": number_text(old_tick_size),
        "new_tick_size": number_text(market.tick_size),
        "timestamp": str(now_ms),
        "event_type": "tick_size_change",
    }


def new_market_event(market: SimulatedMarket, now_ms: int) -> Wire:
    """The `new_market` broadcast of a market."""
    message = {"id": str(900_000 + market.number), "ticker": market.slug, "slug": market.slug}
    return {
        "id": str(market.number),
        "question": market.question,
        "market": market.condition_id,
        "slug": market.slug,
        "description": "A market of the simulated exchange.",
        "assets_ids": list(market.asset_ids),
        "outcomes": list(market.outcomes),
        "event_message": {**message, "title": market.question, "description": ""},
        "timestamp": str(now_ms),
        "event_type": "new_market",
        "tags": [],
        "condition_id": market.condition_id,
        "active": True,
        "clob_token_ids": list(market.asset_ids),
        "sports_market_type": "",
        "line": "",
        "game_start_time": "",
        "order_price_min_tick_size": number_text(market.tick_size),
        "group_item_title": "",
        "taker_base_fee": "0",
        "fees_enabled": False,
    }


def market_resolved_event(market: SimulatedMarket, winner: str, now_ms: int) -> Wire:
    """The `market_resolved` broadcast of a market; `winner` is one of its tokens."""
    return {
        "event_type": "market_resolved",
        "id": str(market.number),
        "market": market.condition_id,
        "assets_ids": list(market.asset_ids),
        "winning_asset_id": winner,
        "winning_outcome": market.outcome(winner),
        "timestamp": str(now_ms),
        "tags": [],
    }

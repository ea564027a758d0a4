"""Hypothesis strategies of events and of the wire messages that carry them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from polymarket_ws import events
from polymarket_ws.events import Event, Level, Side

_PRINTABLE = st.characters(exclude_categories=["Cs"])
words = st.text(_PRINTABLE, max_size=12)
names = st.text(_PRINTABLE, min_size=1, max_size=12)
asset_ids = st.integers(1, 2**256 - 1).map(str)
markets = st.integers(0, 2**256 - 1).map("0x{:064x}".format)
hashes = st.integers(0, 2**160 - 1).map("{:040x}".format)
prices = st.integers(1, 9_999).map(lambda n: Decimal(n).scaleb(-4))
sizes = st.integers(1, 10**12).map(lambda n: Decimal(n).scaleb(-6))
amounts = st.one_of(st.just(Decimal(0)), prices, sizes)
times_ms = st.integers(10**11, 10**14 - 1)
sides = st.sampled_from(Side)
statuses = st.sampled_from(["LIVE", "MATCHED", "MINED", "CONFIRMED", "CANCELED_order was killed"])
# "x_" keeps a made-up field from the name of a known one.
extras = st.dictionaries(
    words.map("x_{}".format), st.one_of(st.none(), st.booleans(), st.integers(), words), max_size=2
)
id_lists = st.lists(asset_ids, max_size=2).map(tuple)
word_lists = st.lists(words, max_size=3).map(tuple)


def levels(*, highest_first: bool) -> st.SearchStrategy[tuple[Level, ...]]:
    """One side of a book, best first."""
    side = st.dictionaries(prices, sizes, max_size=6)
    return side.map(lambda d: tuple(Level(p, d[p]) for p in sorted(d, reverse=highest_first)))


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


_envelope = {"market": markets, "timestamp_ms": times_ms, "extra": extras}
_event = {**_envelope, "asset_id": asset_ids}

books = st.builds(
    events.Book,
    **_event,
    hash=_maybe(hashes),
    bids=levels(highest_first=True),
    asks=levels(highest_first=False),
    tick_size=_maybe(prices),
    last_trade_price=_maybe(prices),
    min_order_size=_maybe(amounts),
    neg_risk=_maybe(st.booleans()),
)
level_changes = st.builds(
    events.LevelChange,
    asset_id=asset_ids,
    price=prices,
    size=amounts,
    side=sides,
    hash=_maybe(hashes),
    best_bid=_maybe(amounts),
    best_ask=_maybe(amounts),
    extra=extras,
)
price_changes = st.builds(
    events.PriceChange,
    **_envelope,
    price_changes=st.lists(level_changes, max_size=4).map(tuple),
)
last_trade_prices = st.builds(
    events.LastTradePrice,
    **_event,
    price=prices,
    size=sizes,
    side=sides,
    fee_rate_bps=_maybe(amounts),
    transaction_hash=_maybe(words),
)
tick_size_changes = st.builds(
    events.TickSizeChange, **_event, old_tick_size=prices, new_tick_size=prices
)
best_bid_asks = st.builds(
    events.BestBidAsk,
    **_event,
    best_bid=_maybe(amounts),
    best_ask=_maybe(amounts),
    spread=_maybe(amounts | prices.map(lambda price: price.copy_negate())),
)
event_messages = st.builds(
    events.EventMessage,
    id=words,
    ticker=words,
    slug=words,
    title=words,
    description=words,
    extra=extras,
)
new_markets = st.builds(
    events.NewMarket,
    **_envelope,
    id=names,
    question=words,
    slug=words,
    description=words,
    asset_ids=id_lists,
    outcomes=word_lists,
    event_message=_maybe(event_messages),
    tags=word_lists,
    condition_id=_maybe(markets),
    active=_maybe(st.booleans()),
    clob_token_ids=id_lists,
    sports_market_type=_maybe(words),
    line=_maybe(words),
    game_start_time_ms=_maybe(times_ms),
    order_price_min_tick_size=_maybe(prices),
    group_item_title=_maybe(words),
    taker_base_fee=_maybe(amounts),
    fees_enabled=_maybe(st.booleans()),
    fee_schedule=_maybe(extras),
)
markets_resolved = st.builds(
    events.MarketResolved,
    **_envelope,
    id=names,
    asset_ids=id_lists,
    winning_asset_id=_maybe(asset_ids),
    winning_outcome=_maybe(words),
    event_message=_maybe(event_messages),
    tags=word_lists,
    question=_maybe(words),
    slug=_maybe(words),
    description=_maybe(words),
    outcomes=word_lists,
)
orders = st.builds(
    events.Order,
    **_event,
    id=names,
    type=st.sampled_from(["PLACEMENT", "UPDATE", "CANCELLATION"]),
    side=sides,
    price=prices,
    original_size=sizes,
    size_matched=_maybe(amounts),
    status=_maybe(statuses),
    owner=_maybe(names),
    order_owner=_maybe(names),
    associate_trades=word_lists,
    outcome=_maybe(words),
    created_at_ms=_maybe(times_ms),
    expiration_ms=_maybe(times_ms),
    order_type=_maybe(names),
    maker_address=_maybe(names),
)
maker_orders = st.builds(
    events.MakerOrder,
    order_id=names,
    owner=_maybe(names),
    matched_amount=sizes,
    price=prices,
    asset_id=_maybe(asset_ids),
    maker_address=_maybe(names),
    fee_rate_bps=_maybe(amounts),
    outcome=_maybe(words),
    outcome_index=_maybe(st.integers(0, 9)),
    side=_maybe(sides),
    extra=extras,
)
trades = st.builds(
    events.Trade,
    **_event,
    id=names,
    status=statuses,
    type=st.just("TRADE"),
    side=sides,
    size=sizes,
    price=prices,
    taker_order_id=_maybe(names),
    owner=_maybe(names),
    trade_owner=_maybe(names),
    match_time_ms=_maybe(times_ms),
    last_update_ms=_maybe(times_ms),
    fee_rate_bps=_maybe(amounts),
    outcome=_maybe(words),
    maker_address=_maybe(names),
    transaction_hash=_maybe(words),
    bucket_index=_maybe(st.integers(0, 99)),
    trader_side=_maybe(st.sampled_from(["TAKER", "MAKER"])),
    maker_orders=st.lists(maker_orders, max_size=2).map(tuple),
)

market_events: st.SearchStrategy[Event] = st.one_of(
    books,
    price_changes,
    last_trade_prices,
    tick_size_changes,
    best_bid_asks,
    new_markets,
    markets_resolved,
)
user_events: st.SearchStrategy[Event] = st.one_of(orders, trades)
wire_events = market_events | user_events
"""Every event that the server sends and this version knows."""

wire_messages: st.SearchStrategy[dict[str, Any]] = wire_events.map(lambda e: e.to_dict())
"""The same as JSON objects."""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
"""Anything that Python's json writes, NaN and Infinity too."""


@st.composite
def spoiled_texts(draw: st.DrawFn) -> str:
    """Texts that were good: a value replaced, a key removed, a piece cut out, doubled or put in."""
    message = draw(wire_messages)
    key = draw(st.sampled_from(sorted(message)))
    if draw(st.booleans()):
        message[key] = draw(json_values)
    else:
        del message[key]
    text = json.dumps(message, ensure_ascii=draw(st.booleans()))
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(start + 20, len(text))))
    piece = draw(st.sampled_from(["", text[start:end] * 2, "\\ud800", "NaN", "1e999999"]) | words)
    return text[:start] + piece + text[end:] if draw(st.booleans()) else text

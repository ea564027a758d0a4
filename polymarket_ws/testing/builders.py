"""Event values with sensible defaults, for the tests of callbacks and strategies.

Prices and sizes are given as str, Decimal or int, never float. The defaults belong together: asset
"1" of market `MARKET`, whose other token is "2", at the one fixed time `TIMESTAMP_MS`: pass
`timestamp_ms` where time matters. `extra` fields of the wire are no concern here: build the
value's class itself for those.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from attrs import evolve

from polymarket_ws.events import (
    BestBidAsk,
    Book,
    LastTradePrice,
    Level,
    LevelChange,
    MakerOrder,
    MarketResolved,
    NewMarket,
    Order,
    PriceChange,
    Side,
    TickSizeChange,
    Trade,
)

from .simulated_market import book_hash

Number = Decimal | str | int

MARKET = "0x" + "1".zfill(64)
"""The default condition id."""
TIMESTAMP_MS = 1_790_000_000_000
"""The default time, in September 2026."""
OWNER = "00000000-0000-0000-0000-000000000001"
"""The default api key of the user."""
OTHER_OWNER = "00000000-0000-0000-0000-000000000002"
"""The default api key of whoever trades with the user."""
ORDER_ID = "0x" + "a1".zfill(64)
TRADE_ID = "00000000-0000-4000-8000-000000000001"
TRANSACTION_HASH = "0x" + "b1".zfill(64)


def make_book(
    asset_id: str = "1",
    bids: Sequence[tuple[Number, Number]] = (("0.4", "10"),),
    asks: Sequence[tuple[Number, Number]] = (("0.6", "10"),),
    *,
    market: str = MARKET,
    timestamp_ms: int = TIMESTAMP_MS,
    hash: str | None = None,
    tick_size: Number | None = None,
    last_trade_price: Number | None = None,
) -> Book:
    """A `Book`, its levels sorted best first.

    Args:
        bids: (price, size) pairs in any order.
        asks: The same.
        hash: None: the right one for this book, by the server's recipe, with `min_order_size` 5,
            `neg_risk` false and, where None, a tick of 0.01 and no last trade.
        tick_size: None: absent, as in a refresh; a FakeServer adds 0.01 when it answers a
            subscription.
        last_trade_price: None: absent; a FakeServer answers with "".
    """
    book = Book(
        asset_id=asset_id,
        market=market,
        timestamp_ms=timestamp_ms,
        hash=hash,
        bids=_levels(bids, best_is_highest=True),
        asks=_levels(asks, best_is_highest=False),
        tick_size=_optional(tick_size),
        last_trade_price=_optional(last_trade_price),
    )
    return book if hash is not None else _with_hash(book)


def make_price_change(
    asset_id: str = "1",
    changes: Sequence[tuple[Side | str, Number, Number] | LevelChange] = (("BUY", "0.41", "10"),),
    *,
    best_bid: Number | None = None,
    best_ask: Number | None = None,
    market: str = MARKET,
    timestamp_ms: int = TIMESTAMP_MS,
) -> PriceChange:
    """A `PriceChange` of one asset, without hashes.

    Args:
        asset_id: Of the changes given as tuples.
        changes: (side, price, new size) each; size 0 removes the level. A `LevelChange` is taken
            as it is, so that the complement token, hashes and different tops can be had.
        best_bid: After the changes; None: absent.
        best_ask: The same.
    """
    made = (
        change
        if isinstance(change, LevelChange)
        else LevelChange(
            asset_id=asset_id,
            side=Side(change[0]),
            price=_number(change[1]),
            size=_number(change[2]),
            best_bid=_optional(best_bid),
            best_ask=_optional(best_ask),
        )
        for change in changes
    )
    return PriceChange(market=market, price_changes=tuple(made), timestamp_ms=timestamp_ms)


def make_last_trade_price(
    asset_id: str = "1",
    price: Number = "0.5",
    size: Number = "10",
    side: Side | str = Side.BUY,
    *,
    market: str = MARKET,
    timestamp_ms: int = TIMESTAMP_MS,
    transaction_hash: str | None = TRANSACTION_HASH,
) -> LastTradePrice:
    """A `LastTradePrice`, a public print; `side` is the taker's."""
    return LastTradePrice(
        market=market,
        asset_id=asset_id,
        price=_number(price),
        size=_number(size),
        side=Side(side),
        fee_rate_bps=Decimal(0),
        transaction_hash=transaction_hash,
        timestamp_ms=timestamp_ms,
    )


def make_tick_size_change(
    asset_id: str = "1",
    old_tick_size: Number = "0.01",
    new_tick_size: Number = "0.001",
    *,
    market: str = MARKET,
    timestamp_ms: int = TIMESTAMP_MS,
) -> TickSizeChange:
    """A `TickSizeChange`."""
    return TickSizeChange(
        market=market,
        asset_id=asset_id,
        old_tick_size=_number(old_tick_size),
        new_tick_size=_number(new_tick_size),
        timestamp_ms=timestamp_ms,
    )


def make_best_bid_ask(
    asset_id: str = "1",
    best_bid: Number = "0.4",
    best_ask: Number = "0.6",
    *,
    market: str = MARKET,
    timestamp_ms: int = TIMESTAMP_MS,
) -> BestBidAsk:
    """A `BestBidAsk`; the spread follows from the prices."""
    bid, ask = _number(best_bid), _number(best_ask)
    return BestBidAsk(
        market=market,
        asset_id=asset_id,
        best_bid=bid,
        best_ask=ask,
        spread=ask - bid,
        timestamp_ms=timestamp_ms,
    )


def make_new_market(
    market: str = MARKET,
    asset_ids: Sequence[str] = ("1", "2"),
    *,
    question: str = "Will it rain?",
    slug: str = "will-it-rain",
    timestamp_ms: int = TIMESTAMP_MS,
) -> NewMarket:
    """A `NewMarket` with the outcomes Yes and No."""
    return NewMarket(
        id="1",
        market=market,
        condition_id=market,
        question=question,
        slug=slug,
        asset_ids=tuple(asset_ids),
        clob_token_ids=tuple(asset_ids),
        outcomes=("Yes", "No"),
        active=True,
        order_price_min_tick_size=Decimal("0.01"),
        timestamp_ms=timestamp_ms,
    )


def make_market_resolved(
    market: str = MARKET,
    asset_ids: Sequence[str] = ("1", "2"),
    *,
    winning_asset_id: str = "1",
    winning_outcome: str = "Yes",
    timestamp_ms: int = TIMESTAMP_MS,
) -> MarketResolved:
    """A `MarketResolved`."""
    return MarketResolved(
        id="1",
        market=market,
        asset_ids=tuple(asset_ids),
        winning_asset_id=winning_asset_id,
        winning_outcome=winning_outcome,
        timestamp_ms=timestamp_ms,
    )


def make_order(
    asset_id: str = "1",
    side: Side | str = Side.BUY,
    price: Number = "0.4",
    size: Number = "10",
    *,
    id: str = ORDER_ID,
    type: str = "PLACEMENT",
    status: str = "LIVE",
    size_matched: Number = "0",
    market: str = MARKET,
    owner: str = OWNER,
    associate_trades: Sequence[str] = (),
    order_type: str = "GTC",
    timestamp_ms: int = TIMESTAMP_MS,
) -> Order:
    """An `Order`: one's own, placed, matched (`type="UPDATE"`) or cancelled ("CANCELLATION")."""
    return Order(
        id=id,
        type=type,
        status=status,
        market=market,
        asset_id=asset_id,
        side=Side(side),
        price=_number(price),
        original_size=_number(size),
        size_matched=_number(size_matched),
        owner=owner,
        order_owner=owner,
        associate_trades=tuple(associate_trades),
        outcome="Yes",
        created_at_ms=timestamp_ms,
        order_type=order_type,
        timestamp_ms=timestamp_ms,
    )


def make_maker_order(
    order_id: str = ORDER_ID,
    matched_amount: Number = "10",
    price: Number = "0.4",
    *,
    asset_id: str = "1",
    side: Side | str = Side.SELL,
    owner: str = OTHER_OWNER,
) -> MakerOrder:
    """A `MakerOrder`, for `make_trade(maker_orders=[...])`."""
    return MakerOrder(
        order_id=order_id,
        owner=owner,
        matched_amount=_number(matched_amount),
        price=_number(price),
        asset_id=asset_id,
        side=Side(side),
        outcome="Yes",
    )


def make_trade(
    asset_id: str = "1",
    side: Side | str = Side.BUY,
    price: Number = "0.4",
    size: Number = "10",
    *,
    id: str = TRADE_ID,
    status: str = "MATCHED",
    market: str = MARKET,
    owner: str = OWNER,
    taker_order_id: str = ORDER_ID,
    trader_side: str = "TAKER",
    maker_orders: Sequence[MakerOrder] | None = None,
    timestamp_ms: int = TIMESTAMP_MS,
) -> Trade:
    """A `Trade` in one of its statuses; the user is the taker unless `trader_side` says "MAKER".

    Args:
        maker_orders: None: one of `OTHER_OWNER` that fills it all.
    """
    makers = (
        [make_maker_order("0x" + "c1".zfill(64), size, price, asset_id=asset_id)]
        if maker_orders is None
        else maker_orders
    )
    return Trade(
        id=id,
        type="TRADE",
        status=status,
        market=market,
        asset_id=asset_id,
        side=Side(side),
        price=_number(price),
        size=_number(size),
        taker_order_id=taker_order_id,
        owner=owner,
        trade_owner=owner,
        match_time_ms=timestamp_ms,
        last_update_ms=timestamp_ms,
        outcome="Yes",
        transaction_hash="" if status == "MATCHED" else TRANSACTION_HASH,
        bucket_index=0,
        trader_side=trader_side,
        maker_orders=tuple(makers),
        timestamp_ms=timestamp_ms,
    )


def _levels(pairs: Sequence[tuple[Number, Number]], *, best_is_highest: bool) -> tuple[Level, ...]:
    levels = (Level(_number(price), _number(size)) for price, size in pairs)
    return tuple(sorted(levels, key=lambda level: level.price, reverse=best_is_highest))


def _with_hash(book: Book) -> Book:
    wire = {"tick_size": "0.01", "last_trade_price": "", **book.to_dict()}
    return evolve(book, hash=book_hash(wire, min_order_size="5", neg_risk=False))


def _optional(number: Number | None) -> Decimal | None:
    return None if number is None else _number(number)


def _number(number: Number) -> Decimal:
    if isinstance(number, float):
        raise TypeError(f"{number!r} is a float, which has lost digits: pass a str or a Decimal")
    return Decimal(number)

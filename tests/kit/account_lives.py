"""Lives of an account for property tests: what an exchange did, and the messages that tell of it.

The exchange here keeps its own account of who got what, in the plainest way: it is what the
account under test is compared with.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from decimal import Decimal
from typing import Any

from attrs import define, field
from hypothesis import strategies as st

from polymarket_ws.events import MakerOrder, Order, Side, Trade

MARKET = "0x" + "a" * 64
KEY, OTHER_KEY = "key-1", "key-2"
TOKENS = ("111", "222")
TRADE_LIVES = (
    ("MATCHED",),
    ("MATCHED", "MINED"),
    ("MATCHED", "MINED", "CONFIRMED"),
    ("MATCHED", "RETRYING", "MINED", "CONFIRMED"),
    ("MATCHED", "MINED", "RETRYING", "FAILED"),
    ("MATCHED", "FAILED"),
    ("MATCHED_NOT_BROADCASTED", "MATCHED", "SETTLING", "CONFIRMED"),
)
"""The statuses of a trade, one of them new to us."""


@define
class Resting:
    """An order in the exchange's book."""

    id: str
    is_own: bool
    token: str
    side: Side
    price: Decimal
    size: Decimal
    matched: Decimal = Decimal(0)


@define
class Life:
    """What happened, and who was told what."""

    messages: list[Order | Trade] = field(factory=list)
    """In the order in which it happened."""
    held: dict[str, Decimal] = field(factory=lambda: defaultdict(Decimal))
    """Own shares of each token, without what FAILED."""
    pending: dict[str, Decimal] = field(factory=lambda: defaultdict(Decimal))
    """Own shares that were bought, and neither CONFIRMED nor FAILED."""
    fills: set[tuple[Any, ...]] = field(factory=set)
    """trade, order, role, token, side, price, size and status."""
    own_orders: dict[str, Resting] = field(factory=dict)


PRICES = st.integers(1, 99).map(lambda cents: Decimal(cents) / 100)
SIZES = st.integers(1, 40).map(lambda tenths: Decimal(tenths) / 10)


@st.composite
def lives(draw: st.DrawFn, trades: int = 5) -> Life:
    """Some trades, in each of which own and others' orders met."""
    life, ids, clock = Life(), itertools.count(1), itertools.count(1_700_000_000_000, 1_000)
    for number in range(draw(st.integers(0, trades))):
        taker = _order(draw, ids, draw(st.booleans()))
        makers = [
            _maker(draw, ids, taker, draw(st.booleans())) for _ in range(draw(st.integers(1, 3)))
        ]
        amounts = [draw(SIZES) for _ in makers]
        _trade(draw, life, f"t{number}", taker, list(zip(makers, amounts, strict=True)), clock)
    for resting in life.own_orders.values():
        _end(draw, life, resting, clock)
    return life


def _order(draw: st.DrawFn, ids: Any, is_own: bool) -> Resting:
    token, side = draw(st.sampled_from(TOKENS)), draw(st.sampled_from(Side))
    return Resting(f"o{next(ids)}", is_own, token, side, draw(PRICES), Decimal(1000))


def _maker(draw: st.DrawFn, ids: Any, taker: Resting, is_own: bool) -> Resting:
    """One that the taker's can meet: opposite on its token, or the same on the twin at 1 - p."""
    if draw(st.booleans()):
        side = Side.SELL if taker.side is Side.BUY else Side.BUY
        return Resting(f"o{next(ids)}", is_own, taker.token, side, taker.price, Decimal(1000))
    twin = TOKENS[1 - TOKENS.index(taker.token)]
    return Resting(f"o{next(ids)}", is_own, twin, taker.side, 1 - taker.price, Decimal(1000))


def _trade(
    draw: st.DrawFn,
    life: Life,
    trade_id: str,
    taker: Resting,
    met: list[tuple[Resting, Decimal]],
    clock: Any,
) -> None:
    total = sum((amount for _, amount in met), Decimal(0))
    statuses = draw(st.sampled_from(TRADE_LIVES))
    parts = [(taker, total, "TAKER"), *((maker, amount, "MAKER") for maker, amount in met)]
    for resting, amount, role in parts:
        if resting.is_own:
            _count(life, trade_id, resting, amount, role, statuses[-1])
            life.messages.append(_told(resting, "PLACEMENT", "LIVE", next(clock)))
    for resting, amount, _ in parts:
        resting.matched += amount
        if resting.is_own:
            life.messages.append(_told(resting, "UPDATE", "LIVE", next(clock)))
    names_sides, names_owners = draw(st.booleans()), draw(st.booleans())
    matched_at = next(clock)
    for status in statuses:
        life.messages.append(
            Trade(
                id=trade_id,
                status=status,
                market=MARKET,
                asset_id=taker.token,
                side=taker.side,
                size=total,
                price=taker.price,
                taker_order_id=taker.id,
                owner=(KEY if taker.is_own else OTHER_KEY) if names_owners else None,
                match_time_ms=matched_at,
                timestamp_ms=next(clock),
                maker_orders=tuple(
                    MakerOrder(
                        order_id=maker.id,
                        owner=(KEY if maker.is_own else OTHER_KEY) if names_owners else None,
                        matched_amount=amount,
                        price=maker.price,
                        asset_id=maker.token,
                        side=maker.side if names_sides else None,
                    )
                    for maker, amount in met
                ),
            )
        )


def _count(
    life: Life, trade_id: str, resting: Resting, amount: Decimal, role: str, status: str
) -> None:
    life.own_orders[resting.id] = resting
    token, side = resting.token, resting.side
    life.fills.add((trade_id, resting.id, role, token, side, resting.price, amount, status))
    if status == "FAILED":
        return
    life.held[token] += amount if side is Side.BUY else -amount
    if status != "CONFIRMED" and side is Side.BUY:
        life.pending[token] += amount


def _told(resting: Resting, type_: str, status: str, at_ms: int) -> Order:
    return Order(
        id=resting.id,
        type=type_,
        status=status,
        market=MARKET,
        asset_id=resting.token,
        side=resting.side,
        price=resting.price,
        original_size=resting.size,
        size_matched=resting.matched,
        owner=KEY,
        timestamp_ms=at_ms,
    )


def _end(draw: st.DrawFn, life: Life, resting: Resting, clock: Any) -> None:
    end = draw(st.sampled_from(["open", "CANCELED", "CANCELED_MARKET_RESOLVED", "MATCHED"]))
    if end == "MATCHED":
        resting.matched = resting.size
        life.messages.append(_told(resting, "UPDATE", "MATCHED", next(clock)))
    elif end != "open":
        life.messages.append(_told(resting, "CANCELLATION", end, next(clock)))

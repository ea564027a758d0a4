"""One simulated market: its resting orders, its two mirrored books and their hashes.

Everything is kept once, in terms of the first token: a bid of p on the second one is an ask of 1 -
p on the first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import attrs
from attrs import define, field

from polymarket_ws.events import Side

from .ids import Protocol

Wire = dict[str, Any]
"""One event in the wire's shape: what `json.loads` would give."""

_ONE = Decimal(1)


@lru_cache(maxsize=16384)
def number_text(number: Decimal) -> str:
    """A number as the exchange prints it: no exponent, no trailing zeros."""
    return format(number.normalize(), "f") if number else "0"


def last_price_text(price: Decimal) -> str:
    """A last trade price as hashes carry it: at least three decimals (seen in live captures)."""
    whole, _, decimals = number_text(price).partition(".")
    return f"{whole}.{decimals.ljust(3, '0')}"


def book_hash(book: Mapping[str, Any], *, min_order_size: str, neg_risk: bool) -> str:
    """The SHA-1 over a book in the wire's shape, by the recipe in `polymarket_ws.books.proof`.

    Args:
        book: A `book` event with the strings of the wire, levels worst first, and with `tick_size`
            and `last_trade_price` present.
        min_order_size: As REST prints it ("5").
        neg_risk: Whether the market belongs to a negative-risk event.
    """
    hashed = {
        "market": book["market"],
        "asset_id": book["asset_id"],
        "timestamp": book["timestamp"],
        "hash": "",
        "bids": book["bids"],
        "asks": book["asks"],
        "min_order_size": min_order_size,
        "tick_size": book["tick_size"],
        "neg_risk": neg_risk,
        "last_trade_price": book["last_trade_price"],
    }
    text = json.dumps(hashed, separators=(",", ":"), ensure_ascii=False)
    return _sha1(text)


def other_hash(book: Mapping[str, Any]) -> str:
    """A hash of a book by a recipe that nobody knows."""
    return _sha1(json.dumps([book[name] for name in ("asset_id", "timestamp", "bids", "asks")]))


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@define(eq=False)
class RestingOrder:
    """An order as its owner placed it, and how much of it is left."""

    id: str
    asset_id: str
    side: Side
    price: Decimal
    size: Decimal
    """Shares when it was placed."""
    owner: str
    """The owner's api key."""
    own: bool
    """Whether it belongs to the user whose channel the exchange plays."""
    maker_address: str
    order_type: str
    placed_ms: int
    remaining: Decimal
    """Shares not matched yet."""
    expires_ms: int = 0
    """When it is taken back (GTD), milliseconds since 1970; 0: never."""
    trade_ids: list[str] = field(factory=list)


@attrs.frozen
class Fill:
    """A part of a resting order that a taker takes."""

    maker: RestingOrder
    amount: Decimal


@define(eq=False)
class SimulatedMarket:
    """The book of one market. Made and driven by a SimulatedExchange; no clock, no randomness."""

    condition_id: str
    asset_ids: tuple[str, str]
    tick_size: Decimal
    min_order_size: Decimal
    neg_risk: bool
    timestamp_ms: int
    """When the book last changed."""
    number: int
    """Counts the markets of the exchange, from 1."""
    protocol: Protocol = "v1"
    has_other_hash: bool = False
    """Whether its hashes follow a recipe that nobody knows."""
    outcomes: tuple[str, str] = ("Yes", "No")
    print_due_ms: int = field(init=False, default=0)
    """When its latest trade's print is due; prints keep the order of their trades."""
    last_prices: dict[str, str] = field(init=False)
    """By asset: the last trade price that its hash carries now, "" before the first trade."""
    _orders: dict[bool, dict[Decimal, list[RestingOrder]]] = field(
        init=False, factory=lambda: {True: {}, False: {}}
    )

    def __attrs_post_init__(self) -> None:
        self.last_prices = dict.fromkeys(self.asset_ids, "")

    @property
    def slug(self) -> str:
        """The market's name in a URL."""
        return f"simulated-market-{self.number}"

    @property
    def question(self) -> str:
        """What it asks."""
        return f"Will simulated market {self.number} resolve to Yes?"

    def complement(self, asset_id: str) -> str:
        """The other token of the market."""
        first, second = self.asset_ids
        return second if asset_id == first else first

    def outcome(self, asset_id: str) -> str:
        """What the token pays for."""
        return self.outcomes[self.asset_ids.index(asset_id)]

    def orders(self) -> Iterator[RestingOrder]:
        """Every resting order."""
        for levels in self._orders.values():
            for queue in levels.values():
                yield from queue

    def levels(self, asset_id: str, side: Side) -> list[tuple[Decimal, Decimal]]:
        """Price and size of one token's levels, worst first, as the wire has them."""
        mirrored = asset_id != self.asset_ids[0]
        is_bid = (side is Side.BUY) != mirrored
        sizes = (
            (_ONE - price if mirrored else price, sum((o.remaining for o in queue), Decimal(0)))
            for price, queue in self._orders[is_bid].items()
        )
        return sorted(sizes, reverse=side is Side.SELL)

    def best(self, asset_id: str) -> tuple[Decimal, Decimal]:
        """Best bid and ask as the wire writes them: 0 and 1 stand for an empty side."""
        bid = max(self._orders[True], default=Decimal(0))
        ask = min(self._orders[False], default=_ONE)
        return (bid, ask) if asset_id == self.asset_ids[0] else (_ONE - ask, _ONE - bid)

    def snapshot(self, asset_id: str) -> Wire:
        """The `book` event that answers a subscription."""
        book = self._hashed_book(asset_id)
        order = ("market", "asset_id", "timestamp", "hash", "bids", "asks", "tick_size")
        return {
            **{name: book[name] for name in order},
            "event_type": "book",
            "last_trade_price": book["last_trade_price"],
        }

    def hash(self, asset_id: str) -> str:
        """The hash of one token's book as it stands."""
        return str(self._hashed_book(asset_id)["hash"])

    def level_of(self, order: RestingOrder) -> tuple[bool, Decimal]:
        """An order's level in terms of the first token: whether it is a bid, and its price."""
        if order.asset_id == self.asset_ids[0]:
            return order.side is Side.BUY, order.price
        return order.side is Side.SELL, _ONE - order.price

    def resting(self, *, bids: bool) -> Iterator[RestingOrder]:
        """The first token's bids or asks in matching order: best price first, then oldest first."""
        levels = self._orders[bids]
        for price in sorted(levels, reverse=bids):
            yield from levels[price]

    def reached(self, taker: RestingOrder) -> Iterator[RestingOrder]:
        """The resting orders that a taker's price reaches, in matching order."""
        taker_bids, limit = self.level_of(taker)
        for maker in self.resting(bids=not taker_bids):
            _, price = self.level_of(maker)
            if price > limit if taker_bids else price < limit:
                return
            yield maker

    def crossing(self, taker: RestingOrder) -> list[Fill]:
        """What a taker would get now, in matching order; nothing changes."""
        left, fills = taker.remaining, []
        for maker in self.reached(taker):
            if not left:
                break
            fills.append(Fill(maker, min(left, maker.remaining)))
            left -= fills[-1].amount
        return fills

    def take(self, fill: Fill) -> None:
        """Carry one fill out on the resting side."""
        fill.maker.remaining -= fill.amount
        if not fill.maker.remaining:
            self.remove(fill.maker)

    def rest(self, order: RestingOrder) -> None:
        """Put an order behind the others of its level."""
        is_bid, price = self.level_of(order)
        self._orders[is_bid].setdefault(price, []).append(order)

    def remove(self, order: RestingOrder) -> None:
        """Take an order out of its level."""
        is_bid, price = self.level_of(order)
        queue = self._orders[is_bid][price]
        queue.remove(order)
        if not queue:
            del self._orders[is_bid][price]

    def tell(self, changed: Iterable[RestingOrder], *, traded: bool) -> list[Wire]:
        """The events of one engine step, told when all of it is done.

        Args:
            changed: Orders whose levels the step changed: each brings a `price_change` of its
                level. The hash and the best prices in all of them are those after the step, as are
                the sizes (seen in two live captures of 2026-09).
            traded: Whether a `book` of each token follows.
        """
        books = [self._hashed_book(asset_id) for asset_id in self.asset_ids]
        ends = {book["asset_id"]: self._end(book) for book in books}
        frames = [self._price_change(order, ends) for order in changed]
        return frames + [_refresh(book) for book in books if traded]

    def _end(self, book: Wire) -> Wire:
        bid, ask = self.best(book["asset_id"])
        return {
            "hash": book["hash"],
            "best_bid": number_text(bid),
            "best_ask": number_text(ask),
        }

    def _price_change(self, order: RestingOrder, ends: Mapping[str, Wire]) -> Wire:
        # The order's own token comes first, also when a taker of the other token matched it: in
        # the capture of 2026-09-11 (frames/steps/step_2.jsonl) a BUY of No takes a bid of Yes.
        named = (order.asset_id, self.complement(order.asset_id))
        return {
            "market": self.condition_id,
            "price_changes": [{**self._level_change(order, a), **ends[a]} for a in named],
            "timestamp": str(self.timestamp_ms),
            "event_type": "price_change",
        }

    def _level_change(self, order: RestingOrder, asset_id: str) -> Wire:
        is_bid, price = self.level_of(order)
        mirrored = asset_id != self.asset_ids[0]
        size = sum((o.remaining for o in self._orders[is_bid].get(price, ())), Decimal(0))
        return {
            "asset_id": asset_id,
            "price": number_text(_ONE - price if mirrored else price),
            "size": number_text(size),
            "side": str(Side.BUY if is_bid != mirrored else Side.SELL),
        }

    def _hashed_book(self, asset_id: str) -> Wire:
        book: Wire = {
            "market": self.condition_id,
            "asset_id": asset_id,
            "timestamp": str(self.timestamp_ms),
            "bids": self._level_texts(asset_id, Side.BUY),
            "asks": self._level_texts(asset_id, Side.SELL),
            "tick_size": number_text(self.tick_size),
            "last_trade_price": self.last_prices[asset_id],
        }
        minimum = number_text(self.min_order_size)
        right = book_hash(book, min_order_size=minimum, neg_risk=self.neg_risk)
        book["hash"] = other_hash(book) if self.has_other_hash else right
        return book

    def _level_texts(self, asset_id: str, side: Side) -> list[dict[str, str]]:
        return [
            {"price": number_text(price), "size": number_text(size)}
            for price, size in self.levels(asset_id, side)
        ]


def _refresh(book: Wire) -> Wire:
    """The `book` event that follows a trade: without tick and last price."""
    order = ("market", "asset_id", "bids", "asks", "hash", "timestamp")
    return {**{name: book[name] for name in order}, "event_type": "book"}

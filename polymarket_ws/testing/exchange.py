"""A small simulated exchange: seeded markets whose events and hashes are right to the byte."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import partial
from typing import Literal

import attrs
from attrs import define, field, frozen

from polymarket_ws.events import Book, Level, Side

from .agenda import Agenda
from .gamma import gamma_market
from .ids import Ids, Protocol
from .ledger import Account, Ledger
from .order_desk import OrderDesk, check_terms
from .own_events import SimulatedTrade, order_event, print_event, trade_event
from .public_events import (
    best_bid_ask_event,
    market_resolved_event,
    new_market_event,
    tick_size_change_event,
)
from .seeding import Quote, Seeding
from .simulated_market import (
    Fill,
    RestingOrder,
    SimulatedMarket,
    Wire,
    last_price_text,
    number_text,
)

Number = Decimal | str | int
"""A price or a size; never a float, which has lost digits."""

API_KEY = "00000000-0000-0000-0000-000000000001"
WALLET = "0x00000000000000000000000000000000000000A1"
START_MS = 1_790_491_135_816

_PAUSES_MS = (0, 1, 3, 7, 20, 60)
_PRINT_DELAY_MS = (30, 90)  # measured from a trade's price_change to its print, live, 2026-09
_SETTLING_MS = {"MINED": 2000, "RETRYING": 2000, "CONFIRMED": 5000, "FAILED": 5000}
_FINER_TICK = Decimal("0.001")
_NEAR_ONE, _NEAR_ZERO = Decimal("0.96"), Decimal("0.04")
_CHOICES = {
    "hash_last_price": ("market", "taker"),
    "hash_timing": ("early", "late"),
    "protocol": ("v1", "v2"),
    "hash_recipe": ("same", "other"),
}
_CONFIRMED = ("MINED", "CONFIRMED")
"""How an own trade goes on after MATCHED."""
_EXPIRED = "CANCELED_EXPIRED_ORDER"
_NEVER_RESTING = ("FAK", "FOK")


@frozen
class OpenOrder:
    """A resting order, as `SimulatedExchange.open_orders` shows it."""

    id: str
    """The order's hash."""
    asset_id: str
    """Token id."""
    side: Side
    """BUY or SELL."""
    price: Decimal
    """For one share in USDC."""
    remaining: Decimal
    """Shares not matched yet."""
    own: bool
    """Whether it is the user's, who hears of it on the user channel."""


@define(eq=False)
class SimulatedExchange:
    """A deterministic exchange: equal seeds and equal calls give equal events.

    Made by a test or the demo, alone or under a FakeServer. Sans-I/O: no socket, no thread, no
    clock. Its time, `now_ms`, moves only by `step`, `advance` and `trade`. Not thread-safe: while
    a running FakeServer stands on it, drive it through `FakeServer.play` alone.

        exchange = SimulatedExchange(seed=7)
        yes, no = exchange.asset_ids[:2]
        for event in exchange.steps(100):            # dicts in the wire's shape
            ...
        exchange.trade(yes, "BUY", "25")             # price_change, book, book, last_trade_price
        exchange.book(yes).bids[0].price             # Decimal, best first

    Events of both channels come in one list, in the order in which they happen; `event_type`
    "order" and "trade" belong to the user channel. The last market starts near 0.96, so it soon
    gets a finer tick. Seeded steps open new markets but never resolve one: `resolve` does.

    What happens at once is one engine step, told as the real engine tells it (two live captures of
    2026-09): if the best prices changed, a best_bid_ask of each token, at the step's time or 1 ms
    more; then, back to back, a price_change for each order placed or taken back and for each level
    that was matched (two if orders of both tokens rested there), all with the hash, the best prices
    and the sizes after the step; after a trade the books of both tokens, and 30 to 90 ms later its
    last_trade_price.

    Args:
        seed: Of everything random: ids, books, what the steps do.
        markets: How many there are at first; each has two tokens.
        api_key: The user's: the `owner` of own orders and trades.
        wallet: Address of the user's wallet: the `maker_address` of own orders.
        start_ms: The first `now_ms`.
        hash_last_price: Whose last trade price enters a token's hash: that of its "market" (both
            tokens carry the same text, as the captured server does) or the "taker"'s token's only.
        hash_timing: "early": a trade's price is in the hash of its own price_change already,
            before its last_trade_price is sent (seen in a live capture); "late": from that event
            on.
        tick_size: Of new markets.
        min_order_size: Of every market; None: one of 5, 1 and 15 by the seed.
        neg_risk: Of every market; None: by the seed.
        depth: Levels on each side of a new book.
        step_share: Share of the seeded quotes, cancels and matches that are steps of several
            price_changes, 0 to 1: replaced quotes, several cancels at once, matches over several
            levels. 0: every one of them has a single price_change; 1: all are such steps, but for
            the quotes that refill a book that ran almost empty.
        step_frames: Fewest and most price_changes of such a step, the fewest at least 2.
        own_share: Share of the seeded orders that are the user's, 0 to 1, as takers and makers, of
            either token, with trades that fail and orders that expire; None: a few.
        protocol: "v2": markets have the ids of Polymarket's V2 (position ids of 75 digits,
            condition ids of 62 hex digits).
        hash_recipe: "other": hashes follow a recipe that no client knows, as V2 may.

    Raises:
        ValueError: a switch that is none of its values, a share or numbers out of their range.
    """

    seed: int = 0
    market_count: int = field(default=3, alias="markets")
    api_key: str = field(default=API_KEY, kw_only=True)
    wallet: str = field(default=WALLET, kw_only=True)
    start_ms: int = field(default=START_MS, kw_only=True)
    hash_last_price: Literal["market", "taker"] = field(default="market", kw_only=True)
    hash_timing: Literal["early", "late"] = field(default="early", kw_only=True)
    tick_size: Decimal = field(default=Decimal("0.01"), converter=Decimal, kw_only=True)
    min_order_size: Decimal | None = field(
        default=None, converter=attrs.converters.optional(Decimal), kw_only=True
    )
    neg_risk: bool | None = field(default=None, kw_only=True)
    depth: int = field(default=12, kw_only=True)
    step_share: float = field(default=0.1, kw_only=True)
    step_frames: tuple[int, int] = field(default=(2, 6), kw_only=True)
    own_share: float | None = field(default=None, kw_only=True)
    protocol: Protocol = field(default="v1", kw_only=True)
    hash_recipe: Literal["same", "other"] = field(default="same", kw_only=True)

    ledger: Ledger = field(init=False, factory=Ledger, repr=False)
    """Every state of the user's orders and trades; for the server's answers."""
    _random: random.Random = field(init=False, repr=False)
    _ids: Ids = field(init=False, repr=False)
    _seeding: Seeding = field(init=False, repr=False)
    _markets: dict[str, SimulatedMarket] = field(init=False, factory=dict, repr=False)
    _by_asset: dict[str, SimulatedMarket] = field(init=False, factory=dict, repr=False)
    _resolved: set[str] = field(init=False, factory=set, repr=False)
    _open_orders: dict[str, RestingOrder] = field(init=False, factory=dict, repr=False)
    _agenda: Agenda = field(init=False, repr=False)
    _desk: OrderDesk = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                listed = " or ".join(f'"{choice}"' for choice in choices)
                raise ValueError(f"{name} is {listed}, not {getattr(self, name)!r}")
        self._agenda = Agenda(self.start_ms)
        self._random = random.Random(self.seed)
        self._ids = Ids(self._random, self.protocol)
        self._desk = OrderDesk(self._ids, self._agenda, self.api_key, self.wallet)
        self._seeding = Seeding(
            self._random, self.depth, self.step_share, self.step_frames, self.own_share
        )
        for number in range(1, self.market_count + 1):
            self._add_market(near_one=number > 1 and number == self.market_count)

    # What there is.

    @property
    def now_ms(self) -> int:
        """The exchange's time, milliseconds since 1970."""
        return self._agenda.now_ms

    @property
    def markets(self) -> tuple[str, ...]:
        """Condition ids of the open markets, oldest first."""
        return tuple(m.condition_id for m in self._open_markets())

    @property
    def asset_ids(self) -> tuple[str, ...]:
        """Token ids of the open markets, two by two, oldest market first."""
        return tuple(asset for m in self._open_markets() for asset in m.asset_ids)

    @property
    def open_orders(self) -> tuple[OpenOrder, ...]:
        """Every resting order, oldest first."""
        return tuple(
            OpenOrder(o.id, o.asset_id, o.side, o.price, o.remaining, o.own)
            for o in self._open_orders.values()
        )

    def account(self) -> Account:
        """The user's orders, trades, fills and positions now, for assertions."""
        return self.ledger.account()

    def market_of(self, asset_id: str) -> str:
        """The condition id of a token's market; KeyError for an unknown token."""
        return self._by_asset[asset_id].condition_id

    def hash_parameters(self, asset_id: str) -> tuple[str, bool]:
        """`min_order_size` and `neg_risk` of a token: in the hash, but never on the wire."""
        market = self._by_asset[asset_id]
        return number_text(market.min_order_size), market.neg_risk

    def gamma_markets(self) -> list[Wire]:
        """Every market as Gamma describes it, oldest first; a resolved one is closed."""
        markets = self._markets.values()
        return [gamma_market(m, closed=m.condition_id in self._resolved) for m in markets]

    def snapshot(self, asset_id: str) -> Wire | None:
        """The `book` event that answers a subscription; None for an unknown or a resolved token."""
        market = self._by_asset.get(asset_id)
        if market is None or market.condition_id in self._resolved:
            return None
        return market.snapshot(asset_id)

    def book(self, asset_id: str) -> Book:
        """A token's book now, for assertions: Decimals, best first, `.top`, `.mid`, `.spread`."""
        market = self._by_asset[asset_id]
        last = market.last_prices[asset_id]
        return Book(
            market=market.condition_id,
            asset_id=asset_id,
            timestamp_ms=market.timestamp_ms,
            hash=market.hash(asset_id),
            bids=_best_first(market.levels(asset_id, Side.BUY)),
            asks=_best_first(market.levels(asset_id, Side.SELL)),
            tick_size=market.tick_size,
            last_trade_price=Decimal(last) if last else None,
        )

    # What a test author makes happen.

    def place(
        self,
        asset_id: str,
        side: Side | str,
        price: Number,
        size: Number,
        *,
        own: bool = False,
        order_type: str = "GTC",
        expires_ms: int = 0,
        failed: bool = False,
        retried: bool = False,
    ) -> list[Wire]:
        """Place an order: it matches what it crosses, and the rest of it rests (unless FAK or FOK).

        The events are those of this moment. The prints of its trades and their later statuses come
        from `step` or `advance` when they are due. The order's id is `open_orders[-1].id` if it
        rests.

        Args:
            price: On the market's grid, above 0 and below 1.
            size: Shares, at least the market's `min_order_size`.
            own: Whether the user places it.
            order_type: "GTC", "GTD", "FAK" or "FOK".
            expires_ms: How long after it the rest of a GTD order is taken back; 0: never.
            failed: Whether its trade, if the user has a part in it, ends FAILED (after RETRYING)
                and not CONFIRMED.
            retried: Whether such a trade is RETRYING, not MINED, before it is CONFIRMED.

        Raises:
            KeyError: unknown token. ValueError: resolved market, price off the grid, size too
                small.
        """
        market = self._by_asset[asset_id]
        quote = Quote(asset_id, Side(side), _decimal(price), _decimal(size), order_type, expires_ms)
        order = self._desk.order(quote, own=own)
        self._check(market, order)
        if order_type == "FOK" and sum(f.amount for f in market.crossing(order)) < order.size:
            return self._killed(market, order)
        return self._carry_out(market, [order], ends=_ends(failed=failed, retried=retried))

    def cancel(self, order_id: str, status: str = "CANCELED") -> list[Wire]:
        """Take a resting order back; KeyError when there is none of that id."""
        return self.cancel_all([order_id], status)

    def cancel_all(self, order_ids: Iterable[str], status: str = "CANCELED") -> list[Wire]:
        """Take resting orders back in one engine step: a price_change for each, in this order.

        Orders of one level that name different tokens bring a price_change with each token first;
        all tell the level's size after the step.

        Args:
            order_ids: Of one market. An id counts once; without any nothing happens.
            status: Of the CANCELLATION of own orders.

        Raises:
            KeyError: no resting order of that id. ValueError: orders of several markets.
        """
        orders = [self._open_orders[order_id] for order_id in dict.fromkeys(order_ids)]
        markets = {self._by_asset[order.asset_id].condition_id for order in orders}
        if len(markets) > 1:
            raise ValueError(f"one step is of one market, not of {len(markets)}")
        if not orders:
            return []
        return self._carry_out(self._by_asset[orders[0].asset_id], [], orders, status=status)

    def replace(
        self,
        order_id: str,
        price: Number,
        size: Number,
        *,
        side: Side | str | None = None,
        asset_id: str | None = None,
    ) -> list[Wire]:
        """Place another quote for a resting order, and take that back, in one engine step.

        The new quote's price_change comes before that of the removal. At the removed order's price,
        but on the other side, it crosses the book of a client that has read the first alone.

        Args:
            order_id: The order to be taken back; the new one has its owner.
            price: On the market's grid, above 0 and below 1.
            size: Shares, at least the market's `min_order_size`.
            side: Of the new quote; None: as the order's.
            asset_id: The new quote's token, one of the same market; None: the order's.

        Raises:
            KeyError: no resting order of that id. ValueError: token of another market, price off
                the grid, size too small, or a quote that would match another order.
        """
        old = self._open_orders[order_id]
        market = self._by_asset[old.asset_id]
        new = self._desk.successor(old, asset_id, side, _decimal(price), _decimal(size))
        if new.asset_id not in market.asset_ids:
            raise ValueError(f"token {new.asset_id} is not of market {market.condition_id}")
        self._check(market, new)
        if any(maker is not old for maker in market.reached(new)):
            raise ValueError(f"a quote at {new.price} would match another order")
        return self._carry_out(market, [new], [old])

    def trade(
        self,
        asset_id: str,
        side: Side | str = Side.BUY,
        size: Number | None = None,
        *,
        own: bool = False,
        failed: bool = False,
        retried: bool = False,
    ) -> list[Wire]:
        """Match a market order at once and let time pass until all of it was told.

        Returns the whole life of the trade: its engine step, last_trade_price and, when the user
        took part, the orders' updates and the trade from MATCHED to its end.

        Args:
            size: Shares; None: all of the best level.
            own: Whether the user is the taker.
            failed: Whether it ends FAILED (after RETRYING) and not CONFIRMED.
            retried: Whether it is RETRYING, not MINED, before it is CONFIRMED.

        Raises:
            ValueError: nothing rests on the other side, or the market is resolved.
        """
        market, side = self._by_asset[asset_id], Side(side)
        against = market.levels(asset_id, Side.SELL if side is Side.BUY else Side.BUY)
        if not against or market.condition_id in self._resolved:
            raise ValueError(f"nothing to match a {side} of {asset_id} with")
        amount = against[-1][1] if size is None else _decimal(size)
        limit = 1 - market.tick_size if side is Side.BUY else market.tick_size
        order = self._desk.order(Quote(asset_id, side, limit, amount, "FAK"), own=own)
        former = self._agenda.put
        ends = _ends(failed=failed, retried=retried)
        events = self._carry_out(market, [order], ends=ends)
        return events + self._agenda.advance_over(former)

    def advance(self, milliseconds: int) -> list[Wire]:
        """Let time pass and return what fell due: prints, and later statuses of own trades."""
        return self._agenda.advance(self.now_ms + milliseconds)

    def give(self, asset_id: str, size: Number, price: Number = "0.5") -> None:
        """Let the user have shares that were bought long ago, so that only /positions shows them.

        Args:
            price: What each had cost.
        """
        market = self._by_asset[asset_id]
        self.ledger.give(market, asset_id, _decimal(size), _decimal(price))

    def change_tick(self, market: str, tick_size: Number) -> list[Wire]:
        """Give a market another tick: a `tick_size_change` for each of its tokens."""
        changed, old = self._markets[market], self._markets[market].tick_size
        changed.tick_size = _decimal(tick_size)
        return [tick_size_change_event(changed, a, old, self.now_ms) for a in changed.asset_ids]

    def resolve(self, market: str, winning_asset_id: str | None = None) -> list[Wire]:
        """Decide a market: own orders are cancelled, its tokens are unknown from then on.

        Args:
            market: Condition id.
            winning_asset_id: One of its two tokens; None: the first.
        """
        decided = self._markets[market]
        winner = decided.asset_ids[0] if winning_asset_id is None else winning_asset_id
        self._resolved.add(market)
        orders = list(decided.orders())
        for order in orders:
            del self._open_orders[order.id]
        status = "CANCELED_MARKET_RESOLVED"
        cancelled = (o for o in orders if o.own)
        return [
            *(self._told(o, decided, "CANCELLATION", status) for o in cancelled),
            market_resolved_event(decided, winner, self.now_ms),
        ]

    def open_market(self) -> list[Wire]:
        """Create a market with a seeded book and return its `new_market`."""
        return [new_market_event(self._add_market(), self.now_ms)]

    # What the seed makes happen.

    def step(self) -> list[Wire]:
        """One seeded happening: whatever falls due first, else an order, a cancel, a trade, ..."""
        due_ms = self.now_ms + self._random.choice(_PAUSES_MS)
        if self._agenda.has_due(due_ms):
            return self._agenda.happen_next()
        self._agenda.now_ms = due_ms
        events: list[Wire] = []
        frames = self._seeding.frames()
        while not events:
            events = self._seeded(self._seeding.kind(), frames)
        return events

    def steps(self, n: int) -> list[Wire]:
        """The events of `n` seeded steps."""
        return [event for _ in range(n) for event in self.step()]

    def _seeded(self, kind: str, frames: int) -> list[Wire]:
        markets = self._open_markets()
        if kind == "new_market" or not markets:
            return self.open_market()
        market = self._random.choice(markets)
        plan = self._seeding.plan(kind, market, frames)
        placed = [self._desk.order(quote, own=plan.own) for quote in plan.placed]
        ends = _ends(failed=plan.failed, retried=plan.retried)
        return self._carry_out(market, placed, plan.removed, ends=ends)

    # One engine step.

    def _carry_out(
        self,
        market: SimulatedMarket,
        placed: Sequence[RestingOrder],
        removed: Sequence[RestingOrder] = (),
        *,
        ends: Sequence[str] = _CONFIRMED,
        status: str = "CANCELED",
    ) -> list[Wire]:
        """Take orders back and place others at once, and tell it when all is done.

        New orders come first, even the rest of one that matched, then the levels that it took, best
        first; so did the capture of 2026-09-11 (frames/steps/step_2.jsonl).
        """
        tops, told = self._tops(market), [self._order_told(market, o) for o in placed if o.own]
        for order in removed:
            del self._open_orders[order.id]
            market.remove(order)
        trades = [trade for order in placed for trade in self._match_and_rest(market, order)]
        rested = [order for order in placed if order.id in self._open_orders]
        changed = [*rested, *_matched(trades), *removed]
        if changed:
            market.timestamp_ms = self.now_ms
            told += self._new_tops(market, tops)
            told += market.tell(changed, traded=bool(trades))
        for trade in trades:
            told += self._told_privately(trade)
            self._schedule(trade, ends)
        dropped = [o for o in placed if o.remaining and o.order_type in _NEVER_RESTING]
        cancelled = (o for o in (*removed, *dropped) if o.own)
        told += [self._told(o, market, "CANCELLATION", status) for o in cancelled]
        return told + self._finer_tick(market)

    def _match_and_rest(self, market: SimulatedMarket, order: RestingOrder) -> list[SimulatedTrade]:
        """Match what crosses and let the rest of it rest; return the trade, if there was one."""
        fills = market.crossing(order)
        trades = [self._trade_of(market, order, fills)] if fills else []
        for fill in fills:
            market.take(fill)
            order.remaining -= fill.amount
            if not fill.maker.remaining:
                del self._open_orders[fill.maker.id]
        if order.remaining and order.order_type not in _NEVER_RESTING:
            market.rest(order)
            self._open_orders[order.id] = order
            if order.expires_ms:
                self._agenda.later(order.expires_ms - self.now_ms, partial(self._expire, order.id))
        if trades and self.hash_timing == "early":
            self._set_last_price(trades[0])
        return trades

    def _expire(self, order_id: str) -> list[Wire]:
        return self.cancel(order_id, _EXPIRED) if order_id in self._open_orders else []

    def _killed(self, market: SimulatedMarket, order: RestingOrder) -> list[Wire]:
        status = "CANCELED_order couldn't be fully filled. FOK orders are fully filled or killed."
        if not order.own:
            return []
        killed = self._told(order, market, "CANCELLATION", status)
        return [{**killed, "size_matched": "", "created_at": ""}]

    def _trade_of(
        self, market: SimulatedMarket, taker: RestingOrder, fills: list[Fill]
    ) -> SimulatedTrade:
        """A trade at the price of its last fill, in terms of the taker's token."""
        last = fills[-1].maker
        price = last.price if last.asset_id == taker.asset_id else 1 - last.price
        trade_id, transaction = self._ids.uuid(), self._ids.hex(64)
        for order in (taker, *(fill.maker for fill in fills)):
            order.trade_ids.append(trade_id)
        return SimulatedTrade(
            trade_id, market, taker, tuple(fills), price, self.now_ms, transaction
        )

    def _told_privately(self, trade: SimulatedTrade) -> list[Wire]:
        if not trade.is_own:
            return []
        orders = [o for o in (trade.taker, *(f.maker for f in trade.fills)) if o.own]
        updates = [self._order_told(trade.market, order, "UPDATE") for order in orders]
        return [*updates, *self._settle(trade, "MATCHED")]

    def _order_told(
        self, market: SimulatedMarket, order: RestingOrder, kind: str = "PLACEMENT"
    ) -> Wire:
        return self._told(order, market, kind, "LIVE" if order.remaining else "MATCHED")

    def _told(self, order: RestingOrder, market: SimulatedMarket, kind: str, status: str) -> Wire:
        event = order_event(order, market, kind, status, self.now_ms)
        return self.ledger.enter_order(order, event, self.now_ms)

    def _schedule(self, trade: SimulatedTrade, ends: Sequence[str]) -> None:
        delay = self._random.randint(*_PRINT_DELAY_MS)
        trade.market.print_due_ms = max(self.now_ms + delay, trade.market.print_due_ms)
        self._agenda.later(trade.market.print_due_ms - self.now_ms, partial(self._print, trade))
        if not trade.is_own:
            return
        for status in ends:
            self._agenda.later(_SETTLING_MS[status], partial(self._settle, trade, status))

    def _print(self, trade: SimulatedTrade) -> list[Wire]:
        if self.hash_timing == "late":
            self._set_last_price(trade)
        return [print_event(trade, self.now_ms)]

    def _settle(self, trade: SimulatedTrade, status: str) -> list[Wire]:
        event = trade_event(trade, status, self.now_ms)
        return [self.ledger.enter_trade(trade, event, self.now_ms)]

    def _set_last_price(self, trade: SimulatedTrade) -> None:
        taken = (trade.taker.asset_id,)
        assets = trade.market.asset_ids if self.hash_last_price == "market" else taken
        trade.market.last_prices.update(dict.fromkeys(assets, last_price_text(trade.price)))

    # Tops and ticks.

    def _tops(self, market: SimulatedMarket) -> list[tuple[Decimal, Decimal]]:
        return [market.best(asset_id) for asset_id in market.asset_ids]

    def _new_tops(
        self, market: SimulatedMarket, before: list[tuple[Decimal, Decimal]]
    ) -> list[Wire]:
        """A best_bid_ask of each token whose best prices are no longer those before."""
        told_ms = self.now_ms + self._random.randrange(2)
        after = zip(market.asset_ids, before, self._tops(market), strict=True)
        return [best_bid_ask_event(market, a, told_ms) for a, was, now in after if was != now]

    def _finer_tick(self, market: SimulatedMarket) -> list[Wire]:
        bid, ask = market.best(market.asset_ids[0])
        if market.tick_size <= _FINER_TICK or (ask >= _NEAR_ZERO and bid <= _NEAR_ONE):
            return []
        return self.change_tick(market.condition_id, _FINER_TICK)

    # Making markets and orders.

    def _open_markets(self) -> list[SimulatedMarket]:
        return [m for m in self._markets.values() if m.condition_id not in self._resolved]

    def _add_market(self, *, near_one: bool = False) -> SimulatedMarket:
        condition_id, asset_ids = self._ids.market()
        market = SimulatedMarket(
            condition_id=condition_id,
            asset_ids=asset_ids,
            tick_size=self.tick_size,
            min_order_size=self.min_order_size or Decimal(self._random.choice((5, 1, 15))),
            neg_risk=self._random.random() < 0.5 if self.neg_risk is None else self.neg_risk,
            timestamp_ms=self.now_ms,
            number=len(self._markets) + 1,
            protocol=self.protocol,
            has_other_hash=self.hash_recipe == "other",
        )
        self._markets[market.condition_id] = market
        self._by_asset.update(dict.fromkeys(market.asset_ids, market))
        self._fill_book(market, Decimal(96 if near_one else self._random.randrange(20, 80)) / 100)
        return market

    def _fill_book(self, market: SimulatedMarket, middle: Decimal) -> None:
        for distance in range(1, self.depth + 1):
            for side, direction in ((Side.BUY, -1), (Side.SELL, 1)):
                price = middle + direction * distance * market.tick_size
                price -= price % market.tick_size
                if 0 < price < 1:
                    size = self._seeding.size(market)
                    quote = Quote(market.asset_ids[0], side, price, size)
                    order = self._desk.order(quote, own=False)
                    market.rest(order)
                    self._open_orders[order.id] = order

    def _check(self, market: SimulatedMarket, order: RestingOrder) -> None:
        if market.condition_id in self._resolved:
            raise ValueError(f"market {market.condition_id} is resolved")
        check_terms(market, order)


def _best_first(levels: list[tuple[Decimal, Decimal]]) -> tuple[Level, ...]:
    # Through the wire's text, so that a Decimal prints as the wire does: 0.5, not 0.50.
    texts = ((number_text(price), number_text(size)) for price, size in reversed(levels))
    return tuple(Level(Decimal(price), Decimal(size)) for price, size in texts)


def _ends(*, failed: bool, retried: bool) -> tuple[str, ...]:
    if failed:
        return ("RETRYING", "FAILED")
    return ("RETRYING", "CONFIRMED") if retried else _CONFIRMED


def _matched(trades: list[SimulatedTrade]) -> list[RestingOrder]:
    """An order for each level and token that the trades took from."""
    makers = (fill.maker for trade in trades for fill in trade.fills)
    return list({(maker.asset_id, maker.price): maker for maker in makers}.values())


def _decimal(number: Number) -> Decimal:
    if isinstance(number, float):
        raise TypeError("a float has lost digits: pass a str or a Decimal")
    return Decimal(number)

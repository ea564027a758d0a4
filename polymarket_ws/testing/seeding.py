"""What a simulated exchange does by its seed: plans of engine steps, made but not carried out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal

from attrs import Attribute, define, evolve, field, frozen

from polymarket_ws.events import Side

from .simulated_market import RestingOrder, SimulatedMarket

_WEIGHTS = {"quote": 300, "cancel": 110, "match": 64, "own": 20, "own_cancel": 5, "new_market": 1}
_CROWDED = 80  # resting orders of a market above which quotes become cancels
_KEPT = 2  # resting orders of a side that cancels and matches leave
_BUSY_OWN_CANCELS = 60  # their weight in the place of the above, when the user is busy
_FAILED, _RETRIED, _EXPIRING = 0.1, 0.1, 0.1  # shares of a busy user's trades and orders
_EXPIRES_MS = (1000, 20_000)
_CENT = Decimal("0.01")


@frozen
class Quote:
    """An order to be placed."""

    asset_id: str
    side: Side
    price: Decimal
    size: Decimal
    order_type: str = "GTC"
    expires_ms: int = 0
    """How long after its placement it is taken back; 0: never."""


@frozen
class Plan:
    """One engine step to be carried out; an empty one changes nothing."""

    placed: tuple[Quote, ...] = ()
    removed: tuple[RestingOrder, ...] = ()
    own: bool = False
    """Whether the user places the orders."""
    failed: bool = False
    """Whether an own trade of it ends FAILED."""
    retried: bool = False
    """Whether an own trade of it is RETRYING before it is CONFIRMED."""


@define(eq=False)
class Seeding:
    """Draws the plans. Made by a SimulatedExchange, whose random numbers it shares.

    Args:
        random: Where every draw comes from.
        depth: Levels on each side of a new book.
        step_share: Share of the plans that take several frames, 0 to 1.
        step_frames: Fewest and most frames of such a plan, the fewest at least 2.
        own_share: Share of the plans that are the user's, 0 to 1; None: a few.

    Raises:
        ValueError: a share or a number of frames out of its range.
    """

    random: random.Random
    depth: int
    step_share: float = field()
    step_frames: tuple[int, int] = field()
    own_share: float | None = field(default=None)

    @step_share.validator
    @own_share.validator
    def _check_share(self, attribute: Attribute[float], share: float | None) -> None:
        if share is not None and not 0 <= share <= 1:
            raise ValueError(f"{attribute.name} is from 0 to 1, not {share!r}")

    @step_frames.validator
    def _check_frames(self, _: object, frames: tuple[int, int]) -> None:
        if len(frames) != 2 or not 2 <= frames[0] <= frames[1]:
            raise ValueError(
                f"step_frames are the fewest, at least 2, and the most frames, not {frames!r}"
            )

    def kind(self) -> str:
        """What happens next: "quote", "cancel", "match", "own", "own_cancel" or "new_market"."""
        weights = _WEIGHTS
        if self.own_share is not None:
            weights = {**_WEIGHTS, "own_cancel": _BUSY_OWN_CANCELS}
        (kind,) = self.random.choices(list(weights), list(weights.values()))
        return kind

    def frames(self) -> int:
        """How many price_changes the next plan takes."""
        several = self.random.random() < self.step_share
        return self.random.randint(*self.step_frames) if several else 1

    def plan(self, kind: str, market: SimulatedMarket, frames: int) -> Plan:
        """A plan of a kind but "new_market"; empty when the market has too few orders for it."""
        plan = self._plan(kind, market, frames)
        return plan if self.own_share is None else self._busy(plan, self.own_share)

    def _busy(self, plan: Plan, own_share: float) -> Plan:
        """The same as the user's or another's, by chance."""
        own = self.random.random() < own_share
        failed, retried = (self.random.random() < share for share in (_FAILED, _RETRIED))
        placed = plan.placed
        if own and self.random.random() < _EXPIRING:
            placed = tuple(self._expiring(q) if q.order_type == "GTC" else q for q in placed)
        return evolve(plan, placed=placed, own=own, failed=failed, retried=retried)

    def _expiring(self, quote: Quote) -> Quote:
        return evolve(quote, order_type="GTD", expires_ms=self.random.randint(*_EXPIRES_MS))

    def _plan(self, kind: str, market: SimulatedMarket, frames: int) -> Plan:
        if kind == "match":
            return self._match(market, frames)
        if kind == "own_cancel":
            return self._own_cancel(market, frames)
        if kind == "cancel" or sum(1 for _ in market.orders()) > _CROWDED:
            return self._cancel(market, frames)
        if frames > 1:
            return self._replacement(market, frames, own=kind == "own")
        return Plan(tuple(self._quotes(market, 1, ())), own=kind == "own")

    def size(self, market: SimulatedMarket) -> Decimal:
        """A size of at least the market's minimum."""
        return market.min_order_size + Decimal(self.random.randrange(100_000)) / 100

    # Orders that are placed or taken back.

    def _replacement(self, market: SimulatedMarket, frames: int, *, own: bool) -> Plan:
        """New quotes for old ones: more new ones where the book is thin.

        A book with too few orders to take any back gets one quote.
        """
        thin = sum(1 for _ in market.orders()) < 2 * self.depth
        old = 1 if thin else self.random.randrange(1, frames)
        removed = self._neighbours(market, old, own=own) or self._neighbours(market, 1, own=own)
        placed = self._quotes(market, frames - len(removed) if removed else 1, removed)
        return Plan(tuple(placed), removed, own)

    def _cancel(self, market: SimulatedMarket, frames: int) -> Plan:
        if sum(1 for order in market.orders() if not order.own) < self.depth + frames - 1:
            return Plan()
        return Plan(removed=self._neighbours(market, frames, own=False))

    def _own_cancel(self, market: SimulatedMarket, frames: int) -> Plan:
        own: list[RestingOrder] = []
        for bids in (True, False):
            resting = list(market.resting(bids=bids))
            own += [order for order in resting if order.own][: max(0, len(resting) - _KEPT)]
        fewest = 1 if frames == 1 else self.step_frames[0]
        if len(own) < fewest:
            return Plan()
        return Plan(removed=tuple(self.random.sample(own, min(frames, len(own)))))

    def _neighbours(
        self, market: SimulatedMarket, count: int, *, own: bool
    ) -> tuple[RestingOrder, ...]:
        """Orders in a row on one side; none when both sides have too few.

        A row often begins at the best price, as in the capture (frames/steps/step_1.jsonl).

        Args:
            own: Whether the user's orders may be among them.
        """
        sides = (
            [order for order in market.resting(bids=bids) if own or not order.own]
            for bids in (True, False)
        )
        long_enough = [orders for orders in sides if len(orders) >= count + _KEPT]
        if not long_enough:
            return ()
        orders = self.random.choice(long_enough)
        at_best = count > 1 and self.random.random() < 0.5
        start = 0 if at_best else self.random.randrange(len(orders) - count + 1)
        return tuple(orders[start : start + count])

    def _quotes(
        self, market: SimulatedMarket, count: int, removed: tuple[RestingOrder, ...]
    ) -> Iterator[Quote]:
        """Quotes that match nothing, neither each other nor what rests without the removed."""
        bid, ask = _best_without(market, removed)
        for number in range(count):
            opposite = [] if number else self._opposite(market, removed, bid, ask)
            prices = opposite or self._prices(market, bid, ask)
            if not prices:  # a tick so coarse that nothing fits between the best prices
                return
            is_bid, price = self.random.choice(prices)
            bid, ask = (max(bid, price), ask) if is_bid else (bid, min(ask, price))
            yield self._quote(market, is_bid, price, self.size(market))

    def _opposite(
        self,
        market: SimulatedMarket,
        removed: tuple[RestingOrder, ...],
        bid: Decimal,
        ask: Decimal,
    ) -> list[tuple[bool, Decimal]]:
        """Every other time the first removed order's price on the other side, if it fits.

        Told before the removal, such a quote crosses the book in the middle of its step.
        """
        if not removed or self.random.random() < 0.5:
            return []
        was_bid, price = market.level_of(removed[0])
        return [(not was_bid, price)] if bid < price < ask else []

    def _prices(
        self, market: SimulatedMarket, bid: Decimal, ask: Decimal
    ) -> list[tuple[bool, Decimal]]:
        """A bid below the best ask and an ask above the best bid, by 1 to 11 ticks, if they fit."""
        for ticks in (self.random.randrange(1, 12), 1):
            steps = ticks * market.tick_size
            prices = [(True, ask - steps), (False, bid + steps)]
            rounded = [(is_bid, price - price % market.tick_size) for is_bid, price in prices]
            fitting = [(is_bid, price) for is_bid, price in rounded if 0 < price < 1]
            if fitting:
                return fitting
        return []

    def _quote(
        self,
        market: SimulatedMarket,
        is_bid: bool,
        price: Decimal,
        size: Decimal,
        order_type: str = "GTC",
    ) -> Quote:
        """A bid or an ask of the first token, or its mirror image on the second."""
        asset_id = self.random.choice(market.asset_ids)
        mirrored = asset_id != market.asset_ids[0]
        side = Side.BUY if is_bid != mirrored else Side.SELL
        return Quote(asset_id, side, 1 - price if mirrored else price, size, order_type)

    # Orders that match.

    def _match(self, market: SimulatedMarket, frames: int) -> Plan:
        """An order that takes as many levels as it has frames, or one fewer, and then rests."""
        taker_bids = self.random.choice((True, False))
        resting = list(market.resting(bids=not taker_bids))
        rests = frames > 1 and self.random.random() < 0.5
        taken = _first_levels(resting, frames - rests)
        if rests and _level_goes_on(market, resting, len(taken)):
            rests, taken = False, _first_levels(resting, frames)
        if len(resting) - len(taken) < _KEPT:
            return Plan()
        size = sum((order.remaining for order in taken), Decimal(0))
        size += self.size(market) if rests else -self._spared(taken[-1])
        _, limit = market.level_of(taken[-1])
        quote = self._quote(market, taker_bids, limit, size, "GTC" if rests else "FAK")
        own = self.random.random() < 0.15
        return Plan((quote,), own=own, failed=own and self.random.random() < 0.2)

    def _spared(self, last: RestingOrder) -> Decimal:
        """What a taker leaves of the last order that it takes: half of it or nothing."""
        return self.random.choice((Decimal(0), (last.remaining / 2).quantize(_CENT)))


def _best_without(
    market: SimulatedMarket, removed: tuple[RestingOrder, ...]
) -> tuple[Decimal, Decimal]:
    gone = {order.id for order in removed}
    bids, asks = (
        (market.level_of(o)[1] for o in market.resting(bids=bids) if o.id not in gone)
        for bids in (True, False)
    )
    return next(bids, Decimal(0)), next(asks, Decimal(1))


def _first_levels(resting: list[RestingOrder], frames: int) -> list[RestingOrder]:
    """The first orders that a match tells in so many frames: one for each level and token."""
    taken: list[RestingOrder] = []
    levels: set[tuple[str, Decimal]] = set()
    for order in resting:
        levels.add((order.asset_id, order.price))
        if len(levels) > frames:
            break
        taken.append(order)
    return taken


def _level_goes_on(market: SimulatedMarket, resting: list[RestingOrder], taken: int) -> bool:
    return len(resting) > taken and market.level_of(resting[taken]) == market.level_of(
        resting[taken - 1]
    )

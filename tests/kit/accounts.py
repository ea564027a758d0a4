"""One account through cuts, repeats, delays and stale listings, against the exchange's truth."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from decimal import Decimal

from attrs import define, field

from polymarket_ws import Credentials, Subscriber
from polymarket_ws.account.statuses import is_open
from polymarket_ws.events import Fill, Order, Trade
from polymarket_ws.testing import FakeServer, SimulatedExchange

KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
SIGNER = "0x" + "1" * 40
SETTLING_MS = 60_000
PATIENCE = 60.0  # seconds, of a machine that has other things to do

_TRADE_RANKS = {"MATCHED": 0, "MINED": 1, "RETRYING": 1, "CONFIRMED": 2, "FAILED": 2}


def credentials_of(exchange: SimulatedExchange) -> Credentials:
    """The user's, for a FakeServer and its clients."""
    return Credentials(exchange.api_key, KEY, "phrase", address=SIGNER, funder=exchange.wallet)


@define(eq=False)
class Told:
    """What the callbacks were told, in their order."""

    orders: dict[str, list[Order]] = field(factory=lambda: defaultdict(list))
    trades: dict[str, list[Trade]] = field(factory=lambda: defaultdict(list))
    fills: dict[tuple[str, str | None], list[Fill]] = field(factory=lambda: defaultdict(list))

    def listen(self, sub: Subscriber) -> None:
        """Register for everything of one's own."""
        sub.on_order(lambda order: self.orders[order.id].append(order))
        sub.on_trade(lambda trade: self.trades[trade.id].append(trade))
        sub.on_fill(lambda fill: self.fills[fill.trade_id, fill.order_id].append(fill))


@define(eq=False)
class Course:
    """One seeded course of an account.

    Args:
        seed: Of all that is random.
        orders: How many of its own the exchange's user places, at least.
        cuts: How often the user channel is cut.
        staleness: Seconds that REST lags, at most.
        rest: Whether the client may ask REST.
    """

    seed: int
    orders: int = 500
    cuts: int = 8
    staleness: float = 0.2
    rest: bool = True
    told: Told = field(factory=Told)
    seconds_to_complete: list[float] = field(factory=list)
    resyncs: int = 0
    during_cuts: set[str] = field(factory=set)
    """Orders that were told while the channel was closed."""
    exchange: SimulatedExchange = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.exchange = SimulatedExchange(self.seed, 2, own_share=0.7)

    def run(self) -> Subscriber:
        """Play all of it; the subscriber is returned as it was at the end, stopped or not."""
        dice, exchange = random.Random(self.seed), self.exchange
        for asset_id in exchange.asset_ids[:2]:
            exchange.give(asset_id, 1000)
        exchange.steps(40)
        credentials = credentials_of(exchange)
        with FakeServer(exchange, credentials=credentials) as server:
            if self.staleness:
                server.faults.rest_lag(self.staleness, clock="server", seed=self.seed)
            options = server.options(
                rest_staleness=self.staleness,
                reconcile=self.rest,
                backoff_base=0.01,
                backoff_cap=0.05,
            )
            sub = Subscriber(credentials=credentials, options=options)
            self.told.listen(sub)
            with sub:
                sub.wait_ready(PATIENCE)
                self._play(server, sub, dice)
                self._end(server, sub)
                self._compare(sub)
        return sub

    def _play(self, server: FakeServer, sub: Subscriber, dice: random.Random) -> None:
        for number in range(self.cuts):
            wanted = self.orders * (number + 1) // self.cuts
            while len(self.exchange.account().orders) < wanted:
                for kind in ("order", "trade"):
                    if dice.random() < 0.3:
                        server.faults.double(kind, dice.randint(1, 5))
                    if dice.random() < 0.3:
                        server.faults.delay(kind, dice.randint(1, 5), dice.randint(1, 4))
                server.play(dice.randint(1, 15))
            server.settle(sub, PATIENCE)
            self._cut(server, sub, dice)

    def _cut(self, server: FakeServer, sub: Subscriber, dice: random.Random) -> None:
        generation = _generation(sub)
        server.faults.reject(502, times=dice.randint(0, 3))
        server.disconnect(dice.choice((1001, 1012, 1000)), channel="user")
        while _generation(sub) == generation and dice.random() < 0.7:
            events = server.play(dice.randint(1, 10))
            self.during_cuts.update(e["id"] for e in events if e["event_type"] == "order")
        assert sub._wait_until(lambda: _generation(sub) > generation, PATIENCE)
        began_at = time.monotonic()
        if dice.random() < 0.5:  # half of the listings meet a moving account
            server.play(dice.randint(1, 10))
        if self.rest:
            assert sub._wait_until(lambda: sub.account.complete, PATIENCE)
            self.seconds_to_complete.append(time.monotonic() - began_at)

    def _end(self, server: FakeServer, sub: Subscriber) -> None:
        """Flush what a fault holds back, and let every trade come to its end."""
        server.faults.clear()
        server.play(lambda e: e.advance(SETTLING_MS))
        generation = _generation(sub)
        server.disconnect(channel="user")
        assert sub._wait_until(lambda: _generation(sub) > generation, PATIENCE)
        if self.rest:
            assert sub._wait_until(lambda: sub.account.complete, PATIENCE)
        server.settle(sub, PATIENCE)

    # The comparison.

    def _compare(self, sub: Subscriber) -> None:
        self._check_transitions()
        if not self.rest:
            assert not sub.account.complete
            return
        truth = self.exchange.account()
        account = sub.account
        for id_, own in truth.orders.items():
            order = account.orders.get(id_)
            if order is None:  # REST lists no order that has ended
                assert not own.is_open, id_
                continue
            assert own.is_open == is_open(order), (own, order)
            assert own.size_matched == (order.size_matched or 0), (own, order)
            assert order.status in (own.status, "UNKNOWN"), (own, order)
            assert (own.size, own.price, own.side) == (
                order.original_size,
                order.price,
                order.side,
            )
        assert {id_: own.status for id_, own in truth.trades.items()} == {
            id_: trade.status for id_, trade in account.trades.items()
        }
        assert Counter(
            (f.trade_id, f.order_id, f.asset_id, f.side, f.price, f.size, f.role, f.status)
            for f in truth.fills
        ) == Counter(
            (f.trade_id, f.order_id, f.asset_id, f.side, f.price, f.size, f.role, f.status)
            for f in account.fills()
        )
        for asset_id, own in truth.positions.items():
            position = account.position(asset_id)
            assert (own.size, own.confirmed) == (position.size, position.confirmed), (own, position)

    def _check_transitions(self) -> None:
        """Each was told once, and none went back."""
        for orders in self.told.orders.values():
            keys = [(o.type, o.status, o.size_matched) for o in orders]
            assert len(keys) == len(set(keys)), keys
            matched = [o.size_matched or Decimal(0) for o in orders]
            assert matched == sorted(matched)
            former = [order for order in orders[:-1] if order.status != "UNKNOWN"]
            assert all(map(is_open, former)), keys
        for told in (*self.told.trades.values(), *self.told.fills.values()):
            statuses = [event.status for event in told]
            ranks = [_TRADE_RANKS[status or ""] for status in statuses]
            assert len(statuses) == len(set(statuses)), statuses
            assert ranks == sorted(ranks), statuses


def _generation(sub: Subscriber) -> int:
    """How many connections the user channel has had."""
    return sub.stats().connections[0].generation

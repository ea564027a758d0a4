"""The merge under random schedules: markets whose every event is known, lags, cuts, freezes and
rotations.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from itertools import count

from attrs import define, field
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kit.merging import START, book, changed, printed, tokens

from polymarket_ws.events import LastTradePrice
from polymarket_ws.shards.alignment import Message
from polymarket_ws.shards.merge import Merge
from polymarket_ws.wire.updates import Decoded, Snapshot


@define(eq=False)
class Line:
    """One connection of the simulated server: what was sent, and when each message arrives."""

    number: int
    lag: dict[object, float] = field(factory=dict)
    last: dict[object, float] = field(factory=dict)
    sent: deque[tuple[float, int, Message]] = field(factory=deque)
    due: list[tuple[float, str]] = field(factory=list)
    """When which asset's subscription takes effect."""
    subscribed: set[str] = field(factory=set)
    answers_at: float = float("inf")
    """When the last of them arrives."""
    frozen: bool = False


@define(eq=False)
class Exchange:
    """Markets whose every event is known, sent over lines with their own lags, under a killer."""

    dice: random.Random
    markets: int = 3
    most_lag: float = 0.04
    """Seconds."""
    apart: float = 0.0
    """Seconds within which the subscriptions of one connection take effect."""
    steps: float = 0.0
    """The share of changes that are engine steps of several messages."""
    now: float = START
    merge: Merge = field(factory=Merge)
    happened: dict[tuple[str, str], list[object]] = field(factory=lambda: defaultdict(list))
    due: dict[tuple[str, str], list[object]] = field(factory=lambda: defaultdict(list))
    """What happened while the leader was subscribed to it."""
    delivered: dict[tuple[str, str], list[object]] = field(factory=lambda: defaultdict(list))
    incomplete_assets: set[str] = field(factory=set)
    leader: Line | None = None
    follower: Line | None = None
    failovers: int = 0
    live: dict[str, bool] = field(factory=dict)
    subscribed: list[str] = field(factory=list)
    _state: dict[str, tuple[int, int]] = field(factory=dict)
    """The number and the time of each market's last change."""
    _unsent: dict[str, list[Decoded]] = field(factory=dict)
    """Of each market in the middle of a step, what is still to be sent of it, last first."""
    _numbers: Iterator[int] = field(factory=lambda: count(1))
    _order: Iterator[int] = field(factory=count)

    def __attrs_post_init__(self) -> None:
        self._state = dict.fromkeys((f"0x{m}" for m in range(self.markets)), (0, 1))
        self.subscribed = [a for m in self._state for a in tokens(m)]
        self.merge.want(self.subscribed)

    # The server's side.

    def join(self) -> Line:
        line = Line(next(self._numbers))
        for market in self._state:
            for asset_id in tokens(market):
                at = self.now + (self.dice.uniform(0, self.apart) if self.apart else 0.0)
                line.due.append((at, asset_id))
        line.due.sort()
        self._answer(line)
        return line

    def _answer(self, line: Line) -> None:
        """Let the subscriptions take effect that are due."""
        while line.due and line.due[0][0] <= self.now:
            _, asset_id = line.due.pop(0)
            line.subscribed.add(asset_id)
            self.answer(line, asset_id)
            if not line.due:
                line.answers_at = max(line.last.values())

    def answer(self, line: Line, asset_id: str) -> None:
        """Send the book of an asset as it stands, as for a new subscription."""
        market = next(m for m in self._state if asset_id in tokens(m))
        number, ms = self._state[market]
        answer = book(asset_id, number, answers=True, market=market, ms=ms)
        self._send(line, ("b", market), answer)

    def _send(self, line: Line, lane: object, message: Message) -> None:
        if line.frozen:
            return
        if lane not in line.lag or self.dice.random() < 0.02:
            line.lag[lane] = self.dice.uniform(0, self.most_lag)
        at = max(line.last.get(lane, 0.0) + 1e-6, self.now + line.lag[lane])
        line.last[lane] = at
        line.sent.append((at, next(self._order), message))

    def _emit(self, kind: str, name: str, message: Decoded, assets: Iterable[str]) -> None:
        """Send what is about these assets to whoever has subscribed to one of them."""
        self.happened[kind, name].append(message.event)
        for line in (self.leader, self.follower):
            if line is not None and line.subscribed.intersection(assets):
                self._send(line, (kind, name), message)
                if line is self.leader:
                    self.due[kind, name].append(message.event)

    def act(self) -> None:
        """One thing happens in one market."""
        is_back_to_back = self._unsent and self.dice.random() < 0.7
        market = self.dice.choice(list(self._unsent if is_back_to_back else self._state))
        if market in self._unsent:
            self._go_on(market)
            return
        roll = self.dice.random()
        if roll < 0.75 and self.steps and self.dice.random() < self.steps:
            self._begin_step(market)
        elif roll < 0.75:
            number, ms = self._state[market] = next(self._numbers), int(self.now * 1000)
            change = changed(number, market=market, ms=ms)
            self._emit("b", market, change, tokens(market))
            while self.dice.random() < 0.05:  # resent: same hash, same millisecond
                self._emit("b", market, change, tokens(market))
        elif roll < 0.85:
            number, ms = self._state[market]
            for asset_id in tokens(market):
                self._emit("b", market, book(asset_id, number, market=market, ms=ms), [asset_id])
        else:
            asset_id = tokens(market)[0]
            print_ = printed(next(self._numbers), asset_id=asset_id)
            self._emit("p", asset_id, print_, [asset_id])

    def _begin_step(self, market: str) -> None:
        """Change a book at once, and tell it in 2 to 6 messages; one level may be named twice."""
        number, ms = self._state[market] = next(self._numbers), int(self.now * 1000)
        parts = [self.dice.randint(0, 5) for _ in range(self.dice.randint(2, 6))]
        self._unsent[market] = [changed(number, market=market, ms=ms, part=p) for p in parts]
        self._go_on(market)

    def _go_on(self, market: str) -> None:
        """Send the next message of a step, with nothing else of its market in between."""
        self._emit("b", market, self._unsent[market].pop(), tokens(market))
        if not self._unsent[market]:
            del self._unsent[market]

    # The client's side: what a Failover does with a Merge.

    def receive(self) -> None:
        """Take all that has arrived by now, in the order of arrival."""
        arrived: list[tuple[float, int, bool, Message]] = []
        for line in (self.leader, self.follower):
            if line is not None:
                self._answer(line)
        for line, leads in ((self.leader, True), (self.follower, False)):
            if line is not None:
                due = sorted(s for s in line.sent if s[0] <= self.now)
                line.sent = deque(s for s in line.sent if s[0] > self.now)
                arrived += [(at, n, leads, m) for at, n, m in due]
        for at, _, leads, message in sorted(arrived, key=lambda item: item[:2]):
            if leads:
                self._lead(message, at)
            else:
                self.merge.keep(message, at)

    def _lead(self, message: Message, at: float) -> None:
        if not self.merge.deliver(message, at):
            return
        assert isinstance(message, Decoded)
        event, update = message
        if isinstance(update, Snapshot) and update.tick_size:
            mark = update.timestamp_ms, update.hash
            self.merge.restart(update.asset_id, update.market, mark, at)
            self.live[update.asset_id] = True
            return
        kind = "p" if isinstance(event, LastTradePrice) else "b"
        name = event.asset_id if isinstance(event, LastTradePrice) else event.market  # type: ignore[attr-defined]
        self.delivered[kind, name].append(event)

    def promote(self) -> None:
        """The leader is given up."""
        if self.follower is None:
            self.follower = self.join()
        self.failovers += 1
        live = [a for a in self.subscribed if self.live.get(a)]
        handover = self.merge.promote(live, self.now)
        self.leader, self.follower = self.follower, None
        for message in handover.missed:
            self._lead(message, self.now)
        self.incomplete_assets.update(handover.incomplete)

    def is_joined(self) -> bool:
        """Whether the leader has brought all that happened before the follower began to listen."""
        settled_at = self.now - max(0.1, 2 * self.most_lag)
        return self.follower is not None and self.follower.answers_at <= settled_at

    def differences(self) -> Counter[str]:
        """Missing, doubled and out-of-order events, over all lanes."""
        found: Counter[str] = Counter()
        for lane, events in self.happened.items():
            theirs, ours = Counter(events), Counter(self.delivered[lane])
            found["missing"] += sum((Counter(self.due[lane]) - ours).values())
            found["doubled"] += sum((ours - theirs).values())
            once = {event: place for place, event in enumerate(events) if theirs[event] == 1}
            places = [once[event] for event in self.delivered[lane] if event in once]
            found["out of order"] += places != sorted(places)
        return +found


def run(
    exchange: Exchange, seconds: float, faults: list[str], every: float, rate: float = 400.0
) -> None:
    """Let the exchange act, and do one of the faults at about every so many seconds."""
    dice, step = exchange.dice, 1 / rate
    exchange.leader = exchange.join()
    ends_at, rejoin_at = exchange.now + seconds, exchange.now
    next_at = exchange.now + every
    for turn in count(1):
        exchange.now += step
        if exchange.now >= ends_at:
            return
        exchange.receive()
        if exchange.follower is None and exchange.now >= rejoin_at:
            exchange.follower = exchange.join()
        if not turn % 100 and exchange.merge.is_frozen(exchange.now):
            exchange.promote()
            rejoin_at = exchange.now + dice.uniform(0.02, 0.1)
        is_calm = (exchange.is_joined() and not exchange.leader.due) or "cut both" in faults
        if exchange.leader.frozen and "cut both" not in faults:
            is_calm = False  # with the other one lost as well nobody would know what happened
        if exchange.now >= next_at and exchange.now < ends_at - 3 and is_calm:
            next_at = exchange.now + every * dice.uniform(0.5, 1.5)
            _do(exchange, dice.choice(faults))
            rejoin_at = exchange.now + dice.uniform(0.02, 0.1)
        if exchange.now < ends_at - 0.5:
            exchange.act()


def _do(exchange: Exchange, fault: str) -> None:
    merge, live = exchange.merge, [a for a in exchange.subscribed if exchange.live.get(a)]
    if fault == "cut the leader":
        exchange.promote()
    elif fault == "cut the follower":
        merge.follower_lost()
        exchange.follower = None
    elif fault == "rotate" and merge.is_aligned(live, exchange.now):
        exchange.promote()
    elif fault == "freeze the leader" and exchange.leader is not None:
        exchange.leader.frozen = True
    elif fault == "renew an asset" and exchange.leader is not None:
        exchange.answer(exchange.leader, exchange.dice.choice(exchange.subscribed))
    elif fault == "cut both":
        merge.follower_lost()
        exchange.follower = exchange.join()
        exchange.promote()


FAULTS = ["cut the leader", "cut the follower", "rotate", "freeze the leader"]


class TestAdversary:
    @given(seed=st.integers(0, 2**32), most_lag=st.sampled_from([0.0, 0.005, 0.04, 0.2]))
    @example(seed=30_000, most_lag=0.2)
    @example(seed=30_800, most_lag=0.2)
    @settings(max_examples=settings.default.max_examples // 4)
    def test_every_event_is_delivered_once_and_in_order(self, seed: int, most_lag: float) -> None:
        """Cuts of either line, rotations and freezes, about each second, with lags and repeats."""
        exchange = Exchange(random.Random(seed), most_lag=most_lag)

        run(exchange, 12, FAULTS, every=1.0)

        assert Counter() == exchange.differences()
        assert set() == exchange.incomplete_assets
        assert exchange.failovers

    @given(
        seed=st.integers(0, 2**32),
        most_lag=st.sampled_from([0.04, 0.2]),
        apart=st.sampled_from([0.05, 0.4]),
    )
    @settings(max_examples=settings.default.max_examples // 4)
    def test_it_is_so_when_subscriptions_take_effect_one_by_one(
        self, seed: int, most_lag: float, apart: float
    ) -> None:
        """Each asset's at its own moment, and now and then the leader's anew."""
        exchange = Exchange(random.Random(seed), most_lag=most_lag, apart=apart)

        run(exchange, 12, [*FAULTS, "renew an asset"], every=1.0)

        assert Counter() == exchange.differences()
        assert set() == exchange.incomplete_assets

    @given(
        seed=st.integers(0, 2**32),
        most_lag=st.sampled_from([0.0, 0.04, 0.2]),
        apart=st.sampled_from([0.0, 0.0, 0.05, 0.4]),
    )
    @settings(max_examples=settings.default.max_examples // 8)
    def test_it_is_so_for_steps_of_several_messages(
        self, seed: int, most_lag: float, apart: float
    ) -> None:
        """A follower joins and a leader dies in the middle of them; some messages are equal."""
        exchange = Exchange(random.Random(seed), most_lag=most_lag, apart=apart, steps=0.6)

        run(exchange, 12, [*FAULTS, "renew an asset"] if apart else FAULTS, every=1.0)

        assert Counter() == exchange.differences()
        assert set() == exchange.incomplete_assets

    @given(seed=st.integers(0, 2**32), steps=st.sampled_from([0.0, 0.6]))
    @settings(max_examples=settings.default.max_examples // 4)
    def test_what_is_missed_is_incomplete_assets(self, seed: int, steps: float) -> None:
        """Both lines may be lost at once, or one while the other is frozen."""
        exchange = Exchange(random.Random(seed), steps=steps)

        run(exchange, 8, [*FAULTS, "cut both"], every=0.7)

        for (kind, name), events in exchange.happened.items():
            missing = Counter(events) - Counter(exchange.delivered[kind, name])
            told = exchange.incomplete_assets.intersection(tokens(name) if kind == "b" else [name])
            assert told or not missing

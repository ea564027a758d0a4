"""Properties of the account: whatever order its messages come in, it ends the same, and right."""

from __future__ import annotations

import itertools
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from kit.account_lives import KEY, TOKENS, Life, lives

from polymarket_ws.account import positions
from polymarket_ws.account.core import AccountCore
from polymarket_ws.account.statuses import is_later_trade, order_step
from polymarket_ws.events import Event, Fill, Order, Side, Trade


def taken(messages: list[Order | Trade]) -> AccountCore:
    """An account that was told this."""
    core = AccountCore(KEY)
    for number, message in enumerate(messages):
        core.apply(message, float(number))
    return core


def state(core: AccountCore) -> tuple[Any, ...]:
    """All that an account shows."""
    held = {asset_id: core.position(asset_id) for asset_id in core.ledgers}
    return core.orders, core.trades, core.fills(), held, set(core.absent((), float("inf")))


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[Life, list[Order | Trade]]:
    """A life, and its messages in any order, some doubled, some from REST."""
    life = draw(lives())
    doubled = draw(st.lists(st.sampled_from(life.messages), max_size=6)) if life.messages else []
    return life, list(draw(st.permutations(life.messages + doubled)))


@given(shuffled())
def test_the_order_of_arrival_changes_nothing(case: tuple[Life, list[Order | Trade]]) -> None:
    """Any permutation with any duplicates ends in the same orders, trades, fills, positions."""
    life, messages = case

    assert state(taken(life.messages)) == state(taken(messages))


@given(shuffled())
def test_fills_and_positions_are_those_of_the_exchange(
    case: tuple[Life, list[Order | Trade]],
) -> None:
    """Both tokens, own orders as taker and maker, several of them in one trade, self-matches."""
    life, messages = case
    core = taken(messages)

    assert life.fills == {
        (f.trade_id, f.order_id, f.role, f.asset_id, f.side, f.price, f.size, f.status)
        for f in core.fills()
    }
    for token in TOKENS:
        position = core.position(token)
        assert (life.held[token], life.pending[token]) == (position.size, position.pending)
        assert life.held[token] - life.pending[token] == position.confirmed
    for order_id, resting in life.own_orders.items():
        assert resting.matched == core.orders[order_id].size_matched


@given(shuffled())
def test_what_is_told_moves_forward_only(case: tuple[Life, list[Order | Trade]]) -> None:
    """No status is told twice or after a later one, no size falls; the last told is what holds."""
    told: dict[tuple[str, str], list[Any]] = defaultdict(list)
    core = AccountCore(KEY)
    for message in case[1]:
        for event in core.apply(message, 0.0):
            told[event.event_type, identity(event)].append(event)

    for (kind, _), events in told.items():
        for former, later in itertools.pairwise(events):
            if kind == "order":
                assert order_step(former) < order_step(later)
                assert former.size_matched <= later.size_matched
            elif kind == "trade":
                assert is_later_trade(later, former)
            else:
                assert former.status != later.status
    assert core.orders == {id_: es[-1] for (kind, id_), es in told.items() if kind == "order"}
    assert core.trades == {id_: es[-1] for (kind, id_), es in told.items() if kind == "trade"}
    fills = {f"{f.trade_id} {f.order_id}": f for f in core.fills()}
    assert fills == {id_: es[-1] for (kind, id_), es in told.items() if kind == "fill"}


def identity(event: Event) -> str:
    """Whom an event tells of."""
    assert isinstance(event, (Order, Trade, Fill))
    return f"{event.trade_id} {event.order_id}" if isinstance(event, Fill) else event.id


@given(shuffled(), st.randoms(use_true_random=False))
def test_rest_and_the_channel_agree_in_any_interleaving(
    case: tuple[Life, list[Order | Trade]], chance: Any
) -> None:
    """What REST lists, with the same statuses, is no news after the channel, nor before it."""
    life, messages = case
    mixed = [
        evolve(m, source="rest") if chance.random() < 0.5 else m for m in messages + life.messages
    ]
    one, other = taken(life.messages), taken(mixed)

    def plain(event: Any) -> Any:
        return evolve(event, source="stream")

    assert {i: plain(o) for i, o in one.orders.items()} == {
        i: plain(o) for i, o in other.orders.items()
    }
    assert list(map(plain, one.fills())) == list(map(plain, other.fills()))
    assert state(one)[3:] == state(other)[3:]


@given(shuffled(), st.data())
def test_a_seed_counts_no_trade_twice(
    case: tuple[Life, list[Order | Trade]], data: st.DataObject
) -> None:
    """Held before, and what was confirmed when it was asked, is in the seed; the rest comes on top,
    whether told before the seed or after it.
    """
    life, messages = case
    cut = data.draw(st.integers(0, len(life.messages)))
    confirmed = taken(life.messages[:cut]).confirmed_trades()
    before = Decimal(data.draw(st.integers(0, 500)))
    seeds = {
        token: before
        + sum(
            f[6] if f[4] is Side.BUY else -f[6]
            for f in life.fills
            if f[3] == token and f[0] in confirmed
        )
        for token in TOKENS
    }
    when = data.draw(st.integers(0, len(messages)))
    core = AccountCore(KEY)
    for number, message in enumerate([*messages[:when], None, *messages[when:]]):
        if message is not None:
            core.apply(message, float(number))
            continue
        for token, size in seeds.items():
            core.seed_position(token, None, size, Decimal("0.5"), confirmed)

    for token in TOKENS:
        position = core.position(token)
        assert before + life.held[token] == position.size
        assert life.pending[token] == position.pending


def average(fills: list[Fill]) -> Decimal | None:
    """What the held shares cost, told again in the plainest way."""
    lots: list[Decimal] = [Decimal(0), Decimal(0)]  # size, cost
    for fill in fills:
        size, cost = lots
        assert fill.price is not None
        if fill.side is Side.BUY:
            added = min(fill.size, max(fill.size + size, Decimal(0))) if size < 0 else fill.size
            lots = [size + fill.size, cost + added * fill.price]
        else:
            left = max(size - fill.size, Decimal(0))
            lots = [size - fill.size, cost / size * left if size > 0 else Decimal(0)]
    return None if lots[0] <= 0 else lots[1] / lots[0]


@given(shuffled())
def test_the_average_price_is_that_of_what_is_held(
    case: tuple[Life, list[Order | Trade]],
) -> None:
    """Fills in time's order: a sale takes its shares out at the average."""
    core = taken(case[1])

    for token in TOKENS:
        fills = [fill for fill in core.fills(asset_id=token) if fill.status != "FAILED"]
        expected, actual = average(fills), core.position(token).average_price
        assert (expected is None) is (actual is None)
        if expected is not None and actual is not None:
            assert abs(expected - actual) < Decimal("1E-9")


@pytest.fixture
def _few_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "MOST_ENTRIES", 2)


@pytest.mark.usefixtures("_few_entries")
def test_sums_stay_exact_beyond_the_kept_entries() -> None:
    """What falls out of the list of entries is still counted, confirmed, and taken back."""

    @given(shuffled())
    def check(case: tuple[Life, list[Order | Trade]]) -> None:
        life, messages = case
        core = taken(messages)
        for token in TOKENS:
            position = core.position(token)
            assert (life.held[token], life.pending[token]) == (position.size, position.pending)

    check()

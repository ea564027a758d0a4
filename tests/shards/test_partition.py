"""Which connection serves which asset."""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from polymarket_ws.events import Event, MarketEvent, PriceChange
from polymarket_ws.shards.partition import REMEMBERED, Partition
from polymarket_ws.testing import (
    make_best_bid_ask,
    make_book,
    make_last_trade_price,
    make_market_resolved,
    make_price_change,
    make_tick_size_change,
)

Market = dict[str, str]

ASSETS = [str(number) for number in range(24)]
TWINS: Market = {asset_id: f"0x{int(asset_id) // 2}" for asset_id in ASSETS}
wants = st.lists(st.lists(st.sampled_from(ASSETS), unique=True), max_size=8)
limits = st.integers(1, 7)


def unknown(asset_id: str) -> str:
    """No market is known yet."""
    return ""


def known(asset_id: str) -> str:
    """Every market is known: 0 and 1 are twins, 2 and 3, and so on."""
    return TWINS[asset_id]


def numbers(parts: list[frozenset[str]]) -> dict[str, int]:
    """The connection of each asset."""
    return {asset_id: number for number, part in enumerate(parts) for asset_id in part}


def test_nothing_wanted_needs_no_connection() -> None:
    """No assets, no part."""
    assert [] == Partition(3).assign([], unknown)


def test_parts_are_filled_in_order() -> None:
    """Seven assets with room for three each: three, three, and one."""
    parts = Partition(3).assign(ASSETS[:7], unknown)

    assert [{"0", "1", "2"}, {"3", "4", "5"}, {"6"}] == parts


def test_an_asset_named_twice_takes_one_place() -> None:
    """What is wanted is a set, whatever comes."""
    assert [{"1", "2"}] == Partition(2).assign(["1", "2", "1"], unknown)


def test_a_drained_part_stays_and_is_filled_first() -> None:
    """A connection without assets keeps its number, and takes the next ones."""
    partition = Partition(2)
    partition.assign(["1", "2", "3", "4"], unknown)

    assert [set(), {"3", "4"}] == partition.assign(["3", "4"], unknown)
    assert [{"5"}, {"3", "4"}] == partition.assign(["3", "4", "5"], unknown)


def test_a_twin_goes_to_its_twin() -> None:
    """Not to the lowest part with room, where the market is known."""
    partition = Partition(2)
    partition.assign(["0", "2", "4", "6"], known)
    partition.assign(["4"], known)

    assert [set(), {"4", "5"}] == partition.assign(["4", "5"], known)


def test_new_twins_find_each_other() -> None:
    """Two new tokens of one market are put together though others come in between."""
    partition = Partition(3)
    partition.assign(["20", "22"], known)

    assert [{"20", "22", "0"}, {"2", "3"}] == partition.assign(["20", "22", "0", "2", "3"], known)
    assert [{"0", "22", "1"}, {"2", "3"}] == partition.assign(["22", "0", "2", "3", "1"], known)


def test_a_twin_of_a_full_part_goes_elsewhere() -> None:
    """Room comes before company."""
    partition = Partition(1)

    assert [{"0"}, {"1"}] == partition.assign(["0", "1"], known)


@pytest.mark.parametrize("market_of", [unknown, known])
@given(limits, wants)
def test_exactly_what_is_wanted_is_served_once(
    market_of: type[str], limit: int, steps: list[list[str]]
) -> None:
    """After each change every wanted asset is in one part, no other is, no part holds too many."""
    partition = Partition(limit)
    for wanted in steps:
        parts = partition.assign(wanted, market_of)

        assert dict.fromkeys(wanted, 1) == Counter(a for part in parts for a in part)
        assert all(len(part) <= limit for part in parts)


@pytest.mark.parametrize("market_of", [unknown, known])
@given(limits, wants)
def test_an_asset_that_stays_wanted_never_moves(
    market_of: type[str], limit: int, steps: list[list[str]]
) -> None:
    """Its events keep their order on one connection only."""
    partition = Partition(limit)
    before: dict[str, int] = {}
    for wanted in steps:
        after = numbers(partition.assign(wanted, market_of))

        assert {a: n for a, n in before.items() if a in after} == {
            a: n for a, n in after.items() if a in before
        }
        before = after


@given(limits, wants)
def test_the_lowest_part_with_room_is_filled(limit: int, steps: list[list[str]]) -> None:
    """Without known markets a new asset leaves no room in a part before its own."""
    partition = Partition(limit)
    before: dict[str, int] = {}
    for wanted in steps:
        parts = partition.assign(wanted, unknown)
        after = numbers(parts)
        added = [after[a] for a in after.keys() - before.keys()]

        assert all(len(part) == limit for part in parts[: max(added, default=0)])
        before = after


@given(limits, wants)
def test_no_more_parts_than_were_ever_needed(limit: int, steps: list[list[str]]) -> None:
    """There are as many connections as the largest of the sets so far needs."""
    partition, most = Partition(limit), 0
    for wanted in steps:
        most = max(most, -(-len(wanted) // limit))

        assert most == len(partition.assign(wanted, unknown))


@given(limits, wants)
def test_twins_are_together_whenever_they_fit(limit: int, steps: list[list[str]]) -> None:
    """Two new ones in any case; one that comes later, unless others filled the part before it."""
    partition = Partition(limit)
    before: dict[str, int] = {}
    for wanted in steps:
        parts = partition.assign(wanted, known)
        after = numbers(parts)
        for asset_id in after.keys() - before.keys():
            twin = str(int(asset_id) ^ 1)
            if twin in after and after[twin] != after[asset_id]:
                home = parts[after[twin]]
                came = [a for a in home if a not in before and str(int(a) ^ 1) not in before]
                assert limit == 1 or (twin in before and len(home) == limit and not came)
        before = after


@given(limits, wants)
def test_parts_are_few_with_known_markets_too(limit: int, steps: list[list[str]]) -> None:
    """A part has a place left only if both tokens of a market would not fit into it."""
    partition, most = Partition(limit), 0
    for wanted in steps:
        most = max(most, len(wanted))
        room = limit - 1 if limit > 1 else 1

        assert len(partition.assign(wanted, known)) <= -(-most // room)


def test_twins_leave_a_place_free_rather_than_part() -> None:
    """It is there for a single asset that comes later."""
    partition = Partition(3)
    early = partition.assign(["0", "1", "2", "3"], known)

    assert [{"0", "1"}, {"2", "3"}] == early
    assert [{"0", "1", "4"}, {"2", "3"}] == partition.assign(["0", "1", "2", "3", "4"], known)


def test_a_twin_comes_before_a_stranger() -> None:
    """The last place beside a token is its twin's, though another one is named before it."""
    partition = Partition(2)
    partition.assign(["0"], known)

    assert [{"0", "1"}, {"4"}] == partition.assign(["0", "4", "1"], known)


def test_a_market_of_more_tokens_than_a_connection_takes_is_split() -> None:
    """Into as few as possible."""
    parts = Partition(2).assign(
        ["9", "0", "1", "2"], lambda asset_id: "0x0" if asset_id < "9" else ""
    )

    assert [{"9", "2"}, {"0", "1"}] == parts


def test_a_market_is_remembered_when_its_assets_leave() -> None:
    """What was learned between two changes decides where a token goes that comes back."""
    partition, learned = Partition(2), dict[str, str]()

    def market_of(asset_id: str) -> str:
        return learned.get(asset_id, "")

    partition.assign(["0", "2", "3", "1"], market_of)
    learned.update(TWINS)
    present = {asset_id: TWINS[asset_id] for asset_id in ("0", "3")}
    partition.assign(["0", "3"], present.__getitem__)
    for asset_id in ("1", "2"):
        present[asset_id] = ""  # subscribed anew, so not known from its own book

    assert [{"0"}, {"2", "3"}] == partition.assign(["0", "3", "2"], present.__getitem__)
    assert [{"0", "1"}, {"2", "3"}] == partition.assign(["0", "3", "2", "1"], present.__getitem__)


def test_what_is_remembered_is_bounded() -> None:
    """Years of short-lived markets: only the newest ones' tokens are known."""
    partition = Partition(1_000_000)
    many = [str(number) for number in range(REMEMBERED + 1)]
    for asset_id in many:
        partition.assign([asset_id], lambda a: f"0x{a}")
    partition.assign([], unknown)

    assert REMEMBERED == len(partition._markets)


SINGLE: list[Event] = [
    make_book("1"),
    make_last_trade_price("1"),
    make_tick_size_change("1"),
    make_best_bid_ask("1"),
]


@pytest.mark.parametrize("event", SINGLE, ids=lambda event: event.event_type)
def test_an_asset_is_told_by_its_own_connection(event: Event) -> None:
    """What another connection brings of it is left out; unsubscribed ones are not judged here."""
    partition = Partition(1)
    partition.assign(["0", "1"], unknown)

    assert [None, event] == [partition.share(number, event) for number in range(2)]
    partition.assign(["0"], unknown)
    assert [event, event] == [partition.share(number, event) for number in range(2)]


def of_both(first: str, second: str) -> PriceChange:
    """One event with a change of each."""
    entries = [make_price_change(a).price_changes[0] for a in (first, second)]
    return make_price_change(changes=entries)


def test_changes_of_split_twins_are_shared_out() -> None:
    """Each connection tells the entry of its own token; a third one tells nothing."""
    partition = Partition(1)
    partition.assign(["0", "1", "2"], unknown)
    zero, one, nothing = (partition.share(number, of_both("0", "1")) for number in range(3))

    assert make_price_change("0") == zero
    assert make_price_change("1") == one
    assert nothing is None


def test_changes_of_twins_on_one_connection_stay_whole() -> None:
    """And so do those that name a twin which nobody subscribed."""
    partition = Partition(2)
    partition.assign(["0", "1"], unknown)
    together, with_stranger = of_both("0", "1"), of_both("0", "7")

    assert together is partition.share(0, together)
    assert with_stranger is partition.share(0, with_stranger)


def test_what_cannot_be_divided_is_told_once() -> None:
    """By the connection of the first asset that is wanted of one."""

    @frozen(kw_only=True, repr=False)
    class Merged(MarketEvent):
        asset_ids: tuple[str, ...]

    partition = Partition(1)
    partition.assign(["0", "1", "2"], unknown)
    event = Merged(asset_ids=("7", "1", "0"), timestamp_ms=1)

    assert [None, event, None] == [partition.share(number, event) for number in range(3)]


def test_broadcasts_are_not_shared_out() -> None:
    """They name assets, but concern everybody."""
    partition = Partition(1)
    partition.assign(["0", "1"], unknown)
    event = make_market_resolved(asset_ids=("0", "1"))

    assert [event, event] == [partition.share(number, event) for number in range(2)]


@given(limits, wants, st.sampled_from(ASSETS), st.sampled_from(ASSETS))
def test_each_wanted_entry_is_told_once(
    limit: int, steps: list[list[str]], first: str, second: str
) -> None:
    """Over all connections together, whichever of the two are wanted."""
    partition = Partition(limit)
    for wanted in steps:
        parts = partition.assign(wanted, unknown)
        event = of_both(first, second)
        told = [
            change.asset_id
            for number, part in enumerate(parts)
            if part & {first, second} and (mine := partition.share(number, event)) is not None
            for change in mine.price_changes
        ]

        assert {a: [first, second].count(a) for a in (first, second) if a in wanted} == {
            a: told.count(a) for a in (first, second) if a in wanted
        }

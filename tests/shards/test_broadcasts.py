"""Broadcasts that come over several connections."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from polymarket_ws.delivery.event_queue import Item
from polymarket_ws.shards.broadcasts import REMEMBERED, Broadcasts
from polymarket_ws.testing import (
    make_book,
    make_last_trade_price,
    make_market_resolved,
    make_new_market,
    make_price_change,
)

CREATED = make_new_market()
RESOLVED = make_market_resolved()


def test_a_broadcast_is_told_once() -> None:
    """The copy that a second connection brings is left out, and counted."""
    broadcasts = Broadcasts()

    assert [CREATED] == list(broadcasts.first([CREATED]))
    assert [] == list(broadcasts.first([CREATED]))
    assert 1 == broadcasts.duplicates


def test_a_copy_in_the_same_read_is_left_out() -> None:
    """Equal broadcasts of one read are told once, too."""
    assert [CREATED] == list(Broadcasts().first([CREATED, CREATED]))


def test_kind_market_and_time_tell_broadcasts_apart() -> None:
    """The same market is created and resolved, and may be told anew at another time."""
    later = make_new_market(timestamp_ms=CREATED.timestamp_ms + 1)
    broadcasts = Broadcasts()

    assert [CREATED, RESOLVED, later] == list(broadcasts.first([CREATED, RESOLVED, later]))
    assert 0 == broadcasts.duplicates


def test_other_events_pass_untouched() -> None:
    """Only broadcasts are looked at: an equal trade may be another one."""
    events: list[Item] = [make_book(), make_price_change(), make_last_trade_price()]
    broadcasts = Broadcasts()

    assert events == list(broadcasts.first(events))
    assert events == list(broadcasts.first(events))
    assert [*events, CREATED, *events] == list(broadcasts.first([*events, CREATED, *events]))
    assert [*events, *events] == list(broadcasts.first([*events, CREATED, *events]))


def test_what_is_remembered_is_bounded() -> None:
    """The oldest is forgotten after thousands of others, long after its copies have come."""
    told = [make_new_market(timestamp_ms=number) for number in range(REMEMBERED + 1)]
    broadcasts = Broadcasts()
    broadcasts.first(told)

    assert [] == list(broadcasts.first(told[1:]))
    assert told[:1] == list(broadcasts.first(told[:1]))


@given(st.integers(1, 5), st.lists(st.integers(0, 9), max_size=20), st.randoms())
def test_each_is_told_once_over_all_connections(
    connections: int, times: list[int], chance: random.Random
) -> None:
    """Whatever the order in which connections bring their copies, in whatever portions."""
    sent = [make_market_resolved(timestamp_ms=time) for time in times]
    feeds = [list(sent) for _ in range(connections)]
    broadcasts, told = Broadcasts(), list[Item]()
    while any(feeds):
        feed = chance.choice([feed for feed in feeds if feed])
        count = chance.randint(1, len(feed))
        told.extend(broadcasts.first(feed[:count]))
        del feed[:count]

    assert {make_market_resolved(timestamp_ms=time) for time in times} == set(told)
    assert len(set(times)) == len(told)
    assert connections * len(sent) - len(told) == broadcasts.duplicates

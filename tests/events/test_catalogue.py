"""The events by name, and what follows from what each class says of itself."""

from __future__ import annotations

import typing

import pytest

import polymarket_ws
from polymarket_ws import events
from polymarket_ws.events import EVENTS, WIRE_EVENTS, Event, Family, MarketEvent, Scope, TimedEvent
from polymarket_ws.events.catalogue import register, unregister

FACTS = {
    "book": ("market", "asset", "data", "droppable"),
    "price_change": ("market", "asset", "data", "droppable"),
    "last_trade_price": ("market", "asset", "data", "droppable"),
    "tick_size_change": ("market", "asset", "data", "droppable"),
    "best_bid_ask": ("market", "asset", "data", "droppable", "custom"),
    "new_market": ("market", "global", "data", "droppable", "custom", "broadcast"),
    "market_resolved": ("market", "global", "data", "droppable", "custom", "broadcast"),
    "order": ("own", "market", "data"),
    "trade": ("own", "market", "data"),
    "fill": ("own", "market", "data"),
    "unknown": ("undecoded", "global", "data", "droppable"),
    "frame": ("undecoded", "global", "droppable"),
    "connect": ("lifecycle", "global"),
    "disconnect": ("lifecycle", "global"),
    "gap": ("continuity", "asset"),
    "resync": ("continuity", "asset"),
}


def facts(kind: type[Event]) -> tuple[str, ...]:
    """What a class says of itself, in words."""
    flags = {
        "data": kind.is_data,
        "droppable": kind.may_be_dropped,
        "custom": kind.needs_custom_features,
        "broadcast": kind.is_broadcast,
    }
    return (kind.family.value, kind.scope.value, *(word for word, holds in flags.items() if holds))


def test_every_class_says_what_is_true_of_it() -> None:
    """Family, scope, and whether it is data, droppable, a custom feature, a broadcast."""
    assert FACTS == {name: facts(kind) for name, kind in EVENTS.items()}


def test_the_sets_follow_from_the_classes() -> None:
    """A set has those for whose class it is true, and no others."""
    kinds = set(EVENTS.values())

    assert {k for k in kinds if k.family is Family.OWN} == events.OWN
    assert {k for k in kinds if k.family is Family.LIFECYCLE} == events.LIFECYCLE
    assert {k for k in kinds if k.family is Family.CONTINUITY} == events.CONTINUITY
    assert {k for k in kinds if k.is_broadcast} == events.BROADCASTS
    assert {k for k in kinds if k.may_be_dropped} == events.DROPPABLE
    assert {k.event_type for k in kinds if k.is_data} == events.DATA
    assert {k.event_type for k in kinds if k.needs_custom_features} == events.CUSTOM_FEATURES


def test_every_event_is_known_by_its_callbacks_name() -> None:
    """The wire's event_type, or our word; those of a channel have the server's time."""
    assert all(name == kind.event_type for name, kind in EVENTS.items())
    assert {
        n: k for n, k in EVENTS.items() if issubclass(k, TimedEvent) and k.is_sent
    } == WIRE_EVENTS


def test_every_event_can_be_imported_from_here_and_from_the_top() -> None:
    """By its class's name, whichever file it stands in; a Subscriber has its on_ member."""
    for name, kind in EVENTS.items():
        assert kind is vars(events)[kind.__name__] is vars(polymarket_ws)[kind.__name__]
        assert hasattr(polymarket_ws.Subscriber, f"on_{name}")


@pytest.mark.parametrize("kind", EVENTS.values(), ids=EVENTS)
def test_a_class_is_known_by_the_room_it_stands_in(kind: type[Event]) -> None:
    """Its module is polymarket_ws.events, where its annotations can be read."""
    assert "polymarket_ws.events" == kind.__module__
    assert {"extra", "received_at_ns"} <= typing.get_type_hints(kind).keys()


@pytest.mark.parametrize("name", ["", "book"])
def test_a_class_without_a_name_of_its_own_is_refused(name: str) -> None:
    """Each event_type has one class, and everything stays as it was."""

    class Nameless(MarketEvent):
        event_type = name

    before = dict(EVENTS)
    with pytest.raises(ValueError, match=f"^Nameless needs an event_type of its own, not '{name}'"):
        register(Nameless)

    assert before == EVENTS


def test_what_is_registered_can_be_taken_back() -> None:
    """Then every set is as it was; a second time there is nothing to take."""

    class Paused(MarketEvent):
        event_type = "paused"
        scope = Scope.GLOBAL
        is_broadcast = True
        needs_custom_features = True

    class Told(Event):
        event_type = "told"
        family = Family.LIFECYCLE
        scope = Scope.GLOBAL
        is_data = False

    sets = (events.EVENTS, events.WIRE_EVENTS, events.LIFECYCLE, events.BROADCASTS)
    more = (events.DROPPABLE, events.DATA, events.CUSTOM_FEATURES, events.OWN, events.CONTINUITY)
    before = [set(found) for found in (*sets, *more)]
    for kind in (Paused, Told):
        register(kind)

    assert [2, 1, 1, 1, 2, 1, 1, 0, 0] == [
        len(now) - len(then) for now, then in zip((*sets, *more), before, strict=True)
    ]
    for kind in (Paused, Told):
        unregister(kind)
    assert before == [set(found) for found in (*sets, *more)]
    with pytest.raises(KeyError):
        unregister(Paused)

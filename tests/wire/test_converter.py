"""Values from JSON objects by the fields of their classes, with an error for each part in which
something is wrong.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest

from polymarket_ws import events
from polymarket_ws.events import EventMessage, Level, MakerOrder
from polymarket_ws.wire.converter import (
    Element,
    PartError,
    _fields,
    entry_steps,
    read_entries,
    structure,
)
from polymarket_ws.wire.json_text import InvalidValue

MAKER = {"order_id": "0xa", "matched_amount": "5", "price": "0.5", "asset_id": "1"}
TICK = {
    "event_type": "tick_size_change",
    "market": "0xm",
    "asset_id": "1",
    "old_tick_size": "0.01",
    "new_tick_size": "0.001",
    "timestamp": "1790491136945",
}
TRADE = {
    "event_type": "trade",
    "id": "t",
    "status": "MINED",
    "taker_order_id": "0xt",
    "market": "0xm",
    "asset_id": "1",
    "side": "BUY",
    "size": "5",
    "price": "0.5",
    "owner": "o",
    "timestamp": "1790491136945",
}


@attrs.frozen(kw_only=True, repr=False)
class Rated(events.MarketEvent):
    """An event of every kind of field that has a reader of its own."""

    bids: tuple[Level, ...] = ()
    change: Decimal | None = attrs.field(default=None, metadata={"signed": True})
    born_ms: int | None = None
    names: tuple[str, ...] = attrs.field(default=(), metadata={"aliases": ("labels", "tags")})
    about: EventMessage | None = attrs.field(default=None, metadata={"wire": "message"})


def made(data: Any, cls: type[Any], *, errors: list[PartError] | None = None) -> Any:
    """The event of a JSON object; nothing is wrong with it unless errors are asked for."""
    found: list[PartError] = []
    event = structure(Element(data, found, 7), cls)
    if errors is None:
        assert [] == found
    else:
        errors += found
    return event


def rated(**fields: Any) -> Any:
    """The event of these fields."""
    return made({"timestamp": "1790491136945", "event_type": "rated", **fields}, Rated)


def shown(errors: list[PartError]) -> list[tuple[str, str, bool]]:
    """What a test compares of errors."""
    return [(part.error.path, part.error.reason, part.lost) for part in errors]


def test_an_event_has_its_time_and_unknown_fields_in_extra() -> None:
    """event_type is known, and no field of it."""
    event = made({**TICK, "later": [1]}, events.TickSizeChange)

    assert (7, {"later": [1]}) == (event.received_at_ns, event.extra)
    assert (Decimal("0.001"), 1790491136945) == (event.new_tick_size, event.timestamp_ms)
    assert {} == made(TICK, events.TickSizeChange).extra


def test_a_class_seen_for_the_first_time_is_read_by_its_fields() -> None:
    """By name, by the ending of the name, by metadata, or by type."""
    event = rated(
        bids=[{"price": "0.4", "size": "1"}, {"price": "0.5", "size": "2"}],
        change="-0.5",
        born_ms="1790491136",
        names=["a"],
        message={"slug": "s", "later": 1},
    )

    assert (Decimal("0.5"), Decimal(2)) == event.bids[0]
    assert (Decimal("-0.5"), 1790491136000) == (event.change, event.born_ms)
    assert (("a",), "s", {"later": 1}) == (event.names, event.about.slug, event.about.extra)


def test_an_alias_is_read_where_the_key_is_missing() -> None:
    """The first of them that is there; "" is no part."""
    assert ("b",) == rated(tags=["c"], labels=["b"]).names
    assert () == rated(tags=None).names
    assert rated(message="").about is None


def test_an_optional_field_costs_itself() -> None:
    """It takes its default; extra has what was there, beside unknown fields."""
    errors: list[PartError] = []
    data = {**TRADE, "trader_side": {}, "later": 1}
    event = made(data, events.Trade, errors=errors)

    assert (None, {"later": 1, "trader_side": {}}) == (event.trader_side, event.extra)
    assert [(".trader_side", "expected a string, not an object", False)] == shown(errors)
    assert errors[0].data is data


def test_an_entry_costs_itself() -> None:
    """Its place is in the path of each error in it."""
    errors: list[PartError] = []
    entries = [MAKER, {**MAKER, "matched_amount": "x"}, {**MAKER, "outcome_index": "y"}, 5]
    event = made({**TRADE, "maker_orders": entries}, events.Trade, errors=errors)

    assert [{}, {"outcome_index": "y"}] == [order.extra for order in event.maker_orders]
    assert [
        (".maker_orders[1].matched_amount", 'expected a number, not "x"', True),
        (".maker_orders[2].outcome_index", 'expected a whole number, not "y"', False),
        (".maker_orders[3]", "expected an object, not 5", True),
    ] == shown(errors)


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        ({**TICK, "market": {}}, ".market", "expected a string, not an object"),
        ({**TICK, "asset_id": None}, ".asset_id", "expected a string, not null"),
        ({k: v for k, v in TICK.items() if k != "market"}, ".market", "missing"),
        ([TICK], "", "expected an object, not an array"),
    ],
)
def test_a_required_field_costs_the_event(data: Any, path: str, reason: str) -> None:
    """The error has the path of the field."""
    with pytest.raises(InvalidValue) as caught:
        made(data, events.TickSizeChange)

    assert (path, reason) == (caught.value.path, caught.value.reason)


def test_entries_are_told_with_what_they_were_made_of() -> None:
    """Books need the wire's own strings."""
    errors: list[PartError] = []
    steps = entry_steps([MAKER, {}], ".here")
    [(entry, order)] = read_entries(steps, MakerOrder, errors)

    assert entry is MAKER
    assert "0xa" == order.order_id
    assert [".here[1].order_id"] == [part.error.path for part in errors]
    with pytest.raises(InvalidValue, match="expected an array, not an object") as caught:
        entry_steps({}, ".here")
    assert ".here" == caught.value.path


def test_a_field_that_nothing_reads_is_refused() -> None:
    """When the class is first looked at, which for our own is at import."""

    @attrs.frozen(kw_only=True, repr=False)
    class Odd(events.MarketEvent):
        ratio: complex

    @attrs.frozen(kw_only=True, repr=False)
    class OddParts(events.MarketEvent):
        ratio: tuple[int, ...]

    for odd in (Odd, OddParts):
        with pytest.raises(TypeError, match=r"^nothing is known that reads ratio as "):
            _fields(odd)


def test_of_an_own_event_the_id_suffices() -> None:
    """What is missing is None and told at once; "" says nothing either."""
    errors: list[PartError] = []
    entries = [MAKER, {**MAKER, "price": None}, {**MAKER, "price": "x"}]
    trade = made(
        {"id": "t", "market": "", "side": "?", "maker_orders": entries}, events.Trade, errors=errors
    )

    assert (None, None, {"side": "?"}) == (trade.market, trade.side, trade.extra)
    assert ["0.5", None, None] == [m.price and str(m.price) for m in trade.maker_orders]
    assert [
        (".side", 'expected BUY or SELL, not "?"', False),
        (".maker_orders[2].price", 'expected a number, not "x"', False),
        (
            "",
            "missing: timestamp, status, market, asset_id, size, price, maker_orders[1].price",
            False,
        ),
    ] == shown(errors)
    with pytest.raises(InvalidValue, match="missing"):
        made({"status": "MINED"}, events.Trade)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"last_update": "1790491138", "match_time": "1790491137"}, 1790491138000),
        ({"match_time": "1790491137"}, 1790491137000),
        ({}, 5),
        ({"timestamp": "soon"}, 5),
        ({"timestamp": "1790491136"}, 1790491136000),
    ],
)
def test_the_time_of_an_own_event(times: dict[str, Any], expected: int) -> None:
    """The server's, as it says it: of a trade's several the last; else that of arrival."""
    data = {k: v for k, v in TRADE.items() if k != "timestamp"}
    event = structure(Element({**data, **times}, [], 5_999_999), events.Trade)

    assert (expected, 5_999_999, "stream") == (
        event.timestamp_ms,
        event.received_at_ns,
        event.source,
    )


def test_a_listing_lacks_nothing_that_none_has() -> None:
    """REST's rows have neither a timestamp nor a type."""
    data = {k: v for k, v in TRADE.items() if k not in ("timestamp", "event_type")}
    found: list[PartError] = []
    event = structure(Element(data, found, 7, "rest"), events.Trade)

    assert ([], "rest") == (found, event.source)

"""to_frame: events and books as the rows of a data frame, in either library."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.books import YES, make_books, snapshot
from kit.examples import all_events, disconnected, gap

from polymarket_ws.contrib.jupyter import to_frame
from polymarket_ws.events import Book, Event, PriceChange, Unknown
from polymarket_ws.testing import (
    make_book,
    make_last_trade_price,
    make_new_market,
    make_price_change,
    make_trade,
)

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")

LIBRARIES = ("pandas", "polars")
MS = 1_790_491_135_816
TIME = datetime(2026, 9, 27, 6, 38, 55, 816_000, tzinfo=timezone.utc)


def columns(events: Any, library: str = "pandas", **how: Any) -> dict[str, list[Any]]:
    """The values of each column, what is missing as None."""
    frame = to_frame(events, library=library, **how)
    if library == "polars":
        return {series.name: series.to_list() for series in frame.get_columns()}
    return {name: [*map(_or_none, frame[name].astype(object))] for name in frame.columns}


def _or_none(value: Any) -> Any:
    """pandas has several values for a missing one; NaN differs from itself."""
    return None if value is pandas.NA or value is pandas.NaT or value != value else value


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_price_change_has_a_row_for_each_level_change(library: str) -> None:
    """With what they share in each, and one number."""
    event = make_price_change("7", [("BUY", "0.41", "10"), ("SELL", "0.6", "0")], timestamp_ms=MS)

    made = columns([event, event], library)

    assert [0, 0, 1, 1] == made["number"]
    assert ["price_change"] * 4 == made["event"]
    assert [TIME] * 4 == made["timestamp"]
    assert ["7"] * 4 == made["asset_id"]
    assert ["BUY", "SELL"] * 2 == made["side"]
    assert [Decimal("0.41"), Decimal("0.6")] * 2 == made["price"]
    assert [10, 0] * 2 == made["size"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_book_has_a_row_for_each_level(library: str) -> None:
    """Best first; a live book is one too. An empty one has one row without a price."""
    books, [live] = make_books(YES)
    books.replace(snapshot(MS, [("0.4", "1"), ("0.3", "2")], [("0.6", "3")]), now=1.0)
    empty = make_book(bids=[], asks=[])

    made = columns([live, empty], library)

    assert [0, 0, 0, 1] == made["number"]
    assert ["BUY", "BUY", "SELL", None] == made["side"]
    assert [0, 1, 0, None] == made["level"]
    assert [Decimal("0.4"), Decimal("0.3"), Decimal("0.6"), None] == made["price"]
    assert [1, 2, 3, None] == made["size"]
    assert [0, 0, 0] == columns(live, library)["number"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_events_of_all_kinds_fit_in_one_frame(library: str) -> None:
    """A row each, in their order; what one has not is missing."""
    unknown = Unknown(channel="market", wire_event_type="new", data={"a": [Decimal("0.5")]})
    extra = attrs.evolve(make_last_trade_price(), extra={"b": {"c": 1}})

    made = columns([gap(asset_ids=("1", "2")), unknown, extra, make_trade(), make_new_market()])

    assert ["gap", "unknown", "last_trade_price", "trade", "new_market"] == made["event"]
    assert [["1", "2"], None, None, None, ["1", "2"]] == made["asset_ids"]
    assert {"a": ["0.5"]} == json.loads(made["data"][1])
    assert {"b": {"c": 1}} == json.loads(made["extra"][2])
    assert isinstance(json.loads(made["maker_orders"][3]), list)
    assert made["event_message"][4] is None or json.loads(made["event_message"][4])


@pytest.mark.parametrize("library", LIBRARIES)
def test_times_are_aware(library: str) -> None:
    """Of the server in ms, of arrival in ns; none where an event was made by hand."""
    received = attrs.evolve(
        make_last_trade_price(timestamp_ms=MS), received_at_ns=MS * 10**6 + 1000
    )

    frame = to_frame([received, disconnected(received_at_ns=0)], library=library)  # type: ignore[call-overload]  # either

    types = dict(zip(frame.columns, frame.dtypes, strict=True))
    assert "ms" in str(types["timestamp"])
    assert "UTC" in str(types["timestamp"])
    assert "ns" in str(types["received_at"])
    made = columns([received, disconnected(received_at_ns=0)], library)
    assert [TIME, None] == made["timestamp"]
    assert made["received_at"][1] is None
    assert TIME.replace(microsecond=816_001) == made["received_at"][0]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_time_of_no_calendar_stays_a_number(library: str) -> None:
    """Nothing is lost of what a server sent."""
    made = columns(make_last_trade_price(timestamp_ms=10**17), library)

    assert [10**17] == made["timestamp_ms"]
    assert "timestamp" not in made


@pytest.mark.parametrize("library", LIBRARIES)
def test_prices_are_floats_if_asked_for(library: str) -> None:
    """Then the columns are of the library's own floats."""
    frame = to_frame(make_price_change(), library=library, decimals="float")  # type: ignore[call-overload]  # either

    types = dict(zip(frame.columns, frame.dtypes, strict=True))
    assert ["float64", "float64"] == [str(types[name]).lower() for name in ("price", "size")]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("number", ["0.000000000000000000001", "123456789012345678901234567890.5"])
def test_decimals_are_exact(library: str, number: str) -> None:
    """Also those that the library's own type of decimals cannot hold together."""
    numbers = [Decimal(number), Decimal("1234567890123456789012.5"), Decimal("1E+3")]

    made = columns([make_last_trade_price(size=size) for size in numbers], library)

    assert numbers == made["size"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_numbers_and_flags_that_are_missing_stay_what_they_are(library: str) -> None:
    """An attempt is no float, though a book has none."""
    made = columns([make_book(), disconnected(attempt=3, will_retry=True)], library)

    assert [None, None, 3] == made["attempt"]
    assert [None, None, True] == made["will_retry"]


def test_numbers_that_pandas_cannot_hold_stay_what_they_are() -> None:
    """As Python's own."""
    made = columns([make_book(), attrs.evolve(make_trade(), bucket_index=2**70)])

    assert [None, None, 2**70] == made["bucket_index"]


def test_the_telling_columns_come_first() -> None:
    """And no events make an empty frame."""
    names = list(columns(make_price_change()))

    assert ["number", "event", "timestamp", "received_at", "market", "asset_id"] == names[:6]
    assert 0 == len(to_frame([]))
    assert 0 == len(to_frame(iter(()), library="polars"))


@pytest.mark.parametrize("library", LIBRARIES)
@given(events=st.lists(all_events, max_size=5))
def test_no_event_is_lost(library: str, events: list[Event]) -> None:
    """Whatever they hold, each has a row, and each level too."""
    made = columns(events, library)

    rows = [
        len(event.bids) + len(event.asks)
        if isinstance(event, Book)
        else len(event.price_changes)
        if isinstance(event, PriceChange)
        else 1
        for event in events
    ]
    numbers = [number for number, count in enumerate(rows) for _ in range(max(1, count))]
    assert numbers == made.get("number", [])


def test_what_is_wrong_is_said() -> None:
    """In one sentence each."""
    with pytest.raises(TypeError, match=r"^to_frame takes events and books, not int$"):
        to_frame([1])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r'^library must be "pandas" or "polars", not \'numpy\'$'):
        to_frame([], library="numpy")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r'^decimals must be "decimal" or "float", not \'str\'$'):
        to_frame([], decimals="str")  # type: ignore[call-overload]


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the way to install it."""
    monkeypatch.setitem(sys.modules, "polars", None)

    with pytest.raises(ImportError, match=r"^to_frame needs polars: pip install polars$"):
        to_frame([], library="polars")

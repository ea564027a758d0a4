"""Events and books as data frames, for notebooks and studies.

Reprs as HTML and `show()` need nothing from here: they are members of what is shown.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, overload

import attrs

from polymarket_ws.books.live_book import LiveBook
from polymarket_ws.events import Book, Event, Level, PriceChange, Side, Unknown
from polymarket_ws.events.values import Value

if TYPE_CHECKING:
    import pandas
    import polars

__all__ = ["to_frame"]

_FIRST = (
    *("number", "event", "timestamp", "received_at"),
    *("market", "asset_id", "side", "level", "price", "size"),
)
"""The columns that come first, of those that there are."""
_APART = frozenset({"bids", "asks", "price_changes", "extra", "data"})
_UNITS = {"_ms": 10**3, "_ns": 10**9}
"""How the names of times since 1970 end, and how many of their unit are in a second."""
_LAST_SECOND = 253_402_300_799  # of the year 9999, where the calendars of both libraries end
_POLARS_DIGITS = 38

Row = dict[str, object]
Column = Sequence[Any]


@overload
def to_frame(
    events: Event | LiveBook | Iterable[Event | LiveBook],
    *,
    library: Literal["pandas"] = "pandas",
    decimals: Literal["decimal", "float"] = "decimal",
) -> pandas.DataFrame: ...


@overload
def to_frame(
    events: Event | LiveBook | Iterable[Event | LiveBook],
    *,
    library: Literal["polars"],
    decimals: Literal["decimal", "float"] = "decimal",
) -> polars.DataFrame: ...


def to_frame(
    events: Event | LiveBook | Iterable[Event | LiveBook],
    *,
    library: Literal["pandas", "polars"] = "pandas",
    decimals: Literal["decimal", "float"] = "decimal",
) -> pandas.DataFrame | polars.DataFrame:
    """A data frame of events and books.

        trades = to_frame(sub.events("last_trade_price", timeout=5))
        levels = to_frame(sub.books[YES], decimals="float")

    One row for each level change of a PriceChange, one for each level of a Book or LiveBook, best
    first, and one for every other event; what has no level has one row without a price. `number`
    counts what was given from 0, so that the rows of one event can be told. `timestamp` is the
    server's time, `received_at` when it arrived; all times are aware and in UTC. `side` of a level
    is BUY for bids. Fields that this version does not know are in `extra`, events of unknown type
    in `data`. Texts in a tuple are a list; what is nested deeper, such as `maker_orders`, is JSON.

    A time that no calendar has stays a number, in `timestamp_ms`.

    Args:
        events: Several, of any classes, or one. They are read to their end.
        library: What makes the frame; it must be installed.
        decimals: Prices and sizes as they are, or as floats, which have rounded digits and are
            faster to compute with.

    Raises:
        ImportError: the library is not installed.
        TypeError: something is neither an event nor a book.
        ValueError: `library` or `decimals` is none of these.
    """
    if library not in _MAKERS:
        raise ValueError(f'library must be "pandas" or "polars", not {library!r}')
    if decimals not in ("decimal", "float"):
        raise ValueError(f'decimals must be "decimal" or "float", not {decimals!r}')
    try:
        module = importlib.import_module(library)
    except ImportError as error:
        raise ImportError(
            f"to_frame needs {library}: pip install {library}", name=library
        ) from error
    columns = _columns(_rows(events))
    if decimals == "float":
        columns = {name: [*map(_as_float, column)] for name, column in columns.items()}
    return _MAKERS[library](module, columns)


def _rows(events: Event | LiveBook | Iterable[Event | LiveBook]) -> Iterator[Row]:
    several = [events] if isinstance(events, (Event, LiveBook)) else events
    for number, item in enumerate(several):
        event = item.snapshot() if isinstance(item, LiveBook) else item
        if not isinstance(event, Event):
            raise TypeError(f"to_frame takes events and books, not {type(event).__name__}")
        shared = {"number": number, "event": event.event_type, **_fields(event)}
        for own in _own_rows(event) or [{}]:
            yield {**shared, **own}


def _own_rows(event: Event) -> list[Row]:
    """What differs within one event: its levels, or its changes."""
    if isinstance(event, Book):
        return [*_levels(Side.BUY, event.bids), *_levels(Side.SELL, event.asks)]
    if isinstance(event, PriceChange):
        return [_fields(change) for change in event.price_changes]
    return []


def _levels(side: Side, levels: Sequence[Level]) -> list[Row]:
    return [
        {"side": side.value, "level": number, "price": price, "size": size}
        for number, (price, size) in enumerate(levels)
    ]


def _fields(value: Value) -> Row:
    names = [name for name in attrs.fields_dict(type(value)) if name not in _APART]
    row = {name: _flat(getattr(value, name)) for name in names}
    if value.extra:
        row["extra"] = _json(value.extra)
    if isinstance(value, Unknown):
        row["data"] = _json(value.data)
    if row.get("received_at_ns") == 0:  # made by hand
        row["received_at_ns"] = None
    return row


def _flat(value: object) -> object:
    """A value that a cell of a column can hold."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple) and all(isinstance(one, str) for one in value):
        return list(value)
    if isinstance(value, tuple):
        return _json([one.to_dict() if isinstance(one, Value) else one for one in value])
    if isinstance(value, Value):
        return _json(value.to_dict())
    return _json(value) if isinstance(value, Mapping) else value


def _json(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _as_float(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else value


def _columns(rows: Iterable[Row]) -> dict[str, Column]:
    """By their names, the most telling first; a row that lacks a field has None there."""
    kept = list(rows)
    named = dict.fromkeys(name for row in kept for name in row)
    names = sorted(named, key=lambda name: _place(name.removesuffix("_ms").removesuffix("_ns")))
    return {name: [row.get(name) for row in kept] for name in names} if kept else {}


def _place(name: str) -> int:
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


def _time_name(name: str, column: Column) -> str | None:
    """What a column of times is called; None for one of other values, or of no calendar's times."""
    per_second = _UNITS.get(name[-3:])
    if per_second is None:
        return None
    fits = all(value is None or 0 <= value // per_second <= _LAST_SECOND for value in column)
    return name[:-3] if fits else None


def _to_pandas(pandas: Any, columns: Mapping[str, Column]) -> Any:
    numpy = importlib.import_module("numpy")
    made: dict[str, Any] = {}
    for name, column in columns.items():
        if time_name := _time_name(name, column):
            times = numpy.array(column, dtype=f"datetime64[{name[-2:]}]")
            made[time_name] = pandas.Series(times).dt.tz_localize("UTC")
        else:
            made[name] = pandas.Series(column, dtype=_pandas_type(column))
    return pandas.DataFrame(made)


def _pandas_type(column: Column) -> str | None:
    """Its types of numbers and flags that may be missing; None leaves the choice to pandas."""
    kinds = {type(value) for value in column} - {type(None)}
    if None not in column or len(kinds) != 1:
        return None
    if kinds == {int} and all(value is None or abs(value) < 2**63 for value in column):
        return "Int64"
    return "boolean" if kinds == {bool} else None


def _to_polars(polars: Any, columns: Mapping[str, Column]) -> Any:
    made = []
    for name, column in columns.items():
        if time_name := _time_name(name, column):
            times = polars.Series(time_name, column, dtype=polars.Int64)
            made.append(times.cast(polars.Datetime(name[-2:], "UTC")))
        elif any(isinstance(value, Decimal) for value in column):
            made.append(polars.Series(name, column, dtype=_polars_decimal(polars, column)))
        else:
            made.append(polars.Series(name, column))
    return polars.DataFrame(made)


def _polars_decimal(polars: Any, column: Column) -> Any:
    """Its own type of decimals if that holds them all exactly; else Python's objects."""
    numbers = [value.as_tuple() for value in column if value is not None]
    scale = max(0, *(-number.exponent for number in numbers))
    whole = max(len(number.digits) + number.exponent for number in numbers)
    return (
        polars.Decimal(_POLARS_DIGITS, scale) if whole + scale <= _POLARS_DIGITS else polars.Object
    )


_MAKERS: Mapping[str, Callable[[Any, Mapping[str, Column]], Any]] = {
    "pandas": _to_pandas,
    "polars": _to_polars,
}

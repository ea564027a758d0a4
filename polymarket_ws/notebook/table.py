"""A table with a heading, and the values of one thing as a table of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any

import attrs

from .markup import Markup, element
from .page import short_id, time_text

MAX_ROWS = 50


@attrs.frozen
class Cell:
    """What stands in one place of a table."""

    content: object
    css: str = ""
    """"pmws-text" for words, which stand on the left; numbers stand on the right."""
    title: str = ""
    """The whole of what is shown cut."""


def table(headings: Sequence[str], rows: Sequence[Sequence[Cell]], css: str = "") -> Markup:
    """One row for each, the first MAX_ROWS; then how many more there are."""
    shown = [element("tr", *map(_cell, row)) for row in rows[:MAX_ROWS]]
    if len(rows) > MAX_ROWS:
        more = f"… {len(rows) - MAX_ROWS} more"
        shown.append(
            element("tr", element("td", more, css="pmws-text pmws-dim", span=len(headings)))
        )
    first = rows[0] if rows else [Cell("")] * len(headings)
    titles = [
        element("th", heading, css="pmws-text" if cell.css else "")
        for heading, cell in zip(headings, first, strict=True)
    ]
    head = element("thead", element("tr", *titles)) if any(headings) else Markup()
    return element("table", head, element("tbody", *shown), css=css)


def fields_table(values: Mapping[str, object]) -> Markup:
    """A row for each field: its name, its value."""
    rows = [
        [Cell(name.removesuffix("_ms"), "pmws-text pmws-dim"), _left(_valued(name, value))]
        for name, value in values.items()
    ]
    return table(("", ""), rows)


def records_table(values: Sequence[attrs.AttrsInstance]) -> Markup:
    """Values of one attrs class: a column for each field that one of them has."""
    if not values:
        return Markup()
    names = [f.name for f in attrs.fields(type(values[0]))]
    kept = [n for n in names if any(getattr(v, n) not in (None, "", {}) for v in values)]
    titles = [name.removesuffix("_ms") for name in kept]
    return table(titles, [[_valued(n, getattr(v, n)) for n in kept] for v in values])


def _cell(cell: Cell) -> Markup:
    return element("td", cell.content, css=cell.css, title=cell.title)


def _left(cell: Cell) -> Cell:
    return cell if cell.css else attrs.evolve(cell, css="pmws-text")


def _valued(name: str, value: object) -> Cell:
    """A value's text; numbers stand on the right, unless it is among values of other kinds."""
    if name.endswith("_ms") and isinstance(value, int):
        return Cell(time_text(value), "pmws-text", title=str(value))
    if isinstance(value, bool) or value is None or isinstance(value, Enum):
        return Cell("" if value is None else value, "pmws-text")
    if isinstance(value, float):
        return Cell(f"{value:,.3f}")
    if isinstance(value, Decimal):
        return Cell(f"{value:f}")
    if isinstance(value, int):
        return Cell(str(value) if name.endswith("port") else f"{value:,}")
    if isinstance(value, str) and " " not in value and "\n" not in value:
        return Cell(short_id(value), "pmws-text", title=value)
    shown = _nested(value)
    return Cell(shown, "pmws-holds" if isinstance(shown, Markup) else "pmws-long")


def _nested(value: object) -> object:
    if isinstance(value, (tuple, list, frozenset)):
        return _several(sorted(value) if isinstance(value, frozenset) else value)
    if isinstance(value, Mapping):
        return _pretty(value) if any(map(_is_deep, value.values())) else fields_table(value)
    return value


def _several(values: Sequence[Any]) -> object:
    """Values of one class as a table with a column for each field; others one below the other."""
    if values and attrs.has(type(values[0])):
        return records_table(values)
    return table(("",), [[_left(_valued("", value))] for value in values]) if values else "none"


def _is_deep(value: object) -> bool:
    return isinstance(value, (Mapping, list, tuple))


def _pretty(value: object) -> str:
    """What was parsed from JSON, as JSON."""
    try:
        return json.dumps(value, indent=2, default=str, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return str(value)

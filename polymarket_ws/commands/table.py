"""Live books as the lines of a table, in as many columns as the terminal has room for."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from polymarket_ws.asset import LABEL_CHARS, label_of
from polymarket_ws.books.live_book import LiveBook
from polymarket_ws.events import Level

from .event_lines import short
from .screen import Line

_GAP = "  "
_SHORTEST_LABEL = 24  # below it, ids tell assets apart better


@frozen
class Column:
    """One column: from how many characters of width on it is shown, and how wide it is."""

    title: str
    width: int
    from_columns: int
    right: bool = True


COLUMNS = (
    Column("asset", 13, 0, right=False),
    Column("size", 9, 56),
    Column("bid", 6, 0),
    Column("ask", 6, 0),
    Column("size", 9, 67, right=False),
    Column("last", 6, 76),
    Column("state", 17, 40, right=False),
)


def cells(book: LiveBook, label_chars: int) -> tuple[str, ...]:
    """What the table says of a book, a text for each of COLUMNS; its prices are of one moment.

    Args:
        book: The book.
        label_chars: Of the label that stands for its id, if it has one; 0 for the id.
    """
    top, last = book.top, book.last_trade  # in the token's own terms, as the prices beside it
    return (
        label_of(book.asset, label_chars) if book.asset and label_chars else short(book.asset_id),
        _size(top.bid),
        _price(top.bid),
        _price(top.ask),
        _size(top.ask),
        "-" if last is None else f"{last.price:f}",
        "live" if top.valid else f"stale: {book.stale_reason}",
    )


def table(books: Sequence[LiveBook], columns: int) -> list[Line]:
    """A heading and one line for each book, in as many columns as fit."""
    label_chars = _label_chars(books, columns)
    first = evolve(COLUMNS[0], width=max(COLUMNS[0].width, label_chars))
    spare = columns - (first.width - COLUMNS[0].width)
    shown = [i for i, column in enumerate(COLUMNS) if spare >= column.from_columns]
    printed = [first, *COLUMNS[1:]]

    def row(texts: Sequence[str]) -> str:
        return _GAP.join(_padded(texts[i], printed[i]) for i in shown).rstrip()

    lines = [Line(row([column.title for column in COLUMNS]), "dim")]
    for book in books:
        texts = cells(book, label_chars)
        lines.append(Line(row(texts), "good" if texts[-1] == "live" else "bad"))
    return lines


def _label_chars(books: Sequence[LiveBook], columns: int) -> int:
    """How long labels may be; 0 where there are none, or no room for them beside the prices."""
    longest = max((len(label_of(book.asset)) for book in books if book.asset), default=0)
    room = min(LABEL_CHARS, columns // 2 - 10)
    return min(longest, room) if room >= _SHORTEST_LABEL else 0


def _padded(text: str, column: Column) -> str:
    return text.rjust(column.width) if column.right else text.ljust(column.width)


def _price(level: Level | None) -> str:
    return "-" if level is None else f"{level.price:f}"


def _size(level: Level | None) -> str:
    return "-" if level is None else f"{level.size:f}"

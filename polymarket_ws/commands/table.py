"""Live books as the lines of a table, in as many columns as the terminal has room for."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from polymarket_ws.books.live_book import LiveBook
from polymarket_ws.events import Level

from .event_lines import short
from .screen import Line

_GAP = "  "


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


def cells(book: LiveBook) -> tuple[str, ...]:
    """What the table says of a book, a text for each of COLUMNS; its prices are of one moment."""
    top, last = book.top, book.last_trade_price
    return (
        short(book.asset_id),
        _size(top.bid),
        _price(top.bid),
        _price(top.ask),
        _size(top.ask),
        "-" if last is None else f"{last:f}",
        "live" if top.valid else f"stale: {book.stale_reason}",
    )


def table(books: Sequence[LiveBook], columns: int) -> list[Line]:
    """A heading and one line for each book, in as many columns as fit."""
    shown = [i for i, column in enumerate(COLUMNS) if columns >= column.from_columns]
    lines = [Line(_row([column.title for column in COLUMNS], shown), "dim")]
    for book in books:
        texts = cells(book)
        lines.append(Line(_row(texts, shown), "good" if texts[-1] == "live" else "bad"))
    return lines


def _row(texts: Sequence[str], shown: Sequence[int]) -> str:
    padded = (
        texts[i].rjust(COLUMNS[i].width) if COLUMNS[i].right else texts[i].ljust(COLUMNS[i].width)
        for i in shown
    )
    return _GAP.join(padded).rstrip()


def _price(level: Level | None) -> str:
    return "-" if level is None else f"{level.price:f}"


def _size(level: Level | None) -> str:
    return "-" if level is None else f"{level.size:f}"

"""A subscriber at a glance: its state, its books, and what was counted."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import islice
from typing import Any, Protocol

from .ladder import places
from .page import Badge, asset_name, clock_text, page
from .show import show
from .table import MAX_ROWS, Cell, table

_HEADINGS = ("asset", "bid size", "bid", "ask", "ask size", "spread", "last", "state")
_TONES = {"LIVE": "good", "CONNECTING": "wait", "DEGRADED": "bad", "FAILED": "bad", "FORKED": "bad"}
_BAD_COUNTS = ("dropped", "decode_errors", "callback_errors", "internal_errors")
_OVER = frozenset({"STOPPED", "FAILED", "FORKED"})

Size = tuple[Decimal, Decimal]


class Book(Protocol):
    """A LiveBook."""

    @property
    def top(self) -> Any: ...
    @property
    def last_trade(self) -> Any: ...
    @property
    def stale_reason(self) -> str | None: ...


class Shown(Protocol):
    """A Subscriber."""

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def books(self) -> Mapping[str, Any]: ...
    @property
    def error(self) -> object: ...
    def stats(self) -> Any: ...


def subscriber_html(subscriber: Shown, *, is_moving: bool = False, note: str = "") -> str:
    """All of it as it is now.

    Args:
        is_moving: It will be updated in place.
        note: Why it will not be any more.
    """
    books = subscriber.books
    rows = _rows(dict(islice(books.items(), MAX_ROWS)), "good" if is_moving else "dim")
    live = sum(book.stale_reason is None for book in books.values())
    state = subscriber.state  # after the books: what it says of them holds
    when = "" if is_moving else f" at {clock_text()}"
    tone = _TONES.get(state, "dim") if is_moving or state != "LIVE" else "dim"
    facts = [f"{live:,} of {len(books):,} books live", *_counted(subscriber.stats())]
    facts += [f"the first {len(rows)} shown"] if len(rows) < len(books) else []
    facts += [note] if note else []
    if subscriber.error is not None:
        facts.insert(0, str(subscriber.error))
    return page(
        f"Subscriber {subscriber.name}",
        Badge(f"{state}{when}", tone),
        table(_HEADINGS, rows, css="pmws-full"),
        facts=facts,
        is_moving=is_moving,
    )


def show_subscriber(subscriber: Shown, seconds: float | None) -> None:
    """Keep it up to date in the cell that runs; see `Subscriber.show`."""

    def render(is_moving: bool, note: str) -> str:
        return subscriber_html(subscriber, is_moving=is_moving, note=note)

    show(subscriber, render, lambda: subscriber.state in _OVER, seconds)


def _rows(books: Mapping[str, Book], live_tone: str) -> list[list[Cell]]:
    tops = [book.top for book in books.values()]
    levels = [level for top in tops for level in (top.bid, top.ask) if level is not None]
    trades = [book.last_trade for book in books.values()]
    told = [trade.price for trade in trades if trade is not None]
    prices = places([*(price for price, _ in levels), *told])
    sizes = places(size for _, size in levels)
    return [
        [
            Cell(asset_name(book, asset_id), "pmws-text pmws-wraps", title=asset_id),
            *_side(top.bid, prices, sizes)[::-1],
            *_side(top.ask, prices, sizes),
            Cell(_spread(top.bid, top.ask, prices), "pmws-dim"),
            Cell("-" if trade is None else f"{trade.price:.{prices}f}"),
            _state(book.stale_reason, live_tone),
        ]
        for (asset_id, book), top, trade in zip(books.items(), tops, trades, strict=True)
    ]


def _side(level: Size | None, prices: int, sizes: int) -> list[Cell]:
    if level is None:
        return [Cell("-", "pmws-dim"), Cell("-", "pmws-dim")]
    return [Cell(f"{level[0]:.{prices}f}"), Cell(f"{level[1]:,.{sizes}f}", "pmws-dim")]


def _spread(bid: Size | None, ask: Size | None, prices: int) -> str:
    return "-" if bid is None or ask is None else f"{ask[0] - bid[0]:.{prices}f}"


def _state(stale_reason: str | None, live_tone: str) -> Cell:
    if stale_reason is None:
        return Cell("live", f"pmws-text pmws-{live_tone}")
    return Cell(f"stale: {stale_reason}", "pmws-text pmws-bad")


def _counted(stats: Any) -> list[str]:
    counts = {
        "events": sum(stats.events.values()),
        "open connections": sum(one.state == "open" for one in stats.connections),
        "gaps": stats.gaps,
        "reconnects": stats.reconnects,
    }
    bad = {name: getattr(stats, name) for name in _BAD_COUNTS if getattr(stats, name)}
    return [f"{name} {count:,}" for name, count in {**counts, **bad}.items()]

"""One order book as a ladder: a live one, or a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

from .ladder import Levels, ladder, places
from .page import Badge, asset_name, clock_text, page, short_id, time_text
from .show import show

DEPTH = 8
_OVER = frozenset({"stopped", "failed", "forked", "unsubscribed"})
"""Stale for reasons after which nothing of this run feeds it."""


class Snapshot(Protocol):
    """Both sides at one moment: a Book."""

    @property
    def asset_id(self) -> str: ...
    @property
    def bids(self) -> Levels: ...
    @property
    def asks(self) -> Levels: ...
    @property
    def mid(self) -> Decimal | None: ...
    @property
    def spread(self) -> Decimal | None: ...
    @property
    def tick_size(self) -> Decimal | None: ...
    @property
    def timestamp_ms(self) -> int: ...


class Live(Protocol):
    """What is followed: a LiveBook."""

    @property
    def asset_id(self) -> str: ...
    @property
    def stale_reason(self) -> str | None: ...
    @property
    def integrity(self) -> str: ...
    @property
    def last_trade(self) -> Any: ...
    def snapshot(self) -> Snapshot: ...


def snapshot_html(book: Snapshot) -> str:
    """A snapshot, which stays as it is."""
    return page(
        short_id(book.asset_id),
        Badge("snapshot", "dim"),
        ladder(book.bids, book.asks, DEPTH, _middle(book, None)),
        facts=_facts(book, DEPTH),
    )


def live_book_html(
    book: Live, depth: int = DEPTH, *, is_moving: bool = False, note: str = ""
) -> str:
    """A live book as it is now: read once, so what it says of itself holds for this moment.

    Args:
        is_moving: It will be updated in place.
        note: Why it will not be any more.
    """
    shown = book.snapshot()
    reason = book.stale_reason  # after the levels: never "live" of levels that were stale already
    trade = book.last_trade
    last = None if trade is None else trade.price
    facts = [*_facts(shown, depth), book.integrity, *([note] if note else [])]
    return page(
        asset_name(book, book.asset_id),
        state_badge(reason, is_moving),
        ladder(shown.bids, shown.asks, depth, _middle(shown, last)),
        facts=facts,
        is_moving=is_moving,
    )


def state_badge(stale_reason: str | None, is_moving: bool) -> Badge:
    """Live or stale; where it is not updated, with the time for which that holds."""
    when = "" if is_moving else f" at {clock_text()}"
    if stale_reason is None:
        return Badge(f"live{when}", "good" if is_moving else "dim")
    return Badge(f"stale: {stale_reason}{when}", "bad")


def show_book(book: Live, depth: int, seconds: float | None) -> None:
    """Keep a ladder up to date in the cell that runs; see `LiveBook.show`."""

    def render(is_moving: bool, note: str) -> str:
        return live_book_html(book, depth, is_moving=is_moving, note=note)

    show(book, render, lambda: book.stale_reason in _OVER, seconds)


def _middle(book: Snapshot, last: Decimal | None) -> list[str]:
    told = (("spread", book.spread), ("mid", book.mid), ("last trade", last))
    tick = [] if book.tick_size is None else [book.tick_size]
    return [f"{name} {p:.{places([p, *tick])}f}" for name, p in told if p is not None]


def _facts(book: Snapshot, depth: int) -> Sequence[str]:
    sides = (("bids", book.bids), ("asks", book.asks))
    counts = [
        f"{len(side)} {name}" if len(side) <= depth else f"{depth} of {len(side)} {name}"
        for name, side in sides
    ]
    tick = [] if book.tick_size is None else [f"tick {book.tick_size:f}"]
    return [*counts, *tick, *([time_text(book.timestamp_ms)] if book.timestamp_ms else [])]

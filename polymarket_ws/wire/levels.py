"""The levels of book events: each trade brings a book anew, with most of its levels as before."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, InvalidOperation

from polymarket_ws.events import Level

from .fast_fields import FastPathMiss, is_number, read_price
from .json_text import NUMBER_CHARS
from .limits import ID_CHARS
from .prices import known_prices

Texts = tuple[str, str]
"""A level's price and size as the wire wrote them."""

ASSETS_LIMIT = 128  # whose levels are kept, 30 KB each, or 150 where sizes change all the time
FORGET_AFTER = 4096  # books of other assets: those that are kept may be gone for good
LEVELS_LIMIT = 100_000  # kept of all assets together: some 25 MB

# Raises for what is no number also where the program has switched that trap off for its threads.
_exactly = Context(prec=NUMBER_CHARS, traps=[InvalidOperation]).create_decimal


def check_levels(pairs: Iterable[Texts]) -> None:
    """Raise FastPathMiss unless all are numbers."""
    for price, size in pairs:
        if price not in known_prices:
            read_price(price)
        if not is_number(size):
            raise FastPathMiss


class LevelReader:
    """Reads the levels of books, those that an asset's last book had from memory.

    Any thread may call it: each step is one operation of a dict, and who comes second reads again.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[Texts, Level]] = {}
        self._others = 0
        self._kept = 0

    def forget(self) -> None:
        """Give the memory back: nobody follows anything."""
        self._known.clear()
        self._others = self._kept = 0

    def read(self, asset_id: str, pairs: list[Texts]) -> list[Level]:
        """The levels of these texts, in their order; FastPathMiss for no number and a size of 0."""
        known = self._known_of(asset_id)
        if known is None:
            return _read(pairs)
        levels = [known.get(pair) for pair in pairs]
        if not all(levels):
            new = [place for place, level in enumerate(levels) if level is None]
            read = _read([pairs[place] for place in new])
            if len(known) > 4 * len(pairs):  # most are sizes that went
                known.clear()
            self._kept += len(new)
            if self._kept > LEVELS_LIMIT:
                self.forget()
            for place, level in zip(new, read, strict=True):
                levels[place] = known[pairs[place]] = level
        return levels  # type: ignore[return-value]

    def _known_of(self, asset_id: str) -> dict[Texts, Level] | None:
        known = self._known.get(asset_id)
        if known is None and len(self._known) < ASSETS_LIMIT and len(asset_id) <= ID_CHARS:
            known = self._known[asset_id] = {}
        elif known is None:
            self._others += 1
            if self._others > FORGET_AFTER:
                self._others = 0
                self._known.clear()
        return known


def _read(pairs: list[Texts]) -> list[Level]:
    """Together, since a book has many."""
    if not pairs:
        return []
    known = known_prices.get
    prices = [known(price) or read_price(price) for price, _ in pairs]
    sizes = [size for _, size in pairs]
    # Of digits alone no text means infinity or has an exponent.
    if not "".join(sizes).replace(".", "").isdecimal() or max(map(len, sizes)) > NUMBER_CHARS:
        raise FastPathMiss
    try:
        numbers = list(map(_exactly, sizes))
    except InvalidOperation:
        raise FastPathMiss from None
    if not all(numbers):
        raise FastPathMiss
    return [tuple.__new__(Level, pair) for pair in zip(prices, numbers, strict=True)]

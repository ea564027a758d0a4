"""Prices, which are few on their grid: parsed once, and stored once for all books.

All receiving threads share the two dicts without a lock: each step is one operation of a dict, and
who comes second does what was done.
"""

from __future__ import annotations

from decimal import Decimal

from polymarket_ws.events import Level

_INTERNED_LIMIT = 65_536  # prices on the finest known grid (0.0001) are 10 000

known_prices: dict[str, Decimal] = {}
"""Prices, and the like (ticks, fee rates), by their text: each was read as a number once."""
first_texts: dict[Decimal, str] = {}
"""The first text of each level's price: on the wire it has one, but for old frames."""


def price_of(text: str) -> Decimal:
    """The price as a number, interned: on its grid few texts make up most of a stream."""
    try:
        return known_prices[text]
    except KeyError:
        number = Decimal(text)
        if len(known_prices) < _INTERNED_LIMIT:
            known_prices[text] = number
        return number


def is_first_text(number: Decimal, text: str) -> bool:
    """Whether a level's price is written as it was at first, and so need not be kept."""
    if len(first_texts) < _INTERNED_LIMIT:
        return first_texts.setdefault(number, text) == text
    return first_texts.get(number) == text


def level_of(texts: tuple[str, str]) -> Level:
    """A level of its price and size as the wire wrote them."""
    price, size = texts
    return Level(price_of(price), Decimal(size))

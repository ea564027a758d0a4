"""Readers of single fields for the fast path: strict, and without a word about what is wrong.

Their counterparts of the general decoder, which are liberal and explain, are in fields.py. Of what
these accept, both make the same.
"""

from __future__ import annotations

from decimal import Decimal

from polymarket_ws.events import Side

from .json_text import NUMBER_CHARS
from .limits import PRICE_CHARS
from .prices import price_of

_MS_CHARS = 13

SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}


class FastPathMiss(Exception):
    """The fast path does not read this message; the general decoder does."""


def is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() and len(text) <= NUMBER_CHARS


def read_number(text: str) -> Decimal:
    if not is_number(text):
        raise FastPathMiss
    return Decimal(text)


def read_price(text: str) -> Decimal:
    """Interned, if there is room."""
    if not is_number(text) or len(text) > PRICE_CHARS:
        raise FastPathMiss
    return price_of(text)


def read_time(text: str) -> int:
    """Milliseconds since 1970, from 2001 to 2286: 13 digits."""
    if len(text) != _MS_CHARS or not text.isdecimal() or text[0] == "0":
        raise FastPathMiss
    return int(text)

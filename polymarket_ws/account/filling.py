"""Whether an order is filled, by what it says itself and by what its fills say."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import Enum, auto

from polymarket_ws.events import Fill, Order

from .statuses import FAILED, is_open

_NOTHING = Decimal(0)


class Filling(Enum):
    """How an order stands."""

    OPEN = auto()
    """It may still be filled, or is not known yet."""
    FILLED = auto()
    """All of it was matched, and nothing of that FAILED."""
    ENDED = auto()
    """It has ended, and was not filled."""


def filling(order: Order | None, fills: Iterable[Fill]) -> Filling:
    """How an order stands, by its latest message and its fills; either may come first."""
    if order is None:
        return Filling.OPEN
    held = list(fills)
    failed = failed_size(held)
    good = sum((fill.size for fill in held), -failed)
    good = max(good, (order.size_matched or _NOTHING) - failed)
    if order.original_size is not None and good >= order.original_size:
        return Filling.FILLED
    if is_open(order):
        return Filling.OPEN
    return Filling.FILLED if order.status == "MATCHED" and not failed else Filling.ENDED


def failed_size(fills: Iterable[Fill]) -> Decimal:
    """Shares that were matched, and not exchanged."""
    return sum((fill.size for fill in fills if fill.status == FAILED), _NOTHING)

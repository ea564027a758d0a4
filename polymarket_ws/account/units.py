"""In which unit the service lists the sizes of open orders: shares, or millionths of a share.

Sources disagree and no capture exists: the docs of /data/orders show "100000000", the official
clients parse plain decimals. So the unit is decided by what is known for sure: an order that the
socket told too, or a size that can be no number of millionths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import attrs
from attrs import define

from polymarket_ws.events import Order, plain
from polymarket_ws.logs import Log

logger = Log(__name__)

MILLIONTHS = Decimal(1_000_000)
# The smallest order of a market was 1 share or more in every capture; a tenth is far below that.
_FEWEST_MILLIONTHS = MILLIONTHS / 10


@define(eq=False)
class Units:
    """What was found out about the service so far. It holds for every order, so it is kept."""

    divisor: Decimal | None = None
    """1 or a million; None while it is not known."""
    _told: bool = False

    def in_shares(self, listed: Iterable[Order], known: Mapping[str, Order]) -> tuple[Order, ...]:
        """The listed orders with their sizes in shares; None while the unit is not known, and what
        was listed is in `extra` then.

        Args:
            listed: Orders as the service lists them.
            known: Orders by id; those with the source "stream" have their sizes in shares.
        """
        orders = tuple(listed)
        self._look_for_evidence(orders, known)
        if self.divisor == MILLIONTHS:
            return tuple(map(_divided, orders))
        if self.divisor is None:
            sized = any(order.original_size for order in orders)
            if sized and not self._told:
                self._told = True
                logger.warning(
                    "it cannot be told yet whether open orders are listed in shares or in "
                    "millionths of a share: sizes that the stream has not told are None"
                )
            return tuple(map(_without_sizes, orders))
        return orders

    def _look_for_evidence(self, orders: tuple[Order, ...], known: Mapping[str, Order]) -> None:
        for order in orders:
            if self.divisor is not None:
                return
            size = order.original_size
            if not size:
                continue
            told = known.get(order.id)
            if told is not None and told.source == "stream" and told.original_size:
                if size == told.original_size:
                    self.divisor = Decimal(1)
                elif size == told.original_size * MILLIONTHS:
                    self.divisor = MILLIONTHS
            elif size != size.to_integral_value() or size < _FEWEST_MILLIONTHS:
                self.divisor = Decimal(1)


def _divided(order: Order) -> Order:
    matched, size = order.size_matched, order.original_size
    return attrs.evolve(
        order,
        original_size=None if size is None else size / MILLIONTHS,
        size_matched=None if matched is None else matched / MILLIONTHS,
    )


def _without_sizes(order: Order) -> Order:
    listed = {
        f"listed_{name}": plain(value)
        for name in ("original_size", "size_matched")
        if (value := getattr(order, name)) is not None
    }
    extra = {**order.extra, **listed}
    return attrs.evolve(order, original_size=None, size_matched=None, extra=extra)

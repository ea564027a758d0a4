"""Prices as the exchange means them: without the float noise that REST adds to some."""

from __future__ import annotations

from decimal import Decimal

_FINEST_TICK = Decimal("0.0001")  # of the known ones, of which each other is a multiple
_MOST_NOISE = Decimal("1E-7")  # of a 32-bit float below 1; seen: 4.8E-8 ("0.7210000476613491")
_DECIMALS = 6  # a price that has no more of them is as somebody wrote it


def on_tick(price: Decimal, tick: Decimal | None) -> Decimal:
    """The price that is meant; the same where that is not sure, as of a taker's average.

    Args:
        price: As the wire has it. One of up to six decimals is meant as it is.
        tick: The asset's price step; None where it is not known: then the finest of all.
    """
    exponent = price.as_tuple().exponent
    assert isinstance(exponent, int)  # no NaN and no infinity passes the wire's readers
    if exponent >= -_DECIMALS:
        return price
    grid = tick or _FINEST_TICK
    meant = (price / grid).to_integral_value() * grid
    return meant if abs(price - meant) <= min(_MOST_NOISE, grid / 10) else price

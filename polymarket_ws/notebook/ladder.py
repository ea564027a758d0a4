"""Both sides of an order book, one level a row: asks above, bids below, the best at the middle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import accumulate

from .markup import Markup, element

Levels = Sequence[tuple[Decimal, Decimal]]
"""Price and size, best first."""


def ladder(bids: Levels, asks: Levels, depth: int, middle: Sequence[str]) -> Markup:
    """The table. A level's bar is its size, and behind it, paler, all that is as good or better.

    Args:
        depth: Levels that are shown of each side.
        middle: What stands between the sides, such as the spread.
    """
    shown_bids, shown_asks = bids[:depth], asks[:depth]
    shown = (*shown_bids, *shown_asks)
    prices, sizes = places(price for price, _ in shown), places(size for _, size in shown)
    whole = max((sum(size for _, size in side) for side in (shown_bids, shown_asks)), default=0)

    def rows(side: Levels) -> list[Markup]:
        totals = accumulate(size for _, size in side)
        return [
            _row(price, size, total, Decimal(whole), prices, sizes)
            for (price, size), total in zip(side, totals, strict=True)
        ]

    titles = [element("th", title) for title in ("", "price", "size", "total")]
    return element(
        "table",
        element("thead", element("tr", *titles)),
        element("tbody", *(rows(shown_asks)[::-1] or [_across("no asks")]), css="pmws-asks"),
        element("tbody", _across(" · ".join(middle)), css="pmws-middle"),
        element("tbody", *(rows(shown_bids) or [_across("no bids")]), css="pmws-bids"),
        css="pmws-full pmws-ladder",
    )


def places(numbers: Iterable[Decimal]) -> int:
    """The decimal places that show all of these numbers exactly, so that they can be aligned."""
    exponents = [number.as_tuple().exponent for number in numbers]
    return max((0, *(-one for one in exponents if isinstance(one, int))))


def _row(
    price: Decimal, size: Decimal, total: Decimal, whole: Decimal, prices: int, sizes: int
) -> Markup:
    style = f"--pmws-size:{_percent(size, whole)};--pmws-total:{_percent(total, whole)}"
    return element(
        "tr",
        element("td", css="pmws-bar", style=style),
        element("td", f"{price:.{prices}f}", css="pmws-price"),
        element("td", f"{size:,.{sizes}f}"),
        element("td", f"{total:,.{sizes}f}", css="pmws-dim"),
    )


def _percent(part: Decimal, whole: Decimal) -> str:
    return f"{part / whole * 100 if whole else 0:.1f}%"


def _across(text: str) -> Markup:
    return element("tr", element("td", text, css="pmws-dim", span=4))

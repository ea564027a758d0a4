"""The ladder: aligned, best at the middle, bars in proportion."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from polymarket_ws.notebook.ladder import Levels, ladder, places


def levels(*pairs: str) -> Levels:
    """Prices and sizes, from "price x size"."""
    return [(Decimal(price), Decimal(size)) for price, size in (p.split("x") for p in pairs)]


def cells(html: str) -> list[str]:
    """The texts of all its cells."""
    return re.findall(r"<td[^>]*>([^<]*)</td>", html)


def test_numbers_of_a_column_have_the_same_decimal_places() -> None:
    """As many as the longest needs; none is rounded."""
    html = ladder(levels("0.5x1000", "0.49x0.25"), levels("0.531x7"), 9, ["spread 0.031"])

    assert [
        *("", "0.531", "7.00", "7.00"),
        "spread 0.031",
        *("", "0.500", "1,000.00", "1,000.00"),
        *("", "0.490", "0.25", "1,000.25"),
    ] == cells(html)


def test_bars_are_in_proportion_to_the_larger_side() -> None:
    """A level's size, and all up to it."""
    html = ladder(levels("0.5x10", "0.4x30"), levels("0.6x20"), 9, [])

    sizes = re.findall(r"--pmws-size:(\S+%);--pmws-total:(\S+%)", html)
    assert [("50.0%", "50.0%"), ("25.0%", "25.0%"), ("75.0%", "100.0%")] == sizes


def test_levels_beyond_the_depth_are_not_shown() -> None:
    """Nor do they count for the bars."""
    html = ladder(levels("0.5x1", "0.4x99"), levels("0.6x1", "0.7x99"), 1, [])

    assert ["", "0.6", "1", "1", "", "", "0.5", "1", "1"] == cells(html)
    assert 2 == html.count("100.0%;")


def test_an_empty_book_says_so() -> None:
    """Both sides."""
    assert ["no asks", "", "no bids"] == cells(ladder([], [], 9, []))
    assert "0.0%" in ladder(levels("0.5x0"), [], 9, [])


@pytest.mark.parametrize(
    ("numbers", "expected"), [([], 0), (["1E+3"], 0), (["1", "0.125"], 3), (["NaN", "0.1"], 1)]
)
def test_places(numbers: list[str], expected: int) -> None:
    """Those of the longest; numbers without a last digit count for none."""
    assert expected == places(map(Decimal, numbers))

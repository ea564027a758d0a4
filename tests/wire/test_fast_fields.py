"""The fast path's readers accept little, and make of it what the general decoder's readers make."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymarket_ws.wire import fields
from polymarket_ws.wire.fast_fields import (
    SIDES,
    FastPathMiss,
    read_number,
    read_price,
    read_time,
)

GENERAL: list[tuple[Callable[[str], object], Callable[[str], object]]] = [
    (read_number, fields.read_number),
    (read_price, fields.read_number),
    (read_time, fields.read_time),
]
texts = st.text(max_size=15) | st.from_regex(r"[0-9.]{0,70}", fullmatch=True)


@pytest.mark.parametrize("text", ["0.5", ".5", "5.", "007", "0", "9" * 20])
def test_digits_and_one_point_are_a_number(text: str) -> None:
    """Of a price and of anything else."""
    assert Decimal(text) == read_number(text) == read_price(text)


def test_a_number_has_64_characters_at_most_and_a_price_20() -> None:
    """Prices are keys of dicts, and CPython's hashes of long numbers can be chosen."""
    assert Decimal("9" * 64) == read_number("9" * 64)
    with pytest.raises(FastPathMiss):
        read_price("0." + "1" * 19)


def test_a_price_is_stored_once() -> None:
    """A size is not: there are too many."""
    assert read_price("0.123") is read_price("0.123")
    assert read_number("0.123") is not read_number("0.123")


@pytest.mark.parametrize("text", ["", ".", "1.2.3", "-1", "1e3", "NaN", " 1", "1_0", "9" * 65])
def test_anything_else_is_left_to_the_general_decoder(text: str) -> None:
    """Also where that would read it."""
    for read in (read_number, read_price, read_time):
        with pytest.raises(FastPathMiss):
            read(text)


def test_a_time_has_13_digits() -> None:
    """Seconds, and milliseconds with a zero in front, are left to the general decoder."""
    assert 1790491136945 == read_time("1790491136945")
    for text in ("1790491136", "0790491136945", "17904911369450", "1790491136.45"):
        with pytest.raises(FastPathMiss):
            read_time(text)


@given(texts.filter(str.isascii))
def test_what_is_read_is_what_the_general_readers_read(text: str) -> None:
    """Whatever the text."""
    for fast, general in GENERAL:
        try:
            value = fast(text)
        except FastPathMiss:
            continue
        assert repr(general(text)) == repr(value)


def test_sides_are_in_capitals() -> None:
    """As the general reader takes them; that one takes others, too."""
    assert {name: fields.read_side(name) for name in ("BUY", "SELL")} == SIDES

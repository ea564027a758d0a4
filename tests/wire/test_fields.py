"""Single JSON values read into the values of fields."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from kit import strategies

from polymarket_ws.events import Level, Side
from polymarket_ws.wire import fields as read
from polymarket_ws.wire.json_text import JSON, InvalidValue

READERS = [getattr(read, name) for name in dir(read) if name.startswith("read_")]
READERS.remove(read.read_items)
READERS.remove(read.read_levels)


def refusal(reader: Callable[[Any], object], value: object) -> tuple[str, str]:
    """The path and the reason with which a reader refuses a value."""
    with pytest.raises(InvalidValue) as caught:
        reader(value)
    return caught.value.path, caught.value.reason


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.48", "0.48"),
        (".48", "0.48"),
        ("5.", "5"),
        ("0.870", "0.870"),
        ("0.0", "0.0"),
        ("0.0030000000012", "0.0030000000012"),
        ("1e-7", "1E-7"),
        (3, "3"),
        (Decimal("0.5"), "0.5"),
        ("9" * 64, "9" * 64),
    ],
)
def test_number(value: object, expected: str) -> None:
    """A price or size is read exactly, from a string or a JSON number."""
    assert expected == str(read.read_number(value))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", 'expected a number, not ""'),
        (" 1", 'expected a number, not " 1"'),
        ("1_000", 'expected a number, not "1_000"'),
        ("\u0661", 'expected a number, not "\\u0661"'),
        ("NaN", 'expected a number, not "NaN"'),
        ("Infinity", 'expected a number, not "Infinity"'),
        ("1e999999", 'expected a number, not "1e999999"'),
        ("9" * 65, f'expected a number, not "{"9" * 38}…'),
        ("-1", 'expected a number from 0, not "-1"'),
        (-1, 'expected a number from 0, not "-1"'),
        (JSON.decode("NaN"), 'expected a number, not "NaN"'),
        (True, "expected a number, not true"),
        (None, "expected a number, not null"),
        ([], "expected a number, not an array"),
        ({}, "expected a number, not an object"),
    ],
)
def test_no_number(value: object, reason: str) -> None:
    """What is not a finite number from 0 is refused with a sentence that shows it."""
    assert ("", reason) == refusal(read.read_number, value)


def test_signed_number() -> None:
    """A sign is read where it makes sense."""
    assert Decimal("-0.01") == read.read_number("-0.01", signed=True)


def test_digits() -> None:
    """A number that was read is given back as the wire wrote it."""
    values = [".480", 5, Decimal("1e-7"), Decimal("0.50"), None]
    assert [".480", "5", "0.0000001", "0.50", ""] == [read.digits(value) for value in values]


def test_text() -> None:
    """A number serves as a text, anything else but a string does not."""
    assert ["", "x", "77", "2.5"] == [read.read_text(v) for v in ("", "x", 77, Decimal("2.5"))]
    for value in (None, True, [], {}, JSON.decode("NaN")):
        assert refusal(read.read_text, value)[1].startswith("expected a string, not ")


def test_hash() -> None:
    """An empty hash is none."""
    assert ["ab", None] == [read.read_hash("ab"), read.read_hash("")]


def test_status() -> None:
    """REST's prefixes are removed."""
    texts = ["LIVE", "ORDER_STATUS_LIVE", "TRADE_STATUS_MINED", ""]
    assert ["LIVE", "LIVE", "MINED", ""] == [read.read_status(text) for text in texts]


def test_whole() -> None:
    """A whole number may come as digits; it is bounded and never a bool."""
    assert [5, 0, 12] == [read.read_whole(value) for value in (5, 0, "12")]
    for value in (True, "", "-1", "1.0", Decimal("1.5"), "9" * 19, "²", None):
        assert refusal(read.read_whole, value)[1].startswith("expected a whole number, not ")


def test_bool() -> None:
    """A bool may come as its word."""
    assert [True, False, True] == [read.read_bool(value) for value in (True, False, "True")]
    for value in (0, 1, "yes", None, []):
        assert refusal(read.read_bool, value)[1].startswith("expected true or false, not ")


def test_side() -> None:
    """A side is read in either case, and is BUY or SELL."""
    assert [Side.BUY, Side.SELL] == [read.read_side("buy"), read.read_side("SELL")]
    for value in ("HOLD", "", None, 1, []):
        assert refusal(read.read_side, value)[1].startswith("expected BUY or SELL, not ")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1790491135816", 1790491135816),
        (1790491135816, 1790491135816),
        ("1672290687", 1672290687000),
        ("99999999999", 99999999999000),
        ("100000000000", 100000000000),
        (Decimal("1672290687.25"), 1672290687250),
        ("0", 0),
        ("2024-01-01T00:01:00Z", 1704067260000),
        ("2024-01-01T00:01:00.123456789Z", 1704067260123),
        ("2024-01-01 02:01:00+02", 1704067260000),
        ("2023-12-31 22:31:00.5-01:30", 1704067260500),
        ("2024-01-01T01:01:00+0100", 1704067260000),
        ("2024-01-01 00:01:00", 1704067260000),
        ("253402300799999", 253402300799999),
    ],
)
def test_time(value: object, expected: int) -> None:
    """A time is told by its magnitude: milliseconds, seconds, or a calendar time (UTC if bare)."""
    assert expected == read.read_time(value)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("soon", "a time"),
        ("", "a time"),
        ("2024-13-01T00:00:00Z", "a time"),
        ("2024-01-01T25:00:00Z", "a time"),
        ("9" * 30, "a time"),
        (True, "a time"),
        (None, "a time"),
        ({}, "a time"),
        (-1, "a time from 1970 to 9999"),
        (10**99, "a time from 1970 to 9999"),
        (Decimal("1e99"), "a time from 1970 to 9999"),
        ("253402300800000", "a time from 1970 to 9999"),
        ("1969-12-31T23:59:59Z", "a time from 1970 to 9999"),
        ("0001-01-01T00:00:00+23", "a time from 1970 to 9999"),
        ("9999-12-31T23:59:59-23", "a time from 1970 to 9999"),
    ],
)
def test_no_time(value: object, what: str) -> None:
    """A time that datetime cannot hold, or none at all, is refused."""
    assert refusal(read.read_time, value)[1].startswith(f"expected {what}, not ")


def test_optional_time() -> None:
    """What the server writes for no time is None."""
    values = ["", "0", 0, "0001-01-01T00:00:00Z", "1672290687"]
    expected = [None, None, None, None, 1672290687000]
    assert expected == [read.read_optional_time(value) for value in values]


def test_texts() -> None:
    """An array of strings may come as a string of JSON, and "" for an empty one."""
    values: list[object] = [["a", 1], '["a", "1"]', "", []]
    assert [("a", "1"), ("a", "1"), (), ()] == [read.read_texts(value) for value in values]


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        ("[", "", 'expected an array, not "["'),
        ("[" * 100_000, "", f'expected an array, not "{"[" * 38}…'),
        ("{}", "", "expected an array, not an object"),
        (None, "", "expected an array, not null"),
        (["a", None], "[1]", "expected a string, not null"),
        ('["\\ud800"]', "", "half a surrogate pair, which is no text"),
    ],
)
def test_no_texts(value: object, path: str, reason: str) -> None:
    """What is no array of strings is refused, with the bad item's index."""
    assert (path, reason) == refusal(read.read_texts, value)


@pytest.mark.parametrize("highest_first", [True, False])
def test_levels(highest_first: bool) -> None:
    """Levels are best first; the last at a price counts; size 0 is no level; null is no level."""
    pairs = [("0.1", "1"), ("0.3", "2"), ("0.2", "0.0"), (".30", "4"), ("0.4", "1"), ("0.4", "0")]
    value = [{"price": price, "size": size} for price, size in pairs]
    low, high = Level(Decimal("0.1"), Decimal(1)), Level(Decimal("0.3"), Decimal(4))
    expected = (high, low) if highest_first else (low, high)
    assert expected == read.read_levels(value, highest_first=highest_first)
    assert () == read.read_levels(None, highest_first=highest_first)


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        ({}, "", "expected an array, not an object"),
        ([5], "[0]", "expected an object, not 5"),
        ([{"size": "1"}], "[0].price", "missing"),
        ([{"price": "1", "size": "1"}, {"price": "1"}], "[1].size", "missing"),
        ([{"price": None, "size": "1"}], "[0].price", "expected a number, not null"),
    ],
)
def test_no_levels(value: object, path: str, reason: str) -> None:
    """A bad level is refused with its index and field."""
    reader = lambda levels: read.read_levels(levels, highest_first=True)  # noqa: E731 - one use
    assert (path, reason) == refusal(reader, value)


def test_or_none() -> None:
    """The wire's "" for nothing is None, all else is left to the reader."""
    reader = read.or_none(read.read_side)
    assert [None, Side.BUY] == [reader(""), reader("BUY")]
    assert "expected BUY or SELL, not null" == refusal(reader, None)[1]


@given(strategies.json_values)
def test_any_value(value: object) -> None:
    """No JSON value makes a reader raise anything but a InvalidValue."""
    for reader in READERS:
        try:
            reader(value)
        except InvalidValue as flaw:
            assert flaw.reason.isascii() or "…" in flaw.reason  # noqa: PT017 - both ways are right

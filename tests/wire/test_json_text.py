"""One text message taken apart into JSON values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymarket_ws.wire.json_text import JSON, InvalidValue, check_text, elements


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n", []),
        ("[]", []),
        ('{"a":1}\n', [("$", {"a": 1})]),
        ("{}{}\n{}", [("$", {}), ("$", {}), ("$", {})]),
        ("[{},1]", [("$[0]", {}), ("$[1]", 1)]),
        ("[[1],{}]", [("$[0][0]", 1), ("$[1]", {})]),
        ("[1][2]", [("$[0]", 1), ("$[0]", 2)]),
    ],
)
def test_elements(text: str, expected: list[tuple[str, Any]]) -> None:
    """Each element comes in order, with its path."""
    assert expected == list(elements(text))


@pytest.mark.parametrize(
    ("text", "reason", "index"),
    [
        ("{} x", "broken JSON from character 3 on", 3),
        ("[1,", "broken JSON from character 0 on", 0),
        ('{"a":"\t"}', "broken JSON from character 0 on", 0),
        (" " + "[" * 200_000, "JSON nested too deeply", 1),
    ],
)
def test_broken_text(text: str, reason: str, index: int) -> None:
    """What is no JSON is the last element: an error that knows where it begins."""
    path, flaw = list(elements(text))[-1]
    assert isinstance(flaw, InvalidValue)
    assert ("$", reason, index) == (path, flaw.reason, flaw.index)


def test_numbers() -> None:
    """A fraction is an exact Decimal, a whole number an int."""
    values = JSON.decode("[0.10, 1e-7, -3, 7]")
    assert [Decimal("0.10"), Decimal("1e-7"), -3, 7] == values
    assert [Decimal, Decimal, int, int] == [type(value) for value in values]


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "-Infinity", "1e100", "1e-999999", "0." + "1" * 63, "1" * 101]
)
def test_odd_numbers(text: str) -> None:
    """A number that is none, or is without bounds, is its text, but of no type that is read."""
    value = JSON.decode(text)
    assert text == value
    assert type(value) not in (str, int, float, Decimal)


def test_check_text() -> None:
    """Half a surrogate pair is refused wherever it is, a whole one is not."""
    check_text({"a": ["\U0001f600", Decimal(1)]})
    for element in ("\ud800", {"\udfff": 1}, [["x\ud83d"]]):
        with pytest.raises(InvalidValue, match="half a surrogate pair, which is no text"):
            check_text(element)


def test_check_deep_text() -> None:
    """What is too deep to be walked is refused."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidValue, match="JSON nested too deeply"):
        check_text(deep)


def test_path_grows_at_its_front() -> None:
    """An error's path is put together from the inside out."""
    flaw = InvalidValue("missing")
    flaw.put_under(".price")
    flaw.put_under("[2]")
    flaw.put_under(".bids")
    assert ".bids[2].price" == flaw.path


@given(st.text())
def test_any_text(text: str) -> None:
    """No text raises."""
    assert all(path.startswith("$") for path, _ in elements(text))

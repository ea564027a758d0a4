"""Which spellings name the same market."""

from __future__ import annotations

import pytest

from polymarket_ws.condition_ids import condition_key, is_of_v2

SHORT = "0x01" + "ab" * 30


@pytest.mark.parametrize("kind", ["0x01", "0x02", "0X02"])
def test_a_short_id_is_the_padded_one(kind: str) -> None:
    """31 bytes that begin with 0x01 or 0x02, and the same with a zero byte at the end."""
    short = kind + "aB" * 30

    assert condition_key(short.upper()) == condition_key(short) == condition_key(f"{short}00")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SHORT, f"{SHORT}01"),
        (SHORT, f"00{SHORT}"),
        ("0x03" + "ab" * 30, "0x03" + "ab" * 30 + "00"),
        (SHORT[:-2], SHORT),
        ("", "0x"),
    ],
)
def test_other_ids_differ(one: str, other: str) -> None:
    """Only a zero byte at the end is a padding, and only of these two kinds."""
    assert condition_key(one) != condition_key(other)


def test_a_key_is_its_own_key() -> None:
    """What was normalised once is not changed again."""
    assert f"{SHORT}00" == condition_key(SHORT) == condition_key(condition_key(SHORT))


@pytest.mark.parametrize(
    ("market", "expected"),
    [(SHORT, True), (f"{SHORT}00", True), (f"{SHORT}01", False), ("0x03" + "ab" * 30, False)],
)
def test_a_market_of_v2_is_known_by_its_id(market: str, expected: bool) -> None:
    """Short, or as if padded."""
    assert expected is is_of_v2(market)

"""Prices without float noise."""

from __future__ import annotations

from decimal import Decimal

import pytest

from polymarket_ws.account.prices import on_tick


@pytest.mark.parametrize(
    ("written", "tick", "meant"),
    [
        ("0.7210000476613491", None, "0.721"),
        ("0.0030000000012", None, "0.003"),
        ("0.7210000476613491", "0.001", "0.721"),
        ("0.12340000001", "0.01", "0.12340000001"),
        ("0.12345000000001", None, "0.12345000000001"),
        ("0.12345000000001", "0.00001", "0.12345"),
        ("0.518333333333", None, "0.518333333333"),
        ("0.518333", None, "0.518333"),
        ("0.57", "0.1", "0.57"),
        ("0", None, "0"),
    ],
)
def test_noise_is_taken_off_and_nothing_else(written: str, tick: str | None, meant: str) -> None:
    """What is within a ten-millionth of the grid is on it; a taker's average is left alone."""
    found = on_tick(Decimal(written), tick and Decimal(tick))

    assert Decimal(meant) == found

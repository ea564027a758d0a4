"""Asset: a value that says what it is."""

from __future__ import annotations

import pickle
from decimal import Decimal

import pytest
from attrs.exceptions import FrozenInstanceError

from polymarket_ws.asset import Asset

ASSET = Asset(
    asset_id="71",
    outcome="Yes",
    market="0x" + "1" * 64,
    question="Will it rain?",
    slug="will-it-rain",
    event_slug="weather",
    tick_size=Decimal("0.01"),
    min_order_size=Decimal(5),
    neg_risk=False,
    closed=False,
)


def test_it_is_shown_by_its_question_and_outcome() -> None:
    """str() is what a person reads in a list of assets."""
    assert "Will it rain?: Yes" == str(ASSET)


def test_it_is_a_value() -> None:
    """Equal by what it says, hashable, picklable, and not changed by anyone."""
    assert ASSET == pickle.loads(pickle.dumps(ASSET))
    assert {ASSET} == {ASSET, pickle.loads(pickle.dumps(ASSET))}
    with pytest.raises(FrozenInstanceError):
        ASSET.closed = True  # type: ignore[misc]  # the point

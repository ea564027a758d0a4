"""What is wanted of a connection."""

from __future__ import annotations

import pytest

from polymarket_ws.channels.wanted import Wanted


@pytest.mark.parametrize(
    ("ids", "empty"), [(frozenset(), True), (frozenset("1"), False), (None, False)]
)
def test_nothing_wanted_is_not_everything_wanted(ids: frozenset[str] | None, empty: bool) -> None:
    """None is all markets of the account; an empty set is none."""
    assert empty is Wanted(ids).is_empty

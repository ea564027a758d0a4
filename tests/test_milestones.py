"""Which repetition of one happening is worth another log line."""

from __future__ import annotations

from polymarket_ws.milestones import is_milestone


def test_powers_of_ten_are_milestones() -> None:
    """A storm of a hundred thousand leaves six lines."""
    assert [1, 10, 100, 1_000, 10_000, 100_000] == list(filter(is_milestone, range(-10, 100_001)))

"""Interruptions, and what settles them."""

from __future__ import annotations

from polymarket_ws.account.completeness import Completeness


def test_nothing_is_known_at_first() -> None:
    """Before the first listing."""
    assert not Completeness().complete


def test_a_settled_interruption_is_over() -> None:
    """Until the next."""
    known = Completeness()
    known.settle(known.interruptions)
    assert known.complete

    known.interrupt()
    assert not known.complete


def test_an_interruption_in_between_is_not_covered() -> None:
    """Whoever settles has seen one less."""
    known = Completeness()
    seen = known.interruptions
    known.interrupt()
    known.settle(seen)

    assert not known.complete

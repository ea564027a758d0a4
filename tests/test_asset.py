"""Asset: a value that says what it is."""

from __future__ import annotations

import pickle

import pytest
from attrs.exceptions import FrozenInstanceError
from kit.assets import asset

from polymarket_ws.asset import LABEL_CHARS, label_of, name_of

ASSET = asset()


def test_it_is_shown_by_its_question_and_outcome() -> None:
    """str() is what a person reads in a list of assets."""
    assert "Will it rain?: Yes" == str(ASSET)


def test_it_is_a_value() -> None:
    """Equal by what it says, hashable, picklable, and not changed by anyone."""
    assert ASSET == pickle.loads(pickle.dumps(ASSET))
    assert {ASSET} == {ASSET, pickle.loads(pickle.dumps(ASSET))}
    with pytest.raises(FrozenInstanceError):
        ASSET.closed = True  # type: ignore[misc]  # the point


@pytest.mark.parametrize(
    ("question", "outcome", "label"),
    [
        ("Will it rain?", "Yes", "Will it rain?: Yes"),
        (
            "Who will win the long and hard race of 2026?",
            "No",
            "Who will win the long and hard race…: No",
        ),
        (
            "Who will win the race?",
            "A team of a long name",
            "Who will win the…: A team of a long…",
        ),
        ("x" * 60, "No", f"{'x' * 35}…: No"),
        ("Rain\x1b[2J", "No\n", "Rain\\x1b[2J: No\\n"),
    ],
)
def test_a_label_is_short_and_keeps_the_outcome(question: str, outcome: str, label: str) -> None:
    """One line that a terminal obeys in nothing; both tokens of a market are told apart."""
    named = label_of(asset(question=question, outcome=outcome))

    assert label == named
    assert len(named) <= LABEL_CHARS


def test_a_log_has_the_label_and_the_id() -> None:
    """The id alone where nothing is known of it."""
    assert ("71", "Will it rain?: Yes (71)") == (name_of("71", None), name_of("71", ASSET))

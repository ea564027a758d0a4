"""What one element of a message becomes."""

from __future__ import annotations

import pytest

from polymarket_ws.events import Unknown
from polymarket_ws.wire.updates import Changes, Decoded, Snapshot

BOOK = Snapshot("0x1", "1", 1, None, [], [], None, None)


@pytest.mark.parametrize(
    ("decoded", "event_type"),
    [
        (Decoded(None, Changes("0x1", 1, [])), "price_change"),
        (Decoded(None, BOOK), "book"),
        (Decoded(Unknown(channel="market", wire_event_type="x", data={}), None), "unknown"),
    ],
)
def test_an_element_has_its_type_also_where_no_event_was_made(
    decoded: Decoded, event_type: str
) -> None:
    """What nobody listens for is counted all the same."""
    assert event_type == decoded.event_type


def test_an_answer_is_known_by_its_tick_size() -> None:
    """A refresh after a trade has none."""
    assert (False, True) == (BOOK.is_answer, BOOK._replace(tick_size="0.01").is_answer)

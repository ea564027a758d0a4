"""What the fast path should have read is decoded and counted, and logged when it is much."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kit.dialects import market_dialect, user_dialect

from polymarket_ws.channels.dialect import Dialect
from polymarket_ws.connection.slow_path import decode_slowly
from polymarket_ws.connection.tally import Tally
from polymarket_ws.events import PriceChange
from polymarket_ws.wire.updates import Decoded


def change(**more: str) -> dict[str, Any]:
    """A price_change with all fields that the server sends, and perhaps more."""
    entry = {
        "asset_id": "1",
        "price": "0.4",
        "size": "1",
        "side": "BUY",
        "hash": "ab",
        "best_bid": "0.4",
        "best_ask": "0.6",
        **more,
    }
    return {
        "event_type": "price_change",
        "market": "0x" + "a" * 64,
        "price_changes": [entry],
        "timestamp": "1790491136945",
    }


def counted(*messages: Any, dialect: Dialect | None = None, times: int = 1) -> int:
    """How many texts of these messages are counted."""
    tally, text = Tally(), json.dumps(messages)
    for _ in range(times):
        decode_slowly(text, 7, dialect or market_dialect(), tally, "main")
    return tally.slow_path


def test_the_fast_path_knows_the_fields_of_today() -> None:
    """One field more, and it does not."""
    decode_fast = market_dialect().decode_fast

    assert decode_fast(json.dumps(change()), 7, None) is not None
    assert decode_fast(json.dumps(change(later="1")), 7, None) is None


def test_a_new_field_is_delivered() -> None:
    """The event is as ever, with the field in `extra`."""
    text = json.dumps(change(later="1"))
    [decoded] = decode_slowly(text, 7, market_dialect(), Tally(), "main")

    assert isinstance(decoded, Decoded)
    assert isinstance(decoded.event, PriceChange)
    assert {"later": "1"} == decoded.event.price_changes[0].extra


def test_each_text_is_counted_once(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it holds. Some few are not logged."""
    new = change(later="1")

    assert 99 == counted(new, new, times=99)
    assert [] == caplog.records


def test_many_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """At 100, and then at each power of ten."""
    counted(change(later="1"), times=1000)

    assert [
        f"main: {number} texts took the slow path, the last a price_change: its fields are not "
        "those that the fast path knows (docs/performance.md)"
        for number in (100, 1000)
    ] == caplog.messages


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"event_type": "later"}],
        [change(later="1"), {"event_type": "later"}],
        [change(best_bid="x")],
        [change(later="1"), 7],
    ],
)
def test_what_the_fast_path_never_reads_is_not_counted(messages: list[Any]) -> None:
    """Other types, also beside its own; and what is counted as an error."""
    assert 0 == counted(*messages)


def test_a_channel_without_a_fast_path_has_no_slow_one() -> None:
    """The user channel: its messages are few."""
    assert 0 == counted(change(later="1"), dialect=user_dialect())

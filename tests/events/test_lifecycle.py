"""What is told of connections and of what was missed."""

from __future__ import annotations

from kit.examples import TOKEN, disconnected, gap, resync


def test_our_own_events_have_a_dict_too() -> None:
    """Their fields by name; nothing is on the wire."""
    assert {
        "channel": "market",
        "connection": "1-market",
        "generation": 1,
        "reason": "closed",
        "detail": "",
        "will_retry": True,
        "attempt": 0,
    } == disconnected().to_dict()
    lost = {"channel": "market", "connection": "1-market", "reason": "disconnect"}
    assert {**lost, "asset_ids": [TOKEN, "2"], "dropped": 0, "detail": ""} == gap().to_dict()
    assert {**lost, "asset_ids": ["2"], "duration": 1.5} == resync(duration=1.5).to_dict()

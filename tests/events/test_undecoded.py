"""What either channel sent, as it came."""

from __future__ import annotations

from polymarket_ws.events import Frame, Unknown


def test_an_unknown_event_has_the_element_whole() -> None:
    """It names no asset, though the element may."""
    unknown = Unknown(channel="market", wire_event_type="new", data={"asset_id": "1"})

    assert {"channel": "market", "wire_event_type": "new", "data": {"asset_id": "1"}} == (
        unknown.to_dict()
    )
    assert () == unknown.assets


def test_a_frame_is_no_decoded_event() -> None:
    """on_event has unknown events, but no frames."""
    assert {Unknown: True, Frame: False} == {kind: kind.is_data for kind in (Unknown, Frame)}

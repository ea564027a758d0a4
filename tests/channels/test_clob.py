"""The texts of the CLOB that carry no data."""

from __future__ import annotations

import pytest

from polymarket_ws.channels.clob import DATA_BEGINS, PING, heartbeat, read_control
from polymarket_ws.channels.dialect import Control


@pytest.mark.parametrize(
    ("text", "control"),
    [
        ("PONG", Control("pong")),
        ("", Control("notice")),
        ("NO NEW ASSETS\n", Control("notice")),
        ("INVALID OPERATION", Control("notice", is_warning=True)),
        ("pong", None),
        ("hello", None),
    ],
)
def test_a_text_is_an_answer_a_notice_or_data(text: str, control: Control | None) -> None:
    """Known texts, apart from white space; all else is tried as data."""
    assert control == read_control(text)


def test_the_heartbeat_is_ping() -> None:
    """Its first one comes an interval after the subscription; data begins with a bracket."""
    assert (PING, 10) == (heartbeat(10).text, heartbeat(10).interval)
    assert {"[", "{"} == DATA_BEGINS

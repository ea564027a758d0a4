"""The lines that the commands of Django and Flask print alike."""

from __future__ import annotations

from typing import Any

import pytest

from polymarket_ws import Credentials, Subscriber
from polymarket_ws.contrib.stream_report import (
    describe_followed,
    describe_missing,
    is_anything_followed,
    seconds,
)
from polymarket_ws.testing import FakeServer

KEYS = Credentials("key", "c2VjcmV0", "phrase")
MARKET = "0x" + "1" * 64


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({}, "broadcasts"),
        ({"asset_ids": ["1"]}, "1 asset"),
        ({"asset_ids": ["1", "2"]}, "2 assets"),
        ({"credentials": KEYS}, "the user channel"),
        (
            {"asset_ids": ["1"], "credentials": KEYS, "markets": [MARKET]},
            "1 asset and the user channel of 1 market",
        ),
    ],
)
def test_what_is_followed_is_told(wanted: dict[str, Any], words: str) -> None:
    """Assets and the user channel, each where there is one."""
    assert words == describe_followed(Subscriber(**wanted))


def test_a_broadcast_needs_no_asset() -> None:
    """Without assets and credentials only a callback for new or resolved markets hears anything."""
    assert is_anything_followed(Subscriber(), ["new_market"])
    assert not is_anything_followed(Subscriber(), ["book"])


def test_what_is_missing_is_told_without_a_time() -> None:
    """The caller has waited, and says for how long."""
    with FakeServer() as server, Subscriber(["1"], options=server.options()) as sub:
        assert describe_missing(sub).startswith("missing the book of 1")


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "x"])
def test_what_is_no_number_of_seconds_is_refused(text: str) -> None:
    """A ValueError, as argparse and click expect it of a type."""
    with pytest.raises(ValueError, match=text):
        seconds(text)

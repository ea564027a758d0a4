"""What the client writes."""

from __future__ import annotations

from polymarket_ws.credentials import Credentials
from polymarket_ws.wire.redaction import redact
from polymarket_ws.wire.requests import (
    market_change,
    market_subscription,
    user_change,
    user_subscription,
)

CREDENTIALS = Credentials("key-1", "c2VjcmV0", 'pass"phrase')


def test_market_subscription() -> None:
    """The first text of the market channel names all assets and the custom features."""
    expected = '{"type":"market","assets_ids":["1","2"],"custom_feature_enabled":true}'
    assert expected == market_subscription(["1", "2"], True)
    expected = '{"type":"market","assets_ids":["1"],"custom_feature_enabled":false}'
    assert expected == market_subscription(iter(["1"]), False)


def test_market_change() -> None:
    """A later text names an operation, and the custom features only when told to."""
    expected = '{"operation":"subscribe","assets_ids":["1"],"custom_feature_enabled":true}'
    assert expected == market_change("subscribe", {"1"}, True)
    expected = '{"operation":"unsubscribe","assets_ids":["1"]}'
    assert expected == market_change("unsubscribe", ["1"], None)


def test_user_subscription() -> None:
    """The first text of the user channel holds the key, and no `markets` when all are wanted."""
    auth = '{"apiKey":"key-1","secret":"c2VjcmV0","passphrase":"pass\\"phrase"}'
    expected = f'{{"type":"user","auth":{auth},"markets":["0x1"]}}'
    assert expected == user_subscription(CREDENTIALS, ["0x1"])
    assert f'{{"type":"user","auth":{auth}}}' == user_subscription(CREDENTIALS, None)


def test_user_change() -> None:
    """A later text of the user channel names an operation and markets."""
    expected = '{"operation":"unsubscribe","markets":["0x1","0x2"]}'
    assert expected == user_change("unsubscribe", ["0x1", "0x2"])


def test_redacted_subscription() -> None:
    """The first text of the user channel can be logged when it is redacted."""
    expected = (
        '{"type":"user","auth":{"apiKey":"***","secret":"***","passphrase":"***"},'
        '"markets":["0x1"]}'
    )
    assert expected == redact(user_subscription(CREDENTIALS, ["0x1"]))

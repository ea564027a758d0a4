"""The texts that a client sends to say what it wants."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal

from polymarket_ws.credentials import Credentials


def market_subscription(asset_ids: Iterable[str], custom_features: bool) -> str:
    """The market channel's first text, to be sent once per connection.

    Without `initial_dump`, as the official SDK sends it (polymarket-client 0.14); its default is
    true.
    """
    return _compact(
        {
            "type": "market",
            "assets_ids": list(asset_ids),
            "custom_feature_enabled": custom_features,
        }
    )


def market_change(
    operation: Literal["subscribe", "unsubscribe"],
    asset_ids: Iterable[str],
    custom_features: bool | None,
) -> str:
    """A later text of the market channel; `custom_features` None leaves what the connection has."""
    wish: dict[str, object] = {"operation": operation, "assets_ids": list(asset_ids)}
    if custom_features is not None:
        wish["custom_feature_enabled"] = custom_features
    return _compact(wish)


def user_subscription(credentials: Credentials, markets: Iterable[str] | None) -> str:
    """The user channel's first text. It holds the secret: log it through redact() only.

    Args:
        credentials: Whose orders and trades.
        markets: Condition ids; None for all. An empty list gets orders but no trades (py-sdk#102).
    """
    api_key, secret, passphrase = credentials.reveal()
    auth = {"apiKey": api_key, "secret": secret, "passphrase": passphrase}
    wish: dict[str, object] = {"type": "user", "auth": auth}
    if markets is not None:
        wish["markets"] = list(markets)
    return _compact(wish)


def user_change(operation: Literal["subscribe", "unsubscribe"], markets: Iterable[str]) -> str:
    """A later text of the user channel."""
    return _compact({"operation": operation, "markets": list(markets)})


def _compact(wish: object) -> str:
    return json.dumps(wish, separators=(",", ":"))

"""The dialects of the two channels, as they lead to nowhere."""

from __future__ import annotations

from polymarket_ws.channels import clob
from polymarket_ws.channels.market import MarketDialect
from polymarket_ws.channels.user import UserDialect
from polymarket_ws.credentials import Credentials

CREDENTIALS = Credentials("KEY-1", "SECRET-1", "PASS-1")


def market_dialect(url: str = "wss://example") -> MarketDialect:
    """The market channel's, with a PING each 10 s."""
    return MarketDialect(url, clob.heartbeat(10))


def user_dialect(url: str = "wss://example", credentials: Credentials = CREDENTIALS) -> UserDialect:
    """The user channel's, with a PING each 10 s."""
    return UserDialect(url, clob.heartbeat(10), credentials)

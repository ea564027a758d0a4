"""What the two channels of the CLOB share: the heartbeat, and the texts that carry no data.

The server closes a connection with 1008 when PING comes before the subscription. A text that is
not JSON is PONG, or a notice: "INVALID OPERATION" answers a wrong or second subscription, "NO NEW
ASSETS" one of known tokens only; empty texts were captured, too.
"""

from __future__ import annotations

from .dialect import Control, Heartbeat

PING = "PING"
PONG = "PONG"
DATA_BEGINS = frozenset("{[")
_NOTICES = frozenset({"INVALID OPERATION", "NO NEW ASSETS", ""})
_PONG = Control("pong")
_NOTICE = Control("notice")
_WARNING = Control("notice", is_warning=True)


def heartbeat(interval: float) -> Heartbeat:
    """PING, so many seconds after the subscription and after the one before."""
    return Heartbeat(PING, interval)


def read_control(text: str) -> Control | None:
    """What a text means that carries no data; None for any other text."""
    if text == PONG:
        return _PONG
    notice = text.strip()
    if notice not in _NOTICES:
        return None
    return _WARNING if notice == "INVALID OPERATION" else _NOTICE

"""Condition ids, which name markets: when two spellings are the same one."""

from __future__ import annotations

from functools import lru_cache

_SHORT = len("0x") + 62
_PADDED_KINDS = ("0x01", "0x02")


@lru_cache(maxsize=4096)  # the few markets of a process are asked for with each message
def condition_key(condition_id: str) -> str:
    """What a condition id is compared by: equal for all spellings of one market.

    Case does not count. An id of 31 bytes that begins with 0x01 or 0x02 (protocol V2) is also
    written with 32, by a zero byte at its end.
    """
    key = condition_id.lower()
    return f"{key}00" if len(key) == _SHORT and key.startswith(_PADDED_KINDS) else key


def is_of_v2(condition_id: str) -> bool:
    """Whether a market is of protocol V2, as far as its id tells: short, or as if padded."""
    key = condition_key(condition_id)
    return key.startswith(_PADDED_KINDS) and key.endswith("00") and len(key) == _SHORT + 2

"""Whether a signal handler may wait for threads that need the locks of what it interrupted.

A handler runs on the main thread in the middle of whatever that was doing. If that held a lock, no
other thread gets it before the handler has returned. So locks that a user's call may hold are
RLocks, which know their holder.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def holds_any(locks: Iterable[Any]) -> bool:
    """Whether the calling thread holds one of these RLocks, or Conditions of RLocks."""
    return any(lock._is_owned() for lock in locks)  # what Condition asks of its own lock

"""Finds the locks of this package's objects."""

from __future__ import annotations

import gc
import threading
import types
from collections.abc import Iterator
from typing import Any

_LOCKS = (type(threading.Lock()), type(threading.RLock()), threading.Condition)
_HOLDERS = (dict, list, tuple, set, types.MethodType, types.FunctionType, types.CellType)


def locks_of(root: object) -> Iterator[tuple[str, Any]]:
    """Every lock of this package's objects that can be reached from one, with whose it is."""
    seen, waiting = {id(root)}, [(type(root).__name__, root)]
    while waiting:
        name, owner = waiting.pop()
        for referent in gc.get_referents(owner):
            if id(referent) in seen:
                continue
            seen.add(id(referent))
            if isinstance(referent, _LOCKS):
                yield name, referent
            elif _may_hold_locks(referent):
                # Python 3.10 keeps the attributes of an object in a dict that is one more step.
                kind = name if isinstance(referent, dict) else type(referent).__name__
                waiting.append((kind, referent))


def _may_hold_locks(candidate: object) -> bool:
    module = type(candidate).__module__
    if isinstance(candidate, dict) and "__builtins__" in candidate:  # a module's
        return False
    is_ours = module.startswith("polymarket_ws") and ".testing" not in module
    return is_ours or isinstance(candidate, _HOLDERS)

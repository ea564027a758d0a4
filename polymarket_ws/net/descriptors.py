"""The descriptors that are open in this process, so that a forked child can close its copies."""

from __future__ import annotations

import os
import selectors
import socket
from contextlib import suppress
from typing import TypeVar
from weakref import WeakSet

H = TypeVar("H", bound=socket.socket | selectors.BaseSelector)

_open: WeakSet[socket.socket | selectors.BaseSelector] = WeakSet()


def owned(holder: H) -> H:
    """Return the socket or selector, which a forked child is to close from now on."""
    _open.add(holder)
    return holder


def close_copies() -> None:
    """In a forked child: close what the parent had open, and leave the parent's own alone.

    Selectors come first, as a whole: to unregister a socket from a shared epoll would deafen the
    parent. Sockets are taken away from their objects and closed, never shut down, and nothing is
    said on them: either would end the parent's connection.
    """
    holders = list(_open)
    _open.clear()
    for holder in holders:
        if not isinstance(holder, socket.socket):
            with suppress(OSError):
                holder.close()
    for holder in holders:
        if isinstance(holder, socket.socket):
            with suppress(OSError):
                os.close(holder.detach())

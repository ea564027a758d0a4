"""A handler as it is called under Django: with database connections kept as around a request."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from django.db import connections

from polymarket_ws import Disconnected
from polymarket_ws.errors import callback_name

Handler = Callable[[Any], object]


class HostedHandler:
    """Calls a handler, and closes unusable and outdated database connections before and after it.

    A database that was restarted costs the call that meets it: that one raises, its connection is
    closed, and the next call opens another. Equal to the handler, so that `remove_callback` finds
    it. Runs on the callback thread.

    Args:
        handler: The project's.
        on_exit: Told of the SystemExit by which a handler ends the process.
    """

    def __init__(self, handler: Handler, on_exit: Callable[[SystemExit], None]) -> None:
        functools.update_wrapper(self, handler)
        self.__qualname__ = callback_name(handler)
        self._handler = handler
        self._on_exit = on_exit

    def __call__(self, argument: Any) -> None:
        _close_outdated()
        try:
            self._handler(argument)
        except SystemExit as error:
            self._on_exit(error)
            raise
        finally:
            if isinstance(argument, Disconnected) and not argument.will_retry:
                _close_all()  # the callback thread is about to end
            else:
                _close_outdated()

    def __eq__(self, other: object) -> bool:
        return bool(
            self._handler == (other._handler if isinstance(other, HostedHandler) else other)
        )

    def __hash__(self) -> int:
        return hash(self._handler)


def hear_the_end(event: Disconnected) -> None:
    """A handler that does nothing: hosted, it closes at the end what the callback thread opened."""


def _close_outdated() -> None:
    for connection in _own_connections():
        connection.close_if_unusable_or_obsolete()


def _close_all() -> None:
    for connection in _own_connections():
        connection.close()


def _own_connections() -> list[Any]:
    """Those of the callback thread. One that is within a transaction between two calls is a test's,
    which shares it; and the main thread's connections are nobody's but its own.
    """
    if threading.current_thread() is threading.main_thread():
        return []
    return [one for one in connections.all(initialized_only=True) if not one.in_atomic_block]

"""The callbacks that a user registered: checked, filtered, replaced when a cell runs again."""

from __future__ import annotations

import functools
import inspect
import itertools
import threading
from collections.abc import Callable
from typing import Any

from attrs import define, field, fields, frozen

from polymarket_ws.books.live_book import LiveBook
from polymarket_ws.condition_ids import condition_key
from polymarket_ws.errors import ConfigurationError
from polymarket_ws.errors import callback_name as callback_name
from polymarket_ws.events import EVENTS, Event

Callback = Callable[[Any], object]

_FILTERED_BY = frozenset({"market", "asset_id", "asset_ids"})


@frozen(eq=False)
class Registration:
    """One callback with its filter."""

    name: str
    """The event's name: the method's without `on_`."""
    callback: Callback
    asset_ids: frozenset[str] | None = None
    markets: frozenset[str] | None = None
    """Keys of condition ids."""
    top_only: bool = False
    seen: dict[str, tuple[object, ...]] = field(factory=dict)
    """With `top_only`: the top it was last called with, by asset. The callback thread's own."""
    cell: int | None = None
    """The number of the notebook's cell that registered it; None outside of a notebook."""
    call: Callback = field(init=False)
    """What is called: the callback, in a notebook with the context of its cell."""

    @call.default
    def _with_context(self) -> Callback:
        # Jupyter tells by the context which cell a print belongs to.
        return self.callback if self.cell is None else _in_this_context(self.callback)

    def matches(self, event: Event) -> bool:
        """Whether the event passes the filter; a price_change does if any of its entries does."""
        if self.markets is None and self.asset_ids is None:
            return True
        if not self._matches_market(getattr(event, "market", "")):
            return False
        return self.asset_ids is None or event.concerns(self.asset_ids)

    def matches_book(self, asset_id: str, market: str) -> bool:
        if self.asset_ids is not None and asset_id not in self.asset_ids:
            return False
        return self._matches_market(market)

    def _matches_market(self, market: str | None) -> bool:
        return self.markets is None or condition_key(market or "") in self.markets

    def is_news(self, asset_id: str, book: LiveBook) -> bool:
        """With `top_only`: whether prices, sizes or validity differ from those of the last call."""
        if not self.top_only:
            return True
        top = book.top
        shown = (top.bid, top.ask, top.valid)
        if self.seen.get(asset_id) == shown:
            return False
        self.seen[asset_id] = shown
        return True

    def replaces(self, other: Registration) -> bool:
        """The same function of a notebook or a script, defined again.

        With another filter only in a notebook, where a later cell, or the same one run again,
        defined it. Within one cell, as in a script, a loop may define one function for each of
        several filters; and one function may be registered with several.
        """
        name = _redefinable_name(self.callback)
        if name is None or name != _redefinable_name(other.callback) or self.name != other.name:
            return False
        if (self.asset_ids, self.markets) == (other.asset_ids, other.markets):
            return True
        is_later_cell = None not in (self.cell, other.cell) and self.cell != other.cell
        return is_later_cell and self.callback is not other.callback


@define(eq=False)
class Callbacks:
    """All registrations of one Subscriber. Any thread may call any member, a callback included."""

    _by_name: dict[str, tuple[Registration, ...]] = field(factory=dict)
    """Replaced whole at each change, so that readers need no lock."""
    _lock: threading.RLock = field(factory=threading.RLock)
    """Guards the replacement of `_by_name`."""

    def __getitem__(self, name: str) -> tuple[Registration, ...]:
        return self._by_name.get(name, ())

    @property
    def locks(self) -> list[Any]:
        """What a call of a user may hold."""
        return [self._lock]

    def renew_locks(self) -> None:
        """In a forked child: whoever held the lock stayed behind in the parent."""
        self._lock = threading.RLock()

    def add(self, registration: Registration) -> None:
        """Register; in `__main__` a function of the same name, event and filter gives way, in
        a later cell of a notebook whatever its filter.

        Raises:
            ConfigurationError: not callable with one positional argument, or a coroutine or
                generator function, or a filter for an event that has neither asset nor market.
        """
        _check_callback(registration)
        with self._lock:
            former = self._by_name.get(registration.name, ())
            kept = tuple(r for r in former if not registration.replaces(r))
            self._by_name = {**self._by_name, registration.name: (*kept, registration)}

    def remove(self, callback: Callback) -> bool:
        """Forget all registrations of callbacks `==` to this one; False when there were none."""
        found = [r for r in self.all() if r.callback == callback]  # `==` may be the user's own
        with self._lock:
            self._by_name = {
                name: tuple(r for r in registrations if r not in found)
                for name, registrations in self._by_name.items()
            }
        return bool(found)

    def for_event(self, event: Event) -> tuple[Registration, ...]:
        """Those that an event of this kind concerns, before their filters."""
        named = self._by_name.get(event.event_type, ())
        every = self._by_name.get("event", ())
        return named + every if every and event.is_data else named

    def all(self) -> tuple[Registration, ...]:
        return tuple(itertools.chain.from_iterable(self._by_name.values()))

    def names(self) -> frozenset[str]:
        """The events that something is registered for."""
        return frozenset(name for name, registrations in self._by_name.items() if registrations)


def _in_this_context(callback: Callback) -> Callback:
    """Call it with copies of the present context: two threads cannot be in one."""
    from contextvars import copy_context  # in a notebook it is loaded already

    context = copy_context()
    return lambda argument: context.copy().run(callback, argument)


def _check_callback(registration: Registration) -> None:
    callback, on = registration.callback, f"on_{registration.name}"
    if not callable(callback):
        raise ConfigurationError(f"{on} takes a function, not {type(callback).__name__}")
    inner = _unwrapped(callback)
    if _is_any(inner, inspect.iscoroutinefunction) or _is_any(inner, inspect.isasyncgenfunction):
        raise ConfigurationError(
            f"{on}: {callback_name(callback)} is an async function; callbacks are plain functions "
            "that run on the subscriber's own thread"
        )
    if _is_any(inner, inspect.isgeneratorfunction):
        raise ConfigurationError(
            f"{on}: {callback_name(callback)} is a generator function; calling it would do nothing"
        )
    if not _takes_one_argument(callback):
        raise ConfigurationError(
            f"{on}: {callback_name(callback)} must be callable with exactly one positional argument"
        )
    filtered = registration.asset_ids is not None or registration.markets is not None
    if filtered and not can_be_filtered(registration.name):
        raise ConfigurationError(f"{on} has no asset and no market to filter by")


def can_be_filtered(name: str) -> bool:
    """Whether what is called with has a market or an asset: an event's class says so."""
    kind = EVENTS.get(name)
    if kind is None:  # on_error has errors; on_book_update and on_event have all sorts
        return name != "error"
    return any(one.name in _FILTERED_BY for one in fields(kind))


def _unwrapped(callback: Callback) -> object:
    while isinstance(callback, functools.partial):
        callback = callback.func
    return callback


def _is_any(callback: object, predicate: Callable[[object], bool]) -> bool:
    return predicate(callback) or predicate(type(callback).__call__)


def _takes_one_argument(callback: Callback) -> bool:
    try:
        # A decorator that adds arguments shows its inner function's: what counts is the wrapper's.
        inspect.signature(callback, follow_wrapped=False).bind(object())
    except TypeError:
        return False
    except ValueError:  # some builtins have no signature: the call itself will tell
        return True
    return True


def _redefinable_name(callback: Callback) -> str | None:
    """The name of a function of `__main__`; methods of two objects share theirs, and both count."""
    if inspect.ismethod(callback):
        return None
    name = getattr(callback, "__qualname__", "<lambda>")
    if getattr(callback, "__module__", None) != "__main__" or "<" in name:
        return None
    return str(name)

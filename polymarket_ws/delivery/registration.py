"""The on_... members of a Subscriber: one signature, with the type of what a callback receives."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar, overload

from polymarket_ws.subscriptions import (
    AssetId,
    AssetIds,
    check_filter_assets,
    check_filter_markets,
)

from .callbacks import Registration, can_be_filtered

T = TypeVar("T")
R = TypeVar("R")


class Registry(Protocol):
    """Who has on_... members: a Subscriber."""

    def _register(self, registration: Registration) -> None: ...


class Registrar(Generic[T]):
    """Registers callbacks for one kind of event: `sub.on_x`. Any thread, any time.

        sub.on_book(store)                        # a function
        @sub.on_book                              # a decorator
        @sub.on_book(asset_id=YES)                # with a filter, one id or several
        sub.on_book(partial(f, 1), market=M)      # both

    A callback takes one positional argument and runs on the subscriber's callback thread, one at a
    time. Several may be registered; they are called in that order. In a notebook or script, a
    function of the same name with the same filter replaces the former one; one that a later cell
    of a notebook defines does so with any filter.

    Raises:
        ConfigurationError: an async or generator function, one that cannot be called with one
            argument, or wrong ids.
    """

    def __init__(self, registry: Registry, name: str, doc: str | None = None) -> None:
        self._registry = registry
        self._name = name
        if doc is not None:
            self.__doc__ = doc

    @overload
    def __call__(
        self,
        callback: Callable[[T], R],
        /,
        *,
        asset_id: AssetId | AssetIds | None = None,
        market: str | Iterable[str] | None = None,
    ) -> Callable[[T], R]: ...

    @overload
    def __call__(
        self,
        callback: None = None,
        /,
        *,
        asset_id: AssetId | AssetIds | None = None,
        market: str | Iterable[str] | None = None,
    ) -> Callable[[Callable[[T], R]], Callable[[T], R]]: ...

    def __call__(
        self,
        callback: Callable[[T], R] | None = None,
        /,
        *,
        asset_id: AssetId | AssetIds | None = None,
        market: str | Iterable[str] | None = None,
    ) -> Callable[[T], R] | Callable[[Callable[[T], R]], Callable[[T], R]]:
        return self._registered(callback, asset_id, market, top_only=False)

    def __repr__(self) -> str:
        return f"<on_{self._name} of {self._registry!r}>"

    def _registered(
        self,
        callback: Callable[[T], R] | None,
        asset_id: AssetId | AssetIds | None,
        market: str | Iterable[str] | None,
        top_only: bool,
    ) -> Callable[[T], R] | Callable[[Callable[[T], R]], Callable[[T], R]]:
        from polymarket_ws.notebook.cell import running_cell

        asset_ids, markets = check_filter_assets(asset_id), check_filter_markets(market)

        def register(callback: Callable[[T], R]) -> Callable[[T], R]:
            registration = Registration(
                self._name, callback, asset_ids, markets, top_only, cell=running_cell()
            )
            self._registry._register(registration)
            return callback

        return register if callback is None else register(callback)


class BookUpdateRegistrar(Registrar[T]):
    """Registers callbacks for book updates: `sub.on_book_update`, with `top_only` besides.

    With `top_only=True` a callback is called only when the best prices or sizes or the validity
    differ from those of its last call for that book.
    """

    @overload
    def __call__(
        self,
        callback: Callable[[T], R],
        /,
        *,
        asset_id: AssetId | AssetIds | None = None,
        market: str | Iterable[str] | None = None,
        top_only: bool = False,
    ) -> Callable[[T], R]: ...

    @overload
    def __call__(
        self,
        callback: None = None,
        /,
        *,
        asset_id: AssetId | AssetIds | None = None,
        market: str | Iterable[str] | None = None,
        top_only: bool = False,
    ) -> Callable[[Callable[[T], R]], Callable[[T], R]]: ...

    def __call__(
        self,
        callback: Callable[[T], R] | None = None,
        /,
        *,
        asset_id: AssetId | AssetIds | None = None,
        market: str | Iterable[str] | None = None,
        top_only: bool = False,
    ) -> Callable[[T], R] | Callable[[Callable[[T], R]], Callable[[T], R]]:
        return self._registered(callback, asset_id, market, top_only)


class On(Generic[T]):
    """Declares an on_... member: a Registrar for the instance it is read from.

    Args:
        doc: What a callback receives: what help() shows of the member, after its signature.
    """

    _arguments = ("callback=None", "/")
    _filters: tuple[str, ...] = ("*", "asset_id=None", "market=None")

    def __init__(self, doc: str) -> None:
        self._text = inspect.cleandoc(doc)

    def __set_name__(self, owner: type, name: str) -> None:
        self.__name__ = self.__qualname__ = name
        is_filtered = can_be_filtered(name.removeprefix("on_"))
        signature = ", ".join(self._arguments + (self._filters if is_filtered else ()))
        how = _HOW.replace("on_book", name).splitlines()
        shown = [line for line in how if is_filtered or not line.endswith(_OF_FILTERS)]
        self.__doc__ = "\n".join([f"{name}({signature})", "", self._text, "", *shown])

    @overload
    def __get__(self, instance: None, owner: type) -> On[T]: ...

    @overload
    def __get__(self, instance: Registry, owner: type) -> Registrar[T]: ...

    def __get__(self, instance: Registry | None, owner: type) -> On[T] | Registrar[T]:
        if instance is None:
            return self
        return Registrar(instance, self.__name__.removeprefix("on_"), self.__doc__)


class OnBookUpdate(On[T]):
    """Declares `on_book_update`, which takes `top_only` besides."""

    _filters = (*On._filters, "top_only=False")

    @overload
    def __get__(self, instance: None, owner: type) -> OnBookUpdate[T]: ...

    @overload
    def __get__(self, instance: Registry, owner: type) -> BookUpdateRegistrar[T]: ...

    def __get__(
        self, instance: Registry | None, owner: type
    ) -> OnBookUpdate[T] | BookUpdateRegistrar[T]:
        if instance is None:
            return self
        return BookUpdateRegistrar(instance, self.__name__.removeprefix("on_"), self.__doc__)


_HOW = inspect.cleandoc(Registrar.__doc__ or "").partition("\n\n")[2]
"""How callbacks are registered: the same for all."""
_OF_FILTERS = ("# with a filter, one id or several", "# both")
"""How the lines of it end that an event without asset and market does not have."""

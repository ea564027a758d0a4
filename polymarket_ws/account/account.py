"""The handle on one's own account that users hold: `Subscriber.account`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from polymarket_ws.condition_ids import condition_key
from polymarket_ws.errors import ConfigurationError, OrderEnded
from polymarket_ws.events import Fill, Order, Trade
from polymarket_ws.live_mapping import LiveMapping

from .core import AccountCore
from .filling import Filling, failed_size
from .positions import Position


class Wait(Protocol):
    """Waits for what the Subscriber's threads bring about, as its own members do."""

    def __call__(
        self, member: str, is_done: Callable[[], bool], what: Callable[[], str], timeout: float
    ) -> None:
        """Return once `is_done()` holds.

        Args:
            member: Who waits, for the error of a call in a callback.
            is_done: Called on this thread, often.
            what: What has not come, for the sentence of a TimeoutError.
            timeout: In seconds.

        Raises:
            TimeoutError: the time has passed, or the run was stopped.
            PolymarketWsError: the fatal error.
            RuntimeError: called in a callback, or nothing is started.
        """


class Account:
    """One's own orders, trades, fills and positions, as far as they are known: `sub.account`.

    Made by a Subscriber, which has one for its life; it shows the present run. Any thread may use
    it. Without credentials it is empty.

        with Subscriber(credentials=Credentials.from_env()) as sub:
            sub.wait_ready()
            print(sub.account.open_orders())
            (order,) = sub.account.wait_filled(order_id, timeout=30)
    """

    def __init__(
        self, core: Callable[[], AccountCore], wait: Wait, confirm: Callable[[], bool]
    ) -> None:
        self._core = core
        self._confirm = confirm
        self._wait = wait
        self._orders = LiveMapping(lambda: core().orders, "no order {} was told in this run")
        self._trades = LiveMapping(lambda: core().trades, "no trade {} was told in this run")
        self._positions = _Positions(core)

    @property
    def complete(self) -> bool:
        """Whether nothing since the start, or since the last reconciliation, may be missing."""
        return self._core().complete

    def confirm(self) -> bool:
        """Say that the views were compared with the truth by other means than ours, which need
        REST: `complete` is True from here on, until the channel is closed or something is lost.

        Returns:
            False when there is nothing to confirm: the channel is not open now.
        """
        return self._confirm()

    @property
    def orders(self) -> Mapping[str, Order]:
        """The latest of each by id: the open ones, and at least the last 10 000 of all."""
        return self._orders

    @property
    def trades(self) -> Mapping[str, Trade]:
        """The latest of each by id: those that are not final, and at least the last 10 000."""
        return self._trades

    @property
    def positions(self) -> Mapping[str, Position]:
        """What is held of each asset that a fill, or the data API, has named."""
        return self._positions

    def open_orders(
        self, *, market: str | None = None, asset_id: str | None = None
    ) -> tuple[Order, ...]:
        """The orders that can still be matched.

        Args:
            market: Of this condition id alone.
            asset_id: Of this asset alone.
        """
        orders = self._core().open_orders()
        return tuple(order for order in orders if _is_of(order, market, asset_id))

    def fills(
        self,
        *,
        order_id: str | None = None,
        market: str | None = None,
        asset_id: str | None = None,
    ) -> tuple[Fill, ...]:
        """One's own parts in trades, oldest first: one for each order in a trade, with the trade's
        latest status. Those that FAILED are listed too, and count for nothing.

        Args:
            order_id: Of this order alone.
            market: Of this condition id alone.
            asset_id: Of this asset alone.
        """
        fills = self._core().fills(order_id, asset_id)
        return tuple(fill for fill in fills if _is_of(fill, market, asset_id))

    def position(self, asset_id: str) -> Position:
        """What is held of an asset; of size 0 where nothing is known of it."""
        return self._core().position(asset_id)

    def wait_filled(
        self, order_ids: str | Iterable[str], *, timeout: float, any: bool = False
    ) -> tuple[Order, ...]:
        """Wait until these orders are filled; return at once when they are already.

        An order is filled when all of it was matched, as it says itself or as its fills say; what a
        FAILED trade gave does not count. An id that is not known is waited for: the answer to the
        request that placed an order may be faster than the channel.

        Args:
            order_ids: One id or several.
            timeout: In seconds.
            any: Wait for one of them.

        Returns:
            The filled orders, in the order of `order_ids`, with what their fills have matched.

        Raises:
            OrderEnded: one was cancelled, has expired or failed, so it will not be filled; with
                `any`, when none is left that could be.
            TimeoutError: names those that are not filled.
            PolymarketWsError: the fatal error that ended the run.
            ConfigurationError: `order_ids` are no ids, or `timeout` is no number, below 0, or NaN.
            RuntimeError: not started, or called in a callback.
        """
        ids = _check_ids(order_ids)
        seen: dict[str, tuple[Filling, Order | None]] = {}

        def found(state: Filling) -> list[Order]:
            return [order for filling, order in seen.values() if filling is state and order]

        def is_done() -> bool:
            core = self._core()
            seen.update((order_id, core.filling(order_id)) for order_id in ids)
            filled, ended = len(found(Filling.FILLED)), len(found(Filling.ENDED))
            if filled + ended == len(ids):
                return True
            return filled > 0 if any else ended > 0

        def what() -> str:
            waiting = [order_id for order_id in ids if seen[order_id][0] is not Filling.FILLED]
            return f"not filled: {', '.join(waiting)}"

        self._wait("wait_filled", is_done, what, timeout)
        filled, ended = found(Filling.FILLED), found(Filling.ENDED)
        if ended and not (any and filled):
            fills = self._core().fills(ended[0].id)
            raise OrderEnded(ended[0], failed_size(fills))
        return tuple(self._core().with_fills(order) for order in filled)

    def __repr__(self) -> str:
        core = self._core()
        return (
            f"<Account {len(core.open_orders())} open orders, {len(core.trades)} trades, "
            f"{len(core.ledgers)} positions, {'' if core.complete else 'not '}complete>"
        )


class _Positions(Mapping[str, Position]):
    """The positions of now. Iterating goes over a copy."""

    def __init__(self, core: Callable[[], AccountCore]) -> None:
        self._core = core

    def __getitem__(self, asset_id: str) -> Position:
        core = self._core()
        if asset_id not in core.ledgers:
            raise KeyError(f"nothing is known of a position in {asset_id}")
        return core.position(asset_id)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._core().ledgers))

    def __len__(self) -> int:
        return len(self._core().ledgers)

    def __repr__(self) -> str:
        return repr({asset_id: self._core().position(asset_id) for asset_id in self})


def _is_of(event: Order | Fill, market: str | None, asset_id: str | None) -> bool:
    if market is not None and condition_key(event.market or "") != condition_key(market):
        return False
    return asset_id is None or event.asset_id == asset_id


def _check_ids(order_ids: str | Iterable[str]) -> list[str]:
    ids = [order_ids] if isinstance(order_ids, str) else list(order_ids)
    for id_ in ids:
        if not isinstance(id_, str):
            raise ConfigurationError(f"order_ids holds a {type(id_).__name__}: pass ids of orders")
    return list(dict.fromkeys(ids))

"""The order book as users see it: a stable handle on whichever core is fed at the moment."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from attrs import frozen

from polymarket_ws.events import Book, Level
from polymarket_ws.wire.prices import level_of, price_of

from .book import UNSUBSCRIBED, BookCore


@frozen
class Top:
    """The best of both sides of one book at one moment."""

    bid: Level | None
    """Best bid; None when there is none."""
    ask: Level | None
    """Best ask; None when there is none."""
    timestamp_ms: int
    """The server's time of the last change, in ms since 1970; 0 before the first snapshot."""
    valid: bool
    """True while the book is live: fed by an open connection, with its snapshot received."""
    integrity: str
    """"verified", "unverified" or "mismatch": see `LiveBook.integrity`."""


class LiveBook:
    """One asset's order book, kept up to date by a Subscriber's own threads.

    A Subscriber makes one for each subscribed asset and hands out the same object until the asset
    is unsubscribed, over reconnects and restarts. Every member may be used from any thread at any
    time. Prices and sizes are Decimal.

        book = sub.books[asset_id]
        top = book.top                      # one consistent view of both sides
        if top.valid and top.bid:
            print(top.bid.price, top.bid.size)
    """

    __slots__ = ("_clock", "_core", "_is_unsubscribed")

    def __init__(self, core: BookCore, clock: Callable[[], float]) -> None:
        self._core = core
        self._clock = clock
        # Kept here, and not in the core: only the I/O thread writes that, and may be at it now.
        self._is_unsubscribed = False

    def _shows(self, core: BookCore) -> bool:
        """Whether this is the handle of that core."""
        return self._core is core

    def _show(self, core: BookCore) -> None:
        """Show another run's core from now on."""
        self._core = core

    def _leave(self) -> None:
        """Be stale for good: the asset is not subscribed any more."""
        self._is_unsubscribed = True

    @property
    def asset_id(self) -> str:
        """Token id."""
        return self._core.asset_id

    @property
    def market(self) -> str:
        """Condition id; "" before the first snapshot."""
        return self._core.market

    @property
    def top(self) -> Top:
        """Best bid and ask with their validity, in one atomic read."""
        shown = self._core.published
        return Top(
            shown.bid and level_of(shown.bid),
            shown.ask and level_of(shown.ask),
            shown.timestamp_ms,
            self._stale_reason(shown.stale_reason) is None,
            shown.integrity,
        )

    @property
    def best_bid(self) -> Decimal | None:
        """The highest price bid; None when there is none."""
        bid = self._core.published.bid
        return price_of(bid[0]) if bid else None

    @property
    def best_ask(self) -> Decimal | None:
        """The lowest price asked; None when there is none."""
        ask = self._core.published.ask
        return price_of(ask[0]) if ask else None

    @property
    def mid(self) -> Decimal | None:
        """Halfway between the best prices; None when a side is empty."""
        bid, ask = self._best_prices()
        return (bid + ask) / 2 if bid is not None and ask is not None else None

    @property
    def spread(self) -> Decimal | None:
        """Best ask less best bid; None when a side is empty."""
        bid, ask = self._best_prices()
        return ask - bid if bid is not None and ask is not None else None

    def _best_prices(self) -> tuple[Decimal | None, Decimal | None]:
        shown = self._core.published
        return (
            price_of(shown.bid[0]) if shown.bid else None,
            price_of(shown.ask[0]) if shown.ask else None,
        )

    def snapshot(self, depth: int | None = None) -> Book:
        """A consistent copy of both sides.

        Args:
            depth: Levels of each side, from 1; None is all.

        Raises:
            ValueError: `depth` is less than 1.
        """
        if depth is not None and depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth}")
        return self._core.levels(depth)

    @property
    def tick_size(self) -> Decimal | None:
        """The smallest price step; None before a snapshot told it."""
        return self._core.tick_size

    @property
    def last_trade_price(self) -> Decimal | None:
        """The market's last trade price, the same on both tokens; None before the first trade."""
        return self._core.last_trade_price

    @property
    def age(self) -> float | None:
        """Seconds since anything for this book arrived; None before. Quiet books grow old."""
        received_at = self._core.received_at
        return None if received_at is None else max(0.0, self._clock() - received_at)

    @property
    def valid(self) -> bool:
        """True while the book is live: fed by an open connection, with its snapshot received."""
        return self.stale_reason is None

    @property
    def integrity(self) -> str:
        """Whether the book is proved right: "verified", "unverified" or "mismatch".

        "verified": the last check of a hash over the whole book fitted. "unverified": no check was
        possible yet, or is asked for. "mismatch": the best prices are not those that the server
        last told, or the last hash did not fit. More may come.
        """
        return self._core.published.integrity

    @property
    def stale_reason(self) -> str | None:
        """Why the book is not valid; None when it is.

        "no_snapshot" (none received yet), "disconnect", "decode_error" (a change was not
        understood), "unsubscribed", "unwanted", "stopped", "failed" or "forked" (it is fed in the
        parent process alone). More may come.
        """
        return self._stale_reason(self._core.published.stale_reason)

    def _stale_reason(self, of_core: str | None) -> str | None:
        return UNSUBSCRIBED if self._is_unsubscribed else of_core

    def __repr__(self) -> str:
        shown, asset_id = self._core.published, self.asset_id
        short = asset_id if len(asset_id) <= 16 else f"{asset_id[:8]}…{asset_id[-4:]}"
        bid = "x".join(shown.bid) if shown.bid else "-"
        ask = "x".join(shown.ask) if shown.ask else "-"
        return f"<LiveBook {short} {bid} / {ask} {self.stale_reason or 'live'}>"

"""The order book as users see it: a stable handle on whichever core is fed at the moment."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

from attrs import evolve, frozen

from polymarket_ws.asset import Asset, label_of
from polymarket_ws.clock import SYSTEM, Clock
from polymarket_ws.events import Book, LastTradePrice, Level, Side, plain
from polymarket_ws.wire.prices import level_of, price_of

from .book import UNSUBSCRIBED, BookCore

_ZERO = Decimal(0)


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

    __slots__ = ("_clock", "_continuous", "_core", "_is_unsubscribed")

    def __init__(self, core: BookCore, clock: Clock = SYSTEM) -> None:
        self._core = core
        self._clock = clock
        # Monotonic seconds, and the same moment by the wall clock when it was first asked for.
        self._continuous: tuple[float, datetime] | None = None
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
    def asset(self) -> Asset | None:
        """The Asset that it was subscribed as; None if it was a plain id."""
        return self._core.asset

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
    def bids(self) -> tuple[Level, ...]:
        """All bids, highest price first. For both sides of one moment use `snapshot`."""
        return self._core.levels(None).bids

    @property
    def asks(self) -> tuple[Level, ...]:
        """All asks, lowest price first."""
        return self._core.levels(None).asks

    def depth(self, side: Side | str, price: Decimal | str | int) -> Decimal:
        """Shares that can be bought ("BUY") at `price` or less, or sold ("SELL") at it or more.

        Args:
            side: What one would do: "BUY" takes asks, "SELL" takes bids.
            price: From 0 to 1, in USDC a share; no float.

        Raises:
            ValueError: `side` is neither, or `price` is no number.
            TypeError: `price` is a float.
        """
        limit, is_buy = _number("price", price), _is_buy(side)
        levels = self.asks if is_buy else self.bids
        within = (level.price <= limit if is_buy else level.price >= limit for level in levels)
        return sum((level.size for level, fits in zip(levels, within, strict=True) if fits), _ZERO)

    def vwap(self, side: Side | str, size: Decimal | str | int) -> Decimal | None:
        """The average price of buying ("BUY") or selling ("SELL") so many shares at once.

        Of the book as it stands, without fees; None when it has fewer.

        Args:
            side: What one would do: "BUY" takes asks, "SELL" takes bids.
            size: In shares, more than 0; no float.

        Raises:
            ValueError: `side` is neither, or `size` is no number above 0.
            TypeError: `size` is a float.
        """
        wanted = _number("size", size)
        if wanted <= 0:
            raise ValueError(f"size must be more than 0, not {size}")
        left, cost = wanted, _ZERO
        for level in self.asks if _is_buy(side) else self.bids:
            taken = min(left, level.size)
            cost += taken * level.price
            left -= taken
            if not left:
                return cost / wanted
        return None

    def to_dict(self) -> dict[str, Any]:
        """What it shows now, as JSON has it: numbers as strings, levels best first, None for
        nothing.
        """
        book, since = self.snapshot(), self.continuous_since
        return {
            "asset_id": book.asset_id,
            "market": book.market,
            "timestamp_ms": book.timestamp_ms,
            "valid": self.valid,
            "stale_reason": self.stale_reason,
            "integrity": self.integrity,
            "bids": [[plain(price), plain(size)] for price, size in book.bids],
            "asks": [[plain(price), plain(size)] for price, size in book.asks],
            "tick_size": None if book.tick_size is None else plain(book.tick_size),
            "last_trade_price": (
                None if book.last_trade_price is None else plain(book.last_trade_price)
            ),
            "continuous_since": None if since is None else since.isoformat(),
        }

    @property
    def tick_size(self) -> Decimal | None:
        """The smallest price step; None before a snapshot told it."""
        return self._core.tick_size

    @property
    def last_trade_price(self) -> Decimal | None:
        """The market's last trade price as the wire has it; None before the first trade.

        It is of whichever token was traded: on the other one it is no price of this book. See
        `last_trade`.
        """
        return self._core.last_trade_price

    @property
    def last_trade(self) -> LastTradePrice | None:
        """The newest trade of the market that came while it was followed, in this token's own
        terms; None before one.

        A trade of the complement token is the same trade of this one: the price is 1 less its, and
        who bought the one sold the other.
        """
        trade = self._core.last_trade
        if trade is None or trade.asset_id == self.asset_id:
            return trade
        side = None if trade.side is None else Side.SELL if trade.side is Side.BUY else Side.BUY
        return evolve(trade, asset_id=self.asset_id, price=1 - trade.price, side=side)

    @property
    def continuous_since(self) -> datetime | None:
        """The time, aware and in UTC, since when no change of this book was missed, healed or not;
        None while it is not valid.

        It begins anew with each snapshot that ends a gap, also of a book that was proved wrong. A
        fill or a signal whose window reaches back beyond it overlaps an interruption. Events that a
        callback missed, since its queue was full, are told by a Gap and do not count here.
        """
        since = self._core.continuous_from
        if since is None or not self.valid:
            return None
        known = self._continuous
        if known is None or known[0] != since:
            age_ns = (self._clock.monotonic() - since) * 1e9
            seconds = (self._clock.wall_ns() - age_ns) / 1e9
            self._continuous = known = since, datetime.fromtimestamp(seconds, timezone.utc)
        return known[1]

    @property
    def age(self) -> float | None:
        """Seconds since anything for this book arrived; None before. Quiet books grow old."""
        received_at = self._core.received_at
        return None if received_at is None else max(0.0, self._clock.monotonic() - received_at)

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

    def show(self, *, depth: int = 8, seconds: float | None = None) -> None:
        """In a notebook: show it as a depth ladder that is updated in place, until the cell is
        interrupted.

        It is updated at most four times a second, on the calling thread, which it keeps busy. It
        also ends when the subscriber is stopped. The book as it was at the end stays in the
        notebook. With the extra `[notebook]` the browser replaces less.

        Args:
            depth: Levels of each side, from 1.
            seconds: After which it ends by itself; None is no limit.

        Raises:
            RuntimeError: outside of a notebook, or in a callback.
            ValueError: `depth` is less than 1.
        """
        from polymarket_ws.notebook.book_view import show_book

        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth}")
        show_book(self, depth, seconds)

    def _repr_html_(self) -> str:
        from polymarket_ws.notebook.book_view import live_book_html

        return live_book_html(self)

    def __repr__(self) -> str:
        shown, asset_id = self._core.published, self.asset_id
        short = asset_id if len(asset_id) <= 16 else f"{asset_id[:8]}…{asset_id[-4:]}"
        if self.asset is not None:
            short = repr(label_of(self.asset))
        bid = "x".join(shown.bid) if shown.bid else "-"
        ask = "x".join(shown.ask) if shown.ask else "-"
        return f"<LiveBook {short} {bid} / {ask} {self.stale_reason or 'live'}>"


def _is_buy(side: Side | str) -> bool:
    if side not in ("BUY", "SELL"):
        raise ValueError(f'side must be "BUY" or "SELL", not {side!r}')
    return side == "BUY"


def _number(name: str, value: Decimal | str | int) -> Decimal:
    if isinstance(value, float):
        raise TypeError(f"{name} must be a Decimal, a str or an int: a float has lost digits")
    try:
        return Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        raise ValueError(f"{name} must be a number, not {value!r}") from None

"""The on_... members of a Subscriber: one for each event, with what its callbacks receive."""

from __future__ import annotations

from polymarket_ws.books.live_book import LiveBook
from polymarket_ws.errors import PolymarketWsError
from polymarket_ws.events import (
    BestBidAsk,
    Book,
    Connected,
    Disconnected,
    Event,
    Fill,
    Frame,
    Gap,
    LastTradePrice,
    MarketResolved,
    NewMarket,
    Order,
    PriceChange,
    Resync,
    TickSizeChange,
    Trade,
    Unknown,
)

from .callbacks import Registration
from .registration import On, OnBookUpdate


class Registrars:
    """What a Subscriber calls back with. Its base, so that an event is added in one place."""

    on_book_update = OnBookUpdate[LiveBook](
        """A callback receives a `LiveBook`, whenever anything in it changed: levels, prices or
        validity; with `top_only=True` only when the best prices, their sizes or the validity
        differ from those of its last call for that book. Conflated: what happens to a book while a
        callback is busy becomes one call."""
    )
    on_book = On[Book](
        """A callback receives a `Book`: a full snapshot, best levels first. It comes on
        subscribing, and after each trade for both assets of the market."""
    )
    on_price_change = On[PriceChange](
        """A callback receives a `PriceChange`: new total sizes of levels, at once and whole if any
        entry matches the filter, so it may name the unsubscribed complement token. Several of one
        market with equal time and hashes are one step of the engine (docs/books.md)."""
    )
    on_last_trade_price = On[LastTradePrice](
        """A callback receives a `LastTradePrice`: a public trade, of the taker's asset and side."""
    )
    on_tick_size_change = On[TickSizeChange](
        """A callback receives a `TickSizeChange`: an asset's old and new price step."""
    )
    on_best_bid_ask = On[BestBidAsk](
        """A callback receives a `BestBidAsk`: an asset's best prices as the server tells them. Not
        every change of them is told; `on_book_update` misses none."""
    )
    on_new_market = On[NewMarket](
        """A callback receives a `NewMarket`: a broadcast for every new market."""
    )
    on_market_resolved = On[MarketResolved](
        """A callback receives a `MarketResolved`: a broadcast for every market that was decided. It
        is often late, and may be missing."""
    )
    on_order = On[Order](
        """A callback receives an `Order`: one's own, after each change. Needs credentials."""
    )
    on_trade = On[Trade](
        """A callback receives a `Trade`: one's own, once for each status. Needs credentials."""
    )
    on_fill = On[Fill](
        """A callback receives a `Fill`: one's own part in a trade, once for each status of the
        trade, right after it. Needs credentials."""
    )
    on_connect = On[Connected]("""A callback receives a `Connected`: a connection is open.""")
    on_disconnect = On[Disconnected](
        """A callback receives a `Disconnected`: a connection ended or could not be made, why, and
        when the next attempt comes."""
    )
    on_gap = On[Gap](
        """A callback receives a `Gap`: something was missed, of which books or of one's own orders
        and trades, and why. It ends with a `Resync`."""
    )
    on_resync = On[Resync]("""A callback receives a `Resync`: the end of a gap, with its books.""")
    on_unknown = On[Unknown](
        """A callback receives an `Unknown`: an event of a type that this version does not know, as
        the wire had it."""
    )
    on_error = On[PolymarketWsError](
        """A callback receives a `PolymarketWsError`: what was not understood (`DecodeError`),
        a callback that raised (`CallbackError`), an exception that this package did not foresee,
        or the fatal error."""
    )
    on_event = On[Event]("""A callback receives every data event, of either channel, in order.""")
    on_frame = On[Frame](
        """A callback receives a `Frame`: the raw text of a data message, before it is decoded."""
    )

    def _register(self, registration: Registration) -> None:
        """Add one to what is called back; the Subscriber does."""
        raise NotImplementedError

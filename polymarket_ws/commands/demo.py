"""`polymarket-ws demo`: a simulated exchange, live books, own orders, and one cut of all that."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import textwrap
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

from attrs import define, field

from polymarket_ws.asset import Asset, label_of
from polymarket_ws.books.live_book import LiveBook
from polymarket_ws.credentials import Credentials
from polymarket_ws.delivery.streams import EventStream
from polymarket_ws.events import (
    Connected,
    Disconnected,
    Event,
    Fill,
    LastTradePrice,
    Order,
    Resync,
)
from polymarket_ws.rest.gamma import read_market
from polymarket_ws.subscriber import Subscriber
from polymarket_ws.testing import FakeServer, SimulatedExchange

from . import interrupts
from .event_lines import level_text, order_text, short, trade_text
from .outage import Outage, Stage
from .screen import Line, Screen, is_terminal
from .table import table

STEPS_PER_SECOND = 40.0
REDRAW_SECONDS = 0.1
TELL_SECONDS = 1.0  # between two lines about the books where there is no table
STALENESS_SECONDS = 0.2  # that its REST service may lag, which it does not
GRACE_SECONDS = 10.0  # past the end, for a recovery that a busy machine delays
TRADES_SHOWN, ORDERS_SHOWN, HAPPENINGS_SHOWN = 5, 4, 6
TRADE_LABEL_CHARS = 30
_NEEDS_REST = "pip install 'polymarket-ws[rest]'"


@define(eq=False)
class Demo:
    """One run of the demo, on the caller's thread.

    It pulls events with `Subscriber.events` and reads `Subscriber.books`, both made for any thread.
    """

    seconds: float
    _exchange: SimulatedExchange = field(
        factory=lambda: SimulatedExchange(start_ms=time.time_ns() // 1_000_000)
    )
    _server: FakeServer = field(init=False)
    _outage: Outage = field(init=False)
    _asks_rest: bool = field(init=False)
    """Whether the extra [rest] is installed."""
    _assets: dict[str, Asset] = field(init=False)
    """By their ids, in the order of their markets."""
    _asked_to_end: bool = False
    _begun_at: float = 0.0
    _cut_reason: str = ""
    _stale: int = 0
    _reconnected: Connected | None = None
    _live_again: bool = False
    _complete_again: bool = False
    _told_by_rest: int = 0
    """Orders and fills of the outage."""
    _orders: deque[str] = field(factory=lambda: deque(maxlen=ORDERS_SHOWN))
    _trades: deque[str] = field(factory=lambda: deque(maxlen=TRADES_SHOWN))
    _happenings: deque[Line] = field(factory=lambda: deque(maxlen=HAPPENINGS_SHOWN))
    _tell: Callable[[str], None] = lambda text: None

    def __attrs_post_init__(self) -> None:
        self._server = FakeServer(self._exchange)
        self._outage = Outage(self._server, self.seconds)
        self._asks_rest = importlib.util.find_spec("urllib3") is not None
        markets = map(read_market, self._exchange.gamma_markets())
        self._assets = {asset.asset_id: asset for assets in markets for asset in assets}

    def run(self) -> None:
        """Show it until its seconds have passed or Ctrl-C, then sum it up."""
        with interrupts.handled(self._ask_to_end), self._server:
            subscriber = self._make_subscriber()
            kinds = (LastTradePrice, Order, Fill, Connected, Disconnected, Resync)
            with subscriber.events(*kinds) as events, subscriber:
                self._server.run(STEPS_PER_SECOND)
                self._begun_at = time.monotonic()
                self._show(subscriber, events)
                summary = self._summary(subscriber)
        columns = max(20, min(100, shutil.get_terminal_size().columns - 1))
        _print(f"\n{textwrap.fill(summary, columns)}")

    def _ask_to_end(self) -> None:
        self._asked_to_end = True

    def _make_subscriber(self) -> Subscriber:
        # This server lets anyone in; one's own events are those of the exchange's key.
        exchange = self._exchange
        credentials = Credentials(exchange.api_key, "demo", "demo", address=exchange.wallet)
        # Its outage is short.
        options = self._server.options(backoff_cap=0.5, rest_staleness=STALENESS_SECONDS)
        return Subscriber(
            self._assets.values(), credentials=credentials, options=options, name="demo"
        )

    def _show(self, subscriber: Subscriber, events: EventStream[Event]) -> None:
        if is_terminal(sys.stdout):
            with Screen(sys.stdout) as screen:
                draw = partial(self._draw, screen, subscriber)
                self._follow(subscriber, events, REDRAW_SECONDS, draw)
        else:
            self._tell = _print
            self._follow(subscriber, events, TELL_SECONDS, partial(self._tell_books, subscriber))

    def _follow(
        self,
        subscriber: Subscriber,
        events: EventStream[Event],
        every: float,
        show: Callable[[], None],
    ) -> None:
        show_at = self._begun_at + REDRAW_SECONDS
        while not self._is_over(now := time.monotonic()):
            self._outage.turn(
                self._elapsed(), subscriber.orders.__contains__, time.time_ns() // 1_000_000
            )
            if now >= show_at:
                show()
                show_at = now + every
            event = events.next_within(REDRAW_SECONDS)
            if event is not None:
                self._take(event, subscriber)
            if self._reconnected and not self._live_again and subscriber.healthy:
                self._live_again = True
                self._note(f"all {len(subscriber.books)} books live again", "good")
        show()

    def _is_over(self, now: float) -> bool:
        left = self._begun_at + self.seconds - now
        is_well = self._live_again and self._complete_again
        return self._asked_to_end or (left <= 0 and (is_well or left <= -GRACE_SECONDS))

    def _take(self, event: Event, subscriber: Subscriber) -> None:
        if isinstance(event, LastTradePrice):
            self._note_trade(event)
        elif isinstance(event, Fill):
            self._count_rest(event)
            self._note_trade(event)
        elif isinstance(event, Order):
            self._count_rest(event)
            self._note_order(event)
        elif isinstance(event, Resync):
            self._take_resync(event)
        elif isinstance(event, Connected):
            self._take_connected(event)
        elif isinstance(event, Disconnected):
            self._take_disconnected(event, subscriber)

    def _take_connected(self, event: Connected) -> None:
        if event.downtime is None:
            self._note(f"{event.channel} channel connected", "good")
            return
        if event.channel == "market":
            self._reconnected = event
        self._note(
            f"{event.channel} channel connected again after {event.downtime:.2f} s "
            f"(attempt {event.attempt})",
            "good",
        )

    def _take_disconnected(self, event: Disconnected, subscriber: Subscriber) -> None:
        retry = f"; next attempt in {event.delay:.2f} s" if event.delay is not None else ""
        if event.attempt:
            if event.channel == "market":  # the other one tries as well
                self._note(f"attempt {event.attempt}: {event.reason}{retry}", "bad")
            return
        if event.channel == "user":
            self._note(f"user connection lost ({event.reason}): your orders may change", "bad")
            return
        self._cut_reason = event.reason
        self._stale = sum(not book.valid for book in subscriber.books.values())
        self._note(
            f"{event.channel} connection lost ({event.reason}): {self._stale} books stale{retry}",
            "bad",
        )

    def _take_resync(self, event: Resync) -> None:
        if event.channel != "user":
            return
        self._complete_again = True
        if self._asks_rest:
            told = f"REST told {self._told_by_rest} changes"
            self._note(f"your orders and trades are complete again: {told}", "good")
        else:
            self._note(f"what your orders did in between is not known: {_NEEDS_REST}", "bad")

    def _count_rest(self, event: Order | Fill) -> None:
        self._told_by_rest += event.source == "rest"

    def _note_order(self, event: Order) -> None:
        self._orders.append(f"{self._label(event.asset_id or '?')}  {order_text(event)}")
        self._tell(f"{self._elapsed():5.1f} s  order  {self._orders[-1]}")

    def _note_trade(self, event: LastTradePrice | Fill) -> None:
        self._trades.append(f"{self._label(event.asset_id or '?')}  {trade_text(event)}")
        self._tell(f"{self._elapsed():5.1f} s  trade  {self._trades[-1]}")

    def _note(self, text: str, tone: str) -> None:
        self._happenings.append(Line(f"{self._elapsed():5.1f} s  {text}", tone))
        self._tell(self._happenings[-1].text)

    def _elapsed(self) -> float:
        return time.monotonic() - self._begun_at

    def _draw(self, screen: Screen, subscriber: Subscriber) -> None:
        columns, height = screen.size
        stats = subscriber.stats()
        left = max(0.0, self.seconds - self._elapsed())
        heading = f"{subscriber.state}  {sum(stats.events.values())} events  {left:.0f} s left"
        books = table(self._books(subscriber), columns)
        spare = max(0, height - len(books) - 4)
        newest = list(self._happenings)[-spare:] if spare else []
        spare -= len(newest)
        orders = _newest(self._orders, min(ORDERS_SHOWN, spare))
        trades = _newest(self._trades, min(TRADES_SHOWN, spare - len(orders)))
        screen.draw(
            [
                Line(heading, "good" if subscriber.healthy else "bad"),
                *books,
                Line("connections", "dim"),
                *newest,
                Line("your orders", "dim"),
                *orders,
                Line("trades", "dim"),
                *trades,
            ]
        )

    def _books(self, subscriber: Subscriber) -> list[LiveBook]:
        """In the order of their markets, the two tokens of one below each other."""
        return [subscriber.books[asset_id] for asset_id in self._assets]

    def _label(self, asset_id: str) -> str:
        """Of one's own trades some may be in a market that opened later."""
        asset = self._assets.get(asset_id)
        text = short(asset_id) if asset is None else label_of(asset, TRADE_LABEL_CHARS)
        return text.ljust(TRADE_LABEL_CHARS)

    def _tell_books(self, subscriber: Subscriber) -> None:
        books = self._books(subscriber)
        live = sum(book.valid for book in books)
        top, label = books[0].top, self._label(books[0].asset_id)
        first = f"{label}  {level_text(top.bid)} / {level_text(top.ask)}"
        self._tell(
            f"{self._elapsed():5.1f} s  books  {live} live, {len(books) - live} stale; {first}"
        )

    def _summary(self, subscriber: Subscriber) -> str:
        stats, kinds = subscriber.stats(), subscriber.stats().events
        named = (
            ("book", "snapshots"),
            ("price_change", "price changes"),
            ("last_trade_price", "trades"),
            ("order", "updates of your own orders"),
            ("trade", "updates of your own trades"),
        )
        counts = ", ".join(f"{kinds.get(kind, 0)} {name}" for kind, name in named)
        return (
            f"In {self._elapsed():.1f} s {sum(kinds.values())} events of a simulated exchange came "
            f"over real sockets on 127.0.0.1, for {len(subscriber.books)} assets: {counts}. "
            f"{self._outage_told()} {self._account_told(subscriber)} "
            f"{stats.decode_errors} messages were not understood, {stats.dropped} events dropped."
        )

    def _outage_told(self) -> str:
        if not self._cut_reason:
            return "It ended before a connection was cut."
        lost = (
            f"The connections were cut once ({self._cut_reason}): "
            f"{self._stale} books were stale at once"
        )
        if self._reconnected is None or not self._live_again:
            return f"{lost}, and it ended before they were live again."
        downtime = self._reconnected.downtime or 0.0
        return (
            f"{lost}; {downtime:.2f} s later, at attempt {self._reconnected.attempt}, it was "
            "connected again and fresh snapshots made them live."
        )

    def _account_told(self, subscriber: Subscriber) -> str:
        if self._outage.stage is not Stage.OVER or not self._complete_again:
            return ""
        if not self._asks_rest:
            return f"What your own orders did meanwhile is not known: {_NEEDS_REST}."
        open_orders = len(subscriber.account.open_orders())
        return (
            "Of your own orders one was cancelled and one filled meanwhile, among others: REST "
            f"told {self._told_by_rest} changes afterwards. {open_orders} are open now."
        )


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _newest(texts: Iterable[str], rows: int) -> list[Line]:
    """The last ones in exactly so many rows, so that what is below does not jump."""
    lines = [Line(text) for text in texts][-rows:] if rows else []
    return lines + [Line("")] * (rows - len(lines))

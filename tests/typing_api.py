"""The public surface as its users type it: checked by mypy --strict and pyright, never run.

A line with `type: ignore` is a mistake to be found: mypy fails on a needless one.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from polymarket_ws import (
    Account,
    BestBidAsk,
    Book,
    Connected,
    Credentials,
    Disconnected,
    Event,
    Fill,
    Frame,
    Gap,
    LastTradePrice,
    Level,
    LevelChange,
    LiveBook,
    MakerOrder,
    MarketResolved,
    NewMarket,
    Options,
    Order,
    PolymarketWsError,
    Position,
    PriceChange,
    Resync,
    Side,
    State,
    Subscriber,
    TickSizeChange,
    Top,
    Trade,
    Unknown,
    __version__,
    running,
)
from polymarket_ws.contrib.django import start_in_worker, subscriber
from polymarket_ws.errors import (
    AuthenticationError,
    CallbackError,
    ConfigurationError,
    ConnectionLost,
    DecodeError,
    HandshakeRejected,
    LookupFailed,
    ProtocolError,
)
from polymarket_ws.lookup import GAMMA_URL, Asset, find_assets
from polymarket_ws.testing import (
    FakeServer,
    SimulatedExchange,
    make_book,
    make_order,
    make_price_change,
    make_trade,
)

if TYPE_CHECKING:
    from typing_extensions import assert_type

YES, NO = "1", "2"
MARKET = "0x" + "a" * 64


def construct(ids: Iterable[str], numbers: set[int], context: ssl.SSLContext) -> Subscriber:
    """Subscriber, Credentials and Options."""
    version: str = __version__
    Subscriber(name=version)
    Subscriber(ids)
    Subscriber(numbers)
    Subscriber([1, "2"])
    Subscriber({YES: "yes"})
    credentials = Credentials("key", "secret", "passphrase")
    assert_type(Credentials.from_env(), Credentials)
    options = Options(
        verify="off",
        callback_errors="raise",
        custom_features=True,
        queue_limit=1_000,
        proxy="socks5h://127.0.0.1:1080",
        trust_env=False,
        ssl_context=context,
        market_url="wss://example.org/ws/market",
        user_url="wss://example.org/ws/user",
        heartbeat_interval=5,
        pong_timeout=15.0,
        connect_timeout=10,
        send_timeout=5,
        backoff_base=0.1,
        backoff_cap=10,
        max_attempts=3,
        max_message_bytes=2**20,
    )
    Options("top")  # type: ignore[call-arg]
    Options(verify="never")  # type: ignore[arg-type]
    Subscriber(credentials=credentials, markets=None)
    Subscriber(asset_ids=1)  # type: ignore[arg-type]
    Subscriber([1.5])  # type: ignore[list-item]
    Subscriber([YES], credentials)  # type: ignore[call-arg]
    return Subscriber(
        asset_ids=[YES, NO],
        credentials=credentials,
        markets=[MARKET],
        options=options,
        name="maker",
    )


def look_up(options: Options) -> Subscriber:
    """find_assets, and whatever takes what it finds."""
    assets = find_assets("will-it-rain", url=GAMMA_URL, timeout=5, options=options)
    assert_type(assets, tuple[Asset, ...])
    first = assets[0]
    assert_type(first.tick_size, "Decimal | None")
    assert_type(first.closed, bool)
    sub = Subscriber(assets)
    sub.subscribe([first, YES])
    sub.unsubscribe(asset_ids=assets)
    sub.wait_ready(asset_ids=assets)
    sub.on_book(print, asset_id=first)
    sub.on_book_update(print, asset_id=[first, 5])
    Subscriber(first)  # type: ignore[arg-type]
    find_assets([YES])  # type: ignore[arg-type]
    try:
        find_assets(first.slug)
    except LookupFailed as error:
        assert_type(error.retry_after, "float | None")
    return sub


def live(sub: Subscriber) -> None:
    """Start and stop, what is wanted, state."""
    sub.start()
    sub.wait_ready(timeout=10, asset_ids=[YES])
    assert_type(sub.stop(timeout=1.0), bool)
    sub.show(seconds=1.0)
    sub.books["1"].show(depth=3)
    assert_type(sub.wait(timeout=None), bool)
    sub.run()
    with sub as entered:
        assert_type(entered, Subscriber)
    sub.subscribe([YES], markets=[MARKET])
    sub.unsubscribe(asset_ids=[NO])
    assert_type(running(), tuple[Subscriber, ...])
    assert_type(sub.subscriptions.asset_ids, frozenset[str])
    assert_type(sub.subscriptions.markets, "frozenset[str] | None")
    assert_type(sub.state, State)
    assert_type(sub.healthy, bool)
    assert_type(sub.error, "PolymarketWsError | None")


class Maker:
    """A user's class whose methods are callbacks."""

    def __init__(self, sub: Subscriber) -> None:
        sub.on_book(self.keep)
        sub.on_order(self.follow)
        sub.remove_callback(self.keep)

    def keep(self, book: Book) -> None: ...

    def follow(self, order: Order) -> None: ...


def anything(event: object) -> None:
    """A callback for whatever comes."""


def on_any(event: Event) -> int:
    """A callback for every event."""
    return event.received_at_ns


def counted(count: int, book: Book) -> None:
    """To be made a callback by partial."""


def named(name: str, event: Any) -> None:
    """To be made a callback by partial."""


def decorate(sub: Subscriber) -> None:
    """Every on_... member as a decorator, with and without filters."""

    @sub.on_book
    def book(event: Book) -> int:
        return len(event.bids)

    assert_type(book(make_book()), int)

    @sub.on_price_change(asset_id=YES)
    def change(event: PriceChange) -> None: ...

    @sub.on_last_trade_price(asset_id=[YES, 2], market=MARKET)
    def public_print(event: LastTradePrice) -> None: ...

    @sub.on_tick_size_change(market=[MARKET])
    def tick(event: TickSizeChange) -> None: ...

    @sub.on_best_bid_ask()
    def best(event: BestBidAsk) -> None: ...

    @sub.on_new_market
    def new_market(event: NewMarket) -> None: ...

    @sub.on_market_resolved
    def resolved(event: MarketResolved) -> None: ...

    @sub.on_order
    def order(event: Order) -> None: ...

    @sub.on_trade
    def trade(event: Trade) -> None: ...

    @sub.on_book_update
    def update(live: LiveBook) -> None: ...

    @sub.on_book_update(top_only=True, asset_id=YES)
    def top(live: LiveBook) -> None: ...

    @sub.on_connect
    def connect(event: Connected) -> None: ...

    @sub.on_disconnect
    def disconnect(event: Disconnected) -> None: ...

    @sub.on_gap(asset_id=YES)
    def gap(event: Gap) -> None: ...

    @sub.on_resync
    def resync(event: Resync) -> None: ...

    @sub.on_unknown
    def unknown(event: Unknown) -> None: ...

    @sub.on_error
    def error(event: PolymarketWsError) -> None: ...

    @sub.on_event(asset_id=YES)
    def event(event: Event) -> None: ...

    @sub.on_frame
    def frame(event: Frame) -> None: ...


def register(sub: Subscriber, rows: list[Book]) -> None:
    """Functions, methods, partials and lambdas; and what is refused."""
    assert_type(sub.on_book(on_any)(make_book()), int)
    for registrar in (sub.on_connect, sub.on_disconnect):
        registrar(anything)
    sub.on_book(anything)
    sub.on_book(repr)
    sub.on_book(rows.append)
    sub.on_book(lambda book: rows.append(book))
    sub.on_book(partial(counted, 1), asset_id=YES)
    sub.on_trade(partial(named, "fills"), market=MARKET)
    sub.on_book_update(lambda live: rows.append(live.snapshot()), top_only=True)
    assert_type(sub.remove_callback(on_any), bool)

    def of_orders(order: Order) -> None: ...

    sub.on_book(of_orders)  # type: ignore[arg-type]
    sub.on_book("show")  # type: ignore[call-overload]
    sub.on_book(on_any, top_only=True)  # type: ignore[call-overload]


def register_in_django() -> None:
    """Django's subscriber is typed as the Subscriber that it stands for."""

    @subscriber.on_trade
    def store(trade: Trade) -> str:
        return trade.id

    assert_type(store(make_trade()), str)

    @subscriber.on_book(asset_id=["1"])
    def show(book: Book) -> None: ...

    @subscriber.on_book  # type: ignore[arg-type]
    def wrong(trade: Trade) -> None: ...

    assert_type(subscriber.missing, tuple[str, ...])
    start_in_worker()
    start_in_worker(call_handlers=True)


def pull(sub: Subscriber, names: list[str]) -> None:
    """events() and wait_for(), by class, by name and mixed."""
    for book in sub.events(Book, timeout=60):
        assert_type(book, Book)
    with sub.events(Trade) as trades:
        assert_type(next(trades), Trade)
        assert_type(trades.dropped, int)
        trades.close()
    everything: Iterator[Event] = sub.events()
    for event in everything:
        assert_type(event, Event)
    for event in sub.events("book", "on_trade", Order):
        assert_type(event, Event)
    for event in sub.events(*names):
        assert_type(event, Event)
    prints: Iterator[LastTradePrice] = sub.events(LastTradePrice)
    assert_type([public_print.price for public_print in prints], list[Decimal])
    assert_type(sub.wait_for(Book, timeout=5), Book)
    assert_type(sub.wait_for(Trade, timeout=5, where=lambda trade: trade.status == "MINED"), Trade)
    assert_type(sub.wait_for("on_book", timeout=5), Event)
    sub.wait_for(Book)  # type: ignore[call-overload]


def read_books(sub: Subscriber) -> None:
    """The mapping, LiveBook and Top."""
    assert_type(sub.books, Mapping[str, LiveBook])
    live = sub.books[YES]
    assert_type(live.asset_id, str)
    assert_type(live.market, str)
    assert_type(live.top, Top)
    assert_type(live.top.bid, "Level | None")
    assert_type(live.top.timestamp_ms, int)
    assert_type(live.top.valid, bool)
    assert_type(live.best_bid, "Decimal | None")
    assert_type(live.best_ask, "Decimal | None")
    assert_type(live.mid, "Decimal | None")
    assert_type(live.spread, "Decimal | None")
    assert_type(live.tick_size, "Decimal | None")
    assert_type(live.last_trade_price, "Decimal | None")
    assert_type(live.age, "float | None")
    assert_type(live.valid, bool)
    assert_type(live.integrity, str)
    assert_type(live.stale_reason, "str | None")
    assert_type(live.snapshot(), Book)
    assert_type(live.snapshot(depth=5).bids, tuple[Level, ...])
    sub.books[YES] = live  # type: ignore[index]
    if live.top.bid and live.top.ask:
        assert_type(live.top.ask.price - live.top.bid.price, Decimal)


def read_account(sub: Subscriber) -> None:
    """Orders and trades."""
    assert_type(sub.orders, Mapping[str, Order])
    assert_type(sub.trades["id"].maker_orders, tuple[MakerOrder, ...])
    for order in sub.orders.values():
        assert_type(order.side, "Side | None")
        assert_type(order.source, str)
        assert_type(order.size_matched, "Decimal | None")
        assert_type(order.created_at_ms, "int | None")


def read_fills(sub: Subscriber) -> None:
    """The account: fills, positions, waiting."""
    account = sub.account
    assert_type(account, Account)
    assert_type(account.complete, bool)
    assert_type(account.open_orders(market=MARKET), tuple[Order, ...])
    assert_type(account.fills(asset_id=YES), tuple[Fill, ...])
    assert_type(account.fills()[0].size, Decimal)
    assert_type(account.position(YES).average_price, "Decimal | None")
    assert_type(account.positions, Mapping[str, Position])
    assert_type(account.wait_filled(["id"], timeout=1.0, any=True), tuple[Order, ...])
    assert_type(sub.wait_for(Fill, timeout=5), Fill)

    @sub.on_fill(market=MARKET)
    def filled(fill: Fill) -> None:
        assert_type(fill.side, "Side | None")


def read_gaps(gap: Gap, resync: Resync) -> None:
    """What was missed."""
    assert_type(gap.reason, str)
    assert_type(gap.asset_ids, tuple[str, ...])
    assert_type(gap.dropped, int)
    assert_type(resync.asset_ids, tuple[str, ...])
    assert_type(resync.duration, float)


def read_events(book: Book, change: PriceChange, event: Event, lost: Disconnected) -> None:
    """Fields of events."""
    price, size = book.bids[0]
    assert_type((price, size), tuple[Decimal, Decimal])
    assert_type(book.top, "tuple[Level | None, Level | None]")
    assert_type(book.mid, "Decimal | None")
    assert_type(book.timestamp, datetime)
    assert_type(change.price_changes, tuple[LevelChange, ...])
    assert_type(change.price_changes[0].best_bid, "Decimal | None")
    assert_type(change.price_changes[0].side == "BUY", bool)
    assert_type(str(Side.SELL), str)
    assert_type(event.to_dict(), dict[str, Any])
    assert_type(event.extra, Mapping[str, Any])
    assert_type(event.event_type, str)
    assert_type(lost.reason, str)
    assert_type(lost.delay, "float | None")
    book.hash = "new"  # type: ignore[misc]
    if isinstance(event, Trade):
        assert_type(event.status, "str | None")


def read_stats(sub: Subscriber) -> None:
    """Every figure."""
    stats = sub.stats()
    assert_type(stats.state, State)
    assert_type(stats.uptime, float)
    assert_type(stats.events, Mapping[str, int])
    assert_type(
        stats.decode_errors
        + stats.slow_path
        + stats.notices
        + stats.duplicates
        + stats.late_changes
        + stats.held_overflows
        + stats.gaps
        + stats.resyncs
        + stats.top_mismatches
        + stats.reconnects
        + stats.callback_errors
        + stats.dropped
        + stats.stream_dropped
        + stats.coalesced
        + stats.queue_depth
        + stats.queue_high_water
        + stats.pending,
        int,
    )
    for connection in stats.connections:
        assert_type(connection.connection + connection.channel + connection.state, str)
        assert_type(connection.generation + connection.attempt + connection.local_port, int)
        assert_type(connection.messages + connection.total_messages + connection.total_bytes, int)
        assert_type(connection.last_data_age, "float | None")
        assert_type(connection.last_round_trip, "float | None")


def handle(sub: Subscriber) -> str:
    """Each branch of the error tree."""
    try:
        sub.run()
    except ConfigurationError as error:
        assert_type(error, ConfigurationError)
        as_value_error: ValueError = error
        return str(as_value_error)
    except AuthenticationError:
        return "keys"
    except HandshakeRejected as error:
        assert_type(error.retry_after, "float | None")
        return str(error.status)
    except ConnectionLost as error:
        return error.reason + error.detail
    except DecodeError as error:
        return error.path + error.excerpt
    except ProtocolError as error:
        return str(error.code)
    except CallbackError as error:
        assert_type(error.cause, BaseException)
        return str(error.callback)
    except PolymarketWsError:
        return "other"
    return ""


def try_out() -> None:
    """The testing surface."""
    exchange = SimulatedExchange(seed=1)
    with FakeServer(exchange, tls=True) as server:
        assert_type(server, FakeServer)
        assert_type(server.options(heartbeat_interval=1), Options)
        with Subscriber([YES], options=server.options()) as sub:
            server.send(make_book(YES, bids=[("0.4", "10")], asks=[(Decimal("0.6"), 5)]))
            server.send(make_price_change(YES, [("BUY", "0.41", "1")]))
            server.send(make_order(), "user")
            server.settle(sub, timeout=5)
            server.freeze()
            server.disconnect(1013)
    assert_type(make_book(), Book)
    assert_type(make_trade(), Trade)

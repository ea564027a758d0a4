"""The class that users meet: what is wanted, who is told, start and stop."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, NoReturn, TypeVar, final, overload
from weakref import WeakSet

from .account.views import Account
from .books.book import BookCore
from .books.live_book import LiveBook
from .credentials import Credentials
from .delivery.callbacks import Callback, Callbacks, Registration
from .delivery.registration import BookUpdateRegistrar, On
from .delivery.streams import EventStream
from .engine.engine import Engine
from .errors import ConfigurationError, PolymarketWsError
from .events import (
    EVENTS,
    BestBidAsk,
    Book,
    Connected,
    Disconnected,
    Event,
    Family,
    Frame,
    Gap,
    LastTradePrice,
    MarketResolved,
    NewMarket,
    Order,
    PriceChange,
    Resync,
    State,
    TickSizeChange,
    Trade,
    Unknown,
)
from .live_mapping import LiveMapping
from .locks import holds_any
from .logs import Log, printable
from .net.descriptors import close_copies
from .options import Options, is_readable_on_the_way
from .process import (
    ExitHook,
    ForkHook,
    handling_signals,
    how_to_start_in_child,
    is_outdated,
    why_not_to_start,
)
from .stats import Stats
from .subscriptions import AssetIds, Subscriptions, check_asset_ids, check_markets
from .wire.fast_path import forget_levels

logger = Log(__name__)

E = TypeVar("E", bound=Event)

_LAST_WORDS = 5.0  # seconds that callbacks have to return, once the end was asked for or came
_LOG_SECONDS = 1.0  # that a log may take to tell of a fork

_numbers = itertools.count(1)
_started: set[Subscriber] = set()


def running() -> tuple[Subscriber, ...]:
    """The Subscribers that are started and have not ended. A started one stays alive until it is
    stopped.
    """
    return tuple(_started)


@final
class Subscriber:
    """Follows Polymarket's real-time channels on threads of its own and calls back with typed
    events.

    Construct it anywhere: nothing is started, connected or read from the environment before
    `start`, `run` or `with`. Every member may be used from any thread; those that wait raise
    RuntimeError in a callback.

        sub = Subscriber(asset_ids=[YES, NO])

        @sub.on_book_update
        def show(book):
            print(book.asset_id, book.best_bid, book.best_ask)

        sub.run()                                   # until Ctrl-C, SIGTERM or sub.stop()

    It has one I/O thread for each shard (the user channel is one, and so are each
    `Options.max_assets_per_connection` assets), one callback thread, and a short one for each
    attempt to connect.

    Args:
        asset_ids: Token ids (clobTokenIds), decimal strings of about 77 digits; an int is accepted.
        credentials: Opens the user channel too.
        markets: Condition ids that narrow the user channel; None is all markets, an empty list
            none.
        options: How it behaves; None is all defaults.
        name: For threads, logs and repr; None is a number.

    Raises:
        ConfigurationError: wrong ids, `markets` without credentials, or credentials for a ws:// URL
            that is not on this machine (see `Options.allow_insecure_credentials`).
    """

    def __init__(
        self,
        asset_ids: AssetIds = (),
        *,
        credentials: Credentials | None = None,
        markets: Iterable[str] | None = None,
        options: Options | None = None,
        name: str | None = None,
    ) -> None:
        if credentials is not None and not isinstance(credentials, Credentials):
            raise ConfigurationError(
                f"credentials must be Credentials, not {type(credentials).__name__}"
            )
        if options is not None and not isinstance(options, Options):
            raise ConfigurationError(f"options must be Options, not {type(options).__name__}")
        if markets is not None and credentials is None:
            raise ConfigurationError("markets narrows the user channel, which needs credentials")
        if credentials is not None:
            _check_insecure(options or Options())
        assets = check_asset_ids(asset_ids)
        wanted_markets = None if markets is None else check_markets(markets)
        self._options = options or Options()
        self._credentials = credentials
        self._name = printable(name) if name is not None else str(next(_numbers))
        self._callbacks = Callbacks()
        self._run: Engine | None = None
        self._subscriptions = Subscriptions(
            asset_ids=frozenset(),
            markets=frozenset() if credentials is None else wanted_markets,
        )
        # Replaced whole, so that readers need no lock.
        self._books: dict[str, LiveBook] = {}
        self._cores: dict[str, BookCore] = {}
        # All that LiveBooks ever showed: a reader may still hold one of an unsubscribed asset.
        self._made_cores: WeakSet[BookCore] = WeakSet()
        self._told_fork = True
        # Guards what is wanted and which run is the present one; nothing is waited for under it.
        self._lock = threading.RLock()
        self._want(Subscriptions(asset_ids=assets, markets=self._subscriptions.markets))
        _fork_hook.watch(self)

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("Subscriber is not for subclassing: register callbacks with sub.on_...")

    def __reduce_ex__(self, protocol: object) -> NoReturn:  # what copy, deepcopy and pickle ask
        raise TypeError("a Subscriber is not copied or pickled: make one in the other process")

    # What is wanted.

    @property
    def subscriptions(self) -> Subscriptions:
        """What is wanted now."""
        return self._subscriptions

    def subscribe(self, asset_ids: AssetIds = (), markets: Iterable[str] = ()) -> None:
        """Want these besides; what is wanted already changes nothing. Any time, a callback
        included.

        Args:
            asset_ids: Token ids for the market channel.
            markets: Condition ids for the user channel; nothing to do while it has all markets.

        Raises:
            ConfigurationError: wrong ids, or markets without credentials.
            OSError, RuntimeError: the system has no descriptor or thread left for them; nothing
                has changed.
        """
        assets, added = check_asset_ids(asset_ids), check_markets(markets)
        if added and self._credentials is None:
            raise ConfigurationError("markets are of the user channel, which needs credentials")
        with self._lock:
            before = self._subscriptions
            after = None if before.markets is None else before.markets | added
            try:
                self._want(Subscriptions(asset_ids=before.asset_ids | assets, markets=after))
            except (OSError, RuntimeError):  # another shard's thread or descriptors: none is left
                self._want(before)
                raise

    def unsubscribe(self, asset_ids: AssetIds = (), markets: Iterable[str] = ()) -> None:
        """Want these no more. Once this returns no event of those assets is delivered; a callback
        that was called a moment before may still be running.

        Raises:
            ConfigurationError: wrong ids, or a market while all markets are wanted.
        """
        assets, removed = check_asset_ids(asset_ids), check_markets(markets)
        with self._lock:
            before = self._subscriptions
            if removed and before.markets is None:
                raise ConfigurationError(
                    "all markets are subscribed, so single ones cannot be taken out: "
                    "name the wanted ones in Subscriber(markets=...)"
                )
            after = None if before.markets is None else before.markets - removed
            self._want(Subscriptions(asset_ids=before.asset_ids - assets, markets=after))

    # What is known.

    @property
    def books(self) -> Mapping[str, LiveBook]:
        """The book of each subscribed asset, from the start on; not valid until its
        snapshot came.
        """
        self._here()
        return LiveMapping(lambda: self._books)

    @property
    def orders(self) -> Mapping[str, Order]:
        """One's own orders that this run told, the latest of each, by id. At least the last
        10 000.
        """
        return LiveMapping(lambda: self._account().orders)

    @property
    def trades(self) -> Mapping[str, Trade]:
        """One's own trades that this run told, the latest of each, by id. At least the last
        10 000.
        """
        return LiveMapping(lambda: self._account().trades)

    @property
    def state(self) -> State:
        """What it is doing."""
        self._here()
        return self._state()

    @property
    def healthy(self) -> bool:
        """True while every channel is connected and no subscribed book is stale.

        A book whose first snapshot has not come is not stale: wait_ready() waits for it,
        `book.valid` tells.
        """
        return self.state is State.LIVE

    @property
    def error(self) -> PolymarketWsError | None:
        """The fatal error that ended the run; None without one."""
        return None if self._run is None else self._run.error

    def stats(self) -> Stats:
        """What was counted since the last start. Cheap: no lock, no effect on the threads."""
        run = self._here() or self._make_run()
        return run.stats()

    # Start and stop.

    def start(self) -> None:
        """Start the threads and return at once; no effect while running. From a callback too.

        Raises:
            ConfigurationError: on_order or on_trade has a callback, but there are no credentials;
                or threads do not work in this process (docs/production.md).
        """
        self._check_credentials(self._callbacks.names())
        if obstacle := why_not_to_start(self._options.ssl_context):
            raise ConfigurationError(obstacle)
        if is_outdated(self._lock):
            self._renew_locks()
        with self._lock:
            former = self._run
            if former is not None and not former.is_over and former.has_started:
                return
            run = former if former is not None and not former.has_started else self._make_run()
            self._begin(run, former if former is not run else None)
        self._warn_of_nothing_wanted()
        for registration in self._callbacks.all():
            self._warn_of_filter(registration)

    def stop(self, timeout: float = 5.0) -> bool:
        """Close the connections and end the threads. Idempotent, from any thread or signal handler.

        What waits for callbacks is discarded; the last thing told is Disconnected("stopped"), for
        each connection that was open or about to be tried again. What waits in events() may still
        be read. It only asks, and returns False, from a callback, and from a signal handler that
        interrupted another member while that held a lock, which the threads may need to end, or
        another stop().

        Args:
            timeout: Seconds to wait for the threads. What may hold them up is a callback that does
                not return, and the system's name look-up, which cannot be interrupted.

        Returns:
            True once every thread has ended and no callback will run again.
        """
        run = self._request_stop()
        if run is None:
            return True
        if run.dispatcher.is_current() or holds_any(self._locks(run)):
            return False
        return run.join(timeout)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has stopped.

        Args:
            timeout: In seconds; None is no limit.

        Returns:
            True when it stopped, or never was started; False when the timeout passed first. A
            restart, in a callback or elsewhere, is waited through.

        Raises:
            PolymarketWsError: the fatal error that ended it.
            RuntimeError: called in a callback.
        """
        self._refuse_in_callback("wait")
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while (run := self._here()) is not None and run.has_started:
            if run.has_ended or (run.error is not None and _had_last_words(run)):
                if run is self._run:
                    break
            elif time.monotonic() >= deadline:
                return False
            else:
                run.wait_ended(min(deadline - time.monotonic(), 1.0))
        if run is not None and run.error is not None:
            raise run.error
        return True

    def run(self) -> None:
        """Start, wait, stop: the whole life of a script.

        Returns after Ctrl-C, SIGTERM or stop(), at the latest 5 s later, even when a callback does
        not return (one WARNING names it). In the main thread it handles SIGINT and SIGTERM and
        restores the former handlers; a second Ctrl-C raises KeyboardInterrupt.

        Raises:
            ConfigurationError: nothing is wanted.
            PolymarketWsError: the fatal error that ended it.
            SystemExit, KeyboardInterrupt: a callback raised it.
            RuntimeError: called in a callback.
        """
        self._refuse_in_callback("run")
        if self._wants_nothing():
            raise ConfigurationError(
                "nothing to follow: give asset_ids, or credentials for the user channel"
            )
        with handling_signals(self._request_stop) as is_asked_to_stop:
            self.start()
            try:
                while not self.wait(timeout=1.0):
                    run = self._run
                    if is_asked_to_stop():  # also before there was a run to stop
                        self._request_stop()
                    if run is not None and run.stop_requested and _had_last_words(run):
                        break
            except KeyboardInterrupt:  # the second Ctrl-C: some callback does not return
                self.stop(timeout=0.0)
                raise
            except PolymarketWsError:
                self._stop_or_warn(_LAST_WORDS)
                raise
            self._stop_or_warn(0.5)
        run = self._run
        if run is not None and run.exit_request is not None:
            raise run.exit_request

    def wait_ready(self, timeout: float = 10.0, asset_ids: AssetIds | None = None) -> None:
        """Wait until every channel is subscribed and every subscribed book is live.

        Args:
            timeout: In seconds.
            asset_ids: Wait for the books of these assets alone.

        Raises:
            TimeoutError: names what is missing and the last connection error.
            PolymarketWsError: the fatal error, at once.
            ConfigurationError: `asset_ids` holds one that is not subscribed.
            RuntimeError: not started, or called in a callback.
        """
        self._refuse_in_callback("wait_ready")
        run = self._here()
        if run is None or not run.has_started or run.is_forked:
            raise RuntimeError("wait_ready: start the subscriber first")
        wanted = None if asset_ids is None else check_asset_ids(asset_ids)
        if wanted is not None and not wanted <= self._subscriptions.asset_ids:
            raise ConfigurationError("wait_ready: asset_ids holds one that is not subscribed")

        def is_over() -> bool:
            return run.is_over or not run.readiness.missing(wanted)

        is_ready = run.waiters.wait_until(is_over, timeout)
        if run.error is not None:
            raise run.error
        if run.stop_requested:
            raise TimeoutError("not ready: the subscriber was stopped")
        if not is_ready:
            raise TimeoutError(run.readiness.sentence(run.readiness.missing(wanted), timeout))

    def __enter__(self) -> Subscriber:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop_or_warn(_LAST_WORDS)

    # Callbacks.

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
        a callback that raised (`CallbackError`), or the fatal error."""
    )
    on_event = On[Event]("""A callback receives every data event, of either channel, in order.""")
    on_frame = On[Frame](
        """A callback receives a `Frame`: the raw text of a data message, before it is decoded."""
    )

    @property
    def on_book_update(self) -> BookUpdateRegistrar[LiveBook]:
        """Whenever anything in a live book changed: levels, prices or validity.

        Conflated: what happens to a book while a callback is busy becomes one call.
        """
        return BookUpdateRegistrar(self, "book_update")

    def remove_callback(self, callback: Callback) -> bool:
        """Forget every registration of the callback, compared with `==`; False when there
        was none.
        """
        return self._callbacks.remove(callback)

    # Pulling events.

    @overload
    def events(self, *, timeout: float | None = None) -> EventStream[Event]: ...

    @overload
    def events(self, *events: type[E], timeout: float | None = None) -> EventStream[E]: ...

    @overload
    def events(
        self, *events: type[Event] | str, timeout: float | None = None
    ) -> EventStream[Event]: ...

    def events(
        self, *events: type[E] | type[Event] | str, timeout: float | None = None
    ) -> EventStream[E] | EventStream[Event]:
        """Iterate over events on the caller's own thread, from this call on.

        Args:
            events: Event classes, or their names ("book", "on_book"); none is all, lifecycle
                included.
            timeout: Seconds without an event after which it ends; None is no limit.

        Returns:
            An iterator with a queue of its own (see `Options.queue_limit`); close it, or forget it.
            It ends with the run: with the present one, or the next when none was started yet.

        Raises:
            ConfigurationError: an unknown event, or one's own events without credentials.
            RuntimeError: called in a callback.
        """
        self._refuse_in_callback("events")
        kinds = frozenset(map(_kind, events)) if events else frozenset(EVENTS.values()) - {Frame}
        if events:
            self._check_credentials({kind.event_type for kind in kinds})
        stream: EventStream[Event] = EventStream(
            kinds, timeout, self._options.queue_limit, self._is_wanted
        )
        self._here()
        with self._lock:
            run = self._run = self._run or self._make_run()
            run.streams.add(stream)
        if run.is_over:
            stream.end(run.error)
        self._ask_for_features()
        return stream

    @overload
    def wait_for(
        self, event: type[E], *, timeout: float, where: Callable[[E], bool] | None = None
    ) -> E: ...

    @overload
    def wait_for(
        self, event: str, *, timeout: float, where: Callable[[Event], bool] | None = None
    ) -> Event: ...

    def wait_for(
        self,
        event: type[Event] | str,
        *,
        timeout: float,
        where: Callable[..., bool] | None = None,
    ) -> Event:
        """The next such event for which `where(event)` is true; `where` runs on the caller's
        thread.

        Raises:
            TimeoutError: none came within `timeout` seconds, or the subscriber stopped.
            PolymarketWsError: the fatal error.
            ConfigurationError, RuntimeError: as `events`.
        """
        deadline = time.monotonic() + timeout
        name = event if isinstance(event, str) else event.__name__
        with self.events(event) as stream:
            while (left := deadline - time.monotonic()) > 0:
                found = stream.next_within(left)
                if found is None:
                    break
                if where is None or where(found):
                    return found
        was_stopped = self._run is not None and self._run.stop_requested
        raise TimeoutError(
            f"no such {name}: the subscriber was stopped"
            if was_stopped
            else f"no such {name} within {timeout:g} s"
        )

    def __repr__(self) -> str:
        wanted = self._subscriptions
        markets = "all markets" if wanted.markets is None else f"{len(wanted.markets)} markets"
        user = f", {markets}" if self._credentials is not None else ""
        return f"<Subscriber {self._name} {self._state()} {len(wanted.asset_ids)} assets{user}>"

    # Private.

    def _state(self) -> State:
        run = self._run
        return State.IDLE if run is None or not run.has_started else run.state

    def _register(self, registration: Registration) -> None:
        is_running = self._run is not None and self._run.has_started and not self._run.is_over
        if is_running:
            self._check_credentials({registration.name})
        self._callbacks.add(registration)
        if is_running:
            self._warn_of_filter(registration)
        self._ask_for_features()

    def _want(self, subscriptions: Subscriptions) -> None:
        """Take over what is wanted; called under the lock (or by the constructor)."""
        self._subscriptions = subscriptions
        wanted = subscriptions.asset_ids
        added = {id_: self._make_core(id_) for id_ in sorted(wanted - self._cores.keys())}
        self._cores = {id_: c for id_, c in {**self._cores, **added}.items() if id_ in wanted}
        for id_ in self._books.keys() - wanted:
            self._books[id_]._leave()
        self._books = {
            id_: self._books.get(id_) or LiveBook(core) for id_, core in self._cores.items()
        }
        if self._run is not None and self._run.has_started:
            self._run.want(subscriptions, self._cores)

    def _begin(self, run: Engine, former: Engine | None) -> None:
        """Make a run the present one and start it; called under the lock."""
        run.begin()  # first: whoever waits takes a run that has not begun for none
        self._run = run
        _exit_hook.register()
        if former is not None:
            self._renew_cores()
        try:
            run.start(None if former is not None and former.is_forked else former)
            _started.add(self)
            run.want(self._subscriptions, self._cores)
        except (OSError, RuntimeError):  # no thread or descriptor is to be had
            run.request_stop()
            if run.dispatcher.join(0.0):  # its thread never began, so nothing else will say it
                run.has_ended = True
            _started.discard(self)
            raise

    def _renew_cores(self) -> None:
        self._cores = {id_: self._make_core(id_) for id_ in self._cores}
        for id_, core in self._cores.items():
            self._books[id_]._show(core)

    def _locks(self, run: Engine) -> Iterator[Any]:
        """What the calling thread may hold when it is interrupted in a member."""
        yield self._lock
        yield from self._callbacks.locks
        yield from run.locks
        for core in self._cores.values():
            yield core.lock

    def _make_core(self, asset_id: str) -> BookCore:
        core = BookCore(asset_id)
        self._made_cores.add(core)
        return core

    def _become_forked(self) -> None:
        """In a forked child: no thread of the present run is here, nor one that held a lock."""
        _started.discard(self)
        run = self._run
        if run is not None:
            run.become_forked()
            self._told_fork = not run.is_forked
        if run is not None and run.is_forked:
            for core in list(self._made_cores):
                core.become_forked()
        self._renew_locks()
        self._want(self._subscriptions)  # another thread may have been half through it

    def _renew_locks(self) -> None:
        self._lock = threading.RLock()
        self._callbacks.renew_locks()
        for core in list(self._made_cores):
            core.renew_locks()

    def _restart_after_fork(self) -> None:
        run = self._run
        if run is None or not run.is_forked or not self._options.restart_after_fork:
            return
        try:
            self.start()
        except ConfigurationError as error:
            logger.warning("%s: not started anew after the fork: %s", self._name, error)

    def _here(self) -> Engine | None:
        """The present run, with one WARNING when it is of the parent process."""
        run = self._run
        if not self._told_fork and run is not None and run.is_forked:
            self._told_fork = True
            # Another thread of the parent may have been writing to the same log at the fork; then
            # whoever logs in the child waits for ever (Python does not renew a file's lock).
            telling = threading.Thread(target=self._warn_of_fork, daemon=True)
            telling.start()
            telling.join(_LOG_SECONDS)
        return run

    def _warn_of_fork(self) -> None:
        logger.warning(
            "%s: this process was forked from the one that started it, so nothing feeds it here: "
            "%s",
            self._name,
            how_to_start_in_child(),
        )

    def _make_run(self) -> Engine:
        return Engine(
            self._name,
            self._options,
            self._credentials,
            self._callbacks,
            books=lambda: self._books,
            on_end=self._forget_run,
        )

    def _forget_run(self) -> None:
        with self._lock:
            if self._run is None or self._run.is_over:
                _started.discard(self)
        if not _started:
            forget_levels()

    def _request_stop(self) -> Engine | None:
        run = self._run
        if run is None or not run.has_started or run.is_forked:
            return None
        run.request_stop()
        return run

    def _stop_or_warn(self, timeout: float) -> None:
        if self.stop(timeout) or self._run is None or self._run.dispatcher.is_current():
            return
        culprit = self._run.dispatcher.running_callback
        logger.warning(
            "%s: left with threads still running: %s",
            self._name,
            f"callback {culprit} has not returned" if culprit else "a name look-up has not ended",
        )

    def _account(self) -> Account:
        run = self._here()
        return run.account if run is not None else Account()

    def _is_wanted(self, event: Event) -> bool:
        return self._run is None or self._run.is_wanted(event)

    def _wait_until(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait for something that this subscriber's threads bring about. For the testing
        package.
        """
        if self._run is None:
            return predicate()
        return self._run.waiters.wait_until(predicate, timeout)

    def _ask_for_features(self) -> None:
        """A new listener may need custom_feature_enabled."""
        with self._lock:
            if self._run is not None and self._run.has_started:
                self._run.want(self._subscriptions, self._cores)

    def _wants_nothing(self) -> bool:
        wanted = self._subscriptions
        markets_wanted = wanted.markets is None or bool(wanted.markets)
        return not wanted.asset_ids and not (self._credentials is not None and markets_wanted)

    def _warn_of_nothing_wanted(self) -> None:
        if self._wants_nothing():
            logger.warning(
                "%s: nothing is wanted, so nothing is connected: give asset_ids, or credentials",
                self._name,
            )

    def _warn_of_filter(self, registration: Registration) -> None:
        absent = (registration.asset_ids or frozenset()) - self._subscriptions.asset_ids
        if absent:
            logger.warning(
                "%s: on_%s is filtered by an asset that is not subscribed: %s",
                self._name,
                registration.name,
                ", ".join(sorted(absent)),
            )

    def _check_credentials(self, names: Iterable[str]) -> None:
        known = EVENTS.keys() & set(names)
        needy = sorted(name for name in known if EVENTS[name].family is Family.OWN)
        if needy and self._credentials is None:
            raise ConfigurationError(
                f"on_{needy[0]} is of the user channel: pass credentials=Credentials(...)"
            )

    def _refuse_in_callback(self, member: str) -> None:
        if self._run is not None and self._run.dispatcher.is_current():
            raise RuntimeError(f"{member}() waits, so it must not be called in a callback")


def _check_insecure(options: Options) -> None:
    if is_readable_on_the_way(options.user_url) and not options.allow_insecure_credentials:
        raise ConfigurationError(
            "Options.user_url is ws:// to another machine, where credentials could be read on the "
            "way: use wss://, or set allow_insecure_credentials=True"
        )


def _had_last_words(run: Engine) -> bool:
    """Whether its callbacks had their time to end after the fatal error or the request to stop."""
    return run.over_since is not None and time.monotonic() - run.over_since > _LAST_WORDS


def _kind(event: type[Event] | str) -> type[Event]:
    if isinstance(event, str):
        found = EVENTS.get(event.removeprefix("on_"))
        if found is not None:
            return found
    elif isinstance(event, type) and event in EVENTS.values():
        return event
    raise ConfigurationError(
        f"{event!r} is no event that can be waited for; there are {', '.join(sorted(EVENTS))}"
    )


_exit_hook = ExitHook(running, Subscriber._request_stop)
_fork_hook: ForkHook[Subscriber] = ForkHook(close_copies)

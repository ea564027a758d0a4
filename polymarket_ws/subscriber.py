"""The class that users meet: what is wanted, who is told, start and stop."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, final

from .account.account import Account
from .books.live_book import LiveBook
from .credentials import Credentials
from .delivery.callbacks import Callback, Callbacks, Registration
from .delivery.event_source import EventSource
from .delivery.registrars import Registrars
from .delivery.streams import EventStream
from .engine.engine import Engine
from .engine.runs import Runs
from .errors import ConfigurationError, PolymarketWsError
from .events import BROADCASTS, EVENTS, Event, Family, Frame, Order, State, Trade
from .live_mapping import LiveMapping
from .locks import holds_any
from .logs import Log, printable
from .net.descriptors import close_copies
from .options import Options, is_readable_on_the_way
from .process import ExitHook, ForkHook, handling_signals, why_not_to_start
from .stats import Stats
from .subscriptions import (
    AssetIds,
    Subscriptions,
    check_asset_ids,
    check_assets,
    check_markets,
)
from .timeouts import check_timeout
from .wire.fast_path import forget_levels

logger = Log(__name__)

_LAST_WORDS = 5.0  # seconds that callbacks have to return, once the end was asked for or came

_numbers = itertools.count(1)
_started: dict[Runs, Subscriber] = {}


def running() -> tuple[Subscriber, ...]:
    """The Subscribers that are started and have not ended. A started one stays alive until it is
    stopped.
    """
    return tuple(_started.values())


@final
class Subscriber(Registrars, EventSource):
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

    Callbacks are registered by the `on_...` members, one for each event. Without callbacks:
    `books`, `events`, `wait_for`. What is followed changes by `subscribe` and `unsubscribe`;
    `start`, `wait_ready` and `stop` are the parts of `run`.

    It has one I/O thread for each shard (the user channel is one, and so are each
    `Options.max_assets_per_connection` assets), one callback thread, and a short one for each
    attempt to connect.

    Args:
        asset_ids: Token ids (clobTokenIds), decimal strings of about 77 digits, or Assets; an int
            is accepted.
        credentials: Opens the user channel too.
        markets: Condition ids that narrow the user channel; None is all markets, an empty list
            none.
        options: How it behaves; None is all defaults.
        name: For threads, logs and repr; None is "subscriber-" and a number. One that is started
            stops another one of the same given name: a notebook cell that is run again.

    Raises:
        ConfigurationError: wrong ids, a name that is no str, `markets` without credentials, or
            credentials for a ws:// URL that is not on this machine (see
            `Options.allow_insecure_credentials`).
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
            raise ConfigurationError(
                "markets narrows the user channel, which needs credentials; to follow a market's "
                "books give the token ids of its outcomes as asset_ids (lookup.find_assets)"
            )
        if credentials is not None:
            _check_insecure(options or Options())
        if name is not None and not isinstance(name, str):
            raise ConfigurationError(f"name must be a str, not {type(name).__name__}")
        ids, assets = check_assets(asset_ids)
        wanted_markets = None if markets is None else check_markets(markets)
        self._options = options or Options()
        self._credentials = credentials
        self._name = printable(name) if name is not None else f"subscriber-{next(_numbers)}"
        self._is_named = name is not None
        self._callbacks = Callbacks()
        self._runs = Runs(self._name, self._options, credentials, self._callbacks, _forget)
        self._runs.want(
            Subscriptions(
                asset_ids=ids,
                markets=frozenset() if credentials is None else wanted_markets,
                assets=assets,
            )
        )
        self._account = Account(
            lambda: self._runs.account, self._wait_for_account, self._runs.confirm_account
        )
        _fork_hook.watch(self)

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("Subscriber is not for subclassing: register callbacks with sub.on_...")

    if not TYPE_CHECKING:  # for a type checker an unknown attribute is an error without it

        def __setattr__(self, name: str, value: object) -> None:
            """Refuse what is no attribute; a callback is registered, not assigned."""
            if name.startswith("on_"):
                raise AttributeError(
                    f"callbacks are registered, not assigned: sub.{name}(function), or @sub.{name}"
                )
            if not name.startswith("_") and not hasattr(type(self), name):
                raise AttributeError(f"a Subscriber has no attribute {name!r}")
            super().__setattr__(name, value)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse: what copy, deepcopy and pickle ask for."""
        raise TypeError("a Subscriber is not copied or pickled: make one in the other process")

    # What is wanted.

    @property
    def subscriptions(self) -> Subscriptions:
        """What is wanted now."""
        return self._runs.wanted

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
        (ids, assets), added = check_assets(asset_ids), check_markets(markets)
        if added and self._credentials is None:
            raise ConfigurationError("markets are of the user channel, which needs credentials")
        with self._runs.lock:
            before = self._runs.wanted
            after = Subscriptions(
                asset_ids=before.asset_ids | ids,
                markets=None if before.markets is None else before.markets | added,
                assets={**before.assets, **assets},
            )
            try:
                self._runs.want(after)
            except (OSError, RuntimeError):  # another shard's thread or descriptors: none is left
                self._runs.want(before)
                raise

    def unsubscribe(self, asset_ids: AssetIds = (), markets: Iterable[str] = ()) -> None:
        """Want these no more. Once this returns no event of those assets is delivered; a callback
        that was called a moment before may still be running.

        Raises:
            ConfigurationError: wrong ids, or a market while all markets are wanted.
        """
        ids, removed = check_asset_ids(asset_ids), check_markets(markets)
        with self._runs.lock:
            before = self._runs.wanted
            if removed and before.markets is None:
                raise ConfigurationError(
                    "all markets are subscribed, so single ones cannot be taken out: "
                    "name the wanted ones in Subscriber(markets=...)"
                )
            self._runs.want(
                Subscriptions(
                    asset_ids=before.asset_ids - ids,
                    markets=None if before.markets is None else before.markets - removed,
                    assets={i: asset for i, asset in before.assets.items() if i not in ids},
                )
            )

    # What is known.

    @property
    def name(self) -> str:
        """What it is called in logs, thread names and its repr."""
        return self._name

    @property
    def missing(self) -> tuple[str, ...]:
        """The subscribed assets whose book is not live; all of them while it is not started."""
        self._runs.here()
        return tuple(asset_id for asset_id, book in self._runs.books.items() if not book.valid)

    @property
    def books(self) -> Mapping[str, LiveBook]:
        """The book of each subscribed asset, from the start on; not valid until its
        snapshot came.
        """
        self._runs.here()
        return LiveMapping(lambda: self._runs.books, "{} is not subscribed: sub.subscribe([...])")

    @property
    def account(self) -> Account:
        """One's own orders, trades, fills and positions; empty without credentials."""
        return self._account

    @property
    def orders(self) -> Mapping[str, Order]:
        """One's own orders that this run told, the latest of each, by id. At least the last
        10 000.
        """
        return self._account.orders

    @property
    def trades(self) -> Mapping[str, Trade]:
        """One's own trades that this run told, the latest of each, by id. At least the last
        10 000.
        """
        return self._account.trades

    @property
    def state(self) -> State:
        """What it is doing."""
        self._runs.here()
        return self._runs.state

    @property
    def healthy(self) -> bool:
        """True while every channel is connected, every subscribed book is live (none is `missing`),
        and the account, where REST can be asked, is complete.
        """
        run = self._runs.here()
        is_live = run is not None and self.state is State.LIVE and not self.missing
        return is_live and run is not None and run.readiness.is_reconciled

    @property
    def error(self) -> PolymarketWsError | None:
        """The fatal error that ended the run; None without one."""
        run = self._runs.present
        return None if run is None else run.error

    def stats(self) -> Stats:
        """What was counted since the last start. Cheap: no lock, no effect on the threads."""
        run = self._runs.here() or self._runs.make()
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
        _exit_hook.register()
        self._stop_namesake()
        if not self._runs.start(lambda: _started.setdefault(self._runs, self)):
            return
        self._warn_of_nothing_wanted()
        for registration in self._callbacks.all():
            self._warn_of_filter(registration)

    def stop(self, timeout: float = 5.0, *, drain: bool = False) -> bool:
        """Close the connections and end the threads. Idempotent, from any thread or signal handler.

        What waits for callbacks is discarded, and counted in `stats().discarded`; the last thing
        told is Disconnected("stopped"), for each connection that was open or about to be tried
        again. What waits in events() may still be read. It only asks, and returns False, from a
        callback, and from a signal handler that interrupted another member while that held a lock,
        which the threads may need to end, or another stop().

        Args:
            timeout: Seconds to wait for the threads. What may hold them up is a callback that does
                not return, and the system's name look-up, which cannot be interrupted.
            drain: Let callbacks handle what is queued by now, within the timeout. Books stay live
                meanwhile; what arrives later is not taken.

        Returns:
            True once every thread has ended and no callback will run again.

        Raises:
            ConfigurationError: `timeout` is no number, below 0, or NaN.
        """
        check_timeout("stop", timeout)
        run = self._runs.request_stop(drain=drain)
        if run is None:
            return True
        if run.dispatcher.is_current() or holds_any(self._runs.locks):
            return False
        if run.join(timeout):
            return True
        run.request_stop()  # what was to be drained is given up
        return run.join(0.0)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has stopped.

        Args:
            timeout: In seconds; None is no limit.

        Returns:
            True when it stopped, or never was started; False when the timeout passed first. A
            restart, in a callback or elsewhere, is waited through.

        Raises:
            PolymarketWsError: the fatal error that ended it.
            ConfigurationError: `timeout` is no number, below 0, or NaN.
            RuntimeError: called in a callback.
        """
        if timeout is not None:
            check_timeout("wait", timeout)
        self._refuse_in_callback("wait")
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while (run := self._runs.here()) is not None and run.has_started:
            if run.has_ended or (run.error is not None and _had_last_words(run)):
                if run is self._runs.present:
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
                "nothing to follow: give asset_ids, credentials for the user channel, or a "
                "callback for new_market or market_resolved"
            )
        with handling_signals(self._runs.request_stop) as is_asked_to_stop:
            self.start()
            try:
                while not self.wait(timeout=1.0):
                    run = self._runs.present
                    if is_asked_to_stop():  # also before there was a run to stop
                        self._runs.request_stop()
                    if run is not None and run.stop_requested and _had_last_words(run):
                        break
            except KeyboardInterrupt:  # the second Ctrl-C: some callback does not return
                self.stop(timeout=0.0)
                raise
            except PolymarketWsError:
                self._stop_or_warn(_LAST_WORDS)
                raise
            self._stop_or_warn(0.5)
        run = self._runs.present
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
            ConfigurationError: `asset_ids` holds one that is not subscribed; or `timeout` is no
                number, below 0, or NaN.
            RuntimeError: not started, or called in a callback.
        """
        check_timeout("wait_ready", timeout)
        self._refuse_in_callback("wait_ready")
        run = self._runs.here()
        if run is None or not run.has_started or run.is_forked:
            raise RuntimeError("wait_ready: start the subscriber first")
        wanted = None if asset_ids is None else check_asset_ids(asset_ids)
        if wanted is not None and not wanted <= self._runs.wanted.asset_ids:
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
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop; callbacks have five seconds to return."""
        self._stop_or_warn(_LAST_WORDS)

    # Callbacks.

    def remove_callback(self, callback: Callback) -> bool:
        """Forget every registration of the callback, compared with `==`; False when there
        was none.
        """
        return self._callbacks.remove(callback)

    def __repr__(self) -> str:
        wanted = self._runs.wanted
        markets = "all markets" if wanted.markets is None else f"{len(wanted.markets)} markets"
        user = f", {markets}" if self._credentials is not None else ""
        return f"<Subscriber {self._name} {self._runs.state} {len(wanted.asset_ids)} assets{user}>"

    def show(self, *, seconds: float | None = None) -> None:
        """In a notebook: show its books as a table that is updated in place, until the cell is
        interrupted; see `LiveBook.show`.

        Args:
            seconds: After which it ends by itself; None is no limit.

        Raises:
            RuntimeError: not started, outside of a notebook, or called in a callback.
        """
        from .notebook.overview import show_subscriber

        self._refuse_in_callback("show")
        if self.state is State.IDLE:
            raise RuntimeError("show: start the subscriber first")
        show_subscriber(self, seconds)

    def _repr_html_(self) -> str:
        from .notebook.overview import subscriber_html

        return subscriber_html(self)

    # Private.

    def _register(self, registration: Registration) -> None:
        is_running = self._runs.is_running
        if is_running:
            self._check_credentials({registration.name})
        self._callbacks.add(registration)
        if is_running:
            self._warn_of_filter(registration)
        self._runs.ask_for_features()

    def _open_stream(
        self, kinds: frozenset[type[Event]], timeout: float | None
    ) -> EventStream[Event]:
        self._refuse_in_callback("events")
        self._check_credentials({kind.event_type for kind in kinds})
        limit, is_wanted = self._options.queue_limit, self._runs.is_wanted
        stream: EventStream[Event] = EventStream(
            kinds or frozenset(EVENTS.values()) - {Frame}, timeout, limit, is_wanted
        )
        self._runs.add_stream(stream)
        return stream

    def _become_forked(self) -> None:
        """In a forked child: no thread of the present run is here, nor one that held a lock."""
        _started.pop(self._runs, None)
        self._runs.become_forked()

    def _restart_after_fork(self) -> None:
        if not self._options.restart_after_fork or self._runs.state is not State.FORKED:
            return
        try:
            self.start()
        except ConfigurationError as error:
            logger.warning("%s: not started anew after the fork: %s", self._name, error)

    def _stop_namesake(self) -> None:
        """A cell of a notebook that is run again makes another subscriber of the same name."""
        for other in running():
            if self._is_named and other is not self and other._is_named and other.name == self.name:
                logger.warning("%s: stopping the former subscriber of this name", self._name)
                other.stop()

    def _stop_or_warn(self, timeout: float) -> None:
        run = self._runs.present
        if self.stop(timeout) or run is None or run.dispatcher.is_current():
            return
        culprit = run.dispatcher.running_callback
        logger.warning(
            "%s: left with threads still running: %s",
            self._name,
            f"callback {culprit} has not returned" if culprit else "a name look-up has not ended",
        )

    def _wait_until(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait for something that this subscriber's threads bring about. For the testing
        package.
        """
        run = self._runs.present
        return predicate() if run is None else run.waiters.wait_until(predicate, timeout)

    def _wait_for_account(
        self, member: str, is_done: Callable[[], bool], what: Callable[[], str], timeout: float
    ) -> None:
        check_timeout(member, timeout)
        self._refuse_in_callback(member)
        run = self._runs.here()
        if is_done():
            return
        if run is None or not run.has_started or run.is_forked:
            raise RuntimeError(f"{member}: start the subscriber first")
        run.waiters.wait_until(lambda: is_done() or run.is_over, timeout)
        if is_done():
            return
        if run.error is not None:
            raise run.error
        if run.stop_requested:
            raise TimeoutError(f"{what()}: the subscriber was stopped")
        raise TimeoutError(f"{what()} (within {timeout:g} s)")

    def _wants_nothing(self) -> bool:
        wanted = self._runs.wanted
        markets_wanted = wanted.markets is None or bool(wanted.markets)
        if any(kind.event_type in self._callbacks.names() for kind in BROADCASTS):
            return False
        return not wanted.asset_ids and not (self._credentials is not None and markets_wanted)

    def _warn_of_nothing_wanted(self) -> None:
        if self._wants_nothing():
            logger.warning(
                "%s: nothing is wanted, so nothing is connected: give asset_ids, or credentials",
                self._name,
            )

    def _warn_of_filter(self, registration: Registration) -> None:
        absent = (registration.asset_ids or frozenset()) - self._runs.wanted.asset_ids
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
        if self._runs.is_in_callback:
            raise RuntimeError(f"{member}() waits, so it must not be called in a callback")


def _check_insecure(options: Options) -> None:
    for name, scheme in (("user_url", "wss"), ("rest_url", "https")):
        url = getattr(options, name)
        if is_readable_on_the_way(url) and not options.allow_insecure_credentials:
            raise ConfigurationError(
                f"Options.{name} is {url.partition(':')[0]}:// to another machine, where "
                f"credentials could be read on the way: use {scheme}://, or set "
                "allow_insecure_credentials=True"
            )


def _had_last_words(run: Engine) -> bool:
    """Whether its callbacks had their time to end after the fatal error or the request to stop."""
    return run.over_since is not None and time.monotonic() - run.over_since > _LAST_WORDS


def _forget(runs: Runs) -> None:
    """Their run has ended, or could not be started."""
    _started.pop(runs, None)
    if not _started:
        forget_levels()


_exit_hook = ExitHook(running, lambda subscriber: subscriber._runs.request_stop())
_fork_hook: ForkHook[Subscriber] = ForkHook(close_copies)

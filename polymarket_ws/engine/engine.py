"""One run of a Subscriber, from start to stop: its shards, its callback thread and what
they share.
"""

from __future__ import annotations

import functools
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from attrs import frozen

from .account.views import Account
from .books.book import NO_SNAPSHOT, BookCore
from .books.live_book import LiveBook
from .books.shelf import Books
from .channels import clob
from .channels.dialect import Dialect, Heartbeat
from .channels.market import MarketDialect, MarketView
from .channels.user import UserDialect, UserView
from .channels.view import View
from .channels.wanted import Wanted
from .clock import SYSTEM, Clock
from .connection.pacing import Pacer
from .credentials import Credentials
from .delivery.callbacks import Callbacks
from .delivery.dispatcher import Dispatcher
from .delivery.event_queue import Item
from .delivery.streams import EventStreams
from .errors import CallbackError, PolymarketWsError, forget_locals
from .events import CONTINUITY, CUSTOM_FEATURES, DATA, Event, Family, Scope, State
from .internal_errors import InternalErrors
from .logs import Log
from .options import Options
from .shards.broadcasts import Broadcasts
from .shards.merge import Merge
from .shards.partition import Partition
from .shards.shard import Shard
from .shards.standby import LeaderView
from .stats import Stats
from .subscriptions import Subscriptions
from .waiters import Waiters
from .wire.redaction import redact

logger = Log(__name__)

_BY_ASSET, _BY_MARKET, _OWN = Scope.ASSET, Scope.MARKET, Family.OWN  # asked of each event


class Missing(NamedTuple):
    """What is not ready; false when all is."""

    asset_ids: list[str]
    """Whose book is not live."""
    channels: list[str]
    """Not subscribed, each as a sentence names it."""

    def __bool__(self) -> bool:
        return bool(self.asset_ids or self.channels)


class Engine:
    """What exists from one start() to its stop. A restart makes a new one, so old threads touch
    only their own.

    `want` is called under the Subscriber's lock; everything else from any thread. `request_stop`
    takes no lock, so that a signal handler may call it.

    Args:
        books: The LiveBooks now; the Subscriber replaces what this returns, never changes it.
        on_end: Called on the callback thread when no callback will run any more.
    """

    def __init__(
        self,
        name: str,
        options: Options,
        credentials: Credentials | None,
        callbacks: Callbacks,
        books: Callable[[], Mapping[str, LiveBook]],
        on_end: Callable[[], None],
        clock: Clock = SYSTEM,
    ) -> None:
        self.name = name
        self._clock = clock
        self.account = Account()
        self.waiters = Waiters()
        self.subscriptions = Subscriptions()
        self.error: PolymarketWsError | None = None
        self.stop_requested = False
        self.exit_request: BaseException | None = None
        """The SystemExit or KeyboardInterrupt by which a callback ended the run."""
        self.is_forked = False
        """Whether its threads run in the parent of this process, and not here."""
        self.over_since: float | None = None
        """Monotonic time of the fatal error or the request to stop; None before."""
        self.streams = EventStreams()
        self.has_ended = False
        """Whether no callback will run any more."""
        self._options = options
        self._credentials = credentials
        self._callbacks = callbacks
        self._live_books = books
        self._on_end = on_end
        self._books: list[Books] = []  # of each market shard
        # Whether a market shard may have two connections at a time.
        self._is_doubled = options.standby or options.rotate_every is not None
        self._partition = Partition(options.max_assets_per_connection)
        self._pacer = Pacer()
        self._broadcasts = Broadcasts()
        self._internal_errors = InternalErrors()
        self._started_at: float | None = None
        self._closed = False
        self._joining: set[int] = set()  # threads that wait in join()
        self._shards: dict[str, Shard] = {}
        self._is_wanted: dict[str, bool] = {}
        self._ssl_context = functools.lru_cache(maxsize=1)(self._make_ssl_context)
        # Guards `error`, so that the first one counts.
        self._failing = threading.Lock()
        self.dispatcher = Dispatcher(
            name,
            callbacks,
            self.streams,
            limit=options.queue_limit,
            book_of=self._book_of,
            is_wanted=self.is_wanted,
            on_failure=self._take_callback_failure,
            on_exit=self._take_exit,
            on_internal_error=self.take_internal_error,
            fail=self.fail,
            last_duty=self._end_shards,
            ended=self._end,
            waiters=self.waiters,
        )

    def begin(self) -> None:
        """From here on there is something to stop and to wait for."""
        self._started_at = self._clock.monotonic()

    def start(self, former: Engine | None) -> None:
        """Start the callback thread; the shards' follow when something is wanted of them."""
        self.dispatcher.start(former.dispatcher if former is not None else None)

    def want(self, subscriptions: Subscriptions, cores: Mapping[str, BookCore]) -> None:
        """Subscribe to exactly this; starts a channel's shard when it is first needed."""
        self.subscriptions = subscriptions
        for channel in CHANNELS:
            for number, wanted in enumerate(channel.divide(self, cores)):
                name = channel.name if number == 0 else f"{channel.name}-{number + 1}"
                self._want(channel, name, number, wanted)

    def is_wanted(self, event: Event) -> bool:
        """Whether an event concerns what is subscribed now, by its class's scope."""
        scope = event.scope
        if scope is _BY_ASSET:
            # A gap of the user channel names no asset, and is for everybody.
            return event.concerns(self.subscriptions.asset_ids) or (
                event.__class__ in CONTINUITY and not event.assets
            )
        if scope is _BY_MARKET and event.family is _OWN:
            markets = self.subscriptions.markets
            return markets is None or getattr(event, "market", "").lower() in markets
        return True

    def fail(self, error: PolymarketWsError) -> None:
        """End the run by a fatal error; the first one counts. What is queued is still delivered."""
        with self._failing:
            if self.error is not None or self.stop_requested:
                return
            self.error, self.over_since = error, self._clock.monotonic()
        try:
            self._deliver([error])
        finally:
            self._stop_shards("failed")
            self.dispatcher.end()
            self.waiters.notify()

    def request_stop(self) -> None:
        """Ask all threads to end. Takes no lock, waits for nothing."""
        self.over_since = self.over_since or self._clock.monotonic()
        self.stop_requested = True
        self.dispatcher.abandon()  # first: no callback shall hear of books gone stale by it
        self._stop_shards("stopped")

    @property
    def locks(self) -> list[Any]:
        """What a call of a user may hold."""
        return [*self.waiters.locks, *self.streams.locks]

    def become_forked(self) -> None:
        """In a forked child: be over, since no thread of it exists here.

        The locks are replaced, not acquired: whoever held one stayed behind in the parent.
        """
        self._failing = threading.Lock()
        self.waiters.renew_locks()
        self.streams.renew_locks()
        if not self.has_started or self.has_ended:
            return
        self.is_forked, self.over_since = True, self.over_since or self._clock.monotonic()
        self._shards = {}  # they would say that they are open
        self.dispatcher.become_forked()
        self.streams.close()
        self.has_ended = True

    def wait_ended(self, timeout: float) -> bool:
        """Wait until no callback will run any more; False when the timeout passed first."""
        return self.waiters.wait_until(lambda: self.has_ended, timeout)

    def join(self, timeout: float) -> bool:
        """Wait for all threads to end; True when they have.

        False at once in a signal handler that interrupted this: the interrupted Thread.join may
        hold what the other would wait for.
        """
        caller, deadline = threading.get_ident(), self._clock.monotonic() + timeout
        if caller in self._joining:
            return False
        self._joining.add(caller)
        try:
            done = self.dispatcher.join(timeout)
            for shard in tuple(self._shards.values()):
                done = shard.join(max(0.0, deadline - self._clock.monotonic())) and done
        finally:
            self._joining.discard(caller)
        return done

    def _make_ssl_context(self) -> ssl.SSLContext:
        context = self._options.ssl_context or ssl.create_default_context()
        if context.verify_mode == ssl.CERT_NONE:
            logger.warning(
                "%s: Options.ssl_context verifies no certificate: anybody on the way can read and "
                "change what is sent",
                self.name,
            )
        return context

    @property
    def has_started(self) -> bool:
        return self._started_at is not None

    @property
    def is_over(self) -> bool:
        """Whether a fatal error or a request to stop ends it, or has."""
        return self.over_since is not None

    @property
    def state(self) -> State:
        if self.is_forked:
            return State.FORKED
        if self.error is not None:
            return State.FAILED
        if self.stop_requested:
            return State.STOPPED
        shards = self._wanted_shards()
        if not shards:
            return State.IDLE
        if all(shard.is_open for shard in shards):
            return State.DEGRADED if self.stale_books() else State.LIVE
        never = any(shard.failover.leader.generation == 0 for shard in shards)
        return State.CONNECTING if never else State.DEGRADED

    def stale_books(self) -> list[LiveBook]:
        """Subscribed books that were live once in this run and are not now."""
        settled = (None, NO_SNAPSHOT)
        return [b for b in self._live_books().values() if b.stale_reason not in settled]

    def missing(self, asset_ids: frozenset[str] | None) -> Missing:
        """What wait_ready waits for, of all that is subscribed or of these assets."""
        books = self._live_books()
        wanted = books.keys() if asset_ids is None else asset_ids
        absent = [id_ for id_ in wanted if id_ not in books or not books[id_].valid]
        if asset_ids is not None:
            return Missing(absent, [])
        return Missing(
            absent,
            [
                f"the {shard.failover.leader.channel} channel ({shard.name})"
                for shard in self._wanted_shards()
                if not shard.is_subscribed
            ],
        )

    @property
    def last_connection_error(self) -> str | None:
        """What the newest failed attempt or lost connection said."""
        told = [s.failover.leader.last_error for s in self._shards.values()]
        return next((text for text in told if text), None)

    def stats(self) -> Stats:
        now = self._clock.monotonic()
        shards, queue = tuple(self._shards.values()), self.dispatcher.queue
        connections = tuple(c for shard in shards for c in shard.stats(now))
        tallies = [c.tally for shard in shards for c in shard.failover.connections]
        events: Counter[str] = sum((t.events.copy() for t in tallies), Counter())
        return Stats(
            state=self.state,
            uptime=0.0 if self._started_at is None else now - self._started_at,
            connections=connections,
            events=dict(events),
            decode_errors=sum(t.decode_errors for t in tallies),
            slow_path=sum(t.slow_path for t in tallies),
            notices=sum(t.notices for t in tallies),
            duplicates=self.account.duplicates,
            late_changes=sum(b.counts.late_changes for b in self._books),
            held_overflows=sum(b.counts.held_overflows for b in self._books),
            gaps=sum(s.failover.gaps.told for s in shards),
            resyncs=sum(s.failover.gaps.ended for s in shards),
            failovers=sum(s.failover.failovers for s in shards),
            probes=sum(shard.probes for shard in shards),
            hash_checks=sum(b.counts.hash_checks for b in self._books),
            hash_mismatches=sum(b.counts.hash_mismatches for b in self._books),
            unverifiable=sum(b.counts.unverifiable for b in self._books),
            refresh_mismatches=sum(b.counts.refresh_mismatches for b in self._books),
            broadcast_duplicates=self._broadcasts.duplicates,
            top_mismatches=sum(b.counts.top_mismatches for b in self._books),
            reconnects=sum(max(0, c.generation - 1) for c in connections),
            internal_errors=self._internal_errors.count,
            callback_errors=self.dispatcher.callback_errors,
            dropped=queue.dropped,
            stream_dropped=self.streams.dropped,
            coalesced=queue.coalesced,
            queue_depth=self.dispatcher.waiting,
            queue_high_water=queue.high_water,
            pending=self.dispatcher.waiting + self.dispatcher.busy,
        )

    def _wanted_shards(self) -> list[Shard]:
        shards = tuple(self._shards.items())
        return [shard for channel, shard in shards if self._is_wanted.get(channel)]

    def _want(self, channel: Channel, name: str, number: int, wanted: Wanted) -> None:
        shard = self._shards.get(name)
        if shard is None:
            if wanted.is_empty or self.is_over or self._closed:
                return
            shard = self._make_shard(channel, name, number)
            shard.start()  # first, since whoever finds it in the dict may join it
            self._shards[name] = shard
        shard.want(wanted)
        self._is_wanted[name] = not wanted.is_empty
        if self.is_over or self._closed:  # the end came while this shard was being made
            shard.stop("stopped")

    def _make_shard(self, channel: Channel, name: str, number: int) -> Shard:
        heartbeat = clob.heartbeat(self._options.heartbeat_interval)
        return Shard(
            f"{self.name}-{name}",
            *channel.make(self, heartbeat),
            self._options,
            self._ssl_context,
            self._pacer,
            deliver=functools.partial(
                self._deliver, number=number if channel.shares_events else None
            ),
            fail=self.fail,
            on_internal_error=self.take_internal_error,
            hears=self._hears,
            on_end=self._end_streams,
            waiters=self.waiters,
            clock=self._clock,
        )

    def _divide_market(self, cores: Mapping[str, BookCore]) -> list[Wanted]:
        names = self._callbacks.names() | self.streams.names()
        custom = self._options.custom_features or bool(names & CUSTOM_FEATURES)
        parts = self._partition.assign(cores, lambda asset_id: cores[asset_id].market)
        return [Wanted(part, {a: cores[a] for a in part}, custom) for part in parts]

    def _make_market(self, heartbeat: Heartbeat) -> tuple[Dialect, View]:
        books = Books(self._options.verify)
        self._books.append(books)
        view = LeaderView(books, merge=Merge()) if self._is_doubled else MarketView(books)
        return MarketDialect(self._options.market_url, heartbeat), view

    def _divide_user(self, cores: Mapping[str, BookCore]) -> list[Wanted]:
        return [] if self._credentials is None else [Wanted(self.subscriptions.markets)]

    def _make_user(self, heartbeat: Heartbeat) -> tuple[Dialect, View]:
        assert self._credentials is not None  # or nothing is wanted of it
        dialect = UserDialect(self._options.user_url, heartbeat, self._credentials)
        return dialect, UserView(account=self.account)

    def _deliver(self, items: Sequence[Item], number: int | None = None) -> None:
        """Queue items; of a market shard, by its number, those that no other shard tells."""
        if number is not None and len(self._books) > 1:
            share = functools.partial(self._partition.share, number)
            shares = (share(item) if isinstance(item, Event) else item for item in items)
            items = [item for item in shares if item is not None]
        # One connection alone repeats a broadcast when the server does, and so do we.
        if number is not None and (len(self._books) > 1 or self._is_doubled):
            items = self._broadcasts.first(items)
        self.dispatcher.put(items)

    def _hears(self) -> frozenset[str]:
        names = self._callbacks.names() | self.streams.names()
        return names | DATA if "event" in names else names

    def _book_of(self, core: BookCore) -> LiveBook | None:
        book = self._live_books().get(core.asset_id)
        return book if book is not None and book._shows(core) else None

    def _stop_shards(self, reason: str) -> None:
        for shard in tuple(self._shards.values()):
            shard.stop(reason)

    def _end_shards(self) -> None:
        """The callback thread's last duty: the connections' last words have to come before
        its end.
        """
        self._closed = True
        self._stop_shards("stopped" if self.error is None else "failed")
        for shard in tuple(self._shards.values()):
            shard.join_thread()

    def _end_streams(self) -> None:
        """Nothing more will come, though a callback may still be busy with what did."""
        if self.is_over and all(shard.has_ended for shard in tuple(self._shards.values())):
            self.streams.end(self.error)

    def _end(self) -> None:
        try:
            self.streams.end(self.error)
            self._on_end()
        finally:
            self.has_ended = True

    def take_internal_error(self, where: str, error: Exception) -> bool:
        """Tell of an exception that was not foreseen, and end the run when there are too many;
        whether there are not.
        """
        forget_locals(error)  # it may have come while a key was sent
        told = PolymarketWsError(
            f"internal error in {where}, please report it: "
            f"{type(error).__name__}: {redact(str(error))}"
        )
        told.__cause__ = error
        are_too_many = self._internal_errors.take(self._clock.monotonic())
        if are_too_many:
            self.fail(told)
        else:
            self._deliver([told])
        logger.error("%s: %s", self.name, told, cause=error)
        return not are_too_many

    def _take_exit(self, request: BaseException) -> None:
        self.exit_request = request
        self.request_stop()

    def _take_callback_failure(self, failure: CallbackError) -> None:
        if self._options.callback_errors == "raise":
            self.fail(failure)
            self.dispatcher.abandon()


@frozen
class Channel:
    """What a run has to know of a channel; all else is its dialect and its view."""

    name: str
    divide: Callable[[Engine, Mapping[str, BookCore]], list[Wanted]]
    """What is wanted of each of its shards, given the books of the subscribed assets."""
    make: Callable[[Engine, Heartbeat], tuple[Dialect, View]]
    """A dialect and a view for one more shard."""
    shares_events: bool
    """Whether its shards receive each other's events, of which each is delivered once."""


# The user channel first, since many market shards take turns to connect.
CHANNELS = (
    Channel("user", Engine._divide_user, Engine._make_user, shares_events=False),
    Channel("market", Engine._divide_market, Engine._make_market, shares_events=True),
)

"""One run of a Subscriber, from start to stop: its shards, its callback thread and what
they share.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from polymarket_ws.account.core import AccountCore
from polymarket_ws.books.book import BookCore
from polymarket_ws.books.live_book import LiveBook
from polymarket_ws.clock import SYSTEM, Clock
from polymarket_ws.condition_ids import condition_key
from polymarket_ws.credentials import Credentials
from polymarket_ws.delivery.callbacks import Callbacks
from polymarket_ws.delivery.dispatcher import Dispatcher
from polymarket_ws.delivery.streams import EventStreams
from polymarket_ws.errors import CallbackError, PolymarketWsError, forget_locals
from polymarket_ws.events import CONTINUITY, Event, Family, Scope, State
from polymarket_ws.internal_errors import InternalErrors
from polymarket_ws.logs import Log
from polymarket_ws.options import Options
from polymarket_ws.stats import Stats
from polymarket_ws.subscriptions import Subscriptions
from polymarket_ws.waiters import Waiters
from polymarket_ws.wire.redaction import redact

from .readiness import Readiness
from .run_shards import RunShards
from .run_stats import add_up

logger = Log(__name__)

_BY_ASSET, _BY_MARKET, _OWN = Scope.ASSET, Scope.MARKET, Family.OWN  # asked of each event


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
        self.account = AccountCore(
            credentials.api_key if credentials is not None else "",
            deliver_duplicates=options.deliver_duplicates,
            tick_of=self._tick_of,
        )
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
        self._live_books = books
        self._on_end = on_end
        self._internal_errors = InternalErrors()
        self._started_at: float | None = None
        self._joining: set[int] = set()  # threads that wait in join()
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
        self.shards = RunShards(
            name=name,
            options=options,
            credentials=credentials,
            callbacks=callbacks,
            streams=self.streams,
            account=self.account,
            waiters=self.waiters,
            clock=clock,
            put=self.dispatcher.put,
            fail=self.fail,
            on_internal_error=self.take_internal_error,
            on_end=self._end_streams,
        )
        self.readiness = Readiness(self.shards, books)

    def begin(self) -> None:
        """From here on there is something to stop and to wait for."""
        self._started_at = self._clock.monotonic()

    def start(self, former: Engine | None) -> None:
        """Start the callback thread; the shards' follow when something is wanted of them."""
        self.dispatcher.start(former.dispatcher if former is not None else None)

    def want(self, subscriptions: Subscriptions, cores: Mapping[str, BookCore]) -> None:
        """Subscribe to exactly this; starts a channel's shard when it is first needed."""
        self.subscriptions = subscriptions
        self.shards.want(subscriptions, cores)

    def is_wanted(self, event: Event) -> bool:
        """Whether an event concerns what is subscribed now, by its class's scope."""
        scope = event.scope
        if scope is _BY_ASSET:
            # A gap of the user channel names no asset, and is for everybody.
            return event.concerns(self.subscriptions.asset_ids) or (
                event.__class__ in CONTINUITY and not event.assets
            )
        if scope is _BY_MARKET and event.family is _OWN:
            markets, market = self.subscriptions.markets, getattr(event, "market", None)
            return markets is None or market is None or condition_key(market) in markets
        return True

    def fail(self, error: PolymarketWsError) -> None:
        """End the run by a fatal error; the first one counts. What is queued is still delivered."""
        with self._failing:
            if self.error is not None or self.stop_requested:
                return
            self.error, self.over_since = error, self._clock.monotonic()
        try:
            self.dispatcher.put([error])
        finally:
            self.shards.stop("failed")
            self.dispatcher.end()
            self.waiters.notify()

    def request_stop(self, *, drain: bool = False) -> None:
        """Ask all threads to end. Takes no lock, waits for nothing.

        Args:
            drain: Whether callbacks handle what is queued first, while books stay live.
        """
        self.over_since = self.over_since or self._clock.monotonic()
        self.stop_requested = True
        if drain:
            self.dispatcher.drain()  # its last duty stops the shards
            return
        self.dispatcher.abandon()  # first: no callback shall hear of books gone stale by it
        self.shards.stop("stopped")

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
        self.shards.become_forked()
        self.account.completeness.interrupt()
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
            done = self.dispatcher.join(min(timeout, threading.TIMEOUT_MAX))
            for shard in self.shards:
                left = min(max(0.0, deadline - self._clock.monotonic()), threading.TIMEOUT_MAX)
                done = shard.join(left) and done
        finally:
            self._joining.discard(caller)
        return done

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
        return self.readiness.state

    def stats(self) -> Stats:
        uptime = self._clock.monotonic() - self._started_at if self._started_at is not None else 0.0
        return add_up(
            self.shards,
            self.dispatcher,
            state=self.state,
            uptime=uptime,
            internal_errors=self._internal_errors.count,
        )

    def _book_of(self, core: BookCore) -> LiveBook | None:
        book = self._live_books().get(core.asset_id)
        return book if book is not None and book._shows(core) else None

    def _tick_of(self, asset_id: str) -> Decimal | None:
        book = self._live_books().get(asset_id)
        return None if book is None else book.tick_size

    def _end_shards(self) -> None:
        """The callback thread's last duty: the connections' last words have to come before
        its end.
        """
        self.shards.stop("stopped" if self.error is None else "failed")
        for shard in self.shards:
            shard.join_thread()

    def _end_streams(self) -> None:
        """Nothing more will come, though a callback may still be busy with what did."""
        if self.is_over and all(shard.has_ended for shard in self.shards):
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
            self.dispatcher.put([told])
        logger.error("%s: %s", self.name, told, cause=error)
        return not are_too_many

    def _take_exit(self, request: BaseException) -> None:
        self.exit_request = request
        self.request_stop()

    def _take_callback_failure(self, failure: CallbackError) -> None:
        if self._options.callback_errors == "raise":
            self.fail(failure)
            self.dispatcher.abandon()

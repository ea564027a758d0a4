"""The one thread that runs user code: in order, one callback at a time, whatever it does."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence

from polymarket_ws.books.book import BookCore
from polymarket_ws.books.live_book import LiveBook
from polymarket_ws.errors import CallbackError, PolymarketWsError, QueueOverflow
from polymarket_ws.events import LIFECYCLE, Event
from polymarket_ws.logs import Log
from polymarket_ws.milestones import is_milestone
from polymarket_ws.waiters import Waiters

from .callbacks import Callbacks, Registration, callback_name
from .event_queue import EventQueue, Item
from .streams import EventStreams

logger = Log(__name__)

_MOST_AT_ONCE = 64
_PLACE = "the callback thread"


class Dispatcher:
    """Hands events over to callbacks and streams. One for each run; made by it, ends with it.

    Its thread, `polymarket-ws-<name>-callbacks`, is a daemon, so that a callback that never returns
    cannot keep the process alive. It ends when `end` or `abandon` was called and its last duty is
    done.

    Args:
        name: The subscriber's, for the thread and the logs.
        callbacks: What to call.
        streams: Who pulls events on a thread of their own.
        limit: `Options.queue_limit`.
        book_of: The LiveBook of a core; None when it is not subscribed any more.
        is_wanted: Whether an event concerns what is subscribed now.
        on_failure: Called on this thread with what a callback raised.
        on_exit: Called on this thread with a SystemExit or KeyboardInterrupt of a callback.
        on_internal_error: Called on this thread with an exception that is no callback's; whether to
            go on.
        fail: Takes a fatal error: one's own events are too many (on a receiving thread).
        last_duty: Called on this thread at its end, before the last lifecycle events are delivered.
        ended: Called on this thread when no callback will run any more.
        waiters: Told after each callback.
    """

    def __init__(
        self,
        name: str,
        callbacks: Callbacks,
        streams: EventStreams,
        *,
        limit: int,
        book_of: Callable[[BookCore], LiveBook | None],
        is_wanted: Callable[[Event], bool],
        on_failure: Callable[[CallbackError], None],
        on_exit: Callable[[BaseException], None],
        on_internal_error: Callable[[str, Exception], bool],
        fail: Callable[[PolymarketWsError], None],
        last_duty: Callable[[], None],
        ended: Callable[[], None],
        waiters: Waiters,
    ) -> None:
        self.name = name
        self.queue = EventQueue(limit)
        self.callback_errors = 0
        self.discarded = 0
        """What was queued, and given to no callback since the end came first."""
        self.busy = False
        self._callbacks = callbacks
        self._book_of = book_of
        self._is_wanted = is_wanted
        self._on_failure = on_failure
        self._on_exit = on_exit
        self._on_internal_error = on_internal_error
        self._fail = fail
        self._last_duty = last_duty
        self._ended = ended
        self._waiters = waiters
        self._streams = streams
        # A SimpleQueue, for its put() may interrupt itself: a signal handler wakes through it.
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        # At a time, under one lock: so few that the bound of the queue is kept within a thousandth.
        self._batch = max(1, min(_MOST_AT_ONCE, limit // 1000))
        self._taken: deque[Item] = deque()
        self._idle = False
        self._ending = False
        self._abandoned = False
        self._draining = False
        self._is_forked = False
        self._told_drops = 0
        self._repeats: Counter[tuple[Registration, type[BaseException]]] = Counter()
        self._thread = threading.Thread(
            target=self._main, name=f"polymarket-ws-{name}-callbacks", daemon=True
        )
        self._joinable = False
        self._former: Dispatcher | None = None
        self._running: Registration | None = None

    def start(self, former: Dispatcher | None) -> None:
        """Start the thread. It first waits for that of the former run, whose callback may have
        asked for this.
        """
        self._former = former
        if self._abandoned and former is not None:  # since before this thread's start
            former.abandon()
        self._thread.start()
        self._joinable = True

    @property
    def waiting(self) -> int:
        """How many items wait for their callbacks."""
        return len(self.queue) + len(self._taken)

    @property
    def running_callback(self) -> str:
        """The name of the callback that runs now; "" while none does."""
        running = self._running
        return callback_name(running.callback) if running is not None else ""

    def put(self, items: Sequence[Item]) -> None:
        """Queue what one read brought. Any thread; never blocks on user code."""
        if self._abandoned or self._draining:
            items = [item for item in items if type(item) in LIFECYCLE]
        self._streams.put(items)
        heard = self._heard(items)
        if not heard:
            return
        try:
            self.queue.put(heard)
        except QueueOverflow as overflow:
            self._fail(overflow)
        self._tell_drops()
        if self._idle:
            self._idle = False
            self._wake.put(None)

    def end(self) -> None:
        """Deliver what is queued, then end."""
        self._ending = True
        self._wake.put(None)

    def drain(self) -> None:
        """Deliver what is queued by now, then end; what comes later is not taken."""
        self._draining = True
        self.end()

    def abandon(self) -> None:
        """Call nothing any more but for the last lifecycle events. Takes no lock, for signal
        handlers.
        """
        self._abandoned = True
        self.end()
        former = self._former
        if former is not None:
            former.abandon()

    def is_current(self) -> bool:
        """Whether the caller is a callback, of this run or of a former one that still ends."""
        if self._is_forked:
            return False
        former = self._former
        return threading.current_thread() is self._thread or (
            former is not None and former.is_current()
        )

    def become_forked(self) -> None:
        """In a forked child: call nothing any more. A callback that forked goes on in the child,
        and its thread ends there when it returns.
        """
        self._is_forked = self._abandoned = True
        self.queue.renew_locks()

    def join(self, timeout: float | None) -> bool:
        """Wait for the thread to end; True when it has, or was never started."""
        if self._joinable:  # a stop() may fall into start(), where it has an ident before
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _heard(self, items: Sequence[Item]) -> list[Item]:
        """What somebody listens for: asked once for each kind, since a read brings many of few."""
        answers: dict[type[Item], bool] = {}
        heard: list[Item] = []
        for item in items:
            kind = item.__class__
            if kind not in answers:
                answers[kind] = self._is_heard(item)
            if answers[kind]:
                heard.append(item)
        return heard

    def _is_heard(self, item: Item) -> bool:
        if isinstance(item, BookCore):
            return bool(self._callbacks["book_update"])
        if isinstance(item, PolymarketWsError):
            return bool(self._callbacks["error"])
        return bool(self._callbacks.for_event(item))

    def _tell_drops(self) -> None:
        """One WARNING when dropping begins, and one each time that the count has grown tenfold."""
        dropped = self.queue.dropped
        if dropped and dropped >= 10 * self._told_drops:
            self._told_drops = dropped
            logger.warning(
                "%s: callbacks are too slow: %d of the oldest market-data events dropped so far",
                self.name,
                dropped,
            )

    def _main(self) -> None:
        if self._former is not None:
            self._former.join(None)
            self._former = None
        try:
            self._do(self._handle_all)
            if not self._is_forked:
                self._do(self._last_duty)
                self._do(self._handle_rest)
                self._do(self._summarize)
        except BaseException as error:  # a log handler's SystemExit, a greenlet that is killed
            told = PolymarketWsError(f"internal error in {_PLACE}: {type(error).__name__}")
            told.__cause__ = error
            self._fail(told)
            self._last_duty()
            logger.error(
                "%s: the callback thread failed; please report this", self.name, cause=error
            )
        finally:
            self._ended()
            self._waiters.notify()

    def _do(self, part: Callable[[], None]) -> None:
        """Do a part of its work, and go on with it after exceptions that were not foreseen: one
        costs the item at which it came.
        """
        is_done = False
        while not is_done:
            try:
                part()
                is_done = True
            except Exception as error:
                is_done = not self._on_internal_error(_PLACE, error)

    def _handle_all(self) -> None:
        while not self._abandoned:
            item = self._next()
            if item is not None:
                self._handle(item)
            elif self._ending:
                return
            else:
                self._waiters.notify()
                self._sleep()

    def _handle_rest(self) -> None:
        """After the connections have ended: their last words, and nothing else once abandoned."""
        while (item := self._next()) is not None:
            if not self._abandoned or type(item) in LIFECYCLE:
                self._handle(item)
            else:
                self.discarded += 1

    def _next(self) -> Item | None:
        taken = self._taken
        if not taken:
            self.busy = True  # before they leave the queue, so that one is pending throughout
            taken.extend(self.queue.pop_some(self._batch))
        self.busy = bool(taken)
        return taken.popleft() if taken else None

    def _sleep(self) -> None:
        self._idle = True
        if len(self.queue) or self._ending:  # came between the last look and the flag
            self._idle = False
            return
        with contextlib.suppress(queue.Empty):
            self._wake.get(timeout=1.0)
        self._idle = False

    def _handle(self, item: Item) -> None:
        if isinstance(item, BookCore):
            self._handle_book(item)
        elif isinstance(item, PolymarketWsError):
            for registration in self._callbacks["error"]:
                self._call(registration, item)
        else:
            for registration in self._callbacks.for_event(item):
                if registration.matches(item) and self._is_wanted(item):
                    self._call(registration, item)

    def _handle_book(self, core: BookCore) -> None:
        book = self._book_of(core)
        if book is None:
            return
        for registration in self._callbacks["book_update"]:
            if registration.matches_book(core.asset_id, core.market) and registration.is_news(
                core.asset_id, book
            ):
                self._call(registration, book)

    def _call(self, registration: Registration, argument: Event | LiveBook | Exception) -> None:
        if self._abandoned and type(argument) not in LIFECYCLE:
            return
        self._running = registration
        try:
            registration.call(argument)
        except (SystemExit, KeyboardInterrupt) as error:  # user code wants to end
            self._on_exit(error)
            logger.info("%s: stopping, since a callback raised %s", self.name, type(error).__name__)
        except BaseException as error:  # a CancelledError or GeneratorExit, too, is the callback's
            self._take_failure(registration, argument, error)
        finally:
            self._running = None

    def _take_failure(
        self,
        registration: Registration,
        argument: Event | LiveBook | Exception,
        error: BaseException,
    ) -> None:
        self.callback_errors += 1
        failure = CallbackError(registration.callback, argument, error)
        self._log_failure(registration, failure)
        if registration.name != "error":  # an on_error that raises is logged only
            for listener in self._callbacks["error"]:
                self._call(listener, failure)
        self._on_failure(failure)

    def _log_failure(self, registration: Registration, failure: CallbackError) -> None:
        """The first of a callback's like failures with its traceback; then the count at 10, 100,
        1000, ...
        """
        kind = (registration, type(failure.cause))
        self._repeats[kind] += 1
        count = self._repeats[kind]
        if count == 1:
            logger.error(
                "%s: on_%s: %s", self.name, registration.name, failure, cause=failure.cause
            )
        elif is_milestone(count):
            logger.error("%s: on_%s: %s (%d times)", self.name, registration.name, failure, count)

    def _summarize(self) -> None:
        for (registration, kind), count in self._repeats.items():
            if count > 1:
                name = callback_name(registration.callback)
                logger.error("%s: %s raised %s %d times", self.name, name, kind.__name__, count)

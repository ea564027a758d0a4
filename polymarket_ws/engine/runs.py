"""The runs of one subscriber, one after the other, and what goes on from each to the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakSet

from polymarket_ws.account.core import AccountCore
from polymarket_ws.books.book import BookCore
from polymarket_ws.books.live_book import LiveBook
from polymarket_ws.credentials import Credentials
from polymarket_ws.delivery.callbacks import Callbacks
from polymarket_ws.delivery.streams import EventStream
from polymarket_ws.events import Event, State
from polymarket_ws.logs import Log
from polymarket_ws.options import Options
from polymarket_ws.process import how_to_start_in_child, is_outdated
from polymarket_ws.subscriptions import Subscriptions

from .engine import Engine

logger = Log(__name__)

_LOG_SECONDS = 1.0  # that a log may take to tell of a fork


class Runs:
    """What is wanted, the books that users hold, and the present run. Made by a Subscriber.

    A restart and a forked child make a new run, with new cores; the LiveBooks stay the same, and
    show the new ones. Any thread may call everything.

    Args:
        on_end: Called with this, under its lock, when no callback will run any more.
    """

    def __init__(
        self,
        name: str,
        options: Options,
        credentials: Credentials | None,
        callbacks: Callbacks,
        on_end: Callable[[Runs], object],
    ) -> None:
        self.name = name
        self.wanted = Subscriptions()
        self.books: dict[str, LiveBook] = {}
        """Replaced whole, so that readers need no lock."""
        self.present: Engine | None = None
        """The newest run, over or not; None before anything asked for one."""
        # Guards what is wanted and which run is the present one; nothing is waited for under it.
        self.lock = threading.RLock()
        self._options = options
        self._credentials = credentials
        self._callbacks = callbacks
        self._on_end = on_end
        self._cores: dict[str, BookCore] = {}
        # All that LiveBooks ever showed: a reader may still hold one of an unsubscribed asset.
        self._made_cores: WeakSet[BookCore] = WeakSet()
        self._told_fork = True
        self._no_account = AccountCore()

    @property
    def state(self) -> State:
        run = self.present
        return State.IDLE if run is None or not run.has_started else run.state

    @property
    def is_running(self) -> bool:
        """Whether a run has started, and nothing has begun to end it."""
        return self.present is not None and self.present.has_started and not self.present.is_over

    @property
    def is_in_callback(self) -> bool:
        """Whether the calling thread is the one that calls back."""
        return self.present is not None and self.present.dispatcher.is_current()

    @property
    def account(self) -> AccountCore:
        run = self.here()
        return run.account if run is not None else self._no_account

    def confirm_account(self) -> bool:
        """Take the account for complete, if its channel is open."""
        run = self.here()
        if run is None or not run.has_started:
            return False
        # Read first: a channel that is closed meanwhile is one interruption more.
        seen = run.account.completeness.interruptions
        if not any(s.failover.leader.channel == "user" and s.is_open for s in run.shards):
            return False
        run.account.completeness.settle(seen)
        return run.account.complete

    @property
    def locks(self) -> Iterator[Any]:
        """What the calling thread may hold when it is interrupted in a member."""
        yield self.lock
        yield from self._callbacks.locks
        yield from self.present.locks if self.present is not None else ()
        for core in self._cores.values():
            yield core.lock

    def here(self) -> Engine | None:
        """The present run, with one WARNING when it is of the parent process."""
        run = self.present
        if not self._told_fork and run is not None and run.is_forked:
            self._told_fork = True
            # Another thread of the parent may have been writing to the same log at the fork; then
            # whoever logs in the child waits for ever (Python does not renew a file's lock).
            telling = threading.Thread(target=self._warn_of_fork, daemon=True)
            telling.start()
            telling.join(_LOG_SECONDS)
        return run

    def make(self) -> Engine:
        """A run that has not started."""
        return Engine(
            self.name,
            self._options,
            self._credentials,
            self._callbacks,
            books=lambda: self.books,
            on_end=self._end,
        )

    def is_wanted(self, event: Event) -> bool:
        return self.present is None or self.present.is_wanted(event)

    def want(self, subscriptions: Subscriptions) -> None:
        """Take over what is wanted; called under the lock, or before any other thread is there.

        Raises:
            OSError, RuntimeError: the system has no descriptor or thread left for it.
        """
        self.wanted = subscriptions
        wanted = subscriptions.asset_ids
        added = {id_: self._make_core(id_) for id_ in sorted(wanted - self._cores.keys())}
        for id_, asset in subscriptions.assets.items():
            if id_ in self._cores:
                self._cores[id_].asset = asset
        self._cores = {id_: c for id_, c in {**self._cores, **added}.items() if id_ in wanted}
        for id_ in self.books.keys() - wanted:
            self.books[id_]._leave()
        self.books = {
            id_: self.books.get(id_) or LiveBook(core) for id_, core in self._cores.items()
        }
        self.ask_for_features()

    def ask_for_features(self) -> None:
        """A new listener may need custom_feature_enabled."""
        with self.lock:
            if self.present is not None and self.present.has_started:
                self.present.want(self.wanted, self._cores)

    def add_stream(self, stream: EventStream[Event]) -> None:
        """Feed a stream from the present run, or from the next when none was started yet."""
        self.here()
        with self.lock:
            run = self.present = self.present or self.make()
            run.streams.add(stream)
        if run.is_over:
            stream.end(run.error)
        self.ask_for_features()

    def start(self, on_begin: Callable[[], object]) -> bool:
        """Start a run, unless one is running; whether it did.

        Args:
            on_begin: Called under the lock, once its first thread runs.
        """
        if is_outdated(self.lock):
            self._renew_locks()
        with self.lock:
            if self.is_running:
                return False
            former = self.present
            if former is None or former.has_started:
                self._begin(self.make(), former, on_begin)
            else:
                self._begin(former, None, on_begin)
        return True

    def _begin(self, run: Engine, former: Engine | None, on_begin: Callable[[], object]) -> None:
        run.begin()  # first: whoever waits takes a run that has not begun for none
        self.present = run
        if former is not None:
            self._cores = {id_: self._make_core(id_) for id_ in self._cores}
            for id_, core in self._cores.items():
                self.books[id_]._show(core)
        try:
            run.start(None if former is not None and former.is_forked else former)
            on_begin()
            run.want(self.wanted, self._cores)
        except (OSError, RuntimeError):  # no thread or descriptor is to be had
            run.request_stop()
            if run.dispatcher.join(0.0):  # its thread never began, so nothing else will say it
                run.has_ended = True
            self._on_end(self)
            raise

    def request_stop(self, *, drain: bool = False) -> Engine | None:
        """Ask the present run to end; returns it, None when there is nothing to end."""
        run = self.present
        if run is None or not run.has_started or run.is_forked:
            return None
        run.request_stop(drain=drain and not run.is_over)
        return run

    def become_forked(self) -> None:
        """In a forked child: no thread of the present run is here, nor one that held a lock."""
        run = self.present
        if run is not None:
            run.become_forked()
            self._told_fork = not run.is_forked
        if run is not None and run.is_forked:
            for core in list(self._made_cores):
                core.become_forked()
        self._renew_locks()
        self.want(self.wanted)  # another thread may have been half through it

    def _renew_locks(self) -> None:
        self.lock = threading.RLock()
        self._callbacks.renew_locks()
        for core in list(self._made_cores):
            core.renew_locks()

    def _make_core(self, asset_id: str) -> BookCore:
        core = BookCore(asset_id, asset=self.wanted.assets.get(asset_id))
        self._made_cores.add(core)
        return core

    def _end(self) -> None:
        with self.lock:
            if self.present is None or self.present.is_over:
                self._on_end(self)

    def _warn_of_fork(self) -> None:
        logger.warning(
            "%s: this process was forked from the one that started it, so nothing feeds it here: "
            "%s",
            self.name,
            how_to_start_in_child(),
        )

"""`polymarket-ws stream`: the events of some assets on stdout, one line each."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from attrs import define, field

from polymarket_ws.asset import Asset, name_of
from polymarket_ws.delivery.streams import EventStream
from polymarket_ws.events import Connected, Disconnected, Event
from polymarket_ws.logs import Log
from polymarket_ws.options import Options
from polymarket_ws.subscriber import Subscriber

from . import interrupts

logger = Log(__name__)

HINT_SECONDS = 10.0  # a snapshot comes within one round trip of the subscription

ENDED, FAILED = 0, 1


@define(eq=False)
class StreamCommand:
    """One run of the command, on the caller's thread.

    Raises:
        ConfigurationError: wrong ids.
    """

    asset_ids: Sequence[str | Asset]
    kinds: Sequence[type[Event]]
    """What to write."""
    line_of: Callable[[Event], str]
    seconds: float | None
    options: Options
    _subscriber: Subscriber = field(init=False)
    _connected: bool = False
    _last_failure: Disconnected | None = None
    _hinted: bool = False

    def __attrs_post_init__(self) -> None:
        self._subscriber = Subscriber(self.asset_ids, options=self.options, name="stream")

    def run(self) -> int:
        """Write lines to stdout until the end; returns the exit code.

        Raises:
            PolymarketWsError: the fatal error that ended it.
            BrokenPipeError: the reader of stdout has gone.
        """
        begun_at = time.monotonic()
        # A stream is registered before the start, so that the very first event is not missed.
        with (
            self._subscriber.events(*self.kinds, Connected, Disconnected) as events,
            interrupts.handled(self._ask_to_end),
            self._subscriber,
        ):
            timed_out = self._copy(events, begun_at)
            return self._judge(timed_out)

    def _ask_to_end(self) -> None:
        self._subscriber.stop(timeout=0)

    def _copy(self, events: EventStream[Event], begun_at: float) -> bool:
        """Write what comes; True when the seconds have passed, False when it was stopped."""
        hint_at = begun_at + HINT_SECONDS
        end_at = float("inf") if self.seconds is None else begun_at + self.seconds
        while (now := time.monotonic()) < end_at:
            if now >= hint_at:
                self._hint()
                hint_at = float("inf")
            until = min(end_at, hint_at)
            event = events.next_within(None if until == float("inf") else until - now)
            if event is not None:
                self._take(event)
            elif events.ended or self._subscriber.state == "STOPPED":
                return False
        return True

    def _take(self, event: Event) -> None:
        if isinstance(event, Connected):
            self._connected = True
        elif isinstance(event, Disconnected):
            self._last_failure = event
        if type(event) in self.kinds:
            sys.stdout.write(f"{self.line_of(event)}\n")
            sys.stdout.flush()

    def _judge(self, timed_out: bool) -> int:
        if timed_out and not self._connected:
            told = self._last_failure
            cause = f": {told.reason}: {told.detail}" if told is not None else ""
            logger.error("no connection within %g s%s", self.seconds, cause)
            return FAILED
        if timed_out:
            self._hint()
        return ENDED

    def _hint(self) -> None:
        """Say once which assets the server seems not to know; it leaves them out."""
        books = self._subscriber.books.values()
        absent = [name_of(book.asset_id, book.asset) for book in books if not book.market]
        if absent and self._connected and not self._hinted:
            self._hinted = True
            logger.warning(
                "no book came for %s: token ids have about 77 digits, and the market must be open",
                ", ".join(sorted(absent)),
            )

"""`polymarket-ws demo`: a simulated exchange, a real socket, live books, and a connection that is cut once."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import define, field

from ..books import LiveBook
from ..credentials import Credentials
from ..event_stream import EventStream
from ..events import Connected, Disconnected, Event, LastTradePrice, Order, Trade
from ..subscriber import Subscriber
from ..testing import FakeServer, SimulatedExchange
from . import interrupts
from .event_lines import level_text, short
from .screen import Line, Screen, is_terminal
from .table import table

STEPS_PER_SECOND = 40.0
REDRAW_SECONDS = 0.1
TELL_SECONDS = 1.0  # between two lines about the books where there is no table
MOST_OUTAGE_SECONDS = 1.5
GRACE_SECONDS = 10.0  # past the end, for a recovery that a busy machine delays
TRADES_SHOWN, HAPPENINGS_SHOWN = 5, 5


@define(eq=False)
class Demo:
    """One run of the demo, on the caller's thread.

    It pulls events with `Subscriber.events` and reads `Subscriber.books`; both are safe on any thread.
    """

    seconds: float
    _exchange: SimulatedExchange = field(factory=SimulatedExchange)
    _server: FakeServer = field(init=False)
    _subscriber: Subscriber = field(init=False)
    _ending: bool = False
    _begun_at: float = 0.0
    _cut_at: float | None = None
    _listening: bool = True
    _stale: int = 0
    _cut_reason: str = ""
    _recovered: Connected | None = None
    _trades: deque[str] = field(factory=lambda: deque(maxlen=TRADES_SHOWN))
    _happenings: deque[Line] = field(factory=lambda: deque(maxlen=HAPPENINGS_SHOWN))
    _tell: Callable[[str], None] = field(init=False, default=lambda _: None)

    def __attrs_post_init__(self) -> None:
        self._server = FakeServer(self._exchange)

    def run(self) -> int:
        """Show it until its seconds have passed or Ctrl-C; returns the exit code, which is 0."""
        with interrupts.handled(self._ask_to_end), self._server:
            self._subscriber = self._make_subscriber()
            kinds = (LastTradePrice, Order, Trade, Connected, Disconnected)
            with self._subscriber.events(*kinds) as events, self._subscriber:
                self._server.run(STEPS_PER_SECOND)
                self._begun_at = time.monotonic()
                self._show(events)
                summary = self._summary()
        columns = min(100, shutil.get_terminal_size().columns)
        sys.stdout.write(f"\n{textwrap.fill(summary, max(20, columns - 1))}\n")
        sys.stdout.flush()
        return 0

    def _ask_to_end(self) -> None:
        self._ending = True

    def _make_subscriber(self) -> Subscriber:
        options = self._server.options(backoff_cap=0.5)  # an outage of seconds, not of minutes
        # The fake server lets anyone in; own events are those of the exchange's own key.
        credentials = Credentials(self._exchange.api_key, "demo", "demo")
        asset_ids = self._exchange.asset_ids
        return Subscriber(asset_ids, credentials=credentials, options=options, name="demo")

    def _show(self, events: EventStream[Event]) -> None:
        if not is_terminal(sys.stdout):
            self._tell = _print
            self._follow(events, TELL_SECONDS, self._tell_books)
            return
        with Screen(sys.stdout) as screen:
            self._follow(events, REDRAW_SECONDS, lambda: screen.draw(self._picture(screen.size[0])))

    def _follow(
        self, events: EventStream[Event], every: float, show: Callable[[], None]
    ) -> None:
        for tick in self._ticks():
            self._play_outage()
            if tick >= every:
                show()
            event = events.next_within(REDRAW_SECONDS)
            if event is not None:
                self._take(event)
        show()

    def _ticks(self) -> Iterator[float]:
        raise NotImplementedError

"""What goes wrong in the demo: a cut of all connections, and what happens to own orders in it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import Enum, auto
from typing import Any

from attrs import define

from polymarket_ws.testing import FakeServer, SimulatedExchange

CUT_AFTER = 0.4  # of the demo's seconds
OUTAGE, MOST_OUTAGE_SECONDS = 0.15, 1.5
PLACING_SECONDS = 1.0  # for the orders to be told before the cut
SHARES = Decimal(20)


class Stage(Enum):
    """How far it has come; one follows the other."""

    BEFORE = auto()
    PLACED = auto()
    """Two own orders rest."""
    CUT = auto()
    """One of them was cancelled and one was filled, and nobody was told."""
    OVER = auto()


@define(eq=False)
class Outage:
    """Used by the demo's thread, which calls `turn` often."""

    _server: FakeServer
    _seconds: float
    """How long the demo takes."""
    stage: Stage = Stage.BEFORE
    _since: float = 0.0
    _to_cancel: str = ""
    _to_fill: str = ""

    def turn(self, elapsed: float, is_known: Callable[[str], bool], now_ms: int) -> None:
        """Do what is due.

        Args:
            elapsed: Seconds since the demo began.
            is_known: Whether an order was told.
            now_ms: The time, milliseconds since 1970.
        """
        waited = elapsed - self._since
        if self.stage is Stage.BEFORE and elapsed >= CUT_AFTER * self._seconds:
            self._enter(Stage.PLACED, elapsed)
            self._server.play(lambda exchange: exchange.advance(max(0, now_ms - exchange.now_ms)))
            self._server.play(self._place)
        elif self.stage is Stage.PLACED and (
            waited >= PLACING_SECONDS or (is_known(self._to_cancel) and is_known(self._to_fill))
        ):
            self._enter(Stage.CUT, elapsed)
            self._server.stop_listening()
            self._server.disconnect()
            self._server.play(self._change)
        elif self.stage is Stage.CUT and waited >= self._outage:
            self._enter(Stage.OVER, elapsed)
            self._server.listen_again()

    @property
    def _outage(self) -> float:
        return min(MOST_OUTAGE_SECONDS, OUTAGE * self._seconds)

    def _enter(self, stage: Stage, elapsed: float) -> None:
        self.stage, self._since = stage, elapsed

    def _place(self, exchange: SimulatedExchange) -> list[dict[str, Any]]:
        """A bid that nobody reaches, and one at the top of the book."""
        asset_id = exchange.asset_ids[0]
        book = exchange.book(asset_id)
        size = max(SHARES, Decimal(exchange.hash_parameters(asset_id)[0]))
        lowest = book.tick_size or Decimal("0.01")
        best = book.bids[0].price if book.bids else lowest
        events = exchange.place(asset_id, "BUY", lowest, size, own=True)
        self._to_cancel = exchange.open_orders[-1].id
        events += exchange.place(asset_id, "BUY", best, size, own=True)
        self._to_fill = exchange.open_orders[-1].id
        return events

    def _change(self, exchange: SimulatedExchange) -> list[dict[str, Any]]:
        """Cancel the one and fill the other, as far as they rest."""
        resting = {order.id: order for order in exchange.open_orders}
        events: list[dict[str, Any]] = []
        if self._to_cancel in resting:
            events += exchange.cancel(self._to_cancel)
        if self._to_fill in resting:
            own = resting[self._to_fill]
            bids = exchange.book(own.asset_id).bids
            size = sum((bid.size for bid in bids if bid.price >= own.price), Decimal(0))
            events += exchange.place(own.asset_id, "SELL", own.price, size, order_type="FAK")
        return events

"""A listing: what is asked, in which order, and rows that are not understood."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from attrs import define, field

from polymarket_ws.account.listing import Listing, Question, read_listing
from polymarket_ws.rest.failures import RequestFailed

ROW = {"id": "o1", "status": "LIVE", "original_size": "10", "size_matched": "0"}
TRADE = {"id": "t1", "status": "TRADE_STATUS_CONFIRMED", "match_time": "7"}
POSITION = {
    "asset": "1",
    "conditionId": "0xc",
    "size": Decimal("150.5"),
    "avgPrice": Decimal("0.55"),
}


@define
class Rows:
    """A service that has these, and keeps what it was asked."""

    orders: Iterable[Any] = ()
    old: Mapping[str, Any] = field(factory=dict)
    new: Iterable[Any] = ()
    held: Iterable[Any] = ()
    asked: list[object] = field(factory=list)
    clock_offset: float = 3.0

    def open_orders(self) -> Iterator[Any]:
        self.asked.append("orders")
        yield from self.orders

    def trades(self, *, after_seconds: float | None = None, id: str = "") -> Iterator[Any]:
        self.asked.append(id or after_seconds)
        yield from [self.old[id]] if id else self.new

    def positions(self) -> Iterator[Any]:
        self.asked.append("positions")
        yield from self.held

    def stop(self) -> None:
        """Nothing is asked."""


def read(rows: Rows, question: Question) -> Listing:
    """At one moment."""
    return read_listing(rows, question, lambda: 5_000_000_000)


def test_all_of_a_question_is_asked() -> None:
    """New trades, old ones by id, positions, open orders."""
    rows = Rows([ROW], {"t0": {**TRADE, "id": "t0"}}, [TRADE], [POSITION])

    listing = read(rows, Question(60.0, ("t0",), with_positions=True))

    assert [60.0, "t0", "positions", "orders"] == rows.asked
    assert ["t1", "t0"] == [trade.id for trade in listing.trades]
    assert ["o1"] == [order.id for order in listing.orders]
    assert {"rest"} == {event.source for event in (*listing.trades, *listing.orders)}
    assert listing.positions is not None
    (position,) = listing.positions
    assert ("1", "0xc", Decimal("150.5"), Decimal("0.55")) == (
        position.asset_id,
        position.market,
        position.size,
        position.average_price,
    )
    assert (5000, 3.0) == (listing.received_ms, listing.clock_offset)


def test_positions_are_asked_for_once() -> None:
    """None, and not empty, where they were not."""
    assert read(Rows(held=[POSITION]), Question(0.0)).positions is None


def test_a_bad_row_costs_itself() -> None:
    """The rows around it are good; a position that lacks would be taken for one of nothing."""
    bad_positions: list[Any] = [{}, "x", None, {**POSITION, "size": "many"}]
    rows = Rows([{}, ROW, "x"], {}, [TRADE, {"status": "MINED"}], [*bad_positions, POSITION])

    listing = read(rows, Question(0.0, with_positions=True))

    assert (1, 1, None) == (len(listing.orders), len(listing.trades), listing.positions)
    assert 3 + 4 == sum(flaw.lost for flaw in listing.flaws)
    paths = [flaw.path for flaw in listing.flaws if flaw.event_type == "position"]
    assert ["$.asset", "$.asset", "$.asset", "$.size"] == paths


def test_positions_that_do_not_come_cost_nothing_else() -> None:
    """Another service has them; one may lack its average price."""
    rows = Rows([ROW], held=[{**POSITION, "avgPrice": None}])
    (position,) = read(rows, Question(0.0, with_positions=True)).positions or ()
    assert position.average_price is None

    class Down(Rows):
        def positions(self) -> Iterator[Any]:
            raise RequestFailed("https://data", "HTTP status 503", status=503)

    listing = read(Down([ROW]), Question(0.0, with_positions=True))
    assert (1, None) == (len(listing.orders), listing.positions)
    assert [False] == [flaw.lost for flaw in listing.flaws if flaw.event_type == "position"]

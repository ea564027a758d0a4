"""The unit test of a strategy: made events, sent by the fixture's real server."""

from __future__ import annotations

from decimal import Decimal

from polymarket_ws import LiveBook, Subscriber
from polymarket_ws.testing import FakeServer, make_book, make_last_trade_price, make_price_change


class BuyTheDip:
    """Wants to buy once an asset is offered well below its last trade."""

    def __init__(self, sub: Subscriber, discount: Decimal = Decimal("0.05")) -> None:
        self.wanted: list[tuple[str, Decimal]] = []
        self.discount = discount
        sub.on_book_update(self.look, top_only=True)

    def look(self, book: LiveBook) -> None:
        top, last = book.top, book.last_trade  # of this token, also where the other one was traded
        if top.valid and top.ask and last and top.ask.price <= last.price - self.discount:
            self.wanted.append((book.asset_id, top.ask.price))


def run(server: FakeServer, *events: object) -> BuyTheDip:
    """Let the strategy see a book at 0.48 / 0.52, then these events."""
    server.add_book(make_book("1", bids=[("0.48", "10")], asks=[("0.52", "10")]))
    sub = Subscriber(["1"], options=server.options())
    strategy = BuyTheDip(sub)
    with sub:
        sub.wait_ready()
        for event in events:
            server.send(event)  # type: ignore[arg-type]
            server.settle(sub)
    return strategy


def test_it_waits_while_the_price_is_fair(polymarket_server: FakeServer) -> None:
    """An offer near the last trade is no reason to buy."""
    strategy = run(
        polymarket_server,
        make_last_trade_price("1", "0.52"),
        make_price_change("1", [("SELL", "0.50", "5")]),
    )
    assert [] == strategy.wanted


def test_it_buys_a_dip(polymarket_server: FakeServer) -> None:
    """An offer well below the last trade is wanted."""
    strategy = run(
        polymarket_server,
        make_last_trade_price("1", "0.52"),
        make_price_change("1", [("BUY", "0.48", "0"), ("SELL", "0.46", "5")]),
    )
    assert [("1", Decimal("0.46"))] == strategy.wanted


def test_it_buys_nothing_from_a_stale_book(polymarket_server: FakeServer) -> None:
    """What a lost connection leaves behind is no price."""
    server = polymarket_server
    server.add_book(make_book("1", asks=[("0.52", "10")]))
    sub = Subscriber(["1"], options=server.options())
    strategy = BuyTheDip(sub)
    with sub:
        sub.wait_ready()
        server.stop_listening()
        server.disconnect()
        sub.wait_for("disconnect", timeout=10, where=lambda event: not sub.books["1"].valid)
        strategy.discount = Decimal(-1)  # from here on any offer is a dip
        strategy.look(sub.books["1"])
    assert [] == strategy.wanted

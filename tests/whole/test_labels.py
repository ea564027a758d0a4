"""An Asset that is subscribed is kept: its label is shown, what it says of its market is used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest
from kit.assets import asset
from kit.recorder import DEADLINE

from polymarket_ws import Subscriber
from polymarket_ws.rest.gamma import read_market
from polymarket_ws.testing import FakeServer, SimulatedExchange, make_book, make_price_change

YES, NO = asset("1"), asset("2", outcome="No")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that knows three books."""
    with FakeServer() as server:
        for asset_id in "123":
            server.add_book(make_book(asset_id))
        yield server


def test_an_asset_is_known_until_it_is_unsubscribed(server: FakeServer) -> None:
    """Over restarts, and for one that was a plain id before; the id alone then changes nothing."""
    sub = Subscriber([YES, "2", "3"], options=server.options())
    two = sub.books["2"]
    plain = two.asset
    for _ in range(2):
        with sub:
            sub.wait_ready(DEADLINE)
            sub.subscribe([NO, "1"])
            labels = [str(book.asset) for book in sub.books.values()]
            assert ["Will it rain?: Yes", "Will it rain?: No", "None"] == labels
    sub.unsubscribe([YES])

    assert (None, NO) == (plain, two.asset)
    assert {"2": NO} == sub.subscriptions.assets
    assert sub.subscriptions.asset_ids == {"2", "3"}
    sub.subscribe(["1"])
    assert sub.books["1"].asset is None


def test_the_label_stands_in_logs_and_exceptions(
    server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Beside the whole id, which may be searched for; of a plain id there is no label."""
    lost = asset("99", question="Will it snow?")
    with Subscriber([YES, "2", lost], options=server.options(verify="top")) as sub:
        sub.wait_ready(DEADLINE, [YES, "2"])
        with pytest.raises(TimeoutError, match=r"missing the book of Will it snow\?: Yes \(99\);"):
            sub.wait_ready(0.01)
        for asset_id in "12":
            server.send(make_price_change(asset_id, best_bid="0.5", best_ask="0.6"))
            server.send(make_price_change(asset_id, timestamp_ms=1_800_000_000_000))
            flawed = make_price_change(asset_id).to_dict()
            flawed["price_changes"][0]["price"] = "much"
            server.send(json.dumps({"event_type": "price_change", **flawed}))
        server.settle(sub)

    assert "book Will it rain?: Yes (1): best prices 0.41/0.6, but the server" in caplog.text
    assert "book 2: best prices 0.41/0.6, but the server" in caplog.text
    assert "the book of Will it rain?: Yes (1) is stale: " in caplog.text
    assert "the book of 2 is stale: " in caplog.text


def test_what_a_lookup_found_proves_books_and_keeps_twins_together() -> None:
    """A least size that nobody knows to try; and with places for three, one market a connection."""
    exchange = SimulatedExchange(markets=3, min_order_size=Decimal(7))
    assets = [a for market in exchange.gamma_markets() for a in read_market(market)]
    with FakeServer(exchange) as server:
        options = server.options(max_assets_per_connection=3)
        with (
            Subscriber(assets, options=options) as sub,
            Subscriber(exchange.asset_ids[:1], options=options) as other,
        ):
            sub.wait_ready(DEADLINE)
            other.wait_ready(DEADLINE)
            proofs = {book.integrity for book in sub.books.values()}
            unproved = {book.integrity for book in other.books.values()}
            served = [record.asset_ids for record in server.open_connections()]

    assert ({"verified"}, {"unverified"}) == (proofs, unproved)
    for yes, no in zip(assets[::2], assets[1::2], strict=True):
        assert {yes.asset_id, no.asset_id} in served

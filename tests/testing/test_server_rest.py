"""FakeServer in the place of Polymarket's REST services, as the standard library sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from http.client import HTTPSConnection
from typing import Any

import pytest
from kit.rest_client import ADDRESS, API_KEY, PASSPHRASE, SECRET, ask, rows, signed

from polymarket_ws import Credentials
from polymarket_ws.testing import FakeServer, SimulatedExchange, make_book
from polymarket_ws.testing.rest_signature import sign


@pytest.fixture
def exchange() -> SimulatedExchange:
    """One market, whose user has made a trade and has two open orders."""
    exchange = SimulatedExchange(seed=3, markets=1, min_order_size="1")
    yes, no = exchange.asset_ids
    exchange.trade(yes, "BUY", "2", own=True)
    exchange.place(yes, "BUY", exchange.book(yes).bids[0].price, "50", own=True)
    exchange.place(no, "SELL", exchange.book(no).asks[-1].price, "7", own=True)
    return exchange


@pytest.fixture
def rest_server(exchange: SimulatedExchange) -> Iterator[FakeServer]:
    """A server that knows the user's credentials."""
    credentials = Credentials(API_KEY, SECRET, PASSPHRASE, ADDRESS)
    with FakeServer(exchange, credentials=credentials) as server:
        yield server


def test_orders_are_the_open_ones(rest_server: FakeServer, exchange: SimulatedExchange) -> None:
    """As the exchange has them, with filters for id, market and asset."""
    own = [order for order in exchange.open_orders if order.own]
    found = rows(rest_server, "/data/orders")

    assert [order.id for order in own] == [row["id"] for row in found]
    assert [("LIVE", "GTC", API_KEY)] * 2 == [
        (row["status"], row["order_type"], row["owner"]) for row in found
    ]
    assert {
        "associate_trades",
        "id",
        "status",
        "market",
        "original_size",
        "outcome",
        "maker_address",
        "owner",
        "price",
        "side",
        "size_matched",
        "asset_id",
        "expiration",
        "order_type",
        "created_at",
    } == set(found[0])
    assert [found[1]] == rows(rest_server, "/data/orders", asset_id=own[1].asset_id)
    assert [found[0]] == rows(rest_server, "/data/orders", id=own[0].id)
    assert [] == rows(rest_server, "/data/orders", market="0x1")


def test_trades_have_the_captured_shape(rest_server: FakeServer) -> None:
    """Names and kinds of frames/rest/data_trades.json."""
    [trade] = rows(rest_server, "/data/trades")

    assert {
        "id", "taker_order_id", "market", "asset_id", "side", "size", "fee_rate_bps", "price",
        "status", "match_time", "last_update", "outcome", "bucket_index", "owner",
        "maker_address", "transaction_hash", "maker_orders", "trader_side",
    } == set(trade)  # fmt: skip
    assert {
        "order_id", "owner", "maker_address", "matched_amount", "price", "fee_rate_bps",
        "asset_id", "outcome", "side",
    } == set(trade["maker_orders"][0])  # fmt: skip
    assert ("CONFIRMED", "TAKER", "2", "") == (
        trade["status"],
        trade["trader_side"],
        trade["size"],
        trade["maker_orders"][0]["fee_rate_bps"],
    )


def test_trades_are_filtered_by_match_time(
    rest_server: FakeServer, exchange: SimulatedExchange
) -> None:
    """`after` and `before` are seconds and exclude their own; the wallet is a filter, too."""
    [trade] = rows(rest_server, "/data/trades")
    matched = int(trade["match_time"])

    def count(**query: Any) -> int:
        return len(rows(rest_server, "/data/trades", **query))

    assert [1, 0] == [count(after=matched - 1), count(after=matched)]
    assert [1, 0] == [count(before=matched + 1), count(before=matched)]
    assert [1, 0] == [count(maker_address=exchange.wallet), count(maker_address=ADDRESS)]
    assert [1, 0] == [count(id=trade["id"]), count(id="x")]
    assert 400 == ask(rest_server, "/data/trades", after="yesterday")[0]


def test_listings_come_in_pages(rest_server: FakeServer) -> None:
    """The cursor is the base64 of the offset, "LTE=" at the end."""
    whole = rows(rest_server, "/data/orders")
    rest_server.rest_style.page_size = 1
    _, first, _ = ask(rest_server, "/data/orders")
    _, second, _ = ask(rest_server, "/data/orders", next_cursor=first["next_cursor"])

    assert ("MQ==", "LTE=") == (first["next_cursor"], second["next_cursor"])
    assert (1, 1) == (first["limit"], first["count"])
    assert whole == first["data"] + second["data"]
    assert 400 == ask(rest_server, "/data/orders", next_cursor="?")[0]
    rest_server.rest_style.newest_first = True
    assert whole[::-1] == rows(rest_server, "/data/orders")


def test_listings_are_the_exchanges_books() -> None:
    """Of a busy user: every open order, and every trade with its latest status."""
    exchange = SimulatedExchange(seed=1, own_share=0.6)
    with FakeServer(exchange) as server:
        server.rest_style.page_size = 50
        server.play(600)
        orders, trades = rows(server, "/data/orders"), rows(server, "/data/trades")
    account = exchange.account()

    assert {
        order.id: (order.size, order.size_matched)
        for order in account.orders.values()
        if order.is_open
    } == {
        row["id"]: (Decimal(row["original_size"]), Decimal(row["size_matched"])) for row in orders
    }
    assert {trade.id: trade.status for trade in account.trades.values()} == {
        row["id"]: row["status"] for row in trades
    }
    assert 50 < min(len(orders), len(trades))


def test_rest_has_the_channels_tls() -> None:
    """One port, one certificate."""
    with FakeServer(SimulatedExchange(), tls=True) as server:
        options = server.options()
        connection = HTTPSConnection(
            "127.0.0.1", server.port, timeout=10, context=options.ssl_context
        )
        connection.request("GET", "/data/orders", headers=signed("/data/orders"))
        assert 200 == connection.getresponse().status
        connection.close()

    assert f"https://127.0.0.1:{server.port}" == options.rest_url == options.data_url


def test_the_signature_is_the_published_one() -> None:
    """The vector of Polymarket's own clients."""
    assert "ZwAdJKvoYRlEKDkNMwd5BuwNNtg93kNaR_oU2HrfVvc=" == sign(
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        '1000000test-sign/orders{"hash": "0x123"}',
    )
    assert None is sign("a", "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "b3RoZXI"},
        {"poly_api_key": "other"},
        {"poly_passphrase": "other"},
        {"poly_address": "0x" + "b2" * 20},
        {"poly_address": "0x12"},
        {"poly_signature": ""},
        {"timestamp": 1_000_000},
        {"poly_timestamp": "now"},
        {"method": "POST"},
        {"path": "/data/orders?market=0x1"},
    ],
    ids=str,
)
def test_wrong_headers_are_refused(rest_server: FakeServer, wrong: dict[str, Any]) -> None:
    """With 401 and JSON; the path is signed without its query."""
    headers = signed(**{"path": "/data/orders", **wrong})

    assert (401, {"error": "Unauthorized/Invalid api key"}) == ask(
        rest_server, "/data/orders", headers=headers, market="0x1"
    )[:2]
    assert 200 == ask(rest_server, "/data/orders", market="0x1")[0]


def test_without_credentials_the_api_key_counts() -> None:
    """And the form of the headers."""
    with FakeServer(SimulatedExchange()) as server:
        headers = signed("/data/orders", secret="b3RoZXI")
        assert 200 == ask(server, "/data/orders", headers=headers)[0]
        headers["POLY_API_KEY"] = "other"
        assert 401 == ask(server, "/data/orders", headers=headers)[0]
        assert 401 == ask(server, "/data/orders", headers={})[0]


def test_requests_are_on_record_without_their_headers(rest_server: FakeServer) -> None:
    """Path, query and status; a connection's record hides keys and signatures."""
    rows(rest_server, "/data/orders", market="0x1")
    [request] = rest_server.rest_requests

    assert ("GET", "/data/orders", {"market": "0x1"}, 200) == (
        request.method,
        request.path,
        request.query,
        request.status,
    )
    shown = rest_server.connections[0].headers
    assert ["***"] * 3 == [shown[f"poly_{n}"] for n in ("api_key", "passphrase", "signature")]
    assert ADDRESS == shown["poly_address"]


def test_books_have_the_hashs_parameters(
    rest_server: FakeServer, exchange: SimulatedExchange
) -> None:
    """/book and /books, without a key: a subscription's book, and three fields more."""
    yes, no = exchange.asset_ids
    status, book, _ = ask(rest_server, "/book", headers={}, token_id=yes)
    body = json.dumps([{"token_id": no}, {"token_id": "1"}])
    _, [other], _ = ask(rest_server, "/books", method="POST", headers={}, body=body)

    assert 200 == status
    told = set(exchange.snapshot(yes) or {})
    assert told - {"event_type"} | {"min_order_size", "neg_risk"} == set(book)
    assert (exchange.book(yes).hash, no) == (book["hash"], other["asset_id"])
    assert exchange.hash_parameters(yes) == (book["min_order_size"], book["neg_risk"])
    assert 404 == ask(rest_server, "/book", headers={}, token_id="1")[0]
    assert 400 == ask(rest_server, "/books", method="POST", headers={}, body="{}5")[0]


def test_a_server_without_an_exchange_has_no_rows() -> None:
    """But the books that were added."""
    with FakeServer() as server:
        server.add_book(make_book("1", bids=[("0.4", "10")]))
        assert "1" == ask(server, "/book", headers={}, token_id="1")[1]["asset_id"]
        assert [] == rows(server, "/data/orders") + rows(server, "/data/trades")
        assert [] == ask(server, "/positions", headers={}, user=ADDRESS)[1]


def test_positions_are_those_that_arrived(
    rest_server: FakeServer, exchange: SimulatedExchange
) -> None:
    """Of the wallet: what was confirmed, or was there before; numbers are floats."""
    yes, no = exchange.asset_ids
    exchange.give(no, "10.5", price="0.4")
    price = exchange.book(yes).asks[0].price
    exchange.place(yes, "BUY", price, "1", own=True)  # not confirmed yet

    def positions(**query: Any) -> list[tuple[str, float, float]]:
        found = ask(rest_server, "/positions", headers={}, **query)[1]
        return [(row["asset"], row["size"], row["avgPrice"]) for row in found]

    held = positions(user=exchange.wallet)
    assert [(no, 10.5, 0.4), (yes, 2.0)] == [held[0], held[1][:2]]
    assert held[1:] == positions(user=exchange.wallet.lower(), limit=1, offset=1)
    assert [] == positions(user=ADDRESS)
    exchange.trade(yes, "SELL", "3", own=True)
    assert {no} == {asset for asset, *_ in positions(user=exchange.wallet)}

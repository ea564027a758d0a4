"""FakeServer answers on both channels as Polymarket's server does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kit.server_clients import (
    AUTH,
    MARKET_1,
    MARKET_2,
    client,
    closed,
    events,
    nothing_more,
    say,
    text,
)
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from polymarket_ws.credentials import Credentials
from polymarket_ws.testing import (
    FakeServer,
    make_best_bid_ask,
    make_book,
    make_last_trade_price,
    make_market_resolved,
    make_new_market,
    make_order,
    make_price_change,
    make_trade,
)


def test_a_subscription_is_answered_with_one_compact_array(tls: bool) -> None:
    """The snapshot is one array with tick and last price and a newline, unknown tokens left out."""
    with FakeServer(tls=tls) as server:
        server.add_book(make_book("1", tick_size="0.001", last_trade_price="0.5"))
        server.add_book(make_book("2"))
        with client(server) as c:
            say(c, type="market", assets_ids=["1", "2", "3"])
            answer = text(c)
    assert answer.endswith("]\n")
    assert ": " not in answer
    first, second = json.loads(answer)
    assert ("1", "0.001", "0.5") == (
        first["asset_id"],
        first["tick_size"],
        first["last_trade_price"],
    )
    assert ("2", "0.01", "") == (
        second["asset_id"],
        second["tick_size"],
        second["last_trade_price"],
    )


def test_only_unknown_tokens_are_answered_with_an_empty_array(server: FakeServer) -> None:
    """Nothing known is [], and a book that appears later is sent."""
    with client(server) as c:
        say(c, type="market", assets_ids=["1"])
        assert "[]" == text(c)
        assert 1 == server.send(make_book("1"))
        assert "book" == events(c)["event_type"]


def test_the_initial_frame_is_accepted_once(server: FakeServer) -> None:
    """A second one gets INVALID OPERATION and the connection stays."""
    with client(server) as c:
        say(c, type="market", assets_ids=[])
        assert "[]" == text(c)
        say(c, type="market", assets_ids=["1"])
        assert "INVALID OPERATION" == text(c)
        assert nothing_more(c)


@pytest.mark.parametrize(
    "message",
    [
        "{}",
        "no JSON",
        "[]",
        '{"type":"market"}',
        '{"type":"market","assets_ids":"1"}',
        '{"type":"market","assets_ids":[1]}',
        '{"type":"user","assets_ids":["1"]}',
        '{"operation":"subscribe","assets_ids":["1"]}',
    ],
)
def test_a_bad_shape_gets_invalid_operation(server: FakeServer, message: str) -> None:
    """What is no subscription is refused as text, and a right one still works."""
    with client(server) as c:
        c.send(message)
        assert "INVALID OPERATION" == text(c)
        say(c, type="market", assets_ids=["1"])
        assert "[]" == text(c)


@pytest.mark.parametrize("channel", ["market", "user"])
def test_a_ping_before_the_subscription_ends_the_connection(
    server: FakeServer, channel: str
) -> None:
    """The first text is never PING: the server closes with 1008."""
    with client(server, channel) as c:
        c.send("PING")
        assert (1008, "invalid subscription payload") == closed(c)


def test_a_ping_is_answered_with_pong(server: FakeServer) -> None:
    """Text PING gets text PONG, and is counted."""
    with client(server) as c:
        say(c, type="market", assets_ids=[])
        assert "[]" == text(c)
        assert nothing_more(c)
        record = server.wait_for_connection()
        assert 1 == record.pings
        assert ['{"type": "market", "assets_ids": []}', "PING"] == record.texts
        assert 2 == record.texts_sent


def test_assets_come_and_go_while_connected(server: FakeServer) -> None:
    """`operation` subscribes with a snapshot, unsubscribes silently, and names duplicates."""
    server.add_book(make_book("2"))
    with client(server) as c:
        say(c, type="market", assets_ids=["1"])
        assert "[]" == text(c)
        say(c, operation="subscribe", assets_ids=["2", "2"])
        assert ["2"] == [book["asset_id"] for book in events(c)]
        say(c, operation="subscribe", assets_ids=["2", "1"])
        assert "NO NEW ASSETS" == text(c)
        say(c, operation="unsubscribe", assets_ids=["2"])
        assert nothing_more(c)
        assert 0 == server.send(make_book("2"))
        say(c, operation="subscribe", assets_ids=["2"])
        assert ["2"] == [book["asset_id"] for book in events(c)]
        say(c, operation="dance", assets_ids=["2"])
        assert "INVALID OPERATION" == text(c)


def test_an_initial_dump_can_be_declined(server: FakeServer) -> None:
    """initial_dump false: no snapshot."""
    server.add_book(make_book("1"))
    with client(server) as c:
        say(c, type="market", assets_ids=["1"], initial_dump=False)
        assert nothing_more(c)


def test_a_bare_event_has_the_odd_spacing(server: FakeServer) -> None:
    """A space after commas, none after colons, no newline."""
    with client(server) as c:
        say(c, type="market", assets_ids=["1"])
        assert "[]" == text(c)
        server.send(make_last_trade_price("1"))
        received = text(c)
    assert json.dumps(json.loads(received), separators=(", ", ":")) == received


def test_events_go_to_subscribers_of_one_of_their_assets(server: FakeServer) -> None:
    """A price_change goes whole to whoever subscribed to one of its tokens, and to nobody else."""
    both = make_price_change(
        changes=[
            *make_price_change("1").price_changes,
            *make_price_change("2", [("SELL", "0.59", "10")]).price_changes,
        ]
    )
    with client(server) as one, client(server) as three:
        say(one, type="market", assets_ids=["1"])
        say(three, type="market", assets_ids=["3"])
        assert ["[]", "[]"] == [text(one), text(three)]
        assert 1 == server.send(both)
        assert ["1", "2"] == [change["asset_id"] for change in events(one)["price_changes"]]
        assert nothing_more(three)


def test_custom_events_are_for_custom_connections(server: FakeServer) -> None:
    """Broadcasts and best_bid_ask need the flag; naming an active token again switches it on."""
    sent = [
        make_new_market(),
        make_market_resolved(),
        make_best_bid_ask("1"),
        make_best_bid_ask("9"),
    ]
    with client(server) as c:
        say(c, type="market", assets_ids=["1"])
        assert "[]" == text(c)
        server.publish(sent)
        assert nothing_more(c)
        say(c, operation="subscribe", assets_ids=["1"], custom_feature_enabled=True)
        assert "NO NEW ASSETS" == text(c)
        server.publish(sent)
        assert ["new_market", "market_resolved", "best_bid_ask"] == [
            events(c)["event_type"] for _ in range(3)
        ]
        assert nothing_more(c)


def test_an_array_goes_out_as_one_text_without_foreign_elements(server: FakeServer) -> None:
    """A list is one message, cut down to what the connection subscribed."""
    with client(server) as c:
        say(c, type="market", assets_ids=["1"])
        assert "[]" == text(c)
        server.send([make_book("1"), make_book("2"), make_last_trade_price("1")])
        assert ["book", "last_trade_price"] == [event["event_type"] for event in events(c)]


def test_texts_and_unknown_events_go_out_as_they_are(server: FakeServer) -> None:
    """str and bytes are untouched; a dict that names no asset goes to all of the channel."""
    with client(server) as c, client(server, "user") as user:
        say(c, type="market", assets_ids=[])
        assert "[]" == text(c)
        say(user, type="user", auth=AUTH)
        server.wait_for_connection("user")
        server.send("{}{}")
        server.send(b"\xc3\xa9")
        server.send({"event_type": "some_future_event"})
        server.send({"event_type": "own_future_event"}, channel="user")
        assert ["{}{}", "\xe9", '{"event_type":"some_future_event"}'] == [text(c) for _ in range(3)]
        assert "own_future_event" == events(user)["event_type"]


def test_a_remembered_book_follows_what_is_sent_after_it(server: FakeServer) -> None:
    """Changes, ticks and prints that were sent show in the next answer to a subscription."""
    server.send(make_book("1", bids=[("0.4", "10"), ("0.3", "5")]))
    server.send(make_price_change("1", [("BUY", "0.4", "0"), ("BUY", "0.35", "7")]))
    server.send(make_last_trade_price("1", "0.35"))
    with client(server) as c:
        say(c, type="market", assets_ids=["1"])
        (book,) = events(c)
    assert [("0.3", "5"), ("0.35", "7")] == [(lv["price"], lv["size"]) for lv in book["bids"]]
    assert "0.35" == book["last_trade_price"]
    assert 40 == len(book["hash"])


@pytest.mark.parametrize("path", ["/", "/ws", "/ws/other"])
def test_any_other_path_is_not_found(server: FakeServer, path: str) -> None:
    """The handshake on another path is answered with 404."""
    with pytest.raises(InvalidStatus) as caught:
        connect(f"ws://127.0.0.1:{server.port}{path}")
    assert 404 == caught.value.response.status_code


def test_assets_beyond_the_limit_are_silently_not_served(tls: bool) -> None:
    """Neither their snapshots nor their events come, though the subscription is accepted."""
    with FakeServer(tls=tls, max_assets_per_connection=2) as server:
        for asset_id in "12345":
            server.add_book(make_book(asset_id))
        with client(server) as c:
            say(c, type="market", assets_ids=["1"])
            assert ["1"] == [book["asset_id"] for book in events(c)]
            say(c, operation="subscribe", assets_ids=["3", "2", "4"])
            assert ["3"] == [book["asset_id"] for book in events(c)]
            sent = [server.send(make_price_change(asset_id)) for asset_id in "12345"]
            heard = [events(c)["price_changes"][0]["asset_id"] for _ in range(2)]
            say(c, operation="subscribe", assets_ids=["2"])

            assert "NO NEW ASSETS" == text(c)
            assert nothing_more(c)
        [record] = server.connections
    assert ([1, 0, 1, 0, 0], ["1", "3"]) == (sent, heard)
    assert ({"1", "2", "3", "4"}, {"2", "4"}) == (record.asset_ids, record.unserved)


def test_an_unsubscribed_asset_makes_room_for_the_next() -> None:
    """A place is for who subscribes next; who was turned away has to ask again."""
    with FakeServer(max_assets_per_connection=1) as server:
        for asset_id in "123":
            server.add_book(make_book(asset_id))
        with client(server) as c:
            say(c, type="market", assets_ids=["1", "2"])
            assert ["1"] == [book["asset_id"] for book in events(c)]
            say(c, operation="unsubscribe", assets_ids=["1", "2"])
            say(c, operation="subscribe", assets_ids=["3"])
            assert ["3"] == [book["asset_id"] for book in events(c)]
            assert [0, 0, 1] == [server.send(make_price_change(a)) for a in "123"]


def test_the_limit_is_that_of_each_connection() -> None:
    """Two connections are served two assets each."""
    with FakeServer(max_assets_per_connection=2) as server:
        for asset_id in "1234":
            server.add_book(make_book(asset_id))
        for wanted in (["1", "2"], ["3", "4"]):
            with client(server) as c:
                say(c, type="market", assets_ids=wanted)
                assert wanted == [book["asset_id"] for book in events(c)]


def test_the_user_channel_sends_own_events_of_its_markets(server: FakeServer) -> None:
    """No `markets` key is everything; ids filter; [] gives orders but no trades."""
    own = [
        make_order(market=MARKET_1),
        make_trade(market=MARKET_1),
        make_order(market=MARKET_2),
        make_trade(market=MARKET_2),
    ]
    filters: list[dict[str, Any]] = [{}, {"markets": [MARKET_1]}, {"markets": []}]
    expected = [
        [("order", MARKET_1), ("trade", MARKET_1), ("order", MARKET_2), ("trade", MARKET_2)],
        [("order", MARKET_1), ("trade", MARKET_1)],
        [("order", MARKET_1), ("order", MARKET_2)],
    ]
    for narrowed, wanted in zip(filters, expected, strict=True):
        with client(server, "user") as c:
            say(c, type="user", auth=AUTH, **narrowed)
            assert nothing_more(c)
            server.publish(own)
            assert wanted == [(e["event_type"], e["market"]) for e in (events(c) for _ in wanted)]
            assert nothing_more(c)


def test_the_user_channel_changes_its_markets_while_connected(server: FakeServer) -> None:
    """subscribe adds a market, unsubscribe takes it away; a shape without markets is refused."""
    with client(server, "user") as c:
        say(c, type="user", auth=AUTH, markets=[MARKET_1])
        say(c, operation="subscribe", markets=[MARKET_2])
        say(c, operation="unsubscribe", markets=[MARKET_1])
        assert nothing_more(c)
        server.publish([make_trade(market=MARKET_1), make_trade(market=MARKET_2)])
        assert MARKET_2 == events(c)["market"]
        for wrong in ({"operation": "dance", "markets": []}, {"markets": [1]}, {"auth": AUTH}):
            say(c, **wrong)
            assert "INVALID OPERATION" == text(c)


@pytest.mark.parametrize("auth", [{**AUTH, "secret": "x"}, {"apiKey": "key-1"}, None])
def test_wrong_credentials_are_reset_without_a_word(auth: Any) -> None:
    """The TCP connection is dropped: no text, no close frame."""
    with FakeServer(credentials=Credentials("key-1", "s3", "p4")) as server:
        with client(server, "user") as c:
            say(c, type="user", auth=auth)
            assert closed(c) is None
        with client(server, "user") as c:
            say(c, type="user", auth=AUTH)
            assert nothing_more(c)


def test_right_credentials_can_be_refused_a_while(server: FakeServer) -> None:
    """bad_credentials resets the next user subscriptions, then lets them in."""
    server.faults.bad_credentials(times=1)
    for expected in (True, False):
        with client(server, "user") as c:
            say(c, type="user", auth=AUTH)
            if expected:
                assert closed(c) is None
            else:
                assert nothing_more(c)

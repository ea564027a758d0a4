"""The market channel: what it says to the server, and what its events do to the books."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.dialects import market_dialect
from kit.market_texts import MARKET, book, take, wanted

from polymarket_ws.books.book import BookCore
from polymarket_ws.books.shelf import Books
from polymarket_ws.channels.market import MarketView
from polymarket_ws.channels.view import Taken
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.errors import DecodeError
from polymarket_ws.wire.decode import decode_market
from polymarket_ws.wire.updates import Decoded

B = "0x" + "b" * 64
DIALECT = market_dialect()


def market_view(first: Wanted) -> MarketView:
    """The view of a connection that sent its first text."""
    view = MarketView(Books())
    view.want(first)
    view.await_answers(first.cores)
    return view


def test_its_books_may_be_compared_with_fresh_snapshots() -> None:
    """The view itself says how."""
    view = market_view(wanted("1"))

    assert view is view.inspectable


def test_the_market_channel_opens_with_the_whole_set() -> None:
    """Sorted, with the flag; the same set gives the same text."""
    wish = wanted("2", "10", "1", custom_features=True)

    [text] = DIALECT.opening_texts(wish)

    assert '{"type":"market","assets_ids":["1","10","2"],"custom_feature_enabled":true}' == text


def test_a_change_sends_what_went_and_what_came() -> None:
    """Unsubscribe first, so that one asset can be in both."""
    before = wanted("1", "2")
    after = wanted("2", "3", former=before)

    texts = DIALECT.change_texts(before, after)

    assert [
        '{"operation":"unsubscribe","assets_ids":["1"]}',
        '{"operation":"subscribe","assets_ids":["3"]}',
    ] == texts


def test_only_what_went() -> None:
    """No empty list is ever sent: what it would mean is not specified."""
    before = wanted("1", "2", custom_features=True)

    assert ['{"operation":"unsubscribe","assets_ids":["1"]}'] == DIALECT.change_texts(
        before, wanted("2", custom_features=True, former=before)
    )


def test_a_new_book_of_a_known_asset_asks_anew() -> None:
    """Subscribing what is active gives no snapshot: it is unsubscribed before."""
    before = wanted("1", "2")
    after = Wanted(before.ids, {**before.cores, "2": BookCore("2")})

    assert [
        '{"operation":"unsubscribe","assets_ids":["2"]}',
        '{"operation":"subscribe","assets_ids":["2"]}',
    ] == DIALECT.change_texts(before, after)


@pytest.mark.parametrize(("on", "word"), [(True, "true"), (False, "false")])
def test_the_features_are_switched_through_any_active_asset(on: bool, word: str) -> None:
    """The server takes the flag before it looks for duplicates; it is the whole connection's."""
    before = wanted("2", "1", custom_features=not on)
    after = wanted("2", "1", custom_features=on, former=before)

    assert [
        f'{{"operation":"subscribe","assets_ids":["1"],"custom_feature_enabled":{word}}}'
    ] == DIALECT.change_texts(before, after)


def test_a_later_subscription_repeats_the_features() -> None:
    """The flag's default is false: left out, it might switch them off."""
    before = wanted("1", custom_features=True)
    after = wanted("1", "2", custom_features=True, former=before)

    assert [
        '{"operation":"subscribe","assets_ids":["2"],"custom_feature_enabled":true}'
    ] == DIALECT.change_texts(before, after)


def test_switching_without_assets_sends_nothing() -> None:
    """There is none to carry the flag; the connection is about to be closed."""
    before, after = wanted("1"), wanted(custom_features=True)

    assert ['{"operation":"unsubscribe","assets_ids":["1"]}'] == DIALECT.change_texts(before, after)


asset_sets = st.frozensets(st.sampled_from("123456"), max_size=6)


@given(st.lists(st.tuples(asset_sets, st.booleans(), asset_sets), min_size=1, max_size=8))
def test_the_texts_lead_the_server_to_what_is_wanted(
    wishes: list[tuple[frozenset[str], bool, frozenset[str]]],
) -> None:
    """A server that follows them has the wanted set after each, and asks for each new book once."""
    before = Wanted()
    view = market_view(before)
    active: set[str] = set()
    features = False
    for ids, custom, renewed in wishes:
        known = {i: c for i, c in before.cores.items() if i not in renewed}
        after = wanted(*ids, custom_features=custom, former=Wanted(before.ids, known))
        view.want(after)
        snapshots = set()
        for text in DIALECT.change_texts(before, after):
            message = json.loads(text)
            named = set(message["assets_ids"])
            assert named
            if message["operation"] == "unsubscribe":
                assert named <= active
                active -= named
            else:
                features = message.get("custom_feature_enabled", False)
                snapshots |= named - active
                active |= named
        assert ids == active
        assert not ids or custom is features
        assert {i for i in ids if before.cores.get(i) is not after.cores[i]} == snapshots
        assert set(after.cores.values()) == set(view.books)
        before = after


def test_wanting_something_else_replaces_the_books() -> None:
    """Unwanted and renewed books are stale for good; the others stay live."""
    first = wanted("1", "2", "3")
    view = market_view(first)
    for id_ in first.cores:
        take(view, book(id_))
    second = Wanted(frozenset("23"), {"2": first.cores["2"], "3": BookCore("3")})

    view.want(second)

    assert ["unsubscribed", None, "unsubscribed"] == [
        core.published.stale_reason for core in first.cores.values()
    ]
    assert set(second.cores.values()) == set(view.books)


def test_each_event_changes_its_view() -> None:
    """A book, a change, a print and a tick: the books; everything is news."""
    wish = wanted("1")
    core = wish.cores["1"]
    view = market_view(wish)
    entry = {"asset_id": "1", "price": "0.5", "size": "2", "side": "BUY"}
    printed = {"asset_id": "1", "price": "0.45", "size": "2", "side": "SELL"}
    ticked = {"asset_id": "1", "old_tick_size": "0.01", "new_tick_size": "0.001"}

    taken = [
        take(view, book()),
        take(view, {"event_type": "price_change", "price_changes": [entry]}),
        take(view, {"event_type": "last_trade_price", **printed}),
        take(view, {"event_type": "tick_size_change", **ticked}),
        take(view, {"event_type": "something_new"}),
    ]

    assert [
        Taken(True, [core], ("1",)),
        Taken(True, ()),
        *[Taken(True, [core])] * 2,
        Taken(True, []),
    ] == taken
    assert [core] == view.publish(9.0)
    assert ("0.5", "2") == core.published.bid
    assert (Decimal("0.45"), Decimal("0.001")) == (core.last_trade_price, core.tick_size)


@pytest.mark.parametrize(
    ("fields", "stale"),
    [
        ({"event_type": "price_change", "asset_id": "1"}, ["1"]),
        ({"event_type": "book", "asset_id": "1", "market": MARKET}, ["1"]),
        ({"event_type": "price_change", "market": MARKET}, ["1", "2"]),
        ({"event_type": "price_change", "market": B}, []),
        ({"event_type": "price_change", "asset_id": "9", "market": MARKET}, []),
        ({"event_type": "price_change"}, ["1", "2"]),
        ({"event_type": "last_trade_price", "asset_id": "1"}, []),
        ({"event_type": "price_change", "asset_id": "1", "lost": False}, []),
        ({}, []),
    ],
)
def test_a_flaw_makes_stale_what_it_may_have_changed(
    fields: dict[str, Any], stale: list[str]
) -> None:
    """The asset it names, else the market, else all; a print or an optional field: no book."""
    wish = wanted("1", "2")
    view = market_view(wish)
    for id_ in wish.cores:
        take(view, book(id_))

    changed = view.take_flaw(DecodeError("$", "?", **fields), 0.0)

    assert stale == [core.asset_id for core in changed]
    assert {"decode_error"} >= {core.published.stale_reason for core in changed}


def test_losing_the_connection_loses_every_book() -> None:
    """All at once; named are those that were live."""
    wish = wanted("1", "2")
    view = market_view(wish)
    take(view, book("1"))

    assert [wish.cores["1"]] == view.connection_ended("disconnect")
    assert ["disconnect", "no_snapshot"] == [c.published.stale_reason for c in wish.cores.values()]


def test_a_snapshot_revives_a_book_that_was_not_live() -> None:
    """The first one, and one after a loss; not a refresh of a live one, nor a foreign one."""
    wish = wanted("1")
    view = market_view(wish)

    first, refresh, foreign = [take(view, book(id_)) for id_ in "119"]
    view.connection_ended("disconnect")
    again = take(view, book())

    core = wish.cores["1"]
    assert [Taken(True, [core], ("1",)), Taken(True, [core])] == [first, refresh]
    assert [Taken(True, []), Taken(True, [core], ("1",))] == [foreign, again]


def test_a_refresh_may_prove_a_book_wrong() -> None:
    """Levels that no change had told; the book is right again with it, and was live throughout."""
    wish = wanted("1")
    view = market_view(wish)
    take(view, book())
    refresh = {**book(), "bids": [{"price": "0.3", "size": "1"}]}
    del refresh["tick_size"]

    taken = take(view, refresh)

    core = wish.cores["1"]
    assert Taken(True, [core], (), ((core, "refresh_mismatch"),)) == taken
    assert ("0.3", "1") == core.published.bid


@pytest.mark.parametrize(
    ("custom", "flag"), [(False, ""), (True, ',"custom_feature_enabled":true')]
)
def test_a_new_snapshot_takes_two_texts(custom: bool, flag: str) -> None:
    """A known token alone draws none; the features are said again. Changes meanwhile are held."""
    wish = wanted("1", "2", custom_features=custom)
    view = market_view(wish)
    take(view, book())

    texts = DIALECT.resubscription_texts(["1", "2"], wish)
    view.await_answers(["1", "2"])
    entry = {"asset_id": "1", "price": "0.5", "size": "2", "side": "BUY"}
    take(view, {"event_type": "price_change", "price_changes": [entry], "timestamp": "2"})
    take(view, book())

    assert [
        '{"operation":"unsubscribe","assets_ids":["1","2"]}',
        f'{{"operation":"subscribe","assets_ids":["1","2"]{flag}}}',
    ] == texts
    assert ("0.5", "2") == wish.cores["1"].published.bid


def test_a_probes_snapshot_can_be_given_up() -> None:
    """A late answer then replaces a live book whole; one that has no book yet goes on waiting."""
    wish = wanted("1", "2")
    view = market_view(wish)
    take(view, book("1"))
    view.await_probe(["1", "2", "9"])
    for id_ in "12":
        entry = {"asset_id": id_, "price": "0.5", "size": "2", "side": "BUY"}
        take(view, {"event_type": "price_change", "price_changes": [entry], "timestamp": "2"})

    view.release(["1", "2", "9"])
    for id_ in "12":
        take(view, book(id_))

    assert [("0.4", "1"), ("0.5", "2")] == [c.published.bid for c in wish.cores.values()]


def test_books_can_be_marked_stale() -> None:
    """Named are those that were live until now."""
    wish = wanted("1", "2", "3")
    view = market_view(wish)
    for id_ in "13":
        take(view, book(id_))

    assert [wish.cores["1"]] == view.mark_stale(["1", "2"], "silent")
    assert ["silent", None] == [wish.cores[id_].published.stale_reason for id_ in "13"]


@pytest.mark.parametrize(
    ("asset_id", "bid", "differs"), [("1", "0.4", False), ("1", "0.3", True), ("9", "0.3", False)]
)
def test_a_fresh_snapshot_is_compared_with_a_live_book(
    asset_id: str, bid: str, differs: bool
) -> None:
    """One of an asset that is not wanted, or whose book is stale, proves nothing."""
    view = market_view(wanted("1"))
    take(view, book())
    text = json.dumps(
        {
            **book(asset_id),
            "bids": [{"price": bid, "size": "1"}],
            "market": MARKET,
            "timestamp": "1",
        }
    )
    [decoded] = decode_market(text, 0)
    assert isinstance(decoded, Decoded)

    assert differs is view.differs(decoded)
    view.connection_ended("disconnect")
    assert not view.differs(decoded)


def test_the_market_channel_keeps_its_books_time() -> None:
    """Nothing is due while there is nothing to check."""
    view = market_view(wanted("1"))

    assert (float("inf"), [], []) == (view.deadline, view.tick(1.0), view.publish(1.0))


def test_a_lost_connection_leaves_a_gap_in_the_books_that_were_live() -> None:
    """None in a view without a live book: nothing is missed of what never was known."""
    wish = wanted("1", "2")
    view = market_view(wish)

    assert view.missed_by_loss(view.connection_ended("disconnect")) is None
    take(view, book("1"))
    assert ("1",) == view.missed_by_loss(view.connection_ended("disconnect"))


def test_the_market_dialect_is_what_it_says() -> None:
    """Name, address, no credentials; its messages are read as those of the market channel."""
    [decoded] = DIALECT.decode(json.dumps({**book(), "market": MARKET, "timestamp": "1"}), 7)

    assert isinstance(decoded, Decoded)
    assert decoded.event is not None
    assert ("book", 7) == (decoded.event_type, decoded.event.received_at_ns)
    assert ("market", "wss://example", False) == (DIALECT.name, DIALECT.url, DIALECT.authenticates)
    control = DIALECT.read_control("PONG", Wanted())
    assert control is not None
    assert "pong" == control.kind

"""The channels: what each says to the server, and what its events do to the live views."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymarket_ws.account.views import Account
from polymarket_ws.books.book import BookCore
from polymarket_ws.books.shelf import Books
from polymarket_ws.channels.channel import (
    Channel,
    FollowingChannel,
    MarketChannel,
    Taken,
    UserChannel,
    Wanted,
)
from polymarket_ws.channels.merge import Merge
from polymarket_ws.credentials import Credentials
from polymarket_ws.errors import DecodeError
from polymarket_ws.wire.decode import Decoded, decode

MARKET = "0x" + "a" * 64
A, B, C = "0x" + "a" * 64, "0x" + "b" * 64, "0x" + "c" * 64


def wanted(*asset_ids: str, custom_features: bool = False, former: Wanted | None = None) -> Wanted:
    """A wish for these assets, with the cores of the former one where it has them."""
    known = former.cores if former else {}
    cores = {id_: known.get(id_) or BookCore(id_) for id_ in asset_ids}
    return Wanted(frozenset(asset_ids), cores, custom_features)


def market_channel(first: Wanted) -> MarketChannel:
    """A channel that sent its first text."""
    channel = MarketChannel("wss://example/ws/market", Books())
    channel.adopt(first)
    channel.opening_text(first)
    return channel


def user_channel() -> UserChannel:
    """A channel of some account."""
    return UserChannel("wss://example/ws/user", Account(), Credentials("K", "SECRET", "P"))


def take(channel: Channel, message: dict[str, Any], now: float = 1.0) -> Taken | None:
    """What a message from the server does."""
    [decoded] = decode(json.dumps({"market": MARKET, "timestamp": "1", **message}), channel.name, 0)
    assert isinstance(decoded, Decoded)
    return channel.take(decoded, now)


def book(asset_id: str = "1") -> dict[str, Any]:
    """A snapshot that answers a subscription."""
    bids = [{"price": "0.4", "size": "1"}]
    return {
        "event_type": "book",
        "asset_id": asset_id,
        "bids": bids,
        "asks": [],
        "tick_size": "0.1",
    }


@pytest.mark.parametrize(
    ("ids", "empty"), [(frozenset(), True), (frozenset("1"), False), (None, False)]
)
def test_nothing_wanted_is_not_everything_wanted(ids: frozenset[str] | None, empty: bool) -> None:
    """None is all markets of the account; an empty set is none."""
    assert empty is Wanted(ids).is_empty


# --- market --------------------------------------------------------------------------------------


def test_the_market_channel_opens_with_the_whole_set() -> None:
    """Sorted, with the flag; the same set gives the same text."""
    wish = wanted("2", "10", "1", custom_features=True)

    text = MarketChannel("wss://example", Books()).opening_text(wish)

    assert '{"type":"market","assets_ids":["1","10","2"],"custom_feature_enabled":true}' == text


def test_a_change_sends_what_went_and_what_came() -> None:
    """Unsubscribe first, so that one asset can be in both."""
    before = wanted("1", "2")
    after = wanted("2", "3", former=before)

    texts = market_channel(before).change_texts(before, after)

    assert [
        '{"operation":"unsubscribe","assets_ids":["1"]}',
        '{"operation":"subscribe","assets_ids":["3"]}',
    ] == texts


def test_only_what_went() -> None:
    """No empty list is ever sent: what it would mean is not specified."""
    before = wanted("1", "2", custom_features=True)

    assert ['{"operation":"unsubscribe","assets_ids":["1"]}'] == market_channel(
        before
    ).change_texts(before, wanted("2", custom_features=True, former=before))


def test_a_new_book_of_a_known_asset_asks_anew() -> None:
    """Subscribing what is active gives no snapshot (PROTOCOL 1.1): it is unsubscribed before."""
    before = wanted("1", "2")
    after = Wanted(before.ids, {**before.cores, "2": BookCore("2")})

    assert [
        '{"operation":"unsubscribe","assets_ids":["2"]}',
        '{"operation":"subscribe","assets_ids":["2"]}',
    ] == market_channel(before).change_texts(before, after)


@pytest.mark.parametrize(("on", "word"), [(True, "true"), (False, "false")])
def test_the_features_are_switched_through_any_active_asset(on: bool, word: str) -> None:
    """The server takes the flag before it looks for duplicates; it is the whole connection's."""
    before = wanted("2", "1", custom_features=not on)
    after = wanted("2", "1", custom_features=on, former=before)

    assert [
        f'{{"operation":"subscribe","assets_ids":["1"],"custom_feature_enabled":{word}}}'
    ] == market_channel(before).change_texts(before, after)


def test_a_later_subscription_repeats_the_features() -> None:
    """The flag's default is false: left out, it might switch them off."""
    before = wanted("1", custom_features=True)
    after = wanted("1", "2", custom_features=True, former=before)

    assert [
        '{"operation":"subscribe","assets_ids":["2"],"custom_feature_enabled":true}'
    ] == market_channel(before).change_texts(before, after)


def test_switching_without_assets_sends_nothing() -> None:
    """There is none to carry the flag; the connection is about to be closed."""
    before, after = wanted("1"), wanted(custom_features=True)

    assert ['{"operation":"unsubscribe","assets_ids":["1"]}'] == market_channel(
        before
    ).change_texts(before, after)


asset_sets = st.frozensets(st.sampled_from("123456"), max_size=6)


@given(st.lists(st.tuples(asset_sets, st.booleans(), asset_sets), min_size=1, max_size=8))
def test_the_texts_lead_the_server_to_what_is_wanted(
    wishes: list[tuple[frozenset[str], bool, frozenset[str]]],
) -> None:
    """A server that follows them has the wanted set after each, and asks for each new book once."""
    before = Wanted()
    channel = market_channel(before)
    active: set[str] = set()
    features = False
    for ids, custom, renewed in wishes:
        known = {i: c for i, c in before.cores.items() if i not in renewed}
        after = wanted(*ids, custom_features=custom, former=Wanted(before.ids, known))
        channel.adopt(after)
        snapshots = set()
        for text in channel.change_texts(before, after):
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
        assert set(after.cores.values()) == set(channel.books)
        before = after


def test_adopting_a_wish_replaces_the_books() -> None:
    """Unwanted and renewed books are stale for good; the others stay live."""
    first = wanted("1", "2", "3")
    channel = market_channel(first)
    for id_ in first.cores:
        take(channel, book(id_))
    second = Wanted(frozenset("23"), {"2": first.cores["2"], "3": BookCore("3")})

    channel.adopt(second)

    assert ["unsubscribed", None, "unsubscribed"] == [
        core.published.stale_reason for core in first.cores.values()
    ]
    assert set(second.cores.values()) == set(channel.books)


def test_each_event_changes_its_view() -> None:
    """A book, a change, a print and a tick: the books; everything is news."""
    wish = wanted("1")
    core = wish.cores["1"]
    channel = market_channel(wish)
    entry = {"asset_id": "1", "price": "0.5", "size": "2", "side": "BUY"}
    printed = {"asset_id": "1", "price": "0.45", "size": "2", "side": "SELL"}
    ticked = {"asset_id": "1", "old_tick_size": "0.01", "new_tick_size": "0.001"}

    taken = [
        take(channel, book()),
        take(channel, {"event_type": "price_change", "price_changes": [entry]}),
        take(channel, {"event_type": "last_trade_price", **printed}),
        take(channel, {"event_type": "tick_size_change", **ticked}),
        take(channel, {"event_type": "something_new"}),
    ]

    assert [
        Taken(True, [core], ("1",)),
        Taken(True, ()),
        *[Taken(True, [core])] * 2,
        Taken(True, []),
    ] == taken
    assert [core] == channel.publish(9.0)
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
    channel = market_channel(wish)
    for id_ in wish.cores:
        take(channel, book(id_))

    changed = channel.take_flaw(DecodeError("$", "?", **fields), 0.0)

    assert stale == [core.asset_id for core in changed]
    assert {"decode_error"} >= {core.published.stale_reason for core in changed}


def test_losing_the_connection_loses_every_book() -> None:
    """All at once; named are those that were live."""
    wish = wanted("1", "2")
    channel = market_channel(wish)
    take(channel, book("1"))

    assert [wish.cores["1"]] == channel.lose("disconnect")
    assert ["disconnect", "no_snapshot"] == [c.published.stale_reason for c in wish.cores.values()]


def test_a_snapshot_revives_a_book_that_was_not_live() -> None:
    """The first one, and one after a loss; not a refresh of a live one, nor a foreign one."""
    wish = wanted("1")
    channel = market_channel(wish)

    first, refresh, foreign = [take(channel, book(id_)) for id_ in "119"]
    channel.lose("disconnect")
    again = take(channel, book())

    core = wish.cores["1"]
    assert [Taken(True, [core], ("1",)), Taken(True, [core])] == [first, refresh]
    assert [Taken(True, []), Taken(True, [core], ("1",))] == [foreign, again]


def test_a_refresh_may_prove_a_book_wrong() -> None:
    """Levels that no change had told; the book is right again with it, and was live throughout."""
    wish = wanted("1")
    channel = market_channel(wish)
    take(channel, book())
    refresh = {**book(), "bids": [{"price": "0.3", "size": "1"}]}
    del refresh["tick_size"]

    taken = take(channel, refresh)

    core = wish.cores["1"]
    assert Taken(True, [core], (), ((core, "refresh_mismatch"),)) == taken
    assert ("0.3", "1") == core.published.bid


@pytest.mark.parametrize(
    ("custom", "flag"), [(False, ""), (True, ',"custom_feature_enabled":true')]
)
def test_a_new_snapshot_takes_two_texts(custom: bool, flag: str) -> None:
    """A known token alone draws none; the features are said again. Changes meanwhile are held."""
    wish = wanted("1", "2", custom_features=custom)
    channel = market_channel(wish)
    take(channel, book())

    texts = channel.renewal_texts(["1", "2"])
    entry = {"asset_id": "1", "price": "0.5", "size": "2", "side": "BUY"}
    take(channel, {"event_type": "price_change", "price_changes": [entry], "timestamp": "2"})
    take(channel, book())

    assert [
        '{"operation":"unsubscribe","assets_ids":["1","2"]}',
        f'{{"operation":"subscribe","assets_ids":["1","2"]{flag}}}',
    ] == texts
    assert ("0.5", "2") == wish.cores["1"].published.bid


def test_evidence_that_was_asked_for_can_be_given_up() -> None:
    """A late answer then replaces a live book whole; one that has no book yet goes on waiting."""
    wish = wanted("1", "2")
    channel = market_channel(wish)
    take(channel, book("1"))
    channel.question(["1", "2", "9"])
    for id_ in "12":
        entry = {"asset_id": id_, "price": "0.5", "size": "2", "side": "BUY"}
        take(channel, {"event_type": "price_change", "price_changes": [entry], "timestamp": "2"})

    channel.release(["1", "2", "9"])
    for id_ in "12":
        take(channel, book(id_))

    assert [("0.4", "1"), ("0.5", "2")] == [c.published.bid for c in wish.cores.values()]


def test_doubted_books_are_stale() -> None:
    """Named are those that were live until now."""
    wish = wanted("1", "2", "3")
    channel = market_channel(wish)
    for id_ in "13":
        take(channel, book(id_))

    assert [wish.cores["1"]] == channel.doubt(["1", "2"], "silent")
    assert ["silent", None] == [wish.cores[id_].published.stale_reason for id_ in "13"]


@pytest.mark.parametrize(
    ("asset_id", "bid", "differs"), [("1", "0.4", False), ("1", "0.3", True), ("9", "0.3", False)]
)
def test_a_fresh_snapshot_is_compared_with_a_live_book(
    asset_id: str, bid: str, differs: bool
) -> None:
    """One of an asset that is not wanted, or whose book is stale, proves nothing."""
    channel = market_channel(wanted("1"))
    take(channel, book())
    text = json.dumps(
        {
            **book(asset_id),
            "bids": [{"price": bid, "size": "1"}],
            "market": MARKET,
            "timestamp": "1",
        }
    )
    [decoded] = decode(text, "market", 0)
    assert isinstance(decoded, Decoded)

    assert differs is channel.differs(decoded)
    channel.lose("disconnect")
    assert not channel.differs(decoded)


def test_the_market_channel_keeps_its_books_time() -> None:
    """Nothing is due while there is nothing to check."""
    channel = market_channel(wanted("1"))

    assert (float("inf"), [], []) == (channel.deadline, channel.tick(1.0), channel.publish(1.0))


# --- user ----------------------------------------------------------------------------------------


def test_the_user_channel_leaves_the_key_out_for_all_markets() -> None:
    """An empty list would get orders but no trades (PROTOCOL 2.1)."""
    channel = user_channel()
    auth = '{"type":"user","auth":{"apiKey":"K","secret":"SECRET","passphrase":"P"}'

    assert auth + "}" == channel.opening_text(Wanted(None))
    assert f'{auth},"markets":["{A}","{B}"]}}' == channel.opening_text(Wanted(frozenset([B, A])))


def test_the_user_channel_changes_by_market() -> None:
    """Condition ids; gone ones first; nothing when nothing changed."""
    channel = user_channel()

    assert [
        f'{{"operation":"unsubscribe","markets":["{A}"]}}',
        f'{{"operation":"subscribe","markets":["{C}"]}}',
    ] == channel.change_texts(Wanted(frozenset([A, B])), Wanted(frozenset([B, C])))
    assert [] == channel.change_texts(Wanted(None), Wanted(None))


def test_a_trade_told_before_is_no_news() -> None:
    """The account knows which statuses were told; no book changes."""
    channel = user_channel()
    trade = {
        "event_type": "trade",
        "id": "t",
        "status": "MATCHED",
        "asset_id": "1",
        "side": "BUY",
        "price": "0.5",
        "size": "1",
    }

    assert [Taken(True, []), Taken(False, [])] == [take(channel, trade) for _ in range(2)]


def test_the_user_channel_has_no_books() -> None:
    """Nothing to adopt, to mark stale, to renew or to lose; orders stay known."""
    channel = user_channel()
    channel.adopt(Wanted(None))

    assert [] == channel.take_flaw(DecodeError("$", "?", event_type="order"), 0.0)
    assert [] == channel.lose("disconnect")
    assert [] == channel.renewal_texts(["1"])
    channel.await_answers(["1"])
    assert [] == channel.doubt(["1"], "silent")
    assert (float("inf"), [], []) == (channel.deadline, channel.tick(1.0), channel.publish(1.0))


# --- two connections -----------------------------------------------------------------------------


def doubled(first: Wanted) -> tuple[MarketChannel, FollowingChannel]:
    """The channels of a leader and of its follower, both opened."""
    leading = MarketChannel("wss://example/ws/market", Books(), Merge())
    assert leading.merge is not None
    following = FollowingChannel(leading.url, leading.merge)
    for channel in (leading, following):
        channel.adopt(first)
        channel.opening_text(first)
    return leading, following


def test_a_follower_subscribes_alike_and_keeps_what_comes() -> None:
    """The same texts; nothing is told, no book is touched."""
    first = wanted("1")
    leading, following = doubled(first)
    second = wanted("1", "2", custom_features=True, former=first)

    assert leading.opening_text(second) == following.opening_text(second)
    assert leading.change_texts(first, second) == following.change_texts(first, second)
    following.adopt(second)
    leading.adopt(second)
    assert leading.renewal_texts(["1"]) == following.renewal_texts(["1"])
    assert (True, False) == (leading.leads, following.leads)
    assert (True, False) == (leading.needs_events, market_channel(first).needs_events)
    assert take(following, book()) is None
    following.await_answers(["1"])
    assert not first.cores["1"].valid
    assert ([], []) == (following.doubt(["1"], "silent"), following.tick(1.0))
    assert [] == following.publish(1.0)


def test_what_was_told_before_a_failover_is_not_told_again() -> None:
    """An event and a flaw that the new leader brings late."""
    leading, following = doubled(wanted("1"))
    take(leading, book())
    take(following, book())
    print_ = {
        "event_type": "last_trade_price",
        "asset_id": "1",
        "price": "0.5",
        "size": "1",
        "side": "BUY",
    }
    flaw = DecodeError("$", "?", event_type="book", market=MARKET)
    assert take(leading, print_) is not None
    assert [leading.books._cores["1"]] == leading.take_flaw(flaw, 1.0)

    assert leading.merge is not None
    leading.merge.promote([], 1.0)

    assert take(leading, print_) is None
    assert leading.take_flaw(flaw, 1.0) is None


def test_a_lost_follower_is_worth_nothing() -> None:
    """Its answers and its window are forgotten; a flaw is kept like anything else."""
    leading, following = doubled(wanted("1"))
    take(following, book())
    following.take_flaw(DecodeError("$", "?", event_type="book", market=MARKET), 1.0)
    assert leading.merge is not None
    assert leading.merge.has_answered("1")

    assert [] == following.lose("disconnect")
    assert not leading.merge.has_answered("1")


def test_what_awaits_its_answer_holds_its_changes() -> None:
    """A new leader's answer is still to come."""
    first = wanted("1")
    channel = market_channel(first)
    take(channel, book())
    channel.await_answers(["1"])

    assert first.cores["1"].is_awaited


def test_the_channels_say_what_they_are() -> None:
    """Name, address, and whether an early close means wrong keys; no secret in a repr."""
    market, user = market_channel(Wanted()), user_channel()

    assert ("market", "wss://example/ws/market", False) == (
        market.name,
        market.url,
        market.authenticates,
    )
    assert ("user", "wss://example/ws/user", True) == (user.name, user.url, user.authenticates)
    assert "SECRET" not in repr(user)

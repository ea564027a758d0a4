"""Books: what snapshots and changes make of them, what readers see, and when they are not live."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymarket_ws.books.book import BookCore
from polymarket_ws.books.held import HELD_LIMIT
from polymarket_ws.books.live_book import LiveBook, Top
from polymarket_ws.books.proof import Parameters, book_hash, book_head
from polymarket_ws.books.shelf import Books
from polymarket_ws.books.suspects import SUSPECT_SECONDS
from polymarket_ws.books.verification import NOTHING, PROBE, SNAPSHOT, Awaited
from polymarket_ws.books.verifier import (
    CHECK_SECONDS,
    FAILING_SECONDS,
    FAILURES,
    RECIPE_ASSETS,
    STEP_SECONDS,
)
from polymarket_ws.events import Level
from polymarket_ws.wire import prices
from polymarket_ws.wire.updates import Change, Changes, Snapshot

MARKET = "0x" + "a" * 64
YES, NO = "1", "2"
STRESS_FRAMES = 2_000


def snapshot(
    timestamp_ms: int = 1,
    bids: Sequence[tuple[str, str]] = (("0.4", "10"),),
    asks: Sequence[tuple[str, str]] = (("0.6", "10"),),
    *,
    asset_id: str = YES,
    hash: str | None = None,
    is_answer: bool = True,
    last_trade_price: str | None = None,
) -> Snapshot:
    """A whole book of one asset."""
    tick_size = "0.01" if is_answer else None
    return Snapshot(MARKET, asset_id, timestamp_ms, hash, bids, asks, tick_size, last_trade_price)


def change(
    price: str,
    size: str,
    *,
    is_bid: bool = True,
    asset_id: str = YES,
    hash: str | None = None,
    best: tuple[str | None, str | None] = (None, None),
) -> Change:
    """One level's new size."""
    return Change(asset_id, price, size, "BUY" if is_bid else "SELL", hash, *best)


def changes(timestamp_ms: int, *entries: Change) -> Changes:
    """One price_change message."""
    return Changes(MARKET, timestamp_ms, entries)


def make_books(*asset_ids: str, verify: str = "top") -> tuple[Books, list[LiveBook]]:
    """Books that await their snapshots, and their handles; the clock stands at 100."""
    books = Books(verify)
    cores = [BookCore(asset_id) for asset_id in asset_ids]
    for core in cores:
        books.add(core)
    books.await_snapshots(asset_ids)
    return books, [LiveBook(core, lambda: 100.0) for core in cores]


def read(books: Books, message: Changes, now: float) -> list[BookCore]:
    """What a read that brings one message makes look different."""
    books.apply(message, now)
    return books.publish(now)


def read_step(books: Books, message: Changes, now: float) -> list[BookCore]:
    """What looks different `now`, when the step that the message tells has just ended."""
    read(books, message, now - STEP_SECONDS)
    return books.tick(now)


def sides(book: LiveBook) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
    """Bids and asks as the book shows them."""
    shown = book.snapshot()
    return dict(shown.bids), dict(shown.asks)


def numbers(levels: dict[str, str]) -> dict[Decimal, Decimal]:
    """The same in Decimal."""
    return {Decimal(price): Decimal(size) for price, size in levels.items()}


# --- refreshes ----------------------------------------------------------------------------------

texts = st.sampled_from(["0.4", "0.40", ".4", "0.41", "0.5", "0.50", "0.6", "0", "1"])
levels = st.lists(st.tuples(texts, st.sampled_from(["1", "1.0", "2", "0", "0.0"])), max_size=5)


def tidy(side: list[tuple[str, str]], *, is_bid: bool) -> list[tuple[str, str]]:
    """As the server writes a side: worst first, each price once, no size of 0."""
    by_price = {Decimal(price): (price, size) for price, size in side if Decimal(size)}
    return [by_price[price] for price in sorted(by_price, reverse=not is_bid)]


def respelled(side: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same prices, as far as they have decimals, in other texts."""
    return [(f"{price}0" if "." in price else price, size) for price, size in side]


@given(levels, levels, st.booleans(), st.sampled_from(["same", "respelled", "other"]), st.data())
def test_after_a_refresh_a_book_is_the_refresh(
    bids: list[tuple[str, str]],
    asks: list[tuple[str, str]],
    is_hashed: bool,
    how: str,
    data: st.DataObject,
) -> None:
    """To the letter, also where it changes nothing: the hash is over the wire's own texts."""
    books, _ = make_books(YES, verify="hash")
    fresh_books, _ = make_books(YES, verify="hash")
    (core,), (fresh,) = books, fresh_books
    bids, asks = tidy(bids, is_bid=True), tidy(asks, is_bid=False)
    books.replace(snapshot(1, bids, asks, hash=REAL), now=0)
    if is_hashed:
        core.claim()
    if how == "respelled":
        bids, asks = respelled(bids), respelled(asks)
    elif how == "other":
        bids, asks = data.draw(levels), data.draw(levels)
    refresh = snapshot(2, bids, asks, hash=REAL, is_answer=False)

    books.replace(refresh, now=1)
    fresh_books.replace(refresh, now=1)

    for mark in (3, 4):
        ours, theirs = core.claim(), fresh.claim()
        assert ours is not None
        assert theirs is not None
        assert theirs.digest.hexdigest() == ours.digest.hexdigest()
        assert core.levels(None) == attrs.evolve(
            fresh.levels(None), tick_size=core.tick_size, last_trade_price=core.last_trade_price
        )
        later = changes(mark, change(data.draw(texts), "7", hash=REAL))
        read(books, later, now=2)
        read(fresh_books, later, now=2)


# --- states --------------------------------------------------------------------------------------


def test_a_book_is_empty_and_not_valid_before_its_snapshot() -> None:
    """EMPTY: no levels, no market, no time, no age; the reason is "no_snapshot"."""
    _, [book] = make_books(YES)

    assert Top(None, None, 0, False, "unverified") == book.top
    assert (None, None, None, None) == (book.best_bid, book.best_ask, book.mid, book.spread)
    assert (False, "no_snapshot", None, "") == (
        book.valid,
        book.stale_reason,
        book.age,
        book.market,
    )
    assert (None, None, None) == (book.tick_size, book.last_trade_price, book.snapshot().hash)
    assert "<LiveBook 1 - / - no_snapshot>" == repr(book)


def test_a_snapshot_makes_a_book_live() -> None:
    """LIVE: levels best first, in Decimal, with the snapshot's time, hash, tick and last price."""
    books, [book] = make_books(YES)
    bids = [("0.3", "5"), ("0.4", "10.5")]
    asks = [("0.7", "2"), ("0.6", "1")]

    [core] = books.replace(snapshot(7, bids, asks, hash="h7", last_trade_price="0.510"), now=98.5)

    shown = book.snapshot()
    assert book._shows(core)
    assert (Level(Decimal("0.4"), Decimal("10.5")), Level(Decimal("0.3"), Decimal(5))) == shown.bids
    assert (Level(Decimal("0.6"), Decimal(1)), Level(Decimal("0.7"), Decimal(2))) == shown.asks
    assert (7, "h7", MARKET, YES) == (shown.timestamp_ms, shown.hash, shown.market, shown.asset_id)
    assert (Decimal("0.01"), Decimal("0.510")) == (shown.tick_size, shown.last_trade_price)
    assert Top(shown.bids[0], shown.asks[0], 7, True, "unverified") == book.top
    assert (True, None, 1.5, MARKET) == (book.valid, book.stale_reason, book.age, book.market)
    assert "<LiveBook 1 0.4x10.5 / 0.6x1 live>" == repr(book)


def test_the_order_of_levels_on_the_wire_does_not_matter() -> None:
    """The docs show asks the other way round than the server sends them: both are sorted."""
    books, [book] = make_books(YES)

    books.replace(snapshot(asks=[("0.6", "1"), ("0.8", "3"), ("0.7", "2")]), now=0)

    assert ["0.6", "0.7", "0.8"] == [str(level.price) for level in book.snapshot().asks]


def test_mid_and_spread_are_of_one_top() -> None:
    """Both sides of mid and spread are of one top; either empty side makes them None."""
    books, [book] = make_books(YES)
    books.replace(snapshot(bids=[(".48", "1")], asks=[("0.5", "1")]), now=0)
    both = (book.best_bid, book.best_ask, book.mid, book.spread)
    read(books, changes(2, change("0.48", "0")), now=0)

    assert (Decimal("0.48"), Decimal("0.5"), Decimal("0.49"), Decimal("0.02")) == both
    assert (None, Decimal("0.5"), None, None) == (
        book.best_bid,
        book.best_ask,
        book.mid,
        book.spread,
    )


def test_a_snapshot_of_some_depth_has_the_best_levels() -> None:
    """`depth` counts levels of each side from the best; more than there are: all; 0: refused."""
    books, [book] = make_books(YES)
    bids = [("0.1", "1"), ("0.2", "2"), ("0.3", "3")]
    asks = [("0.9", "1"), ("0.8", "2"), ("0.7", "3")]
    books.replace(snapshot(1, bids, asks), now=0)

    two, many = book.snapshot(2), book.snapshot(99)

    assert ["0.3", "0.2"] == [str(level.price) for level in two.bids]
    assert ["0.7", "0.8"] == [str(level.price) for level in two.asks]
    assert (3, 3) == (len(many.bids), len(many.asks))
    with pytest.raises(ValueError, match=r"^depth must be at least 1, not 0$"):
        book.snapshot(0)


def test_losing_the_connection_makes_every_book_stale_at_once() -> None:
    """Levels stay, to be looked at, but none is valid; one that never was live lacks just that."""
    books, [yes, no] = make_books(YES, NO)
    books.replace(snapshot(), now=0)

    lost = books.mark_stale("disconnect")

    assert [YES] == [core.asset_id for core in lost]
    assert ("disconnect", "no_snapshot") == (yes.stale_reason, no.stale_reason)
    assert (False, Decimal("0.4")) == (yes.top.valid, yes.best_bid)
    assert "<LiveBook 1 0.4x10 / 0.6x10 disconnect>" == repr(yes)
    assert [] == books.mark_stale("disconnect")


def test_a_stale_book_takes_no_changes_until_a_snapshot_heals_it() -> None:
    """After a hole, changes would only pretend that it is right; any full book makes it so."""
    books, [book] = make_books(YES)
    books.replace(snapshot(1), now=0)
    books.mark_stale("decode_error", asset_id=YES)

    assert [] == read(books, changes(2, change("0.5", "1")), now=0)
    assert Decimal("0.4") == book.best_bid
    books.replace(snapshot(3, bids=[("0.5", "1")], is_answer=False), now=0)
    assert (True, Decimal("0.5")) == (book.valid, book.best_bid)


@pytest.mark.parametrize(
    ("who", "stale"),
    [
        ({"asset_id": YES}, [YES]),
        ({"market": MARKET}, [YES, NO]),
        ({"asset_id": "9"}, []),
        ({"market": "0x9"}, []),
        ({}, [YES, NO]),
    ],
)
def test_staleness_has_an_extent(who: dict[str, str], stale: list[str]) -> None:
    """One asset's book, one market's books, or all."""
    books, _ = make_books(YES, NO)
    books.replace(snapshot(), now=0)
    books.replace(snapshot(asset_id=NO), now=0)

    assert stale == [core.asset_id for core in books.mark_stale("decode_error", **who)]


def test_an_unsubscribed_book_stays_stale_for_good() -> None:
    """Whatever still arrives for it, and whatever happens to the connection, the reason stays."""
    books, [book] = make_books(YES)
    [core] = books.replace(snapshot(1), now=0)

    book._leave()
    core.replace(snapshot(2))
    core.mark_stale("disconnect")

    assert (False, "unsubscribed") == (book.valid, book.stale_reason)


def test_a_removed_asset_is_forgotten() -> None:
    """Its messages change nothing, its market is not kept, and removing it again is a no-op."""
    books, [yes, no] = make_books(YES, NO)
    books.replace(snapshot(), now=0)
    books.replace(snapshot(asset_id=NO), now=0)

    books.remove(YES)
    books.remove(YES)

    assert (False, True) == (YES in books, NO in books)
    assert [NO] == [core.asset_id for core in books]
    assert "unsubscribed" == yes.stale_reason
    assert [] == books.replace(snapshot(5), now=0)
    assert [] == read(books, changes(5, change("0.5", "1")), now=0)
    assert [] == books.set_tick_size(YES, Decimal("0.1"), now=0)
    priced = books.set_last_trade_price(MARKET, YES, Decimal("0.5"), now=0)
    assert [NO] == [core.asset_id for core in priced]
    books.remove(NO)
    assert [] == books.set_last_trade_price(MARKET, NO, Decimal("0.5"), now=0)
    books.await_snapshots([NO])
    assert not no.valid


def test_a_handle_outlives_its_core() -> None:
    """The same LiveBook shows the next run's core, and then only that one."""
    books, [book] = make_books(YES)
    [old] = books.replace(snapshot(1), now=0)
    new = BookCore(YES)

    book._show(new)
    old.replace(snapshot(2))

    assert (True, False) == (book._shows(new), book._shows(old))
    assert (False, None, YES) == (book.valid, book.best_bid, book.asset_id)
    new.replace(snapshot(3, bids=[("0.1", "1")]))
    assert (True, Decimal("0.1")) == (book.valid, book.best_bid)


def test_a_long_asset_id_is_shortened_in_a_repr() -> None:
    """Token ids have about 77 digits; a repr shows the ends."""
    book = LiveBook(BookCore("1234567890" * 7), lambda: 0.0)

    assert "<LiveBook 12345678…7890 - / - no_snapshot>" == repr(book)


# --- changes -------------------------------------------------------------------------------------


def test_a_change_sets_the_size_of_a_level() -> None:
    """The size is the new aggregate, not a difference; the hash is that of the last change."""
    books, [book] = make_books(YES)
    books.replace(snapshot(1, hash="h1"), now=0)

    [core] = read(
        books,
        changes(
            2,
            change("0.4", "3", hash="h2"),
            change("0.61", "4", is_bid=False, hash="h3"),
        ),
        now=99,
    )

    assert book._shows(core)
    assert (numbers({"0.4": "3"}), numbers({"0.6": "10", "0.61": "4"})) == sides(book)
    assert (2, "h3", 1.0) == (book.top.timestamp_ms, book.snapshot().hash, book.age)


@pytest.mark.parametrize("zero", ["0", "0.0", ".0", "00", "0.000000"])
def test_a_size_of_zero_removes_the_level(zero: str) -> None:
    """However the zero is written; an absent level may be removed again."""
    books, [book] = make_books(YES)
    books.replace(snapshot(bids=[("0.4", "10"), ("0.3", "1")]), now=0)

    read(books, changes(2, change("0.4", zero), change("0.4", zero), change("0.99", zero)), now=0)

    assert numbers({"0.3": "1"}) == sides(book)[0]


def test_a_level_of_a_snapshot_may_be_zero() -> None:
    """It is no level; small sizes are."""
    books, [book] = make_books(YES)

    books.replace(snapshot(bids=[("0.4", "0.0"), ("0.3", "0.000001"), ("0.2", ".5")]), now=0)

    assert numbers({"0.3": "0.000001", "0.2": "0.5"}) == sides(book)[0]


def test_one_price_may_be_written_in_two_ways() -> None:
    """ ".48" and "0.480" are one level."""
    books, [book] = make_books(YES)
    books.replace(snapshot(bids=[(".48", "10")]), now=0)

    read(books, changes(2, change("0.480", "3")), now=0)

    assert numbers({"0.48": "3"}) == sides(book)[0]


def test_the_twin_token_is_ignored_unless_it_is_subscribed() -> None:
    """A price_change names both tokens of a market; each book takes its own entries."""
    alone, [book] = make_books(YES)
    both, [yes, no] = make_books(YES, NO)
    both.replace(snapshot(asset_id=NO), now=0)
    mirrored = changes(2, change("0.41", "5"), change("0.59", "5", is_bid=False, asset_id=NO))
    for books in (alone, both):
        books.replace(snapshot(), now=0)
        changed = read(books, mirrored, now=0)

    assert [YES, NO] == [core.asset_id for core in changed]
    assert numbers({"0.4": "10", "0.41": "5"}) == sides(book)[0] == sides(yes)[0]
    assert numbers({"0.6": "10", "0.59": "5"}) == sides(no)[1]
    assert [] == read(alone, changes(3, change("0.5", "1", asset_id=NO)), now=0)


def test_a_change_older_than_its_snapshot_is_not_applied() -> None:
    """The snapshot holds it already: it is counted as late. One of the same time is applied."""
    books, [book] = make_books(YES)
    books.replace(snapshot(5), now=0)

    late = read(books, changes(4, change("0.5", "1"), change("0.5", "2")), now=0)
    same = read(books, changes(5, change("0.45", "1")), now=0)

    assert ([], 2, 1) == (late, books.counts.late_changes, len(same))
    assert numbers({"0.4": "10", "0.45": "1"}) == sides(book)[0]


def test_a_tick_change_reaches_the_book() -> None:
    """No snapshot accompanies it."""
    books, [book] = make_books(YES)
    books.replace(snapshot(), now=0)

    [core] = books.set_tick_size(YES, Decimal("0.001"), now=60)

    assert book._shows(core)
    assert (Decimal("0.001"), 40.0) == (book.tick_size, book.age)


def test_a_print_sets_the_last_price_of_both_tokens() -> None:
    """It names the taker's token only, subscribed or not, but both carry the market's price."""
    books, [yes, no] = make_books(YES, NO)
    books.replace(snapshot(last_trade_price="0.100"), now=0)
    books.replace(snapshot(asset_id=NO), now=0)
    assert (Decimal("0.100"), None) == (yes.last_trade_price, no.last_trade_price)

    books.set_last_trade_price(MARKET, YES, Decimal("0.5"), now=0)
    assert (Decimal("0.5"), Decimal("0.5")) == (yes.last_trade_price, no.last_trade_price)

    books.set_last_trade_price(MARKET, "9", Decimal("0.7"), now=0)
    assert (Decimal("0.7"), Decimal("0.7")) == (yes.last_trade_price, no.last_trade_price)


def test_a_print_may_come_before_the_snapshot() -> None:
    """The market of the book is not known yet; its asset is."""
    books, [book] = make_books(YES)

    books.set_last_trade_price(MARKET, YES, Decimal("0.5"), now=0)
    books.replace(snapshot(is_answer=False), now=0)

    assert Decimal("0.5") == book.last_trade_price


def test_age_is_never_negative() -> None:
    """The reader's clock may be read before the writer's."""
    books, [book] = make_books(YES)

    books.replace(snapshot(), now=101.0)

    assert 0.0 == book.age


def test_the_store_of_known_prices_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sent ever new prices would not fill the memory through it."""
    monkeypatch.setattr(prices, "known_prices", {})
    monkeypatch.setattr(prices, "_INTERNED_LIMIT", 2)
    books, [book] = make_books(YES)

    books.replace(snapshot(bids=[("0.1", "1"), ("0.2", "2"), ("0.3", "3")], asks=[]), now=0)

    assert 2 == len(prices.known_prices)
    assert numbers({"0.1": "1", "0.2": "2", "0.3": "3"}) == sides(book)[0]


# --- held changes --------------------------------------------------------------------------------


def test_changes_before_the_first_snapshot_are_held() -> None:
    """Nothing changes until it comes; then the newer ones are applied to it."""
    books, [book] = make_books(YES)

    assert [] == read(books, changes(4, change("0.1", "1")), now=0)
    assert [] == read(books, changes(6, change("0.41", "2", hash="h6")), now=0)
    books.replace(snapshot(5), now=0)

    assert numbers({"0.4": "10", "0.41": "2"}) == sides(book)[0]
    assert (6, "h6") == (book.top.timestamp_ms, book.snapshot().hash)


def test_held_changes_of_the_snapshots_own_time_are_applied() -> None:
    """Many events share a millisecond; sizes are absolute, so applying one twice does no harm."""
    books, [book] = make_books(YES)
    read(books, changes(5, change("0.41", "2")), now=0)

    books.replace(snapshot(5), now=0)

    assert numbers({"0.4": "10", "0.41": "2"}) == sides(book)[0]


def test_the_snapshots_hash_says_which_held_changes_it_contains() -> None:
    """Those up to and including its own are dropped, even of its time; later ones are applied."""
    books, [book] = make_books(YES)
    read(books, changes(5, change("0.42", "1", hash="h1"), change("0.42", "0", hash="h2")), now=0)
    read(books, changes(5, change("0.43", "3", hash="h3")), now=0)

    books.replace(snapshot(5, hash="h2"), now=0)

    assert numbers({"0.4": "10", "0.43": "3"}) == sides(book)[0]


def test_nothing_is_held_after_the_answer() -> None:
    """A later refresh replaces the book, and no change of before comes back."""
    books, [book] = make_books(YES)
    books.replace(snapshot(5), now=0)
    read(books, changes(7, change("0.45", "1")), now=0)

    books.replace(snapshot(7, is_answer=False), now=0)

    assert numbers({"0.4": "10"}) == sides(book)[0]


def test_a_refresh_may_overtake_the_awaited_answer() -> None:
    """The answer may be the older one: what is held stays held until it comes."""
    books, [book] = make_books(YES)
    read(books, changes(6, change("0.41", "6")), now=0)
    books.replace(snapshot(6, bids=[("0.4", "10"), ("0.41", "6")], is_answer=False), now=0)
    live = book.valid
    read(books, changes(7, change("0.42", "7")), now=0)

    books.replace(snapshot(5), now=0)

    assert live
    assert numbers({"0.4": "10", "0.41": "6", "0.42": "7"}) == sides(book)[0]
    assert 7 == book.top.timestamp_ms


def test_changes_are_held_for_a_book_that_is_not_empty() -> None:
    """After a reconnect the old levels are shown, stale, and changes wait for the new snapshot."""
    books, [book] = make_books(YES)
    books.replace(snapshot(1), now=0)
    books.mark_stale("disconnect")
    books.await_snapshots([YES])

    read(books, changes(9, change("0.3", "3")), now=0)
    shown = sides(book)[0]
    books.replace(snapshot(8), now=0)

    assert numbers({"0.4": "10"}) == shown
    assert numbers({"0.4": "10", "0.3": "3"}) == sides(book)[0]


def test_what_was_held_for_a_lost_connection_is_forgotten() -> None:
    """Between two connections changes are missing, so those before the gap are worth nothing."""
    books, [book] = make_books(YES)
    read(books, changes(9, change("0.3", "3")), now=0)

    books.await_snapshots([YES])
    books.replace(snapshot(8), now=0)

    assert numbers({"0.4": "10"}) == sides(book)[0]


def test_held_changes_are_bounded() -> None:
    """The oldest are given up and counted: they are the likeliest to be in the snapshot."""
    books, [book] = make_books(YES)
    for number in range(HELD_LIMIT + 3):
        read(books, changes(number, change("0.5", str(number + 1))), now=0)

    books.replace(snapshot(0), now=0)

    assert 3 == books.counts.held_overflows
    assert Decimal(HELD_LIMIT + 3) == sides(book)[0][Decimal("0.5")]


def test_an_answer_without_tick_size_costs_no_memory() -> None:
    """Should the server stop sending it, a live book gives up waiting after a bounded time."""
    books, [book] = make_books(YES)
    books.replace(snapshot(0, is_answer=False), now=0)
    for number in range(1, HELD_LIMIT + 3):
        read(books, changes(number, change("0.5", str(number))), now=0)

    books.replace(snapshot(1, is_answer=False), now=0)

    assert (0, numbers({"0.4": "10"})) == (books.counts.held_overflows, sides(book)[0])


# --- the check of the top ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bids", "asks", "told"),
    [
        (["0.4"], ["0.6"], ("0.4", "0.6")),
        (["0.4"], ["0.6"], (".40", "0.60")),
        ([], [], ("0", "1")),
        ([], [], ("0.0", "1.0")),
        ([], [], ("", "")),
        ([], [], (None, None)),
        (["0.4"], ["0.6"], (None, "")),
    ],
)
def test_the_top_agrees(
    bids: list[str], asks: list[str], told: tuple[str | None, str | None]
) -> None:
    """However the server writes a price or an empty side ("0" and "1", "" or nothing at all)."""
    books, [book] = make_books(YES)
    books.replace(snapshot(1, [(b, "1") for b in bids], [(a, "1") for a in asks]), now=0)

    read(books, changes(2, change("0.01", "0", best=told)), now=0)

    assert ("unverified", 0) == (book.integrity, books.counts.top_mismatches)


@pytest.mark.parametrize(
    ("bids", "asks", "told"),
    [
        (["0.4"], ["0.6"], ("0.41", "0.6")),
        (["0.4"], ["0.6"], ("0.4", "0.59")),
        (["0.4"], ["0.6"], ("0", "0.6")),
        (["0.4"], ["0.6"], ("0.4", "1")),
        ([], ["0.6"], ("0.4", "0.6")),
        (["0.4"], [], ("0.4", "0.6")),
    ],
)
def test_the_top_differs(
    bids: list[str], asks: list[str], told: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """A lost change that moved a best price shows at once: "mismatch", one WARNING, one count."""
    books, [book] = make_books(YES)
    books.replace(snapshot(1, [(b, "1") for b in bids], [(a, "1") for a in asks]), now=0)

    with caplog.at_level(logging.WARNING):
        for time in (2, 3):
            read(books, changes(time, change("0.01", "0", best=told)), now=0)

    assert ("mismatch", "mismatch") == (book.integrity, book.top.integrity)
    assert (1, 1) == (books.counts.top_mismatches, len(caplog.records))
    assert book.valid


def test_the_warning_of_a_mismatch_has_both_sides(caplog: pytest.LogCaptureFixture) -> None:
    """The line names the asset, our best prices and the server's."""
    books, _ = make_books(YES)
    books.replace(snapshot(1, asks=[]), now=0)

    read_step(books, changes(2, change("0.01", "0", best=("0.5", "0.6"))), now=0)

    [record] = caplog.records
    assert "book 1: best prices 0.4/None, but the server says 0.5/0.6" == record.getMessage()


def test_a_mismatch_ends_when_the_best_prices_agree_again() -> None:
    """By a change that repairs the level, or by a snapshot; the next mismatch counts anew."""
    books, [book] = make_books(YES)
    books.replace(snapshot(1), now=0)
    seen = []
    for time, entry in (
        (2, change("0.01", "0", best=("0.5", "0.6"))),
        (3, change("0.5", "1", best=("0.5", "0.6"))),
        (4, change("0.01", "0", best=("0.55", "0.6"))),
    ):
        read_step(books, changes(time, entry), now=0)
        seen.append(book.integrity)
    books.replace(snapshot(5), now=0)

    assert ["mismatch", "unverified", "mismatch"] == seen
    assert ("unverified", 2) == (book.integrity, books.counts.top_mismatches)


def test_only_the_last_entry_of_a_message_is_checked() -> None:
    """A message is applied whole: the best prices after its earlier entries are never seen."""
    books, [book] = make_books(YES)
    books.replace(snapshot(1), now=0)

    read(
        books,
        changes(
            2,
            change("0.5", "1", best=("0.5", "0.6")),
            change("0.55", "1", best=("0.55", "0.6")),
        ),
        now=0,
    )

    assert ("unverified", 0) == (book.integrity, books.counts.top_mismatches)


def test_the_check_can_be_off() -> None:
    """verify="off" compares nothing."""
    books, [book] = make_books(YES, verify="off")
    books.replace(snapshot(1), now=0)

    read(books, changes(2, change("0.5", "1", best=("0.9", "0.95"))), now=0)

    assert ("unverified", 0) == (book.integrity, books.counts.top_mismatches)


# --- the check of the hash -----------------------------------------------------------------------

NEVER = float("inf")
REAL = "ab" * 20  # 40 hex digits that are no hash of anything here


class Told:
    """What a server with one market would tell: the true book, and its right hashes."""

    def __init__(self, asset_id: str = YES, price: str = "") -> None:
        self.asset_id, self.price, self.tick_size = asset_id, price, "0.01"
        self.parameters = Parameters("15", True)
        self.bids, self.asks = {"0.3": "5", "0.4": "10"}, {"0.6": "10"}

    def hash(self, timestamp_ms: int) -> str:
        return book_hash(
            book_head(MARKET, self.asset_id),
            str(timestamp_ms),
            sorted(self.bids.items()),
            sorted(self.asks.items(), reverse=True),
            self.parameters,
            self.tick_size,
            self.price,
        )

    def snapshot(self, timestamp_ms: int = 1, *, is_answer: bool = True) -> Snapshot:
        return Snapshot(
            MARKET,
            self.asset_id,
            timestamp_ms,
            self.hash(timestamp_ms),
            list(self.bids.items()),
            list(self.asks.items()),
            self.tick_size if is_answer else None,
            self.price if is_answer else None,
        )

    def change(self, timestamp_ms: int, price: str, size: str) -> Changes:
        self.bids[price] = size
        if size == "0":
            del self.bids[price]
        entry = change(price, size, asset_id=self.asset_id, hash=self.hash(timestamp_ms))
        return changes(timestamp_ms, entry)


def hashed(*asset_ids: str) -> tuple[Books, list[LiveBook], list[Told]]:
    """Live, verified books at time 0, and what their server would tell."""
    books, handles = make_books(*asset_ids, verify="hash")
    told = [Told(asset_id) for asset_id in asset_ids]
    for one in told:
        books.replace(one.snapshot(), now=0)
    return books, handles, told


def integrities(handles: list[LiveBook]) -> list[str]:
    """Of each book."""
    return [book.integrity for book in handles]


def test_a_snapshots_own_hash_verifies_it() -> None:
    """Parameters that are not on the wire are found by it; nothing is due then."""
    books, [book], _ = hashed(YES)

    assert ("verified", "verified", NEVER) == (book.integrity, book.top.integrity, books.deadline)
    assert (1, 0, 0) == (
        books.counts.hash_checks,
        books.counts.hash_mismatches,
        books.counts.unverifiable,
    )


@pytest.mark.parametrize("hash", [None, "", "0" * 40, "h1", REAL])
def test_a_snapshot_may_have_no_hash_to_check(
    hash: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """It is missing, zeros, or made up: quietly "unverified", counted, and changes too."""
    books, [book] = make_books(YES, verify="hash")

    books.replace(snapshot(hash=hash), now=0)
    read(books, changes(2, change("0.5", "1", hash=REAL)), now=1)

    assert ("unverified", NEVER, []) == (book.integrity, books.deadline, books.tick(9))
    assert (1, 0, []) == (books.counts.unverifiable, books.counts.hash_mismatches, caplog.records)


def test_a_refresh_before_any_tick_size_is_not_checked() -> None:
    """The tick is in the hash, and only an answer tells it."""
    books, [book] = make_books(YES, verify="hash")

    books.replace(Told().snapshot(is_answer=False), now=0)

    assert ("unverified", 1) == (book.integrity, books.counts.unverifiable)


def test_a_refresh_is_learned_from_when_the_answer_was_not() -> None:
    """Its hash is as good as the answer's."""
    books, [book] = make_books(YES, verify="hash")
    books.replace(snapshot(hash=REAL), now=0)

    books.replace(Told().snapshot(5, is_answer=False), now=0)

    assert ("verified", 1) == (book.integrity, books.counts.unverifiable)


def test_a_change_is_checked_at_the_end_of_its_read() -> None:
    """Not at once: what arrived with it may explain its hash. It is due now."""
    books, [book], [told] = hashed(YES)
    read(books, told.change(2, "0.45", "1"), now=5)

    assert (5, "verified") == (books.deadline, book.integrity)
    assert [] == books.tick(5)
    assert (2, NEVER) == (books.counts.hash_checks, books.deadline)


def test_an_asset_is_checked_at_most_once_in_a_tenth_of_a_second() -> None:
    """The newest change then; those before it are not looked at."""
    books, _, [told] = hashed(YES)
    read(books, told.change(2, "0.45", "1"), now=5)
    books.tick(5)

    for number in range(3, 9):
        read(books, told.change(number, "0.45", str(number)), now=5)
    due = books.deadline
    books.tick(due)

    assert (5 + CHECK_SECONDS, 3, 0) == (
        due,
        books.counts.hash_checks,
        books.counts.hash_mismatches,
    )


def test_a_step_in_two_reads_is_proved_when_it_is_whole() -> None:
    """A hash that does not fit yet decides nothing; the next read of it is checked at once."""
    books, [book], [told] = hashed(YES)
    told.bids["0.2"], told.bids["0.3"] = "1", "7"
    hash = told.hash(2)

    read(books, changes(2, change("0.2", "1", hash=hash)), now=5)
    early = (books.tick(5), books.counts.hash_checks, book.integrity, books.deadline)
    read(books, changes(2, change("0.3", "7", hash=hash)), now=5.01)
    books.tick(5.01)

    assert ([], 1, "verified", 5 + STEP_SECONDS) == early
    assert (2, 0, NEVER) == (books.counts.hash_checks, books.counts.hash_mismatches, books.deadline)


def test_the_end_of_a_step_is_counted_from_its_newest_message() -> None:
    """Each may be followed by another one; what has ended no better than before is no news."""
    books, [book], _ = hashed(YES)
    for now in (5, 5.03):
        read(books, changes(2, change("0.45", "1", hash=REAL, best=("0.5", "0.6"))), now=now)
    early = (books.tick(5 + STEP_SECONDS), book.integrity, books.deadline)
    [core] = books.tick(5.03 + STEP_SECONDS)

    assert ([], "verified", 5.03 + STEP_SECONDS) == early
    assert ("mismatch", True) == (book.integrity, book._shows(core))
    read(books, changes(3, change("0.2", "1", hash=REAL)), now=6)
    books.tick(6)
    assert [] == books.tick(6 + STEP_SECONDS)


def test_a_lost_change_shows_in_the_next_hash() -> None:
    """The best prices are right all along; only the hash tells. The next one that fits ends it."""
    books, [book], [told] = hashed(YES)
    told.change(2, "0.3", "7")

    [core] = read_step(books, told.change(3, "0.2", "1"), now=5)
    reason = core.verification.finding.reason
    seen = book.integrity
    read(books, told.change(4, "0.3", "8"), now=6)
    [healed] = books.tick(6)

    assert ("mismatch", "hash_mismatch", "verified") == (seen, reason, book.integrity)
    assert book._shows(core)
    assert core is healed
    assert (1, 0) == (books.counts.hash_mismatches, books.counts.top_mismatches)


def test_a_trade_through_several_levels_is_no_mismatch() -> None:
    """Its first change may carry the price of its last one, which the book still has."""
    books, [book], [told] = hashed(YES)
    told.price = "0.300"
    read(books, told.change(2, "0.4", "0"), now=5)

    assert ([], "verified") == (books.tick(5), book.integrity)


def test_a_change_without_a_hash_is_unverified() -> None:
    """Quietly; the next one may be proved again."""
    books, [book], [told] = hashed(YES)
    read(books, changes(2, change("0.2", "1")), now=5)

    assert [book.asset_id] == [core.asset_id for core in books.tick(5)]
    assert ("unverified", 1) == (book.integrity, books.counts.unverifiable)
    told.bids["0.2"] = "1"
    read(books, told.change(3, "0.45", "1"), now=6)
    books.tick(6)
    assert "verified" == book.integrity


def test_a_hash_that_fits_proves_a_book_whose_top_was_told_wrong() -> None:
    """Published when its step has ended, since the rest of it could have been to come."""
    books, [book], [told] = hashed(YES)
    [entry] = told.change(2, "0.45", "1").changes

    shown = read(books, changes(2, attrs.evolve(entry, best_bid="0.5")), now=5)
    shown += books.tick(5)
    seen = (shown, book.best_bid, books.deadline)
    [core] = books.tick(books.deadline)

    assert ([], Decimal("0.4"), 5 + STEP_SECONDS) == seen
    assert book._shows(core)
    assert ("verified", Decimal("0.45"), NEVER) == (book.integrity, book.best_bid, books.deadline)
    assert (0, 0) == (books.counts.top_mismatches, books.counts.hash_mismatches)


def test_a_wrong_top_is_a_mismatch_when_its_step_has_ended() -> None:
    """As with verify="top"; the next hash that fits proves the whole book, and so ends it."""
    books, [book], [told] = hashed(YES)
    [entry] = told.change(2, "0.45", "1").changes

    read(books, changes(2, attrs.evolve(entry, best_bid="0.5", hash=REAL)), now=5)
    books.tick(5)
    before = book.integrity
    [core] = books.tick(5 + STEP_SECONDS)
    seen = (before, book.integrity, core.verification.finding.reason)
    read(books, told.change(3, "0.45", "2"), now=6)
    books.tick(6)

    assert ("verified", "mismatch", "top_mismatch") == seen
    assert ("verified", NEVER) == (book.integrity, books.deadline)
    assert (1, 1) == (books.counts.top_mismatches, books.counts.hash_mismatches)


@pytest.mark.parametrize("event", ["print", "tick"])
def test_a_pending_check_is_settled_before_its_inputs_change(event: str) -> None:
    """A print or a tick change of the market, of whichever of its tokens."""
    books, handles, [yes, no] = hashed(YES, NO)
    for one in (yes, no):
        read(books, one.change(2, "0.45", "1"), now=0)
    no.tick_size = "0.001"
    pending = books.deadline

    if event == "print":
        books.set_last_trade_price(MARKET, "9", Decimal("0.25"), now=0.01)
    else:
        books.set_tick_size(NO, Decimal("0.001"), now=0.01)

    assert (CHECK_SECONDS, NEVER, 4) == (pending, books.deadline, books.counts.hash_checks)
    assert ["verified", "verified"] == integrities(handles)


def test_a_print_at_the_known_price_settles_nothing() -> None:
    """No input of a hash changes; but a snapshot's last price may have come in between."""
    books, _, [yes] = hashed(YES)
    books.set_last_trade_price(MARKET, YES, Decimal("0.25"), now=0)
    read(books, yes.change(2, "0.45", "1"), now=0.01)
    pending = books.deadline

    books.set_last_trade_price(MARKET, YES, Decimal("0.25"), now=0.02)
    assert (pending, 0.02) == (books.deadline, next(iter(books)).received_at)

    next(iter(books)).last_trade_price = Decimal("0.6")
    books.set_last_trade_price(MARKET, YES, Decimal("0.25"), now=0.03)
    assert Decimal("0.25") == next(iter(books)).last_trade_price


def test_a_settled_twin_is_among_what_changed() -> None:
    """A tick of one token may show that the other one's book is wrong."""
    books, handles, [yes, _] = hashed(YES, NO)
    yes.change(4, "0.3", "7")
    read(books, yes.change(5, "0.45", "1"), now=6)

    changed = books.set_tick_size(NO, Decimal("0.001"), now=6)

    assert [NO, YES] == [core.asset_id for core in changed]
    assert ["mismatch", "verified"] == integrities(handles)


def test_a_tick_change_alters_later_hashes() -> None:
    """Its text goes into them, and may explain one that was ahead of it."""
    books, [book], [told] = hashed(YES)
    told.tick_size = "0.001"
    read_step(books, told.change(2, "0.45", "1"), now=5)
    early = book.integrity
    books.set_tick_size(YES, Decimal("0.001"), now=5)
    explained = book.integrity
    read(books, told.change(3, "0.45", "2"), now=6)
    books.tick(6)

    assert ("mismatch", "verified", "verified") == (early, explained, book.integrity)


@pytest.mark.parametrize("taker", [YES, NO, "9"])
def test_the_next_print_explains_a_hash_that_was_ahead(taker: str) -> None:
    """A trade at a price that no change touched: a mismatch until its print, and no longer."""
    books, [book, _], [told, _] = hashed(YES, NO)
    told.price = "0.770"
    read_step(books, told.change(2, "0.45", "1"), now=5)
    ahead = (book.integrity, books.deadline)

    books.set_last_trade_price(MARKET, taker, Decimal("0.77"), now=5.04)

    assert (("mismatch", 5 + SUSPECT_SECONDS), "verified") == (ahead, book.integrity)
    assert (NEVER, []) == (books.deadline, books.suspects(9))


def test_an_old_hash_explained_leaves_a_wrong_top() -> None:
    """What is proved is the past; the best prices differ now."""
    books, [book], [told] = hashed(YES)
    told.price = "0.770"
    read_step(books, told.change(2, "0.45", "1"), now=5)
    read_step(books, changes(3, change("0.2", "1", hash=REAL, best=("0.5", "0.6"))), now=5)

    books.set_last_trade_price(MARKET, YES, Decimal("0.77"), now=5.04)

    assert "mismatch" == book.integrity


def test_held_changes_are_checked_too() -> None:
    """The snapshot by its own hash, and what was held for it by the newest change's."""
    books, [book] = make_books(YES, verify="hash")
    told = Told()
    answer = told.snapshot()
    told.change(2, "0.3", "7")
    read(books, told.change(3, "0.45", "1"), now=0)

    books.replace(answer, now=1)
    seen = (book.integrity, books.deadline)
    books.tick(1 + CHECK_SECONDS)

    assert (("verified", 1 + CHECK_SECONDS), "mismatch") == (seen, book.integrity)


def test_a_refresh_that_repeats_the_book_costs_no_hash() -> None:
    """It follows each trade, soon after the last check; what waits for a check goes on waiting."""
    books, handles, [yes, no] = hashed(YES, NO)
    read(books, yes.change(2, "0.45", "1"), now=0)
    read(books, no.change(2, "0.45", "1"), now=0.05)

    books.replace(yes.snapshot(2, is_answer=False), now=0.06)

    assert (["verified", "verified"], 2) == (integrities(handles), books.counts.hash_checks)
    assert ([], CHECK_SECONDS) == (books.take_proofs(), books.deadline)


def test_refreshes_that_repeat_the_book_hide_no_lost_tick() -> None:
    """Each follows its change in one read; the levels are right, but no hash fits any more."""
    books, [book], [told] = hashed(YES)
    told.tick_size = "0.001"
    seen: list[str] = []
    suspects: list[BookCore] = []
    for second in range(1, 6):
        read(books, told.change(second, "0.45", str(second)), now=second)
        books.replace(told.snapshot(second, is_answer=False), now=second)
        books.tick(second)
        suspects += books.suspects(second)
        seen.append(book.integrity)

    assert ["mismatch"] * 5 == seen
    assert [YES] == [core.asset_id for core in suspects]

    assert "equal" == books.settle(suspects[0], told.snapshot(5), now=6).finding
    assert ("verified", Decimal("0.001")) == (book.integrity, book.tick_size)


def in_question() -> tuple[Books, LiveBook, BookCore, Told]:
    """A book in a mismatch, of which evidence is asked for at 4 s: its newest hash was made up."""
    books, [book], [told] = hashed(YES)
    [entry] = told.change(2, "0.45", "1").changes
    read(books, changes(2, attrs.evolve(entry, hash=REAL)), now=1)
    books.tick(1 + CHECK_SECONDS)
    [core] = books.suspects(4)
    return books, book, core, told


def test_evidence_does_not_undo_what_was_heard_after_it_was_asked_for() -> None:
    """A tick change and a print alter no level, so the answer may be of before."""
    books, book, core, told = in_question()
    evidence = told.snapshot(2)._replace(last_trade_price="0.37")
    told.tick_size = "0.001"
    books.set_tick_size(YES, Decimal("0.001"), now=4.1)
    books.set_last_trade_price(MARKET, YES, Decimal("0.42"), now=4.2)

    assert "equal" == books.settle(core, evidence, now=4.3).finding
    assert (Decimal("0.001"), Decimal("0.42")) == (book.tick_size, book.last_trade_price)

    told.price = "0.42"
    read(books, told.change(3, "0.45", "2"), now=5)
    books.tick(5)
    assert "verified" == book.integrity


def test_a_change_that_bridges_to_the_evidence_is_checked() -> None:
    """The evidence is of before, and equal; a lost tick shows in the change that came since."""
    books, book, core, told = in_question()
    evidence = told.snapshot(2)
    told.tick_size = "0.001"
    read(books, told.change(3, "0.45", "2"), now=4.2)

    assert "equal" == books.settle(core, evidence, now=4.3).finding
    books.tick(4.3 + CHECK_SECONDS)

    assert "mismatch" == book.integrity


def test_what_came_since_is_put_on_top_of_evidence_that_differs() -> None:
    """Stale for the gap that is told, then the evidence, then what was held for it."""
    books, book, core, told = in_question()
    told.change(3, "0.44", "5")  # lost
    evidence = told.snapshot(3)
    read(books, told.change(4, "0.46", "7"), now=4.2)

    settled = books.settle(core, evidence, now=4.3)
    books.tick(4.3 + CHECK_SECONDS)

    assert ("different", "hash_mismatch", [core]) == settled
    assert (True, "verified", 4) == (book.valid, book.integrity, book.top.timestamp_ms)


def test_a_refresh_of_a_stale_book_is_checked() -> None:
    """What was to be checked before it became stale is forgotten."""
    books, [book], [told] = hashed(YES)
    told.tick_size = "0.001"
    read(books, told.change(2, "0.45", "1"), now=0.02)
    books.mark_stale("decode_error", asset_id=YES)

    books.replace(told.snapshot(2, is_answer=False), now=0.05)

    assert (True, "mismatch") == (book.valid, book.integrity)


def test_a_stale_book_waits_for_no_evidence() -> None:
    """Healed by a refresh that fits no better, it is a suspect again."""
    books, book, core, told = in_question()
    told.tick_size = "0.001"
    books.mark_stale("decode_error", asset_id=YES)
    books.replace(told.snapshot(3, is_answer=False), now=5)
    read(books, told.change(4, "0.45", "2"), now=6)

    assert (True, "mismatch") == (book.valid, book.integrity)
    assert [core] == books.suspects(5 + SUSPECT_SECONDS)


def test_giving_a_probe_up_leaves_what_a_subscription_waits_for() -> None:
    """Its answer may be older than the changes that are held for it."""
    core = BookCore(YES)
    seen: list[Awaited] = []
    for step in (core.await_probe, core.release_probe, core.await_probe, core.await_snapshot):
        step()
        seen.append(core.verification.awaited)
    core.release_probe()

    assert [PROBE, NOTHING, PROBE, SNAPSHOT] == seen
    assert SNAPSHOT is core.verification.awaited


def test_a_mismatch_while_evidence_is_on_its_way_is_a_suspicion_after_it() -> None:
    """Evidence of a silence does not judge the mismatch that began meanwhile."""
    books, [book], [told] = hashed(YES)
    [core] = books
    core.await_probe()
    [entry] = told.change(2, "0.45", "1").changes
    read_step(books, changes(2, attrs.evolve(entry, best_bid="0.5", hash=REAL)), now=5)
    early = books.suspects(5 + SUSPECT_SECONDS)
    core.release_probe()

    assert ("mismatch", [], [core]) == (
        book.integrity,
        early,
        books.suspects(5 + 2 * SUSPECT_SECONDS),
    )


@pytest.mark.parametrize("was_wrong", [False, True])
def test_a_refresh_with_another_hash_is_a_mismatch(was_wrong: bool) -> None:
    """Its levels are taken; its hash is as unexplained as a change's, and counted once."""
    books, [book], [told] = hashed(YES)
    if was_wrong:
        read_step(books, changes(2, change("0.3", "5", hash=REAL)), now=5)

    books.replace(told.snapshot(3, is_answer=False)._replace(hash=REAL), now=6)

    assert ("mismatch", 1, []) == (
        book.integrity,
        books.counts.hash_mismatches,
        books.take_proofs(),
    )
    assert (5 if was_wrong else 6) + SUSPECT_SECONDS == books.deadline


def test_a_refresh_is_checked_by_its_own_hash() -> None:
    """One whose time or price differs from the last change's, with equal levels."""
    books, [book], [told] = hashed(YES)

    books.replace(told.snapshot(5, is_answer=False), now=1)

    assert ("verified", 2, []) == (book.integrity, books.counts.hash_checks, books.take_proofs())


@pytest.mark.parametrize("verify", ["hash", "top"])
@pytest.mark.parametrize(
    ("bids", "is_proof"),
    [
        ([("0.4", "10")], False),
        ([(".40", "10.0")], False),
        ([("0.4", "11")], True),
        ([("0.4", "10"), ("0.3", "1")], True),
        ([], True),
    ],
)
def test_a_refresh_that_differs_proves_the_book_wrong(
    verify: str, bids: list[tuple[str, str]], is_proof: bool
) -> None:
    """By value, with no change in between; the book is healed by it. The proof is told once."""
    books, [book] = make_books(YES, verify=verify)
    [core] = books.replace(snapshot(1), now=0)

    books.replace(snapshot(2, bids, is_answer=False), now=0)

    assert ([(core, "refresh_mismatch")] if is_proof else []) == books.take_proofs()
    assert ([], int(is_proof)) == (books.take_proofs(), books.counts.refresh_mismatches)
    assert {Decimal(p): Decimal(s) for p, s in bids} == sides(book)[0]


@pytest.mark.parametrize("why", ["off", "stale", "older", "answer", "empty"])
def test_a_refresh_that_differs_may_prove_nothing(why: str) -> None:
    """The book was not live, changed since, or was asked for anew, or nothing is to be verified."""
    books, _ = make_books(YES, verify="off" if why == "off" else "hash")
    if why != "empty":
        books.replace(snapshot(2), now=0)
    if why == "stale":
        books.mark_stale("disconnect")

    time = 1 if why == "older" else 3
    books.replace(snapshot(time, [("0.1", "1")], is_answer=why == "answer"), now=0)

    assert ([], 0) == (books.take_proofs(), books.counts.refresh_mismatches)


def lasting_mismatch() -> tuple[Books, LiveBook, Told, BookCore]:
    """A book that lost a change at 2 and is in a mismatch since second 5; the next change was 3."""
    books, [book], [told] = hashed(YES)
    told.change(2, "0.3", "7")
    [core] = read_step(books, told.change(3, "0.2", "1"), now=5)
    return books, book, told, core


def test_a_mismatch_that_lasts_makes_a_suspect() -> None:
    """After two seconds, once; the deadline knows, and `tick` alone does not lose it."""
    books, _, _, core = lasting_mismatch()

    assert 5 + SUSPECT_SECONDS == books.deadline
    assert [] == books.suspects(6.9)
    assert [] == books.tick(7)
    assert NEVER == books.deadline
    assert ([core], []) == (books.suspects(7), books.suspects(99))


def test_a_suspect_whose_top_comes_and_goes_is_one_suspect() -> None:
    """Its integrity is "mismatch" throughout, since its hash differs."""
    books, book, told, core = lasting_mismatch()
    assert [core] == books.suspects(7)

    for number, best_bid in enumerate(["0.9", "", "0.9"]):
        timestamp = 4 + number
        [entry] = told.change(timestamp, "0.1", "1").changes
        read_step(books, changes(timestamp, attrs.evolve(entry, best_bid=best_bid)), now=8 + number)
        assert (bool(best_bid), "mismatch") == (
            core.verification.finding.top_differs,
            book.integrity,
        )

    assert [] == books.suspects(99)


@pytest.mark.parametrize("verify", ["hash", "top"])
def test_a_wrong_top_that_lasts_makes_a_suspect_too(verify: str) -> None:
    """Also where only best prices are compared."""
    books, _ = make_books(YES, verify=verify)
    [core] = books.replace(snapshot(1), now=0)

    read_step(books, changes(2, change("0.2", "1", best=("0.5", "0.6"))), now=5)

    assert ([], [core]) == (books.suspects(6.9), books.suspects(7))


@pytest.mark.parametrize("end", ["stale", "healed", "removed", "healed late", "stale late"])
def test_a_suspicion_ends_with_its_mismatch(end: str) -> None:
    """Or when the book is not live any more, even at the last moment."""
    books, _, told, _ = lasting_mismatch()
    if end.endswith("late"):
        books.tick(7)
    if end == "removed":
        books.remove(YES)
    elif end.startswith("stale"):
        books.mark_stale("disconnect")
    else:
        books.replace(told.snapshot(3, is_answer=False), now=6)

    assert ([], NEVER) == (books.suspects(99), books.deadline)


def test_a_new_mismatch_makes_a_suspect_anew() -> None:
    """Each is listed once until its state changes."""
    books, _, told, core = lasting_mismatch()
    books.suspects(7)
    books.replace(told.snapshot(3, is_answer=False), now=8)
    told.change(4, "0.3", "9")
    read_step(books, told.change(5, "0.2", "2"), now=9)

    was_awaited = core.verification.awaited.holds
    assert [core] == books.suspects(9 + SUSPECT_SECONDS)
    assert (False, True) == (was_awaited, core.verification.awaited.holds)


def test_a_book_that_awaits_its_answer_is_no_suspect_yet() -> None:
    """What it awaits will settle it; should that not come, it is asked about later."""
    books, _, _, core = lasting_mismatch()
    books.await_snapshots([YES])

    assert ([], 9) == (books.suspects(7), books.deadline)
    core.hold(9, [change("0.2", "1")] * (HELD_LIMIT + 1))
    assert [core] == books.suspects(9)


@pytest.mark.parametrize("verify", ["hash", "top"])
def test_equal_evidence_acquits_a_book(verify: str) -> None:
    """Another connection was told the same: the recipe, a price or the told top was wrong."""
    books, [book] = make_books(YES, verify=verify)
    told = Told()
    books.replace(told.snapshot(), now=0)
    told.bids["0.3"] = "6"
    read_step(books, changes(2, change("0.3", "6", hash=REAL, best=("0.5", "0.6"))), now=5)
    told.price, told.parameters = "0.990", Parameters("1", False)
    [core] = books.suspects(7)
    wrong = (book.integrity, core.differs_from(told.snapshot(2)))

    assert ("equal", ("mismatch", False)) == (
        books.settle(core, told.snapshot(2), 8).finding,
        wrong,
    )
    assert {"hash": "verified", "top": "unverified"}[verify] == book.integrity
    assert (NEVER, []) == (books.deadline, books.suspects(99))


def test_a_mismatch_whose_evidence_will_not_come_is_doubted_again() -> None:
    """Another connection leads now: what was asked for beside the former one is void."""
    books, book, _, core = lasting_mismatch()
    assert [core] == books.suspects(99)
    core.release_probe()
    assert [] == books.suspects(200)

    books.suspect_again(200)

    assert "mismatch" == book.integrity
    assert [core] == books.suspects(202)
    sound, _ = make_books(YES)
    sound.suspect_again(200)
    assert NEVER == sound.deadline


def test_a_book_that_is_acquitted_again_and_again_is_asked_about_ever_less_often() -> None:
    """A recipe that is wrong now and then causes no storm of probes; an answer begins anew."""
    books, [_] = make_books(YES, verify="top")
    told = Told()
    books.replace(told.snapshot(), now=0)
    told.bids["0.3"] = "6"
    asked_after = []
    for number in range(2, 6):
        now = 100.0 * number
        read_step(books, changes(number, change("0.3", "6", best=("0.5", "0.6"))), now=now)
        asked_after.append(books.deadline - now)
        [core] = books.suspects(books.deadline)
        snapshot = told.snapshot(number)._replace(hash=None)
        assert "equal" == books.settle(core, snapshot, now + 50).finding

    assert [2.0, 4.0, 8.0, 16.0] == asked_after
    assert 4 == core.verification.false_alarms
    books.replace(told.snapshot(9), now=1000)
    assert 0 == core.verification.false_alarms


@pytest.mark.parametrize("hash", [REAL, None])
def test_equal_evidence_may_leave_a_book_unverified(hash: str | None) -> None:
    """Its levels are right, and its recipe is not known."""
    books, book, told, core = lasting_mismatch()
    told.bids["0.3"] = "5"
    books.suspects(7)

    finding = books.settle(core, told.snapshot(3)._replace(hash=hash), 8).finding

    assert ("equal", "unverified", NEVER) == (finding, book.integrity, books.deadline)


def test_equal_evidence_without_a_tick_may_fail_its_own_check() -> None:
    """It is no answer to a subscription, and its hash fits nothing: no mismatch all the same."""
    books, book, told, core = lasting_mismatch()
    told.bids["0.3"] = "5"
    books.suspects(7)
    whole = told.snapshot(3, is_answer=False)._replace(hash=REAL)

    assert ("equal", "unverified") == (books.settle(core, whole, 8).finding, book.integrity)


def test_a_probes_different_snapshot_is_adopted() -> None:
    """With the changes that came since the book became a suspect."""
    books, book, told, core = lasting_mismatch()
    books.suspects(7)
    probe = told.snapshot(3)
    read(books, told.change(4, "0.25", "1"), now=8)

    finding = (core.differs_from(probe), books.settle(core, probe, 8).finding)
    books.tick(8 + CHECK_SECONDS)

    assert ((True, "different"), "verified") == (finding, book.integrity)
    assert numbers(told.bids) == sides(book)[0]


@pytest.mark.parametrize("time", [2, 9])
def test_evidence_of_another_time_is_unclear(time: int) -> None:
    """One of both is ahead. The book stays a suspect, and is listed again later."""
    books, book, told, core = lasting_mismatch()
    books.suspects(7)

    assert "unclear" == books.settle(core, told.snapshot(time), 8).finding
    assert ("mismatch", 8 + SUSPECT_SECONDS) == (book.integrity, books.deadline)
    assert ([], [core]) == (books.suspects(9.9), books.suspects(10))


def test_a_book_that_fails_on_and_on_is_checked_less_often() -> None:
    """A failing check tries every price; a recipe changed for all must be no storm."""
    books, _, told, _ = lasting_mismatch()
    books.suspects(7)
    now, pauses = 7.0, []
    for number in range(4, FAILURES + 6):
        read(books, told.change(number, "0.2", str(number)), now=now)
        pauses.append(round(books.deadline - now, 3))
        now = books.deadline
        books.tick(now)

    assert [0.0, *[CHECK_SECONDS] * (FAILURES - 1), FAILING_SECONDS, FAILING_SECONDS] == pauses


@pytest.mark.parametrize(
    ("fitting", "falls_back"), [(RECIPE_ASSETS - 1, True), (RECIPE_ASSETS, False)]
)
def many_books(fitting: int) -> tuple[Books, list[BookCore]]:
    """Some verified books, one with a check pending, and five whose real hashes fit nothing."""
    ids = [str(number) for number in range(fitting)]
    books, _, [told, *_] = hashed(*ids)
    read(books, told.change(2, "0.3", "9"), now=0)
    changed: list[BookCore] = []
    for number in range(fitting, fitting + RECIPE_ASSETS):
        books.add(BookCore(str(number)))
        whole = snapshot(asset_id=str(number), hash=REAL)
        changed = books.replace(whole._replace(market="0x2"), now=0)
    return books, changed


def test_a_recipe_that_fits_hardly_any_book_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """It fails for more than half, from their first snapshot on: "top", and one WARNING."""
    books, changed = many_books(RECIPE_ASSETS - 1)

    assert ("top", NEVER) == (books.verifier.verify, books.deadline)
    assert ["8", "0", "1", "2", "3"] == [core.asset_id for core in changed]
    assert {"unverified"} == {core.integrity for core in books}
    assert ["the hashes of 5 of 9 books fit no known recipe: only best prices are checked"] == [
        record.getMessage() for record in caplog.records
    ]


def test_a_recipe_that_fits_half_of_the_books_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    """The others are unverified. A book that is removed counts no more."""
    books, _ = many_books(RECIPE_ASSETS)
    kept, warnings = books.verifier.verify, len(caplog.records)
    books.remove("9")
    books.remove("4")
    books.add(BookCore("4"))
    books.replace(snapshot(asset_id="4", hash=REAL), now=0)

    assert ("hash", 0, "top") == (kept, warnings, books.verifier.verify)


def test_a_lost_recipe_is_noticed_by_evidence_too() -> None:
    """It fits nothing any more in the midst of a run: the fifth acquittal gives it up."""
    ids = [str(number) for number in range(RECIPE_ASSETS)]
    books, handles, told = hashed(*ids)
    for one in told:
        one.bids["0.3"] = "9"
        read_step(books, changes(2, change("0.3", "9", asset_id=one.asset_id, hash=REAL)), now=5)
    suspects = books.suspects(7)

    for core, one in zip(suspects, told, strict=True):
        books.settle(core, one.snapshot(2)._replace(hash=REAL), 8)

    assert ("top", {"unverified"}) == (books.verifier.verify, set(integrities(handles)))


def test_a_stale_book_is_not_checked() -> None:
    """Not by a check that was due when it became stale."""
    books, _, [told] = hashed(YES)
    read(books, told.change(2, "0.45", "1"), now=5)

    books.mark_stale("disconnect")

    assert ([], 1) == (books.tick(5), books.counts.hash_checks)


# --- properties ----------------------------------------------------------------------------------

price_texts = st.sampled_from(
    ["0.48", ".48", "0.480", "0.5", "0.50", "0.001", ".001", "0.999", "0.52", "0.0030000000012"]
)
size_texts = st.sampled_from(["0", "0.0", ".0", "1", "1.0", "0.000001", "2500.25", ".5"])
entries = st.tuples(st.booleans(), price_texts, size_texts)
level_lists = st.lists(
    st.tuples(price_texts, size_texts), max_size=5, unique_by=lambda p: Decimal(p[0])
)


class Model:
    """A book as two plain dicts."""

    def __init__(self, bids: Any = (), asks: Any = ()) -> None:
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        for is_bid, levels in ((True, bids), (False, asks)):
            for price, size in levels:
                self.set(is_bid, price, size)

    def set(self, is_bid: bool, price: str, size: str) -> None:
        side = self.bids if is_bid else self.asks
        side[Decimal(price)] = Decimal(size)
        if not side[Decimal(price)]:
            del side[Decimal(price)]

    def snapshot(self, timestamp_ms: int, hash: str | None, *, is_answer: bool) -> Snapshot:
        bids, asks = (
            [(str(p), str(s)) for p, s in side.items()] for side in (self.bids, self.asks)
        )
        return snapshot(timestamp_ms, bids, asks, hash=hash, is_answer=is_answer)


def assert_equals_model(book: LiveBook, model: Model) -> None:
    """Compare levels, top and best prices with the model's."""
    shown, top = book.snapshot(), book.top
    bids = sorted(model.bids.items(), reverse=True)
    asks = sorted(model.asks.items())
    assert (bids, asks) == (list(shown.bids), list(shown.asks))
    best_bid, best_ask = (bids[0] if bids else None), (asks[0] if asks else None)
    assert (best_bid, best_ask) == (top.bid, top.ask)
    assert best_bid is None or best_bid[0] == book.best_bid
    assert best_ask is None or best_ask[0] == book.best_ask


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("changes"), st.lists(entries, min_size=1, max_size=4)),
            st.tuples(st.just("duplicate"), st.lists(entries, min_size=1, max_size=4)),
            st.tuples(st.just("late"), st.lists(entries, min_size=1, max_size=4)),
            st.tuples(st.sampled_from(["refresh", "reconnect", "resubscribe"]), level_lists),
        ),
        max_size=20,
    )
)
def test_a_book_equals_a_plain_model(steps: list[tuple[str, Any]]) -> None:
    """After every snapshot, change, repetition, late change, reconnect and new subscription."""
    books, [book, twin] = make_books(YES, NO)
    model = Model(asks=[("0.6", "1")])
    books.replace(model.snapshot(0, None, is_answer=True), now=0)
    for time, (step, content) in enumerate(steps, 1):
        if step in ("changes", "duplicate", "late"):
            message = changes(
                -1 if step == "late" else 10 * time,
                *(change(p, s, is_bid=b) for b, p, s in content),
                *(change(p, s, is_bid=not b, asset_id="3") for b, p, s in content),
            )
            for _ in range(2 if step == "duplicate" else 1):
                read(books, message, now=0)
            if step != "late":
                for is_bid, price, size in content:
                    model.set(is_bid, price, size)
        else:
            model = Model(content, [(p, s) for p, s in content if Decimal(p) > Decimal("0.5")])
            if step == "reconnect":
                books.mark_stale("disconnect")
            if step == "resubscribe":
                books.remove(YES)
                books.add(core := BookCore(YES))
                book._show(core)
            if step != "refresh":
                books.await_snapshots([YES])
                read(books, changes(10 * time - 1, change("0.77", "7")), now=0)
            books.replace(model.snapshot(10 * time, None, is_answer=step != "refresh"), now=0)
        assert_equals_model(book, model)
        assert book.valid
    assert (False, 0) == (twin.valid, twin.top.timestamp_ms)


@st.composite
def subscriptions(draw: st.DrawFn) -> dict[str, Any]:
    """A server's changes, and where among them a client comes in and gets which snapshots.

    `heard` is the first change that the client hears, `answered` the last one that the answer
    contains, `told` the last one that is delivered before the answer.
    """
    steps = draw(st.lists(st.tuples(entries, st.integers(0, 1)), max_size=12))
    answered = draw(st.integers(0, len(steps)))
    return {
        "steps": steps,
        "heard": draw(st.integers(0, answered)),
        "answered": answered,
        "told": draw(st.integers(0, len(steps))),
        "refreshed": draw(st.sets(st.integers(0, len(steps)))),
        "hashed": draw(st.booleans()),
        "doubled": draw(st.booleans()),
    }


@given(subscriptions())
def test_a_subscription_may_come_in_anywhere(case: dict[str, Any]) -> None:
    """However the answer lies to the changes and refreshes around it, the book ends up right."""
    states, times = [Model(bids=[("0.2", "2")])], [0]
    for (is_bid, price, size), later in case["steps"]:
        state = Model()
        state.bids, state.asks = dict(states[-1].bids), dict(states[-1].asks)
        state.set(is_bid, price, size)
        states.append(state)
        times.append(times[-1] + later)

    def hash_of(number: int) -> str | None:
        return f"h{number}" if case["hashed"] else None

    books, [book] = make_books(YES)

    def answer() -> None:
        number = case["answered"]
        whole = states[number].snapshot(times[number], hash_of(number), is_answer=True)
        books.replace(whole, now=0)

    for number, ((is_bid, price, size), _) in enumerate(case["steps"], 1):
        if number == case["told"] + 1:
            answer()
        if number > case["heard"]:
            entry = change(price, size, is_bid=is_bid, hash=hash_of(number))
            for _ in range(1 + case["doubled"]):
                read(books, changes(times[number], entry), now=0)
        if number in case["refreshed"] and case["heard"] < number <= case["told"]:
            books.replace(
                states[number].snapshot(times[number], hash_of(number), is_answer=False), now=0
            )
    if case["told"] == len(case["steps"]):
        answer()

    assert book.valid
    assert_equals_model(book, states[-1])


# --- readers on other threads --------------------------------------------------------------------


def stress_levels(number: int) -> list[tuple[str, str]]:
    """Five bids that move with the frame's number, each of that size."""
    return [(f"0.{20 + 10 * (number % 2) + depth}", str(number)) for depth in range(5)]


def mirrored(levels: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The other side: each price is 1 less the price."""
    return [(str(1 - Decimal(price)), size) for price, size in levels]


def stress_frame(number: int) -> list[Change]:
    """Frame `number - 1`'s levels removed, `number`'s set, on both sides."""
    gone = [(price, "0") for price, _ in stress_levels(number - 1)]
    bids = gone + stress_levels(number)
    return [change(p, s) for p, s in bids] + [change(p, s, is_bid=False) for p, s in mirrored(bids)]


def torn(book: LiveBook) -> str:
    """What of one reading of the levels and one of the top is not of one frame; "" when all is."""
    shown, top = book.snapshot(), book.top
    numbers_seen = {level.size for level in shown.bids + shown.asks}
    mirror = tuple(Level(1 - level.price, level.size) for level in shown.bids)
    if {shown.timestamp_ms} != numbers_seen or (5, 5) != (len(shown.bids), len(shown.asks)):
        return f"levels of {sorted(numbers_seen)} at {shown.timestamp_ms}"
    if mirror != shown.asks:
        return f"bids {shown.bids} but asks {shown.asks}"
    if not top.bid or not top.ask or {top.bid.size, top.ask.size} != {top.timestamp_ms}:
        return f"top {top}"
    return "" if top.bid.price == 1 - top.ask.price else f"top {top}"


def test_no_read_is_torn() -> None:
    """While one thread applies frames, what other threads read is always of one frame.

    Every level's size is the frame's number, and asks mirror bids; the levels of each frame lie
    elsewhere than those of the one before. The next two tests show that this check can fail.
    """
    books, [book] = make_books(YES)
    books.replace(snapshot(1, stress_levels(1), mirrored(stress_levels(1))), now=0)
    flaws: list[str] = []
    reads = [0, 0, 0]
    done = threading.Event()

    def look(reader: int) -> None:
        while not flaws:
            flaw = torn(book)
            reads[reader] += 1
            if flaw:
                flaws.append(flaw)
            if done.is_set():
                return

    readers = [threading.Thread(target=look, args=(reader,)) for reader in range(len(reads))]
    for reader in readers:
        reader.start()
    try:
        for number in range(2, STRESS_FRAMES):
            if number % 10:
                read(books, changes(number, *stress_frame(number)), now=0)
            else:
                levels = stress_levels(number)
                books.replace(snapshot(number, levels, mirrored(levels), is_answer=False), now=0)
    finally:
        done.set()
        for reader in readers:
            reader.join(10)

    assert [] == flaws
    assert all(reads)
    assert STRESS_FRAMES - 1 == book.top.timestamp_ms


class HaltingFrame(list[Change]):
    """A frame whose writer pauses after half of it."""

    def __init__(self, frame: Sequence[Change]) -> None:
        super().__init__(frame)
        self.halted, self.go_on = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[Change]:
        for index, entry in enumerate(super().__iter__()):
            if index == len(self) // 2:
                self.halted.set()
                self.go_on.wait(10)
            yield entry


@contextlib.contextmanager
def half_applied(core: BookCore) -> Iterator[HaltingFrame]:
    """A core of frame 1 to which another thread has applied half of frame 2."""
    core.replace(snapshot(1, stress_levels(1), mirrored(stress_levels(1))))
    frame = HaltingFrame(stress_frame(2))
    writer = threading.Thread(target=core.apply, args=(2, frame, False))
    writer.start()
    try:
        assert frame.halted.wait(10)
        yield frame
    finally:
        frame.go_on.set()
        writer.join(10)


class NoLock(contextlib.nullcontext[None]):
    """A lock that lets everybody in."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return


def test_without_its_lock_a_book_is_read_torn() -> None:
    """A core whose lock does nothing shows half a frame to a reader: what the check looks for."""
    core = BookCore(YES, lock=NoLock())  # type: ignore[arg-type]
    book = LiveBook(core, lambda: 0.0)

    with half_applied(core):
        flaw = torn(book)

    assert flaw.startswith("levels of [")
    assert "" == torn(book)


def test_a_reader_in_the_midst_of_a_frame_waits_for_its_end() -> None:
    """Then it is shown the levels as they are published: those before the frame, like the top."""
    core = BookCore(YES)
    book = LiveBook(core, lambda: 0.0)
    flaws: list[str] = []
    reader = threading.Thread(target=lambda: flaws.append(torn(book)))

    with half_applied(core) as frame:
        assert (1, Decimal(1)) == (book.top.timestamp_ms, book.top.bid and book.top.bid.size)
        reader.start()
        frame.go_on.set()
        reader.join(10)

    assert [""] == flaws
    assert 1 == book.top.timestamp_ms

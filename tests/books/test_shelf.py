"""The books of one shard: staleness, prints and ticks, refreshes and probes that prove a loss."""

from __future__ import annotations

from decimal import Decimal

import pytest
from kit.books import (
    MARKET,
    NEVER,
    NO,
    REAL,
    YES,
    Told,
    change,
    changes,
    in_question,
    lasting_mismatch,
    make_books,
    numbers,
    read,
    read_step,
    sides,
    snapshot,
)

from polymarket_ws.books.proof import Parameters
from polymarket_ws.books.suspects import SUSPECT_SECONDS
from polymarket_ws.books.verification import NOTHING, PROBE, SNAPSHOT, Awaited
from polymarket_ws.books.verifier import (
    CHECK_SECONDS,
)


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


def test_a_market_may_be_written_in_two_ways() -> None:
    """A print, a flaw and the removal of an asset find the books of their market all the same."""
    books, [yes, no] = make_books(YES, NO)
    short = "0x02" + "ab" * 30
    for asset_id, market in ((YES, short), (NO, f"{short.upper()}00")):
        books.replace(snapshot(asset_id=asset_id)._replace(market=market), now=0)
    books.set_last_trade_price(f"{short}00", YES, Decimal("0.5"), now=1)

    assert (short, Decimal("0.5")) == (yes.market, no.last_trade_price)
    books.remove(YES)
    books.set_last_trade_price(short, YES, Decimal("0.6"), now=2)
    assert (Decimal("0.5"), Decimal("0.6")) == (yes.last_trade_price, no.last_trade_price)
    assert [NO] == [core.asset_id for core in books.mark_stale("decode_error", market=short)]


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


def test_the_complement_token_is_ignored_unless_it_is_subscribed() -> None:
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


def test_a_change_that_bridges_to_a_probes_snapshot_is_checked() -> None:
    """The snapshot is of before, and equal; a lost tick shows in the change that came since."""
    books, book, core, told = in_question()
    probed = told.snapshot(2)
    told.tick_size = "0.001"
    read(books, told.change(3, "0.45", "2"), now=4.2)

    assert "equal" == books.settle(core, probed, now=4.3).finding
    books.tick(4.3 + CHECK_SECONDS)

    assert "mismatch" == book.integrity


def test_what_came_since_is_put_on_top_of_a_probes_snapshot() -> None:
    """Stale for the gap that is told, then the snapshot, then what was held for it."""
    books, book, core, told = in_question()
    told.change(3, "0.44", "5")  # lost
    probed = told.snapshot(3)
    read(books, told.change(4, "0.46", "7"), now=4.2)

    settled = books.settle(core, probed, now=4.3)
    books.tick(4.3 + CHECK_SECONDS)

    assert ("different", "hash_mismatch", [core]) == settled
    assert (True, "verified", 4) == (book.valid, book.integrity, book.top.timestamp_ms)


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

    assert ([(core, "refresh_mismatch")] if is_proof else []) == books.take_replaced()
    assert ([], int(is_proof)) == (books.take_replaced(), books.counts.refresh_mismatches)
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

    assert ([], 0) == (books.take_replaced(), books.counts.refresh_mismatches)


@pytest.mark.parametrize("verify", ["hash", "top"])
def test_an_equal_snapshot_ends_the_mismatch(verify: str) -> None:
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


@pytest.mark.parametrize("hash", [REAL, None])
def test_an_equal_snapshot_may_leave_a_book_unverified(hash: str | None) -> None:
    """Its levels are right, and its recipe is not known."""
    books, book, told, core = lasting_mismatch()
    told.bids["0.3"] = "5"
    books.suspects(7)

    finding = books.settle(core, told.snapshot(3)._replace(hash=hash), 8).finding

    assert ("equal", "unverified", NEVER) == (finding, book.integrity, books.deadline)


def test_an_equal_snapshot_without_a_tick_may_fail_its_own_check() -> None:
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
def test_a_snapshot_of_another_time_is_unclear(time: int) -> None:
    """One of both is ahead. The book stays a suspect, and is listed again later."""
    books, book, told, core = lasting_mismatch()
    books.suspects(7)

    assert "unclear" == books.settle(core, told.snapshot(time), 8).finding
    assert ("mismatch", 8 + SUSPECT_SECONDS) == (book.integrity, books.deadline)
    assert ([], [core]) == (books.suspects(9.9), books.suspects(10))


def test_a_probe_does_not_settle_what_a_subscription_will() -> None:
    """What is held for its answer stays held, since the answer may be older."""
    books, book, core, told = in_question()
    books.await_snapshots([YES])
    answer = told.snapshot(2)
    read(books, told.change(3, "0.46", "7"), now=4.2)

    assert "unclear" == books.settle(core, told.snapshot(3), now=4.3).finding
    books.replace(answer, now=4.4)
    assert numbers(told.bids) == sides(book)[0]


def test_a_probe_is_awaited_by_live_books_that_await_no_answer() -> None:
    """The others, and assets that are not there, are left as they are."""
    books, _ = make_books(YES, NO)
    books.replace(snapshot(), now=0)
    states: list[list[Awaited]] = []
    for act in (books.await_probe, books.release):
        act([YES, NO, "9"])
        states.append([core.verification.awaited for core in books])

    assert [[PROBE, SNAPSHOT], [NOTHING, SNAPSHOT]] == states

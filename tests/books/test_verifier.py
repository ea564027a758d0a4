"""Checks of hashes: when each is made, what it may prove, and when the recipe is given up."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest
from kit.assets import asset
from kit.books import (
    MARKET,
    NEVER,
    NO,
    REAL,
    YES,
    Told,
    change,
    changes,
    hashed,
    in_question,
    integrities,
    lasting_mismatch,
    make_books,
    read,
    read_step,
    snapshot,
)

from polymarket_ws.books.book import BookCore
from polymarket_ws.books.proof import Parameters
from polymarket_ws.books.shelf import Books
from polymarket_ws.books.suspects import SUSPECT_SECONDS
from polymarket_ws.books.verifier import (
    CHECK_SECONDS,
    FAILING_SECONDS,
    FAILURES,
    RECIPE_ASSETS,
    STEP_SECONDS,
)


def test_a_snapshots_own_hash_verifies_it() -> None:
    """Parameters that are not on the wire are found by it; nothing is due then."""
    books, [book], _ = hashed(YES)

    assert ("verified", "verified", NEVER) == (book.integrity, book.top.integrity, books.deadline)
    assert (1, 0, 0) == (
        books.counts.hash_checks,
        books.counts.hash_mismatches,
        books.counts.unverifiable,
    )


@pytest.mark.parametrize(
    ("known", "integrity"),
    [
        ({"min_order_size": Decimal(7), "tick_size": Decimal("0.01")}, "verified"),
        ({"min_order_size": Decimal(7), "tick_size": None}, "unverified"),
        ({"min_order_size": Decimal(7), "tick_size": Decimal("0.1")}, "unverified"),
        ({"min_order_size": None, "tick_size": Decimal("0.01")}, "unverified"),
        (None, "unverified"),
    ],
)
def test_what_a_lookup_found_verifies_where_the_wire_says_too_little(
    known: dict[str, Decimal | None] | None, integrity: str
) -> None:
    """An unusual least size, and no tick yet; outdated values prove nothing and do no harm."""
    books, told = Books("hash"), Told(YES)
    core = BookCore(YES, asset=None if known is None else asset(YES, **known))
    books.add(core)
    told.parameters = Parameters("7", False)
    books.replace(told.snapshot(is_answer=False), now=0)
    early = core.integrity
    told.parameters = Parameters("15", True)
    books.replace(told.snapshot(2), now=1)

    assert (integrity, "verified") == (early, core.integrity)


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


def test_a_checked_complement_is_among_what_changed() -> None:
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
    assert ([], CHECK_SECONDS) == (books.take_replaced(), books.deadline)


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


def test_a_refresh_of_a_stale_book_is_checked() -> None:
    """What was to be checked before it became stale is forgotten."""
    books, [book], [told] = hashed(YES)
    told.tick_size = "0.001"
    read(books, told.change(2, "0.45", "1"), now=0.02)
    books.mark_stale("decode_error", asset_id=YES)

    books.replace(told.snapshot(2, is_answer=False), now=0.05)

    assert (True, "mismatch") == (book.valid, book.integrity)


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
        books.take_replaced(),
    )
    assert (5 if was_wrong else 6) + SUSPECT_SECONDS == books.deadline


def test_a_refresh_is_checked_by_its_own_hash() -> None:
    """One whose time or price differs from the last change's, with equal levels."""
    books, [book], [told] = hashed(YES)

    books.replace(told.snapshot(5, is_answer=False), now=1)

    assert ("verified", 2, []) == (book.integrity, books.counts.hash_checks, books.take_replaced())


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


def test_markets_of_v2_say_nothing_about_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """Whether the recipe holds there is not known: unverified one by one, without a WARNING."""
    books, _, _ = hashed("0")
    for number in range(1, 2 * RECIPE_ASSETS):
        books.add(BookCore(str(number)))
        whole = snapshot(asset_id=str(number), hash=REAL)
        books.replace(whole._replace(market="0x01" + "ab" * 30), now=0)

    assert ("hash", []) == (books.verifier.verify, caplog.records)
    assert ["verified"] + 9 * ["unverified"] == [core.integrity for core in books]


def test_a_lost_recipe_is_noticed_by_probes_too() -> None:
    """It fits nothing any more in the midst of a run: the fifth false alarm gives it up."""
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


def test_a_probe_does_not_undo_what_was_heard_after_it_was_made() -> None:
    """A tick change and a print alter no level, so the answer may be of before."""
    books, book, core, told = in_question()
    probed = told.snapshot(2)._replace(last_trade_price="0.37")
    told.tick_size = "0.001"
    books.set_tick_size(YES, Decimal("0.001"), now=4.1)
    books.set_last_trade_price(MARKET, YES, Decimal("0.42"), now=4.2)

    assert "equal" == books.settle(core, probed, now=4.3).finding
    assert (Decimal("0.001"), Decimal("0.42")) == (book.tick_size, book.last_trade_price)

    told.price = "0.42"
    read(books, told.change(3, "0.45", "2"), now=5)
    books.tick(5)
    assert "verified" == book.integrity


def test_a_step_that_a_tick_change_ended_is_not_opened_again() -> None:
    """Its last message came in the same read before the tick change; no timer is left of it."""
    books, [book], _ = hashed(YES)
    message = changes(2, change("0.2", "1", hash=REAL, best=("0.5", "0.6")))
    read(books, message, now=5)
    books.apply(message, now=5.01)
    books.set_tick_size(YES, Decimal("0.001"), now=5.01)
    books.publish(5.01)

    assert ("mismatch", 5.01 + SUSPECT_SECONDS) == (book.integrity, books.deadline)


def test_no_hash_is_checked_without_a_recipe() -> None:
    """Nor is one once it has been given up."""
    books, _ = many_books(RECIPE_ASSETS - 1)
    before = books.counts.hash_checks
    books.replace(snapshot(9, asset_id="0", hash=REAL), now=1)

    assert ("top", before) == (books.verifier.verify, books.counts.hash_checks)

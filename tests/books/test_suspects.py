"""Suspects: which mismatch is compared with another connection's book, when, how often."""

from __future__ import annotations

import attrs
import pytest
from kit.books import (
    NEVER,
    REAL,
    YES,
    Told,
    change,
    changes,
    hashed,
    in_question,
    lasting_mismatch,
    make_books,
    read,
    read_step,
    snapshot,
)

from polymarket_ws.books.book import BookCore
from polymarket_ws.books.held import HELD_LIMIT
from polymarket_ws.books.suspects import SUSPECT_SECONDS
from polymarket_ws.books.verification import NOTHING, PROBE, SNAPSHOT, Awaited, AwaitedCause

PROBED, SUBSCRIBED = AwaitedCause.PROBED, AwaitedCause.SUBSCRIBED


def test_a_stale_book_waits_for_no_probe() -> None:
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
    for cause in (PROBED, None, PROBED, SUBSCRIBED):
        core.release_probe() if cause is None else core.await_snapshot(cause)
        seen.append(core.verification.awaited)
    core.release_probe()

    assert [PROBE, NOTHING, PROBE, SNAPSHOT] == seen
    assert SNAPSHOT is core.verification.awaited


def test_a_mismatch_during_a_probe_makes_a_suspect_after_it() -> None:
    """A probe about a silence does not judge the mismatch that began meanwhile."""
    books, [book], [told] = hashed(YES)
    [core] = books
    core.await_snapshot(PROBED)
    [entry] = told.change(2, "0.45", "1").changes
    read_step(books, changes(2, attrs.evolve(entry, best_bid="0.5", hash=REAL)), now=5)
    early = books.suspects(5 + SUSPECT_SECONDS)
    core.release_probe()

    assert ("mismatch", [], [core]) == (
        book.integrity,
        early,
        books.suspects(5 + 2 * SUSPECT_SECONDS),
    )


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
def test_a_suspect_is_none_without_its_mismatch(end: str) -> None:
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


def test_a_mismatch_whose_probe_is_void_is_a_suspect_again() -> None:
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


def test_repeated_false_alarms_are_probed_ever_less_often() -> None:
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


def test_a_suspect_is_one_though_a_refresh_fits_no_better() -> None:
    """The timer of its mismatch runs again, and lists it no second time."""
    books, _, told, core = lasting_mismatch()
    books.tick(7)
    books.replace(told.snapshot(4, is_answer=False)._replace(hash=REAL), now=7.5)
    books.tick(7.5 + SUSPECT_SECONDS)

    assert ([core], []) == (books.suspects(10), books.suspects(99))


def test_a_suspect_that_is_asked_for_as_silent_is_one_again_later() -> None:
    """That probe does not judge its mismatch."""
    books, _, _, core = lasting_mismatch()
    books.tick(7)
    books.await_probe([YES])
    early = books.suspects(7)
    books.release([YES])

    assert ([], [core]) == (early, books.suspects(7 + SUSPECT_SECONDS))

"""Held changes: whatever comes while a snapshot is awaited is in the book after it, and once."""

from __future__ import annotations

from decimal import Decimal

from kit.books import (
    YES,
    change,
    changes,
    make_books,
    numbers,
    read,
    sides,
    snapshot,
)

from polymarket_ws.books.held import HELD_LIMIT


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

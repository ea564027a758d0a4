"""Levels: prices and sizes as the wire writes them, stored by value and hashed to the letter."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.books import (
    REAL,
    YES,
    change,
    changes,
    make_books,
    numbers,
    read,
    sides,
    snapshot,
)

from polymarket_ws.wire import prices

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


def test_the_order_of_levels_on_the_wire_does_not_matter() -> None:
    """The docs show asks the other way round than the server sends them: both are sorted."""
    books, [book] = make_books(YES)

    books.replace(snapshot(asks=[("0.6", "1"), ("0.8", "3"), ("0.7", "2")]), now=0)

    assert ["0.6", "0.7", "0.8"] == [str(level.price) for level in book.snapshot().asks]


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


def test_the_store_of_known_prices_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sent ever new prices would not fill the memory through it."""
    monkeypatch.setattr(prices, "known_prices", {})
    monkeypatch.setattr(prices, "_INTERNED_LIMIT", 2)
    books, [book] = make_books(YES)

    books.replace(snapshot(bids=[("0.1", "1"), ("0.2", "2"), ("0.3", "3")], asks=[]), now=0)

    assert 2 == len(prices.known_prices)
    assert numbers({"0.1": "1", "0.2": "2", "0.3": "3"}) == sides(book)[0]

"""LiveBook: what a user reads of a book, in each of its states, and for how long."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal

import pytest
from kit.assets import asset
from kit.books import (
    MARKET,
    NO,
    YES,
    change,
    changes,
    make_books,
    read,
    snapshot,
)

from polymarket_ws.books.book import BookCore
from polymarket_ws.books.live_book import LiveBook, Top
from polymarket_ws.channels.market import MarketView
from polymarket_ws.events import Level, Side
from polymarket_ws.testing import make_last_trade_price
from polymarket_ws.wire.updates import Decoded


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
    assert "unverified" == book.integrity
    assert (True, None, 1.5, MARKET) == (book.valid, book.stale_reason, book.age, book.market)
    assert "<LiveBook 1 0.4x10.5 / 0.6x1 live>" == repr(book)


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


def test_an_unsubscribed_book_stays_stale_for_good() -> None:
    """Whatever still arrives for it, and whatever happens to the connection, the reason stays."""
    books, [book] = make_books(YES)
    [core] = books.replace(snapshot(1), now=0)

    book._leave()
    core.replace(snapshot(2))
    core.mark_stale("disconnect")

    assert (False, "unsubscribed") == (book.valid, book.stale_reason)


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
    book = LiveBook(BookCore("1234567890" * 7))

    assert "<LiveBook 12345678…7890 - / - no_snapshot>" == repr(book)


def test_what_is_known_of_its_asset_is_shown() -> None:
    """By the book and in its repr, for every run."""
    book = LiveBook(BookCore("71"))
    plain = book.asset
    book._show(BookCore("71", asset=asset("71")))

    assert (None, asset("71")) == (plain, book.asset)
    assert "<LiveBook 'Will it rain?: Yes' - / - no_snapshot>" == repr(book)


def test_age_is_never_negative() -> None:
    """The reader's clock may be read before the writer's."""
    books, [book] = make_books(YES)

    books.replace(snapshot(), now=101.0)

    assert 0.0 == book.age


def test_both_sides_are_tuples_best_first() -> None:
    """As `snapshot` has them."""
    books, [book] = make_books(YES)
    books.replace(snapshot(1, [("0.3", "5"), ("0.4", "1")], [("0.7", "2"), ("0.6", "1")]), now=0)

    assert (book.snapshot().bids, book.snapshot().asks) == (book.bids, book.asks)
    assert (Decimal("0.4"), Decimal("0.6")) == (book.bids[0].price, book.asks[0].price)


def test_depth_is_what_could_be_traded_up_to_a_price() -> None:
    """Buying takes asks at the price or less, selling bids at it or more."""
    books, [book] = make_books(YES)
    bids = [("0.1", "1"), ("0.2", "2"), ("0.3", "3")]
    asks = [("0.9", "1.5"), ("0.8", "2"), ("0.7", "3")]
    books.replace(snapshot(1, bids, asks), now=0)

    assert (Decimal(5), Decimal(3), Decimal(0)) == (
        book.depth("BUY", "0.8"),
        book.depth(Side.BUY, Decimal("0.75")),
        book.depth("BUY", "0.5"),
    )
    assert (Decimal(5), Decimal(6)) == (book.depth("SELL", "0.2"), book.depth("SELL", 0))


def test_vwap_is_the_average_of_what_would_be_taken() -> None:
    """From the best level on, the last one in part; None when the book has fewer shares."""
    books, [book] = make_books(YES)
    books.replace(snapshot(1, [("0.2", "2"), ("0.3", "2")], [("0.8", "2"), ("0.7", "2")]), now=0)

    assert (Decimal("0.7"), Decimal("0.75"), None) == (
        book.vwap("BUY", 1),
        book.vwap("BUY", "4"),
        book.vwap("BUY", "4.01"),
    )
    assert Decimal("0.8") / 3 == book.vwap("SELL", 3)


def test_sides_and_numbers_are_checked() -> None:
    """A float has lost digits; a side is BUY or SELL; a size is more than 0."""
    _, [book] = make_books(YES)

    with pytest.raises(TypeError, match="price must be a Decimal, a str or an int"):
        book.depth("BUY", 0.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='side must be "BUY" or "SELL", not \'bid\''):
        book.vwap("bid", 1)
    for wrong in ("much", None):
        with pytest.raises(ValueError, match="price must be a number"):
            book.depth("SELL", wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="size must be more than 0, not 0"):
        book.vwap("BUY", 0)


def test_a_trade_is_told_in_the_token_s_own_terms() -> None:
    """A purchase of the complement token at 0.57 is a sale of this one at 0.43."""
    books, [yes, no] = make_books(YES, NO)
    for asset_id in (YES, NO):
        books.replace(snapshot(asset_id=asset_id), now=0)
    assert (None, None) == (yes.last_trade, no.last_trade)

    trade = make_last_trade_price(YES, "0.57", "12", side="BUY", market=MARKET)
    MarketView(books).take(Decoded(trade, None), 2.0)

    assert trade == yes.last_trade
    assert no.last_trade is not None
    assert (NO, Decimal("0.43"), Decimal(12), Side.SELL, trade.timestamp_ms) == (
        no.last_trade.asset_id,
        no.last_trade.price,
        no.last_trade.size,
        no.last_trade.side,
        no.last_trade.timestamp_ms,
    )
    assert (Decimal("0.57"), Decimal("0.57")) == (yes.last_trade_price, no.last_trade_price)


def test_continuity_begins_with_the_snapshot_that_ends_a_gap() -> None:
    """None while not valid; the moment of the snapshot by the wall clock; anew after each gap."""
    books, [book] = make_books(YES)  # its clock stands at 100 s, and at 2 000 s since 1970
    assert book.continuous_since is None

    books.replace(snapshot(1), now=90.0)
    first = book.continuous_since
    books.replace(snapshot(2, is_answer=False), now=95.0)
    assert datetime.fromtimestamp(1990, timezone.utc) == first == book.continuous_since

    books.mark_stale("disconnect")
    assert book.continuous_since is None
    books.replace(snapshot(3), now=99.0)
    assert datetime.fromtimestamp(1999, timezone.utc) == book.continuous_since

    books.replace(snapshot(3, [("0.123", "1")], is_answer=False), now=100.0)  # proved it wrong
    assert datetime.fromtimestamp(2000, timezone.utc) == book.continuous_since

    book._leave()
    assert book.continuous_since is None


def test_a_book_as_json() -> None:
    """Numbers as strings, levels best first; what is not known is None."""
    books, [book] = make_books(YES)
    books.replace(snapshot(7, [("0.4", "10")], [("0.6", "1")], last_trade_price="0.5"), now=100.0)

    assert {
        "asset_id": YES,
        "market": MARKET,
        "timestamp_ms": 7,
        "valid": True,
        "stale_reason": None,
        "integrity": "unverified",
        "bids": [["0.4", "10"]],
        "asks": [["0.6", "1"]],
        "tick_size": "0.01",
        "last_trade_price": "0.5",
        "continuous_since": "1970-01-01T00:33:20+00:00",
    } == json.loads(json.dumps(book.to_dict()))


def test_a_notebook_shows_a_ladder() -> None:
    """Asks above bids, the best at the middle, sizes summed up; stale, and why, if it is."""
    books, [book] = make_books(YES)
    assert ">stale: no_snapshot at " in book._repr_html_()
    bids, asks = [("0.4", "1000"), ("0.3", "5.5")], [("0.6", "2"), ("0.7", "1")]
    books.replace(snapshot(1, bids, asks), now=1.0)

    html = book._repr_html_()

    shown = ["0.7", "0.6", "spread 0.2", "0.4", "1,000.0", "0.3", "1,005.5", "unverified"]
    places = [html.index(f">{text}") for text in shown[:-1]]
    assert sorted(places) == places
    assert shown[-1] in html
    assert ">live at " in html
    assert "pmws-moving" not in html.partition("</style>")[2]


def test_a_book_is_shown_in_a_notebook_alone() -> None:
    """Elsewhere one sentence says what to do."""
    _, [book] = make_books(YES)

    with pytest.raises(RuntimeError, match=r"^show\(\) needs a Jupyter notebook; elsewhere print"):
        book.show()
    with pytest.raises(ValueError, match=r"^depth must be at least 1, not 0$"):
        book.show(depth=0)

"""One account's orders, trades, fills and positions: the same, however they are told."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest

from polymarket_ws.account import core as core_module
from polymarket_ws.account import holdings, retention
from polymarket_ws.account.core import AccountCore
from polymarket_ws.account.filling import Filling
from polymarket_ws.events import Book, Event, MakerOrder, Order, Side, Trade

MARKET = "0x" + "a" * 64
KEY = "key-1"


def order(id_: str = "o1", type_: str | None = "PLACEMENT", **fields: Any) -> Order:
    """An order of one's own."""
    given = {
        "market": MARKET,
        "asset_id": "1",
        "side": Side.BUY,
        "price": Decimal("0.5"),
        "original_size": Decimal(10),
        "timestamp_ms": 1,
    }
    return Order(id=id_, type=type_, **{**given, **fields})


def trade(id_: str = "t1", status: str | None = "MATCHED", **fields: Any) -> Trade:
    """A trade in which one's own order is the taker's."""
    given = {
        "market": MARKET,
        "asset_id": "1",
        "side": Side.BUY,
        "price": Decimal("0.5"),
        "size": Decimal(10),
        "owner": KEY,
        "taker_order_id": "o1",
        "timestamp_ms": 1,
    }
    return Trade(id=id_, status=status, **{**given, **fields})


def kinds(events: tuple[Event, ...]) -> list[str]:
    """What is told."""
    return [event.event_type for event in events]


def test_a_trade_is_told_once_for_each_status_with_its_fill() -> None:
    """The server may send a status twice: the second is counted, and no news."""
    core = AccountCore(KEY)
    statuses = ["MATCHED", "MATCHED", "MINED", "MATCHED", "CONFIRMED", "CONFIRMED"]

    told = [kinds(core.apply(trade(status=status), 0.0)) for status in statuses]

    news = ["trade", "fill"]
    assert [news, [], news, [], news, []] == told
    assert (3, 0) == (core.duplicates, core.late)
    assert "CONFIRMED" == core.trades["t1"].status


def test_a_status_that_was_overtaken_is_not_told() -> None:
    """It is late, and counted."""
    core = AccountCore(KEY)
    core.apply(trade(status="CONFIRMED"), 0.0)

    assert () == core.apply(trade(status="MINED"), 0.0)
    assert (0, 1, "CONFIRMED") == (core.duplicates, core.late, core.trades["t1"].status)


def test_what_failed_is_taken_back() -> None:
    """The fill stays listed, and counts for nothing."""
    core = AccountCore(KEY)
    core.apply(trade(), 0.0)
    before = core.position("1")
    core.apply(trade(status="FAILED"), 0.0)
    after = core.position("1")

    assert (10, 0, 10) == (before.size, before.confirmed, before.pending)
    assert (0, 0, 0, None) == (after.size, after.confirmed, after.pending, after.average_price)
    assert ["FAILED"] == [fill.status for fill in core.fills()]


def test_what_is_not_ones_own_passes() -> None:
    """Other events are told, and change nothing."""
    core = AccountCore()
    book = Book(market=MARKET, asset_id="1", timestamp_ms=1, bids=(), asks=())

    assert (book,) == core.apply(book, 0.0)
    assert (0, 0) == (len(core.orders), len(core.trades))


@pytest.mark.parametrize("tell", [True, False])
def test_views_are_filled_without_telling(tell: bool) -> None:
    """What was before the start is no news."""
    core = AccountCore(KEY)

    assert tell is bool(core.apply(order(), 0.0, tell=tell))
    assert tell is bool(core.apply(trade(), 0.0, tell=tell))
    assert (["o1"], ["t1"], 1) == (list(core.orders), list(core.trades), len(core.fills()))


# --- orders --------------------------------------------------------------------------------------


def test_an_order_is_told_when_it_changes() -> None:
    """Its placement, each match, its end; the same again is no news, nor is what is overtaken."""
    core = AccountCore(KEY)
    placed = order(status="LIVE", size_matched=Decimal(0))
    part = order(type_="UPDATE", status="LIVE", size_matched=Decimal(4))
    ended = order(type_="CANCELLATION", status="CANCELED", size_matched=Decimal(4))

    told = [core.apply(event, 0.0) for event in (placed, placed, part, ended, part, placed)]

    assert [(placed,), (), (part,), (ended,), (), ()] == told
    assert ({"o1": ended}, 1, 2) == (core.orders, core.duplicates, core.late)


def test_matched_shares_never_fall() -> None:
    """A killed order has "" for them; what a late message adds is told, and it stays ended."""
    core = AccountCore(KEY)
    core.apply(order(type_="UPDATE", size_matched=Decimal(4), status="LIVE"), 0.0)
    (killed,) = core.apply(order(type_="CANCELLATION", status="CANCELED"), 0.0)
    (more,) = core.apply(order(type_="UPDATE", size_matched=Decimal(6), status="LIVE"), 0.0)

    assert [(4, "CANCELED"), (6, "CANCELED")] == [
        (event.size_matched, event.status) for event in (killed, more) if isinstance(event, Order)
    ]


def test_what_a_message_lacks_is_known_from_others() -> None:
    """From former ones, and silently from later ones."""
    core = AccountCore(KEY)
    core.apply(Order(id="o1", status="LIVE", timestamp_ms=1), 0.0)
    assert () == core.apply(order(status="LIVE"), 0.0)
    core.apply(Order(id="o1", status="LIVE", size_matched=Decimal(1), timestamp_ms=1), 0.0)

    assert (Side.BUY, 10, 1) == (
        core.orders["o1"].side,
        core.orders["o1"].original_size,
        core.orders["o1"].size_matched,
    )


def test_duplicates_are_delivered_on_demand() -> None:
    """They change nothing, and REST's are not: it says everything each time."""
    core = AccountCore(KEY, deliver_duplicates=True)
    told = trade(status="MATCHED")
    core.apply(told, 0.0)

    assert (told,) == core.apply(told, 0.0)
    assert () == core.apply(trade(status="MATCHED", source="rest"), 0.0)
    core.apply(trade(status="MINED"), 0.0)
    assert () == core.apply(trade(status="MATCHED_NOT_BROADCASTED"), 0.0)
    assert (1, 1) == (core.duplicates, core.late)


def test_what_the_channel_says_after_a_silent_listing_is_told() -> None:
    """It happened since the channel is open, however early the listing had it."""
    core = AccountCore(KEY)
    core.apply(order(status="LIVE", source="rest"), 0.0, tell=False)
    core.apply(trade(source="rest"), 0.0, tell=False)

    assert () == core.apply(order(status="LIVE", source="rest"), 0.0)
    assert () == core.apply(trade(source="rest"), 0.0)
    assert [["order"], []] == [kinds(core.apply(order(status="LIVE"), 0.0)) for _ in range(2)]
    assert [["trade", "fill"], []] == [kinds(core.apply(trade(), 0.0)) for _ in range(2)]


# --- orders that are listed no more --------------------------------------------------------------


def test_open_orders_that_are_absent_from_a_listing() -> None:
    """Those of which no news came since it began; a fill or an old message is no sign that an order
    is still open.
    """
    core = AccountCore(KEY)
    for number, id_ in enumerate(("listed", "gone", "later", "filled", "ended")):
        core.apply(order(id_, status="LIVE"), float(number))
    core.apply(order("ended", status="CANCELED"), 5.0)
    core.apply(trade(taker_order_id="filled"), 20.0)
    core.apply(order("gone", status="LIVE"), 20.0)
    core.apply(order("listed", status="LIVE", source="rest"), 20.0)

    assert ("gone",) == core.absent((), 2.0)
    assert ("gone", "later", "filled") == core.absent((), 10.0)
    assert ("later", "filled") == core.absent({"gone"}, 10.0)
    assert {"listed", "gone", "later", "filled"} == {o.id for o in core.open_orders()}


@pytest.mark.parametrize(
    ("size", "status"), [("10", "MATCHED"), ("4", "UNKNOWN"), (None, "UNKNOWN")]
)
def test_an_absent_order_ends_as_its_fills_say(size: str | None, status: str) -> None:
    """MATCHED when wholly filled, else UNKNOWN; told once."""
    core = AccountCore(KEY)
    core.apply(order(status="LIVE"), 0.0)
    if size is not None:
        core.apply(trade(size=Decimal(size)), 0.0)

    (ended,) = core.end("o1", 1.0, 77)
    assert isinstance(ended, Order)
    assert (status, None, "rest", 77) == (
        ended.status,
        ended.type,
        ended.source,
        ended.timestamp_ms,
    )
    assert ((), [], ended) == (core.end("o1", 2.0, 78), core.open_orders(), core.orders["o1"])
    assert () == core.end("never seen", 2.0, 78)


def test_how_it_ended_may_be_known_later() -> None:
    """By the channel, by a fill, or by a newer listing that has it again; not by an older one."""
    by_channel, by_fill, listed = AccountCore(KEY), AccountCore(KEY), AccountCore(KEY)
    for core in (by_channel, by_fill, listed):
        core.apply(order(status="LIVE"), 0.0)
        core.apply(trade("t0", size=Decimal(4)), 0.0)
        core.end("o1", 10.0, 77)

    canceled = by_channel.apply(order(type_="CANCELLATION", status="CANCELED"), 11.0)
    assert ["CANCELED"] == [e.status for e in canceled if isinstance(e, Order)]
    told = by_fill.apply(trade(size=Decimal(6)), 11.0)
    assert ["trade", "fill", "order"] == kinds(told)
    assert ("MATCHED", 10) == (told[2].status, told[2].size_matched)  # type: ignore[attr-defined]  # an Order
    row = order(status="LIVE", source="rest")
    assert () == listed.apply(row, 9.0)
    assert ["order"] == kinds(listed.apply(row, 12.0))
    assert ["o1"] == [o.id for o in listed.open_orders()]


def test_a_later_fill_of_a_part_is_counted() -> None:
    """How the order ended stays unknown; the trade's next status changes nothing of it."""
    core = AccountCore(KEY)
    core.apply(order(status="LIVE"), 0.0)
    core.end("o1", 1.0, 77)

    told = core.apply(trade(size=Decimal(6)), 2.0)
    assert ["trade", "fill", "order"] == kinds(told)
    assert ("UNKNOWN", 6) == (told[2].status, told[2].size_matched)  # type: ignore[attr-defined]  # an Order
    assert ["trade", "fill"] == kinds(core.apply(trade(status="MINED", size=Decimal(6)), 3.0))


def test_the_fills_in_a_trade() -> None:
    """Of one's own orders; of a trade that is not known there are none."""
    core = AccountCore(KEY)
    core.apply(trade(), 0.0)

    assert ["o1"] == [fill.order_id for fill in core.fills_in("t1")]
    assert [] == core.fills_in("t2")


def test_orders_of_a_market_that_is_not_followed_are_not_open_ones() -> None:
    """Nobody tells of them any more; those of no market may be of any."""
    core = AccountCore(KEY, markets=frozenset({MARKET}))
    core.apply(order("a", status="LIVE"), 0.0)
    core.apply(order("b", status="LIVE", market="0x" + "b" * 64), 0.0)
    core.apply(order("c", status="LIVE", market=None), 0.0)

    assert ["a", "c"] == [found.id for found in core.open_orders()]
    assert {"a", "b", "c"} == set(core.orders)


def test_trades_that_are_not_final() -> None:
    """Those last told before a moment."""
    core = AccountCore(KEY)
    core.apply(trade("a"), 1.0)
    core.apply(trade("b"), 2.0)
    core.apply(trade("c", "CONFIRMED"), 1.0)

    assert (("a",), ("a", "b")) == (core.unsettled(2.0), core.unsettled(3.0))
    assert {"c"} == core.confirmed_trades()


# --- fills ---------------------------------------------------------------------------------------


def test_a_fill_is_told_when_its_order_is_known() -> None:
    """A trade may come before the order that makes a part of it one's own."""
    core = AccountCore(KEY)
    maker = MakerOrder(order_id="mine", matched_amount=Decimal(2), price=Decimal("0.5"))
    alien = trade(owner="other", maker_orders=(maker,))

    assert ["trade"] == kinds(core.apply(alien, 0.0))
    told = core.apply(order("mine", side=Side.SELL, status="LIVE"), 0.0)
    assert ["order", "fill"] == kinds(told)
    (fill,) = core.fills(order_id="mine")
    assert ("1", Side.SELL, 2) == (fill.asset_id, fill.side, fill.size)
    assert -2 == core.position("1").size


def test_a_fill_is_completed_by_its_order() -> None:
    """Whose it is, is known by its owner; its token and side, once the order says them."""
    core = AccountCore(KEY)
    maker = MakerOrder(order_id="mine", owner=KEY, matched_amount=Decimal(2))
    core.apply(trade(owner="other", side=None, maker_orders=(maker,)), 0.0)
    core.apply(Order(id="mine", status="LIVE", timestamp_ms=1), 0.0)
    assert [(None, None)] == [(fill.asset_id, fill.side) for fill in core.fills()]

    core.apply(order("mine", status="LIVE"), 0.0)
    assert [("1", Side.BUY)] == [(fill.asset_id, fill.side) for fill in core.fills()]
    assert (2, Decimal("0.5")) == (core.position("1").size, core.position("1").average_price)


def test_makers_that_a_later_message_names() -> None:
    """They are remembered as those of the first; and one that is named no more keeps its fill."""
    core = AccountCore(KEY)
    maker = MakerOrder(order_id="mine", matched_amount=Decimal(2), asset_id="1", side=Side.BUY)
    core.apply(trade(owner="other", taker_order_id=None), 0.0)
    core.apply(trade(status="MINED", owner="other", maker_orders=(maker,)), 0.0)
    assert ["order", "fill"] == kinds(core.apply(order("mine", status="LIVE"), 0.0))

    other = MakerOrder(order_id="theirs", matched_amount=Decimal(2))
    core.apply(trade(status="CONFIRMED", owner="other", maker_orders=(other,)), 0.0)
    assert ["CONFIRMED"] == [fill.status for fill in core.fills()]


def test_whether_an_order_is_filled() -> None:
    """By what it says and by its fills; one that is not known is waited for."""
    core = AccountCore(KEY)
    core.apply(trade(), 0.0)
    before = core.filling("o1")
    core.apply(order(status="LIVE"), 0.0)

    assert ((Filling.OPEN, None), (Filling.FILLED, core.orders["o1"])) == (
        before,
        core.filling("o1"),
    )


def test_fills_are_listed_by_order_and_asset_oldest_first() -> None:
    """By when they were matched, whenever they were told."""
    core = AccountCore(KEY)
    core.apply(trade("b", match_time_ms=2000, timestamp_ms=9), 0.0)
    core.apply(trade("a", match_time_ms=1000, timestamp_ms=99, taker_order_id=None), 0.0)
    core.apply(trade("c", match_time_ms=1000, timestamp_ms=98, asset_id=None), 0.0)
    core.apply(trade("d", match_time_ms=1000, timestamp_ms=99, status="MINED"), 0.0)
    core.apply(trade("d", match_time_ms=1000, timestamp_ms=97), 0.0)

    assert ["d", "c", "a", "b"] == [fill.trade_id for fill in core.fills()]
    assert ["d", "c", "b"] == [fill.trade_id for fill in core.fills(order_id="o1")]
    assert ["d", "a", "b"] == [fill.trade_id for fill in core.fills(asset_id="1")]
    assert ["d", "b"] == [fill.trade_id for fill in core.fills(order_id="o1", asset_id="1")]
    assert ([], []) == (core.fills(order_id="x"), core.fills(asset_id="x"))


def test_a_position_that_is_seeded() -> None:
    """It is complete when the account is, and what was held at the start is known."""
    core = AccountCore(KEY)
    core.apply(trade(), 0.0)
    core.seed_position("1", MARKET, Decimal(5), Decimal("0.5"), ())
    core.seed_position("2", MARKET, Decimal(0), None, ())
    core.completeness.settle(core.completeness.interruptions)
    assert not core.position("1").complete
    core.seeded = True
    found, unknown = core.position("1"), core.position("2")

    assert (15, 5, 10, Decimal("0.5")) == (
        found.size,
        found.confirmed,
        found.pending,
        found.average_price,
    )
    assert (MARKET, True, None, 0) == (
        found.market,
        found.complete,
        unknown.market,
        unknown.size,
    )


# --- what is remembered --------------------------------------------------------------------------


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (retention, holdings):
        monkeypatch.setattr(module, "KEPT", 2)
    monkeypatch.setattr(retention, "MOST_OPEN", 3)
    monkeypatch.setattr(core_module, "MOST_FORGOTTEN", 2)


@pytest.mark.usefixtures("_few")
def test_ended_orders_and_trades_are_forgotten_but_not_their_effect() -> None:
    """The one that ended longest ago goes first; its trades go on counting, once."""
    core = AccountCore(KEY)
    for number in range(5):
        core.apply(order(f"o{number}", status="LIVE"), 0.0)
        core.end(f"o{number}", 1.0, 1)
        core.apply(trade(f"t{number}", "CONFIRMED", taker_order_id=f"o{number}"), 0.0)

    assert (["o3", "o4"], ["t3", "t4"]) == (list(core.orders), list(core.trades))
    assert (2, 50, 0) == (len(core.fills()), core.position("1").size, core.dropped)
    assert () == core.apply(trade("t2", "CONFIRMED", taker_order_id="o2"), 0.0)
    assert () == core.apply(trade("t1", "FAILED", taker_order_id="o1", source="rest"), 0.0)
    assert 50 == core.position("1").size
    assert ["trade", "fill"] == kinds(core.apply(trade("t0", "CONFIRMED"), 0.0))


@pytest.mark.usefixtures("_few")
def test_too_many_open_ones_are_dropped_and_counted() -> None:
    """It is a server's fault, and what is shown is not complete then."""
    core = AccountCore(KEY)
    for number in range(5):
        core.apply(order(f"o{number}", status="LIVE", source="rest"), 0.0, tell=False)
        core.apply(trade(f"t{number}", taker_order_id=None), 0.0)

    assert (["o2", "o3", "o4"], ["t2", "t3", "t4"]) == (list(core.orders), list(core.trades))
    assert (4, 50) == (core.dropped, core.position("1").size)
    core.completeness.settle(core.completeness.interruptions)
    assert not core.complete


@pytest.mark.usefixtures("_few")
def test_assets_of_which_nothing_is_remembered() -> None:
    """One of which nothing is held goes with its last fill; of others, too many are dropped."""
    core = AccountCore(KEY)
    for number in range(3):
        sides = (Side.BUY, Side.SELL)
        for side in sides:
            core.apply(trade(f"{number}{side}", "CONFIRMED", side=side), 0.0)
    assert ["1"] == list(core.ledgers)
    for number in range(7):
        core.apply(trade(f"t{number}", "CONFIRMED", asset_id=f"a{number}"), 0.0)
    core.apply(trade("again", "CONFIRMED", asset_id="a3"), 0.0)
    core.apply(trade("none", "CONFIRMED", asset_id=None), 0.0)
    core.apply(trade("more", "CONFIRMED", asset_id=None), 0.0)
    core.apply(trade("last", "CONFIRMED", asset_id=None), 0.0)

    assert (["a3", "a6"], 5) == (list(core.ledgers), core.dropped)


@pytest.mark.usefixtures("_few")
def test_a_trade_is_no_longer_looked_for_when_it_is_forgotten() -> None:
    """Neither by the order that only it named, nor by one that others name too."""
    core = AccountCore(KEY)
    for number in range(4):
        makers = tuple(
            MakerOrder(order_id=id_, matched_amount=Decimal(1), asset_id="1", side=Side.BUY)
            for id_ in ("all", f"m{number}")
        )
        core.apply(trade(f"t{number}", "CONFIRMED", owner="x", maker_orders=makers), 0.0)

    assert ["order", "fill", "fill"] == kinds(core.apply(order("all", status="LIVE"), 0.0))
    assert ["order"] == kinds(core.apply(order("m0", status="LIVE"), 0.0))


def test_neither_key_nor_contents_are_in_its_repr() -> None:
    """It may be logged."""
    core = AccountCore("SECRET-KEY")
    core.apply(order(owner="SECRET-KEY"), 0.0)

    assert "SECRET-KEY" not in repr(core)


def test_a_known_order_never_vanishes_for_a_moment() -> None:
    """Another thread finds it by its id at any time, also while its update is taken."""
    core = AccountCore(KEY)
    core.apply(order("a", status="LIVE"), 0.0)
    missing: list[str] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set() and not missing:
            if "a" not in core.orders or len(core.open_orders()) != 1:
                missing.append("a")

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(2_000):
        core.apply(order("a", "UPDATE", status="LIVE", size_matched=Decimal(number)), 0.0)
    done.set()
    reader.join(10)

    assert [] == missing

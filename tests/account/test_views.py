"""One's own orders and trades: the latest of each, told once, bounded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymarket_ws.account import views as account_module
from polymarket_ws.account.views import Account
from polymarket_ws.events import Book, Order, Side, Trade
from polymarket_ws.live_mapping import LiveMapping

MARKET = "0x" + "a" * 64


def order(id_: str = "0x1", type_: str = "PLACEMENT", **fields: Any) -> Order:
    """An order of one's own."""
    return Order(
        id=id_,
        type=type_,
        market=MARKET,
        asset_id="1",
        side=Side.BUY,
        price=Decimal("0.5"),
        original_size=Decimal(10),
        timestamp_ms=1,
        **fields,
    )


def trade(id_: str = "t1", status: str = "MATCHED", **fields: Any) -> Trade:
    """A trade of one's own."""
    return Trade(
        id=id_,
        status=status,
        market=MARKET,
        asset_id="1",
        side=Side.BUY,
        price=Decimal("0.5"),
        size=Decimal(10),
        timestamp_ms=1,
        **fields,
    )


def test_an_order_is_told_each_time_and_its_latest_is_kept() -> None:
    """PLACEMENT, UPDATE, CANCELLATION: all three are news."""
    account = Account()
    events = [order(type_=t) for t in ("PLACEMENT", "UPDATE", "CANCELLATION")]

    news = [account.apply(event) for event in events]

    assert [True, True, True] == news
    assert {"0x1": events[-1]} == dict(LiveMapping(lambda: account.orders))


def test_a_trade_is_told_once_for_each_status() -> None:
    """The server may send a status twice: the second is counted, and no news."""
    account = Account()
    statuses = ["MATCHED", "MATCHED", "MINED", "MATCHED", "CONFIRMED", "CONFIRMED"]

    news = [account.apply(trade(status=status)) for status in statuses]

    assert [True, False, True, False, True, False] == news
    assert 3 == account.duplicates
    assert "CONFIRMED" == account.trades["t1"].status


@pytest.mark.parametrize("final", ["CONFIRMED", "FAILED"])
def test_a_final_trade_stays_final(final: str) -> None:
    """A status that comes late is told, but the trade is not taken back to it."""
    account = Account()
    account.apply(trade(status=final))

    assert account.apply(trade(status="MINED"))
    assert final == account.trades["t1"].status


def test_events_of_the_other_channel_change_nothing() -> None:
    """They are news, and not the account's."""
    account = Account()

    assert account.apply(Book(market=MARKET, asset_id="1", timestamp_ms=1, bids=(), asks=()))
    assert (0, 0) == (len(account.orders), len(account.trades))


@pytest.fixture
def _kept_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_module, "KEPT", 2)


@pytest.mark.usefixtures("_kept_two")
def test_the_order_that_ended_longest_ago_is_forgotten_first() -> None:
    """Beyond the bound; open ones always stay, and there may be more of them."""
    account = Account()
    for id_, status in (("a", "LIVE"), ("b", "MATCHED"), ("c", "CANCELED"), ("d", "DELAYED")):
        account.apply(order(id_, status=status))
    some = list(account.orders)
    account.apply(order("e", status=None))
    account.apply(order("f", status="LIVE"))

    assert ["a", "c", "d"] == some or ["a", "d"] == some
    assert ["a", "d", "e", "f"] == list(account.orders)


@pytest.mark.usefixtures("_kept_two")
def test_a_cancelled_order_counts_as_ended_whatever_its_status() -> None:
    """The venue's cancellations carry free text as status."""
    account = Account()
    account.apply(order("a", "CANCELLATION", status="LIVE"))
    account.apply(order("b"))
    account.apply(order("c"))

    assert ["b", "c"] == list(account.orders)


@pytest.mark.usefixtures("_kept_two")
def test_an_order_told_again_counts_as_new() -> None:
    """What is forgotten is what was silent longest."""
    account = Account()
    for id_ in ("a", "b", "a", "c"):
        account.apply(order(id_, status="MATCHED"))

    assert ["a", "c"] == list(account.orders)


@pytest.mark.usefixtures("_kept_two")
def test_finished_trades_and_told_statuses_are_bounded() -> None:
    """A worker that never ends does not grow; a pending trade stays."""
    account = Account()
    account.apply(trade("pending"))
    for number in range(20):
        account.apply(trade(str(number), "CONFIRMED"))

    assert ["pending", "19"] == list(account.trades)
    assert 8 == len(account._told)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["MATCHED", "MINED", "FAILED"]))))
def test_no_status_is_told_twice(told: list[tuple[str, str]]) -> None:
    """In whatever order ids and statuses come."""
    account = Account()

    news = [key for key in told if account.apply(trade(*key))]

    assert list(dict.fromkeys(told)) == news
    assert len(told) - len(news) == account.duplicates


# --- the view ------------------------------------------------------------------------------------


def test_the_view_is_a_read_only_mapping() -> None:
    """It shows what is there now, and has no way to change it."""
    account = Account()
    view = LiveMapping(lambda: account.orders)
    account.apply(order("0x1"))

    assert order("0x1") == view["0x1"]
    assert (1, ["0x1"], [order("0x1")]) == (len(view), list(view), list(view.values()))
    assert ([("0x1", order("0x1"))], True, None) == (
        list(view.items()),
        "0x1" in view,
        view.get("0x2"),
    )
    assert repr({"0x1": order("0x1")}) == repr(view)
    with pytest.raises(KeyError):
        view["0x2"]
    with pytest.raises(TypeError):
        view["0x2"] = order("0x2")  # type: ignore[index]


@pytest.mark.usefixtures("_kept_two")
def test_iterating_is_safe_while_orders_come_and_go() -> None:
    """A loop over values or items goes over a copy; what was dropped meanwhile is still in it."""
    account = Account()
    view = LiveMapping(lambda: account.orders)
    account.apply(order("a", status="MATCHED"))
    account.apply(order("b", status="MATCHED"))
    seen: list[list[str]] = [[], [], []]

    for way, iterable in enumerate((view, view.values(), view.items())):
        for item in iterable:
            account.apply(order(f"{way}{len(seen[way])}", status="MATCHED"))
            seen[way].append(str(item))

    assert [2, 2, 2] == [len(items) for items in seen]


def test_a_known_order_never_vanishes_for_a_moment() -> None:
    """Another thread finds it by its id at any time, also while its update is taken."""

    class Watched(OrderedDict[str, Order]):
        """Looks its first id up after each step that takes something out."""

        def pop(self, *args: Any) -> Any:
            raise AssertionError("taken out")

        def __delitem__(self, key: str) -> None:
            raise AssertionError("taken out")

    account = Account(orders=Watched())
    view = LiveMapping(lambda: account.orders)
    account.apply(order("a"))
    missing: list[str] = []
    done = threading.Event()

    def look() -> None:
        while not missing:
            if "a" not in view:
                missing.append("a")
            if done.is_set():
                return

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(2_000):
        account.apply(order("a", "UPDATE"))
    done.set()
    reader.join(10)

    assert [] == missing


@pytest.mark.usefixtures("_kept_two")
def test_even_open_ones_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than any account can have open is a server's fault: the one told longest ago goes."""
    monkeypatch.setattr(account_module, "MOST_OPEN", 3)
    account = Account()
    for id_ in "abcab":
        account.apply(order(id_, status="LIVE"))
        account.apply(trade(id_, status="ANYTHING"))
    account.apply(order("d", status=None))

    assert ["a", "b", "d"] == list(account.orders)
    assert ["a", "b", "c"] == list(account.trades)

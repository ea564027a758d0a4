"""The handle on the account that users hold."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from polymarket_ws.account.account import Account
from polymarket_ws.account.core import AccountCore
from polymarket_ws.errors import ConfigurationError, OrderEnded
from polymarket_ws.events import Order, Side, Trade

MARKET, OTHER = "0x" + "aB" * 32, "0x" + "c" * 64
KEY = "key-1"


def order(id_: str, status: str = "LIVE", matched: int = 0, **fields: Any) -> Order:
    """An order of 10 shares."""
    given = {
        "market": MARKET,
        "asset_id": "1",
        "original_size": Decimal(10),
        "size_matched": Decimal(matched),
        **fields,
    }
    return Order(id=id_, status=status, timestamp_ms=1, **given)


def trade(id_: str, order_id: str, status: str = "MATCHED", **fields: Any) -> Trade:
    """A trade of 10 shares with one's own order as the taker's."""
    given = {"market": MARKET, "asset_id": "1", "side": Side.BUY, "price": Decimal("0.5"), **fields}
    return Trade(
        id=id_,
        status=status,
        taker_order_id=order_id,
        owner=KEY,
        size=Decimal(10),
        timestamp_ms=1,
        **given,
    )


class Waiting:
    """Plays the Subscriber: while somebody waits, this happens, one after the other."""

    def __init__(self, *happens: Order | Trade) -> None:
        self.core = AccountCore(KEY)
        self.account = Account(lambda: self.core, self.wait, lambda: True)
        self.happens = list(happens)

    def wait(
        self, member: str, is_done: Callable[[], bool], what: Callable[[], str], timeout: float
    ) -> None:
        """As long as there is something to happen."""
        assert ("wait_filled", 3.0) == (member, timeout)
        while not is_done():
            if not self.happens:
                raise TimeoutError(what())
            self.core.apply(self.happens.pop(0), 0.0)


def holding(*events: Order | Trade) -> Account:
    """An account that was told this."""
    made = Waiting()
    for event in events:
        made.core.apply(event, 0.0)
    return made.account


def test_orders_and_trades_are_read_only_mappings() -> None:
    """They show what is there now."""
    made = Waiting()
    orders, trades = made.account.orders, made.account.trades
    made.core.apply(order("a"), 0.0)

    assert (["a"], {}) == (list(orders), dict(trades))
    with pytest.raises(KeyError, match="no trade t was told in this run"):
        trades["t"]
    with pytest.raises(TypeError):
        orders["b"] = order("b")  # type: ignore[index]


def test_orders_and_fills_by_market_and_asset() -> None:
    """A condition id is the same in any case."""
    account = holding(
        order("a"),
        order("b", asset_id="2"),
        order("c", market=None),
        order("d", market=OTHER),
        order("e", "CANCELED"),
        trade("t", "a"),
        trade("u", "b", asset_id="2"),
        trade("v", "d", market=OTHER),
    )

    assert "abcd" == "".join(o.id for o in account.open_orders())
    assert "ab" == "".join(o.id for o in account.open_orders(market=MARKET.lower()))
    assert "b" == "".join(o.id for o in account.open_orders(asset_id="2"))
    assert "tuv" == "".join(f.trade_id for f in account.fills())
    assert "tu" == "".join(f.trade_id for f in account.fills(market=MARKET.lower()))
    assert "tv" == "".join(f.trade_id for f in account.fills(asset_id="1"))
    assert "t" == "".join(f.trade_id for f in account.fills(order_id="a", market=MARKET))


def test_positions_are_a_read_only_mapping() -> None:
    """Of the assets of which something is known; of any other one nothing is held."""
    account = holding(trade("t", "a"))

    assert (["1"], 1, 10) == (
        list(account.positions),
        len(account.positions),
        account.positions["1"].size,
    )
    assert account.position("1") == account.positions["1"]
    assert (0, None) == (account.position("2").size, account.position("2").market)
    with pytest.raises(KeyError, match="nothing is known of a position in 2"):
        account.positions["2"]
    assert repr(account.positions).startswith("{'1': Position(asset_id='1'")


def test_its_repr_is_short() -> None:
    """It says how much there is, and whether that is all."""
    made = Waiting()
    assert "<Account 0 open orders, 0 trades, 0 positions, not complete>" == repr(made.account)
    assert made.account.confirm()
    made.core.completeness.settle(made.core.completeness.interruptions)
    made.core.apply(order("a"), 0.0)

    assert "<Account 1 open orders, 0 trades, 0 positions, complete>" == repr(made.account)
    assert made.account.complete


FILLED = order("a", "MATCHED", 10)


@pytest.mark.parametrize(
    "happened", [[FILLED], [order("a"), trade("t", "a")], [trade("t", "a"), order("a")]]
)
def test_what_is_filled_already_is_returned_at_once(happened: list[Order | Trade]) -> None:
    """By the order's own word or by its fills, whichever came, and in whatever order."""
    [found] = holding(*happened).wait_filled("a", timeout=3.0)

    assert "a" == found.id


def test_orders_are_waited_for_in_the_order_given() -> None:
    """Also those that are not known yet; each once; none is filled at once."""
    made = Waiting(order("b", "MATCHED", 10), order("a"), order("c"), trade("t", "a"))

    found = made.account.wait_filled(["a", "b", "a"], timeout=3.0)

    assert ["a", "b"] == [o.id for o in found]
    assert () == made.account.wait_filled([], timeout=3.0)
    assert () == made.account.wait_filled([], timeout=3.0, any=True)


def test_any_of_several() -> None:
    """The one that is filled, though another has ended."""
    made = Waiting(order("a"), order("b", "CANCELED"), order("c", "MATCHED", 10), order("d"))

    [found] = made.account.wait_filled(["a", "b", "c"], timeout=3.0, any=True)

    assert "c" == found.id


@pytest.mark.parametrize(
    ("happens", "sentence"),
    [
        ([order("a", "CANCELED", 4)], "order a will not be filled: CANCELED, 4 of 10 matched"),
        (
            [order("a", "MATCHED", 10), trade("t", "a", "FAILED")],
            "order a will not be filled: MATCHED, 10 of 10 matched, 10 in trades that FAILED",
        ),
    ],
)
def test_an_order_that_ended_is_an_error_that_carries_it(
    happens: list[Order | Trade], sentence: str
) -> None:
    """It was cancelled, or what was matched FAILED."""
    account = holding(*happens)

    with pytest.raises(OrderEnded) as caught:
        account.wait_filled(["b", "a"], timeout=3.0)

    assert (sentence, account.orders["a"]) == (str(caught.value), caught.value.order)


def test_any_ends_when_none_is_left() -> None:
    """Then the first that ended is told."""
    made = Waiting(order("a"), order("b", "CANCELED"), order("a", "CANCELED"))

    with pytest.raises(OrderEnded, match="order a will"):
        made.account.wait_filled(["a", "b"], timeout=3.0, any=True)


def test_a_timeout_names_what_is_not_filled() -> None:
    """And not what is."""
    made = Waiting(order("a", "MATCHED", 10), order("b"))

    with pytest.raises(TimeoutError, match=r"^not filled: b, c$"):
        made.account.wait_filled(["a", "b", "c"], timeout=3.0)


def test_ids_are_texts() -> None:
    """An Order is not taken for its id."""
    with pytest.raises(ConfigurationError, match="order_ids holds a Order: pass ids of orders"):
        holding().wait_filled([FILLED], timeout=3.0)  # type: ignore[list-item]

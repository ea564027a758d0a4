"""What the market channel sends: a book has a top, and each event its shape on the wire."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from attrs import evolve
from kit.examples import TOKEN, M, book

from polymarket_ws.events import Event, EventMessage, LevelChange, NewMarket, PriceChange, Side
from polymarket_ws.testing import make_market_resolved, make_new_market, make_price_change


def test_a_book_knows_its_top() -> None:
    """Best first on both sides, so the first levels are the top."""
    value = book()

    assert (value.bids[0], value.asks[0]) == value.top
    assert (Decimal("0.5"), Decimal("0.2")) == (value.mid, value.spread)


@pytest.mark.parametrize("side", ["bids", "asks"])
def test_an_empty_side_has_no_top(side: str) -> None:
    """None for the side, and for what needs both."""
    value = book(**{side: ()})

    assert 1 == value.top.count(None)
    assert (None, None) == (value.mid, value.spread)


def test_a_book_goes_back_to_the_wires_shape() -> None:
    """Names, strings, the worst level first; unknown fields are kept; what is None is absent."""
    assert {
        "event_type": "book",
        "market": M,
        "asset_id": TOKEN,
        "timestamp": "1700000000123",
        "hash": "abc",
        "bids": [{"price": "0.3", "size": "5"}, {"price": "0.4", "size": "10"}],
        "asks": [{"price": "0.6", "size": "7.5"}],
        "neg_risk": True,
        "level": 2,
    } == book(hash="abc", neg_risk=True, extra={"level": 2}, received_at_ns=9).to_dict()


def test_nested_values_go_back_too() -> None:
    """Entries and the event message are objects on the wire."""
    change = LevelChange(
        asset_id=TOKEN,
        price=Decimal("0.5"),
        size=Decimal("1E+3"),
        side=Side.SELL,
        best_ask=Decimal("1"),
    )
    new = NewMarket(
        id="1",
        market=M,
        asset_ids=("1", "2"),
        active=False,
        event_message=EventMessage(id="7", extra={"x": 1}),
        fee_schedule={"exponent": "1"},
        timestamp_ms=1,
    )

    assert [
        {"asset_id": TOKEN, "price": "0.5", "size": "1000", "side": "SELL", "best_ask": "1"}
    ] == PriceChange(market=M, price_changes=(change,), timestamp_ms=1).to_dict()["price_changes"]
    written = new.to_dict()
    assert (["1", "2"], False, {"exponent": "1"}) == (
        written["assets_ids"],
        written["active"],
        written["fee_schedule"],
    )
    assert ("7", 1) == (written["event_message"]["id"], written["event_message"]["x"])


def change_of(*asset_ids: str) -> PriceChange:
    """A change with an entry of each of these assets."""
    return make_price_change(changes=[make_price_change(a).price_changes[0] for a in asset_ids])


def test_a_change_concerns_the_assets_of_its_entries() -> None:
    """Any of them; without entries it concerns none."""
    asked = [{"1"}, {"2", "3"}, {"3"}, set[str]()]

    assert [True, True, False, False] == [change_of("1", "2").concerns(ids) for ids in asked]
    assert not change_of().concerns({"1"})
    assert ("1", "2", "1") == change_of("1", "2", "1").assets


def test_a_change_is_narrowed_to_some_of_its_assets() -> None:
    """The entries of others go."""
    whole = change_of("1", "2", "1")

    assert [change_of("1", "1"), whole] == [whole.narrowed_to(ids) for ids in ({"1"}, {"1", "2"})]


@pytest.mark.parametrize("make", [make_new_market, make_market_resolved])
def test_copies_of_a_broadcast_have_one_identity(make: Callable[..., Event]) -> None:
    """Whatever else differs; another kind, market or time makes another broadcast."""
    one = make(timestamp_ms=1)

    assert one.identity == evolve(one, question="Else?").identity
    assert 4 == len(
        {
            event.identity
            for event in (
                one,
                make(timestamp_ms=2),
                evolve(one, id="other"),
                make_new_market(timestamp_ms=1),
                make_market_resolved(timestamp_ms=1),
            )
        }
    )


def test_a_notebook_shows_a_book_as_a_ladder() -> None:
    """With what lies between its best levels."""
    html = book()._repr_html_()

    assert ">snapshot<" in html
    assert "spread" in html

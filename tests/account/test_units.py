"""Shares or millionths of a share: by what is known for sure."""

from __future__ import annotations

import logging
from decimal import Decimal

import pytest

from polymarket_ws.account.units import Units
from polymarket_ws.events import Order
from polymarket_ws.wire.decode import decode_listed_order


def listed(id_: str, size: str | None, matched: str | None = "0") -> Order:
    """An order as REST lists it."""
    row = {"id": id_, "status": "LIVE", "original_size": size, "size_matched": matched}
    return decode_listed_order(row, 1, [])


def told(id_: str, size: str, source: str = "stream") -> dict[str, Order]:
    """The same order as it is known."""
    return {id_: Order(id=id_, timestamp_ms=1, original_size=Decimal(size), source=source)}


def sizes(orders: tuple[Order, ...]) -> list[str]:
    """As they print."""
    return [f"{order.original_size} {order.size_matched}" for order in orders]


def test_the_stream_tells_millionths() -> None:
    """One order that both have told decides for all, and for good."""
    units = Units()
    orders = [listed("b", "7000000", "1500000"), listed("a", "100000000")]

    assert ["7 1.5", "100 0"] == sizes(units.in_shares(orders, told("a", "100")))
    assert ["8 None"] == sizes(units.in_shares([listed("c", "8000000", None)], {}))


def test_the_stream_tells_shares() -> None:
    """A whole number that looks like millionths is none."""
    units = Units()

    orders = [listed("a", "2000000"), listed("b", "3000000")]
    assert ["2000000 0", "3000000 0"] == sizes(units.in_shares(orders, told("a", "2000000.0")))
    assert Decimal(1) == units.divisor


@pytest.mark.parametrize("size", ["12.5", "5", "99999"])
def test_a_size_that_can_be_no_millionths_tells_shares(size: str) -> None:
    """It has a fraction, or would be less than any market allows."""
    units = Units()
    units.in_shares([listed("a", None), listed("b", "4000000"), listed("c", size)], {})

    assert Decimal(1) == units.divisor


def test_what_cannot_be_told_is_left_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """By the size alone, an order that REST told itself, or one that has another size. No size is
    shown then but among the extra fields.
    """
    units = Units()
    for known in ({}, told("a", "100", "rest"), told("a", "77")):
        with caplog.at_level(logging.WARNING):
            (order,) = units.in_shares([listed("a", "100000000")], known)
            assert ["None None"] == sizes((order,))
            assert "100000000" == order.extra["listed_original_size"]

    assert units.divisor is None
    assert 1 == len(caplog.records)
    assert () == Units().in_shares([], {})
    assert ["None None"] == sizes(Units().in_shares([listed("a", None, None)], {}))
    assert 1 == len(caplog.records)

"""What is held of one asset, by its fills in time's order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from polymarket_ws.account import positions
from polymarket_ws.account.positions import Ledger, Row
from polymarket_ws.events import Fill, Side

D = Decimal


def fill(trade_id: str, size: str, price: str | None = "0.5", status: str = "CONFIRMED") -> Fill:
    """A fill; of a negative size, what was sold."""
    shares = D(size)
    return Fill(
        trade_id=trade_id,
        order_id="o",
        market="0xm",
        asset_id="1",
        outcome=None,
        side=Side.BUY if shares > 0 else Side.SELL,
        price=None if price is None else D(price),
        size=abs(shares),
        fee_rate_bps=None,
        role="MAKER",
        status=status,
        timestamp_ms=1,
    )


class Held:
    """A ledger and its rows."""

    def __init__(self) -> None:
        self.ledger = Ledger("1")
        self.rows: dict[str, Row] = {}

    def put(self, found: Fill, at: int | None = None) -> None:
        """A fill of a trade, at this time: by default after all before it."""
        key = (len(self.rows) if at is None else at, 0, found.trade_id, "o")
        row = self.rows.setdefault(found.trade_id, Row(found, key, self.ledger))
        self.ledger.put(row, found)

    @property
    def total(self) -> tuple[Any, ...]:
        """Size, pending and average price."""
        return self.ledger.total


def held(*fills: Fill) -> Held:
    """A ledger of these."""
    made = Held()
    for found in fills:
        made.put(found)
    return made


@pytest.mark.parametrize(
    ("fills", "size", "average"),
    [
        ([fill("a", "10", "0.4")], 10, "0.4"),
        ([fill("a", "10", "0.4"), fill("b", "10", "0.6")], 20, "0.5"),
        ([fill("a", "10", "0.4"), fill("b", "10", "0.6"), fill("c", "-5", "0.9")], 15, "0.5"),
        ([fill("a", "10", "0.4"), fill("b", "-10"), fill("c", "10", "0.6")], 10, "0.6"),
        ([fill("a", "10", "0.4"), fill("b", "-12")], -2, None),
        ([fill("a", "-12"), fill("b", "10", "0.4")], -2, None),
        ([fill("a", "-12"), fill("b", "20", "0.4")], 8, "0.4"),
        ([fill("a", "1", "0.4"), fill("b", "2", "0.5")], 3, "0.4666666667"),
        ([fill("a", "10", None)], 10, None),
        ([fill("a", "10", None), fill("b", "-4"), fill("c", "1", "0.4")], 7, None),
        ([fill("a", "10", None), fill("b", "-10"), fill("c", "1", "0.4")], 1, "0.4"),
        ([fill("a", "10", "0.4"), fill("b", "1", None)], 11, None),
        ([fill("a", "10", "1E+30")], 10, None),
    ],
)
def test_the_average_is_what_the_held_shares_cost(
    fills: list[Fill], size: int, average: str | None
) -> None:
    """A sale takes its shares out at the average; what is not known makes it unknown."""
    assert (size, 0, average and D(average)) == held(*fills).total


def test_pending_is_what_was_bought_and_is_not_confirmed() -> None:
    """Whatever its status is till then; a sale counts at once."""
    made = held(fill("a", "10", status="MATCHED"), fill("b", "-4", status="MATCHED"))

    assert (6, 10) == made.total[:2]
    made.put(fill("a", "10", status="RETRYING"))
    assert (6, 10) == made.total[:2]
    made.put(fill("a", "10", status="CONFIRMED"))
    assert (6, 0) == made.total[:2]


def test_what_failed_is_taken_out_as_if_it_had_never_been() -> None:
    """The average of what came after it is that of the others; and a side must be known."""
    made = held(fill("a", "10", "0.4"), fill("b", "10", "0.8", "MATCHED"), fill("c", "-5"))
    made.put(fill("b", "10", "0.8", "FAILED"))
    made.put(fill("b", "10", "0.8", "FAILED"))

    assert (5, 0, D("0.4")) == made.total
    assert 3 == len(made.ledger.rows)


def test_a_late_fill_stands_where_it_belongs_in_time() -> None:
    """Bought, sold, bought again: however late each is told."""
    made = Held()
    made.put(fill("c", "10", "0.6"), at=3)
    made.put(fill("b", "-10"), at=2)
    made.put(fill("a", "10", "0.4"), at=1)
    assert (10, 0, D("0.6")) == made.total

    made.rows["c"].move((0, 0, "c", "o"))
    assert (10, 0, D("0.5")) == made.total
    loose = Row(fill("x", "1"), (1, 0, "x", "o"))
    loose.move((2, 0, "x", "o"))
    assert (2, 0, "x", "o") == loose.key


def test_a_fill_that_is_told_otherwise_is_corrected() -> None:
    """Its size was not known rightly before."""
    made = held(fill("a", "10", "0.4"))
    made.put(fill("a", "4", "0.5"))

    assert (4, 0, D("0.5")) == made.total


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "MOST_ENTRIES", 2)


@pytest.mark.usefixtures("_few")
@pytest.mark.parametrize(
    ("shares", "failed", "before", "after"),
    [
        (["10 0.4", "-4 0.9", "6 0.6"], "a", (12, "0.5"), (2, "0.6")),
        (["-4 0.9", "10 0.4", "6 0.6"], "a", (12, "0.5"), (16, "0.475")),
        (["10 0.4", "-4 0.9", "6 0.6", "1 0.5"], "b", (13, "0.5"), (17, "0.4764705882")),
        (["10 0.4", "10 0.8", "1 0.5", "1 0.7"], "a", (22, "0.6"), (12, "0.7666666667")),
        (["10", "10 0.8", "1 0.5", "1 0.7"], "a", (22, None), (12, None)),
        (["-4 0.9", "-4 0.9", "6 0.6", "1 0.5"], "a", (-1, None), (3, "0.5666666667")),
        (["-4 0.9", "9 0.6", "-7 0.6", "9 0.5"], "a", (7, "0.5"), (11, "0.5181818182")),
        (["-8 0.9", "9 0.6", "-1 0.6", "9 0.5"], "c", (9, "0.5"), (10, "0.51")),
    ],
)
def test_of_many_fills_the_sums_stay_exact(
    shares: list[str], failed: str, before: tuple[Any, ...], after: tuple[Any, ...]
) -> None:
    """Those that are too many keep their effect only, and can still be taken back."""
    fills = {}
    for trade_id, text in zip("abcd", shares):  # noqa: B905 - or fewer
        size, _, price = text.partition(" ")
        fills[trade_id] = fill(trade_id, size, price or None)
    made = held(*fills.values())

    assert (before[0], 0, before[1] and D(before[1])) == made.total
    made.put(evolve(fills[failed], status="FAILED"))
    assert (after[0], 0, after[1] and D(after[1])) == made.total


@pytest.mark.usefixtures("_few")
def test_a_fill_in_the_base_can_be_confirmed_and_moved() -> None:
    """It is pending till then; its place in time matters no more."""
    made = held(fill("a", "10", "0.4", "MATCHED"), fill("b", "1"), fill("c", "1"))

    assert (12, 10) == made.total[:2]
    made.put(fill("a", "10", "0.4", "CONFIRMED"))
    made.rows["a"].move((9, 0, "a", "o"))
    assert (12, 0) == made.total[:2]


def test_what_is_forgotten_stays_in_the_sums() -> None:
    """A fill, and those before it, go into what was held before."""
    made = held(fill("a", "10", "0.4"), fill("b", "5", "0.7"), fill("c", "1", status="FAILED"))
    before = made.total
    for trade_id in "bc":
        made.ledger.forget(made.rows[trade_id])

    assert (before, ["a"]) == (made.total, [trade_id for trade_id, _ in made.ledger.rows])
    made.ledger.forget(made.rows["a"])
    assert (before, {}) == (made.total, made.ledger.rows)


def test_a_seed_has_the_counted_trades_in_it() -> None:
    """Those that are told before it, and those that are told after; later ones come on top."""
    made = held(fill("a", "10", "0.4"), fill("b", "5", "0.7", "MATCHED"), fill("x", "1", None))
    made.ledger.seed(D(30), D("0.2"), {"a", "c", "x"})
    assert (35, 5, D("0.2714285714")) == made.total

    made.put(fill("c", "2", "0.9"))
    made.put(fill("a", "10", "0.4"))
    made.put(fill("b", "5", "0.7"))
    assert (35, 0, D("0.2714285714")) == made.total
    made.ledger.forget(made.rows["a"])
    made.ledger.seed(D(0), None, {"a", "b", "c", "x"})
    assert (0, 0, None) == made.total
    made.ledger.seed(D(3), None, {"a", "b", "c", "x"})
    assert (3, 0, None) == made.total

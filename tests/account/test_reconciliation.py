"""The plan of reconciliation: when to ask, what counts, and when all is known."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, field

from polymarket_ws.account.core import AccountCore
from polymarket_ws.account.listing import ListedPosition, Listing, Question
from polymarket_ws.account.reconciliation import (
    AGAIN_SECONDS,
    FIRST_TRADES_SECONDS,
    MOST_IDS,
    OVERLAP_SECONDS,
    RECHECK_SECONDS,
    Reconciliation,
)
from polymarket_ws.errors import DecodeError
from polymarket_ws.events import Event, Order, Side, Trade

KEY, MARKET = "key-1", "0x" + "a" * 64
STARTED = 1_790_000_000.0
STALENESS = 2.0


def order(id_: str = "o1", **fields: Any) -> Order:
    """An open order of before the start, as the channel tells it."""
    given: dict[str, Any] = {
        "type": "PLACEMENT",
        "market": MARKET,
        "asset_id": "1",
        "side": Side.BUY,
        "price": Decimal("0.5"),
        "original_size": Decimal("10.5"),
        "size_matched": Decimal(0),
        "status": "LIVE",
        "timestamp_ms": 1000 * int(STARTED),
        "created_at_ms": 1000 * int(STARTED - 100),
    }
    return Order(id=id_, **{**given, **fields})


def listed(id_: str = "o1", **fields: Any) -> Order:
    """The same, as REST lists it."""
    return order(id_, **{"type": None, "source": "rest", **fields})


def trade(id_: str = "t1", at: float = 1.0, status: str = "CONFIRMED", **fields: Any) -> Trade:
    """A trade as REST lists it, matched so many seconds after the start."""
    matched_ms = int(1000 * (STARTED + at))
    given: dict[str, Any] = {
        "market": MARKET,
        "asset_id": "1",
        "side": Side.BUY,
        "price": Decimal("0.5"),
        "size": Decimal("10.5"),
        "owner": KEY,
        "taker_order_id": "o1",
        "match_time_ms": matched_ms,
        "timestamp_ms": matched_ms,
        "source": "rest",
    }
    return Trade(id=id_, status=status, **{**given, **fields})


@define
class Story:
    """A plan with what it was told, by a clock of its own."""

    core: AccountCore = field(factory=lambda: AccountCore(KEY))
    now: float = 100.0
    has_asked: bool = True
    """Whether the early question was answered by nothing."""
    plan: Reconciliation = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.plan = Reconciliation(self.core, STALENESS, STARTED)
        if self.has_asked:
            self.plan.question(self.now)
            self.answer(positions=None)

    def subscribe(self) -> None:
        self.plan.subscribed(self.now)

    def lose(self) -> None:
        self.now += 1
        self.core.completeness.interrupt()
        self.plan.lost(self.now)

    def ask(self) -> Question:
        """At the deadline, which must not be never."""
        self.now = max(self.now, self.plan.deadline)
        assert self.now < 1e9
        return self.plan.question(self.now)

    def answer(
        self,
        orders: Sequence[Order] = (),
        trades: Sequence[Trade] = (),
        positions: Sequence[ListedPosition] | None = (),
        flaws: Sequence[DecodeError] = (),
        offset: float = 0.0,
    ) -> list[Event | DecodeError]:
        """What a listing brings."""
        held = None if positions is None else tuple(positions)
        received_ms = int(1000 * (STARTED + self.now - 100))
        listing = Listing(tuple(orders), tuple(trades), held, tuple(flaws), received_ms, offset)
        return self.plan.take(listing, self.now)

    def reconcile(self, *orders: Order) -> None:
        """Subscribe, and find everything complete."""
        self.subscribe()
        self.ask()
        self.answer(orders)
        assert self.core.complete


@pytest.fixture
def story() -> Story:
    """A run that has just started."""
    return Story()


def test_it_asks_at_once_and_again_when_an_answer_can_count() -> None:
    """The first answer fills the views early, and says whether the key is right."""
    story = Story(has_asked=False)
    assert 0 == story.plan.deadline
    first = story.ask()
    assert not first.with_positions
    assert float("inf") == story.plan.deadline  # one at a time

    story.subscribe()
    assert [] == story.answer([listed()], positions=None)
    assert ["o1"] == list(story.core.orders)
    assert not story.core.complete

    assert 100.0 + STALENESS == story.plan.deadline
    assert story.ask().with_positions
    story.answer([listed()])
    assert story.core.complete
    assert float("inf") == story.plan.deadline


def test_a_channel_that_is_closed_makes_no_answer_count() -> None:
    """However fresh it is."""
    story = Story(has_asked=False)
    story.ask()
    story.answer()
    assert not story.core.complete
    assert float("inf") == story.plan.deadline


def test_an_answer_that_a_loss_overtakes_does_not_count(story: Story) -> None:
    """It was asked for on the connection before."""
    story.subscribe()
    story.ask()
    story.lose()
    story.subscribe()
    story.answer()
    assert not story.core.complete

    story.ask()
    story.answer()
    assert story.core.complete


def test_something_lost_while_it_was_asked_is_not_covered(story: Story) -> None:
    """A message that was not understood: its owner subscribes anew, as it were."""
    story.subscribe()
    story.ask()
    story.core.completeness.interrupt()
    story.answer()

    assert not story.core.complete


def test_what_happened_before_the_start_is_not_told(story: Story) -> None:
    """It fills the views; what came after it is told, in time's order."""
    story.subscribe()
    story.ask()
    new = listed("o2", created_at_ms=1000 * int(STARTED + 1), timestamp_ms=1000 * int(STARTED + 3))
    told = story.answer([listed(), new], [trade("t2", 2.0), trade("t0", -5.0), trade("t1", 1.0)])

    assert ["t1", "t1", "t2", "t2", "o2"] == [
        getattr(event, "trade_id", None) or event.id  # type: ignore[union-attr]
        for event in told
    ]
    assert {"t0", "t1", "t2"} == set(story.core.trades)


def test_a_change_of_what_was_there_before_the_start_is_told(story: Story) -> None:
    """Its status is news, though the trade is old."""
    story.core.apply(trade("t0", -5.0, "MATCHED"), 0.0, tell=False)
    story.core.apply(order(), 0.0, tell=False)
    story.subscribe()
    story.ask()

    told = story.answer([listed(size_matched=Decimal(3))], [trade("t0", -5.0)])

    kinds = {type(event).__name__ for event in told}
    assert {"Trade", "Fill", "Order"} == kinds


def test_the_servers_clock_decides_what_was_before_the_start() -> None:
    """It is 50 s behind: a trade that it dates 40 s before our start came after it. Our clock may
    be set right later: the start stays where it was.
    """
    story = Story(has_asked=False)
    story.subscribe()
    story.ask()

    assert 2 == len(story.answer([], [trade("t1", -40.0)], offset=-50.0))
    story.ask()
    assert 2 == len(story.answer([], [trade("t2", -30.0)], offset=0.0))


def test_a_listing_by_a_wrong_clock_does_not_count() -> None:
    """It was asked for trades of the server's future; the next one is asked for soon."""
    story = Story(has_asked=False)
    story.subscribe()
    story.now += STALENESS
    story.ask()
    story.answer(offset=-5_000_000.0)
    assert not story.core.complete
    assert story.now + AGAIN_SECONDS == story.plan.deadline

    assert STARTED - 5_000_000 - FIRST_TRADES_SECONDS == story.ask().trades_after
    story.answer(offset=-5_000_000.0)
    assert story.core.complete


def test_trades_are_asked_for_from_the_newest_known() -> None:
    """Less the overlap; at first from a day before the start, by the server's clock."""
    story = Story(has_asked=False)
    assert STARTED - FIRST_TRADES_SECONDS == story.ask().trades_after
    story.plan.failed(story.now, 0.0, 7.0)
    story.subscribe()
    story.now += STALENESS
    assert STARTED + 7 - FIRST_TRADES_SECONDS == story.ask().trades_after

    story.now += 50
    story.answer([], [trade("t1", 30.0), trade("t0", 10.0)])
    story.core.apply(trade("t2", 40.0), story.now)
    story.core.apply(trade("t3", status="MATCHED", match_time_ms=None), story.now)
    story.lose()
    story.core.apply(trade("t4", 99.0), story.now)  # comes too late: what was before it may lack
    story.subscribe()
    assert STARTED + 40 - OVERLAP_SECONDS == story.ask().trades_after


def test_old_trades_that_are_not_final_are_asked_for_by_id(story: Story) -> None:
    """/data/trades filters by match time, and their status may have changed since."""
    story.core.apply(trade("old", -FIRST_TRADES_SECONDS - 5, "MATCHED"), 0.0)
    at_ms = int(1000 * (STARTED - 50))
    undated = trade("undated", status="MINED", match_time_ms=None, timestamp_ms=at_ms)
    story.core.apply(undated, 0.0)
    story.core.apply(trade("new", 5.0, "MATCHED"), 0.0)
    story.core.apply(trade("done", -FIRST_TRADES_SECONDS - 5), 0.0)

    story.subscribe()
    assert ["old", "undated"] == sorted(story.ask().trade_ids)


def test_many_old_trades_are_listed_together(story: Story) -> None:
    """From the oldest on; one without a time was matched within a day of its message."""
    for number in range(MOST_IDS + 1):
        story.core.apply(trade(f"t{number}", -FIRST_TRADES_SECONDS - number - 1, "MATCHED"), 0.0)
    story.core.apply(trade("undated", status="MINED", match_time_ms=None), 0.0)

    story.subscribe()
    question = story.ask()

    assert () == question.trade_ids
    oldest = STARTED - FIRST_TRADES_SECONDS - MOST_IDS - 1
    assert oldest - OVERLAP_SECONDS == question.trades_after


def test_an_absent_order_has_ended_when_two_listings_agree(story: Story) -> None:
    """Pages can tear, so one is no proof."""
    story.reconcile(listed())
    story.lose()
    story.subscribe()

    story.ask()
    assert [] == story.answer()
    assert not story.core.complete
    assert story.now == story.plan.deadline  # at once
    story.ask()
    (ended,) = story.answer()

    assert isinstance(ended, Order)
    server_ms = int(1000 * (STARTED + story.now - 100))
    assert ("o1", "UNKNOWN", "rest", server_ms) == (
        ended.id,
        ended.status,
        ended.source,
        ended.timestamp_ms,
    )
    assert story.core.complete


def test_an_absent_order_that_is_back_has_not_ended(story: Story) -> None:
    """A page was torn."""
    story.reconcile(listed())
    story.lose()
    story.subscribe()
    story.ask()
    story.answer()
    story.ask()

    assert [] == story.answer([listed()])
    assert story.core.complete
    assert ["o1"] == [open_order.id for open_order in story.core.open_orders()]


def test_an_order_that_a_counting_listing_had_has_its_end_told(story: Story) -> None:
    """By the channel: it was open after the subscription."""
    story.reconcile(listed("o1"), listed("o2"))
    story.lose()
    story.subscribe()
    story.ask()
    story.answer([listed("o2")])
    story.ask()

    assert ["o1"] == [event.id for event in story.answer()]  # type: ignore[union-attr]
    assert story.core.complete


def test_an_order_that_the_channel_told_since_is_no_absent_one(story: Story) -> None:
    """It was placed after the listing began."""
    story.subscribe()
    story.now += 1
    story.core.apply(order("fresh"), story.now)
    story.ask()

    assert [] == story.answer()
    assert story.core.complete


def test_a_trade_is_no_sign_that_its_order_is_open(story: Story) -> None:
    """Its next status may come after the order was cancelled in an outage."""
    story.reconcile(listed())
    story.lose()
    story.subscribe()
    story.now += 1
    story.core.apply(trade("t1", 1.0, "MINED", size=Decimal(2), source="stream"), story.now)
    for _ in range(2):
        story.ask()
        told = story.answer()

    (ended,) = told
    assert isinstance(ended, Order)
    assert ("UNKNOWN", Decimal(2)) == (ended.status, ended.size_matched)


def test_a_row_that_is_not_understood_keeps_it_incomplete(story: Story) -> None:
    """Told once; asked again after a while."""
    flaw = DecodeError("$", "no id")
    story.subscribe()
    story.ask()
    assert [flaw] == story.answer(flaws=[flaw])
    assert not story.core.complete
    assert story.now + RECHECK_SECONDS == story.plan.deadline

    story.ask()
    assert [] == story.answer(flaws=[flaw])
    story.ask()
    story.answer()
    assert story.core.complete


def test_a_row_that_is_not_understood_ends_no_order(story: Story) -> None:
    """It may be the order that seems absent; and the service is not asked without a pause."""
    story.reconcile(listed("o1"))
    story.lose()
    story.subscribe()
    story.ask()
    story.answer()  # a page was torn: one listing more is to agree
    for _ in range(3):
        story.ask()
        told = story.answer(flaws=[DecodeError("$.id", "missing")])
        assert not [event for event in told if isinstance(event, Order)]
        assert story.now + RECHECK_SECONDS == story.plan.deadline

    assert ["o1"] == [order.id for order in story.core.open_orders()]
    assert not story.core.complete


def test_a_part_that_is_not_understood_is_told_and_loses_nothing(story: Story) -> None:
    """An optional field."""
    flaw = DecodeError("$.fee_rate_bps", "no number", lost=False)
    story.subscribe()
    story.ask()

    assert [flaw] == story.answer(flaws=[flaw])
    assert story.core.complete


def test_positions_start_from_what_is_held(story: Story) -> None:
    """The trades that are confirmed by then are in it; what is not listed is not held."""
    story.core.apply(trade("t0", -10.0), 0.0, tell=False)
    story.subscribe()
    story.ask()
    story.core.apply(trade("t9", 5.0, "MATCHED", asset_id="2"), story.now)
    held = [ListedPosition("1", MARKET, Decimal(150), Decimal("0.4"))]
    story.answer([], [trade("t1", 1.0), trade("t2", 2.0, "MATCHED")], held)

    assert Decimal("160.5") == story.core.position("1").size  # t2 comes on top
    assert Decimal("10.5") == story.core.position("2").size
    assert story.core.position("1").complete
    story.lose()
    story.subscribe()
    assert not story.ask().with_positions


def test_positions_that_did_not_come_are_asked_for_again(story: Story) -> None:
    """The account is complete without them, its positions are not."""
    story.subscribe()
    story.ask()
    story.answer(positions=None)

    assert story.core.complete
    assert not story.core.position("1").complete
    assert story.now + RECHECK_SECONDS == story.plan.deadline


def test_only_subscribed_markets_are_taken(story: Story) -> None:
    """Nothing keeps the others up to date."""
    story.plan.is_wanted = lambda market: market == MARKET
    story.subscribe()
    story.ask()
    other = "0x" + "b" * 64
    held = [ListedPosition("9", other, Decimal(1), None)]
    story.answer([listed(), listed("o2", market=other)], [trade("t2", 1.0, market=other)], held)

    assert (["o1"], [], {}) == (
        list(story.core.orders),
        list(story.core.trades),
        story.core.ledgers,
    )


def test_a_failure_is_tried_again(story: Story) -> None:
    """After a delay that the owner chooses, also over a reconnect; not while the channel is closed,
    if the key is known.
    """
    story.subscribe()
    story.ask()
    story.plan.failed(story.now, 3.5)
    assert story.now + 3.5 == story.plan.deadline

    at = story.plan.deadline
    story.lose()
    assert float("inf") == story.plan.deadline
    story.subscribe()
    assert at == story.plan.deadline
    story.lose()
    story.plan.refused()
    story.ask()
    story.plan.failed(story.now, 1.0)
    assert story.now + 1 == story.plan.deadline


def test_an_interruption_a_second_puts_nothing_off_for_ever(story: Story) -> None:
    """What a listing brings is told; complete it is not."""
    for _ in range(5):
        story.subscribe()
        story.now += 1
    assert story.plan.deadline <= story.now
    story.ask()
    assert story.answer([], [trade()])
    assert not story.core.complete


def test_a_market_that_is_new_is_listed_from_the_beginning(story: Story) -> None:
    """Its trades and positions, too."""
    story.subscribe()
    story.ask()
    story.answer([], [trade("t1", 1.0)])
    story.plan.wanted_changed()
    story.core.completeness.interrupt()
    story.subscribe()

    question = story.ask()

    assert question.with_positions
    assert STARTED - FIRST_TRADES_SECONDS == question.trades_after


def test_a_trade_that_is_confirmed_while_it_is_asked_is_counted_once(story: Story) -> None:
    """Nobody knows whether the total has it, so the positions are listed again."""
    story.core.apply(trade("t1", 1.0, "MATCHED"), story.now)
    story.core.apply(trade("t2", 1.0, "MATCHED", asset_id="2"), story.now)
    story.subscribe()
    story.ask()
    story.core.apply(trade("t1", 1.0, source="stream"), story.now)
    held = [ListedPosition(asset, MARKET, Decimal(20), None) for asset in ("1", "2")]
    story.answer([], [trade("t2", 1.0, "MATCHED", asset_id="2")], held)

    assert Decimal("10.5") == story.core.position("1").size
    assert Decimal("30.5") == story.core.position("2").size
    assert not story.core.position("1").complete
    assert story.now + AGAIN_SECONDS == story.plan.deadline
    story.ask()
    story.answer([], [], held)
    assert (20, True) == (story.core.position("1").size, story.core.position("1").complete)


def test_a_match_in_the_future_hides_no_later_trade(story: Story) -> None:
    """A wrong time of the server's."""
    story.subscribe()
    story.ask()
    story.answer([], [trade("t1", 864_000.0)])
    story.lose()
    story.subscribe()

    assert story.ask().trades_after <= STARTED + story.now - 100


def test_a_refusal_is_asked_about_at_once(story: Story) -> None:
    """Whether the key is wrong, REST knows."""
    story.plan.refused()
    assert 0 == story.plan.deadline

    story.ask()
    story.plan.failed(story.now, 1.0)
    story.plan.refused()
    assert story.now + 1 == story.plan.deadline  # it is asked soon anyway


def test_how_often_it_was_complete_is_counted(story: Story) -> None:
    """A recheck is none."""
    story.reconcile()
    story.lose()
    story.reconcile()

    assert 2 == story.plan.completed

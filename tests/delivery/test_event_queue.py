"""The queue: order, bounds, and what goes first."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymarket_ws.books.book import BookCore
from polymarket_ws.delivery.event_queue import PER_CONNECTION_LIMIT, EventQueue, Item
from polymarket_ws.errors import DecodeError, PolymarketWsError, QueueOverflow
from polymarket_ws.events import (
    BestBidAsk,
    Connected,
    Disconnected,
    Event,
    Gap,
    Order,
    Resync,
    Side,
    Unknown,
)
from polymarket_ws.locks import holds_any


def data(number: int = 0) -> Unknown:
    """Market data."""
    return Unknown(channel="market", wire_event_type=str(number), data=None)


def quote(asset_id: str) -> BestBidAsk:
    """Market data of one asset."""
    return BestBidAsk(
        market="0x1", asset_id=asset_id, best_bid=None, best_ask=None, spread=None, timestamp_ms=1
    )


def overflow(dropped: int, *asset_ids: str) -> list[Event]:
    """What stands in the place of dropped events."""
    told = {"channel": "market", "connection": "", "reason": "overflow", "asset_ids": asset_ids}
    return [Gap(**told, dropped=dropped), Resync(**told)]


def gap(connection: str = "a", number: int = 1) -> Gap:
    """A gap of a connection, which others tell apart by its number."""
    return Gap(channel="market", connection=connection, reason="disconnect", dropped=number)


def resync(connection: str = "a") -> Resync:
    """The end of one."""
    return Resync(channel="market", connection=connection, reason="disconnect")


def order(number: int = 0) -> Order:
    """An event of one's own."""
    return Order(
        id=str(number),
        type="PLACEMENT",
        market="0x1",
        asset_id="1",
        side=Side.BUY,
        price=Decimal("0.5"),
        original_size=Decimal(1),
        timestamp_ms=1,
    )


def connected(connection: str = "a", generation: int = 1) -> Connected:
    """A lifecycle event."""
    return Connected(
        channel="market",
        connection=connection,
        generation=generation,
        reconnected=False,
        attempt=1,
    )


def disconnected(connection: str = "a", generation: int = 1) -> Disconnected:
    """A lifecycle event."""
    return Disconnected(
        channel="market",
        connection=connection,
        generation=generation,
        reason="eof",
        will_retry=True,
    )


def drain(queue: EventQueue) -> list[Item]:
    """All that waits."""
    items = []
    while (item := queue.pop()) is not None:
        items.append(item)
    return items


def test_items_leave_in_the_order_they_came() -> None:
    """Of whatever kind, though kinds are bounded apart; an empty queue gives None."""
    queue = EventQueue(10)
    items: list[Item] = [
        data(1),
        order(1),
        BookCore("1"),
        connected(),
        DecodeError("$", "?"),
        order(2),
        data(2),
        disconnected(),
        gap(),
        resync(),
    ]

    dropped = queue.put(items[:3]) + queue.put(items[3:])

    assert (0, 10, 10) == (dropped, len(queue), queue.high_water)
    assert items == drain(queue)
    assert (None, 0, 10) == (queue.pop(), len(queue), queue.high_water)


def test_beyond_the_limit_the_oldest_market_data_goes() -> None:
    """What is newer is worth more; the count tells how much went, and a Gap from where."""
    queue = EventQueue(3)
    queue.put([order(0), data(1), order(1), data(2)])

    assert 2 == queue.put([data(3), data(4), data(5)])
    assert (2, 6, 6) == (queue.dropped, len(queue), queue.high_water)
    assert [order(0), *overflow(2), order(1), data(3), data(4), data(5)] == drain(queue)


def test_a_gap_stands_in_place_of_what_was_dropped() -> None:
    """It names each asset once; what is dropped later, before it is told, is added to it."""
    queue = EventQueue(1)
    core = BookCore("1")
    queue.put([core, quote("2"), connected(), quote("1"), quote("2"), order(1)])
    queue.put([data(1), disconnected()])

    assert [
        core,
        *overflow(3, "2", "1"),
        connected(),
        order(1),
        data(1),
        disconnected(),
    ] == drain(queue)
    assert 0 == len(queue)


def test_what_is_dropped_after_a_gap_was_told_has_its_own() -> None:
    """And no event stands between a Gap and its Resync: nothing is missing after them."""
    queue = EventQueue(1)
    queue.put([quote("1"), quote("2")])
    first = [queue.pop()]
    assert 2 == len(queue)
    queue.put([quote("3"), quote("4")])

    assert 3 == len(queue)
    assert [*overflow(1, "1"), *overflow(2, "2", "3"), quote("4")] == first + drain(queue)
    assert 3 == queue.dropped


def test_a_gap_is_told_when_nothing_else_waits() -> None:
    """All that was newer may have left before it: kept apart, and taken by `clear`."""
    queue = EventQueue(0)
    queue.put([quote("1")])

    assert (2, overflow(1, "1")) == (len(queue) + 1, drain(queue))
    queue.put([quote("1")])
    assert isinstance(queue.pop(), Gap)
    queue.clear()
    assert [] == drain(queue)
    queue.put([quote("1")])
    queue.clear()
    assert [] == drain(queue)


def test_one_read_may_bring_more_than_the_limit() -> None:
    """The newest of it stay."""
    queue = EventQueue(2)

    assert 3 == queue.put(map(data, range(5)))
    assert [*overflow(3), data(3), data(4)] == drain(queue)


def test_errors_count_as_market_data() -> None:
    """A storm of messages that are not understood is bounded too."""
    queue = EventQueue(1)
    errors: list[PolymarketWsError] = [DecodeError("$", str(n)) for n in range(3)]

    assert (2, [*overflow(2), errors[2]]) == (queue.put(errors), drain(queue))


def test_own_orders_and_trades_are_never_dropped() -> None:
    """Beyond their own limit the queue fails loudly, and keeps them."""
    queue = EventQueue(2)
    queue.put([order(1), order(2), data(1), data(2)])

    with pytest.raises(QueueOverflow) as caught:
        queue.put([order(3)])

    assert "3 of your own orders and trades wait for callbacks (queue_limit 2)" == str(caught.value)
    assert [order(1), order(2), data(1), data(2), order(3)] == drain(queue)
    queue.put([order(4)])
    assert [order(4)] == drain(queue)


def test_a_changed_book_waits_once() -> None:
    """What happens to it while a callback is busy becomes one call; then it may wait again."""
    queue = EventQueue(1)
    one, two = BookCore("1"), BookCore("1")

    queue.put([one, two, one, data(), one])

    assert [one, two, data()] == drain(queue)
    queue.put([one])
    assert [one] == drain(queue)


def test_of_a_flapping_connection_the_newest_lifecycle_events_wait() -> None:
    """Each connection has its own bound; nothing else is touched."""
    queue = EventQueue(10)
    queue.put([BookCore("1"), connected("b")])
    for generation in range(PER_CONNECTION_LIMIT):
        queue.put([connected("a", generation), disconnected("a", generation)])

    told = [i for i in drain(queue) if isinstance(i, (Connected, Disconnected))]

    assert PER_CONNECTION_LIMIT == queue.coalesced
    assert connected("b") == told[0]
    assert [g for g in range(PER_CONNECTION_LIMIT // 2, PER_CONNECTION_LIMIT) for _ in "cd"] == [
        e.generation for e in told[1:]
    ]
    queue.put([connected("a", 1)] * PER_CONNECTION_LIMIT)
    assert PER_CONNECTION_LIMIT == queue.coalesced == len(drain(queue))


def test_gaps_and_resyncs_share_the_bound_of_their_connection() -> None:
    """The oldest that can go goes first: a Gap only with its own Resync."""
    queue = EventQueue(10)
    other = Resync(channel="market", connection="a", reason="silent")
    queue.put([gap(number=0), other, resync(), connected()])
    queue.put([gap(number=n) for n in range(1, PER_CONNECTION_LIMIT - 1)])
    queue.put([resync("b")])

    assert [other, connected(), gap(number=1)] == drain(queue)[:3]
    assert 2 == queue.coalesced


def test_a_gap_that_was_delivered_gets_its_resync() -> None:
    """Nothing that ends what was told is dropped, however much waits."""
    queue = EventQueue(10)
    queue.put([resync(), *(gap(number=n) for n in range(PER_CONNECTION_LIMIT + 5))])

    assert resync() == drain(queue)[0]
    assert 0 == queue.coalesced


def test_clearing_discards_everything_and_every_mark() -> None:
    """Afterwards it is as new, but for its counts."""
    queue = EventQueue(2)
    core = BookCore("1")
    items: list[Item] = [core, order(1), order(2), data(), *[connected()] * PER_CONNECTION_LIMIT]
    queue.put(items)
    queue.clear()

    assert (0, None) == (len(queue), queue.pop())
    queue.put(items)
    assert items == drain(queue)
    assert 0 == queue.coalesced


def modelled_drop(model: list[Item], limit: int) -> list[Item]:
    """The model without its surplus, and with the untold Gap in its place."""
    surplus = [i for i in model if isinstance(i, Unknown)][:-limit]
    if not surplus:
        return model
    untold = next((i for i in model if isinstance(i, Gap)), None)
    told = overflow(len(surplus) + (untold.dropped if untold else 0))
    if untold is None:
        at = model.index(surplus[0])
        model = [*model[:at], *told, *model[at:]]
    return [told[0] if i is untold else i for i in model if i not in surplus]


@given(st.integers(1, 5), st.lists(st.lists(st.sampled_from("dob"), max_size=6), max_size=8))
def test_a_queue_equals_a_plain_model(limit: int, batches: list[list[str]]) -> None:
    """Order is kept, own events all stay, of market data the newest `limit`, of a book one mark;
    in place of the others stands one Gap with its Resync.
    """
    queue, core, number = EventQueue(limit), BookCore("1"), 0
    model: list[Item] = []
    for batch in batches:
        items: list[Item] = []
        for kind in batch:
            number += 1
            items.append({"d": data(number), "o": order(number), "b": core}[kind])
        try:
            queue.put(items)
        except QueueOverflow:
            assert limit < sum(isinstance(i, Order) for i in [*model, *items])
        for item in items:
            if item is not core or core not in model:
                model.append(item)
        model = modelled_drop(model, limit)
        assert len(model) - sum(isinstance(i, Gap) for i in model) == len(queue)
        if number % 3 == 0 and model:
            assert model.pop(0) == queue.pop()

    assert model == drain(queue)


def test_producers_and_consumer_on_several_threads_lose_nothing() -> None:
    """Each producer's items arrive once and in its own order."""
    queue = EventQueue(10_000)
    producers = [
        threading.Thread(
            target=lambda channel: [
                queue.put([Unknown(channel=channel, wire_event_type=str(n), data=None)])
                for n in range(1_000)
            ],
            args=(channel,),
        )
        for channel in "ab"
    ]
    for producer in producers:
        producer.start()
    received: list[Item] = []
    while any(producer.is_alive() for producer in producers) or len(queue):
        received += drain(queue)
    for producer in producers:
        producer.join(10)

    for channel in "ab":
        own = [i for i in received if isinstance(i, Unknown) and i.channel == channel]
        assert list(map(str, range(1_000))) == [i.wire_event_type for i in own]


def test_some_come_at_once_and_a_book_alone() -> None:
    """What happens to a book until its turn stays one call."""
    queue = EventQueue(10)
    core = BookCore("1")
    queue.put([data(1), data(2), core, data(3), data(4), data(5)])

    assert [[data(1), data(2)], [core]] == [queue.pop_some(2), queue.pop_some(2)]
    queue.put([core])
    assert [[data(3), data(4), data(5)], [core], []] == [queue.pop_some(9) for _ in range(3)]


def test_some_keep_the_order_of_all_kinds() -> None:
    """Also where what may be dropped and what may not are mixed, and when there is no more."""
    queue = EventQueue(10)
    queue.put([data(1), order(2), data(3), connected()])

    assert [data(1), order(2), data(3), connected()] == queue.pop_some(9)
    assert [] == queue.pop_some(9)


def test_its_lock_can_be_replaced() -> None:
    """In a forked child, whoever holds it; and it knows its holder."""
    shared = EventQueue(1)
    [former] = shared.locks
    with former:
        assert holds_any(shared.locks)
        shared.renew_locks()
        assert not holds_any(shared.locks)
    assert [former] != shared.locks

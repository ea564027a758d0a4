"""What was missed is told, in stream order, and so is its end; over real loopback sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator

import pytest
from kit.recorder import DEADLINE, Recorder

from polymarket_ws import (
    Book,
    Connected,
    Credentials,
    Disconnected,
    Event,
    Gap,
    LastTradePrice,
    Order,
    PriceChange,
    Resync,
    Subscriber,
)
from polymarket_ws.testing import (
    FakeServer,
    make_book,
    make_last_trade_price,
    make_order,
    make_price_change,
)

QUICK = {"backoff_base": 0.001, "backoff_cap": 0.01, "verify": "top"}
FAR = {"backoff_base": 600, "backoff_cap": 600, "verify": "top"}
KEYS = Credentials("key", "c2VjcmV0", "passphrase")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server with two books; "3" and later ones it does not know."""
    with FakeServer() as server:
        for asset_id in "12":
            server.add_book(make_book(asset_id, bids=[("0.4", "10")], asks=[("0.6", "20")]))
        yield server


class Story:
    """A subscriber with all that is told of its lines and books on one record, in order."""

    def __init__(
        self,
        server: FakeServer,
        asset_ids: str = "12",
        credentials: Credentials | None = None,
        **options: object,
    ) -> None:
        self._server = server
        self.sub = Subscriber(
            list(asset_ids), credentials=credentials, options=server.options(**{**QUICK, **options})
        )
        self.told, self.gaps, self.resyncs = Recorder(), Recorder(), Recorder()
        self.sub.on_gap(self.gaps)
        self.sub.on_resync(self.resyncs)
        for register in (
            self.sub.on_connect,
            self.sub.on_disconnect,
            self.sub.on_book,
            self.sub.on_gap,
            self.sub.on_resync,
        ):
            register(self.told)

    def __enter__(self) -> Story:
        self.sub.start()
        self.sub.wait_ready(timeout=DEADLINE)
        self._server.settle(self.sub, timeout=DEADLINE)
        return self

    def __exit__(self, *_: object) -> None:
        self.sub.stop()

    def names(self) -> list[str]:
        return [type(item).__name__ for item in self.told.items]


def assets(event: Gap | Resync) -> list[str]:
    """Which assets it names, in an order that can be compared."""
    return sorted(event.asset_ids)


def broken_change(asset_id: str) -> str:
    """A price_change whose only entry cannot be understood."""
    entry = {"asset_id": asset_id, "price": "x", "size": "1", "side": "BUY"}
    change = make_price_change(asset_id, [("BUY", "0.41", "1")]).to_dict()
    return json.dumps({**change, "price_changes": [entry]})


LOSSES: dict[str, tuple[Callable[[FakeServer], object], str]] = {
    "reset": (lambda server: server.disconnect(), "disconnect"),
    "going away": (lambda server: server.disconnect(1001, "going away"), "disconnect"),
    "another 1013": (lambda server: server.disconnect(1013, "try again later"), "disconnect"),
    "slow consumer": (
        lambda server: server.disconnect(1013, "slow consumer: send buffer full"),
        "slow_consumer",
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_lost_line_is_one_gap_and_one_resync(server: FakeServer, name: str) -> None:
    """Disconnected, Gap, Connected, the books, Resync: with the books that were live, and no
    others, and the reason of the loss.
    """
    lose, reason = LOSSES[name]
    with Story(server) as story:
        story.sub.subscribe(["3"])  # it has no book, and nothing to lose
        server.settle(story.sub, timeout=DEADLINE)
        before = len(story.told.items)
        lose(server)
        [resync] = story.resyncs.wait_for(1)
        server.settle(story.sub, timeout=DEADLINE)

        [gap] = story.gaps.items
        expected = ["Disconnected", "Gap", "Connected", "Book", "Book", "Resync"]
        assert expected == story.names()[before:]
        assert (reason, reason) == (gap.reason, resync.reason)
        assert (["1", "2"], ["1", "2"]) == (assets(gap), assets(resync))
        assert ("market", gap.connection, gap.channel) == (
            resync.channel,
            resync.connection,
            resync.channel,
        )
        assert resync.duration > 0
        stats = story.sub.stats()
        assert (1, 1) == (stats.gaps, stats.resyncs)


def test_books_are_stale_before_the_gap_and_live_before_its_end(server: FakeServer) -> None:
    """In both callbacks the books say so, and on_book_update has told it before."""
    seen = Recorder()
    with Story(server, **FAR) as story:
        sub = story.sub
        sub.on_book_update(lambda book: seen((book.asset_id, book.valid)))
        sub.on_disconnect(lambda _: seen("Disconnected"))
        sub.on_gap(lambda gap: seen([sub.books[id_].stale_reason for id_ in assets(gap)]))
        server.disconnect(1001)
        story.gaps.wait_for(1)
        seen.wait_for(4)

        assert [("1", False), ("2", False)] == sorted(seen.items[:2])
        assert ["Disconnected", ["disconnect", "disconnect"]] == seen.items[2:]
    with Story(server) as story:
        sub = story.sub
        live = Recorder()
        sub.on_resync(lambda resync: live([sub.books[id_].valid for id_ in assets(resync)]))
        server.disconnect(1001)

        assert [[True, True]] == live.wait_for(1)


def test_only_what_was_live_is_in_the_gap(server: FakeServer) -> None:
    """A line lost again before its books came leaves nothing new unknown: one Gap, one Resync."""
    with Story(server) as story:
        server.freeze(new_too=True)
        server.disconnect()
        story.told.wait_until(lambda told: sum(isinstance(i, Connected) for i in told) >= 2)
        server.wait_for_connection()
        server.disconnect()
        story.told.wait_until(lambda told: sum(isinstance(i, Connected) for i in told) >= 3)
        server.wait_for_connection()
        server.thaw()
        server.disconnect()
        story.resyncs.wait_for(1)

        assert [["1", "2"]] == [assets(gap) for gap in story.gaps.items]
        assert [["1", "2"]] == [assets(resync) for resync in story.resyncs.items]


def test_beginning_and_end_are_no_gaps(server: FakeServer) -> None:
    """Neither attempts that fail before the first connection, nor stop()."""
    server.faults.reject(503, times=2)
    story = Story(server)
    with story:
        pass

    reasons = [i.reason for i in story.told.items if isinstance(i, Disconnected)]
    assert ["rejected", "rejected", "stopped"] == reasons
    assert ([], []) == (story.gaps.items, story.resyncs.items)
    assert (0, 0) == (story.sub.stats().gaps, story.sub.stats().resyncs)


def test_unsubscribing_everything_is_no_gap(server: FakeServer) -> None:
    """The connection is closed because it is "unwanted", and nothing is missed."""
    with Story(server) as story:
        story.sub.unsubscribe(["1", "2"])
        story.told.wait_until(
            lambda told: any(isinstance(i, Disconnected) and i.reason == "unwanted" for i in told)
        )
        story.sub.subscribe(["1"])
        story.sub.wait_ready(timeout=DEADLINE)

        assert ([], []) == (story.gaps.items, story.resyncs.items)


def test_an_unsubscribed_asset_leaves_the_gap(server: FakeServer) -> None:
    """The Resync comes when the others are live, and names these."""
    with Story(server) as story:
        server.stop_listening()
        server.disconnect()
        story.gaps.wait_for(1)
        story.sub.unsubscribe(["1"])
        server.listen_again()
        [resync] = story.resyncs.wait_for(1)

        assert ["2"] == assets(resync)
        assert ["1", "2"] == assets(story.gaps.items[0])


def test_unsubscribing_all_ends_the_gap_without_a_word(server: FakeServer) -> None:
    """What is subscribed later begins afresh."""
    with Story(server) as story:
        server.stop_listening()
        server.disconnect()
        story.gaps.wait_for(1)
        story.sub.unsubscribe(["1", "2"])
        story.sub.subscribe(["1"])
        server.listen_again()
        story.sub.wait_ready(timeout=DEADLINE)
        server.settle(story.sub, timeout=DEADLINE)

        assert [["1", "2"]] == [assets(gap) for gap in story.gaps.items]
        assert [] == story.resyncs.items
        assert (1, 0) == (story.sub.stats().gaps, story.sub.stats().resyncs)


def test_the_user_channel_has_gaps_too(server: FakeServer) -> None:
    """Of no asset, since it is about all of one's own; it ends when the channel is open again."""
    with Story(server, "", credentials=KEYS, heartbeat_interval=0.1) as story:
        server.disconnect(channel="user")
        [resync] = story.resyncs.wait_for(1)

        assert ["Connected", "Disconnected", "Gap", "Connected", "Resync"] == story.names()
        [gap] = story.gaps.items
        assert ("user", (), "disconnect") == (gap.channel, gap.asset_ids, gap.reason)
        assert ("user", (), "disconnect") == (resync.channel, resync.asset_ids, resync.reason)
        assert resync.duration > 0


def test_each_connection_has_its_own_gap(server: FakeServer) -> None:
    """Losing the user channel touches no book, and no gap of the market channel."""
    with Story(server, credentials=KEYS, heartbeat_interval=0.1) as story:
        server.disconnect(channel="user")
        story.resyncs.wait_for(1)

        assert [("user", ())] == [(gap.channel, gap.asset_ids) for gap in story.gaps.items]
        assert story.sub.books["1"].valid


def test_a_message_that_is_not_understood_is_healed(server: FakeServer) -> None:
    """Gap("decode_error"), a fresh snapshot by unsubscribing and subscribing, Resync; the twin
    stays live, and the connection open.
    """
    with Story(server) as story:
        before = len(story.told.items)
        server.send(broken_change("1"))
        [resync] = story.resyncs.wait_for(1)

        assert ["Gap", "Book", "Resync"] == story.names()[before:]
        [gap] = story.gaps.items
        assert (("1",), "decode_error") == (gap.asset_ids, gap.reason)
        assert (("1",), "decode_error") == (resync.asset_ids, resync.reason)
        [record] = server.connections
        assert [
            '{"operation":"unsubscribe","assets_ids":["1"]}',
            '{"operation":"subscribe","assets_ids":["1"]}',
        ] == [text for text in record.texts if "operation" in text]
        assert story.sub.healthy
        assert story.sub.books["1"].valid


def test_books_stay_right_after_healing(server: FakeServer) -> None:
    """Changes after the fresh snapshot are applied to it."""
    with Story(server) as story:
        server.send(broken_change("1"))
        story.resyncs.wait_for(1)
        server.send(make_price_change("1", [("BUY", "0.45", "3")]))
        server.settle(story.sub, timeout=DEADLINE)

        assert "0.45" == str(story.sub.books["1"].best_bid)


def test_overflow_leaves_a_gap_in_place_of_what_was_dropped(server: FakeServer) -> None:
    """Then its Resync at once, then the newest, in order; own orders are all told."""
    entered, gate = threading.Event(), threading.Event()
    with Story(server, credentials=KEYS, queue_limit=5, heartbeat_interval=0.05) as story:
        told: list[Event] = []

        def slow(event: Event) -> None:
            told.append(event)
            entered.set()
            gate.wait(DEADLINE)

        for register in (
            story.sub.on_last_trade_price,
            story.sub.on_order,
            story.sub.on_gap,
            story.sub.on_resync,
        ):
            register(slow)
        server.wait_for_connection("user")
        server.send(make_last_trade_price("1", "0.5", "1"))
        assert entered.wait(DEADLINE)
        for size in range(2, 13):
            server.send(make_last_trade_price("12"[size % 2], "0.5", size))
        for number in range(3):
            server.send(make_order("1", id=f"0x{number}"), "user")
        assert server.wait_until(lambda: story.sub.stats().queue_depth >= 9, DEADLINE)
        assert 6 == story.sub.stats().dropped
        gate.set()
        server.settle(story.sub, timeout=DEADLINE)

        [gap] = [event for event in told if isinstance(event, Gap)]
        assert [LastTradePrice, Gap, Resync] == [type(event) for event in told[:3]]
        assert ("overflow", "market", "", 6, ["1", "2"]) == (
            gap.reason,
            gap.channel,
            gap.connection,
            gap.dropped,
            assets(gap),
        )
        assert [1, 8, 9, 10, 11, 12] == [
            int(event.size) for event in told if isinstance(event, LastTradePrice)
        ]
        assert ["0x0", "0x1", "0x2"] == [event.id for event in told if isinstance(event, Order)]
        assert all(book.valid for book in story.sub.books.values())
        assert (0, 0) == (story.sub.stats().gaps, story.sub.stats().resyncs)


def test_a_stream_gets_gaps_when_it_asked_for_them(server: FakeServer) -> None:
    """Or for everything. One that asked for something else sees nothing but `dropped`."""
    with Story(server, queue_limit=3) as story:
        changes = story.sub.events(PriceChange)
        with_gaps = story.sub.events(PriceChange, Gap)
        everything = story.sub.events()
        for size in range(10):
            server.send(make_price_change("1", [("BUY", "0.41", size + 1)]))
        server.settle(story.sub, timeout=DEADLINE)
        story.sub.stop()

        assert [PriceChange] * 3 == [type(event) for event in changes]
        assert [Gap, *[PriceChange] * 3] == [type(event) for event in with_gaps]
        assert [Gap, Resync, *[PriceChange] * 3] == [type(event) for event in everything][:5]
        assert [7, 7, 7] == [stream.dropped for stream in (changes, with_gaps, everything)]


def test_a_stream_can_wait_for_the_end_of_a_gap(server: FakeServer) -> None:
    """events() and wait_for() give gaps in the order of everything else."""
    with Story(server) as story:
        stream = story.sub.events(Gap, Resync, Book, timeout=DEADLINE)
        server.disconnect()

        assert ["Gap", "Book", "Book", "Resync"] == [type(next(stream)).__name__ for _ in range(4)]
        stream.close()


def test_two_drops_are_two_incidents(server: FakeServer) -> None:
    """Each Gap has its own Resync; a market with its two tokens is one incident, not two."""
    with Story(server) as story:
        for count in (1, 2):
            server.disconnect()
            story.resyncs.wait_for(count)

        told = [item for item in story.told.items if isinstance(item, (Gap, Resync))]
        assert [Gap, Resync, Gap, Resync] == [type(item) for item in told]
        assert [["1", "2"]] * 4 == [assets(item) for item in told]
        assert (2, 2) == (story.sub.stats().gaps, story.sub.stats().resyncs)


def test_a_gap_can_be_filtered_by_asset(server: FakeServer) -> None:
    """Whoever watches one asset hears of its gaps alone."""
    with Story(server) as story:
        first, second = Recorder(), Recorder()
        story.sub.on_gap(first, asset_id="1")
        story.sub.on_gap(second, asset_id="2")
        server.send(broken_change("2"))
        story.resyncs.wait_for(1)
        server.settle(story.sub, timeout=DEADLINE)

        assert ([], ["2"]) == (first.items, assets(second.items[0]))


def test_healthy_is_false_during_a_gap(server: FakeServer) -> None:
    """From before it is told until its books are live."""
    healthy = Recorder()
    with Story(server) as story:
        story.sub.on_gap(lambda _: healthy(story.sub.healthy))
        story.sub.on_gap(lambda _: server.listen_again())
        story.sub.on_resync(lambda _: healthy(story.sub.healthy))
        server.stop_listening()
        server.disconnect()

        assert [False, True] == healthy.wait_for(2)

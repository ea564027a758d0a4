"""The surface that users meet, over a real loopback WebSocket."""

from __future__ import annotations

import gc
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from kit.recorder import DEADLINE, Recorder

from polymarket_ws import (
    Book,
    Connected,
    Credentials,
    Disconnected,
    Event,
    LastTradePrice,
    LiveBook,
    Options,
    PriceChange,
    Subscriber,
    TickSizeChange,
    Unknown,
    running,
)
from polymarket_ws.errors import CallbackError, ConfigurationError, DecodeError, QueueOverflow
from polymarket_ws.testing import (
    FakeServer,
    make_best_bid_ask,
    make_book,
    make_last_trade_price,
    make_market_resolved,
    make_new_market,
    make_order,
    make_price_change,
    make_tick_size_change,
    make_trade,
)

KEYS = Credentials("key-1", "VE9QU0VDUkVU", "PASSPHRASE9")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server with three books."""
    with FakeServer() as server:
        for asset_id in "123":
            server.add_book(make_book(asset_id, bids=[("0.4", "10")], asks=[("0.6", "20")]))
        yield server


def _settle(server: FakeServer, sub: Subscriber) -> None:
    server.settle(sub, timeout=DEADLINE)


class TestCallbacks:
    def test_every_kind_reaches_its_own_callback_and_on_event(self, server: FakeServer) -> None:
        """Each data event is given to the callback of its name and to on_event, in the wire's
        order.
        """
        sub = Subscriber(["1"], credentials=KEYS, options=server.options())
        named, every = Recorder(), Recorder()
        sub.on_event(every)
        sent = [
            make_price_change("1"),
            make_last_trade_price("1"),
            make_tick_size_change("1"),
            make_best_bid_ask("1"),
            make_new_market(),
        ]
        for event in sent:
            getattr(sub, f"on_{event.event_type}")(named)
        with sub:
            sub.wait_ready(timeout=DEADLINE)
            for event in sent:
                server.send(event)
            _settle(server, sub)

        assert sent == named.items
        assert sent == every.items[1:]
        assert isinstance(every.items[0], Book)

    def test_filters_by_asset_and_market(self, server: FakeServer) -> None:
        """A filter of one id or several passes only events of those; a price_change if any entry
        matches.
        """
        one, several, other = Recorder(), Recorder(), Recorder()
        sub = Subscriber(["1", "2", "3"], options=server.options())
        sub.on_last_trade_price(one, asset_id="1")
        sub.on_last_trade_price(asset_id=["1", 2])(several)
        sub.on_last_trade_price(other, market="0xabc")
        with sub:
            sub.wait_ready(timeout=DEADLINE)
            for asset_id in "123":
                server.send(make_last_trade_price(asset_id))
            _settle(server, sub)

        assert ["1"] == [event.asset_id for event in one.items]
        assert ["1", "2"] == [event.asset_id for event in several.items]
        assert [] == other.items

    def test_callbacks_may_be_added_and_removed_while_running(self, server: FakeServer) -> None:
        """A callback hears events from its registration to its removal, which finds it by ==."""
        heard = Recorder()
        with Subscriber(["1"], options=server.options()) as sub:
            sub.wait_ready(timeout=DEADLINE)
            server.send(make_last_trade_price("1", size="1"))
            _settle(server, sub)
            sub.on_last_trade_price(heard.__call__)
            server.send(make_last_trade_price("1", size="2"))
            _settle(server, sub)
            assert sub.remove_callback(heard.__call__)
            assert not sub.remove_callback(heard.__call__)
            server.send(make_last_trade_price("1", size="3"))
            _settle(server, sub)

        assert [Decimal(2)] == [event.size for event in heard.items]

    def test_a_partial_and_two_callbacks_are_called_in_order(self, server: FakeServer) -> None:
        """Several callbacks of one event are called in the order of their registration."""
        heard = Recorder()
        sub = Subscriber(["1"], options=server.options())
        sub.on_book(partial(lambda word, _: heard(word), "first"))
        sub.on_book(lambda _: heard("second"))
        with sub:
            heard.wait_for(2)

        assert ["first", "second"] == heard.items

    def test_a_filter_on_an_unsubscribed_asset_warns_once(
        self, server: FakeServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A filter that can never match is one WARNING at start; no exception."""
        sub = Subscriber(["1"], options=server.options())
        sub.on_book(print, asset_id="9")
        with sub:
            sub.wait_ready(timeout=DEADLINE)

        assert 1 == sum("not subscribed: 9" in record.message for record in caplog.records)

    def test_own_events_need_credentials(self, server: FakeServer) -> None:
        """on_order without credentials is a ConfigurationError at start, or at once while
        running.
        """
        sub = Subscriber(["1"], options=server.options())
        sub.on_order(print)
        with pytest.raises(ConfigurationError, match="credentials"):
            sub.start()
        with (
            Subscriber(["1"], options=server.options()) as other,
            pytest.raises(ConfigurationError, match="credentials"),
        ):
            other.on_trade(print)

    def test_raw_frames_come_before_their_events(self, server: FakeServer) -> None:
        """on_frame has the text of each data message, and not that of PONG."""
        told = Recorder()
        sub = Subscriber(["1"], options=server.options(heartbeat_interval=0.02))
        sub.on_frame(lambda frame: told(("frame", json.loads(frame.text))))
        sub.on_last_trade_price(lambda event: told(("event", event.to_dict())))
        with sub:
            record = server.wait_for_connection()
            assert server.wait_until(lambda: record.pings > 2, DEADLINE)
            server.send(make_last_trade_price("1"))
            _settle(server, sub)

        assert ["frame", "frame", "event"] == [kind for kind, _ in told.items]
        assert told.items[1][1] == told.items[2][1]

    def test_unknown_events_are_told_whole(self, server: FakeServer) -> None:
        """An event type that this version does not know reaches on_unknown with its data."""
        told = Recorder()
        sub = Subscriber(["1"], options=server.options())
        sub.on_unknown(told)
        with sub:
            sub.wait_ready(timeout=DEADLINE)
            server.send('{"event_type":"some_future_event","x":1.50}')
            _settle(server, sub)

        (unknown,) = told.items
        assert ("some_future_event", Decimal("1.50")) == (
            unknown.wire_event_type,
            unknown.data["x"],
        )
        assert 1 == sub.stats().events["unknown"]


class TestBookUpdates:
    def test_updates_are_conflated_while_the_callback_is_busy(self, server: FakeServer) -> None:
        """What happens to a book while its callback runs becomes one further call, with the newest
        state.
        """
        entered, gate, seen = threading.Event(), threading.Event(), Recorder()

        def slow(book: LiveBook) -> None:
            seen(book.best_bid)
            entered.set()
            assert gate.wait(DEADLINE)

        sub = Subscriber(["1"], options=server.options())
        sub.on_book_update(slow)
        with sub:
            assert entered.wait(DEADLINE)
            for cents in range(41, 50):
                server.send(make_price_change("1", [("BUY", f"0.{cents}", "1")]))
            assert sub._wait_until(lambda: sub.books["1"].top.bid == (Decimal("0.49"), 1), DEADLINE)
            gate.set()
            _settle(server, sub)

        assert [Decimal("0.4"), Decimal("0.49")] == seen.items
        assert 0 == sub.stats().dropped

    def test_top_only_is_called_for_the_best_levels_alone(self, server: FakeServer) -> None:
        """With top_only a change below the best level, or of the tick, calls nothing."""
        tops, every = Recorder(), Recorder()
        sub = Subscriber(["1"], options=server.options())
        sub.on_book_update(lambda book: tops(book.top.bid), top_only=True)
        sub.on_book_update(lambda book: every(book.top.bid))
        with sub:
            every.wait_for(1)
            for event in (
                make_price_change("1", [("BUY", "0.3", "1")]),
                make_price_change("1", [("BUY", "0.4", "11")]),
                make_tick_size_change("1"),
            ):
                server.send(event)
                _settle(server, sub)

        assert [Decimal(10), Decimal(11)] == [bid.size for bid in tops.items]
        assert 4 == len(every.items)


class TestSubscriptions:
    def test_subscribe_and_unsubscribe_while_running(self, server: FakeServer) -> None:
        """Subscribing sends one text and brings the book; after unsubscribe no event of it is
        delivered.
        """
        heard = Recorder()
        sub = Subscriber(["1"], options=server.options())
        sub.on_last_trade_price(heard)
        with sub:
            sub.wait_ready(timeout=DEADLINE)
            sub.subscribe(["2", 3])
            sub.wait_ready(timeout=DEADLINE)
            kept = sub.books["2"]
            server.send(make_last_trade_price("2"))
            _settle(server, sub)
            sub.unsubscribe(["2"])
            server.send(make_last_trade_price("2"))
            server.send(make_last_trade_price("3"))
            _settle(server, sub)
            record = server.open_connections()[0]
            assert server.wait_until(lambda: record.asset_ids == {"1", "3"}, DEADLINE)

        assert ["2", "3"] == [event.asset_id for event in heard.items]
        assert {"1", "3"} == sub.subscriptions.asset_ids == set(sub.books)
        assert (False, "unsubscribed") == (kept.valid, kept.stale_reason)

    def test_an_event_queued_before_unsubscribe_is_not_delivered(self, server: FakeServer) -> None:
        """An event that waits behind a slow callback is skipped once its asset is unsubscribed."""
        entered, gate, heard = threading.Event(), threading.Event(), Recorder()
        sub = Subscriber(["1", "2"], options=server.options())

        @sub.on_last_trade_price
        def slow(event: LastTradePrice) -> None:
            heard(event.asset_id)
            entered.set()
            assert gate.wait(DEADLINE)

        with sub:
            sub.wait_ready(timeout=DEADLINE)
            for asset_id in ("1", "2", "1"):
                server.send(make_last_trade_price(asset_id))
            assert entered.wait(DEADLINE)
            assert sub._wait_until(lambda: sub.stats().queue_depth == 2, DEADLINE)
            sub.unsubscribe(["2"])
            gate.set()
            _settle(server, sub)

        assert ["1", "1"] == heard.items

    def test_subscribing_again_at_once_brings_a_new_snapshot(self, server: FakeServer) -> None:
        """unsubscribe and subscribe in one go draw a fresh book, so that no stale one is served."""
        books = Recorder()
        sub = Subscriber(["1", "2"], options=server.options())
        sub.on_book(books, asset_id="2")
        with sub:
            sub.wait_ready(timeout=DEADLINE)
            books.wait_for(1)
            sub.unsubscribe(["2"])
            sub.subscribe(["2"])
            sub.wait_ready(timeout=DEADLINE)
            books.wait_for(2)

            assert sub.books["2"].valid

    def test_the_last_asset_gone_closes_the_channel(self, server: FakeServer) -> None:
        """With nothing wanted the connection is closed as "unwanted"; a later subscribe opens it
        again.
        """
        told = Recorder()
        sub = Subscriber(["1"], options=server.options())
        sub.on_disconnect(told)
        with sub:
            sub.wait_ready(timeout=DEADLINE)
            sub.unsubscribe(["1"])
            assert ("unwanted", False) == (told.wait_for(1)[0].reason, told.items[0].will_retry)
            assert "IDLE" == sub.state
            sub.subscribe(["2"])
            sub.wait_ready(timeout=DEADLINE)

            assert {"2"} == server.wait_for_connection().asset_ids

    def test_nothing_wanted_is_idle_with_a_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        """Without assets and credentials start() connects nothing and warns once; run() raises."""
        with Subscriber() as sub:
            assert "IDLE" == sub.state
        with pytest.raises(ConfigurationError, match="nothing to follow"):
            sub.run()

        assert 1 == sum("nothing is wanted" in record.message for record in caplog.records)

    def test_custom_features_are_asked_for_when_somebody_listens(self, server: FakeServer) -> None:
        """A best_bid_ask callback registered while running turns custom_feature_enabled on by one
        text.
        """
        heard = Recorder()
        with Subscriber(["1"], options=server.options()) as sub:
            sub.wait_ready(timeout=DEADLINE)
            record = server.open_connections()[0]
            assert not record.custom_features
            sub.on_best_bid_ask(heard)
            assert server.wait_until(lambda: record.custom_features, DEADLINE)
            server.send(make_best_bid_ask("1"))
            heard.wait_for(1)

        assert 2 == len(record.texts) - record.pings
        assert "custom_feature_enabled" in record.texts[1]

    def test_markets_of_the_user_channel(self, server: FakeServer) -> None:
        """Markets narrow the user channel and can be changed; single ones cannot be taken out of
        all.
        """
        sub = Subscriber(credentials=KEYS, markets=["0xA"], options=server.options())
        with sub:
            record = server.wait_for_connection("user")
            sub.subscribe(markets=["0xb"])
            assert server.wait_until(lambda: record.markets == {"0xa", "0xb"}, DEADLINE)
            sub.unsubscribe(markets=["0xa"])
            assert server.wait_until(lambda: record.markets == {"0xb"}, DEADLINE)
            sub.unsubscribe(markets=["0xb"])
            assert server.wait_until(lambda: not record.open, DEADLINE)
        everything = Subscriber(credentials=KEYS, options=server.options())
        everything.subscribe(markets=["0xa"])

        assert everything.subscriptions.markets is None
        with pytest.raises(ConfigurationError, match="all markets"):
            everything.unsubscribe(markets=["0xa"])
        with pytest.raises(ConfigurationError, match="needs credentials"):
            Subscriber().subscribe(markets=["0xa"])
        with pytest.raises(ConfigurationError, match="needs credentials"):
            Subscriber(markets=[])

    def test_a_market_of_the_user_channel_in_either_spelling(self, server: FakeServer) -> None:
        """A short id is subscribed padded; events come with the id that the wire has."""
        short, padded = "0x01" + "ab" * 30, "0x01" + "ab" * 30 + "00"
        seen = Recorder()
        sub = Subscriber(credentials=KEYS, markets=[short.upper()], options=server.options())
        sub.on_order(seen, market=padded)
        with sub:
            record = server.wait_for_connection("user")
            sub.subscribe(markets=[padded])
            for number, market in enumerate((short, padded, short.upper())):
                server.send(make_order(id=str(number), market=market))
            _settle(server, sub)
            sub.unsubscribe(markets=[short])
            assert server.wait_until(lambda: not record.open, DEADLINE)

        assert [short, padded, short.upper()] == [order.market for order in seen.items]
        assert sub.subscriptions.markets == frozenset()


class TestPulling:
    def test_events_iterates_on_the_callers_thread(self, server: FakeServer) -> None:
        """events() yields what was asked for, from its call on, and ends at stop."""
        with Subscriber(["1"], options=server.options()) as sub:
            stream = sub.events(Book, "on_last_trade_price", timeout=DEADLINE)
            sub.wait_ready(timeout=DEADLINE)
            server.send(make_price_change("1"))
            server.send(make_last_trade_price("1"))
            kinds = [type(next(stream)), type(next(stream))]
            sub.stop()

            assert [Book, LastTradePrice] == kinds
            assert [] == list(stream)

    def test_events_without_arguments_are_all_of_them(self, server: FakeServer) -> None:
        """No arguments: data and lifecycle, but not the raw frames."""
        sub = Subscriber(["1"], options=server.options())
        stream = sub.events()
        with sub:
            sub.wait_ready(timeout=DEADLINE)
        told = [type(event) for event in stream]

        assert [Connected, Book, Disconnected] == told

    def test_events_ends_after_its_timeout(self, server: FakeServer) -> None:
        """An iterator with a timeout ends when nothing comes for so long."""
        with Subscriber(["1"], options=server.options()) as sub:
            sub.wait_ready(timeout=DEADLINE)

            assert [] == list(sub.events(Book, timeout=0.01))

    def test_an_iterator_may_be_asked_for_a_while(self, server: FakeServer) -> None:
        """None after a time without an event, so that a keep-alive may be sent, and at the end."""
        sub = Subscriber(["1"], options=server.options())
        with sub.events(LastTradePrice) as trades:
            with sub:
                sub.wait_ready(timeout=DEADLINE)
                nothing = (trades.next_within(0.001), trades.ended)
                server.send(make_last_trade_price("1"))
                trade = trades.next_within(DEADLINE)
            last = (trades.next_within(DEADLINE), trades.ended)

        assert ((None, False), (None, True)) == (nothing, last)
        assert isinstance(trade, LastTradePrice)

    def test_a_slow_reader_loses_the_oldest(self, server: FakeServer) -> None:
        """Beyond queue_limit a stream drops its own oldest market data and counts it; callbacks
        lose nothing.
        """
        heard = Recorder()
        sub = Subscriber(["1"], options=server.options(queue_limit=3))
        sub.on_last_trade_price(heard)
        with sub:
            sub.wait_ready(timeout=DEADLINE)
            with sub.events(LastTradePrice, timeout=0.01) as stream:
                for size in range(1, 6):
                    server.send(make_last_trade_price("1", size=size))
                    _settle(server, sub)
                sizes = [int(event.size) for event in stream]

        assert [3, 4, 5] == sizes
        assert 2 == stream.dropped
        assert [1, 2, 3, 4, 5] == [int(event.size) for event in heard.items]

    def test_a_forgotten_stream_costs_nothing(self, server: FakeServer) -> None:
        """A stream that nobody holds any more is not fed."""
        sub = Subscriber(["1"], options=server.options())
        stream = sub.events(Book)
        assert sub._runs.present is not None
        assert {"book"} == sub._runs.present.streams.names()
        del stream
        gc.collect()

        assert frozenset() == sub._runs.present.streams.names()

    def test_wait_for_returns_the_next_match(self, server: FakeServer) -> None:
        """wait_for gives the next event for which where() holds, typed; else TimeoutError."""
        with Subscriber(["1"], options=server.options()) as sub:
            sub.wait_ready(timeout=DEADLINE)
            threading.Timer(
                0.01, lambda: server.publish([make_last_trade_price("1", size=s) for s in (1, 2)])
            ).start()
            found = sub.wait_for(LastTradePrice, timeout=DEADLINE, where=lambda e: e.size == 2)
            with pytest.raises(TimeoutError, match="no such TickSizeChange within"):
                sub.wait_for(TickSizeChange, timeout=0.01)

        assert Decimal(2) == found.size

    def test_wrong_events_are_refused(self) -> None:
        """An unknown name or class is a ConfigurationError that lists the events."""
        sub = Subscriber(["1"])
        for wrong in ("boook", LiveBook, 3):
            with pytest.raises(ConfigurationError, match="price_change"):
                sub.events(wrong)  # type: ignore[call-overload]  # on purpose
        with pytest.raises(ConfigurationError, match="credentials"):
            sub.events("trade")

    @pytest.mark.parametrize("timeout", [float("nan"), -1, "x", True])
    def test_a_wrong_timeout_is_refused(self, timeout: Any, server: FakeServer) -> None:
        """Every member that waits names itself, and waits for nothing."""
        with Subscriber(["1"], options=server.options()) as sub:
            for member, wait in (
                ("wait_ready", lambda: sub.wait_ready(timeout)),
                ("wait", lambda: sub.wait(timeout)),
                ("stop", lambda: sub.stop(timeout)),
                ("events", lambda: sub.events(timeout=timeout)),
                ("wait_for", lambda: sub.wait_for(Book, timeout=timeout)),
                ("wait_filled", lambda: sub.account.wait_filled("0x1", timeout=timeout)),
            ):
                with pytest.raises(ConfigurationError, match=rf"^{member}: timeout must be a"):
                    wait()
            sub.wait_ready(DEADLINE)

    def test_infinity_is_no_limit(self, server: FakeServer) -> None:
        """It is taken wherever a number of seconds is."""
        limit = float("inf")
        sub = Subscriber(["1"], options=server.options())
        sub.start()
        sub.wait_ready(limit)
        stream = sub.events(timeout=limit)

        assert sub.stop(limit)
        assert sub.wait(limit)
        assert [] == [event for event in stream if isinstance(event, Book)]

    def test_a_name_is_a_str(self) -> None:
        """Another name is refused where it is given."""
        with pytest.raises(ConfigurationError, match=r"^name must be a str, not int$"):
            Subscriber(["1"], name=3)  # type: ignore[arg-type]  # on purpose

    def test_wait_ready_names_what_is_missing(self, server: FakeServer) -> None:
        """TimeoutError names the missing books, hints at short ids, and gives the last connection
        error.
        """
        with Subscriber(["1", "99"], options=server.options()) as sub:
            sub.wait_ready(timeout=DEADLINE, asset_ids=["1"])
            with pytest.raises(TimeoutError, match=r"the book of 99; token ids have about 77"):
                sub.wait_ready(timeout=0.01)
            with pytest.raises(ConfigurationError, match="not subscribed"):
                sub.wait_ready(asset_ids=["5"])
        with pytest.raises(RuntimeError, match="start"):
            Subscriber(["1"]).wait_ready()
        server.faults.reject(503, times=None)
        told = Recorder()
        down = Subscriber(["1"], options=server.options())
        down.on_disconnect(told)
        with down:
            told.wait_for(1)
            with pytest.raises(TimeoutError, match=r"the market channel.*HTTP status 503"):
                down.wait_ready(timeout=0.01)


class TestFailingCallbacks:
    def test_a_raising_callback_hurts_nobody(
        self, server: FakeServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Every event still arrives; one traceback, a count, and a CallbackError for each to
        on_error.
        """
        heard, errors = Recorder(), Recorder()
        sub = Subscriber(["1"], options=server.options())
        sub.on_last_trade_price(lambda _: 1 / 0)
        sub.on_last_trade_price(heard)
        sub.on_error(errors)
        with sub:
            sub.wait_ready(timeout=DEADLINE)
            for _ in range(25):
                server.send(make_last_trade_price("1"))
            _settle(server, sub)

        assert 25 == len(heard.items) == len(errors.items) == sub.stats().callback_errors
        error = errors.items[0]
        assert isinstance(error, CallbackError)
        assert (ZeroDivisionError, heard.items[0]) == (type(error.cause), error.event)
        logged = [r for r in caplog.records if r.levelno == logging.ERROR]
        assert [True, False, False] == [bool(record.exc_info) for record in logged]
        assert "25 times" in logged[-1].message

    def test_an_on_error_that_raises_is_logged_only(self, server: FakeServer) -> None:
        """A raising on_error does not call itself, and the stream goes on."""
        heard = Recorder()
        sub = Subscriber(["1"], options=server.options())
        sub.on_error(lambda _: 1 / 0)
        sub.on_book(lambda _: 1 / 0)
        sub.on_last_trade_price(heard)
        with sub:
            sub.wait_ready(timeout=DEADLINE)
            server.send(make_last_trade_price("1"))
            heard.wait_for(1)

        assert 2 == sub.stats().callback_errors

    def test_callback_errors_raise_stops_and_raises(self, server: FakeServer) -> None:
        """With callback_errors="raise" the first exception ends run(), which raises it as
        CallbackError.
        """
        heard = Recorder()
        sub = Subscriber(["1", "2"], options=server.options(callback_errors="raise"))

        @sub.on_book
        def fail(book: Book) -> None:
            heard(book)
            raise LookupError("mine")

        with pytest.raises(CallbackError, match="LookupError: mine") as raised:
            sub.run()

        assert 1 == len(heard.items)
        assert isinstance(raised.value.__cause__, LookupError)
        assert "FAILED" == sub.state

    def test_what_is_not_understood_is_told_and_counted(self, server: FakeServer) -> None:
        """A bad element gives one DecodeError with its path and marks its book stale; the rest is
        delivered.
        """
        errors, heard = Recorder(), Recorder()
        sub = Subscriber(["1", "2"], options=server.options())
        sub.on_error(errors)
        sub.on_price_change(heard)
        with sub:
            sub.wait_ready(timeout=DEADLINE)
            change = make_price_change("1", [("BUY", "0.41", "1")]).to_dict()
            bad = {"asset_id": "2", "price": "0.5", "size": "NaN", "side": "BUY"}
            change["price_changes"].append(bad)
            server.send(json.dumps(change))
            _settle(server, sub)
            (error,) = errors.items

            assert isinstance(error, DecodeError)
            assert ("$.price_changes[1].size", "2") == (error.path, error.asset_id)
            assert 1 == len(heard.items) == sub.stats().decode_errors
            assert sub.books["1"].valid
            sub.wait_ready(timeout=DEADLINE)
            assert sub.healthy

    def test_a_message_with_other_fields_than_the_fast_path_knows_is_counted(
        self, server: FakeServer
    ) -> None:
        """Here a price_change without a hash; the error before is none of these."""
        with Subscriber(asset_ids=["1"], options=server.options()) as sub:
            sub.wait_ready(timeout=DEADLINE)
            for text in ("{}x", json.dumps(make_price_change("1").to_dict())):
                server.send(text)
            _settle(server, sub)

            assert (1, 1) == (sub.stats().decode_errors, sub.stats().slow_path)


class TestQueue:
    def test_own_events_are_never_dropped_but_fail_loudly(self, server: FakeServer) -> None:
        """Market data goes first; more own events than queue_limit end the run with
        QueueOverflow.
        """
        gate, entered = threading.Event(), threading.Event()

        def block(_: object) -> None:
            entered.set()
            gate.wait(DEADLINE)

        sub = Subscriber(["1"], credentials=KEYS, options=server.options(queue_limit=3))
        sub.on_last_trade_price(block)
        trades = Recorder()
        sub.on_trade(trades)
        sub.start()
        server.wait_for_connection("user")
        sub.wait_ready(timeout=DEADLINE)
        server.send(make_last_trade_price("1"))
        assert entered.wait(DEADLINE)
        for number in range(3):
            server.send(make_trade(id=str(number)))
            server.send(make_last_trade_price("1"))
        assert sub._wait_until(lambda: sub.stats().queue_depth >= 6, DEADLINE)
        assert sub.error is None
        server.send(make_trade(id="3"))
        assert sub._wait_until(lambda: sub.error is not None, DEADLINE)
        gate.set()
        with pytest.raises(QueueOverflow, match="queue_limit 3"):
            sub.wait(timeout=DEADLINE)
        sub.stop()

        assert ["0", "1", "2", "3"] == [trade.id for trade in trades.items]


class TestUserChannel:
    def test_an_order_and_its_trade_through_their_statuses(self, server: FakeServer) -> None:
        """Own events arrive once per status; orders and trades hold the latest of each."""
        told = Recorder()
        sub = Subscriber(credentials=KEYS, options=server.options())
        sub.on_order(told)
        sub.on_trade(told)
        with sub:
            server.wait_for_connection("user")
            order = make_order()
            server.send(order)
            for status in ("MATCHED", "MATCHED", "MINED", "CONFIRMED", "MINED"):
                server.send(make_trade(status=status))
            _settle(server, sub)
            (latest,) = sub.trades.values()

            assert ["order", "MATCHED", "MINED", "CONFIRMED"] == [
                getattr(event, "status", "") if event.event_type == "trade" else "order"
                for event in told.items
            ]
            assert "CONFIRMED" == latest.status
            assert {order.id} == set(sub.orders)
            assert 2 == sub.stats().duplicates


class TestSecrets:
    def test_no_repr_log_exception_or_stat_shows_a_secret(
        self, server: FakeServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """At DEBUG, over a whole life with a failed login: neither secret nor passphrase nor key is
        printed.
        """
        caplog.set_level(logging.DEBUG, "polymarket_ws")
        server.faults.bad_credentials(times=1)
        shown = []
        sub = Subscriber(credentials=KEYS, options=server.options(backoff_base=0.001))
        sub.on_event(print)
        sub.on_order(lambda _: 1 / 0)
        errors = Recorder()
        sub.on_error(errors)
        with sub:
            server.wait_for_connection("user")
            server.send(make_order(owner="key-1"))
            server.send('{"event_type":"order","owner":"key-1","auth":{"secret":"VE9QU0VDUkVU"}}')
            _settle(server, sub)
            shown += [repr(x) for x in (sub, vars(sub), sub.stats(), sub.orders, KEYS, sub.on_book)]
        shown += [str(error) + repr(error) for error in errors.items]
        everything = "\n".join([*shown, caplog.text])

        assert "VE9QU0VDUkVU" in server.connections[-1].texts[0]
        assert "user: > " in caplog.text
        for secret in ("VE9QU0VDUkVU", "PASSPHRASE9"):
            assert secret not in everything


def test_repr_is_one_short_line(server: FakeServer) -> None:
    """repr names the state and how much is wanted."""
    sub = Subscriber(["1"], credentials=KEYS, options=Options(), name="mine")

    assert "<Subscriber mine IDLE 1 assets, all markets>" == repr(sub)


def test_a_subscriber_is_not_for_subclassing() -> None:
    """Subclassing says what to do instead."""
    with pytest.raises(TypeError, match="register callbacks"):

        class Mine(Subscriber):  # type: ignore[misc]  # on purpose
            pass


@pytest.mark.parametrize("wrong", [{"credentials": "key"}, {"options": {"verify": "top"}}])
def test_wrong_arguments_are_named(wrong: dict[str, object]) -> None:
    """Credentials and options of another type are refused at construction."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Subscriber(["1"], **wrong)  # type: ignore[arg-type]  # on purpose


def test_stats_and_unknown_are_typed(server: FakeServer) -> None:
    """stats() counts events by kind and shows each connection."""
    with Subscriber(["1"], options=server.options(heartbeat_interval=0.02)) as sub:
        sub.wait_ready(timeout=DEADLINE)
        record = server.open_connections()[0]
        assert server.wait_until(lambda: record.pings > 1, DEADLINE)
        server.send(make_price_change("1"))
        server.send('{"event_type":"news"}')
        _settle(server, sub)
        stats = sub.stats()
        (connection,) = stats.connections

    assert {"book": 1, "price_change": 1, "unknown": 1} == stats.events
    assert ("market", "open", 1) == (connection.channel, connection.state, connection.generation)
    assert connection.last_round_trip is not None
    assert connection.total_bytes > 100
    assert stats.uptime > 0
    assert PriceChange.event_type in stats.events
    assert Unknown.event_type in stats.events


class TestSurface:
    def test_callbacks_are_registered_and_not_assigned(self) -> None:
        """The habit of websocket-client and paho users is answered with what to write."""
        sub = Subscriber(["1"])

        with pytest.raises(AttributeError, match=r"not assigned: sub\.on_book\(function\)"):
            sub.on_book = print  # type: ignore[method-assign, assignment]
        with pytest.raises(AttributeError, match=r"sub\.on_boook\(function\)"):
            sub.on_boook = print  # type: ignore[attr-defined]
        with pytest.raises(AttributeError, match="a Subscriber has no attribute 'asset_ids'"):
            sub.asset_ids = ["2"]  # type: ignore[attr-defined]

    def test_its_name(self) -> None:
        """The given one, made printable, or a word and a number."""
        assert "prices" == Subscriber(name="prices").name
        assert "a\\nb" == Subscriber(name="a\nb").name
        assert re.fullmatch(r"subscriber-\d+", Subscriber().name)

    def test_what_is_missing(self, server: FakeServer) -> None:
        """Subscribed assets without a live book, before the start, after it, and after stop."""
        sub = Subscriber(["1", "99"], options=server.options())
        before = (sub.missing, sub.healthy)
        with sub:
            sub.wait_ready(timeout=DEADLINE, asset_ids=["1"])
            during = (sub.missing, sub.state, sub.healthy)
            sub.unsubscribe(["99"])
            assert ((), True) == (sub.missing, sub.healthy)

        assert ((("1", "99"), False), (("99",), "LIVE", False)) == (before, during)
        assert ("1",) == sub.missing

    def test_a_key_that_is_not_there_says_why(self) -> None:
        """KeyErrors of the three mappings; `in` and `get` are as of any mapping."""
        sub = Subscriber(["1"])

        with pytest.raises(KeyError, match=r"2 is not subscribed: sub\.subscribe"):
            sub.books["2"]
        with pytest.raises(KeyError, match="no order 0x1 was told in this run"):
            sub.orders["0x1"]
        with pytest.raises(KeyError, match="no trade t1 was told in this run"):
            sub.trades["t1"]
        assert (None, False) == (sub.books.get("2"), "2" in sub.books)

    def test_markets_without_credentials_say_how_a_market_is_followed(self) -> None:
        """The token ids of its outcomes are what the market channel takes."""
        with pytest.raises(ConfigurationError, match="give the token ids of its outcomes"):
            Subscriber(markets=["0x" + "a" * 64])

    def test_a_namesake_that_is_started_stops_the_former(
        self, server: FakeServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A notebook's cell that is run again; subscribers without a given name are left alone."""
        options = server.options()
        others = [Subscriber(["1"], options=options), Subscriber(["1"], options=options)]
        former, latter = (Subscriber(["1"], options=options, name="cell") for _ in range(2))
        for sub in (*others, former):
            sub.start()
        latter.start()

        assert ["STOPPED", "cell"] == [former.state, latter.name]
        assert {*others, latter} == set(running())
        assert 1 == sum("stopping the former subscriber" in m for m in caplog.messages)
        for sub in running():
            assert sub.stop(timeout=DEADLINE)


class TestDrain:
    def test_callbacks_handle_what_is_queued(self, server: FakeServer) -> None:
        """With drain=True nothing that was queued is lost, and the books are live until then."""
        handled, entered, gate = Recorder(), threading.Event(), threading.Event()
        with Subscriber(["1"], options=server.options()) as sub:
            sub.wait_ready(timeout=DEADLINE)

            @sub.on_price_change
            def handle(event: PriceChange) -> None:
                entered.set()
                gate.wait(DEADLINE)
                handled(sub.books["1"].valid)

            for _ in range(20):
                server.send(make_price_change("1"))
            assert entered.wait(DEADLINE)
            assert sub._wait_until(lambda: sub.stats().events["price_change"] == 20, DEADLINE)
            stopping = threading.Thread(target=sub.stop, args=(DEADLINE,), kwargs={"drain": True})
            stopping.start()
            assert sub._wait_until(lambda: sub.state == "STOPPED", DEADLINE)
            gate.set()
            stopping.join(DEADLINE)

            assert [True] * 20 == handled.items
            assert 0 == sub.stats().discarded

    def test_what_is_not_drained_is_counted(self, server: FakeServer) -> None:
        """Without drain, and when the timeout passes first."""
        for drain in (False, True):
            entered, gate = threading.Event(), threading.Event()
            with Subscriber(["1"], options=server.options()) as sub:
                sub.wait_ready(timeout=DEADLINE)

                @sub.on_price_change
                def handle(event: PriceChange) -> None:
                    entered.set()  # noqa: B023 - of this turn
                    gate.wait(DEADLINE)  # noqa: B023

                for _ in range(20):
                    server.send(make_price_change("1"))
                assert entered.wait(DEADLINE)
                assert sub._wait_until(lambda: sub.stats().events["price_change"] == 20, DEADLINE)
                assert not sub.stop(timeout=0.01, drain=drain)
                gate.set()
                assert sub.stop(timeout=DEADLINE)

                assert 19 == sub.stats().discarded


@pytest.mark.parametrize("make", [make_new_market, make_market_resolved])
def test_a_callback_for_all_markets_alone_opens_the_market_channel(
    make: Callable[..., Event],
) -> None:
    """With an empty list and custom features; assets that are wanted later join it."""
    with FakeServer() as server:
        server.add_book(make_book("1"))
        told = Recorder()
        sub = Subscriber(options=server.options())
        getattr(sub, f"on_{make().event_type}")(told)
        with sub:
            sub.wait_ready(timeout=DEADLINE)
            server.send(make())
            told.wait_for(1)
            first = server.connections[0].texts[0]
            sub.subscribe(["1"])
            sub.wait_ready(timeout=DEADLINE)
            sub.unsubscribe(["1"])
            server.send(make(market="0x" + "9" * 64))
            told.wait_for(2)

            assert ([], True) == (
                json.loads(first)["assets_ids"],
                json.loads(first)["custom_feature_enabled"],
            )
            assert 1 == len(server.connections)

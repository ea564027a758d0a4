"""Assets split over several connections, over real sockets."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence

import pytest
from kit.recorder import DEADLINE, Recorder

from polymarket_ws import NewMarket, State, Subscriber
from polymarket_ws.events import LevelChange, PriceChange
from polymarket_ws.testing import (
    FakeServer,
    SimulatedExchange,
    make_book,
    make_market_resolved,
    make_new_market,
    make_price_change,
)

QUICK = {"backoff_base": 0.001, "backoff_cap": 0.01}
MARKETS = ["0x" + str(number) * 64 for number in range(3)]


def ids(first: int, last: int) -> list[str]:
    """Token ids that sort as their numbers do."""
    return [str(1000 + number) for number in range(first, last)]


def add_books(server: FakeServer, asset_ids: Sequence[str]) -> None:
    """Let the server answer subscriptions of these."""
    for asset_id in asset_ids:
        server.add_book(make_book(asset_id, market=f"0x{int(asset_id):064x}"))


def subscriber(server: FakeServer, asset_ids: Sequence[str], most: int) -> Subscriber:
    """With at most so many assets on a connection."""
    options = server.options(**QUICK, max_assets_per_connection=most)
    return Subscriber(asset_ids, options=options, name="split")


def parts(server: FakeServer) -> list[list[str]]:
    """What each open connection is subscribed to."""
    return sorted(sorted(record.asset_ids) for record in server.open_connections())


class Feed:
    """Numbered price changes of each asset, sent until it is told to stop."""

    def __init__(self, server: FakeServer, asset_ids: Sequence[str]) -> None:
        self._server = server
        self._asset_ids = asset_ids
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._main)
        self.rounds = 0

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(DEADLINE)

    def _main(self) -> None:
        while not self._stopping.is_set():
            self.rounds += 1
            changes = [("BUY", "0.41", self.rounds)]
            self._server.publish([make_price_change(a, changes) for a in self._asset_ids])


class Heard:
    """The numbers of the price changes that a callback was called with, by asset."""

    def __init__(self) -> None:
        self.numbers: dict[str, list[int]] = defaultdict(list)
        self.after_end: list[str] = []
        self._ended: frozenset[str] = frozenset()
        self._changed = threading.Condition()

    def __call__(self, event: PriceChange) -> None:
        [change] = event.price_changes
        if change.asset_id in self._ended:
            self.after_end.append(change.asset_id)
        with self._changed:
            self.numbers[change.asset_id].append(int(change.size))
            self._changed.notify_all()

    def end(self, asset_ids: Sequence[str]) -> None:
        """From now on nothing of these is to be heard."""
        self._ended |= frozenset(asset_ids)

    def wait_for_news(self, asset_ids: Sequence[str]) -> None:
        """Wait until something new was heard of each."""
        with self._changed:
            before = {a: len(self.numbers[a]) for a in asset_ids}
            assert self._changed.wait_for(
                lambda: all(len(self.numbers[a]) > before[a] for a in asset_ids), DEADLINE
            )


def test_assets_swapped_while_events_flow_lose_and_double_nothing() -> None:
    """Half of the assets are exchanged under load: each event of a subscribed asset is delivered
    once and in order, and none of an asset that is unsubscribed.
    """
    before, come = ids(0, 120), ids(120, 180)
    stay, leave = before[::2], before[1::2]  # so that no connection is emptied
    heard = Heard()
    with FakeServer(max_assets_per_connection=30, connects_per_second=5) as server:
        add_books(server, [*before, *come])
        with subscriber(server, before, 30) as sub:
            sub.on_price_change(heard)
            sub.wait_ready(timeout=DEADLINE)
            with Feed(server, [*before, *come]) as feed:
                heard.wait_for_news(before)
                sub.unsubscribe(leave)
                heard.end(leave)
                sub.subscribe(come)
                sub.wait_ready(timeout=DEADLINE)
                heard.wait_for_news([*stay, *come])
            server.settle(sub, timeout=DEADLINE)

            assert {101} == {record.status for record in server.connections}
            assert [30] * 4 == [len(part) for part in parts(server)]
            assert 4 == len(server.connections)
            assert len(heard.after_end) <= 1  # the one whose callback was being called
            assert set(before) | set(come) == set(heard.numbers)
            for asset_id, numbers in heard.numbers.items():
                assert list(range(numbers[0], numbers[0] + len(numbers))) == numbers
                assert asset_id in leave or numbers[-1] == feed.rounds
            assert {1} == {heard.numbers[asset_id][0] for asset_id in stay}
            assert sub.stats().late_changes == sub.stats().gaps == 0


def test_connections_are_opened_no_faster_than_the_server_allows() -> None:
    """Eight connections at a server that takes five a second: none is turned away."""
    with FakeServer(max_assets_per_connection=2, connects_per_second=5) as server:
        add_books(server, ids(0, 16))
        with subscriber(server, ids(0, 16), 2) as sub:
            sub.wait_ready(timeout=DEADLINE)

            assert [101] * 8 == [record.status for record in server.connections]
            assert [2] * 8 == [len(part) for part in parts(server)]


def test_an_emptied_connection_is_closed_and_its_place_taken_again() -> None:
    """It ends as "unwanted"; the next assets open it anew under the same name."""
    with FakeServer() as server:
        add_books(server, ids(0, 6))
        sub = subscriber(server, ids(0, 4), 2)
        disconnects, connects = Recorder(), Recorder()
        sub.on_disconnect(disconnects)
        sub.on_connect(connects)
        with sub:
            sub.wait_ready(timeout=DEADLINE)
            sub.unsubscribe(ids(0, 2))
            [told] = disconnects.wait_for(1)
            assert ("unwanted", "split-market", False) == (
                told.reason,
                told.connection,
                told.will_retry,
            )
            assert server.wait_until(lambda: [ids(2, 4)] == parts(server), DEADLINE)
            assert State.LIVE is sub.state
            assert ["idle", "open"] == [c.state for c in sub.stats().connections]
            server.settle(sub, timeout=DEADLINE)

            sub.subscribe(ids(4, 6))
            sub.wait_ready(timeout=DEADLINE)
            again = connects.wait_for(3)[-1]
            assert ("split-market", 2) == (again.connection, again.generation)
            assert [ids(2, 4), ids(4, 6)] == parts(server)


def test_all_emptied_connections_leave_an_idle_subscriber() -> None:
    """Nothing is wanted: no connection, and the state says so."""
    with FakeServer() as server:
        add_books(server, ids(0, 6))
        with subscriber(server, ids(0, 6), 2) as sub:
            sub.wait_ready(timeout=DEADLINE)
            sub.unsubscribe(ids(0, 6))

            assert server.wait_until(lambda: not server.open_connections(), DEADLINE)
            assert State.IDLE is sub.state


def test_broadcasts_are_delivered_once() -> None:
    """Three connections bring each of them; callbacks and iterators hear it once."""
    with FakeServer() as server:
        add_books(server, ids(0, 6))
        sub = subscriber(server, ids(0, 6), 2)
        created, resolved = Recorder(), Recorder()
        sub.on_new_market(created)
        sub.on_market_resolved(resolved)
        with sub:
            stream = sub.events(NewMarket, timeout=DEADLINE)
            sub.wait_ready(timeout=DEADLINE)
            assert server.wait_until(lambda: len(server.open_connections()) == 3, DEADLINE)
            first, second = make_new_market(), make_new_market(timestamp_ms=1_790_000_000_001)
            for event in (first, second, make_market_resolved()):
                assert 3 == server.send(event)
            server.settle(sub, timeout=DEADLINE)

            assert [first, second] == created.items == [next(stream), next(stream)]
            assert [make_market_resolved()] == resolved.items
            assert 6 == sub.stats().broadcast_duplicates


def test_a_twin_that_comes_back_joins_its_twin() -> None:
    """A market learned from the first subscription decides where its tokens go later."""
    one, other, third, fourth = ids(0, 4)
    with FakeServer() as server:
        for asset_id, market in zip((one, other, third, fourth), (0, 1, 1, 0), strict=True):
            server.add_book(make_book(asset_id, market=MARKETS[market]))
        with subscriber(server, [one, other, third, fourth], 2) as sub:
            sub.wait_ready(timeout=DEADLINE)
            assert [[one, other], [third, fourth]] == parts(server)
            sub.unsubscribe([other, fourth])
            sub.subscribe([other])
            sub.subscribe([fourth])
            sub.wait_ready(timeout=DEADLINE)

            assert server.wait_until(
                lambda: [[one, fourth], [other, third]] == parts(server), DEADLINE
            )


def test_changes_of_split_twins_are_told_once() -> None:
    """A price_change that names both tokens comes over both connections; each of its entries is
    delivered once.
    """
    twins = ids(0, 2)
    both = [make_price_change(a, [("BUY", "0.41", 5)]).price_changes[0] for a in twins]
    with FakeServer() as server:
        for asset_id in twins:
            server.add_book(make_book(asset_id))
        with subscriber(server, twins, 1) as sub:
            heard = Recorder()
            sub.on_price_change(heard)
            sub.wait_ready(timeout=DEADLINE)
            assert 2 == server.send(make_price_change(changes=both))
            server.settle(sub, timeout=DEADLINE)

            told = [change.asset_id for event in heard.items for change in event.price_changes]
            assert twins == sorted(told)
            assert {"0.41"} == {str(book.best_bid) for book in sub.books.values()}


def test_a_whole_exchange_is_told_once_and_in_order() -> None:
    """Tokens of one market lie on different connections, as ids sort at random: each entry of each
    change is delivered once, in the order of its asset, and every book is the exchange's.
    """
    exchange = SimulatedExchange(seed=2, markets=10)
    with FakeServer(exchange, max_assets_per_connection=4) as server:
        followed = exchange.asset_ids
        with subscriber(server, followed, 4) as sub:
            heard: dict[str, list[LevelChange]] = {a: [] for a in followed}

            def on_change(event: PriceChange) -> None:
                for change in event.price_changes:
                    heard[change.asset_id].append(change)

            sub.on_price_change(on_change)
            sub.wait_ready(timeout=DEADLINE)
            sent: dict[str, list[str]] = {a: [] for a in followed}
            for event in server.play(400):
                for entry in event.get("price_changes", ()):
                    if entry["asset_id"] in sent:
                        sent[entry["asset_id"]].append(entry["hash"])
            server.settle(sub, timeout=DEADLINE)

            assert 5 == len(server.open_connections())
            assert sent == {a: [change.hash for change in told] for a, told in heard.items()}
            for asset_id in followed:
                top = sub.books[asset_id].top
                assert (top.bid, top.ask) == exchange.book(asset_id).top


def test_a_connection_tells_only_of_its_own_assets() -> None:
    """What still comes on a connection that an asset has left is not told beside the new one."""
    with FakeServer() as server:
        add_books(server, ids(0, 3))
        with subscriber(server, ids(0, 3), 1) as sub:
            heard = Recorder()
            sub.on_price_change(heard)
            sub.wait_ready(timeout=DEADLINE)
            change = '{"event_type":"price_change","market":"0x1","timestamp":"1790000000000",'
            entry = f'{{"asset_id":"{ids(0, 1)[0]}","price":"0.41","size":"5","side":"BUY"}}'
            assert 3 == server.send(f'{change}"price_changes":[{entry}]}}')
            server.settle(sub, timeout=DEADLINE)

            assert 1 == len(heard.items)


def test_a_lost_connection_concerns_its_own_books_alone() -> None:
    """One Gap names them, the others stay live, and one Resync ends it."""
    with FakeServer() as server:
        add_books(server, ids(0, 6))
        with subscriber(server, ids(0, 6), 2) as sub:
            gaps, resyncs, stale = Recorder(), Recorder(), Recorder()
            sub.on_gap(gaps)
            sub.on_gap(lambda _: stale({a for a, book in sub.books.items() if not book.valid}))
            sub.on_resync(resyncs)
            sub.wait_ready(timeout=DEADLINE)
            [record] = [r for r in server.open_connections() if r.asset_ids == set(ids(2, 4))]
            server.faults.refuse(times=None)
            server.disconnect(only=record)
            [gap], [books] = gaps.wait_for(1), stale.wait_for(1)
            server.faults.clear()
            [resync] = resyncs.wait_for(1)
            sub.wait_ready(timeout=DEADLINE)
            server.settle(sub, timeout=DEADLINE)

            assert (set(ids(2, 4)), "split-market-2") == (set(gap.asset_ids), gap.connection)
            assert set(ids(2, 4)) == books == set(resync.asset_ids)
            assert (1, 1) == (len(gaps.items), len(resyncs.items))
            assert [1, 1, 2] == sorted(c.generation for c in sub.stats().connections)


def test_the_state_is_that_of_all_connections() -> None:
    """CONNECTING until each has been open, DEGRADED while one is lost, else LIVE."""
    with FakeServer() as server:
        add_books(server, ids(0, 4))
        server.faults.refuse(times=None)
        sub = subscriber(server, ids(0, 4), 2)
        connects = Recorder()
        sub.on_connect(connects)
        with sub:
            assert server.wait_until(lambda: len(server.connections) >= 2, DEADLINE)
            assert State.CONNECTING is sub.state
            server.faults.clear()
            sub.wait_ready(timeout=DEADLINE)
            assert State.LIVE is sub.state

            server.faults.refuse(times=None)
            server.disconnect(only=server.open_connections()[0])
            assert sub._wait_until(lambda: sub.state is State.DEGRADED, DEADLINE)
            assert not sub.healthy
            server.faults.clear()
            sub.wait_ready(timeout=DEADLINE)
            assert State.LIVE is sub.state


def test_one_connection_that_never_opened_keeps_it_connecting() -> None:
    """One of two hangs: the other's books are live, the whole is not."""
    with FakeServer() as server:
        add_books(server, ids(0, 4))
        server.faults.hang()
        with subscriber(server, ids(0, 4), 2) as sub:
            record = server.wait_for_connection()
            sub.wait_ready(timeout=DEADLINE, asset_ids=record.asset_ids)

            assert State.CONNECTING is sub.state
            with pytest.raises(TimeoutError, match="the book of"):
                sub.wait_ready(timeout=0.0)


def test_each_connection_has_its_stats() -> None:
    """One entry for each, with its own figures; the events are those of all together."""
    with FakeServer() as server:
        add_books(server, ids(0, 5))
        with subscriber(server, ids(0, 5), 2) as sub:
            sub.wait_ready(timeout=DEADLINE)
            server.send(make_price_change(ids(4, 5)[0]))
            server.settle(sub, timeout=DEADLINE)
            stats = sub.stats()

            assert ["split-market", "split-market-2", "split-market-3"] == [
                c.connection for c in stats.connections
            ]
            assert [("market", "open", 1)] * 3 == [
                (c.channel, c.state, c.generation) for c in stats.connections
            ]
            assert [1, 1, 2] == [c.messages for c in stats.connections]
            ports = {record.peer_port for record in server.open_connections()}
            assert ports == {c.local_port for c in stats.connections}
            assert {"book": 5, "price_change": 1} == stats.events


def test_a_429_holds_all_connections_back() -> None:
    """Whichever met it: none connects before Retry-After is over, and then all come."""
    with FakeServer() as server:
        add_books(server, ids(0, 4))
        server.faults.reject(429, {"Retry-After": "2"})
        with subscriber(server, ids(0, 4), 1) as sub:
            sub.wait_ready(timeout=DEADLINE)

            first, _, *later = server.connections  # the second may have begun with the first
            assert 429 == first.status
            assert [101] * 3 == [record.status for record in later]
            assert all(record.accepted_at - first.accepted_at >= 2 for record in later)


def test_a_restart_serves_all_again() -> None:
    """stop() ends every connection, and start() opens as many."""
    with FakeServer() as server:
        add_books(server, ids(0, 4))
        sub = subscriber(server, ids(0, 4), 2)
        for _ in range(2):
            sub.start()
            sub.wait_ready(timeout=DEADLINE)
            assert [ids(0, 2), ids(2, 4)] == parts(server)
            assert sub.stop()
            assert server.wait_until(lambda: not server.open_connections(), DEADLINE)

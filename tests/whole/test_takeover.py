"""A second connection takes over with nothing missed and nothing doubled; over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kit.recorder import DEADLINE, Recorder

from polymarket_ws import Connected, Disconnected, LastTradePrice, State, Subscriber
from polymarket_ws.testing import FakeServer, SimulatedExchange
from polymarket_ws.testing.record import ConnectionRecord

QUICK = {"backoff_base": 0.001, "backoff_cap": 0.01}


@pytest.fixture
def exchange() -> SimulatedExchange:
    """Two markets, four assets."""
    return SimulatedExchange(7, 2)


@pytest.fixture
def server(exchange: SimulatedExchange) -> Iterator[FakeServer]:
    """A server that plays it."""
    with FakeServer(exchange) as server:
        yield server


class Doubled:
    """A subscriber with two connections, and all that its market events and lines told."""

    def __init__(self, server: FakeServer, exchange: SimulatedExchange, **options: object) -> None:
        self.server = server
        self.assets = list(exchange.asset_ids)
        self.happened: list[dict[str, Any]] = []
        self.events, self.gaps, self.lines = Recorder(), Recorder(), Recorder()
        self.sub = Subscriber(self.assets, options=server.options(**{**QUICK, **options}), name="d")
        for register in (
            self.sub.on_price_change,
            self.sub.on_last_trade_price,
            self.sub.on_tick_size_change,
        ):
            register(self.events)
        self.sub.on_gap(self.gaps)
        self.sub.on_connect(self.lines)
        self.sub.on_disconnect(self.lines)

    def __enter__(self) -> Doubled:
        self.sub.start()
        self.sub.wait_ready(timeout=DEADLINE)
        return self

    def __exit__(self, *_: object) -> None:
        self.sub.stop()

    def play(self, steps: int = 20) -> None:
        """Let the exchange act; of new markets nothing is subscribed."""
        kinds = ("price_change", "last_trade_price", "tick_size_change")
        for event in self.server.play(steps):
            assets = {event.get("asset_id")} | {
                c["asset_id"] for c in event.get("price_changes", ())
            }
            if event["event_type"] in kinds and assets & set(self.assets):
                self.happened.append(event)

    def both(self) -> tuple[ConnectionRecord, ConnectionRecord]:
        """The leader's connection and the follower's, once both have served some events."""
        assert self.server.wait_until(lambda: len(self._open()) == 2, DEADLINE)
        self.server.settle(self.sub, timeout=DEADLINE)
        names = self._open()
        leader = next(iter(self.sub._runs.present.shards)).failover.leader.name  # type: ignore[union-attr]
        by_name = {names[r.peer_port]: r for r in self.server.open_connections()}
        return by_name.pop(leader), by_name.popitem()[1]

    def _open(self) -> dict[int, str]:
        """The connections that both sides know, by the port of ours."""
        ports = {r.peer_port for r in self.server.open_connections()}
        ours = {c.local_port: c.connection for c in self.sub.stats().connections}
        return {port: name for port, name in ours.items() if port in ports}

    def check(self) -> None:
        """Every event came once and in order, the books are the exchange's, nothing is missed."""
        self.events.wait_for(len(self.happened))
        self.server.settle(self.sub, timeout=DEADLINE)
        assert self.happened == [event.to_dict() for event in self.events.items]
        assert [] == self.gaps.items
        for asset_id in self.assets:
            theirs = self.server.exchange.book(asset_id)  # type: ignore[union-attr]
            ours = self.sub.books[asset_id].snapshot()
            assert (theirs.bids, theirs.asks) == (ours.bids, ours.asks)


def test_the_standby_takes_over_when_the_leader_is_cut(
    server: FakeServer, exchange: SimulatedExchange
) -> None:
    """Ten times in a row, with events before and after: no Gap, each event once."""
    with Doubled(server, exchange, standby=True) as doubled:
        for _ in range(10):
            leader, _ = doubled.both()
            doubled.play()
            server.disconnect(only=leader)
            doubled.play()
        doubled.both()
        doubled.check()
        assert State.LIVE is doubled.sub.state
        assert 10 == doubled.sub.stats().failovers


def test_a_lost_standby_is_no_gap_and_comes_back(
    server: FakeServer, exchange: SimulatedExchange
) -> None:
    """It is told of, like any connection, and made anew."""
    with Doubled(server, exchange, standby=True) as doubled:
        _, follower = doubled.both()
        doubled.play()
        server.disconnect(1001, only=follower)
        doubled.lines.wait_until(
            lambda items: any(isinstance(i, Connected) and i.reconnected for i in items)
        )
        doubled.both()
        doubled.play()
        doubled.check()
        assert 0 == doubled.sub.stats().failovers


def test_both_lost_at_once_are_one_gap(server: FakeServer, exchange: SimulatedExchange) -> None:
    """Whichever is back first leads, and its books end the gap."""
    with Doubled(server, exchange, standby=True) as doubled:
        doubled.both()
        resyncs = Recorder()
        doubled.sub.on_resync(resyncs)
        server.stop_listening()
        server.disconnect()
        (gap,) = doubled.gaps.wait_for(1)
        server.listen_again()
        (resync,) = resyncs.wait_for(1)

        assert set(doubled.assets) == set(gap.asset_ids) == set(resync.asset_ids)
        doubled.gaps.items.clear()
        doubled.both()
        doubled.play()
        doubled.check()


def test_a_frozen_leader_is_replaced_without_a_gap(
    server: FakeServer, exchange: SimulatedExchange
) -> None:
    """PING is answered, but only the standby has the data; nothing of it is lost."""
    with Doubled(server, exchange, standby=True) as doubled:
        doubled.both()
        doubled.play()
        leader, _ = doubled.both()
        server.freeze(only=leader)
        server.run(rate=100)
        silent = doubled.lines.wait_until
        silent(lambda items: any(getattr(i, "reason", "") == "silent" for i in items))
        server.pause()

        assert [] == doubled.gaps.items
        server.settle(doubled.sub, timeout=DEADLINE)
        for asset_id in doubled.assets:
            book = doubled.sub.books[asset_id].snapshot()
            assert exchange.book(asset_id).bids == book.bids


def test_rotation_replaces_a_connection_without_a_gap(
    server: FakeServer, exchange: SimulatedExchange
) -> None:
    """Three times; the former one is closed as "rotated", and its successor is called in time."""
    with Doubled(server, exchange, rotate_every=0.5) as doubled:

        def rotations() -> int:
            told = doubled.lines.items
            return sum(isinstance(i, Disconnected) and i.reason == "rotated" for i in told)

        while rotations() < 3:
            before = rotations()
            doubled.play()
            doubled.lines.wait_until(lambda _, before=before: rotations() > before)
        doubled.play()
        doubled.check()
        assert 0 == doubled.sub.stats().failovers


def test_with_both_the_standby_is_there_after_a_rotation(
    server: FakeServer, exchange: SimulatedExchange
) -> None:
    """The rotated one comes back as the standby."""
    with Doubled(server, exchange, standby=True, rotate_every=0.5) as doubled:
        doubled.lines.wait_until(
            lambda items: any(getattr(i, "reason", "") == "rotated" for i in items)
        )
        doubled.both()
        doubled.play()
        doubled.check()


def test_subscriptions_change_on_both(server: FakeServer, exchange: SimulatedExchange) -> None:
    """An asset that is subscribed later is followed over a failover, one that left is not."""
    with Doubled(server, exchange, standby=True) as doubled:
        doubled.both()
        gone, twin = doubled.assets[2:]
        doubled.sub.unsubscribe([gone])
        doubled.play()
        doubled.sub.unsubscribe([twin])
        doubled.sub.subscribe([gone])
        doubled.sub.wait_ready(timeout=DEADLINE)
        leader, follower = doubled.both()
        assert server.wait_until(lambda: follower.asset_ids == leader.asset_ids, DEADLINE)
        doubled.assets.remove(twin)
        doubled.play()
        server.disconnect(only=leader)
        doubled.both()
        for asset_id in doubled.assets:
            book = doubled.sub.books[asset_id].snapshot()
            assert exchange.book(asset_id).bids == book.bids
        assert [] == doubled.gaps.items


def test_a_broadcast_is_told_once(server: FakeServer, exchange: SimulatedExchange) -> None:
    """It comes over both connections, and over the new leader again."""
    with Doubled(server, exchange, standby=True) as doubled:
        born = Recorder()
        doubled.sub.on_new_market(born)
        leader, follower = doubled.both()
        for record in (leader, follower):
            assert server.wait_until(lambda record=record: record.custom_features, DEADLINE)
        server.play(lambda e: e.open_market())
        server.disconnect(only=leader)
        doubled.both()
        server.play(lambda e: e.open_market())
        server.settle(doubled.sub, timeout=DEADLINE)

        assert 2 == len(born.wait_for(2))


def test_a_standby_that_is_refused_ends_nothing(
    server: FakeServer, exchange: SimulatedExchange
) -> None:
    """HTTP 401 is fatal for a leader; with one that is open it is told, and tried again."""
    with Doubled(server, exchange, standby=True) as doubled:
        _, follower = doubled.both()
        server.faults.reject(401)
        server.disconnect(only=follower)
        doubled.lines.wait_until(
            lambda items: any(getattr(i, "reason", "") == "authentication" for i in items)
        )
        doubled.both()
        assert doubled.sub.error is None


def test_a_book_that_is_proved_wrong_lets_the_standby_lead(
    server: FakeServer, exchange: SimulatedExchange
) -> None:
    """The leader lost a change: a probe proves it, its snapshot heals, the other one leads."""
    with Doubled(server, exchange, standby=True) as doubled:
        leader, _ = doubled.both()
        asset_id = doubled.assets[0]
        server.freeze(only=leader)
        server.play(lambda e: e.place(asset_id, "BUY", "0.01", "77"))
        server.thaw()
        server.play(lambda e: e.place(asset_id, "BUY", "0.02", "55"))
        (gap,) = doubled.gaps.wait_for(1)
        assert "hash_mismatch" == gap.reason
        doubled.lines.wait_until(
            lambda items: any(getattr(i, "reason", "") == "replaced" for i in items)
        )
        doubled.gaps.items.clear()
        doubled.happened.clear()
        doubled.events.items.clear()
        doubled.both()
        doubled.play()
        doubled.check()


def test_a_print_is_not_told_twice_by_two_connections(
    server: FakeServer, exchange: SimulatedExchange
) -> None:
    """Only the leader's events are delivered while all is well."""
    with Doubled(server, exchange, standby=True) as doubled:
        doubled.both()
        server.play(lambda e: e.trade(doubled.assets[0]))
        doubled.both()
        assert 1 == sum(isinstance(e, LastTradePrice) for e in doubled.events.items)

"""FakeServer as independent clients see it: its life, an exchange, `settle`, packaging."""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, field
from kit.server_clients import (
    AUTH,
    SECONDS,
    Client,
    client,
    closed,
    events,
    nothing_more,
    say,
    subscribed,
    text,
)

from polymarket_ws import testing
from polymarket_ws.testing import FakeServer, SimulatedExchange, make_book
from polymarket_ws.testing.simulated_market import Wire


def test_an_exchange_plays_through_the_server(tls: bool) -> None:
    """Snapshots come from its present state, and what it does reaches subscribers in order."""
    exchange = SimulatedExchange(seed=1)
    with FakeServer(exchange, tls) as server:
        server.play(20)
        with client(server) as c:
            say(c, type="market", assets_ids=exchange.asset_ids, custom_feature_enabled=True)
            snapshots = events(c)
            assert list(exchange.asset_ids) == [book["asset_id"] for book in snapshots]
            sent = server.play(50) + server.play(lambda e: e.trade(e.asset_ids[0], "BUY"))
            public = [event for event in sent if event["event_type"] not in ("order", "trade")]
            assert public == [events(c) for _ in public]


def test_an_exchange_plays_own_events_on_the_user_channel() -> None:
    """A trade of the user's comes from MATCHED to CONFIRMED."""
    exchange = SimulatedExchange(seed=1)
    with FakeServer(exchange) as server, client(server, "user") as c:
        say(c, type="user", auth=AUTH)
        assert nothing_more(c)
        server.play(lambda e: e.trade(e.asset_ids[0], "BUY", own=True))
        told = [events(c) for _ in range(5)]
    assert ["PLACEMENT", "UPDATE"] == [e["type"] for e in told if e["event_type"] == "order"]
    assert ["MATCHED", "MINED", "CONFIRMED"] == [
        e["status"] for e in told if e["event_type"] == "trade"
    ]


def test_what_a_client_sent_before_is_received_before_a_command() -> None:
    """Also while the server is busy: own events reach who had subscribed before they happened."""
    exchange = SimulatedExchange(seed=1)
    busy, go = threading.Event(), threading.Event()

    def hold(exchange: SimulatedExchange) -> list[Wire]:
        busy.set()
        assert go.wait(SECONDS)
        return []

    def trade(exchange: SimulatedExchange) -> list[Wire]:
        return exchange.trade(exchange.asset_ids[0], "BUY", own=True)

    with FakeServer(exchange) as server, client(server, "user") as c, ThreadPoolExecutor() as pool:
        pool.submit(server.play, hold)
        assert busy.wait(SECONDS)
        say(c, type="user", auth=AUTH)
        traded = pool.submit(server.play, trade)
        while not server._loop._commands:
            assert not traded.done()
        go.set()

        assert "order" == events(c)["event_type"]


def test_an_exchange_runs_in_the_background() -> None:
    """run(rate) plays by itself until pause()."""
    exchange = SimulatedExchange(seed=1)
    with FakeServer(exchange) as server, client(server) as c:
        say(c, type="market", assets_ids=exchange.asset_ids)
        assert text(c)
        server.run(rate=500)
        assert all(events(c)["timestamp"] for _ in range(50))
        server.pause()
        reached = exchange.now_ms
        server.send("the end")
        while text(c) != "the end":
            pass
        assert reached == exchange.now_ms


def test_playing_needs_an_exchange(server: FakeServer) -> None:
    """The sentence says how to get one."""
    with pytest.raises(RuntimeError, match="no exchange"):
        server.play()
    with pytest.raises(ValueError, match="above 0"):
        FakeServer(SimulatedExchange()).run(0)


def test_a_server_stops_and_starts_again(server: FakeServer) -> None:
    """stop() closes with 1001; a started server refuses a second start; both are bounded."""
    with subscribed(server) as c:
        with pytest.raises(RuntimeError, match="runs already"):
            server.start()
        server.stop()
        assert (1001, "") == closed(c)
    server.stop()
    server.start()
    with subscribed(server) as c:
        assert nothing_more(c)


def test_a_server_that_never_ran_has_no_port() -> None:
    """Before start there is no URL, and stop is a no-op; books may be added."""
    server = FakeServer()
    server.add_book(make_book("1"))
    server.faults.refuse()
    with pytest.raises(RuntimeError, match="not started"):
        server.options()
    server.stop()


def test_waiting_has_a_deadline(server: FakeServer) -> None:
    """wait_until says False, wait_for_connection raises."""
    assert not server.wait_until(lambda: False, timeout=0.01)
    with pytest.raises(TimeoutError, match="no subscribed user connection within"):
        server.wait_for_connection("user", timeout=0.01)


def test_many_threads_may_use_one_server(server: FakeServer) -> None:
    """Sends from several threads are all delivered."""
    with subscribed(server) as c:
        threads = [
            threading.Thread(target=lambda: [server.send(make_book("1")) for _ in range(50)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        assert ["book"] * 200 == [events(c)["event_type"] for _ in range(200)]
        for thread in threads:
            thread.join(SECONDS)


def test_a_failing_command_fails_its_caller_alone(server: FakeServer) -> None:
    """What a play function raises is raised to its caller; the server goes on."""
    with FakeServer(SimulatedExchange(seed=1)) as playing:
        with pytest.raises(KeyError):
            playing.play(lambda exchange: exchange.trade("1"))
        assert playing.play(1)


def test_the_options_lead_here_and_can_be_overridden() -> None:
    """URLs, trust in the certificate, no proxy; overrides win."""
    with FakeServer(tls=True) as server:
        options = server.options(heartbeat_interval=1, user_url="ws://127.0.0.1:1/ws/user")
    assert server.url("market") == options.market_url
    assert options.market_url.startswith("wss://127.0.0.1:")
    assert ("ws://127.0.0.1:1/ws/user", False, 1) == (
        options.user_url,
        options.trust_env,
        options.heartbeat_interval,
    )
    assert isinstance(options.ssl_context, ssl.SSLContext)


@define
class Stats:
    """What settle reads of a subscriber."""

    connections: list[Any]
    pending: int


@define
class Counted:
    local_port: int
    messages: int = 0
    state: str = "open"
    generation: int = 1


@define
class CountingSubscriber:
    """A subscriber as small as settle allows: it counts texts of one connection in a thread."""

    connection: Client
    pending: int = 0
    counted: list[Counted] = field(factory=list)
    progress: threading.Condition = field(factory=threading.Condition)

    def stats(self) -> Stats:
        return Stats(list(self.counted), self.pending)

    def _wait_until(self, predicate: Callable[[], bool], timeout: float) -> bool:
        with self.progress:
            return self.progress.wait_for(predicate, timeout)

    def connect(self) -> None:
        with self.progress:
            self.counted = [Counted(self.connection.local_address[1])]
            self.progress.notify_all()

    def receive(self, count: int) -> None:
        for _ in range(count):
            text(self.connection)
            with self.progress:
                self.counted[0].messages += 1
                self.progress.notify_all()


def test_settling_waits_for_every_text_and_every_callback(server: FakeServer) -> None:
    """It returns when all was received and nothing is pending, and else says what is missing."""
    with subscribed(server) as c:
        subscriber = CountingSubscriber(c)
        with pytest.raises(TimeoutError, match="the subscriber has no connection"):
            server.settle(subscriber, timeout=0.05)
        subscriber.connect()
        subscriber.counted[0].messages = 1
        server.settle(subscriber)
        server.publish([make_book("1"), make_book("1")])
        with pytest.raises(TimeoutError, match="1 of 3 texts received on port"):
            server.settle(subscriber, timeout=0.05)
        reader = threading.Thread(target=subscriber.receive, args=(2,))
        reader.start()
        server.settle(subscriber, timeout=SECONDS)
        reader.join(SECONDS)
        drained = Counted(0, messages=7, state="idle")
        subscriber.counted.append(drained)
        server.settle(subscriber, timeout=SECONDS)
        for waited_for in (Counted(0, state="waiting"), Counted(0, state="idle", generation=0)):
            subscriber.counted[1] = waited_for
            with pytest.raises(TimeoutError, match="no subscription from port"):
                server.settle(subscriber, timeout=0.05)
        subscriber.counted[1:] = []
        subscriber.pending = 4
        with pytest.raises(TimeoutError, match="4 events wait for their callbacks"):
            server.settle(subscriber, timeout=0.05)


def test_settling_waits_for_a_subscription_on_its_way(server: FakeServer) -> None:
    """A connection that has not subscribed yet is waited for, its snapshot included."""
    with client(server) as c:
        subscriber = CountingSubscriber(c)
        subscriber.connect()
        with pytest.raises(TimeoutError, match="no subscription from port"):
            server.settle(subscriber, timeout=0.05)
        say(c, type="market", assets_ids=["1"])
        reader = threading.Thread(target=subscriber.receive, args=(1,))
        reader.start()
        server.settle(subscriber, timeout=SECONDS)
        reader.join(SECONDS)
        assert 1 == subscriber.counted[0].messages


def test_without_websockets_the_import_says_what_to_install() -> None:
    """One sentence names the extra."""
    program = (
        "import sys; sys.modules['websockets'] = None\n"
        "try:\n    import polymarket_ws.testing\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert "install polymarket-ws[testing]" in done.stdout


def test_the_public_names_are_there() -> None:
    """`__all__` holds what can be imported."""
    assert all(hasattr(testing, name) for name in testing.__all__)
    assert sorted(testing.__all__) == testing.__all__


@pytest.mark.polymarket_server(exchange=SimulatedExchange(seed=1), tls=True)
def test_the_marker_chooses_the_fixtures_server(polymarket_server: FakeServer) -> None:
    """The fixture's server takes the marker's arguments."""
    assert polymarket_server.url().startswith("wss://")
    assert polymarket_server.play(1)


def test_the_fixture_starts_a_plain_server(polymarket_server: FakeServer) -> None:
    """Without a marker: ws://, no exchange."""
    assert polymarket_server.url().startswith("ws://")
    assert polymarket_server.exchange is None
    polymarket_server.send(make_book("1", bids=[("0.4", "10")]))
    with client(polymarket_server) as c:
        say(c, type="market", assets_ids=["1"])
        assert Decimal("0.4") == Decimal(events(c)[0]["bids"][-1]["price"])

"""What a dropped line looks like from outside: each way to lose it, each way not to get it back."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from kit.recorder import DEADLINE, Recorder

from polymarket_ws import Credentials, Options, Subscriber
from polymarket_ws.errors import (
    AuthenticationError,
    CertificateError,
    ConfigurationError,
    HandshakeRejected,
)
from polymarket_ws.testing import BAD_FRAMES, FakeServer, make_book, make_price_change

QUICK = {"backoff_base": 0.001, "backoff_cap": 0.01}
KEYS = Credentials("key", "c2VjcmV0", "passphrase")


@pytest.fixture(params=[False, True], ids=["ws", "wss"])
def server(request: pytest.FixtureRequest) -> Iterator[FakeServer]:
    """A server with one book."""
    with FakeServer(tls=request.param) as server:
        server.add_book(make_book("1", bids=[("0.4", "10")]))
        yield server


class Line:
    """A subscriber with its lifecycle on record."""

    def __init__(self, server: FakeServer, **options: object) -> None:
        self.sub = Subscriber(["1"], options=server.options(**{**QUICK, **options}))
        self.connects, self.disconnects = Recorder(), Recorder()
        self.sub.on_connect(self.connects)
        self.sub.on_disconnect(self.disconnects)

    def __enter__(self) -> Line:
        self.sub.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.sub.stop()

    def wait_ready(self) -> None:
        self.sub.wait_ready(timeout=DEADLINE)


LOSSES: dict[str, tuple[Callable[[FakeServer], object], str, int | None]] = {
    "clean close": (lambda s: s.disconnect(1001, "going away"), "closed", 1001),
    "slow consumer": (
        lambda s: s.disconnect(1013, "slow consumer: send buffer full"),
        "closed",
        1013,
    ),
    "policy": (lambda s: s.disconnect(1008, "policy"), "closed", 1008),
    "no close frame": (lambda s: s.end(), "eof", None),
    "reset": (lambda s: s.disconnect(), "reset", None),
    "half-open": (lambda s: s.half_open(), "pong_timeout", None),
    "stall in mid-frame": (lambda s: s.stall(), "pong_timeout", None),
    "no PONG": (lambda s: s.stop_answering_pings(), "pong_timeout", None),
    "masked frame": (lambda s: s.send_bytes(BAD_FRAMES["masked"]), "protocol_error", 1002),
    "bad UTF-8": (lambda s: s.send_bytes(BAD_FRAMES["bad_utf8"]), "protocol_error", 1007),
    "huge frame": (
        lambda s: s.send_bytes(b"\x81\x7f\x00\x00\x00\xff\xff\xff\xff\xff"),
        "protocol_error",
        1009,
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_lost_line_is_told_and_healed(server: FakeServer, name: str) -> None:
    """After each kind of loss: Disconnected with its reason, a new connection, a live book, later
    data.
    """
    lose, reason, code = LOSSES[name]
    with Line(server, heartbeat_interval=0.1, pong_timeout=1.0) as line:
        line.wait_ready()
        lose(server)
        told = line.disconnects.wait_for(1)[0]
        again = line.connects.wait_for(2)[1]
        line.wait_ready()
        server.wait_for_connection()
        server.send(make_price_change("1", [("BUY", "0.41", "5")]))
        server.settle(line.sub, timeout=DEADLINE)

        # A TLS library tells a reset and an end apart only by luck.
        assert told.reason in ({"reset", "eof"} if reason == "reset" else {reason})
        assert (code, True, "market") == (told.code, told.will_retry, told.channel)
        assert 0 <= told.delay <= 0.01
        assert again.reconnected
        assert again.downtime is not None
        assert "0.41" == str(line.sub.books["1"].best_bid)


def test_books_are_stale_before_the_loss_is_told(server: FakeServer) -> None:
    """In on_disconnect the book is stale already, by "disconnect"; in on_book_update it tells so
    too.
    """
    seen, updates = Recorder(), Recorder()
    with Line(server, backoff_base=600, backoff_cap=600) as line:
        line.wait_ready()
        line.sub.on_disconnect(lambda _: seen(line.sub.books["1"].stale_reason))
        line.sub.on_book_update(lambda book: updates(book.valid))
        server.disconnect(1001)
        seen.wait_for(1)
        updates.wait_for(1)

        assert ["disconnect"] == seen.items
        assert [False] == updates.items
        assert "DEGRADED" == line.sub.state
        assert not line.sub.healthy


CONNECT_FAULTS: dict[str, tuple[Callable[[FakeServer], object], frozenset[str]]] = {
    "TCP accepted and silent": (lambda s: s.faults.hang(), frozenset({"connect_timeout"})),
    "TLS silent": (lambda s: s.faults.hang_in_tls(), frozenset({"connect_timeout"})),
    "dripping header": (lambda s: s.faults.drip(0.05), frozenset({"connect_timeout"})),
    "reset on accept": (lambda s: s.faults.refuse(), frozenset({"reset", "eof", "tls"})),
    "429": (lambda s: s.faults.reject(429, {"Retry-After": "0"}), frozenset({"rejected"})),
    "503": (lambda s: s.faults.reject(503), frozenset({"rejected"})),
    "redirect": (
        lambda s: s.faults.reject(301, {"Location": "ws://127.0.0.1:1/"}),
        frozenset({"rejected"}),
    ),
}


@pytest.mark.parametrize("name", CONNECT_FAULTS)
def test_a_failed_attempt_is_told_and_followed_by_another(server: FakeServer, name: str) -> None:
    """Each way in which connecting fails ends in time, is told with its attempt, and retried."""
    fault, reasons = CONNECT_FAULTS[name]
    with Line(server, connect_timeout=0.5) as line:
        line.wait_ready()
        fault(server)
        server.disconnect(1001)
        line.disconnects.wait_until(lambda items: any(i.reason in reasons for i in items))
        line.connects.wait_for(2)
        line.wait_ready()

        failed = next(i for i in line.disconnects.items if i.reason in reasons)
        assert (True, 1) == (failed.will_retry, failed.attempt)


def test_retry_after_is_honoured() -> None:
    """A 429 with Retry-After delays the next attempt by at least that, whatever the backoff
    says.
    """
    with FakeServer() as server:
        server.faults.reject(429, {"Retry-After": "1"})
        with Line(server) as line:
            told = line.disconnects.wait_for(1)[0]
            line.connects.wait_for(1)

            assert ("rejected", 429, True) == (told.reason, told.code, told.will_retry)
            assert told.delay >= 1.0


def test_a_server_that_refuses_tcp_is_tried_until_it_listens() -> None:
    """While nothing listens each attempt is told as refused; when it listens again the book comes
    back.
    """
    with FakeServer() as server:
        server.add_book(make_book("1"))
        with Line(server) as line:
            line.wait_ready()
            server.stop_listening()
            server.disconnect()
            line.disconnects.wait_until(lambda items: sum(i.reason == "refused" for i in items) > 2)
            server.listen_again()
            line.wait_ready()

            attempts = [i.attempt for i in line.disconnects.items if i.reason == "refused"]
            assert sorted(attempts) == attempts


def test_a_silent_proxy_ends_at_the_deadline(server: FakeServer) -> None:
    """A CONNECT proxy that accepts and says nothing is a connect_timeout in phase "proxy"."""
    with closing(socket.create_server(("127.0.0.1", 0))) as proxy:
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        with Line(server, proxy=url, connect_timeout=0.3) as line:
            told = line.disconnects.wait_for_reason("connect_timeout")

            assert "proxy" in told.detail


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_client_is_fatal(status: int) -> None:
    """HTTP 401 and 403 end the run: wait() and wait_ready() raise AuthenticationError, the state is
    FAILED.
    """
    with FakeServer() as server:
        server.faults.reject(status, times=None)
        with Line(server) as line:
            with pytest.raises(AuthenticationError):
                line.sub.wait_ready(timeout=DEADLINE)
            with pytest.raises(AuthenticationError):
                line.sub.wait(timeout=DEADLINE)

            told = line.disconnects.wait_for(1)[0]
            assert ("authentication", False, None) == (told.reason, told.will_retry, told.delay)
            assert "FAILED" == line.sub.state
            assert isinstance(line.sub.error, AuthenticationError)


def test_a_wrong_path_is_fatal_at_first_and_retried_later() -> None:
    """HTTP 404 is a wrong URL at the first attempt, and a server's mishap once the URL has
    worked.
    """
    with FakeServer() as server:
        server.add_book(make_book("1"))
        with Line(server) as line:
            line.wait_ready()
            server.faults.reject(404)
            server.disconnect()
            told = line.disconnects.wait_for_reason("rejected")
            line.connects.wait_for(2)
            assert (404, True) == (told.code, told.will_retry)
        options = Options(market_url=server.url().replace("/ws/market", "/wrong"), trust_env=False)
        sub = Subscriber(["1"], options=options)
        with pytest.raises(ConfigurationError, match="/ws/market"):
            sub.run()


def test_a_bad_certificate_is_fatal() -> None:
    """A certificate that nobody trusts ends run() with CertificateError, which names the host."""
    with FakeServer(tls=True) as server:
        sub = Subscriber(["1"], options=server.options(ssl_context=ssl.create_default_context()))
        with pytest.raises(CertificateError, match=r"127\.0\.0\.1"):
            sub.run()


def test_max_attempts_ends_the_run() -> None:
    """With max_attempts=3 the third failure in a row is fatal and raised."""
    with FakeServer() as server:
        server.faults.reject(503, times=None)
        with Line(server, max_attempts=3) as line:
            with pytest.raises(HandshakeRejected):
                line.sub.wait(timeout=DEADLINE)

            assert [1, 2, 3] == [told.attempt for told in line.disconnects.items]
            assert [True, True, False] == [told.will_retry for told in line.disconnects.items]


def test_credentials_refused_three_times_are_fatal() -> None:
    """A server that resets right after the credentials is retried twice, then AuthenticationError
    says why.
    """
    with FakeServer() as server:
        server.faults.bad_credentials(times=100)
        sub = Subscriber(credentials=KEYS, options=server.options(**QUICK))
        disconnects, gaps, resyncs = Recorder(), Recorder(), Recorder()
        sub.on_disconnect(disconnects)
        sub.on_gap(gaps)
        sub.on_resync(resyncs)
        sub.start()
        with pytest.raises(AuthenticationError, match="credentials"):
            sub.wait(timeout=DEADLINE)
        sub.stop()

        assert [True, True, False] == [told.will_retry for told in disconnects.items]
        assert "authentication" == disconnects.items[-1].reason
        assert (1, 0) == (len(gaps.items), len(resyncs.items))  # one incident, which never ends


def test_a_fatal_user_channel_ends_the_market_channel_too() -> None:
    """One fatal error ends the whole run: the open market connection is told as "failed"."""
    with FakeServer() as server:
        server.add_book(make_book("1"))
        server.faults.bad_credentials(times=100)
        options = server.options(**QUICK)
        sub = Subscriber(["1"], credentials=KEYS, markets=[], options=options)
        disconnects = Recorder()
        sub.on_disconnect(disconnects)
        with sub:
            sub.wait_ready(timeout=DEADLINE)
            sub.subscribe(markets=["0x1"])  # now the user channel is opened, and refused
            with pytest.raises(AuthenticationError):
                sub.wait(timeout=DEADLINE)

        told = disconnects.wait_for_reason("failed")
        assert ("market", False) == (told.channel, told.will_retry)


def test_the_whole_wanted_set_is_sent_again() -> None:
    """After a reconnect the first text names every asset wanted by then, changes made meanwhile
    included.
    """
    with FakeServer() as server:
        for asset_id in "123":
            server.add_book(make_book(asset_id))
        with Line(server) as line:
            line.wait_ready()
            line.sub.subscribe(["2"])
            line.wait_ready()
            server.faults.reject(503)
            server.disconnect()
            line.sub.unsubscribe(["1"])
            line.sub.subscribe(["3"])
            line.connects.wait_for(2)
            line.wait_ready()

            assert {"2", "3"} == server.open_connections()[-1].asset_ids
            assert {"2", "3"} == set(line.sub.books)


def test_heartbeats_go_on_while_a_callback_blocks(server: FakeServer) -> None:
    """A callback that blocks for 60 PING intervals costs no heartbeat, and the books stay
    current.
    """
    gate, entered = threading.Event(), threading.Event()

    def block(_: object) -> None:
        entered.set()
        gate.wait(DEADLINE)

    with Line(server, heartbeat_interval=0.02, pong_timeout=10, queue_limit=10) as line:
        line.wait_ready()
        line.sub.on_price_change(block)
        server.send(make_price_change("1", [("BUY", "0.40", "1")]))
        assert entered.wait(DEADLINE)
        record = server.open_connections()[-1]
        first = record.pings
        for size in range(2, 52):
            server.send(make_price_change("1", [("BUY", "0.40", size)]))
        assert server.wait_until(lambda: record.pings >= first + 60, DEADLINE)

        top = line.sub.books["1"].top
        stats = line.sub.stats()
        gate.set()
        assert top.bid is not None
        assert "51" == str(top.bid.size)
        # Ten changes wait, and in place of the others one Gap.
        assert (40, 11, 0) == (stats.dropped, stats.queue_depth, stats.reconnects)
        assert record.open

"""What each fault of the machine or of the network costs, over real sockets. `make faults`.

Each row is a process of its own, with default options unless it says otherwise. It follows a
simulated exchange, injects its fault and waits until a book has what the exchange did later.
Arguments: `--write`, names of rows; none is all of them.
"""

from __future__ import annotations

import ctypes
import json
import logging
import multiprocessing
import os
import resource
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from itertools import groupby
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any

from attrs import frozen

sys.path.insert(0, str(Path(__file__).parent.parent))

from kit.loopback import HttpProxy, SocksProxy, authority, client_context
from kit.measured import write_part
from kit.network import (
    CLIENT,
    SERVER,
    NameServer,
    Wire,
    change_address,
    enter_network,
    in_network,
    listen_on,
    open_tun,
    why_not,
)

from polymarket_ws import Subscriber, clock
from polymarket_ws.testing import FakeServer, SimulatedExchange

STEPS_PER_SECOND = 50.0
PATIENCE = 120.0
AT_ONCE = 4  # rows: they wait most of the time
NOTICED_WITHIN = 25.5  # seconds: a heartbeat (10), a pong timeout (15) and a turn
LOGIN = ("user", "pass-9")
OTHER_USER = 65534


class FeedServer(FakeServer):
    """A server whose exchange has one market. It may be in another process."""

    def __init__(self, tls: bool = False) -> None:
        self._simulated = SimulatedExchange(markets=1)
        super().__init__(self._simulated, tls)

    def serve(self) -> None:
        """Start; the server itself cannot be returned to another process."""
        self.start()

    def now_ms(self) -> int:
        """The time of the exchange's last happening."""
        return self._simulated.now_ms

    def asset_id(self) -> str:
        """Whose book is followed."""
        return self._simulated.asset_ids[0]

    def send_large(self, mib: int) -> None:
        """Send a text of this size."""
        self.send("x" * mib * 2**20)


class _Manager(BaseManager):
    """Has FeedServers in a process of its own."""


_CALLABLE = ("serve", "options", "run", "disconnect", "now_ms", "asset_id", "send_large")
_Manager.register("FeedServer", FeedServer, exposed=_CALLABLE)


class Feed:
    """A server whose exchange acts all the time, and a subscriber: what it was told, and when.

    The clock of the figures begins with `begin`.
    """

    def __init__(self, server: FeedServer, **options: Any) -> None:
        self.server = server
        self.told: list[str] = []
        self.noticed: float | None = None
        self.live: float | None = None
        self._begun_at = float("inf")
        self._asset_id = server.asset_id()
        self.sub = sub = Subscriber([self._asset_id], options=server.options(**options))
        sub.on_disconnect(self._lost)
        sub.on_connect(lambda event: self._tell("Connected") if event.reconnected else None)
        sub.on_gap(lambda gap: self._tell(f"Gap {gap.reason}"))
        sub.on_resync(lambda _: self._tell("Resync"))
        sub.on_error(lambda error: self._tell(f"on_error {type(error).__name__}"))

    def _lost(self, event: Any) -> None:
        if event.reason == "stopped":
            return
        if self.noticed is None:
            self.noticed = time.monotonic() - self._begun_at
        self._tell(f"Disconnected {event.reason}")

    def _tell(self, word: str) -> None:
        self.told.append(word)

    def start(self) -> None:
        """Be live."""
        self.server.run(STEPS_PER_SECOND)
        self.sub.start()
        self.sub.wait_ready(30)

    def begin(self) -> None:
        """The fault is about to be injected."""
        self._begun_at = time.monotonic()

    def wait_live(self) -> None:
        """Wait until the book has what happens after this moment, and all that was lost is back."""
        since, deadline = self.server.now_ms(), time.monotonic() + PATIENCE
        book = self.sub.books[self._asset_id]
        while time.monotonic() < deadline:
            if book.valid and (book.top.timestamp_ms or 0) > since and self.sub.healthy:
                self.live = time.monotonic() - self._begun_at
                pause(0.5)  # for what is told after it
                return
            pause(0.02)

    def wait_failed(self) -> None:
        """Wait until the run is over."""
        deadline = time.monotonic() + PATIENCE
        while self.sub.state.name != "FAILED" and time.monotonic() < deadline:
            pause(0.02)
        self.noticed = time.monotonic() - self._begun_at

    def result(self) -> dict[str, Any]:
        """What the row's process tells."""
        state, errors = self.sub.state.name, self.sub.stats().internal_errors
        stopped = self.sub.stop(10)
        return {
            "told": self.told,
            "noticed": self.noticed,
            "live": self.live,
            "state": state if stopped else "stop() hangs",
            "internal_errors": errors,
        }


def pause(seconds: float) -> None:
    """Let the fault last."""
    threading.Event().wait(seconds)


@contextmanager
def _near(**options: Any) -> Iterator[Feed]:
    """A live feed on the loopback interface."""
    with FeedServer() as server:
        feed = Feed(server, **options)
        feed.start()
        yield feed


@contextmanager
def _served_elsewhere() -> Iterator[Feed]:
    """A feed, to be started, whose server is in another process."""
    with _Manager(ctx=multiprocessing.get_context("spawn")) as manager:
        server = manager.FeedServer()  # type: ignore[attr-defined]  # registered above
        server.serve()
        yield Feed(server)


@contextmanager
def _far() -> Iterator[tuple[Feed, Wire]]:
    """A live feed in another network namespace, and the wire to it."""
    enter_network()
    ours = open_tun(CLIENT)

    def serve() -> tuple[FeedServer, int]:
        tun = open_tun(SERVER)
        return FeedServer().start(), tun

    server, theirs = in_network(serve)
    listen_on(server, "0.0.0.0")
    wire = Wire(ours, theirs)
    feed = Feed(server, market_url=f"ws://{SERVER}:{server.port}/ws/market")
    feed.start()
    yield feed, wire


def _on_the_wire(seconds: float, **faults: float) -> Callable[[], dict[str, Any]]:
    """A fault of the wire, for so long; or, if 0, until the stream goes on under it."""

    def run() -> dict[str, Any]:
        with _far() as (feed, wire):
            pause(1.0)
            feed.begin()
            for name, value in faults.items():
                setattr(wire, name, value)
            pause(seconds)
            if seconds:
                for name in faults:
                    setattr(wire, name, None if name == "bytes_per_second" else 0.0)
            feed.wait_live()
            pause(0 if seconds else 30)  # two heartbeats under it
            return feed.result()

    return run


def _overload() -> dict[str, Any]:
    with _far() as (feed, wire):
        feed.server.run(10 * STEPS_PER_SECOND)
        pause(1.0)
        feed.begin()
        wire.bytes_per_second = 16_000
        pause(40)
        wire.bytes_per_second = None
        feed.wait_live()
        return feed.result()


def _another_address() -> dict[str, Any]:
    with _far() as (feed, _):
        feed.begin()
        change_address(CLIENT, "10.9.0.7")
        feed.server.pause()  # only what is sent from here can find out
        pause(1)
        feed.server.run(STEPS_PER_SECOND)
        feed.wait_live()
        return feed.result()


def _reset() -> dict[str, Any]:
    with _near() as feed:
        feed.begin()
        feed.server.disconnect()
        feed.wait_live()
        return feed.result()


def _half_open() -> dict[str, Any]:
    with _near() as feed:
        pause(0.3)
        feed.begin()
        feed.server.half_open()
        feed.wait_live()
        return feed.result()


def _lose(feed: Feed, seconds: float, begin: Callable[[], None], end: Callable[[], None]) -> None:
    """Begin something that hinders connecting, cut the connection, and end it after a while."""
    feed.begin()
    begin()
    feed.server.disconnect()
    pause(seconds)
    end()
    feed.wait_live()


@contextmanager
def _named() -> Iterator[tuple[Feed, NameServer]]:
    """A live feed at the address of a name, and the server of that name."""
    enter_network(mounts=True)
    with tempfile.TemporaryDirectory() as folder:
        names = NameServer("127.0.0.1", Path(folder))
        with FeedServer() as server:
            feed = Feed(server, market_url=f"ws://feed.test:{server.port}/ws/market")
            feed.start()
            yield feed, names


def _names_answer(address: str | None, seconds: float) -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        with _named() as (feed, names):
            _lose(
                feed,
                seconds,
                lambda: setattr(names, "address", address),
                lambda: setattr(names, "address", "127.0.0.1"),
            )
            return feed.result()

    return run


def _name_moves() -> dict[str, Any]:
    with _named() as (feed, names):
        _lose(
            feed,
            3,
            lambda: listen_on(feed.server, "127.0.0.2"),
            lambda: setattr(names, "address", "127.0.0.2"),
        )
        return feed.result()


def _certify(context: ssl.SSLContext, kind: str) -> ssl.SSLContext:
    day = timedelta(days=1 if kind != "expired" else -1)
    host = "elsewhere.test" if kind == "of another host" else "127.0.0.1"
    until = datetime.now(timezone.utc) + day
    leaf = authority().issue_cert(host, not_before=until - timedelta(days=5), not_after=until)
    leaf.configure_cert(context)
    return context


def _bad_certificate_at_first(kind: str) -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        with FeedServer(tls=True) as server:
            server._loop.tls = _certify(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), kind)
            server._client_tls = client_context()
            feed = Feed(server)
            feed.begin()
            feed.sub.start()
            feed.wait_failed()
            return feed.result()

    return run


def _bad_certificate_later(kind: str) -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        context = _certify(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "good")
        with FeedServer(tls=True) as server:
            server._loop.tls, server._client_tls = context, client_context()
            feed = Feed(server)
            feed.start()
            _lose(
                feed,
                3,
                lambda: _and_forget(_certify(context, kind)),
                lambda: _and_forget(_certify(context, "good")),
            )
            return feed.result()

    return run


def _and_forget(_: object) -> None:
    """Drop a result."""


def _clock_steps(seconds: float) -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        offset_ns = [0]
        stepped: Callable[[], int] = lambda: time.time_ns() + offset_ns[0]  # noqa: E731
        object.__setattr__(clock.SYSTEM, "wall_ns", stepped)
        with _near() as feed:
            feed.begin()
            offset_ns[0] = int(seconds * 1e9)
            feed.wait_live()
            pause(12)  # a heartbeat
            return feed.result()

    return run


def _suspended(seconds: float) -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        child = os.getpid()
        with _served_elsewhere() as feed:
            feed.start()
            words = f"sleep {seconds}; kill -CONT {child}"
            waker = subprocess.Popen(["sh", "-c", words])
            feed.begin()
            os.kill(child, signal.SIGSTOP)
            feed.wait_live()
            waker.wait()
            return feed.result()

    return run


def _no_descriptors() -> dict[str, Any]:
    with _served_elsewhere() as feed:
        feed.start()
        lowest_free = os.dup(0)
        os.close(lowest_free)
        _lose(feed, 3, *_limited(resource.RLIMIT_NOFILE, lambda: lowest_free))
        return feed.result()


def _no_threads() -> dict[str, Any]:
    with _served_elsewhere() as feed:
        # The limit is not for root. The interpreter's files may be root's: they are still read.
        os.setresuid(OTHER_USER, OTHER_USER, 0)
        ctypes.CDLL(None).setfsuid(0)
        feed.start()
        _lose(feed, 3, *_limited(resource.RLIMIT_NPROC, lambda: 1))
        result = feed.result()
        os.setresuid(0, 0, 0)
        return result


def _no_memory() -> dict[str, Any]:
    with _served_elsewhere() as feed:
        feed.start()
        begin, end = _limited(resource.RLIMIT_AS, lambda: _address_space() + 4 * 2**20)
        feed.begin()
        begin()
        feed.server.send_large(48)
        pause(3)
        end()
        feed.wait_live()
        return feed.result()


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _limited(kind: int, limit: Callable[[], int]) -> tuple[Callable[[], None], Callable[[], None]]:
    """What sets a limit of this process, and what lifts it."""
    soft, hard = resource.getrlimit(kind)
    return (
        lambda: resource.setrlimit(kind, (limit(), hard)),
        lambda: resource.setrlimit(kind, (soft, hard)),
    )


def _proxy_dies(kind: type[HttpProxy | SocksProxy], scheme: str) -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        with ExitStack() as stack:
            proxy = stack.enter_context(kind(*LOGIN))
            url = f"{scheme}://{':'.join(LOGIN)}@127.0.0.1:{proxy.port}"
            feed = stack.enter_context(_near(proxy=url))
            feed.begin()
            proxy.__exit__()
            pause(3)
            stack.enter_context(kind(*LOGIN, port=proxy.port))
            feed.wait_live()
            return feed.result()

    return run


@frozen
class Row:
    """A fault, and what is expected."""

    injected: str
    run: Callable[[], dict[str, Any]]
    reasons: str = ""
    """Of Disconnected: the first has to be told; "" for none at all."""
    live_within: float | None = 5.0
    """Seconds after the fault; None: it is fatal."""
    noticed_within: float = 1.0
    needs_network: bool = False
    internal_errors: int = 0
    """That it may cost."""

    @property
    def expected(self) -> str:
        """In words."""
        if self.live_within is None:
            return f"fatal: {self.reasons}"
        if not self.reasons:
            return f"nothing told, live within {self.live_within:g} s"
        return (
            f"{self.reasons.replace(' ', ' or ')}, noticed within {self.noticed_within:g} s, "
            f"live within {self.live_within:g} s"
        )

    def is_met(self, seen: dict[str, Any]) -> bool:
        """Whether it went as expected."""
        reasons = [w.split()[1] for w in seen["told"] if w.startswith("Disconnected")]
        is_told = bool(reasons) == bool(self.reasons) and {*reasons} <= {*self.reasons.split()}
        in_time = not self.reasons or (seen["noticed"] or PATIENCE) <= self.noticed_within
        if self.live_within is None:
            return is_told and in_time and seen["state"] == "FAILED"
        return (
            is_told
            and in_time
            and seen["state"] == "LIVE"
            and seen["live"] is not None
            and seen["live"] <= self.live_within
            and seen["internal_errors"] <= self.internal_errors
        )


def _wire_row(injected: str, seconds: float, reasons: str = "", **words: Any) -> Row:
    known = {"live_within", "noticed_within"}
    faults = {name: value for name, value in words.items() if name not in known}
    expected = {name: value for name, value in words.items() if name in known}
    return Row(injected, _on_the_wire(seconds, **faults), reasons, needs_network=True, **expected)


_BACKOFF = 12.0  # seconds that four or five attempts in vain may put off the next

ROWS: dict[str, Row] = {
    "latency": _wire_row("each packet takes 1 s more, each way", 0, delay=1.0),
    "loss": _wire_row("20 % of the packets are lost", 0, loss=0.2, live_within=10),
    "reordering": _wire_row("packets overtake each other within 0.4 s", 0, jitter=0.4),
    "bandwidth": _wire_row("64 KiB a second, enough for the load", 0, bytes_per_second=2**16),
    "overload": Row(
        "16 KB a second for 40 s, far less than the load",
        _overload,
        "pong_timeout closed connect_timeout reset eof",
        live_within=90,
        noticed_within=NOTICED_WITHIN,
        needs_network=True,
    ),
    "reset": Row("RST", _reset, "reset"),
    "blackhole": _wire_row(
        "no packet passes for 40 s",
        40,
        "pong_timeout connect_timeout",
        loss=1.0,
        live_within=40 + _BACKOFF,
        noticed_within=NOTICED_WITHIN,
    ),
    "half-open": Row(
        "the peer acknowledges, but neither reads nor sends",
        _half_open,
        "pong_timeout",
        live_within=NOTICED_WITHIN + 2,
        noticed_within=NOTICED_WITHIN,
    ),
    "own-address": Row(
        "this host's address changes",
        _another_address,
        "pong_timeout network reset send_timeout",
        live_within=NOTICED_WITHIN + 2,
        noticed_within=NOTICED_WITHIN,
        needs_network=True,
    ),
    "dns-failure": Row(
        "RST, then no such name for 5 s",
        _names_answer("", 5),
        "reset dns",
        live_within=5 + _BACKOFF,
        needs_network=True,
    ),
    "dns-hang": Row(
        "RST, then no answer of the name server for 15 s",
        _names_answer(None, 15),
        "reset connect_timeout dns",
        live_within=15 + _BACKOFF,
        needs_network=True,
    ),
    "dns-change": Row(
        "RST, the server has moved; 3 s later its name, too",
        _name_moves,
        "reset refused",
        live_within=3 + _BACKOFF,
        needs_network=True,
    ),
    **{
        f"{kind}-first".replace(" ", "-"): Row(
            f"certificate {kind}, at the first connect",
            _bad_certificate_at_first(kind),
            "certificate",
            live_within=None,
        )
        for kind in ("expired", "of another host")
    },
    **{
        f"{kind}-later".replace(" ", "-"): Row(
            f"RST, then a certificate {kind} for 3 s",
            _bad_certificate_later(kind),
            "reset eof certificate",
            live_within=3 + _BACKOFF,
        )
        for kind in ("expired", "of another host")
    },
    "clock-forward": Row("the run's wall clock steps by a day", _clock_steps(86_400)),
    "clock-back": Row("the run's wall clock steps back by a day", _clock_steps(-86_400)),
    # The sender's kernel may not notice the open window before the next PING or probe.
    "suspended": Row(
        "SIGSTOP, SIGCONT after 40 s; the server waits",
        _suspended(40),
        live_within=52,
    ),
    "descriptors": Row(
        "RST, then no descriptor left for 3 s (EMFILE)",
        _no_descriptors,
        "reset network dns",
        live_within=3 + _BACKOFF,
    ),
    "threads": Row(
        "RST, then no thread can be started for 3 s (RLIMIT_NPROC)",
        _no_threads,
        "reset network",
        live_within=3 + _BACKOFF,
        needs_network=True,
    ),
    "memory": Row(
        "4 MiB of address space left for 3 s (RLIMIT_AS), and a text of 48 MiB",
        _no_memory,
        "internal_error network protocol_error",
        live_within=3 + _BACKOFF,
        noticed_within=3.0,
        internal_errors=4,
    ),
    "http-proxy": Row(
        "the CONNECT proxy, with a login, dies in mid-stream for 3 s",
        _proxy_dies(HttpProxy, "http"),
        "eof reset proxy",
        live_within=3 + _BACKOFF,
    ),
    "socks-proxy": Row(
        "the SOCKS5 proxy, with a login, dies in mid-stream for 3 s",
        _proxy_dies(SocksProxy, "socks5"),
        "eof reset proxy",
        live_within=3 + _BACKOFF,
    ),
}
NOT_POSSIBLE = {
    "CLOCK_REALTIME steps": "it is the whole machine's; the run's clock is stepped instead",
    "tc netem": "not in every kernel; the packets pass through a faulty wire of our own (TUN)",
}


def measure(name: str) -> tuple[str, bool]:
    """One row of the table, and whether it is as expected."""
    row = ROWS[name]
    if row.needs_network and (lacking := why_not()):
        return f"| {row.injected} | {row.expected} | not possible here: {lacking} | | | |", True
    command = [sys.executable, __file__, "--row", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    if not done.stdout:
        return f"| {row.injected} | {row.expected} | died: {done.stderr[-300:]!r} | | | NO |", False
    seen = json.loads(done.stdout.splitlines()[-1])
    groups = [(word, len(list(same))) for word, same in groupby(seen["told"])]
    told = ", ".join(word if count == 1 else f"{count}x {word}" for word, count in groups)
    noticed, live = (
        "" if seconds is None else f"{seconds:.2f}" for seconds in (seen["noticed"], seen["live"])
    )
    is_met = row.is_met(seen)
    ok = "yes" if is_met else "NO"
    line = f"| {row.injected} | {row.expected} | {told or 'nothing'}; {seen['state']} "
    return f"{line}| {noticed} | {live} | {ok} |", is_met


def main(names: list[str]) -> int:
    """Measure and print the table; returns 1 when a row is not as expected."""
    lines = [
        "| injected | expected | seen and told; state at the end | noticed, s | live, s | ok |",
        "|---|---|---|---|---|---|",
    ]
    writes = "--write" in names
    print("\n".join(lines))
    is_good = True
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for line, is_met in pool.map(measure, [n for n in names if n != "--write"] or ROWS):
            print(line, flush=True)
            lines.append(line)
            is_good = is_good and is_met
    for what, why in NOT_POSSIBLE.items():
        lines.append(f"| {what} | | not possible here: {why} | | | |")
        print(lines[-1])
    if writes:
        write_part("faults", lines)
    return 0 if is_good else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--row"]:
        logging.disable(logging.CRITICAL)
        print(json.dumps(ROWS[sys.argv[2]].run()))
        sys.exit(0)
    sys.exit(main(sys.argv[1:]))

"""Time that stop() takes at each moment of a subscriber's life, and what it leaves. A command:
`make stop-times`.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from polymarket_ws import Subscriber
from polymarket_ws.testing import FakeServer, make_book, make_price_change

ROUNDS = 20
CYCLES = 1000


def _left() -> str:
    threads = sum(t.name.startswith("polymarket-ws-") for t in threading.enumerate())
    return f"{threads} threads"


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def _server(tls: bool = False) -> Iterator[FakeServer]:
    with FakeServer(tls=tls) as server:
        server.add_book(make_book("1"))
        yield server


def _timed(sub: Subscriber) -> float:
    start = time.perf_counter()
    if not sub.stop(timeout=10):
        raise AssertionError("stop() returned False")
    return time.perf_counter() - start


def before_start(_: FakeServer) -> float:
    return _timed(Subscriber(["1"]))


def at_once(server: FakeServer) -> float:
    sub = Subscriber(["1"], options=server.options())
    sub.start()
    return _timed(sub)


def while_live(server: FakeServer) -> float:
    sub = Subscriber(["1"], options=server.options())
    sub.start()
    sub.wait_ready()
    return _timed(sub)


def from_a_callback(server: FakeServer) -> float:
    asked: list[float] = []
    sub = Subscriber(["1"], options=server.options())
    sub.on_book(lambda _: (asked.append(time.perf_counter()), sub.stop()))
    sub.start()
    sub.wait(timeout=10)
    return time.perf_counter() - asked[0]


def from_a_signal_handler(server: FakeServer) -> float:
    sub = Subscriber(["1"], options=server.options())
    taken: list[float] = []
    former = signal.signal(signal.SIGUSR1, lambda *_: taken.append(_timed(sub)))
    sub.start()
    sub.wait_ready()
    os.kill(os.getpid(), signal.SIGUSR1)
    sub.wait(timeout=10)
    signal.signal(signal.SIGUSR1, former)
    return taken[0]


def _while_connecting(fault: Callable[[FakeServer], object]) -> Callable[[FakeServer], float]:
    def measure(server: FakeServer) -> float:
        fault(server)
        seen = len(server.connections)
        sub = Subscriber(["1"], options=server.options(connect_timeout=600))
        sub.start()
        server.wait_until(lambda: len(server.connections) > seen)
        return _timed(sub)

    return measure


def while_a_proxy_is_silent(server: FakeServer) -> float:
    with closing(socket.create_server(("127.0.0.1", 0))) as proxy:
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        sub = Subscriber(["1"], options=server.options(proxy=url, connect_timeout=600))
        sub.start()
        with closing(proxy.accept()[0]) as accepted:
            accepted.recv(1)
            return _timed(sub)


def during_backoff(server: FakeServer) -> float:
    server.faults.reject(503, {"Retry-After": "200"})
    sub = Subscriber(["1"], options=server.options())
    stream = sub.events("disconnect", timeout=10)
    sub.start()
    next(stream)
    return _timed(sub)


def under_a_flood(server: FakeServer) -> float:
    sub = Subscriber(["1"], options=server.options())
    sub.on_price_change(lambda _: None)
    sub.start()
    sub.wait_ready()
    server.flood(make_price_change("1"))
    sub._wait_until(lambda: sub.stats().events.get("price_change", 0) > 500, 10)
    return _timed(sub)


MOMENTS: dict[str, tuple[Callable[[FakeServer], float], bool]] = {
    "before start": (before_start, False),
    "at once after start": (at_once, False),
    "live, from another thread": (while_live, False),
    "live, wss": (while_live, True),
    "from a callback": (from_a_callback, False),
    "from a signal handler": (from_a_signal_handler, False),
    "TCP accepted and silent": (_while_connecting(lambda s: s.faults.hang()), False),
    "TLS silent": (_while_connecting(lambda s: s.faults.hang_in_tls()), True),
    "CONNECT silent": (while_a_proxy_is_silent, False),
    "dripping header": (_while_connecting(lambda s: s.faults.drip(0.2)), False),
    "during backoff": (during_backoff, False),
    "under a flood": (under_a_flood, False),
    "under a flood, wss": (under_a_flood, True),
}


def main() -> None:
    """Print the table, then what 1 000 cycles leave."""
    logging.disable(logging.ERROR)
    for name, (measure, tls) in MOMENTS.items():
        with _server(tls) as server:
            times = [1000 * measure(server) for _ in range(ROUNDS)]
        median, most = statistics.median(times), max(times)
        print(
            f"{name:28} median {median:7.2f} ms, most {most:7.2f} ms, left: {_left()}", flush=True
        )
    with _server() as server:
        before, start = _descriptors(), time.perf_counter()
        for _ in range(CYCLES):
            at_once(server)
        seconds = time.perf_counter() - start
        more = _descriptors() - before
        print(f"{CYCLES} cycles in {seconds:.1f} s, left: {_left()}, {more} descriptors more")


if __name__ == "__main__":
    main()

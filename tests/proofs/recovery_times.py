"""Time to recovery for each way to lose the line, with what was told. A command, not a test: `make
recovery`.

Heartbeat and pong timeout are a tenth of the defaults (1 s and 2 s), the connect timeout too;
everything
else is as a user gets it. The clock runs from the fault to the book being live again.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from polymarket_ws import Subscriber
from polymarket_ws.testing import FakeServer, make_book

SHORTENED = {"heartbeat_interval": 1.0, "pong_timeout": 2.0, "connect_timeout": 1.0}


def _after_close(fault: Callable[[FakeServer], object]) -> Callable[[FakeServer], object]:
    def lose(server: FakeServer) -> None:
        fault(server)
        server.disconnect(1001)

    return lose


LOSSES: dict[str, Callable[[FakeServer], object]] = {
    "close 1001": lambda s: s.disconnect(1001, "going away"),
    "close 1013": lambda s: s.disconnect(1013, "slow consumer: send buffer full"),
    "RST": lambda s: s.disconnect(),
    "EOF": lambda s: s.end(),
    "half-open peer": lambda s: s.half_open(),
    "stall in mid-frame": lambda s: s.stall(),
    "then TCP accepted, silent": _after_close(lambda s: s.faults.hang()),
    "then TLS silent": _after_close(lambda s: s.faults.hang_in_tls()),
    "then dripping header": _after_close(lambda s: s.faults.drip(0.1)),
    "then RST on accept": _after_close(lambda s: s.faults.refuse()),
    "then 429, Retry-After 2": _after_close(lambda s: s.faults.reject(429, {"Retry-After": "2"})),
    "then 503": _after_close(lambda s: s.faults.reject(503)),
}


class Told:
    """What on_disconnect and on_connect said, and when the book was live again."""

    def __init__(self, sub: Subscriber) -> None:
        self.words: list[str] = []
        self.live = threading.Event()
        self.armed = False
        sub.on_disconnect(self._disconnected)
        sub.on_connect(self._connected)
        sub.on_book_update(self._updated)

    def _disconnected(self, event: Any) -> None:
        delay = "" if event.delay is None else f", next in {event.delay:.2f} s"
        self.words.append(f"{event.reason} {event.code or ''}".strip() + delay)

    def _connected(self, event: Any) -> None:
        if event.reconnected:
            self.words.append(f"connected (attempt {event.attempt}, down {event.downtime:.2f} s)")

    def _updated(self, book: Any) -> None:
        if self.armed and book.valid and any("connected" in word for word in self.words):
            self.live.set()


def measure(lose: Callable[[FakeServer], object], tls: bool, **options: object) -> str:
    """Lose the line once; the seconds until the book was live, and what was told."""
    with FakeServer(tls=tls) as server:
        server.add_book(make_book("1"))
        sub = Subscriber(["1"], options=server.options(**{**SHORTENED, **options}))
        told = Told(sub)
        with sub:
            sub.wait_ready(timeout=10)
            told.armed, start = True, time.monotonic()
            lose(server)
            seconds = time.monotonic() - start if told.live.wait(30) else float("nan")
    return f"{seconds:6.2f} s  {'; '.join(told.words[:-1])}"


def _silent_proxy() -> str:
    """A CONNECT proxy that is silent: what is told, once."""
    with closing(socket.create_server(("127.0.0.1", 0))) as proxy, FakeServer() as server:
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        sub = Subscriber(["1"], options=server.options(**SHORTENED, proxy=url))
        start = time.monotonic()
        stream = sub.events("disconnect", timeout=10)
        with sub:
            told = next(stream)
            return f"{time.monotonic() - start:6.2f} s  {told}"


def main() -> None:
    """Print the table."""
    logging.disable(logging.ERROR)
    for tls in (False, True):
        print("wss://" if tls else "ws://")
        for name, lose in LOSSES.items():
            print(f"  {name:26} {measure(lose, tls)}", flush=True)
    print(f"  {'CONNECT silent (told)':26} {_silent_proxy()}")


if __name__ == "__main__":
    main()

"""Children forked under a flood, while ten threads call everything. A command: `make forks`.

Arguments: how many children (1000).
"""

from __future__ import annotations

import contextlib
import faulthandler
import itertools
import json
import logging
import os
import select
import signal
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable

from polymarket_ws import Credentials, LastTradePrice, Subscriber
from polymarket_ws.testing import FakeServer, SimulatedExchange

CHILD_SECONDS = 20.0  # a child that has not ended by then hangs
KEYS = Credentials("key-1", "VE9QU0VDUkVU", "PASSPHRASE9")


def users(sub: Subscriber, other: Subscriber, assets: list[str]) -> list[Callable[[], object]]:
    """What ten threads do to two subscribers, over and over."""

    def pull() -> None:
        with sub.events(timeout=0.01) as stream:
            next(stream, None)

    def wait_for() -> None:
        with contextlib.suppress(TimeoutError):
            sub.wait_for(LastTradePrice, timeout=0.01)

    def restart() -> None:
        other.start()
        other.stop(timeout=1.0)

    def register() -> None:
        def callback(_: object) -> None:
            pass

        sub.on_price_change(callback)
        sub.remove_callback(callback)

    def resubscribe() -> None:
        sub.unsubscribe(assets[-1:])
        sub.subscribe(assets[-1:])

    def wait_ready() -> None:
        with contextlib.suppress(TimeoutError):
            sub.wait_ready(timeout=0.01)

    return [
        pull,
        wait_for,
        restart,
        register,
        resubscribe,
        wait_ready,
        sub.stats,
        lambda: [book.snapshot() for book in list(sub.books.values())],
        lambda: [book.top for book in list(sub.books.values())],
        lambda: (sub.wait(timeout=0.001), repr(sub), dict(sub.orders.items()), list(sub.trades)),
    ]


def look(sub: Subscriber, former_books: list[object], starts: bool) -> dict[str, object]:
    """What a child sees, with every member that could hang called once."""
    seen: dict[str, object] = {
        "state": str(sub.state),
        "healthy": sub.healthy,
        "valid": any(book.valid for book in former_books),  # type: ignore[attr-defined]
    }
    for book in former_books:
        book.snapshot()  # type: ignore[attr-defined]
    sub.stats()
    sub.on_book(lambda _: None)
    sub.subscribe(["9" * 77])
    sub.events().close()
    seen["stop"] = sub.stop(timeout=2.0)
    if starts:
        sub.unsubscribe(["9" * 77])
        sub.start()
        sub.wait_ready(timeout=10.0)
        seen["started"] = sub.healthy
        sub.stop()
    return seen


def fork(run: Callable[[], dict[str, object]]) -> tuple[int, int]:
    """Run something in a forked child; its process id and where its result can be read."""
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: what is proved here
        child = os.fork()
    if child:
        os.close(theirs)
        return child, ours
    code = 1
    try:
        faulthandler.dump_traceback_later(CHILD_SECONDS - 2)
        os.write(theirs, json.dumps(run()).encode())
        code = 0
    except BaseException as error:
        os.write(theirs, json.dumps({"raised": repr(error)[:200]}).encode())
    finally:
        os._exit(code)


def result_of(child: int, pipe: int) -> dict[str, object]:
    """What the child told; it is killed when it hangs."""
    told = b""
    deadline = time.monotonic() + CHILD_SECONDS
    while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
        piece = os.read(pipe, 65536)
        told += piece
        if not piece:
            break
    else:
        os.kill(child, signal.SIGKILL)
    os.close(pipe)
    os.waitpid(child, 0)
    return json.loads(told) if told else {"hung": True}


def main(children: int) -> int:
    """Fork so many; returns 1 when any hung, raised or said that something was well."""
    logging.basicConfig(level=logging.CRITICAL)
    market = SimulatedExchange(seed=7)
    assets = list(market.asset_ids)
    with FakeServer(market, credentials=KEYS) as server:
        sub = Subscriber(assets, credentials=KEYS, options=server.options())
        other = Subscriber(assets[:1], options=server.options())
        sub.on_book_update(lambda book: book.snapshot(5))
        ending = threading.Event()

        def work(call: Callable[[], object]) -> None:
            while not ending.is_set():
                call()

        sub.start()
        sub.wait_ready()
        server.run(rate=2000)
        threads = [
            threading.Thread(target=work, args=(call,)) for call in users(sub, other, assets)
        ]
        for thread in threads:
            thread.start()
        outcomes: Counter[str] = Counter()
        reconnects = sub.stats().reconnects
        for number in range(children):
            books = list(sub.books.values())
            child, pipe = fork(lambda books=books, n=number: look(sub, books, n % 10 == 0))  # type: ignore[misc]
            seen = result_of(child, pipe)
            outcomes[", ".join(f"{key} {value}" for key, value in seen.items())] += 1
        before = sub.stats().events
        threading.Event().wait(0.5)
        after = sub.stats().events
        ending.set()
        for thread in threads:
            thread.join()
        print(f"{children} children:")
        for outcome, count in outcomes.most_common():
            print(f"  {count:5d}  {outcome}")
        received = sum(after.values()) - sum(before.values())
        print(
            f"parent: {sub.state}, {received} events in 0.5 s after, "
            f"{sub.stats().reconnects - reconnects} reconnects"
        )
        sub.stop()
        server.pause()
    bad = [o for o in outcomes if "FORKED, healthy False, valid False, stop True" not in o]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, itertools.islice(sys.argv, 1, None))) if sys.argv[1:] else main(1000))

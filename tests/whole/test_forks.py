"""What a forked child sees of its parent's subscribers, by real forks under a live connection."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kit.forking import in_child
from kit.locks import locks_of
from kit.recorder import DEADLINE, Recorder

from polymarket_ws import Book, Credentials, Disconnected, Options, State, Subscriber, running
from polymarket_ws.testing import FakeServer, make_book, make_order, make_price_change

KEYS = Credentials("key-1", "VE9QU0VDUkVU", "PASSPHRASE9")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def server(request: pytest.FixtureRequest) -> Iterator[FakeServer]:
    """A server with three books."""
    with FakeServer(tls=request.param) as server:
        for asset_id in "123":
            server.add_book(make_book(asset_id, bids=[("0.4", "10")], asks=[("0.6", "20")]))
        yield server


@pytest.fixture
def sub(server: FakeServer) -> Iterator[Subscriber]:
    """A live subscriber of both channels."""
    with Subscriber(["1", "2"], credentials=KEYS, options=server.options()) as sub:
        sub.wait_ready(timeout=DEADLINE)
        yield sub


class _Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _log() -> list[str]:
    handler = _Lines()
    logging.getLogger("polymarket_ws").addHandler(handler)
    return handler.lines


def test_a_child_says_that_nothing_feeds_it(sub: Subscriber) -> None:
    """State, health, books, statistics and running() of a child show no thread's work; what waits
    returns, and one WARNING says what to do.
    """
    book, never_live = sub.books["1"], Subscriber(["1"])

    def child() -> dict[str, Any]:
        lines = _log()
        seen = {
            "repr": repr(sub),
            "silent so far": lines == [],
            "state": [sub.state, sub.healthy, sub.error, len(running())],
            "book": [book.valid, book.top.valid, book.stale_reason, len(book.snapshot().bids)],
            "stats": [sub.stats().state, len(sub.stats().connections)],
            "waits": [sub.wait(), sub.stop(), sub.state],
            "never started": [never_live.state, never_live.books["1"].stale_reason],
        }
        with pytest.raises(RuntimeError, match="start the subscriber first"):
            sub.wait_ready()
        return {**seen, "lines": len(lines), "remedy": "call start() in the child" in lines[0]}

    assert {
        "repr": f"<Subscriber {sub._name} FORKED 2 assets, all markets>",
        "silent so far": True,
        "state": ["FORKED", False, None, 0],
        "book": [False, False, "forked", 1],
        "stats": ["FORKED", 0],
        "waits": [True, True, "FORKED"],
        "never started": ["IDLE", "no_snapshot"],
        "lines": 1,
        "remedy": True,
    } == in_child(child)
    assert (State.LIVE, True) == (sub.state, book.valid)


def test_a_child_can_start_anew_while_the_parent_goes_on(
    server: FakeServer, sub: Subscriber
) -> None:
    """start() in the child makes new connections; the parent's keep receiving and sending."""
    told = Recorder()
    sub.on_price_change(told)

    def child() -> list[Any]:
        sub.start()
        sub.wait_ready(timeout=DEADLINE)
        return [sub.healthy, sub.books["1"].valid, sub.stop(), sub.books["1"].stale_reason]

    assert [True, True, True, "stopped"] == in_child(child)
    server.send(make_price_change("1"))
    told.wait_for(1)
    sub.subscribe(["3"])
    sub.wait_ready(timeout=DEADLINE)
    assert (0, 0) == (sub.stats().reconnects, sub.stats().gaps)


def test_a_child_keeps_no_descriptor_of_the_connections(sub: Subscriber) -> None:
    """Sockets, their wake-up pairs and selectors are closed in the child, and there alone."""
    ports = {connection.local_port for connection in sub.stats().connections}
    listing = set(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else None
    if listing is None:
        pytest.skip("this system does not list descriptors")
    kinds = {name: os.readlink(f"/proc/self/fd/{name}") for name in sorted(listing)[:-1]
             if os.path.lexists(f"/proc/self/fd/{name}")}  # fmt: skip
    selectors_here = sum("eventpoll" in kind for kind in kinds.values())

    def child() -> list[int]:
        names = [n for n in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{n}")]
        left = [os.readlink(f"/proc/self/fd/{n}") for n in names]
        return [sum("eventpoll" in kind for kind in left), len(_local_ports(names) & ports)]

    left_selectors, left_sockets = in_child(child)
    assert 0 == left_sockets
    assert selectors_here - 2 == left_selectors  # the server's own stays: it knows nothing of forks


def _local_ports(descriptors: list[str]) -> set[int]:
    """The local ports of those descriptors that are TCP sockets."""
    ports: set[int] = set()
    for name in descriptors:
        try:
            with socket.socket(fileno=os.dup(int(name))) as sock:
                address = sock.getsockname()
        except OSError:
            continue
        if isinstance(address, tuple) and len(address) >= 2:
            ports.add(address[1])
    return ports


def test_restart_after_fork_starts_by_itself(server: FakeServer) -> None:
    """With the option a child, and its own child, are live without a call; one that was not
    started stays so.
    """
    options = server.options(restart_after_fork=True)
    idle = Subscriber(["1"], options=options)
    with Subscriber(["1"], options=options) as sub:
        sub.wait_ready(timeout=DEADLINE)

        def grandchild() -> list[Any]:
            sub.wait_ready(timeout=DEADLINE)
            return [sub.state, sub.stop()]

        def child() -> list[Any]:
            lines = _log()
            sub.wait_ready(timeout=DEADLINE)
            return [sub.state, idle.state, *in_child(grandchild), sub.stop(), lines]

        assert ["LIVE", "IDLE", "LIVE", True, True, []] == in_child(child)
        assert sub.healthy


def test_a_fork_of_a_fork_is_told_too(sub: Subscriber) -> None:
    """A child that did nothing, and one that started anew, have children that are FORKED."""

    def look() -> list[Any]:
        return [sub.state, sub.books["1"].valid, sub.stop()]

    def child() -> list[Any]:
        idle = in_child(look)
        sub.start()
        sub.wait_ready(timeout=DEADLINE)
        return [idle, in_child(look), sub.state, sub.stop()]

    forked = ["FORKED", False, True]
    assert [forked, forked, "LIVE", True] == in_child(child)


def test_streams_of_the_parent_end_in_the_child(sub: Subscriber) -> None:
    """An iterator that waits in the parent is at its end in the child, as a new one is before
    start().
    """
    stream = sub.events(Book)

    def child() -> list[Any]:
        ended = [list(stream), list(sub.events(Book))]
        sub.start()
        with sub.events(Book) as fresh:
            event = next(fresh)
        return [*ended, event.event_type, sub.stop()]

    assert [[], [], "book", True] == in_child(child)
    assert not stream.ended


def test_a_callback_may_fork(server: FakeServer) -> None:
    """The child of a callback can use and start the subscriber, and ends when the callback returns
    there; no callback of the parent's is called in it.
    """
    results, told = Recorder(), Recorder()
    with Subscriber(["1"], options=server.options()) as sub:

        def start_anew() -> list[Any]:
            before = [sub.state, sub.stop()]
            sub.start()
            sub.wait_ready(timeout=DEADLINE)
            return [*before, sub.state, sub.stop()]

        @sub.on_book
        def fork(_: Book) -> None:
            results(in_child(start_anew))
            child = os.fork()
            if child:
                results(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

        @sub.on_disconnect
        def tell(event: Disconnected) -> None:
            told((os.getpid(), event.reason))

        assert [["FORKED", True, "LIVE", True], 0] == results.wait_for(2)
    assert [(os.getpid(), "stopped")] == told.items


@contextmanager
def _held_elsewhere(lock: Any) -> Iterator[None]:
    """Another thread holds the lock meanwhile."""
    is_held, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            is_held.set()
            is_over.wait(DEADLINE)

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(DEADLINE)
    yield
    is_over.set()
    thread.join()


def test_no_lock_that_is_held_at_the_fork_matters_to_the_child(
    server: FakeServer, sub: Subscriber
) -> None:
    """Whichever lock another thread holds, the child can call everything, and start anew."""
    stream, book = sub.events(Book), sub.books["1"]
    server.send(make_order())

    def child() -> list[Any]:
        seen = [sub.state, book.valid, book.top.valid, book.snapshot().asset_id]
        sub.on_book(print)
        sub.remove_callback(print)
        sub.subscribe(["3"])
        seen += [list(stream), len(sub.orders), sub.stats().state, sub.wait(), sub.stop()]
        sub.start()
        sub.wait_ready(timeout=DEADLINE)
        return [*seen, sub.healthy, sub.stop()]

    locks = dict[str, Any]()
    for place, lock in locks_of(sub):
        locks.setdefault(place, lock)
    # A lock that this walk misses is one that the test does not hold.
    assert locks.keys() >= {"Runs", "Callbacks", "BookCore", "EventQueue", "EventStreams"}
    for place, lock in locks.items():
        with _held_elsewhere(lock):
            seen = in_child(child)
        assert [
            "FORKED", False, False, "1", [], 0, "FORKED", True, True, True, True
        ] == [*seen[:5], 0, *seen[6:]], place  # fmt: skip
    assert sub.healthy


def test_a_book_that_was_being_changed_keeps_no_levels(sub: Subscriber) -> None:
    """Half a change could be read as a book: where the lock was held, the child has none."""
    book = sub.books["1"]

    def child() -> list[Any]:
        return [len(book.snapshot().bids), book.stale_reason, len(sub.books["2"].snapshot().bids)]

    with _held_elsewhere(book._core.lock):
        assert [0, "forked", 1] == in_child(child)


def test_an_ended_run_is_not_forked(server: FakeServer) -> None:
    """What had ended in the parent has ended in the child in the same way."""
    sub = Subscriber(["1"], options=server.options())
    with sub:
        sub.wait_ready(timeout=DEADLINE)

    def child() -> list[Any]:
        before = [sub.state, sub.books["1"].stale_reason, sub.wait(), sub.stop()]
        sub.start()
        sub.wait_ready(timeout=DEADLINE)
        return [*before, sub.healthy, sub.stop()]

    assert ["STOPPED", "stopped", True, True, True, True] == in_child(child)


def test_a_fork_while_it_connects(server: FakeServer) -> None:
    """An attempt that is under way belongs to the parent alone, which goes on with it."""
    server.faults.hang(times=1)
    with Subscriber(["1"], options=server.options(connect_timeout=1.0, backoff_cap=0.01)) as sub:
        assert server.wait_until(lambda: bool(server.connections), DEADLINE)

        assert ["FORKED", True] == in_child(lambda: [sub.state, sub.stop()])
        sub.wait_ready(timeout=DEADLINE)


def test_the_option_is_checked() -> None:
    """restart_after_fork is True or False."""
    with pytest.raises(ValueError, match="restart_after_fork must be True or False"):
        Options(restart_after_fork=1)  # type: ignore[arg-type]


def test_a_log_handler_may_fork_on_the_io_thread(server: FakeServer) -> None:
    """Its child goes on there, and ends, when the handler returns; nothing is logged in it."""
    told, ours = Recorder(), os.getpid()
    logger = logging.getLogger("polymarket_ws.connection.connection")

    class Forks(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if os.getpid() != ours:
                os._exit(3)
            if "connected" in record.getMessage():
                child = os.fork()
                if child:
                    told(child)

    handler, former = Forks(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with Subscriber(["1"], options=server.options()) as sub:
            [child] = told.wait_for(1)
            assert [child, 0] == _ended(child)
            sub.wait_ready(timeout=DEADLINE)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(former)


def _ended(child: int) -> list[int]:
    """The child and its status; it is killed when it has not ended within DEADLINE."""
    timer = threading.Timer(DEADLINE, os.kill, (child, signal.SIGKILL))
    timer.start()
    status = os.waitpid(child, 0)
    timer.cancel()
    return list(status)

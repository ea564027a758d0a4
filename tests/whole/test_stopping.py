"""stop(), from everywhere and at every moment: how long it takes, and that nothing is left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from kit.recorder import DEADLINE, Recorder

from polymarket_ws import Options, Subscriber, running
from polymarket_ws.testing import FakeServer, make_book, make_price_change


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server with one book."""
    with FakeServer() as server:
        server.add_book(make_book("1"))
        yield server


def _threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("polymarket-ws-")]


def test_stop_before_start_is_done_at_once() -> None:
    """A Subscriber that was never started stops, waits and is idle without a thread."""
    sub = Subscriber(["1"])

    assert sub.stop()
    assert sub.wait(timeout=0)
    assert "IDLE" == sub.state
    assert [] == _threads()


def test_stop_is_idempotent_and_tells_stopped_last(server: FakeServer) -> None:
    """The last thing told is Disconnected("stopped"); a second stop() changes nothing."""
    told = Recorder()
    sub = Subscriber(["1"], options=server.options())
    sub.on_disconnect(told)
    sub.on_event(told)
    with sub:
        told.wait_for(1)
    assert sub.stop()

    assert ["book", "disconnect"] == [event.event_type for event in told.items]
    assert ("stopped", False, None) == (
        told.items[-1].reason,
        told.items[-1].will_retry,
        told.items[-1].delay,
    )
    assert "STOPPED" == sub.state
    assert "stopped" == sub.books["1"].stale_reason
    assert server.wait_until(lambda: not server.open_connections(), DEADLINE)
    assert 1000 == server.connections[0].close_code


def test_queued_events_are_discarded(server: FakeServer) -> None:
    """Events that wait behind a slow callback when stop() is called are never delivered."""
    entered, gate, seen = threading.Event(), threading.Event(), Recorder()

    def slow(event: object) -> None:
        seen(event)
        entered.set()
        gate.wait(DEADLINE)

    sub = Subscriber(["1"], options=server.options())
    sub.on_price_change(slow)
    with sub:
        sub.wait_ready(timeout=DEADLINE)
        for size in range(5):
            server.send(make_price_change("1", [("BUY", "0.4", size + 1)]))
        assert entered.wait(DEADLINE)

        assert not sub.stop(timeout=0.05)
        gate.set()
        assert sub.stop(timeout=DEADLINE)

    assert 1 == len(seen.items)


def test_stop_from_a_callback_asks_and_returns_false(server: FakeServer) -> None:
    """In a callback stop() returns False at once; the run ends, and no further callback is
    called.
    """
    answers, later = Recorder(), Recorder()
    sub = Subscriber(["1"], options=server.options())
    sub.on_book(lambda _: answers(sub.stop()))
    sub.on_book(later)
    sub.start()

    assert sub.wait(timeout=DEADLINE)
    assert [False] == answers.items
    assert [] == later.items
    assert sub.stop()


def test_stop_and_start_in_a_callback_begin_a_new_run(server: FakeServer) -> None:
    """stop() then start() inside a callback: the book becomes live again, called from the new run's
    thread.
    """
    threads = Recorder()
    sub = Subscriber(["1"], options=server.options())

    @sub.on_book
    def restart_once(_: object) -> None:
        threads(threading.current_thread())
        if len(threads.items) == 1:
            sub.stop()
            sub.start()

    with sub:
        first, second = threads.wait_for(2)[:2]
        sub.wait_ready(timeout=DEADLINE)

        assert first is not second
        assert not first.is_alive()
        assert sub.books["1"].valid


def test_a_restart_keeps_the_handles_and_forgets_the_data(server: FakeServer) -> None:
    """After stop and start the LiveBook is the same object, live again; counts begin anew."""
    sub = Subscriber(["1"], options=server.options())
    with sub:
        sub.wait_ready(timeout=DEADLINE)
        book = sub.books["1"]
    server.add_book(make_book("1", bids=[("0.2", "7")]))
    with sub:
        sub.wait_ready(timeout=DEADLINE)

        assert book is sub.books["1"]
        assert "0.2" == str(book.best_bid)
        assert {"book": 1} == sub.stats().events


CONNECT_PHASES: dict[str, Callable[[FakeServer], object]] = {
    "silent": lambda server: server.faults.hang(times=None),
    "silent TLS": lambda server: server.faults.hang_in_tls(times=None),
    "dripping": lambda server: server.faults.drip(0.2, times=None),
}


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("phase", CONNECT_PHASES)
def test_stop_while_connecting(phase: str, tls: bool) -> None:
    """A server that hangs in any phase of connecting does not hold stop() up."""
    with FakeServer(tls=tls) as server:
        CONNECT_PHASES[phase](server)
        sub = Subscriber(["1"], options=server.options(connect_timeout=600))
        sub.start()
        assert server.wait_until(lambda: bool(server.connections), DEADLINE)

        assert sub.stop(timeout=DEADLINE)
        assert [] == _threads()


def test_stop_while_a_proxy_is_silent(server: FakeServer) -> None:
    """A CONNECT proxy that never answers does not hold stop() up."""
    with closing(socket.create_server(("127.0.0.1", 0))) as proxy:
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        sub = Subscriber(["1"], options=server.options(proxy=url, connect_timeout=600))
        sub.start()
        accepted, _ = proxy.accept()
        with closing(accepted):
            accepted.recv(1)

            assert sub.stop(timeout=DEADLINE)
            assert [] == _threads()


def test_stop_during_backoff() -> None:
    """A wait of many seconds for the next attempt ends at once."""
    with FakeServer() as server:
        server.faults.reject(503, {"Retry-After": "200"}, times=None)
        told = Recorder()
        sub = Subscriber(["1"], options=server.options())
        sub.on_disconnect(told)
        sub.start()
        assert told.wait_for(1)[0].delay >= 200

        assert sub.stop(timeout=DEADLINE)
        assert [] == _threads()


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_stop_under_a_flood(tls: bool) -> None:
    """A server that sends as fast as it can, also over TLS, does not hold stop() up."""
    with FakeServer(tls=tls) as server:
        server.add_book(make_book("1"))
        flooded = Recorder()
        sub = Subscriber(["1"], options=server.options(queue_limit=1000))
        sub.on_price_change(lambda event: flooded(event) if len(flooded.items) < 2000 else None)
        with sub:
            sub.wait_ready(timeout=DEADLINE)
            server.flood(make_price_change("1"))
            flooded.wait_for(2000)

            assert sub.stop(timeout=DEADLINE)
            assert [] == _threads()


def test_a_thousand_cycles_leave_nothing(server: FakeServer) -> None:
    """1 000 times start and stop, at whatever moment, leave no thread, and the fixture finds no
    descriptor.
    """
    for number in range(1000):
        sub = Subscriber(["1"], options=server.options())
        sub.start()
        if number % 100 == 0:
            sub.wait_ready(timeout=DEADLINE)
        assert sub.stop(timeout=DEADLINE)

    assert [] == _threads()
    assert () == running()


def test_many_threads_may_start_and_stop_one_subscriber(server: FakeServer) -> None:
    """Eight threads that start and stop the same Subscriber at random leave it stoppable
    and clean.
    """
    sub = Subscriber(["1"], options=server.options())
    failures = Recorder()

    def churn() -> None:
        try:
            for _ in range(25):
                sub.start()
                sub.stop()
        except Exception as error:
            failures(error)

    threads = [threading.Thread(target=churn) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)

    assert [] == failures.items
    assert sub.stop(timeout=DEADLINE)
    with sub:
        sub.wait_ready(timeout=DEADLINE)


def test_waiting_members_refuse_to_wait_in_a_callback(server: FakeServer) -> None:
    """wait, wait_ready, run, events and wait_for raise RuntimeError in a callback instead of
    deadlocking.
    """
    errors = Recorder()
    sub = Subscriber(["1"], options=server.options())

    @sub.on_book
    def wait_for_oneself(_: object) -> None:
        for member in (sub.wait, sub.wait_ready, sub.run, sub.events):
            try:
                member()
            except RuntimeError as error:
                errors(str(error))
        try:
            sub.wait_for("book", timeout=1)
        except RuntimeError as error:
            errors(str(error))

    with sub:
        assert 5 == len(errors.wait_for(5))


SCRIPT = """
    import sys
    from polymarket_ws import Options, Subscriber

    sub = Subscriber(["1"], options=Options(market_url=sys.argv[1], trust_env=False))
    {body}
    print("done", sub.state)
"""


def _run_script(body: str, url: str) -> subprocess.Popen[str]:
    code = textwrap.dedent(SCRIPT).replace("{body}", textwrap.dedent(body).strip())
    return subprocess.Popen(
        [sys.executable, "-u", "-c", code, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_PROXY": "*"},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_run_ends_by_a_signal(server: FakeServer, number: signal.Signals) -> None:
    """run() returns after Ctrl-C or SIGTERM; the process ends with code 0 and nothing on stderr."""
    script = _run_script("sub.run()", server.url())
    server.wait_for_connection(timeout=DEADLINE)
    script.send_signal(number)
    out, err = script.communicate(timeout=DEADLINE)

    assert ("done STOPPED\n", "", 0) == (out, err, script.returncode)
    assert server.wait_until(lambda: server.connections[0].close_code == 1000, DEADLINE)


def test_a_second_signal_interrupts_a_callback_that_does_not_return(server: FakeServer) -> None:
    """With a callback that hangs, Ctrl-C waits for it, and a second Ctrl-C raises
    KeyboardInterrupt.
    """
    body = """
        import threading
        sub.on_book(lambda b: (print("hanging"), threading.Event().wait()))
        sub.run()
    """
    script = _run_script(body, server.url())
    assert script.stdout is not None
    assert "hanging\n" == script.stdout.readline()
    script.send_signal(signal.SIGINT)
    assert server.wait_until(lambda: server.connections[0].close_code == 1000, DEADLINE)
    script.send_signal(signal.SIGINT)
    _, err = script.communicate(timeout=DEADLINE)

    assert "KeyboardInterrupt" in err


def test_stop_from_a_users_own_signal_handler(server: FakeServer) -> None:
    """stop() called in a signal handler while the main thread waits returns True there.

    The wait is the script's own: in a member of the Subscriber it may hold a lock when the signal
    comes, and then stop() only asks.
    """
    body = """
        import signal, threading
        ended = threading.Event()
        signal.signal(signal.SIGUSR1, lambda *_: print("stopped", sub.stop()))
        sub.on_disconnect(lambda _: ended.set())
        sub.start()
        print("started")
        ended.wait()
    """
    script = _run_script(body, server.url())
    server.wait_for_connection(timeout=DEADLINE)
    assert script.stdout is not None
    assert "started\n" == script.stdout.readline()
    script.send_signal(signal.SIGUSR1)
    out, err = script.communicate(timeout=DEADLINE)

    assert ("stopped True\ndone STOPPED\n", "", 0) == (out, err, script.returncode)


def test_a_script_that_forgets_to_stop_still_ends(server: FakeServer) -> None:
    """The interpreter's exit stops every started Subscriber: the server sees a close frame."""
    script = _run_script("sub.start(); sub.wait_ready()", server.url())
    out, err = script.communicate(timeout=DEADLINE)

    assert ("done LIVE\n", "", 0) == (out, err, script.returncode)
    assert server.wait_until(lambda: server.connections[0].close_code == 1000, DEADLINE)


def test_sys_exit_in_a_callback_stops(server: FakeServer) -> None:
    """SystemExit in a callback ends the run, and run() with the same code, without a traceback."""
    script = _run_script("sub.on_book(lambda b: sys.exit(3)); sub.run()", server.url())
    out, err = script.communicate(timeout=DEADLINE)

    assert ("", "", 3) == (out, err, script.returncode)


def test_nothing_happens_at_import_or_construction() -> None:
    """Importing and constructing start no thread, open no socket and read no environment variable
    of ours.
    """
    code = textwrap.dedent("""
        import os, threading
        before = len(os.listdir("/proc/self/fd"))
        os.environ["HTTPS_PROXY"] = "http://127.0.0.1:1"
        from polymarket_ws import Credentials, Options, Subscriber
        sub = Subscriber(["1"], credentials=Credentials("a", "b", "c"), options=Options())
        sub.on_book(print), sub.stats(), repr(sub), sub.books, sub.state, sub.orders
        print(threading.active_count(), len(os.listdir("/proc/self/fd")) - before)
    """)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert ("1 0\n", "") == (run.stdout, run.stderr)


def test_options_may_be_shared(server: FakeServer) -> None:
    """One Options serves several Subscribers at once, each with threads of its own."""
    options: Options = server.options()
    with Subscriber(["1"], options=options) as one, Subscriber(["1"], options=options) as two:
        one.wait_ready(timeout=DEADLINE)
        two.wait_ready(timeout=DEADLINE)

        assert {one, two} == set(running())
    assert () == running()

"""The programs of docs/examples, run as their users run them, against a server on this machine."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest

import polymarket_ws
from polymarket_ws import Subscriber
from polymarket_ws.testing import FakeServer, SimulatedExchange

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
PATIENCE = 30.0


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server with a simulated exchange."""
    with FakeServer(SimulatedExchange()) as server:
        yield server


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _wait_for_line(process: subprocess.Popen[str], *patterns: str) -> None:
    """Read until each pattern was in a line, in any order; fails when the program ends before."""
    assert process.stdout is not None
    lines: list[str] = []
    missing = set(patterns)
    for line in process.stdout:
        lines.append(line)
        missing -= {pattern for pattern in missing if re.search(pattern, line)}
        if not missing:
            return
    pytest.fail(f"no lines like {missing} in {lines}")


@contextlib.contextmanager
def _program(name: str, *arguments: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """An example in a process of its own, ended by force if it takes too long."""
    with subprocess.Popen(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        killer = threading.Timer(PATIENCE, process.kill)
        killer.start()
        try:
            yield process
        finally:
            killer.cancel()
            process.kill()


def test_the_script_writes_each_top_to_sqlite(server: FakeServer, tmp_path: Path) -> None:
    """Its newest row is the book's top; at the end, no price is left for the present one."""
    exchange, file = server.exchange, tmp_path / "tops.sqlite"
    assert exchange is not None
    yes = exchange.asset_ids[0]
    script, arguments = _load("tops_to_sqlite"), [str(file), yes, "--market-url", server.url()]
    thread = threading.Thread(target=script.main, args=[arguments])
    thread.start()
    try:
        server.wait_for_connection(timeout=PATIENCE)
        (sub,) = polymarket_ws.running()
        sub.wait_ready(PATIENCE)
        server.settle(sub, PATIENCE)  # or both changes of the book become one call
        server.play(lambda exchange: exchange.trade(yes, "BUY", "25"))
        server.settle(sub, PATIENCE)
        bid, ask = exchange.book(yes).top
    finally:
        for sub in polymarket_ws.running():
            sub.stop()
        thread.join(PATIENCE)
    with contextlib.closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT bid, bid_size, ask, ask_size, state FROM tops").fetchall()

    assert bid is not None
    assert ask is not None
    assert len(rows) >= 3
    assert (*map(str, (*bid, *ask)), "live") == rows[-2]
    assert (None, None, None, None, "stale") == rows[-1]


def test_the_recorder_loses_nothing_at_sigterm(server: FakeServer, tmp_path: Path) -> None:
    """It ends with 0, and the file has as many events as it says."""
    exchange, file = server.exchange, tmp_path / "events.jsonl"
    assert exchange is not None
    arguments = [file, *exchange.asset_ids, "--market-url", server.url("market")]
    with _program("record_events.py", *arguments) as recorder:
        server.wait_for_connection(timeout=PATIENCE)
        server.play(500)
        recorder.send_signal(signal.SIGTERM)
        told, _ = recorder.communicate(timeout=PATIENCE)
    lines = [json.loads(line) for line in file.read_text().splitlines()]

    assert 0 == recorder.returncode
    assert f" {len(lines)} events written, 0 lost, 0 gaps" in told
    assert set(exchange.asset_ids[:6]) == {line["asset_id"] for line in lines[:6]}


class _StuckFile(io.StringIO):
    """Takes its first line after the test is done with it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_stuck, self.go_on = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.is_stuck.set()
        self.go_on.wait(PATIENCE)
        return super().write(text)


def test_a_recorder_that_cannot_write_says_so(
    server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """What still waits when its patience ends is counted, and the exit code is 1."""
    exchange = server.exchange
    assert exchange is not None
    caplog.set_level("INFO")
    script, file, stopping, codes = _load("record_events"), _StuckFile(), threading.Event(), []
    script.PATIENCE = 0.01
    sub = Subscriber(exchange.asset_ids, options=server.options())
    thread = threading.Thread(target=lambda: codes.append(script.record(sub, file, stopping)))
    thread.start()
    try:
        assert file.is_stuck.wait(PATIENCE)
        server.play(50)
        assert server.wait_until(lambda: sub.stats().queue_depth > 0, PATIENCE)
        stopping.set()
        thread.join(PATIENCE)
    finally:
        file.go_on.set()
        sub.stop(PATIENCE)

    assert [1] == codes
    assert sub.stats().discarded > 0
    assert re.search(r"0 events written, [1-9]\d* lost", caplog.text)


def test_a_busy_main_thread_keeps_nothing_waiting(server: FakeServer) -> None:
    """While it computes, books stay live and every trade is counted."""
    exchange = server.exchange
    assert exchange is not None
    script, yes = _load("busy_main_thread"), exchange.asset_ids[0]
    sub = Subscriber(exchange.asset_ids, options=server.options())
    compute, mids = script.simulate, []

    def simulate(chances: list[Decimal]) -> float:
        mids.append(chances[list(sub.books).index(yes)] == exchange.book(yes).mid)
        server.play(lambda exchange: exchange.trade(yes, "BUY", "5"))
        result: float = compute(chances)
        server.settle(sub, PATIENCE)
        return result

    script.simulate = simulate
    volume = script.run(sub, 10)

    assert [True] * 10 == mids
    assert (10, 50) == (volume.trades, volume.shares)
    assert (0, 0) == (sub.stats().stream_dropped, sub.stats().reconnects)


def test_the_asyncio_program_follows_and_ends(server: FakeServer) -> None:
    """Trades and tops reach its loop; SIGTERM ends it with 0, and without a complaint."""
    exchange = server.exchange
    assert exchange is not None
    yes = exchange.asset_ids[0]
    with _program("asyncio_program.py", yes, "--market-url", server.url("market")) as program:
        _wait_for_line(program, "ready")
        server.play(lambda exchange: exchange.trade(yes, "BUY", "25"))
        _wait_for_line(program, "1 books live", f"trade {yes[:8]} ")
        program.send_signal(signal.SIGTERM)
        rest, _ = program.communicate(timeout=PATIENCE)

    assert 0 == program.returncode
    assert "Traceback" not in rest
    assert server.wait_until(lambda: not server.open_connections(), PATIENCE)


def test_the_maker_quotes_settles_and_takes_its_quotes_back(server: FakeServer) -> None:
    """The script follows books and its own trades to CONFIRMED, and ends with 0 at SIGTERM."""
    exchange = server.exchange
    assert exchange is not None
    yes = exchange.asset_ids[0]
    keys = {
        "POLYMARKET_API_KEY": exchange.api_key,
        "POLYMARKET_API_SECRET": "c2VjcmV0",
        "POLYMARKET_API_PASSPHRASE": "passphrase",
    }
    arguments = [yes, "--market-url", server.url("market"), "--user-url", server.url("user")]
    with _program("maker.py", *arguments, **keys) as maker:
        _wait_for_line(maker, f"quote {yes[:8]}")
        server.wait_for_connection("user")
        server.play(lambda exchange: exchange.trade(yes, "BUY", "25", own=True))
        _wait_for_line(maker, "trade .* CONFIRMED")
        server.disconnect(channel="market")
        _wait_for_line(maker, f"cancel {yes[:8]}")
        _wait_for_line(maker, f"quote {yes[:8]}")
        maker.send_signal(signal.SIGTERM)
        rest, _ = maker.communicate(timeout=PATIENCE)

    assert 0 == maker.returncode
    last_words = [line.split(" ", 2)[2] for line in rest.splitlines()[-2:]]
    assert [f"cancel {yes[:8]}", "positions in 1 assets"] == last_words
    assert "Traceback" not in rest
    assert not {text for text in ("c2VjcmV0", "passphrase") if text in rest}


def test_the_worker_starts_stops_and_starts_again(server: FakeServer) -> None:
    """A process's hooks may be called in any order and twice; a restart follows the books anew."""
    exchange = server.exchange
    assert exchange is not None
    yes = exchange.asset_ids[0]
    feed = _load("worker").PriceFeed([yes], options=server.options())
    assert feed.mid(yes) is None
    feed.stop()
    feed.start(sender="celery")
    feed.start()
    try:
        feed.wait_ready()
        assert exchange.book(yes).mid == feed.mid(yes)
        feed.restart()
        feed.wait_ready()
        (sub,) = polymarket_ws.running()
        server.play(lambda exchange: exchange.trade(yes, "BUY", "5"))
        server.settle(sub)
        assert exchange.book(yes).mid == feed.mid(yes)
        assert (1, True) == (feed.trades, feed.health()["healthy"])
    finally:
        feed.stop()

    assert feed.mid(yes) is None
    assert () == polymarket_ws.running()
    assert 2 == len(server.connections)


def test_the_strategys_unit_test_passes() -> None:
    """A user's test file runs with the fixture that the installed package brings."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_strategy.py"],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )

    assert "3 passed" in done.stdout, done.stdout + done.stderr

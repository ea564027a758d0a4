"""The programs of docs/examples, run as their users run them, against a server on this machine."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbclient import NotebookClient

import polymarket_ws
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


def _wait_for_line(process: subprocess.Popen[str], pattern: str) -> list[str]:
    """The lines up to the first that matches; fails when the program ends before."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if re.search(pattern, line):
            return lines
    pytest.fail(f"no line like {pattern!r} in {lines}")


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
    with subprocess.Popen(
        [sys.executable, EXAMPLES / "maker.py", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **keys},
    ) as maker:
        killer = threading.Timer(PATIENCE, maker.kill)
        killer.start()
        try:
            _wait_for_line(maker, f"quote {yes[:8]}")
            server.wait_for_connection("user")
            server.play(lambda exchange: exchange.trade(yes, "BUY", "25", own=True))
            _wait_for_line(maker, "trade .* CONFIRMED")
            server.disconnect(channel="market")
            _wait_for_line(maker, f"cancel {yes[:8]}")
            _wait_for_line(maker, f"quote {yes[:8]}")
            maker.send_signal(signal.SIGTERM)
            rest, errors = maker.communicate(timeout=PATIENCE)
        finally:
            killer.cancel()
            maker.kill()

    assert 0 == maker.returncode
    last_words = [line.split(" ", 2)[2] for line in rest.splitlines()[-2:]]
    assert [f"cancel {yes[:8]}", "positions in 1 assets"] == last_words
    assert "Traceback" not in errors
    assert not {text for text in ("c2VjcmV0", "passphrase") if text in errors + rest}


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


@pytest.mark.keeps_descriptors
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_notebook_runs_twice_in_one_kernel(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run again, each cell leaves one subscriber and one callback; in the end no thread is left.

    The descriptors kept are those of the kernel's client, ZeroMQ's.
    """
    exchange = server.exchange
    assert exchange is not None
    monkeypatch.setenv("ASSET_IDS", ",".join(exchange.asset_ids[:2]))
    monkeypatch.setenv("MARKET_URL", server.url())
    server.run(200)
    notebook = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
    last = len(notebook.cells) - 1
    count = "import polymarket_ws; print(len(running()), len(sub._callbacks['last_trade_price']))"
    left = (
        "import threading; print(len(running()), "
        "[t.name for t in threading.enumerate() if t.name.startswith('polymarket-ws')])"
    )
    notebook.cells += [nbformat.v4.new_code_cell(count), nbformat.v4.new_code_cell(left)]
    client = NotebookClient(notebook, timeout=PATIENCE)

    def run(*indexes: int) -> str:
        for index in indexes:
            client.execute_cell(notebook.cells[index], index)
        return "".join(o.text for o in notebook.cells[indexes[-1]].outputs if "text" in o)

    with client.setup_kernel():
        run(*range(last))
        run(*range(last))  # without the cell that stops it
        run(2, 2)  # the cell of the callback, once more and again
        assert "1 1\n" == run(last + 1)
        run(last)
        assert "0 []\n" == run(last + 2)
    assert not server.open_connections()

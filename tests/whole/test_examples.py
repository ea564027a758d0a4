"""The programs of docs/examples, run as their users run them, against a server on this machine."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from kit.order_entry import ExchangeEntry, entry_service

import polymarket_ws
from polymarket_ws import Credentials, Subscriber
from polymarket_ws.testing import FakeServer, SimulatedExchange
from polymarket_ws.testing.exchange import OpenOrder

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
PATIENCE = 30.0
KEY = "c2VjcmV0"
SIGNER = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"  # of the private key of 32 times 0x11


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


@pytest.fixture
def market() -> Iterator[FakeServer]:
    """A server of the present time, whose user holds 60 shares of the first asset."""
    exchange = SimulatedExchange(
        4, markets=1, min_order_size=5, own_share=0, start_ms=time.time_ns() // 1_000_000
    )
    exchange.give(exchange.asset_ids[0], 60)
    with FakeServer(exchange) as server:
        yield server


@contextlib.contextmanager
def _quoting(server: FakeServer, entry: ExchangeEntry) -> Iterator[tuple[Subscriber, ModuleType]]:
    """The maker's loop on a thread of its own; it has cancelled all when this ends."""
    exchange, script, stopping = server.exchange, _load("maker"), threading.Event()
    assert exchange is not None
    yes = exchange.asset_ids[0]
    credentials = Credentials(
        exchange.api_key, KEY, "passphrase", address=SIGNER, funder=exchange.wallet
    )
    options = server.options(rest_staleness=0, backoff_base=0.01)
    sub = Subscriber([yes], credentials=credentials, options=options)
    maker = script.Maker(sub, entry)
    with sub:
        sub.wait_ready(PATIENCE)
        thread = threading.Thread(target=maker.run, args=[stopping])
        thread.start()
        try:
            yield sub, script
        finally:
            stopping.set()
            thread.join(PATIENCE)
    assert not thread.is_alive()


def test_the_maker_quotes_and_follows_its_fills(market: FakeServer) -> None:
    """It offers what it holds until that is sold, and what it bought once that is confirmed."""
    exchange, entry = market.exchange, ExchangeEntry(market)
    assert exchange is not None
    yes = exchange.asset_ids[0]
    with _quoting(market, entry) as (sub, script):
        for held in (40, 20, 0):  # of 60, sold by 20
            (sell,) = _wait_for_quotes(market, "SELL")
            market.play(lambda exchange, price=sell.price: _take(exchange, yes, "BUY", price))
            market.play(lambda exchange: exchange.advance(10_000))
            assert held == exchange.account().positions[yes].confirmed
        (buy,) = _wait_for_quotes(market, "BUY")
        assert script.SIZE == buy.remaining
        market.settle(sub, PATIENCE)
        assert [] == _own(exchange, "SELL")

        market.play(lambda exchange: _take(exchange, yes, "SELL", buy.price))
        market.settle(sub, PATIENCE)
        assert (20, 0) == (sub.account.position(yes).pending, sub.account.position(yes).confirmed)
        assert [] == _own(exchange, "SELL")
        market.play(lambda exchange: exchange.advance(10_000))
        _wait_for_quotes(market, "SELL")

    assert [] == entry.oversold
    assert [] == _own(exchange, "BUY") + _own(exchange, "SELL")


def _own(exchange: SimulatedExchange, side: str) -> list[OpenOrder]:
    return [order for order in exchange.open_orders if order.own and order.side == side]


def _wait_for_quotes(server: FakeServer, side: str) -> list[OpenOrder]:
    """One's own orders of a side, once there are some."""
    assert server.exchange is not None
    assert server.wait_until(lambda: bool(_own(server.exchange, side)), PATIENCE)
    return _own(server.exchange, side)


def _take(
    exchange: SimulatedExchange, asset_id: str, side: str, price: Decimal, failed: bool = False
) -> list[dict[str, Any]]:
    """Match everything down, or up, to a price."""
    book = exchange.book(asset_id)
    levels = book.asks if side == "BUY" else book.bids
    reached = [x.size for x in levels if (x.price <= price if side == "BUY" else x.price >= price)]
    if not reached:
        return []
    size = sum(reached, Decimal(0))
    return exchange.place(asset_id, side, price, size, order_type="FAK", failed=failed)


def test_the_maker_quotes_nothing_it_cannot_rely_on(market: FakeServer) -> None:
    """It cancels while the book is stale, and while the account may lack something."""
    exchange, entry = market.exchange, ExchangeEntry(market)
    assert exchange is not None
    with _quoting(market, entry) as (sub, _):
        for channel in ("market", "user"):
            _wait_for_quotes(market, "BUY")
            market.stop_listening()
            market.disconnect(channel=channel)
            assert market.wait_until(
                lambda: not _own(exchange, "BUY") + _own(exchange, "SELL"), PATIENCE
            )
            market.listen_again()
        _wait_for_quotes(market, "BUY")
        assert sub.account.complete


@pytest.mark.parametrize("seed", range(2))
def test_the_maker_never_offers_more_than_is_confirmed(seed: int, market: FakeServer) -> None:
    """Through fills, failing trades, disorder and cuts, by the exchange's own books of account."""
    exchange, entry, dice = market.exchange, ExchangeEntry(market), random.Random(seed)
    assert exchange is not None
    yes = exchange.asset_ids[0]
    market.faults.disorder(seed=seed)
    with _quoting(market, entry) as (sub, _):
        for _ in range(30):
            side = dice.choice(["BUY", "SELL"])
            if market.wait_until(lambda side=side: bool(_own(exchange, side)), 0.1):
                price = _own(exchange, side)[0].price
                taker, failed = ("SELL" if side == "BUY" else "BUY"), dice.random() < 0.3
                market.play(lambda exchange, a=(taker, price, failed): _take(exchange, yes, *a))
            pause = dice.choice([0, 500, 5_000])
            market.play(lambda exchange, pause=pause: exchange.advance(pause))
            if dice.random() < 0.1:
                market.disconnect(channel="user")
        market.send_delayed()
        market.disconnect(channel="user")
        assert sub._wait_until(lambda: sub.account.complete, PATIENCE)

    assert [] == entry.oversold
    assert {"BUY", "SELL"} == {side for side, _ in entry.placed}
    assert [] == _own(exchange, "BUY") + _own(exchange, "SELL")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_maker_places_and_cancels_with_the_official_client(market: FakeServer) -> None:
    """The official client's synchronous half works beside a Subscriber in one process: it places,
    lists and cancels, while orders and fills come over the user channel.
    """
    polymarket = pytest.importorskip("polymarket", reason="the official client is not installed")
    exchange, entry = market.exchange, ExchangeEntry(market)
    assert exchange is not None
    script, private_key = _load("maker"), "0x" + "11" * 32
    with entry_service(entry) as url:
        environments = polymarket.environments
        config = replace(environments.PRODUCTION._config, clob_url=url)
        environment = environments._create_environment(name="loopback", config=config)
        keys = polymarket.ApiKeyCreds(apiKey=exchange.api_key, secret=KEY, passphrase="passphrase")
        with polymarket.SecureClient.create(
            private_key=private_key,
            wallet=SIGNER,
            environment=environment,
            credentials=keys,
        ) as client:
            stopping, options = threading.Event(), market.options(rest_staleness=0)
            arguments = [client, [exchange.asset_ids[0]], options, stopping]
            thread = threading.Thread(target=script.make, args=arguments)
            thread.start()
            try:
                _wait_for_quotes(market, "BUY")
            finally:
                stopping.set()
                thread.join(PATIENCE)

    assert not thread.is_alive()
    assert [] == _own(exchange, "BUY") + _own(exchange, "SELL")
    assert "BUY" in {side for side, _ in entry.placed}
    assert [] == entry.oversold


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

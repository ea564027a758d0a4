"""Flask's own server with its reloader, and gunicorn, each for real: connections and streams."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("flask.cli", reason="needs the extra [flask]")
pytest.importorskip("gevent", reason="needs the extra [hosts]")
pytest.importorskip("gunicorn", reason="needs the extra [hosts]")

from kit.programs import BIN, Program, free_port, launched, wait_until

from polymarket_ws.testing import FakeServer, SimulatedExchange

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "flask"

APP = """
import os
from flask import Flask
from polymarket_ws.contrib.flask import PolymarketWS, stream_books

app = Flask(__name__)
app.config.from_prefixed_env()
polymarket = PolymarketWS(app)
if "START_AT_IMPORT" in os.environ:
    polymarket.start(app)

@app.get("/books")
def books():
    return stream_books(keep_alive=0.2)

@app.get("/look")
def look():
    streams = polymarket.open_streams
    return {"pid": os.getpid(), "streams": streams, "healthy": polymarket.subscriber.healthy}
"""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server with a simulated exchange that does not move by itself."""
    with FakeServer(SimulatedExchange()) as server:
        yield server


def settings(server: FakeServer, **more: str) -> dict[str, str]:
    """The environment of an application that follows the server's first market."""
    assert server.exchange is not None
    return {
        "FLASK_POLYMARKET_WS_ASSET_IDS": json.dumps(server.exchange.asset_ids[:2]),
        "FLASK_POLYMARKET_WS_MARKET_URL": server.url(),
        "FLASK_POLYMARKET_WS_TRUST_ENV": "false",
        **more,
    }


def ask(port: int, path: str = "/look") -> dict[str, object]:
    """The application's answer; {} while nobody listens, or it is not well."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            found: dict[str, object] = json.load(answer)
            return found
    except OSError:
        return {}


class Client:
    """A browser that listens to /books; closed by the fixture `connect`."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.sendall(b"GET /books HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.received = b""

    def read_until(self, text: bytes) -> None:
        """Read on until the text has come."""
        while text not in self.received:
            chunk = self.socket.recv(65536)
            assert chunk, f"the stream ended: {self.received[-300:]!r}"
            self.received += chunk

    def read_to_end(self) -> bytes:
        """What comes until the server ends it."""
        while chunk := self.socket.recv(65536):
            self.received += chunk
        return self.received


@pytest.fixture
def connect() -> Iterator[Callable[[int], Client]]:
    """Makes clients of a port."""
    with ExitStack() as stack:

        def make(port: int) -> Client:
            client = Client(port)
            stack.enter_context(client.socket)
            return client

        yield make


def wait_healthy(port: int, program: Program) -> dict[str, object]:
    """Wait until the application's books are live; its answer."""
    wait_until(lambda: ask(port).get("healthy"), "the application is not well", program)
    return ask(port)


@pytest.mark.parametrize("start", ["by the first request", "at import"])
def test_the_reloader_has_one_connection(start: str, server: FakeServer, tmp_path: Path) -> None:
    """Under `flask --debug run` the child alone connects, before and after a reload."""
    path, port = tmp_path / "app.py", free_port()
    path.write_text(APP)
    env = settings(server, **({"START_AT_IMPORT": "1"} if start == "at import" else {}))
    command = [BIN / "flask", "--app", "app", "--debug", "run", "-p", str(port)]
    with launched(tmp_path / "log", *command, cwd=tmp_path, env=env) as program:
        former = wait_healthy(port, program)["pid"]
        assert 1 == len(server.connections)

        def is_reloaded() -> bool:
            path.touch()  # again and again: an edit before the reloader's first look goes unseen
            return ask(port).get("pid") not in (None, former)

        wait_until(is_reloaded, "not reloaded", program)
        wait_healthy(port, program)
        wait_until(lambda: 1 == len(server.open_connections()), "old connections are open")


@pytest.mark.parametrize(
    "arguments",
    [("-k", "gthread", "-w", "1", "--threads", "8"), ("-k", "gevent", "-w", "1")],
    ids=["gthread", "gevent"],
)
def test_streams_under_gunicorn(
    arguments: tuple[str, ...],
    server: FakeServer,
    tmp_path: Path,
    connect: Callable[[int], Client],
) -> None:
    """Five clients share one connection, get books and keep-alives, leave nothing when they go, and
    do not hold up the end of the worker.
    """
    (tmp_path / "app.py").write_text(APP)
    hooks = (EXAMPLE / "gunicorn.conf.py").read_text().partition("\n\n\n")[2]
    (tmp_path / "gunicorn.conf.py").write_text(hooks)
    port = free_port()
    command = [BIN / "gunicorn", *arguments, "-b", f"127.0.0.1:{port}", "app:app"]
    with launched(tmp_path / "log", *command, cwd=tmp_path, env=settings(server)) as program:
        wait_until(lambda: "Booting worker" in program.text, "no worker", program)
        assert 0 == len(server.connections)
        wait_healthy(port, program)
        clients = [connect(port) for _ in range(5)]
        for client in clients:
            client.read_until(b"\n: keep-alive\n")
            assert 2 <= client.received.count(b"data: {")
        assert (5, 1) == (ask(port)["streams"], len(server.connections))

        for client in clients:
            client.socket.close()
        wait_until(lambda: ask(port).get("streams") == 0, "streams were left", program)
        last = connect(port)
        last.read_until(b"\n: keep-alive\n")
        assert 0 == program.end()
        assert b"event: end" in last.read_to_end()
    assert server.wait_until(lambda: [1000] == [record.close_code for record in server.connections])


def test_a_stream_occupies_a_sync_worker(
    server: FakeServer, tmp_path: Path, connect: Callable[[int], Client]
) -> None:
    """gunicorn's sync worker serves one client, and is replaced when its timeout has passed."""
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    command = [BIN / "gunicorn", "-w", "1", "-t", "1", "-b", f"127.0.0.1:{port}", "app:app"]
    with launched(tmp_path / "log", *command, cwd=tmp_path, env=settings(server)) as program:
        wait_healthy(port, program)
        client = connect(port)
        client.read_until(b"\n: keep-alive\n")
        program.wait_for("WORKER TIMEOUT")
        client.read_to_end()
        wait_healthy(port, program)


def test_the_example_writes_each_trade_once(server: FakeServer, tmp_path: Path) -> None:
    """docs/examples/flask: each worker that was asked and the recorder have a connection each; a
    trade is written once.
    """
    port, trades = free_port(), 25
    env = settings(server, PORT=str(port), FLASK_DATABASE=str(tmp_path / "trades.sqlite3"))
    command = ["sh", EXAMPLE / "start.sh"]
    with launched(tmp_path / "log", *command, cwd=tmp_path, env=env) as program:
        wait_until(lambda: ask(port, "/healthz"), "the example is not well", program)
        wait_until(lambda: 2 <= len(server.open_connections()), "no recorder", program)
        assert server.exchange is not None
        asset_id = server.exchange.asset_ids[0]
        for _ in range(trades):
            server.play(lambda exchange: exchange.trade(asset_id, "BUY", "1"))
        server.play(lambda exchange: exchange.trade(asset_id, "BUY", "2"))

        def sizes() -> list[object]:
            return [row["size"] for row in ask(port, "/trades")]  # type: ignore[index]

        wait_until(lambda: "2" in sizes(), "the last trade was not written", program)
        pids: set[object] = set()

        def is_one_each() -> bool:
            pids.update(ask(port, "/healthz").get("pid") for _ in range(10))
            return len(server.open_connections()) == 1 + len(pids - {None})

        wait_until(is_one_each, "other than one connection for each worker", program)
        assert ["2", *["1"] * trades] == sizes()
        assert program.end(signal.SIGTERM) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
    assert server.wait_until(lambda: {1000} == {record.close_code for record in server.connections})


SLOW = (
    APP
    + """
from pathlib import Path
from threading import Event

@polymarket.in_stream.on_last_trade_price
def store(trade):
    Path("waits").touch()
    while not Path("go").exists():
        Event().wait(0.01)
    print("stored", flush=True)
"""
)


def test_what_is_queued_at_sigterm_is_handled(server: FakeServer, tmp_path: Path) -> None:
    """`flask polymarket stream` drains within --stop-timeout, and says how it ended."""
    assert server.exchange is not None
    asset_id = server.exchange.asset_ids[0]
    (tmp_path / "app.py").write_text(SLOW)
    command = [BIN / "flask", "--app", "app", "polymarket", "stream", "--stop-timeout", "30"]
    with launched(tmp_path / "log", *command, cwd=tmp_path, env=settings(server)) as program:
        program.wait_for("ready: 2 live books")
        for _ in range(20):
            server.play(lambda exchange: exchange.trade(asset_id, "BUY", "1"))
        wait_until((tmp_path / "waits").exists, "the slow callback does not run", program)
        (record,) = server.open_connections()
        assert server.wait_until(lambda: record.texts_sent >= 22)
        program.process.send_signal(signal.SIGTERM)
        (tmp_path / "go").touch()

        assert 0 == program.process.wait(60)
        assert program.text.startswith("following 2 assets with 1 callback\nready: ")
        assert program.text.count("stored") >= 1
        assert program.text.endswith(" 0 failed calls, 0 dropped, 0 discarded\n")

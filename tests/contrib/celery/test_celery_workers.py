"""A subscriber in real Celery workers, with a real Redis between: each pool, each scope."""

from __future__ import annotations

import itertools
import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

pytest.importorskip("celery.signals", reason="needs the extra [celery]")
pytest.importorskip("redis", reason="needs the extra [hosts]")
pytest.importorskip("gevent", reason="needs the extra [hosts]")

import celery
from kit.programs import BIN, Program, free_port, launched, wait_until
from kit.redis_server import redis_server

from polymarket_ws.testing import FakeServer, SimulatedExchange

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "celery" / "start.sh"

APP = """
import json, os
from celery import Celery
from polymarket_ws import Options, Subscriber
from polymarket_ws.contrib.celery import attach, to_task

app = Celery("tasks", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.worker_enable_remote_control = False
options = Options(market_url=os.environ["MARKET_URL"], trust_env=False)
assets = json.loads(os.environ["ASSET_IDS"])
prices = Subscriber(assets, options=options, name="prices")
feed = Subscriber(assets[:1], options=options, name="feed")
attach(app, prices)
attach(app, feed, scope="node")

def write(name, what):
    with open(name, "a") as file:
        file.write(f"{what}\\n")

@feed.on_error
def keep(error):
    write("lost", error.event.size)

@app.task
def look():
    prices.wait_ready(30)
    return os.getpid()

@app.task
def store(event):
    assert isinstance(event["price"], str)
    write("stored", event["size"])

to_task("last_trade_price", store, timeout=0.5, pause=0.5)
"""


class Site:
    """A folder with the application, an exchange, and a broker on a port that stays the same."""

    def __init__(self, folder: Path, server: FakeServer) -> None:
        assert server.exchange is not None
        self.folder, self.server, self.exchange = folder, server, server.exchange
        self.asset_ids = list(server.exchange.asset_ids[:2])
        self.port = free_port()
        self.broker = f"redis://127.0.0.1:{self.port}/0"
        self.client = celery.Celery("tasks", broker=self.broker, backend=self.broker)

    @contextmanager
    def worker(self, pool: str, *arguments: str) -> Iterator[Program]:
        """A worker that is ready."""
        (self.folder / "tasks.py").write_text(APP)
        env = {
            "BROKER": self.broker,
            "MARKET_URL": self.server.url(),
            "ASSET_IDS": json.dumps(self.asset_ids),
        }
        quick = ("--without-mingle", "--without-gossip", "--without-heartbeat", "-l", "INFO")
        command = [BIN / "celery", "-A", "tasks", "worker", "-P", pool, *quick, *arguments]
        with launched(self.folder / "log", *command, cwd=self.folder, env=env) as program:
            program.wait_for(" ready.")
            yield program

    def look(self) -> int:
        """The process of a task that read live books."""
        pid: int = self.client.send_task("tasks.look").get(timeout=60)
        return pid

    def trade(self, size: int) -> None:
        """One public trade of so many shares."""
        asset_id = self.asset_ids[0]
        self.server.play(lambda exchange: exchange.trade(asset_id, "BUY", str(size)))

    def lines(self, name: str) -> list[str]:
        """What the worker wrote into a file."""
        path = self.folder / name
        return path.read_text().split() if path.exists() else []

    def open_by_size(self) -> tuple[int, int]:
        """How many connections of `prices` (two assets) and of `feed` (one) are open."""
        sizes = [len(record.asset_ids) for record in self.server.open_connections()]
        return sizes.count(2), sizes.count(1)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An exchange that does not move by itself, and no broker yet."""
    with FakeServer(SimulatedExchange()) as server:
        site = Site(tmp_path, server)
        yield site
        site.client.close()


@pytest.mark.keeps_descriptors  # Celery's client keeps its connections to Redis
@pytest.mark.parametrize(
    ("pool", "processes"), [("prefork", 3), ("threads", 1), ("gevent", 1), ("solo", 1)]
)
def test_each_pool(site: Site, pool: str, processes: int) -> None:
    """`prices` has a connection in each process that runs tasks, `feed` one; a trade is stored
    once; a warm shutdown closes them all with a close frame.
    """
    with redis_server(site.folder, site.port), site.worker(pool, "-c", "3") as worker:
        wait_until(lambda: site.open_by_size() == (processes, 1), "connections", worker)
        site.look()
        for size in range(1, 21):
            site.trade(size)
        wait_until(lambda: "20" in site.lines("stored"), "the last trade is not stored", worker)
        wait_until(lambda: len(site.lines("stored")) >= 20, "a trade is not stored", worker)

        assert list(range(1, 21)) == sorted(map(int, site.lines("stored")))
        assert 0 == worker.end(signal.SIGTERM)
    codes = {record.close_code for record in site.server.connections}
    assert ({1000}, processes + 1) == (codes, len(site.server.connections))


@pytest.mark.keeps_descriptors  # as above
def test_children_that_are_replaced(site: Site) -> None:
    """With --max-tasks-per-child a new child has a connection of its own, the old one's ends with a
    close frame, and the worker's one goes on.
    """
    arguments = ("-c", "1", "--max-tasks-per-child", "1")
    with redis_server(site.folder, site.port), site.worker("prefork", *arguments) as worker:
        assert site.look() != site.look()
        (former, *_) = [r for r in site.server.connections if len(r.asset_ids) == 2]
        wait_until(lambda: former.close_code == 1000, "the first child's is open", worker)
        wait_until(lambda: site.open_by_size() == (1, 1), "connections are missing", worker)
        assert 0 == worker.end(signal.SIGTERM)


@pytest.mark.keeps_descriptors  # as above
def test_a_cold_shutdown(site: Site) -> None:
    """At a QUIT the main process closes its connection with a close frame, and nothing is left of
    its children.
    """
    with redis_server(site.folder, site.port), site.worker("prefork", "-c", "1") as worker:
        wait_until(lambda: site.open_by_size() == (1, 1), "connections are missing", worker)
        (feed,) = [r for r in site.server.connections if len(r.asset_ids) == 1]
        worker.end(signal.SIGQUIT)
        wait_until(lambda: site.open_by_size() == (0, 0), "connections were left", worker)
    assert 1000 == feed.close_code


@pytest.mark.keeps_descriptors  # as above
def test_a_broker_that_is_down(site: Site) -> None:
    """While Redis is down each trade is told as lost; afterwards trades are sent again; none is
    stored twice or missing without a word.
    """
    with ExitStack() as worker_ends:
        with redis_server(site.folder, site.port):
            worker = worker_ends.enter_context(site.worker("threads", "-c", "1"))
            wait_until(lambda: site.open_by_size() == (1, 1), "connections are missing", worker)
            site.trade(1)
            wait_until(lambda: site.lines("stored") == ["1"], "the first is not stored", worker)
        for size in range(2, 12):
            site.trade(size)
        wait_until(lambda: len(site.lines("lost")) == 10, "not all were told", worker)
        sizes = itertools.count(12)

        def is_stored_again() -> bool:
            site.trade(next(sizes))
            return len(site.lines("stored")) > 1

        with redis_server(site.folder, site.port):
            wait_until(is_stored_again, "nothing is sent again", worker)
            sent = next(sizes) - 1

            def told() -> list[int]:
                return sorted(map(int, [*site.lines("stored"), *site.lines("lost")]))

            wait_until(lambda: len(told()) >= sent, "a trade is missing", worker)
            assert list(range(1, sent + 1)) == told()
            assert 0 == worker.end(signal.SIGTERM)
            worker.wait_for("is sent again after")


@pytest.mark.keeps_descriptors  # as above
def test_the_example_stores_each_trade_once(site: Site) -> None:
    """docs/examples/celery: a connection for each of four processes and one for the feed; a trade
    is stored once; a task quotes; TERM ends worker and Redis.
    """
    env = {
        "ASSET_IDS": json.dumps(site.asset_ids),
        "MARKET_URL": site.server.url(),
        "PORT": str(site.port),
        "NO_PROXY": "*",
    }
    with launched(site.folder / "log", "sh", EXAMPLE, cwd=site.folder, env=env) as program:
        program.wait_for(" ready.")
        wait_until(lambda: 5 == len(site.server.open_connections()), "connections", program)
        quote = site.client.send_task("tasks.quote", args=[site.asset_ids[0]]).get(timeout=60)
        for size in range(1, 21):
            site.trade(size)

        def stored() -> list[int]:
            with closing(sqlite3.connect(site.folder / "trades.sqlite3", timeout=30)) as database:
                return sorted(int(size) for (size,) in database.execute("SELECT size FROM trades"))

        wait_until((site.folder / "trades.sqlite3").exists, "nothing is stored", program)
        wait_until(lambda: len(stored()) >= 20, "a trade is not stored", program)
        assert list(range(1, 21)) == stored()
        assert set(quote) == {"bid", "ask"}
        assert None not in quote.values()
        site.client.close()
        program.end(signal.SIGTERM)
    assert {1000} == {record.close_code for record in site.server.connections}

"""What Prometheus scrapes over HTTP, while a server plays, is what the subscribers counted."""

from __future__ import annotations

import re
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import attrs
import pytest

pytest.importorskip("prometheus_client", reason="needs the extra [prometheus]")

from prometheus_client import REGISTRY, CollectorRegistry, make_wsgi_app
from prometheus_client.parser import text_string_to_metric_families

from polymarket_ws import Options, Subscriber
from polymarket_ws.contrib.prometheus import SubscriberCollector
from polymarket_ws.errors import ConfigurationError
from polymarket_ws.stats import ConnectionStats, Stats
from polymarket_ws.testing import FakeServer, SimulatedExchange

Scrape = Callable[[], dict[tuple[str, ...], float]]
PAGE = Path(__file__).resolve().parents[3] / "docs" / "prometheus.md"
PATIENCE = 10.0

# Where a field of stats() has another name in the metrics; None: it is left out.
NAMES = {
    "events": "events_total",
    "uptime": "uptime_seconds",
    "connections": "connection_state",
    "queue_depth": "queue_depth",
    "queue_high_water": "queue_high_water",
    "pending": "pending",
    "state": "state",
}
CONNECTION_NAMES = {
    "connection": None,  # labels
    "channel": None,
    "local_port": None,  # a new series for each connection, and no use
    "messages": None,  # goes back to 0 with each connection; total_messages does not
    "state": "connection_state",
    "attempt": "connection_attempt",
    "generation": "connection_generations_total",
    "total_messages": "connection_messages_total",
    "total_bytes": "connection_received_bytes_total",
    "last_data_age": "connection_last_data_age_seconds",
    "last_round_trip": "connection_last_round_trip_seconds",
}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server with a simulated exchange."""
    with FakeServer(SimulatedExchange()) as server:
        yield server


def _exchange(server: FakeServer) -> SimulatedExchange:
    assert server.exchange is not None
    return server.exchange


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Not a line for each scrape."""


@contextmanager
def _scraped(collector: SubscriberCollector) -> Iterator[Scrape]:
    """What a scrape over HTTP tells: values by name and label values, the latter in sorted order
    of their labels.
    """
    registry = CollectorRegistry()
    registry.register(collector)
    exposition = make_server("127.0.0.1", 0, make_wsgi_app(registry), handler_class=_Handler)
    thread = threading.Thread(target=exposition.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def scrape() -> dict[tuple[str, ...], float]:
        url = f"http://127.0.0.1:{exposition.server_port}/metrics"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            text = answer.read().decode()
        samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
        values = {(s.name, *(v for _, v in sorted(s.labels.items()))): s.value for s in samples}
        assert len(values) == len(samples), "a series is told twice"
        return {
            (name.removeprefix("polymarket_ws_"), *rest): v for (name, *rest), v in values.items()
        }

    try:
        yield scrape
    finally:
        exposition.shutdown()
        exposition.server_close()
        thread.join(PATIENCE)


def test_a_scrape_tells_what_was_counted(server: FakeServer) -> None:
    """Events, books and bytes over HTTP are those of stats()."""
    with (
        Subscriber(_exchange(server).asset_ids, options=server.options(), name="prices") as sub,
        _scraped(SubscriberCollector()) as scrape,
    ):
        sub.wait_ready()
        server.play(50)
        server.settle(sub)
        told, stats = scrape(), sub.stats()

    events = {name[1]: value for name, value in told.items() if name[0] == "events_total"}
    assert stats.events == events
    assert stats.hash_checks == told["hash_checks_total", "prices"]
    assert 1 == told["state", "LIVE", "prices"]
    assert 0 == told["state", "DEGRADED", "prices"]
    assert 1 == told["healthy", "prices"]
    assert len(sub.books) == told["books_subscribed", "prices"]
    assert 0 == told["books_missing", "prices"]
    assert len(sub.books) == told["books_integrity", "verified", "prices"]
    (connection,) = stats.connections
    received = ("connection_received_bytes_total", "market", connection.connection, "prices")
    is_open = ("connection_state", "market", connection.connection, "open", "prices")
    assert connection.total_bytes == told[received]
    assert 1 == told[is_open]


def test_every_figure_of_stats_is_told() -> None:
    """Each field of Stats and ConnectionStats has its metric, or a reason to have none."""
    metrics = {
        family.name + "_total" * (family.type == "counter")
        for family in SubscriberCollector().describe()
    }
    wanted = {NAMES.get(f.name, f"{f.name}_total") for f in attrs.fields(Stats)}
    wanted |= {CONNECTION_NAMES[f.name] for f in attrs.fields(ConnectionStats)} - {None}

    assert {f"polymarket_ws_{name}" for name in wanted} <= metrics


def test_every_metric_is_documented() -> None:
    """docs/prometheus.md has each in its table; the counters of Stats go by their names there."""
    documented = set(re.findall(r"`([a-z_]+)`", PAGE.read_text(encoding="utf-8")))
    counters = {f"{field.name}_total" for field in attrs.fields(Stats)}

    for family in SubscriberCollector(per_asset=True).describe():
        name = family.name.removeprefix("polymarket_ws_") + "_total" * (family.type == "counter")
        assert name in documented | counters


def test_names_keep_the_conventions() -> None:
    """A counter ends in _total in what is scraped, and nothing else does; each has a help text."""
    for family in SubscriberCollector(per_asset=True).describe():
        assert family.documentation
        assert not family.name.endswith("_total")
        assert family.type in ("counter", "gauge")


def test_lost_books_are_told_with_their_reason(server: FakeServer) -> None:
    """While a connection is down its books are missing, by "disconnect"; afterwards none is."""
    options = server.options(backoff_base=0.001, backoff_cap=0.001)
    was_told = threading.Event()
    with (
        Subscriber(_exchange(server).asset_ids, options=options, name="prices") as sub,
        _scraped(SubscriberCollector([sub])) as scrape,
    ):
        sub.wait_ready()
        sub.on_gap(lambda gap: was_told.set())
        server.stop_listening()
        server.disconnect()
        assert was_told.wait(PATIENCE)
        lost = scrape()
        server.listen_again()
        sub.wait_ready()
        healed = scrape()

    assert len(sub.books) == lost["books_stale", "disconnect", "prices"]
    assert len(sub.books) == lost["books_missing", "prices"]
    assert (0, 1) == (lost["healthy", "prices"], lost["gaps_total", "prices"])
    assert ("books_oldest_age_seconds", "prices") not in lost
    assert ("books_stale", "disconnect", "prices") not in healed
    assert (1, 1) == (healed["healthy", "prices"], healed["resyncs_total", "prices"])
    assert 1 == healed["reconnects_total", "prices"]


def test_counters_begin_anew_with_a_restart(server: FakeServer) -> None:
    """After stop() and start() a counter is lower than before, as after a process's restart."""
    with _scraped(SubscriberCollector()) as scrape:
        with Subscriber(_exchange(server).asset_ids, options=server.options(), name="a") as sub:
            sub.wait_ready()
            server.play(50)
            server.settle(sub)
            before = scrape()
            sub.stop()
            sub.start()
            sub.wait_ready()
            after = scrape()
        stopped = scrape()

    received = ("connection_received_bytes_total", "market", "a-market", "a")
    assert 0 < after[received] < before[received]
    assert after["events_total", "book", "a"] < before["events_total", "book", "a"]
    assert {} == stopped


def test_one_that_is_named_is_told_of_after_its_end(server: FakeServer) -> None:
    """A collector of given subscribers tells of them before start() and after stop(), too."""
    sub = Subscriber(_exchange(server).asset_ids, options=server.options(), name="a")
    with _scraped(SubscriberCollector([sub])) as scrape:
        idle = scrape()
        with sub:
            sub.wait_ready()
        stopped = scrape()

    assert (1, 0) == (idle["state", "IDLE", "a"], idle["uptime_seconds", "a"])
    assert len(sub.books) == idle["books_stale", "no_snapshot", "a"]
    assert 1 == stopped["state", "STOPPED", "a"]
    assert 0 == stopped["healthy", "a"]


def test_several_subscribers_and_standbys_are_told_apart(server: FakeServer) -> None:
    """No series is told twice, whatever connections there are."""
    asset_ids = _exchange(server).asset_ids
    options = server.options(standby=True)
    with (
        Subscriber(asset_ids, options=options, name="a") as first,
        Subscriber(asset_ids[:2], options=server.options(), name="b") as second,
        _scraped(SubscriberCollector()) as scrape,
    ):
        first.wait_ready()
        second.wait_ready()
        assert first._wait_until(lambda: len(first.stats().connections) == 2, PATIENCE)
        told = scrape()
        connections = {c.connection for s in (first, second) for c in s.stats().connections}

    assert {"a", "b"} == {name[-1] for name in told if name[0] == "healthy"}
    assert connections == {name[2] for name in told if name[0] == "connection_attempt"}
    assert {"a-market", "a-market-standby", "b-market"} == connections


def test_no_label_grows_with_the_assets_unless_asked(server: FakeServer) -> None:
    """Per-asset series come with per_asset=True alone: two for each book."""
    asset_ids = _exchange(server).asset_ids
    with (
        Subscriber(asset_ids, options=server.options(), name="a") as sub,
        _scraped(SubscriberCollector()) as scrape_all,
        _scraped(SubscriberCollector(per_asset=True)) as scrape_each,
    ):
        sub.wait_ready()
        few, many = scrape_all(), scrape_each()

    assert not [name for name in few if set(name) & set(asset_ids)]
    assert {("book_valid", a, "a") for a in asset_ids} <= set(many)
    assert 2 * len(asset_ids) == len([name for name in many if set(name) & set(asset_ids)])


def test_two_of_the_same_name_are_refused() -> None:
    """Their series would be the same."""
    one, other = Subscriber(["1"], name="a"), Subscriber(["2"], name="a")

    with pytest.raises(ConfigurationError, match="two subscribers are called 'a'"):
        SubscriberCollector([one, other])


@pytest.mark.parametrize("wrong", [Subscriber(["1"]), "prices", 3])
def test_what_is_no_list_is_refused(wrong: Any) -> None:
    """One Subscriber goes in a list, too."""
    with pytest.raises(ConfigurationError, match="pass a list of Subscribers"):
        SubscriberCollector(wrong)


def test_nothing_is_registered_by_itself() -> None:
    """Importing and constructing leave the default registry as it was."""
    SubscriberCollector([Subscriber(["1"], options=Options())])

    assert not [name for name in REGISTRY._names_to_collectors if "polymarket" in name]


def test_registering_does_not_scrape() -> None:
    """The names that describe() tells are those of a scrape."""
    sub = Subscriber(["1"], name="a")
    collector = SubscriberCollector([sub], per_asset=True)

    assert [f.name for f in collector.describe()] == [f.name for f in collector.collect()]
    assert not [s for f in collector.describe() for s in f.samples]

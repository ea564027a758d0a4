"""The exporter of docs/examples/prometheus runs; dashboard and rules ask for what it tells."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="needs the extra [prometheus]")
pytest.importorskip("promql_parser", reason="needs the extra [hosts]")
pytest.importorskip("yaml", reason="needs the extra [hosts]")

import promql_parser
import yaml

from polymarket_ws.contrib.prometheus import SubscriberCollector
from polymarket_ws.testing import FakeServer, SimulatedExchange

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "prometheus"
PATIENCE = 30.0

DASHBOARD = json.loads((EXAMPLE / "dashboard.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RULES = [
    rule
    for group in yaml.safe_load((EXAMPLE / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
QUERIES = {
    **{f"panel {p['title']} {t['refId']}": t["expr"] for p in PANELS for t in p["targets"]},
    **{f"alert {rule['alert']}": rule["expr"] for rule in RULES},
}
# The labels of each metric, by the name that a query asks for.
LABELS = {
    f"{family.name}{'_total' if family.type == 'counter' else ''}": {*family._labelnames}
    for family in SubscriberCollector().describe()
}


def _selectors(query: str) -> Iterator[tuple[str, set[str]]]:
    """The metrics of a query, each with the labels that its matchers name."""
    for name, matchers in re.findall(r"\b(polymarket_ws_\w+)(?:\{([^}]*)\})?", query):
        yield name, set(re.findall(r"(\w+)=", matchers))


@pytest.mark.parametrize("where", QUERIES)
def test_a_query_asks_for_what_is_told(where: str) -> None:
    """It is PromQL, and each of its metrics exists with the labels that it names."""
    query = QUERIES[where].replace("$__rate_interval", "5m")
    asked = list(_selectors(query))

    promql_parser.parse(query)
    assert asked
    for name, labels in asked:
        assert labels <= LABELS[name]
    grouped = re.findall(r"\bby \(([^)]*)\)", query)
    for name in (label.strip() for labels in grouped for label in labels.split(",")):
        assert name in LABELS[asked[0][0]]


def test_panels_have_their_own_ids_and_places() -> None:
    """No id twice, and no two panels on one spot of the grid of 24 columns."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    spots = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for box in (panel["gridPos"],)
        for x in range(box["x"], box["x"] + box["w"])
        for y in range(box["y"], box["y"] + box["h"])
    ]

    assert len(set(ids)) == len(ids)
    assert len(set(spots)) == len(spots)
    assert max(x for x, _ in spots) < 24


def test_the_rules_hold_what_their_tests_say() -> None:
    """promtool accepts configuration and rules, and its tests of the rules pass."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    for command in (
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "alerts_test.yml"],
    ):
        done = subprocess.run(
            [promtool, *command], cwd=EXAMPLE, capture_output=True, text=True, timeout=PATIENCE
        )
        assert 0 == done.returncode, done.stdout + done.stderr


@contextmanager
def _exporter(*arguments: str) -> Iterator[str]:
    """Its URL, while it runs; it has to end with 0 at SIGTERM."""
    with subprocess.Popen(
        [sys.executable, "exporter.py", "--port", "0", *arguments],
        cwd=EXAMPLE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        killer = threading.Timer(PATIENCE, process.kill)
        killer.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if url := re.search(r"http://127\.0\.0\.1:\d+", line):
                    yield url[0]
                    break
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)
            assert 0 == process.returncode
        finally:
            killer.cancel()
            process.kill()


def _health(url: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=PATIENCE) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_the_exporter_tells_metrics_and_health() -> None:
    """/healthz says 503 while a book has no snapshot, then 200; 503 again once the line is lost."""
    with FakeServer(SimulatedExchange()) as server:
        assert server.exchange is not None
        yes = server.exchange.asset_ids[0]
        server.freeze(new_too=True)
        with _exporter(yes, "--market-url", server.url()) as url:
            server.wait_for_connection("market")
            first = _health(url)
            server.thaw()
            server.publish([server.exchange.book(yes)])
            assert _becomes(url, 200)
            well = _health(url)
            with urllib.request.urlopen(f"{url}/metrics", timeout=PATIENCE) as answer:
                metrics = answer.read().decode()
            server.stop_listening()
            server.disconnect()
            assert _becomes(url, 503)
            lost = _health(url)

    assert (503, {"no_snapshot": 1}) == (first[0], first[1]["not_live"])
    assert (200, {"healthy": True, "state": "LIVE", "not_live": {}}) == well
    assert 'polymarket_ws_books_missing{subscriber="prices"} 0.0' in metrics
    assert (503, {"disconnect": 1}) == (lost[0], lost[1]["not_live"])


def test_the_exporter_tells_a_mistake_in_a_sentence() -> None:
    """A wrong id and a port in use end it with 2, without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, words in ((["0xabc"], "condition id"), (["1", "--port", port], "in use")):
            done = subprocess.run(
                [sys.executable, "exporter.py", *arguments],
                cwd=EXAMPLE,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
            assert (2, True) == (done.returncode, words in done.stderr), done.stderr
            assert "Traceback" not in done.stderr


def _becomes(url: str, status: int) -> bool:
    """Ask until it says so: each answer takes a round trip, so the count is a generous deadline."""
    return any(_health(url)[0] == status for _ in range(5_000))

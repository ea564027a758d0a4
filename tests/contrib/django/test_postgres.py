"""PostgreSQL that goes away under load: each event is written, or told as failed."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterator

import pytest
from kit.django_project import FIRST_MS, Project, Running, wait_until
from kit.postgres import Cluster, find_pg_ctl, running_cluster

pytest.importorskip("django.core", reason="Django is not installed: the extra [django]")
psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

TELL_FAILURES = """

from django.dispatch import receiver
from polymarket_ws.contrib.django.signals import callback_failed

@receiver(callback_failed)
def tell(error, **kwargs):
    with open("failed", "a") as file:
        print(error.event.timestamp_ms, file=file)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server for the tests of this file."""
    pg_ctl = find_pg_ctl()
    if pg_ctl is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with running_cluster(pg_ctl) as cluster:
        yield cluster


@pytest.fixture
def stream(request: pytest.FixtureRequest, project: Project, cluster: Cluster) -> Running:
    """The example's stream into an empty table, which writes failures into a file; a parameter is
    its CONN_HEALTH_CHECKS.
    """
    settings = (project.folder / "mysite" / "settings.py").read_text()
    with_checks, checks = '"CONN_HEALTH_CHECKS": True', getattr(request, "param", True)
    assert with_checks in settings
    project.write(
        "mysite/settings.py", settings.replace(with_checks, f'"CONN_HEALTH_CHECKS": {checks}')
    )
    project.environment |= cluster.environment
    if _ask(cluster, "SELECT count(*) FROM pg_tables WHERE tablename = 'prices_print'") == [0]:
        assert 0 == project.manage("migrate", "--verbosity=0")[0]
    assert [] == _ask(cluster, "DELETE FROM prices_print")
    path = project.folder / "prices" / "subscriptions.py"
    path.write_text(path.read_text() + TELL_FAILURES)
    running = project.start("manage.py", "polymarket_stream")
    running.wait_for("ready: 2 live books")
    return running


def _ask(cluster: Cluster, question: str) -> list[int]:
    with psycopg.connect(
        host=str(cluster.folder), user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        answer = connection.execute(question)
        return [value for (value,) in answer.fetchall()] if answer.description else []


def _written(cluster: Cluster) -> list[int]:
    found = _ask(cluster, "SELECT timestamp_ms FROM prices_print ORDER BY id")
    return [timestamp - FIRST_MS for timestamp in found]


def _told(project: Project) -> list[int]:
    path = project.folder / "failed"
    return [int(line) - FIRST_MS for line in path.read_text().split()] if path.exists() else []


def test_a_restart_under_load_loses_nothing_in_silence(
    project: Project, cluster: Cluster, stream: Running
) -> None:
    """sent == written + told: those that met the restart are told, and later ones are written."""
    numbers = itertools.count()
    sent = 0

    def send(count: int) -> None:
        nonlocal sent
        for number in itertools.islice(numbers, count):
            project.send(number)
            sent += 1

    send(200)
    wait_until(lambda: len(_written(cluster)) > 20, "rows before the restart")
    restart = cluster.control("-m", "fast", "restart")
    while restart.poll() is None:
        send(1)
        threading.Event().wait(0.002)
    assert 0 == restart.returncode
    send(200)
    wait_until(lambda: len(_written(cluster)) + len(_told(project)) >= sent, "all are handled")
    assert 0 == stream.end()
    written, told = _written(cluster), _told(project)

    assert set(range(sent)) == {*written, *told}
    assert len(set(written)) == len(written)
    assert len({*written} & {*told}) <= 1  # a commit whose answer the restart cut off
    assert set(range(sent - 100, sent)) <= {*written}
    assert f"{len(told)} failed calls, 0 dropped, 0 discarded" in stream.log


@pytest.mark.parametrize(("stream", "cost"), [(True, 0), (False, 1)], indirect=["stream"])
def test_a_killed_connection_costs_the_write_that_meets_it(
    cost: int, project: Project, cluster: Cluster, stream: Running
) -> None:
    """The complaint was that every later write was lost: 36 of 36. With CONN_HEALTH_CHECKS even
    the first is written.
    """
    project.send(*range(5))
    wait_until(lambda: len(_written(cluster)) == 5, "rows")
    others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'postgres'"
    assert [1] == _ask(cluster, f"SELECT count(pg_terminate_backend(pid)) {others}")
    wait_until(lambda: _ask(cluster, f"SELECT count(*) {others}") == [0], "its end")
    project.send(*range(5, 41))
    wait_until(lambda: len(_written(cluster)) + len(_told(project)) >= 41, "all are handled")
    assert 0 == stream.end()
    found = re.search(r"(\d+) failed call", stream.log)
    assert found is not None

    assert set(range(41)) == {*_written(cluster), *_told(project)}
    assert cost == int(found[1]) == len(_told(project))

"""runserver, gunicorn and uWSGI with the example: connections counted, events written once."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from kit.django_project import Project, Running, free_port, get, wait_until

pytest.importorskip("django.core", reason="Django is not installed: the extra [django]")

RUNSERVER = ("manage.py", "runserver")
STARTED_IN_READY = """
from django.apps import AppConfig
class PricesConfig(AppConfig):
    name = "prices"
    def ready(self):
        from polymarket_ws.contrib.django import subscriber
        subscriber.start()
"""
STARTED_IN_WSGI = """
from polymarket_ws.contrib.django import start_in_worker
start_in_worker()
"""
UWSGI_APP = """
from uwsgidecorators import postfork
from mysite.wsgi import application
from polymarket_ws.contrib.django import start_in_worker
postfork(start_in_worker)
"""


def _stream(project: Project) -> Running:
    running = project.start("manage.py", "polymarket_stream")
    running.wait_for("ready: 2 live books")
    return running


def _is_priced(port: int) -> bool:
    return len(json.loads(get(port))["prices"]) == 2


def _edit_until_reloaded(project: Project, port: int) -> None:
    """Touch a file until another process serves; an edit before the first look goes unseen."""
    former = get(port, "/pid")

    def is_reloaded() -> bool:
        os.utime(project.folder / "mysite" / "urls.py")
        return get(port, "/pid") != former

    wait_until(is_reloaded, "reloaded")


@pytest.fixture
def port(project: Project) -> int:
    """Where the project will be served; it also tells the process that answers."""
    with (project.folder / "mysite" / "urls.py").open("a") as urls:
        urls.write(
            "\nimport os\nfrom django.http import HttpResponse\n"
            "urlpatterns.append(path('pid', lambda request: HttpResponse(os.getpid())))\n"
        )
    return free_port()


def test_runserver_beside_the_stream_opens_no_connection(project: Project, port: int) -> None:
    """The recommended shape: one connection, each event written once, across a reload too."""
    stream = _stream(project)
    web = project.start(*RUNSERVER, f"127.0.0.1:{port}")
    project.send(1)
    _edit_until_reloaded(project, port)
    project.send(2)
    project.wait_for_rows(2)
    os.killpg(web.process.pid, signal.SIGINT)

    assert 0 == stream.end()
    assert [1, 2] == project.rows()
    assert 1 == len(project.server.connections)
    assert "W001" not in web.log


def test_runserver_with_a_start_in_ready_is_warned(project: Project, port: int) -> None:
    """The complaint: two connections, each event written twice. The check says so."""
    project.write("prices/apps.py", STARTED_IN_READY)
    web = project.start(*RUNSERVER, f"127.0.0.1:{port}")
    assert project.server.wait_until(lambda: len(project.server.open_connections()) == 2, 30)
    web.wait_for("polymarket_ws.W001")
    project.send(1)
    project.wait_for_rows(2)
    code, log = project.manage("check")

    assert [1, 1] == project.rows()
    assert "(polymarket_ws.W001) Started at import or in AppConfig.ready(): prices" in web.log
    assert (0, True) == (code, "polymarket_ws.W001" in log)


def test_runserver_with_a_start_in_wsgi_has_one_connection(project: Project, port: int) -> None:
    """start_in_worker() in wsgi.py runs in the child that serves, never in the reloader."""
    with (project.folder / "mysite" / "wsgi.py").open("a") as wsgi:
        wsgi.write(STARTED_IN_WSGI)
    web = project.start(*RUNSERVER, f"127.0.0.1:{port}")
    wait_until(lambda: _is_priced(port), "prices")
    (former,) = project.server.connections
    _edit_until_reloaded(project, port)
    wait_until(lambda: _is_priced(port), "prices")

    assert "W001" not in web.log
    assert 1000 == former.close_code
    assert 2 == len(project.server.connections)
    assert 1 == len(project.server.open_connections())


@pytest.mark.parametrize(("worker", "preload"), [("sync", False), ("gthread", True)])
def test_gunicorn_has_a_connection_for_each_worker(
    worker: str, preload: bool, project: Project, port: int
) -> None:
    """Four workers have four connections for their views; the stream's alone writes, and once."""
    pytest.importorskip("gunicorn", reason="gunicorn is not installed")
    stream = _stream(project)
    arguments = ["-w", "4", "-k", worker, "-b", f"127.0.0.1:{port}", "mysite.wsgi"]
    web = project.start("-m", "gunicorn", *(["--preload"] if preload else []), *arguments)
    assert project.server.wait_until(lambda: len(project.server.open_connections()) == 5, 30)
    project.send(*range(20))
    project.wait_for_rows(20)
    wait_until(lambda: _is_priced(port), "prices")

    assert 0 == web.end()
    assert 0 == stream.end()
    assert list(range(20)) == project.rows()
    assert 5 == len(project.server.connections)
    assert {1000} == {record.close_code for record in project.server.connections}


def test_handlers_in_each_worker_write_as_often_as_there_are_workers(
    project: Project, port: int
) -> None:
    """What the page says of call_handlers=True: two workers write each event twice."""
    pytest.importorskip("gunicorn", reason="gunicorn is not installed")
    hook = (project.folder / "gunicorn.conf.py").read_text()
    called = hook.replace("    start_in_worker()", "    start_in_worker(call_handlers=True)")
    project.write("gunicorn.conf.py", called)
    project.start("-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}", "mysite.wsgi")
    assert project.server.wait_until(lambda: len(project.server.open_connections()) == 2, 30)
    project.send(1)
    project.wait_for_rows(2)

    assert [1, 1] == project.rows()


def test_gunicorn_post_fork_sets_django_up(project: Project, port: int) -> None:
    """Before the application is loaded, start_in_worker() reads DJANGO_SETTINGS_MODULE."""
    pytest.importorskip("gunicorn", reason="gunicorn is not installed")
    hook = (project.folder / "gunicorn.conf.py").read_text()
    project.write(
        "gunicorn.conf.py", hook.replace("post_worker_init(worker", "post_fork(server, worker")
    )
    web = project.start(
        *("-m", "gunicorn", "-w", "1", "-b", f"127.0.0.1:{port}", "mysite.wsgi"),
        DJANGO_SETTINGS_MODULE="mysite.settings",
    )
    wait_until(lambda: _is_priced(port), "prices")

    assert 0 == web.end()
    assert 1 == len(project.server.connections)


def test_uwsgi_starts_in_postfork(project: Project, port: int) -> None:
    """Two workers have a connection each, and the master none."""
    uwsgi = Path(sys.executable).with_name("uwsgi")
    if not uwsgi.exists():
        pytest.skip("uWSGI is not installed")
    project.write("uwsgi_app.py", UWSGI_APP)
    arguments = ["--master", "--processes=2", "--enable-threads", "--die-on-term"]
    arguments += [f"--http-socket=127.0.0.1:{port}", "--module=uwsgi_app", "--need-app"]
    arguments += [f"--virtualenv={Path(sys.prefix)}", f"--pythonpath={project.folder}"]
    launcher = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
    web = project.start("-c", launcher, str(uwsgi), *arguments)
    assert project.server.wait_until(lambda: len(project.server.open_connections()) == 2, 30)
    wait_until(lambda: _is_priced(port), "prices")

    assert 0 == web.end()
    assert 2 == len(project.server.connections)

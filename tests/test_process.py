"""What polymarket_ws.process knows of servers that fork, or that change what a thread is.

The modules of the servers are stand-ins here; tests/proofs/hosts_proof.py runs the servers.
"""

from __future__ import annotations

import logging
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from kit.forking import in_child

from polymarket_ws import State, Subscriber
from polymarket_ws.errors import ConfigurationError
from polymarket_ws.process import how_to_start_in_child, is_outdated, why_not_to_start
from polymarket_ws.testing import FakeServer, make_book

Load = Callable[..., None]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Make a module of that name seem to be loaded."""

    def load(name: str, **members: Any) -> None:
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)

    return load


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server with one book."""
    with FakeServer() as server:
        server.add_book(make_book("1"))
        yield server


def _uwsgi(**changes: Any) -> dict[str, Any]:
    """A worker of uWSGI with a master and threads, or what differs from it."""
    worker = {
        "has_threads": 1,
        "masterpid": os.getppid,
        "worker_id": lambda: 1,
        "numproc": 4,
        "opt": {"master": True},
    }
    return {**worker, **changes}


@pytest.mark.parametrize(
    ("modules", "remedy"),
    [
        ([], "call start() in the child, or set Options(restart_after_fork=True)"),
        (
            ["uwsgi"],
            "under uWSGI, call start() in a function decorated with @uwsgidecorators.postfork",
        ),
        (["gunicorn.arbiter"], "under gunicorn, call start() in the post_fork hook"),
        (
            ["gunicorn.arbiter", "gunicorn.workers.ggevent"],
            "under gunicorn's gevent worker, call start() in the post_worker_init hook",
        ),
        (["celery.concurrency.prefork"], "under Celery, call start() on the worker_process_init"),
    ],
)
def test_the_remedy_is_that_of_the_server(load: Load, modules: list[str], remedy: str) -> None:
    """A forked worker is sent to the hook of the server that it belongs to."""
    for name in modules:
        load(name)

    assert how_to_start_in_child().startswith(remedy)


def test_nothing_keeps_a_usual_process_from_starting() -> None:
    """Without such a server there is no reason, nor with a context of one's own."""
    assert ["", ""] == [why_not_to_start(None), why_not_to_start(ssl.create_default_context())]


NO_THREADS = "this uWSGI runs no Python threads: set enable-threads = true for it"
UNSEEN = (
    "this process of uWSGI will be forked without a word to Python: under uWSGI, call start() in a "
    "function decorated with @uwsgidecorators.postfork"
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"has_threads": 0}, NO_THREADS),
        ({"masterpid": os.getpid}, UNSEEN),
        ({"masterpid": os.getpid, "opt": {"py-call-uwsgi-fork-hooks": True}}, ""),
        ({"masterpid": os.getpid, "opt": {"py-call-osafterfork": True}}, UNSEEN),
        ({"masterpid": lambda: 0, "worker_id": lambda: 0}, UNSEEN),
        ({"masterpid": lambda: 0, "worker_id": lambda: 0, "numproc": 1}, ""),
    ],
)
def test_uwsgi_is_asked(load: Load, changes: dict[str, Any], reason: str) -> None:
    """Without threads, and in the process that it forks unseen, a start is refused."""
    load("uwsgi", **_uwsgi(**changes))

    assert reason == why_not_to_start(None)


def test_greenlets_need_no_threads_of_uwsgi(load: Load) -> None:
    """Where gevent runs the threads, uWSGI need not."""
    load("uwsgi", **_uwsgi(has_threads=0))
    load("gevent.monkey", is_module_patched=lambda name: name == "threading")

    assert why_not_to_start(None) == ""


def test_stubs_of_uwsgi_are_no_server(load: Load) -> None:
    """A module of that name that has nothing of uWSGI's is a package of type stubs."""
    load("uwsgi")

    assert why_not_to_start(None) == ""


@pytest.mark.parametrize("is_patched", [False, True])
def test_gunicorn_gevent_worker_must_be_patched_first(load: Load, is_patched: bool) -> None:
    """In post_fork the worker is not patched yet: threads of then could not go on."""
    load("gunicorn.workers.ggevent")
    load("gevent.monkey", is_module_patched=lambda _: is_patched)
    arbiter: dict[str, Any] = {"__name__": "gunicorn.arbiter"}
    exec("def spawn_worker(post_fork):\n    return post_fork(None)", arbiter)
    reason = (
        "gevent has not patched this worker yet, and will: under gunicorn's gevent worker, call "
        "start() in the post_worker_init hook of its configuration"
    )

    assert ("" if is_patched else reason) == arbiter["spawn_worker"](why_not_to_start)
    assert why_not_to_start(None) == ""  # in the master, which is never patched


def test_a_context_of_before_the_patching_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """gevent and eventlet replace ssl.SSLContext: a former one cannot wrap their sockets."""
    context = ssl.create_default_context()
    for module, reason in (
        ("gevent.ssl", "Options.ssl_context was made before gevent patched ssl: patch first"),
        (
            "eventlet.green.ssl",
            "Options.ssl_context was made before eventlet patched ssl: patch first",
        ),
        ("truststore", ""),  # it, too, replaces the class; a former one still works
    ):
        replaced = type("SSLContext", (ssl.SSLContext,), {"__module__": module})
        with monkeypatch.context() as patch:
            patch.setattr(ssl, "SSLContext", replaced)
            assert ["", reason] == [why_not_to_start(None), why_not_to_start(context)]


def test_locks_of_before_the_patching_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock is outdated once threading.RLock makes another kind of locks."""
    lock = threading.RLock()

    assert not is_outdated(lock)
    monkeypatch.setattr(threading, "RLock", threading.Lock)
    assert is_outdated(lock)


def test_a_refused_start_leaves_nothing(server: FakeServer) -> None:
    """start() raises ConfigurationError; once the reason is gone it works."""
    sub = Subscriber(["1"], options=server.options())
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "uwsgi", ModuleType("uwsgi"))
        vars(sys.modules["uwsgi"]).update(_uwsgi(has_threads=0))
        with pytest.raises(ConfigurationError, match="enable-threads"):
            sub.start()
        assert (State.IDLE, True) == (sub.state, sub.stop())
    with sub:
        sub.wait_ready()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_refused_restart_after_a_fork_is_told(load: Load, server: FakeServer) -> None:
    """restart_after_fork where threads do not work: one WARNING, and the child is FORKED."""

    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("polymarket_ws")
    logger.addHandler(handler)
    try:
        with Subscriber(["1"], options=server.options(restart_after_fork=True), name="x") as sub:
            sub.wait_ready()
            load("uwsgi", **_uwsgi(has_threads=0))

            assert [
                [f"x: not started anew after the fork: {NO_THREADS}"],
                "FORKED",
            ] == in_child(lambda: [list(lines), sub.state])
            assert sub.healthy
    finally:
        logger.removeHandler(handler)


def test_importing_and_constructing_do_nothing() -> None:
    """Neither starts a thread, opens a socket, registers an exit hook nor reads the environment."""
    code = """
import atexit, os, socket, sys, threading
class Environment(dict):
    def __getitem__(self, name): raise AssertionError(name)
    get = __contains__ = __getitem__
import attrs, cattrs, ssl, websocket, logging, zoneinfo  # theirs is theirs
before = atexit._ncallbacks()
made = socket.socket.__init__
def refuse(*a, **k): raise AssertionError("a socket")
socket.socket.__init__ = refuse
os.environ = Environment()
from polymarket_ws import Subscriber
Subscriber(["1"])
assert atexit._ncallbacks() == before and threading.active_count() == 1
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)

"""Database connections around each handler."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.examples import disconnected

pytest.importorskip("django.core", reason="Django is not installed: the extra [django]")

from django.db import ConnectionHandler

from polymarket_ws.contrib.django import hosted_handler
from polymarket_ws.contrib.django.hosted_handler import HostedHandler, hear_the_end

PATIENCE = 30.0


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Connections to an SQLite file, as each thread has its own."""
    made = ConnectionHandler(
        {
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(tmp_path / "db.sqlite3"),
                "CONN_MAX_AGE": None,
            }
        }
    )
    monkeypatch.setattr(hosted_handler, "connections", made)
    yield made["default"]
    made.close_all()


def _on_a_thread(*actions: Callable[[], object]) -> list[object]:
    """Do it as a callback thread would; what each returned."""
    results: list[object] = []

    def run() -> None:
        try:
            results.extend(action() for action in actions)
        finally:
            hosted_handler.connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(PATIENCE)
    return results


def _ask(_: object = None) -> object:
    with hosted_handler.connections["default"].cursor() as cursor:
        return cursor.execute("SELECT 1").fetchone()[0]


def _socket(_: object = None) -> object:
    return hosted_handler.connections["default"].connection


def _hosted(handler: Callable[[Any], object]) -> Callable[[], object]:
    def call() -> object:
        return HostedHandler(handler, lambda error: None)(object())

    return call


def test_a_good_connection_is_kept() -> None:
    """With CONN_MAX_AGE None one connection serves one handler after the other."""
    _, first, _, second = _on_a_thread(_hosted(_ask), _socket, _hosted(_ask), _socket)

    assert first is second is not None


def test_a_broken_connection_costs_the_call_that_meets_it() -> None:
    """The handler's exception goes on; its connection is closed, so that the next one connects."""
    errors: list[str] = []

    def break_and_ask() -> None:
        wrapper = hosted_handler.connections["default"]
        wrapper.ensure_connection()
        wrapper.connection.close()  # as a server that was restarted
        wrapper.is_usable = lambda: False  # which a database without a server never says
        try:
            _hosted(_ask)()
        except Exception as error:
            errors.append(str(error))

    _, closed, _, later = _on_a_thread(break_and_ask, _socket, _hosted(_ask), _socket)

    assert ["Cannot operate on a closed database."] == errors
    assert closed is None
    assert later is not None


def test_an_outdated_connection_is_closed() -> None:
    """CONN_MAX_AGE is honoured as between requests: 0, Django's default, closes after each."""
    hosted_handler.connections.databases["default"]["CONN_MAX_AGE"] = 0

    _, after = _on_a_thread(_hosted(_ask), _socket)

    assert after is None


def test_the_last_word_closes_what_the_thread_opened() -> None:
    """With the end of the run its thread ends, and leaves no connection on the server."""

    def hear(will_retry: bool) -> Callable[[], object]:
        event = disconnected(reason="stopped", will_retry=will_retry)
        return lambda: HostedHandler(hear_the_end, lambda error: None)(event)

    results = _on_a_thread(_hosted(_ask), hear(True), _socket, hear(False), _socket)

    assert results[2] is not None
    assert results[4] is None


def test_a_connection_within_a_transaction_is_left_alone(database: Any) -> None:
    """A test that shares its connection with the callback thread keeps it, and its transaction."""
    database.inc_thread_sharing()
    database.ensure_connection()
    database.set_autocommit(False)
    database.in_atomic_block = True
    shared = database.connection

    def call() -> None:
        hosted_handler.connections["default"] = database
        HostedHandler(_ask, lambda error: None)(disconnected(will_retry=False))
        del hosted_handler.connections["default"]

    _on_a_thread(call)
    still = database.connection
    database.in_atomic_block = False
    database.dec_thread_sharing()

    assert shared is still


def test_the_main_threads_connections_are_left_alone(database: Any) -> None:
    """A handler that a test calls by the hosted way, or a replay, closes nothing of the test's."""
    hosted_handler.connections.databases["default"]["CONN_MAX_AGE"] = 0
    _ask()
    before = database.connection

    HostedHandler(_ask, lambda error: None)(disconnected(will_retry=False))

    assert before is database.connection


def test_a_handler_that_exits_is_noted() -> None:
    """SystemExit goes on to the subscriber, which stops, and is kept for the command."""
    noted: list[SystemExit] = []

    def leave(_: object) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        HostedHandler(leave, noted.append)(object())
    assert [3] == [error.code for error in noted]


def test_it_is_equal_to_its_handler() -> None:
    """So remove_callback finds it, and logs have the handler's name."""
    hosted = HostedHandler(_ask, lambda error: None)

    assert hosted == _ask
    assert hosted == HostedHandler(_ask, lambda error: None)
    assert hosted != _socket
    assert hash(hosted) == hash(_ask)
    assert "_ask" == hosted.__qualname__

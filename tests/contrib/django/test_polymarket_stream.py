"""`manage.py polymarket_stream`, as a process of its own."""

from __future__ import annotations

import os
import signal

import pytest
from kit.django_project import EXAMPLE, NO, YES, Project, free_port, get, wait_until

pytest.importorskip("django.core", reason="Django is not installed: the extra [django]")


def test_each_event_is_written_once_and_sigterm_ends_it_with_0(project: Project) -> None:
    """One connection, one row for each event; at SIGTERM a close frame and exit code 0."""
    running = project.start("manage.py", "polymarket_stream")
    running.wait_for("ready: 2 live books")
    project.send(*range(100))
    project.wait_for_rows(100)

    assert 0 == running.end(signal.SIGTERM)
    assert list(range(100)) == project.rows()
    assert [1000] == [record.close_code for record in project.server.connections]
    assert "following 2 assets with 1 handler of prices.subscriptions" in running.log
    assert "stopped: 102 events, 0 failed calls, 0 dropped, 0 discarded" in running.log


def test_what_is_queued_at_sigterm_is_written(project: Project) -> None:
    """A slow handler gets the time of --stop-timeout to take what has arrived."""
    project.write(
        "prices/subscriptions.py",
        (EXAMPLE / "prices" / "subscriptions.py").read_text()
        + "\n\n@subscriber.on_last_trade_price\ndef wait(trade: LastTradePrice) -> None:\n"
        "    import pathlib, threading\n    pathlib.Path('waits').touch()\n"
        "    while not pathlib.Path('go').exists():\n        threading.Event().wait(0.01)\n",
    )
    running = project.start("manage.py", "polymarket_stream", "--stop-timeout=30")
    running.wait_for("ready: 2 live books")
    project.send(*range(50))
    wait_until((project.folder / "waits").exists, "the slow handler runs")
    (record,) = project.server.open_connections()
    assert project.server.wait_until(lambda: record.texts_sent >= 50)
    running.process.send_signal(signal.SIGTERM)
    (project.folder / "go").touch()

    assert 0 == running.process.wait(30)
    assert "0 discarded" in running.log
    assert project.rows() == list(range(len(project.rows())))


@pytest.mark.parametrize(
    ("asset_ids", "code", "words"),
    [
        (f"{YES},{NO}", 0, "ready: 2 live books"),
        (f"{YES},{'3' * 77}", 1, "CommandError: not ready within 1 s: missing the book of 333"),
        ("", 1, "CommandError: nothing to wait for"),
    ],
)
def test_once_ready_says_whether_books_are_live(
    asset_ids: str, code: int, words: str, project: Project
) -> None:
    """Exit code 0 once every book is live, else 1 with the reason; no handler is called."""
    arguments = ["polymarket_stream", "--once-ready", "--ready-timeout=1"]
    told = project.manage(*arguments, ASSET_IDS=asset_ids)

    assert code == told[0], told[1]
    assert words in told[1]
    assert "Traceback" not in told[1]


def test_nothing_to_follow_is_told(project: Project) -> None:
    """Without assets, credentials and handlers of broadcasts it ends at once, with the reason."""
    code, log = project.manage("polymarket_stream", ASSET_IDS="")

    assert (1, True) == (code, "CommandError: nothing to follow" in log)


def test_a_handler_may_end_it_with_an_exit_code(project: Project) -> None:
    """sys.exit(3) in a handler is the exit code of the command."""
    project.write(
        "prices/subscriptions.py",
        "import sys\nfrom polymarket_ws.contrib.django import subscriber\n"
        "subscriber.on_book(lambda book: sys.exit(3))\n",
    )
    assert 3 == project.manage("polymarket_stream")[0]


def test_subscriptions_that_cannot_be_imported_are_told(project: Project) -> None:
    """A mistake in subscriptions.py stops every command by its check, not by silence."""
    project.write("prices/subscriptions.py", "import nowhere_at_all\n")
    code, log = project.manage("polymarket_stream")

    assert 1 == code
    assert "polymarket_ws.E008" in log
    assert "ModuleNotFoundError: No module named 'nowhere_at_all'" in log


def test_an_edit_starts_it_anew(project: Project) -> None:
    """With --reload the former process says goodbye, and one connection follows another."""
    running = project.start("manage.py", "polymarket_stream", "--reload")
    running.wait_for("ready: 2 live books")
    (former,) = project.server.open_connections()

    def is_reloaded() -> bool:  # an edit before the reloader's first look goes unseen
        os.utime(project.folder / "prices" / "subscriptions.py")
        return not former.open and bool(project.server.open_connections())

    wait_until(is_reloaded, "reloaded")
    os.killpg(running.process.pid, signal.SIGINT)  # Ctrl-C
    running.process.wait(30)

    assert 1000 == former.close_code
    assert not project.server.open_connections()


def test_the_other_commands_connect_nowhere(project: Project) -> None:
    """Installing the app starts nothing: check and migrate, which load every app, connect not."""
    assert (0, "System check identified no issues (0 silenced).\n") == project.manage("check")
    assert 0 == project.manage("migrate")[0]
    assert () == project.server.connections


def test_the_projects_own_tests_pass(project: Project) -> None:
    """`manage.py test`: a handler within a test's transaction, and a stream beside it."""
    code, log = project.manage("test", "--verbosity=2")

    assert 0 == code, log
    assert "Ran 2 tests" in log


def test_the_example_is_started_by_one_command(project: Project) -> None:
    """`python start.py --demo` migrates, streams and serves; SIGTERM ends all of it with 0."""
    port = free_port()
    running = project.start("start.py", "--demo", f"--port={port}", SQLITE_FILE="demo.sqlite3")
    wait_until(lambda: '"bid"' in get(port), "prices")
    wait_until(lambda: '"prints": 0' not in get(port), "trades")

    assert 0 == running.end(signal.SIGTERM)
    assert "stopped: " in running.log

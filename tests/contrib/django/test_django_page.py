"""docs/django.md: its project is made from an empty directory, and its tables are true."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from kit.django_project import FIRST_MS, PATIENCE, Project

from polymarket_ws.testing import FakeServer, make_book, make_last_trade_price

pytest.importorskip("django.core", reason="Django is not installed: the extra [django]")

import django
from django.core.management import load_command_class
from django.core.management.base import BaseCommand

from polymarket_ws.contrib.django import checks, configuration, signals

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "django.md").read_text(encoding="utf-8")


def _block(title: str) -> str:
    """The block of the page that begins with this title as a comment."""
    found = re.search(rf"```py\n# {re.escape(title)}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None, title
    return found[1]


def _session() -> list[tuple[str, str]]:
    """The commands of the page's first console block, and what each printed."""
    text = PAGE.split("```console\n")[1].split("```")[0]
    commands = re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", text, re.MULTILINE)
    return [(command, output) for command, output in commands]


def _codes(heading: str) -> set[str]:
    """What is in backticks in the first column of the table after a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    return {code.split()[0] for cell in cells for code in re.findall(r"`([^`]+)`", cell)}


@pytest.fixture
def empty(tmp_path: Path, server: FakeServer) -> Project:
    """An empty directory, in which Python and the package are installed."""
    database = str(tmp_path / "db.sqlite3")
    return Project(
        tmp_path,
        server,
        {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "SQLITE_FILE": database},
    )


@pytest.mark.skipif(django.VERSION[:2] != (5, 2), reason="other versions word it differently")
def test_the_page_leads_from_an_empty_directory_to_rows(empty: Project) -> None:
    """Its commands and blocks, in its order, print what it shows; trades become rows."""
    empty.start("-m", "django", "startproject", "mysite", ".").process.wait(PATIENCE)
    assert 0 == empty.manage("startapp", "prices")[0]
    with (empty.folder / "mysite" / "settings.py").open("a") as settings:
        settings.write(_block("mysite/settings.py, at its end"))
        address = {"market_url": empty.server.url(), "trust_env": False}
        settings.write(f"POLYMARKET_WS['OPTIONS'] = {address}\n")  # in place of Polymarket
    for name in ("prices/models.py", "prices/subscriptions.py", "prices/tests.py"):
        empty.write(name, _block(name))
    (yes,) = re.findall(r'"(\d{70,})"', _block("mysite/settings.py, at its end"))
    empty.server.add_book(make_book(yes))
    try:
        *commands, (last, shown) = _session()
        for command, output in commands:
            code, log = empty.manage(*shlex.split(command)[2:])
            assert (0, output) == (code, log), command
        stream = empty.start("manage.py", *shlex.split(last)[2:])
        stream.wait_for("ready: ")
        assert shown == stream.log
        empty.server.send(make_last_trade_price(yes, timestamp_ms=FIRST_MS))
        empty.wait_for_rows(1)
        assert 0 == stream.end()
        assert PAGE.split("```console\n")[2].split("```")[0] == stream.log.removeprefix(shown)
        code, log = empty.manage("test")
        assert (0, True) == (code, "Ran 2 tests" in log), log
    finally:
        empty.end_all()


def test_other_blocks_run(project: Project) -> None:
    """Views, receivers and the memory of failures are imported and used in a project."""
    project.write("prices/views.py", _block("prices/views.py"))
    project.write("prices/failures.py", _block("prices/failures.py"))
    project.write("prices/receivers.py", _block("prices/receivers.py"))
    project.write("mysite/urls.py", _block("mysite/urls.py"))
    for title in ("mysite/settings.py, for logs", "mysite/settings.py, for PostgreSQL"):
        compile(_block(title), title, "exec")
    project.write(
        "prices/subscriptions.py",
        "from polymarket_ws.contrib.django import subscriber\nfrom . import failures, receivers\n"
        "@subscriber.on_last_trade_price\ndef fail(trade):\n    raise LookupError('no table')\n",
    )
    stream = project.start("manage.py", "polymarket_stream")
    stream.wait_for("ready: ")
    project.send(1)
    stream.wait_for("LookupError")
    program = (
        "from django.test import Client; from polymarket_ws.contrib.django import subscriber\n"
        "client = Client(HTTP_HOST='localhost')\n"
        "with subscriber:\n    subscriber.wait_ready()\n"
        "    print(client.get('/').content, client.get('/healthz').status_code)\n"
    )
    code, log = project.manage("shell", "-c", program)
    assert 0 == stream.end()

    assert "0.5\n" in stream.log
    assert f'"timestamp": "{FIRST_MS + 1}"' in (project.folder / "failed.jsonl").read_text()
    assert (0, 2, True) == (code, log.count('"0.4"'), "' 200\n" in log), log


def test_the_hooks_are_those_of_the_example(project: Project) -> None:
    """The configuration of gunicorn that the page shows is the example's, which tests run."""
    shown = _block("gunicorn.conf.py")

    assert shown in re.sub(
        r'    """.*?"""\n', "", (project.folder / "gunicorn.conf.py").read_text()
    )


def test_the_tables_are_true() -> None:
    """Each setting, argument, check and signal is in its table, and nothing else."""
    command = load_command_class("polymarket_ws.contrib.django", "polymarket_stream")
    parser = command.create_parser("manage.py", "polymarket_stream")
    djangos = {action.dest for action in BaseCommand().create_parser("", "")._actions}
    own = [action for action in parser._actions if action.dest not in djangos]
    source = Path(checks.__file__).read_text(encoding="utf-8")
    kinds = vars(signals).items()

    assert set(configuration.KEYS) == _codes("The setting")
    assert {action.option_strings[0] for action in own} == _codes("manage.py polymarket_stream")
    assert set(re.findall(r"polymarket_ws\.[EW]\d+", source)) == _codes("Checks")
    assert {n for n, value in kinds if isinstance(value, signals.HandlerSignal)} == _codes(
        "Signals"
    )

"""A Django project as tests run it: the example's, copied, against a server on this machine."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from attrs import define, field

from polymarket_ws.testing import FakeServer, make_last_trade_price

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "django"
PATIENCE = 30.0
YES, NO = "1" * 77, "2" * 77
FIRST_MS = 1_700_000_000_000


@define
class Running:
    """A program that a test started, in a session of its own."""

    process: subprocess.Popen[str]
    log_file: Path

    @property
    def log(self) -> str:
        """What it wrote so far."""
        return self.log_file.read_text(errors="replace")

    def wait_for(self, text: str) -> None:
        """Wait until it has written this."""
        wait_until(lambda: text in self.log or self.process.poll() is not None, text)
        assert text in self.log, self.log

    def end(self, number: int = signal.SIGTERM) -> int:
        """Signal the first process alone; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@define
class Project:
    """A project's folder, and the environment in which its programs run."""

    folder: Path
    server: FakeServer
    environment: dict[str, str]
    _running: list[Running] = field(factory=list)

    def write(self, name: str, text: str) -> None:
        """Add a file, or put another in its place."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def start(self, *command: str, **environment: str) -> Running:
        """Start a program of this Python: `-m gunicorn`, or `manage.py` and so on."""
        log_file = self.folder / f"{len(self._running)}.log"
        with log_file.open("w") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=self.folder,
                env={**self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
            )
        self._running.append(Running(process, log_file))
        return self._running[-1]

    def manage(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run a command of manage.py to its end; its exit code, and what it wrote."""
        running = self.start("manage.py", *arguments, **environment)
        code = running.process.wait(PATIENCE)
        return code, running.log

    def rows(self) -> list[int]:
        """The numbers of the stored trades, in the order in which they were stored."""
        with closing(sqlite3.connect(self.environment["SQLITE_FILE"])) as database:
            found = database.execute("SELECT timestamp_ms FROM prices_print ORDER BY id")
            return [timestamp - FIRST_MS for (timestamp,) in found]

    def wait_for_rows(self, count: int) -> None:
        """Wait until so many trades are stored."""
        wait_until(lambda: len(self.rows()) >= count, f"{count} rows")

    def send(self, *numbers: int) -> None:
        """Tell public trades, known by their numbers."""
        for number in numbers:
            self.server.send(make_last_trade_price(YES, timestamp_ms=FIRST_MS + number))

    def end_all(self) -> None:
        """End what is left, children included."""
        for running in self._running:
            with suppress(ProcessLookupError):
                os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()


def wait_until(predicate: Callable[[], object], what: str) -> None:
    """Wait for something that another process brings about."""
    deadline = time.monotonic() + PATIENCE
    while not predicate():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.02)


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def get(port: int, path: str = "/") -> str:
    """A page, once its server is up; an answer with an error status too."""
    answers: list[str] = []

    def ask() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                answers.append(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                answers.append(error.read().decode())
        except OSError:  # refused, or no answer yet
            return False
        return True

    wait_until(ask, f"no answer from port {port}")
    return answers[-1]

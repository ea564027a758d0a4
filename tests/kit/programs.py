"""Programs that a test starts, waits for and ends: servers and workers, each for real."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define

PATIENCE = 60.0  # seconds: far beyond what a busy machine needs; a failure, not a measure
BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[2]


@define(eq=False)
class Program:
    """A process that the test started, in a session of its own."""

    process: subprocess.Popen[str]
    _log: Path

    @property
    def text(self) -> str:
        """What it wrote so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str) -> None:
        """Wait until it has written this."""
        wait_until(lambda: text in self.text, f"{text!r} is not in {self._log.name}", self)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send the first process a signal; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def launched(
    log: Path, *command: str | Path, cwd: Path, env: dict[str, str] | None = None
) -> Iterator[Program]:
    """Run a program; at the end kill what is left of it, its children included."""
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env={**environment(), **(env or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
    try:
        yield Program(process, log)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def environment() -> dict[str, str]:
    """The test's, with this checkout's package and the commands installed beside it."""
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def wait_until(
    predicate: Callable[[], object], complaint: str, program: Program | None = None
) -> None:
    """Wait for something outside this process; fail with the complaint and the program's words."""
    deadline = time.monotonic() + PATIENCE
    while not predicate():
        has_ended = program is not None and program.process.poll() is not None
        if time.monotonic() > deadline or (has_ended and not predicate()):
            words = f"\n{program.text[-3000:]}" if program is not None else ""
            raise AssertionError(f"{complaint}{words}")
        threading.Event().wait(0.05)


def free_port() -> int:
    """A port on the loopback interface that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port

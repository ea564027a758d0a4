"""The servers that all rows share, and how a host is started, asked and ended."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import textwrap
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define, field

from polymarket_ws.testing import ConnectionRecord, FakeServer, SimulatedExchange

APPS = Path(__file__).with_name("apps")
PAGE = Path(__file__).parents[3] / "docs" / "production.md"

START_SECONDS = 30.0
END_SECONDS = 10.0


@define
class Bench:
    """The exchange that all rows share, and the folder of the applications."""

    folder: Path
    plain: FakeServer
    tls: FakeServer
    _processes: list[subprocess.Popen[str]] = field(factory=list)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def launch(self, *command: str | Path, **environment: str) -> subprocess.Popen[str]:
        """Start a program in the folder, in a session of its own."""
        with (self.folder / "log").open("w") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=self.folder,
                env={**os.environ, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    @property
    def log(self) -> str:
        """What the newest program wrote."""
        return (self.folder / "log").read_text(errors="replace")

    def clear(self) -> None:
        """End what a row left running, children included, and forget its counts."""
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._processes.clear()
        for path in self.folder.glob("*.heard"):
            path.unlink()
        self.plain.wait_until(lambda: not self.plain.open_connections(), 5)
        self.tls.wait_until(lambda: not self.tls.open_connections(), 5)

    def goes_on(self, pid: int) -> str:
        """Whether a process receives events."""
        path, before = self.folder / f"{pid}.heard", 0
        with suppress(FileNotFoundError):
            before = path.stat().st_size
        if wait_until(lambda: path.exists() and path.stat().st_size >= before + 3, 8):
            return "goes on"
        return "heard nothing"


def wait_until(predicate: Callable[[], bool], seconds: float) -> bool:
    """Whether something outside this process came true in time."""
    deadline = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.05)
    return True


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def ask(port: int, *names: str, seconds: float = 40.0) -> str:
    """What an application answers over HTTP, once its server is up."""
    url = f"http://127.0.0.1:{port}/{'/'.join(names)}"
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=seconds) as answer:
                text: str = answer.read().decode()
                return text
        except (urllib.error.URLError, ConnectionError) as error:
            if time.monotonic() > deadline:
                return f"no answer: {error}"
            threading.Event().wait(0.1)


def seconds_to_end(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> str:
    """Send a signal to the first process alone; whether it ended in time, and its code."""
    process.send_signal(number)
    try:
        return f"exit {process.wait(END_SECONDS)}"
    except subprocess.TimeoutExpired:
        return f"still there after {END_SECONDS:g} s"


def close_codes(records: tuple[ConnectionRecord, ...]) -> str:
    """What the clients said at the end of these connections."""
    wait_until(lambda: not any(record.open for record in records), 5)
    codes = sorted({str(record.close_code) for record in records})
    return f"close frames {', '.join(codes)}"


@define(frozen=True)
class Row:
    host: str
    package: str
    setup: str
    expected: str
    run: Callable[[Bench], str]


ROWS: list[Row] = []


def row(
    host: str, package: str, setup: str, expected: str
) -> Callable[[Callable[[Bench], str]], Callable[[Bench], str]]:
    """Add a row; its function returns what was seen."""

    def add(run: Callable[[Bench], str]) -> Callable[[Bench], str]:
        ROWS.append(Row(host, package, setup, expected, run))
        return run

    return add


STARTED_AT_IMPORT = """
    from feed import *
    sub.start()
    sub.wait_ready(10)
"""
GREEN = {
    "gevent": "from gevent import monkey\nmonkey.patch_all()\n",
    "eventlet": "import warnings\nwarnings.simplefilter('ignore')\nimport eventlet\n"
    "eventlet.monkey_patch()\n",
}


def documented(title: str) -> str:
    """The block of docs/production.md that begins with this title as a comment."""
    found = re.search(rf"```\w+\n[#;] {re.escape(title)}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None, title
    return found[1]


FORKED = "FORKED, healthy False, valid False, 1 WARNING ({})"
LIVE = "LIVE, healthy True, valid True, no WARNING"
IDLE = "IDLE, healthy False, valid False, no WARNING"
NO_THREADS = (
    "ConfigurationError: this uWSGI runs no Python threads: set enable-threads = true for it"
)
IN_CHILD = FORKED.format("call start() in the child, or set Options(restart_after_fork=True)")
SERVES = f"{LIVE}; after a reset LIVE; goes on; exit 0; close frames 1000"
ANEW = "start LIVE; " + LIVE.replace("no WARNING", "1 WARNING ({})") + "; stop True"


@contextmanager
def bench() -> Iterator[Bench]:
    """Servers that move, and a folder with what the applications import."""
    market = SimulatedExchange(seed=7)
    with (
        FakeServer(market) as plain,
        FakeServer(SimulatedExchange(seed=7), tls=True) as tls,
        tempfile.TemporaryDirectory(prefix="hosts-") as folder,
    ):
        made = Bench(Path(folder), plain, tls)
        shutil.copytree(APPS, folder, dirs_exist_ok=True)
        trusted = tls.options().ssl_context
        assert trusted is not None
        authorities = trusted.get_ca_certs(binary_form=True)
        made.write("ca.pem", "".join(map(ssl.DER_cert_to_PEM_cert, authorities)))
        about = {"plain": plain.url(), "tls": tls.url(), "assets": list(market.asset_ids)}
        made.write("server.json", json.dumps(about))
        for server in (plain, tls):
            server.run(rate=20)
        yield made

"""The development servers of Django and Flask, which reload edited files."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from contextlib import suppress

from .bench import (
    APPS,
    END_SECONDS,
    LIVE,
    Bench,
    ask,
    close_codes,
    free_port,
    row,
    wait_until,
)


def reload_by_edit(bench: Bench, name: str, *arguments: str, port: int) -> str:
    path = bench.folder / name
    shutil.copy(APPS / name, path)
    process = bench.launch(sys.executable, path, *arguments)
    ask(port, "start")
    seen = ask(port, "see")
    former, old = ask(port, "pid"), bench.plain.open_connections()
    count = len(old)
    for _ in range(5):  # an edit before the reloader's first look goes unseen
        path.touch()
        if wait_until(lambda: ask(port, "pid") != former, END_SECONDS):
            break
    seen += f"; {count} connection; reloaded: {close_codes(old)}; {ask(port, 'start', 'heard')}"
    records = bench.plain.open_connections()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C
    wait_until(lambda: process.poll() is not None, END_SECONDS)
    return f"{seen}; Ctrl-C: {close_codes(records)}"


RELOADED = (
    f"{LIVE}; 1 connection; reloaded: close frames 1000; start LIVE; goes on; Ctrl-C: close "
    "frames 1000"
)


@row(
    "Django runserver", "Django", "started where RUN_MAIN is true; a file edited; Ctrl-C", RELOADED
)
def django(bench: Bench) -> str:
    port = free_port()
    return reload_by_edit(bench, "manage.py", "runserver", f"127.0.0.1:{port}", port=port)


@row(
    "Flask debug",
    "Flask",
    "started where WERKZEUG_RUN_MAIN is true; a file edited; Ctrl-C",
    RELOADED,
)
def flask(bench: Bench) -> str:
    port = free_port()
    return reload_by_edit(bench, "serve.py", str(port), port=port)

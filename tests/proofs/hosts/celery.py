"""Celery: the prefork, threads, gevent and solo pools."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from .bench import (
    ANEW,
    APPS,
    FORKED,
    SERVES,
    START_SECONDS,
    Bench,
    close_codes,
    documented,
    row,
    seconds_to_end,
    wait_until,
)

HERE = Path(sys.executable).parent

ATTACHED = documented("tasks.py")
START_IN_PARENT = """
from celery import signals
from feed import sub

signals.worker_init.connect(lambda **_: sub.start(), weak=False)
"""


def celery(bench: Bench, pool: str, hooks: str = "") -> subprocess.Popen[str]:
    for name in ("queue", "results", "control"):
        shutil.rmtree(bench.folder / name, ignore_errors=True)
        (bench.folder / name).mkdir()
    bench.write("tasks.py", (APPS / "tasks.py").read_text() + "\n\n" + hooks)
    process = bench.launch(
        HERE / "celery", "-A", "tasks", "worker", "-P", pool, "-c", "1", "-l", "INFO"
    )
    wait_until(lambda: " ready." in bench.log, START_SECONDS)
    return process


def run_task(bench: Bench, *names: str) -> str:
    command = [sys.executable, "client.py", *names]
    done = subprocess.run(command, cwd=bench.folder, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else done.stderr[-300:]


IN_CELERY = "under Celery, call start() on the worker_process_init signal"


@row(
    "Celery prefork",
    "celery",
    "started in the parent",
    f"{FORKED.format(IN_CELERY)}; {ANEW.format(IN_CELERY)}; parent: goes on; exit 0",
)
def celery_parent(bench: Bench) -> str:
    process = celery(bench, "prefork", START_IN_PARENT)
    seen = run_task(bench, "see", "start", "see", "stop")
    return f"{seen}; parent: {bench.goes_on(process.pid)}; {seconds_to_end(process)}"


def celery_live(bench: Bench, pool: str, hooks: str) -> str:
    process = celery(bench, pool, hooks)
    run_task(bench, "start")
    seen = run_task(bench, "see")
    bench.plain.disconnect()
    seen += "; " + run_task(bench, "reconnect", "heard")
    records = bench.plain.open_connections()
    return f"{seen}; {seconds_to_end(process)}; {close_codes(records)}"


@row("Celery prefork", "celery", "attach(); a reset; TERM", SERVES)
def celery_prefork(bench: Bench) -> str:
    return celery_live(bench, "prefork", ATTACHED)


@row("Celery threads", "celery", "attach(); a reset; TERM", SERVES)
def celery_threads(bench: Bench) -> str:
    return celery_live(bench, "threads", ATTACHED)


@row("Celery gevent", "celery", "attach(); a reset; TERM", SERVES)
def celery_gevent(bench: Bench) -> str:
    return celery_live(bench, "gevent", ATTACHED)


@row("Celery solo", "celery", "attach(); a reset; TERM", SERVES)
def celery_solo(bench: Bench) -> str:
    return celery_live(bench, "solo", ATTACHED)

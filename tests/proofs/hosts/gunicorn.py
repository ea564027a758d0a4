"""gunicorn: sync, gthread and gevent workers, with and without --preload, HUP and TERM."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from .bench import (
    ANEW,
    END_SECONDS,
    FORKED,
    GREEN,
    IDLE,
    LIVE,
    STARTED_AT_IMPORT,
    Bench,
    ask,
    close_codes,
    documented,
    free_port,
    row,
    seconds_to_end,
    wait_until,
)

POST_FORK = documented("gunicorn.conf.py")
POST_WORKER_INIT = documented("gunicorn.conf.py with -k gevent")


def gunicorn(
    bench: Bench,
    worker: str,
    hooks: str = "",
    *,
    app: str = "feed",
    preload: bool = False,
    **environment: str,
) -> tuple[int, subprocess.Popen[str]]:
    """One worker, and where to ask it."""
    port = free_port()
    bench.write("gunicorn.conf.py", hooks)
    arguments = ["-k", worker, "-w", "1", "-b", f"127.0.0.1:{port}", "--threads", "4"]
    arguments += ["--preload"] if preload else []
    binary = Path(sys.executable).with_name("gunicorn")
    arguments += ["--graceful-timeout", "5", f"{app}:application"]
    return port, bench.launch(binary, *arguments, **environment)


def _add_gunicorn() -> None:
    for worker in ("sync", "gthread", "gevent"):
        is_gevent = worker == "gevent"
        remedy = (
            "under gunicorn's gevent worker, call start() in the post_worker_init hook of its "
            "configuration"
            if is_gevent
            else "under gunicorn, call start() in the post_fork hook of its configuration"
        )
        hook, name = (
            (POST_WORKER_INIT, "post_worker_init") if is_gevent else (POST_FORK, "post_fork")
        )

        def started_at_import(bench: Bench, worker: str = worker) -> str:
            bench.write("preloaded.py", STARTED_AT_IMPORT)
            port, process = gunicorn(bench, worker, app="preloaded", preload=True)
            seen = ask(port, "see", "start", "see", "stop")
            return f"{seen}; master: {bench.goes_on(process.pid)}; {seconds_to_end(process)}"

        row(
            f"gunicorn {worker}",
            "gunicorn",
            "--preload, started at import, no hook",
            f"{FORKED.format(remedy)}; {ANEW.format(remedy)}; master: goes on; exit 0",
        )(started_at_import)

        for preload in (True, False):

            def hooked(
                bench: Bench, worker: str = worker, hook: str = hook, preload: bool = preload
            ) -> str:
                port, process = gunicorn(bench, worker, hook, preload=preload)
                ask(port, "start")
                seen = ask(port, "see")
                bench.plain.disconnect()
                seen += "; " + ask(port, "reconnect")
                records = bench.plain.open_connections()
                return f"{seen}; {seconds_to_end(process)}; {close_codes(records)}"

            row(
                f"gunicorn {worker}",
                "gunicorn",
                f"{'--preload, ' if preload else ''}{name} and worker_exit hooks; a reset; TERM",
                f"{LIVE}; after a reset LIVE; exit 0; close frames 1000",
            )(hooked)

        def lazy(bench: Bench, worker: str = worker) -> str:
            port, process = gunicorn(bench, worker)
            seen = ask(port, "see", "start", "heard")
            records = bench.plain.open_connections()
            return f"{seen}; {seconds_to_end(process)}; {close_codes(records)}"

        row(
            f"gunicorn {worker}",
            "gunicorn",
            "started in a request; TERM, no hook",
            f"{IDLE}; start LIVE; goes on; exit 0; close frames 1000",
        )(lazy)

        def reloaded(bench: Bench, worker: str = worker, hook: str = hook) -> str:
            port, process = gunicorn(bench, worker, hook)
            ask(port, "start")
            former, old = ask(port, "pid"), bench.plain.open_connections()
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: ask(port, "pid") != former, END_SECONDS)
            ended = close_codes(old)
            seen = ask(port, "start", "see", "heard")
            return f"old: {ended}; new: {seen}; {seconds_to_end(process)}"

        row(
            f"gunicorn {worker}",
            "gunicorn",
            f"{name} hook; HUP",
            f"old: close frames 1000; new: start LIVE; {LIVE}; goes on; exit 0",
        )(reloaded)


_add_gunicorn()


@row(
    "gunicorn gevent",
    "gunicorn",
    "post_fork hook, which comes before gevent's patching",
    "ConfigurationError: gevent has not patched this worker yet, and will: under gunicorn's gevent "
    "worker, call start() in the post_worker_init hook of its configuration; exit 3",
)
def gunicorn_gevent_too_early(bench: Bench) -> str:
    _, process = gunicorn(bench, "gevent", POST_FORK)
    code = process.wait(END_SECONDS)
    return f"{refusal(bench)}; exit {code}"


@row(
    "gunicorn gevent",
    "gunicorn",
    "post_fork hook, gevent's patching at the top of gunicorn.conf.py; a reset",
    f"{LIVE}; after a reset LIVE; exit 0; close frames 1000",
)
def gunicorn_gevent_patched(bench: Bench) -> str:
    port, process = gunicorn(bench, "gevent", GREEN["gevent"] + POST_FORK)
    ask(port, "start")
    seen = ask(port, "see")
    bench.plain.disconnect()
    seen += "; " + ask(port, "reconnect")
    records = bench.plain.open_connections()
    return f"{seen}; {seconds_to_end(process)}; {close_codes(records)}"


@row(
    "gunicorn sync",
    "gunicorn",
    "--preload, started at import, restart_after_fork=True, no hook",
    f"{LIVE}; goes on; master: goes on; exit 0",
)
def gunicorn_restart(bench: Bench) -> str:
    bench.write("preloaded.py", STARTED_AT_IMPORT)
    port, process = gunicorn(bench, "sync", app="preloaded", preload=True, RESTART="1")
    wait_until(lambda: "LIVE" in ask(port, "see"), END_SECONDS)
    seen = ask(port, "see", "heard")
    return f"{seen}; master: {bench.goes_on(process.pid)}; {seconds_to_end(process)}"


@row(
    "gunicorn gevent",
    "gunicorn",
    "--preload, started at import, restart_after_fork=True, no hook",
    "FORKED, healthy False, valid False, 2 WARNING (under gunicorn's gevent worker, call start() "
    "in the post_worker_init hook of its configuration); start LIVE; stop True; exit 0",
)
def gunicorn_gevent_restart(bench: Bench) -> str:
    bench.write("preloaded.py", STARTED_AT_IMPORT)
    port, process = gunicorn(bench, "gevent", app="preloaded", preload=True, RESTART="1")
    seen = ask(port, "see", "start", "stop")
    return f"{seen}; {seconds_to_end(process)}"


def refusal(bench: Bench) -> str:
    """The line of the log that says why start() was refused."""
    lines = [line for line in bench.log.splitlines() if "ConfigurationError: " in line]
    return lines[0][lines[0].index("ConfigurationError: ") :] if lines else bench.log[-300:]

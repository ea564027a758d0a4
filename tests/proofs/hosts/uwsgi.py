"""uWSGI: its master, @postfork, lazy-apps, with and without threads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .bench import (
    ANEW,
    FORKED,
    IDLE,
    NO_THREADS,
    SERVES,
    STARTED_AT_IMPORT,
    Bench,
    ask,
    close_codes,
    documented,
    free_port,
    row,
    seconds_to_end,
)

OLD = Path(sys.prefix) / "old-uwsgi"  # a release in which threads are off unless asked for
IN_UWSGI = "under uWSGI, call start() in a function decorated with @uwsgidecorators.postfork"
TRIED_AT_IMPORT = """
    from feed import *
    try:
        sub.start()
    except Exception as error:
        tell(f"master: {type(error).__name__}: {error}")
"""
POSTFORK = documented("app.py") + "\n\nfrom feed import application\n"


def uwsgi(
    bench: Bench, app: str, *arguments: str, home: Path = Path(sys.prefix)
) -> tuple[int, subprocess.Popen[str]]:
    """One worker of a master, by the documented configuration, and where to ask it."""
    port = free_port()
    bench.write("app.py", app)
    ini = documented("uwsgi.ini").replace("processes = 4", "processes = 1")
    if "--enable-threads" not in arguments:
        ini = ini.replace("enable-threads = true\n", "")
    bench.write("uwsgi.ini", ini)
    common = ["--need-app", "--http-socket", f"127.0.0.1:{port}", "--home", str(home)]
    options = [argument for argument in arguments if argument != "--enable-threads"]
    return port, bench.launch(home / "bin" / "uwsgi", "uwsgi.ini", *common, *options)


def told(bench: Bench) -> str:
    return "; ".join(line[2:] for line in bench.log.splitlines() if line.startswith("# "))


REFUSED = (
    f"master: ConfigurationError: this process of uWSGI will be forked without a word to Python: "
    f"{IN_UWSGI}"
)


@row(
    "uWSGI",
    "uWSGI",
    "master, --enable-threads, started at import",
    f"{REFUSED}; worker: {IDLE}; start LIVE; stop True; exit 0",
)
def uwsgi_master(bench: Bench) -> str:
    port, process = uwsgi(bench, TRIED_AT_IMPORT, "--enable-threads")
    seen = ask(port, "see", "start", "stop")
    return f"{told(bench)}; worker: {seen}; {seconds_to_end(process)}"


@row(
    "uWSGI",
    "uWSGI",
    "the same with --py-call-uwsgi-fork-hooks",
    f"worker: {FORKED.format(IN_UWSGI)}; {ANEW.format(IN_UWSGI)}; master: goes on; exit 0",
)
def uwsgi_fork_hooks(bench: Bench) -> str:
    port, process = uwsgi(
        bench, STARTED_AT_IMPORT, "--enable-threads", "--py-call-uwsgi-fork-hooks"
    )
    seen = ask(port, "see", "start", "see", "stop")
    return f"worker: {seen}; master: {bench.goes_on(process.pid)}; {seconds_to_end(process)}"


def uwsgi_live(bench: Bench, app: str, *arguments: str) -> str:
    port, process = uwsgi(bench, app, *arguments)
    ask(port, "start")
    seen = ask(port, "see")
    bench.plain.disconnect()
    seen += "; " + ask(port, "reconnect", "heard")
    records = bench.plain.open_connections()
    return f"{seen}; {seconds_to_end(process)}; {close_codes(records)}"


@row("uWSGI", "uWSGI", "--enable-threads, @postfork; a reset; TERM", SERVES)
def uwsgi_postfork(bench: Bench) -> str:
    return uwsgi_live(bench, POSTFORK, "--enable-threads")


@row("uWSGI", "uWSGI", "--enable-threads, --lazy-apps, started at import; a reset; TERM", SERVES)
def uwsgi_lazy(bench: Bench) -> str:
    return uwsgi_live(bench, STARTED_AT_IMPORT, "--enable-threads", "--lazy-apps")


@row(
    "uWSGI",
    "uWSGI",
    "without --enable-threads, which this release takes as given; @postfork; a reset; TERM",
    SERVES,
)
def uwsgi_no_threads_option(bench: Bench) -> str:
    return uwsgi_live(bench, POSTFORK)


@row(
    "uWSGI 2.0.21",
    "",
    "without --enable-threads, --lazy-apps, started at import",
    f"master: {NO_THREADS}; worker: {IDLE}; start {NO_THREADS}; exit 0",
)
def uwsgi_without_threads(bench: Bench) -> str:
    if not OLD.exists():
        return f"not installed: {OLD}"
    port, process = uwsgi(bench, TRIED_AT_IMPORT, "--lazy-apps", home=OLD)
    seen = ask(port, "see", "start")
    return f"{told(bench)}; worker: {seen}; {seconds_to_end(process)}"

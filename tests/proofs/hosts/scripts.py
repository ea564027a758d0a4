"""Plain scripts: gevent, eventlet, asyncio, SIGTERM; and an IPython kernel."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from polymarket_ws.testing import FakeServer

from .bench import GREEN, START_SECONDS, Bench, close_codes, row, wait_until


def run_script(bench: Bench, script: str, server: FakeServer | None = None) -> str:
    """Run a script to its end; what it told. A server cuts its first connection by a reset."""
    path = bench.write("script.py", script)
    process = bench.launch(sys.executable, path)
    if server is not None and wait_until(lambda: "# cut" in bench.log, START_SECONDS):
        server.disconnect()
    try:
        code = process.wait(60)
    except subprocess.TimeoutExpired:
        return f"hung: {bench.log[-300:]}"
    told = [line[2:] for line in bench.log.splitlines() if line.startswith("# ")]
    told = [line for line in told if line != "cut"]
    ending = f"exit {code}" if code == 0 else f"exit {code}: {bench.log[-300:]}"
    return "; ".join([*told, ending])


GREEN_BODY = (
    "tell(feed.look('start', 'heard'))\ntell('cut')\ntell(feed.look('reconnect', 'stop'))\n"
    "time.sleep(0.1)\ntell(feed.look('threads'))\n"
)
GREEN_IMPORTS = "import time\nimport feed\nfrom feed import tell\n"
GREEN_LIVE = "start LIVE; goes on; after a reset LIVE; stop True; 0 threads left; exit 0"


def _add_green() -> None:
    for library, is_first, mode in itertools.product(GREEN, (True, False), ("ws://", "wss://")):
        parts = [GREEN[library], GREEN_IMPORTS]
        if not is_first:
            parts.reverse()
        if mode == "wss://":
            parts.append("feed.sub = feed.make(tls=True)\n")

        def run(bench: Bench, parts: list[str] = parts, mode: str = mode) -> str:
            server = bench.plain if mode == "ws://" else bench.tls
            return run_script(bench, "".join(parts) + GREEN_BODY, server=server)

        when = "before our import" if is_first else "after our import"
        row(library, library, f"{mode}, patched {when}; a reset", GREEN_LIVE)(run)

        if not is_first and mode == "wss://":

            def run_with_old_context(bench: Bench, library: str = library) -> str:
                body = GREEN_IMPORTS + "feed.sub = feed.make(tls=True)\n" + GREEN[library]
                return run_script(bench, body + "tell(feed.look('start'))\n")

            row(
                library,
                library,
                "wss://, Options.ssl_context made before the patching",
                "start ConfigurationError: Options.ssl_context was made before "
                f"{library} patched ssl: patch first; exit 0",
            )(run_with_old_context)


_add_green()


def end_by_term(bench: Bench, *command: str) -> str:
    """Run a script that is `sub.run()`, and end it by SIGTERM once it is live."""
    process = bench.launch(*command, bench.write("script.py", "import feed\nfeed.sub.run()\n"))
    is_live = bench.plain.wait_until(lambda: bool(bench.plain.open_connections()), START_SECONDS)
    records = bench.plain.open_connections()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]) if children else process.pid, signal.SIGTERM)
    code = process.wait(START_SECONDS)
    return f"{'live' if is_live else 'not live'}; exit {code}; {close_codes(records)}"


ENDED = "live; exit 0; close frames 1000"


@row("a script", "python", "sub.run() in the main thread; SIGTERM", ENDED)
def run_and_term(bench: Bench) -> str:
    return end_by_term(bench, sys.executable)


@row(
    "a script as process 1",
    "python",
    "sub.run() in a PID namespace, as in a container; SIGTERM",
    ENDED,
)
def run_as_process_1(bench: Bench) -> str:
    return end_by_term(bench, "unshare", "--pid", "--fork", sys.executable)


@row(
    "gevent",
    "gevent",
    "patched after the constructor; ten greenlets subscribe while start() runs",
    "start LIVE; 10 greenlets done; stop True; exit 0",
)
def gevent_locks(bench: Bench) -> str:
    body = """
def work():
    for _ in range(100):
        feed.sub.subscribe(feed.SERVER["assets"])
        gevent.sleep(0)
    return True

import gevent
workers = [gevent.spawn(work) for _ in range(10)]
tell(feed.look("start"))
gevent.joinall(workers, timeout=20)
tell(f"{sum(bool(worker.value) for worker in workers)} greenlets done")
tell(feed.look("stop"))
"""
    return run_script(bench, GREEN_IMPORTS + GREEN["gevent"] + body)


@row(
    "asyncio",
    "python",
    "main thread runs a loop; start and wait_ready in an executor",
    "start LIVE; goes on; stop True; the loop was never held up by 0.5 s; exit 0",
)
def asyncio_loop(bench: Bench) -> str:
    body = """
import asyncio


async def tick(gaps):
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.01)
        gaps.append(time.monotonic() - before)


async def main():
    gaps = []
    ticking = asyncio.create_task(tick(gaps))
    feed.sub.start()
    for name in ("start", "heard", "stop"):
        tell(await asyncio.to_thread(feed.look, name))
    ticking.cancel()
    held_up = "never held up by 0.5 s" if max(gaps) < 0.5 else f"held up by {max(gaps):.2f} s"
    tell(f"the loop was {held_up}")


asyncio.run(main())
"""
    return run_script(bench, GREEN_IMPORTS + body)


@row(
    "IPython kernel",
    "ipykernel",
    "one cell run twice: constructs what is not there, registers, starts",
    "LIVE, LIVE; 1 subscriber running, 1 callback, 1 connection; shutdown: close frames 1000",
)
def kernel(bench: Bench) -> str:
    from jupyter_client.manager import KernelManager

    cell = """
import feed
from polymarket_ws import running
sub = globals().get("sub") or feed.make()

@sub.on_price_change
def show(event):
    pass

sub.start()
sub.wait_ready(10)
print(sub.state, len(running()), len(sub._callbacks["price_change"]))
"""
    manager = KernelManager()
    manager.start_kernel(
        cwd=str(bench.folder),
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": _path(bench)},
    )
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=START_SECONDS)
    outputs: list[list[str]] = []

    def take(message: dict[str, Any]) -> None:
        content = message["content"]
        text = content.get("text") or content.get("evalue") or ""
        if text.strip():
            outputs.append(text.split())

    for _ in range(2):
        client.execute_interactive(cell, timeout=START_SECONDS, output_hook=take)
    records = bench.plain.open_connections()
    client.stop_channels()
    manager.shutdown_kernel()
    states = ", ".join(output[0] for output in outputs)
    _, running, callbacks = outputs[-1]
    return (
        f"{states}; {running} subscriber running, {callbacks} callback, {len(records)} connection; "
        f"shutdown: {close_codes(records)}"
    )


def _path(bench: Bench) -> str:
    return os.pathsep.join(filter(None, [str(bench.folder), os.environ.get("PYTHONPATH")]))

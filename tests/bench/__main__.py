"""Run every row of the table, alternating, each client a process of its own, and write the page.

    python -m bench [ROUNDS]        # in an environment with the peers: `make bench` makes one

It writes docs/benchmarks.md and docs/benchmarks.svg. A row of ours that loses stays in.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from attrs import frozen

from . import workload

TESTS = Path(__file__).resolve().parents[1]
DOCS = TESTS.parent / "docs"
PEERS = (
    "polymarket-client",
    "websockets",
    "websocket-client",
    "pydantic",
    "picows",
    "polyws",
    "polymarket-apis",
    "eggplant-sdk",
    "msgspec",
)
PATIENCE = 300.0
IMPORT = (
    "import time; t = time.perf_counter(); import {0}; "
    "print('{{\"ms\": %f}}' % ((time.perf_counter() - t) * 1e3))"
)


@frozen
class Row:
    """One comparison: how much more a second `ours` does than `theirs`, or how much less it costs."""

    what: str
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    figure: str
    """Of the results: "wall" and "cpu" are of a count of messages; others are what they say."""
    gate: float
    aim: float
    less_is_better: bool = False
    """The ratio is ours to theirs (a cost), not theirs to ours."""
    most_rounds: int = 99


def _stream(name: str, count: int, *, tls: bool = False) -> tuple[str, ...]:
    return ("stream", name, str(count), *(["tls"] if tls else []))


def _micro(*words: str) -> tuple[str, ...]:
    return ("micro", *words)


DECODED = {
    "price_change": ("WORKLOAD", "price_change"),
    "book of the capture": ("captured", "book"),
    "book, a quarter of its levels new": ("WORKLOAD", "book"),
    "last_trade_price": ("WORKLOAD", "last_trade_price"),
}
FEW, SOME, MANY = 20_000, 100_000, 400_000
ROWS = [
    Row("receive, plain / WebSocketApp", _stream("ours_receive", MANY), _stream("websocketapp", FEW), "wall", 30, 60),
    Row("receive, plain / websockets", _stream("ours_receive", MANY), _stream("websockets_asyncio", SOME), "wall", 3, 4.5),
    Row("receive, TLS / WebSocketApp", _stream("ours_receive_tls", MANY, tls=True), _stream("websocketapp_tls", FEW, tls=True), "wall", 30, 60),
    Row("receive, TLS / websockets", _stream("ours_receive_tls", MANY, tls=True), _stream("websockets_asyncio_tls", SOME, tls=True), "wall", 3, 4.5),
    Row("receive, plain / picows (C: an upper bound)", _stream("ours_receive", MANY), _stream("picows_receive", MANY), "wall", 0, 0),
    *(
        Row(f"decode {what} / polymarket-client", _micro("decode_ours", *words), _micro("decode_official", *words), "us", 3, 4)
        for what, words in DECODED.items()
    ),
    *(
        Row(f"the same without [fast]: {what}", _micro("decode_plain", *words), _micro("decode_official", *words), "us", 1.5, 2)
        for what, words in DECODED.items()
    ),
    *(
        Row(f"decode {what} with a new field / as it is", _micro("decode_slow", *words), _micro("decode_ours", *words), "us", 0, 0, True)
        for what, words in DECODED.items()
    ),
    Row("end to end, verify top, on_price_change / polymarket-client (keeps no books)", _stream("ours_top", SOME), _stream("official", FEW), "wall", 5, 8),
    Row("end to end, verify top, on_book_update / polymarket-client", _stream("ours_books", SOME), _stream("official", FEW), "wall", 8, 12),
    Row("end to end, verify hash, on_price_change / polymarket-client", _stream("ours_hash", SOME), _stream("official", FEW), "wall", 3, 5),
    Row("end to end, the defaults / the docs' quickstart", _stream("ours_hash", SOME), _stream("quickstart", FEW), "wall", 6, 12),
    Row("end to end, verify top, on_price_change / polyws (float books)", _stream("ours_top", SOME), _stream("polyws", FEW), "wall", 0, 0),
    Row("end to end, verify top, on_price_change / polymarket-apis (float books)", _stream("ours_top", SOME), _stream("polymarket_apis", FEW), "wall", 0, 0),
    Row("end to end, verify top, on_price_change / eggplant-sdk (keeps no books)", _stream("ours_top", SOME), _stream("eggplant", FEW), "wall", 0, 0),
    Row("verify hash / verify top", _stream("ours_hash", SOME), _stream("ours_top", SOME), "wall", 0, 0, True),
    Row("p50 latency at 10 000 messages a second / polymarket-client", ("paced", "ours_latency", "10000", "5"), ("paced", "official_latency", "10000", "5"), "p50", 0.5, 0.33, True),
    Row("memory of 10 000 books of 80 levels / dicts of Decimal", _micro("memory_ours"), _micro("memory_dicts"), "mb", 0.6, 0.4, True),
    Row("cost of a message, 10 000 assets / 10", _micro("scale", "WORKLOAD", "10000"), _micro("scale", "WORKLOAD", "10"), "us", 1.3, 1.0, True, 3),
    Row("import / polymarket-client", ("import", "polymarket_ws"), ("import", "polymarket"), "ms", 0.25, 0.1, True),
]  # fmt: skip


def run(command: tuple[str, ...], path: str) -> dict[str, Any]:
    """One process, or a client with its load; returns what it measured."""
    kind, *words = [path if word == "WORKLOAD" else word for word in command]
    if kind == "micro":
        return _json(_python("-m", "bench.micro", *words))
    if kind == "import":
        return _json(_python("-c", IMPORT.format(*words)))
    if kind == "paced":
        name, rate, seconds = words
        return _against(["paced", rate, seconds], name, int(int(rate) * int(seconds) * 0.9), path)
    name, count, *tls = words
    return _against(["blast", count, *tls], name, int(count), path)


def _against(load: Sequence[str], name: str, count: int, path: str) -> dict[str, Any]:
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.load", path, *load],
        cwd=TESTS, stdout=subprocess.PIPE, text=True, env=_environment(),
    )  # fmt: skip
    assert server.stdout is not None
    try:
        port = server.stdout.readline().strip()
        result = _json(_python("-m", "bench.clients", name, port, path, str(count)))
        if load[0] == "paced":
            server.wait(PATIENCE)
            line = server.stdout.read().strip()
            result["load"] = json.loads(line) if line else None
        return result
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def _python(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=TESTS, capture_output=True, text=True, timeout=PATIENCE, env=_environment(),
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{words}: {done.stderr[-800:]}")
    return done.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "NO_PROXY": "*", "PYTHONDONTWRITEBYTECODE": ""}


def _json(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    return found


def _figure(result: dict[str, Any], name: str) -> float:
    """Of a stream, microseconds for each message."""
    return result[name] / result["events"] * 1e6 if name in ("wall", "cpu") else float(result[name])


def compare(row: Row, path: str, rounds: int) -> dict[str, Any]:
    """Alternate the two; medians, and the ratio of each round."""
    mine, others = [], []
    for _ in range(rounds):
        mine.append(run(row.ours, path))
        others.append(run(row.theirs, path))
    ours = [_figure(result, row.figure) for result in mine]
    theirs = [_figure(result, row.figure) for result in others]
    by_round = [a / b if row.less_is_better else b / a for a, b in zip(ours, theirs, strict=True)]
    cpu = [_figure(r, "cpu") for r in mine if "cpu" in r and r.get("events")]
    return {
        "row": row,
        "ours": statistics.median(ours),
        "theirs": statistics.median(theirs),
        "ratio": statistics.median(by_round),
        "low": min(by_round),
        "high": max(by_round),
        "cpu": statistics.median(cpu) if cpu else None,
    }


def sustain(path: str, rate: int, seconds: int) -> dict[str, Any]:
    """The default options, a callback for each change, and stamped prints."""
    return run(("paced", "ours_latency", str(rate), str(seconds)), path)


def _verdict(found: dict[str, Any]) -> str:
    row = found["row"]
    if not row.gate:
        return "-"
    holds = found["ratio"] <= row.gate if row.less_is_better else found["ratio"] >= row.gate
    return "held" if holds else "**missed**"


def _table(found: list[dict[str, Any]]) -> list[str]:
    units = {"wall": "us", "us": "us", "p50": "ms", "mb": "MiB", "ms": "ms"}
    lines = [
        "| what / against | ours | theirs | ratio (least to most) | gate | aim | |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    for one in found:
        row, unit = one["row"], units[one["row"].figure]
        sign = "at most " if row.less_is_better else ""
        gate = f"{sign}{row.gate:g}" if row.gate else "-"
        aim = f"{sign}{row.aim:g}" if row.aim else "-"
        lines.append(
            f"| {row.what} | {one['ours']:.2f} {unit} | {one['theirs']:.2f} {unit} "
            f"| {one['ratio']:.2f} ({one['low']:.2f} to {one['high']:.2f}) | {gate} | {aim} "
            f"| {_verdict(one)} |"
        )
    return lines


def _machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    flags = sysconfig.get_config_var("CONFIG_ARGS") or ""
    build = (
        "" if "--enable-optimizations" in flags else " configured without --enable-optimizations"
    )
    python = f"CPython {platform.python_version()}{build}"
    return f"{os.cpu_count()} cores of {model}, {platform.system()}, {python}"


def _versions() -> str:
    found = []
    for name in PEERS:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)


def _picture(found: list[dict[str, Any]]) -> str:
    """Bars of the ratios, on a logarithmic scale, as SVG."""
    rows = [one for one in found if not one["row"].less_is_better]
    height, left, width = 26, 430, 300
    top = max(one["ratio"] for one in rows)
    scale = width / max(1.0, _log(top) + 1)
    body = []
    for number, one in enumerate(rows):
        y = 30 + number * height
        bar = max(2.0, (_log(one["ratio"]) + 1) * scale)
        body.append(
            f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{one["row"].what}</text>'
            f'<rect x="{left}" y="{y}" width="{bar:.0f}" height="18" fill="#3b6ea5"/>'
            f'<text x="{left + bar + 6:.0f}" y="{y + 13}">{one["ratio"]:.1f}x</text>'
        )
    line = left + scale
    total = 40 + len(rows) * height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="800" height="{total}" '
        'font-family="sans-serif" font-size="11">'
        f'<text x="{left}" y="18">times as fast as the other (logarithmic; the line is 1)</text>'
        + "".join(body)
        + f'<line x1="{line:.0f}" y1="24" x2="{line:.0f}" y2="{total - 8}" stroke="#b00"/></svg>\n'
    )


def _log(number: float) -> float:
    from math import log10

    return max(-1.0, log10(number))


def page(found: list[dict[str, Any]], sustained: dict[int, dict[str, Any]], rounds: int) -> str:
    """The page as Markdown."""
    day = datetime.now(timezone.utc).date()
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`, which makes its own environment with the other clients from PyPI. "
        "Nothing here is a test.",
        "",
        f"{day}. {_machine()}. {_versions()}. The machine is shared and noisy: trust the ratios, to "
        "some 20 %.",
        "",
        "![ratios](benchmarks.svg)",
        "",
        f"Each figure is a median of {rounds} rounds (3 of the cost by number of assets) in which the two alternate; each client is a "
        "process of its own, and so is the load, which sends bytes made before over the loopback "
        "interface. The messages have 690 bytes on average: 90 % price_change of two tokens, 7 % "
        "last_trade_price, 3 % book, 40 assets, 40 levels a side, every hash right. A time is wall "
        "time for each message, from the first to the last.",
        "",
        *_table(found),
        "",
        "Ours is with the extra `[fast]`, but for the rows that say otherwise. A ratio is theirs to "
        'ours (more is better), or, where the gate says "at most", ours to theirs. Where books are '
        "decoded alone, levels are forgotten before each pass, and the answer to the subscription is "
        "read anew: of the capture's levels 2 % are new then, of the simulated ones a quarter.",
        "",
        "## At a steady rate",
        "",
        "The default options (books proved by hash), a callback for each change and each print; the "
        "latency is from the socket of the sender to the callback.",
        "",
        "| messages a second | seconds | received | dropped | p50 | p99 | p99.9 | reconnects "
        "| longest time between two PINGs | sender late by |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for rate, one in sustained.items():
        load = one.get("load") or {"ping_gap": float("nan"), "late": float("nan")}
        lines.append(
            f"| {rate} | {one['wall']:.0f} | {one['events']} | {one['dropped']} "
            f"| {one['p50']:.2f} ms | {one['p99']:.2f} ms | {one['p999']:.2f} ms "
            f"| {one['reconnects']} | {load['ping_gap']:.1f} s | {load['late']:.2f} s |"
        )
    lines.append("")
    return "\n".join(lines)


def main(rounds: int) -> None:
    """Measure all and write the page."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simulated.json"
        workload.write(workload.simulated(), path)
        found = []
        for row in ROWS:
            found.append(compare(row, str(path), min(rounds, row.most_rounds)))
            print(_table(found)[-1], flush=True)
        sustained = {rate: sustain(str(path), rate, s) for rate, s in ((10_000, 10), (50_000, 68))}
        print(sustained, flush=True)
    (DOCS / "benchmarks.md").write_text(page(found, sustained, rounds))
    (DOCS / "benchmarks.svg").write_text(_picture(found))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)

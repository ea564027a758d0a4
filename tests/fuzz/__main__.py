"""Fuzz each target with atheris, beginning with the kept corpus. `make fuzz SECONDS=60`.

    cd tests && python -m fuzz 60 [TARGET ...]

What it finds is kept in .fuzz/<target>, besides the inputs that crashed, crash-*: a crash that is
mended has its input copied to corpus/<target>, where test_corpus.py runs it.
"""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOUND = HERE.parents[1] / ".fuzz"
MAX_BYTES = 4096
CASE_SECONDS = 10  # of one input: longer is a crash, too
TARGET_NAMES = ("frames", "decode", "session", "heads")


def fuzz_one(name: str, *options: str) -> None:
    """The process of one target; does not return."""
    import atheris  # type: ignore[import-not-found]  # only where it is fuzzed

    with atheris.instrument_imports(include=["polymarket_ws"], enable_loader_override=False):
        from fuzz.targets import TARGETS

    logging.disable(logging.CRITICAL)
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


def run(name: str, seconds: str) -> int:
    """Fuzz one target in a process of its own; returns how many inputs crashed."""
    found = FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_BYTES}",
        f"-timeout={CASE_SECONDS}",
        f"-artifact_prefix={found}/",
        f"-dict={HERE / 'tokens.dict'}",
        str(found),
        str(HERE / "corpus" / name),
    ]
    command = [sys.executable, "-m", "fuzz", "--one", name, *options]
    log = subprocess.run(
        command, cwd=HERE.parent, capture_output=True, text=True, check=False
    ).stderr
    executions = max(map(int, re.findall(r"^#(\d+)", log, re.MULTILINE)), default=0)
    crashed = re.findall(r"Test unit written to (\S+)", log)
    print(f"{name}: {executions} executions in {seconds} s, {len(crashed)} crashes", *crashed)
    if crashed or not executions:
        print(log[-3000:])
    return len(crashed) or not executions


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        fuzz_one(*sys.argv[2:])
    sys.exit(min(1, sum(run(name, sys.argv[1]) for name in sys.argv[2:] or TARGET_NAMES)))

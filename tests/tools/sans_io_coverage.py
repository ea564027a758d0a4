"""Show that each sans-I/O module is covered to its last branch by its own test file alone.

The modules are those that the import contract of setup.cfg keeps from sockets, threads and clocks.
"""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ("importlinter:contract:sans-io", "importlinter:contract:sans-io-but-a-lock")
_MERGE = "shards.merge shards.merge_subscriptions"
_MERGE = "shards.merge shards.merge_subscriptions"
OTHER_FILE = {
    "account.holdings": "account.core",
    "account.merging": "account.core",
    "account.unclaimed": "account.core",
    "books.book": "books.book books.held books.shelf books.steps books.verifier",
    "books.shelf": "books.shelf books.steps books.suspects",
    "books.sides": "books.sides books.book books.shelf books.verifier",
    "connection.tally": "connection.session",
    "shards.alignment": _MERGE,
    "shards.lanes": _MERGE,
    "shards.merge": _MERGE,
    "wire.converter": "wire.converter wire.limits",
    "wire.decode": "wire.decode wire.limits",
    "wire.fast_path": "wire.fast_path wire.limits",
    "wire.fields": "wire.fields wire.limits",
    "wire.json_text": "wire.json_text wire.limits",
    "wire.prices": "books.sides",
    "wire.stdlib_parser": "wire.fast_path wire.limits",
}
"""The test files' nouns, where they are not the module's own."""
NOT_ALONE = frozenset({"channels.dialect", "wire.msgspec_parser"})
"""Covered by the suite as a whole."""
PAIR_SECONDS = 300


def sans_io_modules() -> list[str]:
    """Return the modules of the contract that exist, without the package's name."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = "\n".join(config[section]["source_modules"] for section in CONTRACTS).split()
    names = [module.partition(".")[2] for module in listed]
    return sorted(file for name in names for file in _files(name) if file not in NOT_ALONE)


def _files(name: str) -> list[str]:
    """The module itself, or those of a room."""
    room = ROOT / "polymarket_ws" / name
    if not room.is_dir():
        return [name]
    return [f"{name}.{path.stem}" for path in room.glob("*.py") if path.stem != "__init__"]


def _test_files(module: str) -> list[Path]:
    nouns = OTHER_FILE.get(module, module).split()
    names = (noun.rpartition(".") for noun in nouns)
    return [ROOT / "tests" / room / f"test_{name}.py" for room, _, name in names]


def measure(module: str, folder: Path) -> tuple[str, str]:
    """Run the module's test file under coverage; return the module and what is wrong, or ""."""
    test_files = _test_files(module)
    for test_file in test_files:
        if not test_file.exists():
            return module, f"{test_file} does not exist"
    included = f"--include=*/polymarket_ws/{module.replace('.', '/')}.py"
    environment = {**os.environ, "COVERAGE_FILE": str(folder / module)}
    coverage = [sys.executable, "-m", "coverage"]
    commands = (
        [*coverage, "run", "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, test_files)],
        [
            *coverage,
            "report",
            "-m",
            "--fail-under=100",
            included,
        ],
    )
    for command in commands:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PAIR_SECONDS,
        )
        if done.returncode:
            return module, done.stdout.strip()
    return module, ""


def main() -> int:
    """Measure the modules named on the command line, or all; return the exit code."""
    modules = sys.argv[1:] or sans_io_modules()
    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
    ):
        results = list(pool.map(lambda module: measure(module, Path(folder)), modules))
    failed = [module for module, problem in results if problem]
    for module, problem in results:
        print(f"{module}: {problem or '100 %'}")
    if failed:
        print(f"not covered by their own test files: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

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

ROOT = Path(__file__).resolve().parents[1]
CONTRACTS = ("importlinter:contract:sans-io", "importlinter:contract:sans-io-but-a-lock")
OTHER_FILE = {
    "alignment": "merge",
    "book_core": "books",
    "book_sides": "books",
    "plain_shapes": "usual",
    "prices": "books",
    "shapes": "usual",
    "updates": "books",
}  # module -> test file's noun, where the two differ
PAIR_SECONDS = 300


def sans_io_modules() -> list[str]:
    """Return the modules of the contract that exist, without the package's name."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = "\n".join(config[section]["source_modules"] for section in CONTRACTS).split()
    names = [module.partition(".")[2] for module in listed]
    return [name for name in names if (ROOT / "polymarket_ws" / f"{name}.py").exists()]


def measure(module: str, folder: Path) -> tuple[str, str]:
    """Run tests/test_<module>.py under coverage; return the module and what is wrong, or ""."""
    test_file = ROOT / "tests" / f"test_{OTHER_FILE.get(module, module)}.py"
    if not test_file.exists():
        return module, f"tests/{test_file.name} does not exist"
    environment = {**os.environ, "COVERAGE_FILE": str(folder / module)}
    coverage = [sys.executable, "-m", "coverage"]
    commands = (
        [*coverage, "run", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test_file)],
        [*coverage, "report", "-m", "--fail-under=100", f"--include=*/polymarket_ws/{module}.py"],
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

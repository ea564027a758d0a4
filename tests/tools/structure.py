"""Figures of the package's structure: rooms, layers, sizes, and the way of one price_change.

python tests/tools/structure.py [CHECKOUT]      # make structure
"""

from __future__ import annotations

import ast
import configparser
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
ROOT = ROOT if (ROOT / "setup.cfg").exists() else ROOT.parents[2]
PACKAGE = ROOT / "polymarket_ws"
LONG_FILE = 300


def files() -> list[Path]:
    """Every source file of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def lines_of(path: Path) -> int:
    """Its lines, comments and blank ones included."""
    return len(path.read_text(encoding="utf-8").splitlines())


def layers() -> int:
    """How many layers the import contract has."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return len(config["importlinter:contract:one-way"]["layers"].split("\n")) - 1


def classes() -> list[tuple[int, str]]:
    """Each class with its number of methods, the largest first."""
    counted = [
        (sum(isinstance(n, ast.FunctionDef) for n in node.body), f"{_name(path)}:{node.name}")
        for path in files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    return sorted(counted, reverse=True)


def _name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


class Trace:
    """Counts the calls of the market shard's thread in the package's files, for one turn."""

    def __init__(self) -> None:
        self.before: Counter[str] = Counter()
        """Until the event was put into the queue."""
        self.turn: Counter[str] = Counter()
        """Until the thread waits again, all that is before it included."""
        self.is_on = False
        self._is_queued = False

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if not self.is_on or event != "call" or "-market" not in threading.current_thread().name:
            return
        path = Path(frame.f_code.co_filename)
        if PACKAGE not in path.parents:
            return
        name = f"{_name(path)}:{frame.f_code.co_name}"
        if name == "shards/shard.py:_turn":
            self.is_on = not self._is_queued
            return
        self.turn[_name(path)] += 1
        if not self._is_queued:
            self.before[_name(path)] += 1
            self._is_queued = name == "delivery/event_queue.py:put"


def way_of_a_price_change() -> Trace:
    """The package's files that one price_change crosses on the thread that receives it."""
    from polymarket_ws import Subscriber
    from polymarket_ws.testing import FakeServer, SimulatedExchange

    trace = Trace()
    threading.setprofile(trace)
    exchange = SimulatedExchange(1, 1, step_share=0) if _has_steps() else SimulatedExchange(1, 1)
    asset_ids = exchange.asset_ids
    with FakeServer(exchange) as server:
        sub = Subscriber(asset_ids, options=server.options())
        sub.on_price_change(lambda _: None)
        with sub:
            sub.wait_ready()
            server.settle(sub)
            trace.is_on = True
            best = exchange.book(asset_ids[0]).bids[-1].price
            for _ in range(2):  # the second ends the first one's turn
                server.play(lambda exchange: exchange.place(asset_ids[0], "BUY", best, 50))
                server.settle(sub)
    threading.setprofile(None)
    return trace


def _has_steps() -> bool:
    from polymarket_ws.testing import SimulatedExchange

    return "step_share" in SimulatedExchange.__init__.__annotations__


def main() -> None:
    """Print the figures."""
    sizes = {_name(path): lines_of(path) for path in files()}
    rooms = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
    way = way_of_a_price_change()
    print(f"files {len(sizes)}, lines {sum(sizes.values())}, layers {layers()}")
    print(f"rooms {len(rooms)}: {', '.join(rooms)}")
    for calls, until in ((way.before, "before the queue"), (way.turn, "until the next wait")):
        print(f"a price_change: {len(calls)} files, {sum(calls.values())} calls {until}")
        print("   " + ", ".join(f"{name} {count}" for name, count in calls.most_common()))
    print("largest classes: " + ", ".join(f"{name} {count}" for count, name in classes()[:5]))
    long = sorted((count, name) for name, count in sizes.items() if count > LONG_FILE)
    print(f"files past {LONG_FILE} lines: {len(long)}")
    print("   " + ", ".join(f"{name} {count}" for count, name in reversed(long)))


if __name__ == "__main__":
    main()

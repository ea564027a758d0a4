"""The public names: listed, importable, documented, and cheap to import."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

API_PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
PUBLIC_MODULES = (
    "polymarket_ws",
    "polymarket_ws.contrib.jupyter",
    "polymarket_ws.lookup",
    "polymarket_ws.testing",
)


def _exported(module: str) -> list[str]:
    return list(importlib.import_module(module).__all__)


def _documented() -> set[str]:
    """Names in backticks in the headings of the page, one or several in each."""
    headings = re.findall(r"^#{2,5} .*$", API_PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name for line in headings for name in re.findall(r"`([A-Za-z_]\w*)`", line)}


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_every_exported_name_exists(module: str) -> None:
    """Each name of `__all__` can be imported."""
    namespace = vars(importlib.import_module(module))

    assert [] == [name for name in _exported(module) if name not in namespace]


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_no_name_is_exported_twice(module: str) -> None:
    """`__all__` has each name once."""
    names = _exported(module)

    assert sorted(set(names)) == sorted(names)


def test_top_is_the_contract() -> None:
    """The names that programs outside the project import are all there."""
    contract = {
        "Credentials",
        "LiveBook",
        "Options",
        "PolymarketWsError",
        "Side",
        "State",
        "Subscriber",
        "__version__",
        "running",
    }

    assert set() == contract - set(_exported("polymarket_ws"))


def test_every_event_class_is_exported() -> None:
    """A class that a callback can receive is importable from the top."""
    import attrs

    from polymarket_ws import events

    classes = {
        name
        for name, value in vars(events).items()
        if isinstance(value, type)
        and attrs.has(value)
        and issubclass(value, events.Event)
        and value.__subclasses__() == []
        and not name.startswith("_")
    }

    assert set() == classes - set(_exported("polymarket_ws"))


def test_every_exported_name_is_documented() -> None:
    """docs/api.md has a heading for each public name."""
    exported = {name for module in PUBLIC_MODULES for name in _exported(module)}

    assert set() == exported - _documented()


def test_every_documented_name_is_exported() -> None:
    """docs/api.md has no heading for a name that cannot be imported."""
    exported = {name for module in PUBLIC_MODULES for name in _exported(module)}

    assert set() == _documented() - exported


def test_star_import_gives_the_public_names_alone() -> None:
    """`from polymarket_ws import *` brings `__all__` and nothing else."""
    namespace: dict[str, object] = {}
    exec("from polymarket_ws import *", namespace)

    assert set(_exported("polymarket_ws")) == set(namespace) - {"__builtins__"}


def test_import_starts_nothing_and_needs_no_extra() -> None:
    """Importing the package starts no thread and loads neither asyncio nor an extra's library."""
    program = (
        "import sys, threading, polymarket_ws, polymarket_ws.lookup\n"
        "unwanted = {'asyncio', 'websockets', 'wsproto', 'trustme', 'urllib3'}\n"
        "unwanted |= {'IPython', 'anywidget', 'pandas', 'polars'}\n"
        "print(threading.active_count(), sorted(unwanted & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert "1 []" == done.stdout.strip()


def test_version_is_the_installed_one() -> None:
    """`__version__` and the distribution's metadata agree."""
    from importlib.metadata import PackageNotFoundError, version

    import polymarket_ws

    try:
        installed = version("polymarket-ws")
    except PackageNotFoundError:
        pytest.skip("polymarket-ws runs from its source tree, not installed")

    assert installed == polymarket_ws.__version__

"""The reference has each public name, and each field of the public classes with its meaning."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs
from sphinx.util import logging

from polymarket_ws import errors
from polymarket_ws.stats import ConnectionStats, Stats
from polymarket_ws.subscriptions import Subscriptions

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

logger = logging.getLogger(__name__)

_MODULES = (
    "polymarket_ws",
    "polymarket_ws.contrib.celery",
    "polymarket_ws.contrib.django",
    "polymarket_ws.contrib.flask",
    "polymarket_ws.contrib.jupyter",
    "polymarket_ws.contrib.prometheus",
    "polymarket_ws.lookup",
    "polymarket_ws.testing",
)
_NOT_FOR_USERS = {"Faults.of_rest", "SimulatedExchange.ledger"}


def _public() -> dict[str, object]:
    found: dict[str, object] = {
        kind.__name__: kind for kind in (Stats, ConnectionStats, Subscriptions)
    }
    for name in _MODULES:
        module = importlib.import_module(name)
        found |= {public: getattr(module, public) for public in module.__all__}
    found |= {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.PolymarketWsError)
    }
    return {name: value for name, value in found.items() if not name.startswith("_")}


def _fields(value: object) -> Iterator[tuple[str, ...]]:
    """For each field the names under which it may stand: at its class, or at a base. Not those that
    the docstring of the class describes as arguments.
    """
    if isinstance(value, type) and attrs.has(value):
        for field in attrs.fields(value):
            is_argument = f"\n        {field.alias}: " in (value.__doc__ or "")
            if not field.name.startswith("_") and not is_argument:
                yield tuple(f"{kind.__name__}.{field.name}" for kind in value.__mro__)


def _check(app: Sphinx, env: BuildEnvironment) -> None:
    entries = {
        tail
        for name, entry in env.get_domain("py").objects.items()
        if entry.docname.startswith("reference/")
        for tail in (name.rpartition(".")[2], ".".join(name.split(".")[-2:]))
    }
    for name, value in _public().items():
        if name not in entries:
            logger.warning("the reference lacks %s", name)
        for names in _fields(value):
            if entries.isdisjoint(names) and names[0] not in _NOT_FOR_USERS:
                logger.warning("the reference lacks %s: has it a docstring below it?", names[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Look once all pages are read."""
    app.connect("env-check-consistency", _check)
    return {"parallel_read_safe": True}

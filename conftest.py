"""Run the python blocks of README.md and docs/*.md, against a server on the loopback interface."""

from __future__ import annotations

import importlib.util
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import Any

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

EVENTS_OF_A_RUN = 10  # after which run() ends in a block
RUN_SECONDS = 60.0  # after which it ends in any case, and the block fails

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy")


def pytest_configure(config: pytest.Config) -> None:
    """Keep every test on this machine, whatever proxy the developer's shell names."""
    for name in PROXY_VARIABLES:
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    former = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _run_a_while(subscriber: Any, run: Callable[[], None]) -> None:
    """Let run() end by itself, by the count of events."""
    heard = itertools.count(1)

    @subscriber.on_event
    def stop_in_time(event: Any) -> None:
        if next(heard) == EVENTS_OF_A_RUN:
            subscriber.stop()

    too_late = threading.Timer(RUN_SECONDS, subscriber.stop)
    too_late.start()
    try:
        run()
    finally:
        too_late.cancel()
    assert next(heard) > EVENTS_OF_A_RUN, f"less than {EVENTS_OF_A_RUN} events came"


@contextmanager
def _loopback_subscriber(server: Any) -> Iterator[None]:
    """`from polymarket_ws import Subscriber` gives the real class, connected to `server`."""
    import polymarket_ws

    real = polymarket_ws.Subscriber

    @wraps(real, updated=())
    def subscriber(*args: Any, options: Any = None, **kwargs: Any) -> Any:
        made = real(*args, options=options or server.options(rest_staleness=0), **kwargs)
        made.run = partial(_run_a_while, made, made.run)  # type: ignore[method-assign]  # of it alone
        return made

    polymarket_ws.Subscriber = subscriber  # type: ignore[misc, assignment]  # for the blocks alone
    try:
        yield
    finally:
        polymarket_ws.Subscriber = real  # type: ignore[misc]  # as it was
        for left in polymarket_ws.running():
            left.stop()


@contextmanager
def _loopback_lookup(server: Any) -> Iterator[None]:
    """`from polymarket_ws.lookup import find_assets` gives the real one, which asks `server`."""
    from polymarket_ws import lookup

    real = lookup.find_assets
    lookup.find_assets = partial(real, url=server.gamma_url)  # type: ignore[assignment]  # as above
    try:
        yield
    finally:
        lookup.find_assets = real


def _is_installed(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None  # docs/examples/flask is no module


def enter_document(namespace: dict[str, Any]) -> None:
    """Give a document's blocks a running exchange, its ids and the keys that it accepts."""
    from polymarket_ws.testing import FakeServer, SimulatedExchange

    stack = namespace["_stack"] = ExitStack()
    exchange = SimulatedExchange()
    server = stack.enter_context(FakeServer(exchange))
    stack.enter_context(_loopback_subscriber(server))
    stack.enter_context(_loopback_lookup(server))
    names = {"slug": "will-it-rain", "events": [{"slug": "will-it-rain"}]}
    server.add_market({**exchange.gamma_markets()[0], "question": "Will it rain?", **names})
    stack.enter_context(
        _environment(
            POLYMARKET_API_KEY=exchange.api_key,
            POLYMARKET_API_SECRET="c2VjcmV0",
            POLYMARKET_API_PASSPHRASE="passphrase",
            POLYMARKET_ADDRESS=exchange.wallet,
            FLASK_POLYMARKET_WS_ASSET_IDS=",".join(exchange.asset_ids[:2]),
            FLASK_POLYMARKET_WS_MARKET_URL=server.url(),
        )
    )
    server.run()
    yes, no = exchange.asset_ids[:2]
    namespace.update(server=server, exchange=exchange, is_installed=_is_installed)
    namespace.update(YES=yes, NO=no, MARKET=exchange.market_of(yes))


def leave_document(namespace: dict[str, Any]) -> None:
    """Stop what the document's blocks left running."""
    namespace.pop("_stack").close()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md"],
    setup=enter_document,
    teardown=leave_document,
).pytest()

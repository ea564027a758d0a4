"""In a real Jupyter kernel: the notebook of docs/examples, live views, and cells that run again.

The descriptors kept are those of the kernel's client, ZeroMQ's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.kernel import Kernel, Ran

from polymarket_ws.testing import FakeServer, SimulatedExchange

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "examples" / "notebook.ipynb"

pytestmark = [
    pytest.mark.keeps_descriptors,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

COUNT = (
    "import threading; from polymarket_ws import running; print(len(running()), "
    "sum(t.name.startswith('polymarket-ws') for t in threading.enumerate()))"
)
"""Subscribers and their threads."""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server with a simulated exchange, outside of the kernel."""
    with FakeServer(SimulatedExchange()) as server:
        yield server


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """A kernel that imports this package."""
    with Kernel(os.environ) as kernel:
        yield kernel


def make_cell(server: FakeServer) -> str:
    """The source of a cell that makes and starts a subscriber, and waits for its books."""
    assert server.exchange is not None
    return (
        "from polymarket_ws import Options, Subscriber\n"
        f"ids = {list(server.exchange.asset_ids[:2])}\n"
        f"options = Options(market_url={server.url()!r}, backoff_base=0.01, backoff_cap=0.02)\n"
        "sub = Subscriber(ids, options=options, name='mine')\n"
        "sub.start()\n"
        "sub.wait_ready()\n"
        "book = sub.books[ids[0]]"
    )


def _hurried(source: str) -> str:
    """A cell of the notebook that waits for less."""
    return source.replace("seconds=5", "seconds=0.3").replace("timeout=10), 50)", "timeout=10), 5)")


def succeed(ran: Ran) -> Ran:
    """The cell, which ended without an error."""
    assert "ok" == ran.status, ran.traceback
    return ran


def open_connections(server: FakeServer, count: int) -> bool:
    """Whether the server soon has so many."""
    return server.wait_until(lambda: count == len(server.open_connections()))


def trade(server: FakeServer) -> None:
    """Let a trade of the first asset happen."""
    server.play(lambda exchange: exchange.trade(exchange.asset_ids[0], "BUY", "5"))


def begin_view(kernel: Kernel, source: str) -> Ran:
    """Run a cell with a view, and come back once it was updated."""
    before = kernel.widget_messages
    ran = kernel.begin(source)
    kernel.wait(lambda: bool(ran.status or ran.updates) or kernel.widget_messages > before)
    assert "" == ran.status, ran.traceback
    return ran


def end_view(kernel: Kernel, ran: Ran) -> Ran:
    """Its cell, once it has ended without an error."""
    kernel.wait(lambda: bool(ran.status))
    assert "pmws-moving" not in ran.html.partition("</style>")[2]
    return succeed(ran)


def test_each_cell_of_the_notebook_runs_twice(kernel: Kernel) -> None:
    """There are never more than one subscriber, its two threads, and its connection."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    first = next(n for n, source in enumerate(sources) if "Subscriber(assets" in source)
    last = next(n for n, source in enumerate(sources) if source.startswith("sub.stop()"))
    connections = (
        "print(server.wait_until(lambda: len(server.open_connections()) == {}), "
        "len(sub._callbacks.all()))"
    )
    for number, source in enumerate(sources):
        for _ in range(2):
            succeed(kernel.run(_hurried(source)))
            if number < first:
                continue
            expected = ("1 2", "True", 1) if number < last else ("0 0", "True", 0)
            assert expected[0] == kernel.printed(COUNT)
            assert kernel.printed(connections.format(expected[2])).startswith(expected[1])
            assert len(kernel.printed("print(len(sub._callbacks.all()))")) == 1
    assert "1" == kernel.printed("print(len(sub._callbacks.all()))")


@pytest.mark.parametrize("with_widgets", [True, False], ids=["anywidget", "display handle"])
def test_an_interrupt_ends_a_view(server: FakeServer, kernel: Kernel, with_widgets: bool) -> None:
    """Without a traceback; one output is left, which says so. The subscriber goes on."""
    if not with_widgets:
        kernel.run("import sys; sys.modules['anywidget'] = None")
    succeed(kernel.run(make_cell(server)))
    server.run(50)
    for source in ("book.show()", "sub.show()"):
        ran = begin_view(kernel, source)
        assert (with_widgets, not with_widgets) == (kernel.widget_messages > 0, ran.updates > 0)
        kernel.interrupt()
        assert "view ended by interrupt" in end_view(kernel, ran).html
        assert (1, "") == (len(ran.displays), ran.streams)
    assert "1 2" == kernel.printed(COUNT)
    assert open_connections(server, 1)


def test_a_view_of_what_is_stale_says_so(server: FakeServer, kernel: Kernel) -> None:
    """While a connection is lost; a view of what was stopped ends, and says it."""
    kernel.run("import sys; sys.modules['anywidget'] = None")
    succeed(kernel.run(make_cell(server)))
    ran = begin_view(kernel, "book.show()")
    kernel.wait(lambda: ">live<" in ran.html)
    server.stop_listening()
    server.disconnect()
    kernel.wait(lambda: ">stale: disconnect<" in ran.html)
    server.listen_again()
    kernel.wait(lambda: ">live<" in ran.html)
    kernel.interrupt()
    end_view(kernel, ran)
    succeed(kernel.run("sub.on_last_trade_price(lambda trade: sub.stop())"))
    ran = begin_view(kernel, "sub.show()")
    trade(server)
    assert ">STOPPED at " in end_view(kernel, ran).html
    assert "stale: stopped" in ran.html
    assert ">stale: stopped at " in succeed(kernel.run("book.show()")).html


def test_cells_run_again_and_a_restart_leave_nothing(server: FakeServer, kernel: Kernel) -> None:
    """A subscriber of the same name replaces the former; a killed kernel's connections close."""
    for _ in range(2):
        succeed(kernel.run(make_cell(server)))
        assert open_connections(server, 1)
        assert "1 2" == kernel.printed(COUNT)
    server.run(50)
    begin_view(kernel, "sub.show()")
    kernel.restart()
    assert open_connections(server, 0)
    succeed(kernel.run(make_cell(server)))
    assert open_connections(server, 1)
    assert 3 == len(server.connections)
    assert "1 2" == kernel.printed(COUNT)


def test_callbacks_belong_to_the_cell_that_registered_them(
    server: FakeServer, kernel: Kernel
) -> None:
    """What they print arrives there; a later cell's function replaces the former of its name."""
    succeed(kernel.run(make_cell(server)))
    heard = "on_last_trade_price({})\ndef tell(trade): print('heard', flush=True)"
    kernel.run(f"@sub.{heard.format('asset_id=ids[1]')}")
    stacked = "@sub.on_last_trade_price(asset_id=ids[0])\n"
    registering = succeed(kernel.run(f"{stacked}@sub.{heard.format('asset_id=ids[1]')}"))
    assert "2" == kernel.printed("print(len(sub._callbacks['last_trade_price']))")
    kernel.run("heard = sub.events('last_trade_price', timeout=30)")
    other = kernel.begin("next(heard)")
    trade(server)
    kernel.wait(lambda: bool(other.status and registering.streams))

    assert ("heard\n", "") == (registering.streams, other.streams)


def test_a_callback_shows_no_view(server: FakeServer, kernel: Kernel) -> None:
    """It would keep all callbacks waiting."""
    succeed(kernel.run(make_cell(server)))
    succeed(
        kernel.run(
            "errors = []\n"
            "sub.on_error(lambda error: errors.append(error.cause))\n"
            "sub.on_last_trade_price(lambda trade: book.show())\n"
            "heard = sub.events('last_trade_price', timeout=30)"
        )
    )
    trade(server)
    said = kernel.printed("next(heard); sub.stop(drain=True); print(*errors)")

    assert said.endswith("show() waits, so it must not be called in a callback")

"""A subscriber at a glance, from one that is connected to a server."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from polymarket_ws import PolymarketWsError, Subscriber
from polymarket_ws.testing import FakeServer, SimulatedExchange, make_book


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server with a simulated exchange."""
    with FakeServer(SimulatedExchange()) as server:
        yield server


def texts(html: str) -> list[str]:
    """What stands in the cells and the lines around them."""
    return re.findall(r">([^<>\n]+)<", html.partition("</style>")[2])


def test_books_are_rows_and_counts_a_line(server: FakeServer) -> None:
    """With the prices of each book; what is live is so at a time."""
    server.exchange = None
    server.add_book(make_book("1", [("0.4", "1000")], [("0.65", "2.5")]))
    server.add_book(make_book("2", [], []))
    with Subscriber(["1", "2"], options=server.options(), name="<mine>") as sub:
        sub.wait_ready()
        shown = texts(sub._repr_html_())

    assert ["Subscriber &lt;mine&gt;", "LIVE at"] == [shown[0], shown[1][:7]]
    assert ["1", "1,000.0", "0.40", "0.65", "2.5", "0.25", "-", "live"] == shown[10:18]
    assert ["2", "-", "-", "-", "-", "-", "-", "live"] == shown[18:26]
    assert "2 of 2 books live · events 2 · open connections 1 · gaps 0 · reconnects 0" == shown[26]
    assert "STOPPED at" == texts(sub._repr_html_())[1][:10]
    assert "stale: stopped" in texts(sub._repr_html_())


def test_a_fatal_error_is_told(server: FakeServer) -> None:
    """Its sentence comes first."""
    options = server.options(max_attempts=1)
    server.stop_listening()
    with Subscriber(["1"], options=options) as sub, pytest.raises(PolymarketWsError):
        sub.wait(timeout=30)

    shown = texts(sub._repr_html_())
    assert "FAILED at" == shown[1][:9]
    assert shown[-1].startswith(str(sub.error)[:20])


def test_of_many_books_the_first_are_shown() -> None:
    """And it says so."""
    shown = texts(Subscriber(range(1, 61))._repr_html_())

    assert 50 == shown.count("stale: no_snapshot")
    assert shown[-1].startswith("0 of 60 books live · events 0")
    assert shown[-1].endswith("the first 50 shown")


def test_a_view_needs_a_started_subscriber() -> None:
    """Else nothing would ever come."""
    with pytest.raises(RuntimeError, match=r"^show: start the subscriber first$"):
        Subscriber(["1"]).show()

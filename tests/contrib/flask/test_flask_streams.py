"""`stream_books`: what a client is sent, and what is left when it goes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("flask.cli", reason="needs the extra [flask]")

from flask import Flask
from werkzeug.exceptions import NotFound

from polymarket_ws.contrib.flask import PolymarketWS, stream_books
from polymarket_ws.contrib.flask import book_stream as streams
from polymarket_ws.errors import ConfigurationError
from polymarket_ws.testing import FakeServer, SimulatedExchange


class Site:
    """An application with a started subscriber, and one response at a time."""

    def __init__(self, server: FakeServer) -> None:
        assert server.exchange is not None
        self.server, self.exchange = server, server.exchange
        self.asset_ids = list(server.exchange.asset_ids[:2])
        self.keep_alive = 15.0
        self.app = Flask("app")
        self.app.config.update(
            POLYMARKET_WS_ASSET_IDS=self.asset_ids, POLYMARKET_WS_OPTIONS=server.options()
        )
        self.polymarket = PolymarketWS(self.app)
        self.app.add_url_rule("/", "all", lambda: stream_books(keep_alive=self.keep_alive))
        self.app.add_url_rule(
            "/<asset_id>",
            "one",
            lambda asset_id: self.polymarket.stream_books(
                [asset_id], depth=1, keep_alive=self.keep_alive
            ),
        )
        self.polymarket.start(self.app)
        self.subscriber = self.app.extensions["polymarket_ws"].subscriber
        self.subscriber.wait_ready(20)

    def get(self, path: str = "/", **environ: object):
        """The response, and its texts one by one."""
        client = self.app.test_client()
        response = client.get(path, environ_overrides=environ)
        return response, (text.decode() for text in response.response)

    @property
    def open_streams(self) -> int:
        """How many are being sent."""
        with self.app.app_context():
            return self.polymarket.open_streams


@pytest.fixture
def site() -> Iterator[Site]:
    """An application that follows a simulated market which does not move by itself."""
    with FakeServer(SimulatedExchange()) as server:
        site = Site(server)
        yield site
        site.subscriber.stop()


def book_of(text: str) -> dict[str, object]:
    """What a message tells of a book."""
    assert text.startswith("data: ")
    assert text.endswith("\n\n")
    shown: dict[str, object] = json.loads(text.removeprefix("data: "))
    return shown


def test_headers(site: Site) -> None:
    """The response is an event stream that neither caches nor proxies keep back."""
    response, _ = site.get()

    assert "text/event-stream" == response.mimetype
    assert "no-cache, no-transform" == response.headers["Cache-Control"]
    assert "no" == response.headers["X-Accel-Buffering"]
    response.close()


def test_the_present_books_come_first(site: Site) -> None:
    """A client is sent each book as it is, then a book again when it has changed."""
    response, texts = site.get()
    assert "retry: 2000\n\n" == next(texts)
    first = [book_of(next(texts)) for _ in site.asset_ids]

    assert site.asset_ids == sorted((str(b["asset_id"]) for b in first), key=site.asset_ids.index)
    assert all(book["valid"] for book in first)

    yes = site.asset_ids[0]
    site.server.play(lambda exchange: exchange.trade(yes, "BUY", "5"))
    assert any(book_of(text) not in first for text in texts)
    response.close()


def test_a_slow_client_gets_the_newest_state(site: Site) -> None:
    """What happens to a book while a client does not read becomes one message for each book."""
    response, texts = site.get(f"/{site.asset_ids[0]}")
    next(texts), next(texts)
    site.server.play(300)
    site.server.settle(site.subscriber)
    book = book_of(next(texts))

    newest = site.subscriber.books[site.asset_ids[0]]
    assert [[str(newest.bids[0].price), str(newest.bids[0].size)]] == book["bids"]
    response.close()


def test_keep_alives_come_while_nothing_changes(site: Site) -> None:
    """A quiet book sends comments."""
    site.keep_alive = 0.05
    response, texts = site.get()
    sent = [next(texts) for _ in range(6)]

    assert [": keep-alive\n\n"] * 3 == sent[3:]
    response.close()


def test_nothing_is_left_of_a_closed_response(site: Site) -> None:
    """Closing the response ends its stream and its callbacks."""
    response, texts = site.get()
    next(texts)
    assert 1 == site.open_streams
    response.close()

    assert 0 == site.open_streams
    assert frozenset() == site.subscriber._callbacks.names()


def test_an_unsent_response_leaves_nothing(site: Site) -> None:
    """A response that is closed before its first text has registered nothing."""
    site.get()[0].close()

    assert 0 == site.open_streams
    assert frozenset() == site.subscriber._callbacks.names()


@pytest.mark.parametrize("name", ["gunicorn.socket", "werkzeug.socket"])
def test_a_client_that_left_is_noticed_while_nothing_changes(
    site: Site, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the server shows its socket, the stream ends without having sent anything."""
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.05)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        _, texts = site.get(**{name: ours})
        next(texts), next(texts), next(texts)
        theirs.close()

        assert [] == list(texts)
    assert 0 == site.open_streams


def test_a_lost_connection_is_told(site: Site) -> None:
    """A book that is not valid any more is sent with its reason."""
    response, texts = site.get(f"/{site.asset_ids[0]}")
    next(texts), next(texts)
    site.server.stop_listening()
    site.server.disconnect()
    book = book_of(next(texts))

    assert (False, "disconnect") == (book["valid"], book["stale_reason"])
    response.close()


def test_an_unsubscribed_asset_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client does not keep a book for good that is not followed any more."""
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.05)
    response, texts = site.get(f"/{site.asset_ids[0]}")
    next(texts), next(texts)
    site.subscriber.unsubscribe([site.asset_ids[0]])

    assert "unsubscribed" == book_of(next(texts))["stale_reason"]
    response.close()


def test_a_stop_ends_it(site: Site) -> None:
    """The last message of a stopped subscriber is an event "end"."""
    _, texts = site.get()
    next(texts), next(texts), next(texts)
    site.subscriber.stop()

    assert 'event: end\ndata: {"state": "STOPPED"}\n\n' == list(texts)[-1]


def test_a_server_that_ends_ends_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """`end_streams_when` ends open streams within a look."""
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(streams, "_ends", [])
    asked: list[bool] = []
    streams.end_streams_when(lambda: bool(asked))
    _, texts = site.get()
    next(texts), next(texts), next(texts)
    asked.append(True)

    assert ['event: end\ndata: {"state": "LIVE"}\n\n'] == list(texts)


def test_an_unknown_asset_is_not_found(site: Site) -> None:
    """An asset that is not subscribed is answered with 404, and subscribes nothing."""
    response, _ = site.get("/77")

    assert 404 == response.status_code
    assert "77" not in site.subscriber.subscriptions.asset_ids


def test_one_id_and_none(site: Site) -> None:
    """One id may be given as it is; of no asset there is no stream."""
    with site.app.test_request_context("/"):
        assert 200 == stream_books(site.asset_ids[0]).status_code
        with pytest.raises(NotFound, match="no asset is subscribed"):
            stream_books([])


def test_without_a_running_subscriber_there_is_no_stream(site: Site) -> None:
    """A stopped subscriber is answered with 503."""
    site.polymarket.stop(site.app)

    assert 503 == site.get()[0].status_code


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        *(("depth", wrong) for wrong in (0, 1.5, "x", True)),
        *(("keep_alive", wrong) for wrong in (0, float("nan"), "x", None)),
        ("asset_ids", 5),
    ],
)
def test_wrong_arguments_are_refused(site: Site, argument: str, wrong: Any) -> None:
    """Before the response begins, by the name of the argument."""
    with (
        site.app.test_request_context("/"),
        pytest.raises(ConfigurationError, match=f"stream_books: {argument} "),
    ):
        stream_books(**{argument: wrong})

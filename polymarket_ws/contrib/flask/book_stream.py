"""Books as server-sent events: a response that lasts until its client or the subscriber leaves."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from attrs import define, field
from flask import Response, current_app, request
from werkzeug.exceptions import NotFound, ServiceUnavailable

from polymarket_ws import Disconnected, LiveBook, State, Subscriber
from polymarket_ws.errors import ConfigurationError

from .feed import Feed, feed_of

LOOK_SECONDS = 1.0  # between two looks for a client that has left, and for the end

_HEADERS = {
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",  # nginx would keep the lines back
}
_ENDED = (State.IDLE, State.STOPPED, State.FAILED, State.FORKED)

_ends: list[Callable[[], bool]] = []


def end_streams_when(is_over: Callable[[], bool]) -> None:
    """End this process's responses of `stream_books` within a second after `is_over()` is true.

    A server that is asked to end waits for its open responses first, and these never end by
    themselves. gunicorn's worker knows that it was asked:

        # gunicorn.conf.py
        def post_worker_init(worker):
            from polymarket_ws.contrib.flask import end_streams_when

            end_streams_when(lambda: not worker.alive)
    """
    _ends.append(is_over)


def stream_books(
    asset_ids: str | Iterable[str] | None = None,
    *,
    depth: int | None = None,
    keep_alive: float = 15.0,
) -> Response:
    """A response of type text/event-stream: each book as it is now, and again whenever it changes.

    An event's data is `LiveBook.to_dict()` as JSON. Changes are conflated: a client that reads
    slowly gets the newest state of each book, and costs no memory. It ends, with an event "end",
    when the subscriber stops (see also `end_streams_when`). Until then it occupies a worker of the
    server, or one of its threads or greenlets.

        @app.get("/books/<asset_id>")
        def books(asset_id):
            return stream_books([asset_id])

    Args:
        asset_ids: Token ids, one or several, that the application's subscriber follows; None is all
            of them.
        depth: Levels of each side; None is all.
        keep_alive: Seconds without a change after which a comment is sent, so that proxies keep the
            connection. A client that has left is noticed within a second where the server shows
            its socket (gunicorn, Werkzeug), else when something is sent.

    Raises:
        NotFound: an asset is not subscribed, or there is none (HTTP 404).
        ConfigurationError: the application has no PolymarketWS; `asset_ids` are no ids, `depth` is
            no whole number from 1 on, or `keep_alive` no number above 0.
        ServiceUnavailable: the subscriber is not running (HTTP 503).
    """
    _check_depth(depth)
    _check_keep_alive(keep_alive)
    feed = feed_of(current_app)
    books = _chosen(feed.subscriber.books, asset_ids)
    if feed.subscriber.state in _ENDED:
        raise ServiceUnavailable(f"the subscriber is {feed.subscriber.state}")
    stream = _BookStream(feed, books, depth, keep_alive, _client_socket(request.environ))
    return Response(stream.lines(), mimetype="text/event-stream", headers=_HEADERS)


def _check_depth(depth: object) -> None:
    if depth is None:
        return
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise ConfigurationError(
            f"stream_books: depth must be a whole number from 1 on, or None, not {depth!r}"
        )


def _check_keep_alive(seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise ConfigurationError(
            f"stream_books: keep_alive must be a number of seconds above 0, not {seconds!r}"
        )


def _chosen(
    books: Mapping[str, LiveBook], asset_ids: str | Iterable[str] | None
) -> dict[str, LiveBook]:
    named = (asset_ids,) if isinstance(asset_ids, str) else asset_ids
    if named is not None and not isinstance(named, Iterable):
        raise ConfigurationError(
            f"stream_books: asset_ids is a {type(named).__name__}: pass one id or a list of them"
        )
    wanted = list(books if named is None else map(str, named))
    for asset_id in wanted:
        if asset_id not in books:
            raise NotFound(f"asset {asset_id} is not subscribed")
    if not wanted:
        raise NotFound("no asset is subscribed")
    return {asset_id: books[asset_id] for asset_id in wanted}


@define(eq=False)
class _Changes:
    """The books that changed since they were last taken. Any thread puts, one takes."""

    _asset_ids: dict[str, None] = field(factory=dict)
    _lock: threading.Condition = field(factory=threading.Condition)
    """Guards the above; held for a change of it, never while user code runs."""

    def put(self, book: LiveBook) -> None:
        with self._lock:
            self._asset_ids[book.asset_id] = None
            self._lock.notify()

    def wake(self, _: Disconnected) -> None:
        """Let the reader look whether the end has come."""
        with self._lock:
            self._lock.notify()

    def take(self, timeout: float) -> list[str]:
        """What changed; empty when nothing did within so many seconds, or it was woken."""
        with self._lock:
            if not self._asset_ids:
                self._lock.wait(timeout)
            taken = list(self._asset_ids)
            self._asset_ids.clear()
            return taken


@define(eq=False)
class _BookStream:
    """One response. Made for a request, iterated by the server's thread, closed by it."""

    _feed: Feed
    _books: Mapping[str, LiveBook]
    _depth: int | None
    _keep_alive: float
    _client: socket.socket | None
    _changes: _Changes = field(factory=_Changes)
    _told: dict[str, bool] = field(factory=dict)
    """Whether the client was told that the book is valid; by asset, of those it was told of."""

    def lines(self) -> Iterator[str]:
        # Registered here, since a response that is never sent never comes to its `finally`.
        subscriber = self._feed.subscriber
        self._feed.count_stream(+1)
        try:
            subscriber.on_book_update(self._changes.put, asset_id=list(self._books))
            subscriber.on_disconnect(self._changes.wake)
            yield from self._texts(subscriber)
        finally:
            self._feed.count_stream(-1)
            subscriber.remove_callback(self._changes.put)
            subscriber.remove_callback(self._changes.wake)

    def _texts(self, subscriber: Subscriber) -> Iterator[str]:
        yield "retry: 2000\n\n"
        # A book without a market has had no snapshot: that will be its first change.
        yield from map(self._event, [i for i, book in self._books.items() if book.market])
        sent_at = time.monotonic()
        while not _is_over(subscriber):
            changed = self._changes.take(min(LOOK_SECONDS, self._keep_alive)) or self._changed()
            if changed:
                yield from map(self._event, changed)
            elif _has_left(self._client):
                return
            elif time.monotonic() - sent_at >= self._keep_alive:
                yield ": keep-alive\n\n"
            else:
                continue
            sent_at = time.monotonic()
        yield f"event: end\ndata: {json.dumps({'state': str(subscriber.state)})}\n\n"

    def _changed(self) -> list[str]:
        """Whose validity is another than was told: of an unsubscribed one nothing calls back."""
        return [i for i, is_valid in self._told.items() if self._books[i].valid is not is_valid]

    def _event(self, asset_id: str) -> str:
        shown = self._books[asset_id].to_dict()
        self._told[asset_id] = shown["valid"]
        for side in ("bids", "asks"):
            shown[side] = shown[side][: self._depth]
        return f"data: {json.dumps(shown, separators=(',', ':'))}\n\n"


def _is_over(subscriber: Subscriber) -> bool:
    return subscriber.state in _ENDED or any(is_over() for is_over in _ends)


def _client_socket(environ: Mapping[str, Any]) -> socket.socket | None:
    """The client's, where the server shows it."""
    found = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    return found if hasattr(found, "recv") else None


def _has_left(client: socket.socket | None) -> bool:
    """Whether the client has closed its end. False where that cannot be seen."""
    if client is None:
        return False
    try:
        readable = select.select([client], [], [], 0)[0]
        return bool(readable) and not client.recv(1, socket.MSG_PEEK)
    except ValueError:  # TLS cannot peek; select knows no descriptor above 1023
        return False
    except OSError:
        return True

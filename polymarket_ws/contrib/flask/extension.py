"""The extension: callbacks for every application that it is given, a Subscriber for each."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from flask import current_app

from polymarket_ws import Subscriber
from polymarket_ws.delivery.callbacks import Callbacks, Registration
from polymarket_ws.delivery.registrars import Registrars
from polymarket_ws.errors import ConfigurationError

from .book_stream import stream_books
from .command import polymarket_commands
from .feed import KEY, Feed, feed_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Flask, Response


class StreamCallbacks(Registrars):
    """Callbacks that `flask polymarket stream` alone runs: `PolymarketWS.in_stream`.

    They are called once for an event, however many workers serve the application, each with a
    subscriber of its own.
    """

    def __init__(self) -> None:
        self.callbacks = Callbacks()

    def _register(self, registration: Registration) -> None:
        self.callbacks.add(registration)


class PolymarketWS(Registrars):
    """A Flask extension: a `polymarket_ws.Subscriber` for each application.

    Made once, at import time; any thread. Neither this nor `init_app` starts or connects anything:
    the first request in a process does, or `start`. Callbacks are registered as with a Subscriber,
    before or after `init_app`, for all applications; they run on the subscriber's own thread, in
    the application's context, in every process that starts its subscriber. What is to be done once
    for an event, such as writing it to a database, is registered with `in_stream`.

        polymarket = PolymarketWS()
        polymarket.init_app(app)

        @polymarket.in_stream.on_trade
        def store(trade):
            db.session.add(Fill(trade.id, trade.price))
            db.session.commit()

    Args:
        app: An application to begin with, as by `init_app`.

    Attributes:
        in_stream: Has the same `on_` members, for callbacks that only the process of the command
            `flask polymarket stream` runs.

    Raises:
        ConfigurationError: see `init_app`.
    """

    def __init__(self, app: Flask | None = None) -> None:
        self.in_stream = StreamCallbacks()
        self._callbacks = Callbacks()
        self._feeds: WeakSet[Feed] = WeakSet()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Give an application its Subscriber, as its configuration (POLYMARKET_WS_...) says now.

        Raises:
            ConfigurationError: a wrong setting, no application, or one that has its PolymarketWS
                already.
        """
        if not isinstance(getattr(app, "extensions", None), dict):  # a proxy of one has it, too
            raise ConfigurationError(
                f"init_app needs a Flask application, not {type(app).__name__}"
            )
        if KEY in app.extensions:
            raise ConfigurationError(f"{app.name} has its PolymarketWS already")
        feed = Feed(app, self.in_stream.callbacks)
        for registration in self._callbacks.all():
            feed.register(registration)
        self._feeds.add(feed)
        app.extensions[KEY] = feed
        app.before_request(feed.start_in_request)
        app.cli.add_command(polymarket_commands)

    @property
    def subscriber(self) -> Subscriber:
        """The current application's; RuntimeError outside of an application context."""
        return feed_of(current_app).subscriber

    @property
    def open_streams(self) -> int:
        """How many responses of `stream_books` this process is sending for the current
        application.
        """
        return feed_of(current_app).open_streams

    def start(self, app: Flask | None = None) -> bool:
        """Start an application's subscriber here, in the process that serves; None: the current
        application's.

        Returns:
            False where nothing is started: in the process of `flask run` that only watches files
            for the reloader, and while another command of `flask` loads the application.

        Raises:
            ConfigurationError: as `Subscriber.start`.
        """
        return feed_of(app or current_app).start()

    def stop(self, app: Flask | None = None, timeout: float = 5.0) -> bool:
        """Stop it, and end its streams; as `Subscriber.stop`. A later request does not start it."""
        return feed_of(app or current_app).stop(timeout)

    def stream_books(
        self,
        asset_ids: str | Iterable[str] | None = None,
        *,
        depth: int | None = None,
        keep_alive: float = 15.0,
    ) -> Response:
        """The current application's books as server-sent events: see `stream_books`."""
        return stream_books(asset_ids, depth=depth, keep_alive=keep_alive)

    def _register(self, registration: Registration) -> None:
        self._callbacks.add(registration)
        for feed in list(self._feeds):
            feed.register(registration)

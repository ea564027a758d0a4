"""One application's Subscriber: when it starts, and the context in which its callbacks run."""

from __future__ import annotations

import functools
import os
import threading
from typing import TYPE_CHECKING

from polymarket_ws import Subscriber
from polymarket_ws.errors import ConfigurationError, callback_name
from polymarket_ws.logs import Log

from .command_line import why_not_here
from .settings import autostarts, make_subscriber

if TYPE_CHECKING:
    from flask import Flask

    from polymarket_ws.delivery.callbacks import Callback, Callbacks, Registration

logger = Log(__name__)

KEY = "polymarket_ws"  # in `app.extensions`


class Feed:
    """What `app.extensions["polymarket_ws"]` is. Made by `PolymarketWS.init_app`; any thread.

    Attributes:
        subscriber: The application's own.
        open_streams: How many responses of `stream_books` are being sent.
        callback_names: The event of each callback that was registered.
        exits: What callbacks raised to end the process.
    """

    def __init__(self, app: Flask, in_stream: Callbacks) -> None:
        self.subscriber: Subscriber = make_subscriber(app.config)
        self.open_streams = 0
        self.callback_names: list[str] = []
        self.exits: list[SystemExit] = []
        self._app = app
        self._in_stream = in_stream
        self._lock = threading.Lock()
        """Guards `open_streams`."""
        self._decided_in = 0  # the process in which a request, start() or stop() has come

    def register(self, registration: Registration) -> None:
        """Call back in the context of the application."""
        on = getattr(self.subscriber, f"on_{registration.name}")
        more = {"top_only": True} if registration.top_only else {}
        on(
            self._in_context(registration.callback),
            asset_id=registration.asset_ids,
            market=registration.markets,
            **more,
        )
        self.callback_names.append(registration.name)

    def register_stream_callbacks(self) -> None:
        """Call back those, too, that only `flask polymarket stream` runs."""
        for registration in self._in_stream.all():
            self.register(registration)

    def start(self) -> bool:
        """Start, but in a process that does not serve; whether it was started."""
        if obstacle := why_not_here():
            logger.info("%s is not started here: %s", self.subscriber.name, obstacle)
            return False
        self.subscriber.start()
        self._decided_in = os.getpid()
        return True

    def stop(self, timeout: float) -> bool:
        """Stop; no request of this process starts it again."""
        self._decided_in = os.getpid()
        return self.subscriber.stop(timeout)

    def start_in_request(self) -> None:
        """Start in this process's first request, unless the configuration says otherwise."""
        if self._decided_in == os.getpid():
            return
        if autostarts(self._app.config):
            self.subscriber.start()
        self._decided_in = os.getpid()

    def count_stream(self, change: int) -> None:
        with self._lock:
            self.open_streams += change

    def _in_context(self, callback: Callback) -> Callback:
        @functools.wraps(callback, updated=())
        def call(argument: object) -> None:
            try:
                with self._app.app_context():
                    callback(argument)
            except SystemExit as error:
                self.exits.append(error)
                raise

        call.__qualname__ = callback_name(callback)  # a partial has no name of its own
        return call


def feed_of(app: Flask) -> Feed:
    """The feed of an application, or of a proxy of one.

    Raises:
        ConfigurationError: it has none.
    """
    feed = app.extensions.get(KEY)
    if not isinstance(feed, Feed):
        raise ConfigurationError("the application has no PolymarketWS: call init_app(app)")
    return feed

"""The project's Subscriber, whose handlers are registered before its settings are read."""

from __future__ import annotations

from collections import deque
from importlib import import_module
from types import TracebackType
from typing import Any, cast

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from polymarket_ws import Subscriber

from .configuration import SETTING, make_subscriber
from .hosted_handler import Handler, HostedHandler, hear_the_end


class LazySubscriber:
    """Stands for the Subscriber that `POLYMARKET_WS` describes: `subscriber` is the only one.

    It lives as long as the process. The Subscriber is made when a member other than the `on_`
    members is first used. Handlers are checked at once, and called if it was started here or by
    `manage.py polymarket_stream`. Any thread may use it, and a forked child: it has no lock.
    """

    def __init__(self) -> None:
        self._sketch = Subscriber()  # never started: refuses wrong handlers where they stand
        self._handlers: list[tuple[str, dict[str, Any], Handler]] = []
        self._pending: deque[tuple[str, dict[str, Any], Handler]] = deque()
        self._made: dict[str, Subscriber] = {}
        self._calls_handlers = False
        self.is_hosted = False
        """Whether the command or `start_in_worker` started it: at the right place."""
        self.exits: list[SystemExit] = []
        """What handlers raised to end the process."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # copy and pickle ask for such: it is neither copied nor pickled
            raise AttributeError(name)
        if not name.startswith("on_"):
            return getattr(self.made, name)
        sketched = getattr(self._sketch, name)

        def on(handler: Handler | None = None, /, **filters: Any) -> Any:
            check = sketched(**filters)

            def register(handler: Handler) -> Handler:
                self._take(name, filters, check(handler))
                return handler

            return register if handler is None else register(handler)

        on.__name__, on.__doc__ = name, sketched.__doc__
        return on

    @property
    def made(self) -> Subscriber:
        """The Subscriber itself.

        Raises:
            ImproperlyConfigured: the setting is wrong.
        """
        # Made without a lock, for it runs code of the project; of two threads' one is kept.
        return self._made.get(SETTING) or self._made.setdefault(SETTING, make_subscriber())

    @property
    def handler_names(self) -> list[str]:
        """The `on_` members that handlers were registered with, one for each handler."""
        return [name for name, _, _ in self._handlers]

    def start(self) -> None:
        """Start it, with the handlers of each app's subscriptions.py. See `Subscriber.start`."""
        import_subscriptions()
        self._call_handlers()
        self.made.start()

    def run(self) -> None:
        """As `Subscriber.run`, with the handlers of each app's subscriptions.py."""
        import_subscriptions()
        self._call_handlers()
        self.made.run()

    def remove_callback(self, handler: Handler) -> bool:
        """As `Subscriber.remove_callback`."""
        known = [entry for entry in self._handlers if entry[2] == handler]
        for entry in known:
            self._handlers.remove(entry)
        self._pending = deque(entry for entry in self._pending if entry[2] != handler)
        self._sketch.remove_callback(handler)
        for made in self._made.values():
            made.remove_callback(handler)
        return bool(known)

    def forget(self) -> None:
        """Stop the Subscriber, and make another from the settings when one is needed again."""
        for made in [self._made.pop(key) for key in list(self._made)]:
            made.stop()
        self._calls_handlers = self.is_hosted = False
        self._pending = deque()

    def host(self, *, call_handlers: bool) -> None:
        """Start it where a server or a command wants it started."""
        self.is_hosted = True
        if call_handlers:
            self.start()
        else:
            self.made.start()

    def __enter__(self) -> LazySubscriber:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.made.__exit__(kind, error, traceback)

    def __repr__(self) -> str:
        made = self._made.get(SETTING)
        return f"<subscriber of {SETTING}, {made or 'not made yet'}>"

    def _take(self, name: str, filters: dict[str, Any], handler: Handler) -> None:
        entry = (name, filters, handler)
        self._handlers.append(entry)
        if self._calls_handlers:
            self._pending.append(entry)
            self._register_pending()

    def _call_handlers(self) -> None:
        if not self._calls_handlers:
            self._calls_handlers = True
            self.made.on_disconnect(self._hosted(hear_the_end))
            self._pending.extend(self._handlers)
            self._register_pending()

    def _register_pending(self) -> None:
        """Each is taken out by one thread only."""
        while self._pending:
            try:
                name, filters, handler = self._pending.popleft()
            except IndexError:  # another thread took the last one
                return
            getattr(self.made, name)(self._hosted(handler), **filters)

    def _hosted(self, handler: Handler) -> HostedHandler:
        return HostedHandler(handler, self.exits.append)


def import_subscriptions() -> list[str]:
    """Import subscriptions.py of each installed app that has one; their names."""
    found = [
        f"{app.name}.subscriptions"
        for app in apps.get_app_configs()
        if module_has_submodule(app.module, "subscriptions")
    ]
    for name in found:
        import_module(name)
    return found


def forget_settings(*, setting: str, **_: object) -> None:
    """A receiver of `setting_changed`: a test overrides the setting, or puts it back."""
    if setting == SETTING:
        lazy.forget()


lazy = LazySubscriber()
subscriber = cast("Subscriber", lazy)
"""The project's subscriber. Its `on_` members may be used at import, before settings are read."""

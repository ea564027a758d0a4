"""The project's Subscriber, whose handlers are registered before its settings are read."""

from __future__ import annotations

from importlib import import_module
from types import TracebackType
from typing import Any, cast

from attrs import Factory, define
from django.apps import apps
from django.utils.module_loading import module_has_submodule

from polymarket_ws import Subscriber

from .configuration import SETTING, make_subscriber
from .hosted_handler import Handler, HostedHandler, hear_the_end


@define(eq=False)
class Entry:
    """A handler that was registered, on the Subscriber or not yet."""

    on: str
    filters: dict[str, Any]
    handler: Handler
    tickets: list[None] = Factory(lambda: [None])
    """Whoever takes the one in it registers the handler: of two threads one does."""


class LazySubscriber:
    """Stands for the Subscriber that `POLYMARKET_WS` describes: `subscriber` is the only one.

    It lives as long as the process. The Subscriber is made when a member other than the `on_`
    members is first used. Handlers are checked at once, and called if it was started here or by
    `manage.py polymarket_stream`. Any thread may use it, and a forked child: it has no lock.
    """

    def __init__(self) -> None:
        self._sketch = Subscriber()  # never started: refuses wrong handlers where they stand
        self._entries: list[Entry] = []
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
                self._entries.append(Entry(name, filters, check(handler)))
                self._register()
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
        return [entry.on for entry in self._entries]

    def start(self) -> None:
        """Start it, with the handlers of each app's subscriptions.py. See `Subscriber.start`."""
        self._call_handlers()
        self.made.start()

    def run(self) -> None:
        """As `Subscriber.run`, with the handlers of each app's subscriptions.py."""
        self._call_handlers()
        self.made.run()

    def remove_callback(self, handler: Handler) -> bool:
        """As `Subscriber.remove_callback`."""
        known = [entry for entry in self._entries if entry.handler == handler]
        for entry in known:
            self._entries.remove(entry)
        self._sketch.remove_callback(handler)
        for made in self._made.values():
            made.remove_callback(handler)
        return bool(known)

    def forget(self) -> None:
        """Stop the Subscriber, and make another from the settings when one is needed again."""
        for made in [self._made.pop(key) for key in list(self._made)]:
            made.stop()
        self._calls_handlers = self.is_hosted = False
        for entry in self._entries:
            entry.tickets = [None]

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

    def _call_handlers(self) -> None:
        import_subscriptions()
        if not self._calls_handlers:
            self.made.on_disconnect(self._hosted(hear_the_end))
            self._calls_handlers = True
        self._register()

    def _register(self) -> None:
        """Register on the Subscriber what is not yet, if it is to call handlers."""
        for entry in list(self._entries) if self._calls_handlers else ():
            try:
                entry.tickets.pop()
            except IndexError:  # registered already
                continue
            getattr(self.made, entry.on)(self._hosted(entry.handler), **entry.filters)

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

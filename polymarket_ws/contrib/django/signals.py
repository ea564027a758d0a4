"""Django signals of what the subscriber tells, for those who prefer them to handlers.

    from django.dispatch import receiver
    from polymarket_ws import LastTradePrice
    from polymarket_ws.contrib.django.signals import event_received

    @receiver(event_received, sender=LastTradePrice)
    def store(event, **kwargs): ...

Receivers are handlers: they run on the callback thread, where and when handlers are called. The
sender is the class of what is told. Each receiver is called, even after one that raised; the first
that raised counts as the failure of a handler, and Django logs each.
"""

from __future__ import annotations

from typing import Any

from django.dispatch import Signal

from polymarket_ws.errors import CallbackError

from .lazy_subscriber import lazy


class HandlerSignal(Signal):
    """A signal that begins to listen when its first receiver is connected.

    Args:
        on: The `on_` member whose argument it sends.
        argument: What the receivers' keyword argument is called.
        only: Send only instances of this.
    """

    def __init__(self, on: str, argument: str, only: type = object) -> None:
        super().__init__()
        self._on, self._argument, self._only = on, argument, only
        self._listens = False

    def connect(self, *args: Any, **kwargs: Any) -> None:
        """As `django.dispatch.Signal.connect`."""
        super().connect(*args, **kwargs)
        if not self._listens:
            self._listens = True
            getattr(lazy, self._on)(self._send)

    def _send(self, told: object) -> None:
        if not isinstance(told, self._only):
            return
        answers = self.send_robust(sender=type(told), **{self._argument: told})
        for _, answer in answers:
            if isinstance(answer, Exception):
                raise answer


event_received = HandlerSignal("on_event", "event")
"""Each data event, of either channel; `event`."""
book_updated = HandlerSignal("on_book_update", "book")
"""A live book changed; `book`, conflated as for `on_book_update`."""
connection_opened = HandlerSignal("on_connect", "event")
"""A `Connected`; `event`."""
connection_ended = HandlerSignal("on_disconnect", "event")
"""A `Disconnected`; `event`."""
gap_opened = HandlerSignal("on_gap", "event")
"""A `Gap`: something was missed; `event`."""
gap_closed = HandlerSignal("on_resync", "event")
"""A `Resync`: the end of a gap; `event`."""
callback_failed = HandlerSignal("on_error", "error", CallbackError)
"""A handler raised; `error` is a `CallbackError`, with its `event` and `cause`."""
error_told = HandlerSignal("on_error", "error")
"""Any error that `on_error` is told, that of a handler included; `error`."""

"""`to_task`: a callback that sends events to a task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from polymarket_ws import Event, Subscriber
from polymarket_ws.errors import ConfigurationError

from .attachment import attachment_of, attachments
from .sender import Task, TaskSender


def to_task(
    event_kind: type[Event] | str,
    task: Task,
    *,
    subscriber: Subscriber | None = None,
    asset_id: str | Iterable[str] | None = None,
    market: str | Iterable[str] | None = None,
    options: Mapping[str, object] | None = None,
    timeout: float = 1.0,
    pause: float = 5.0,
) -> TaskSender:
    """Send each event of a kind to a task, as a dict that JSON can hold.

        @app.task
        def store(event):
            print(event["event_type"], event["price"])

        to_task("last_trade_price", store, options={"queue": "trades", "expires": 60})

    An event is sent at most once, in order, from the subscriber's callback thread. It is sent
    without retries: while the broker is down, events are lost, and each is told to `on_error` as a
    `CallbackError` with the event and a `TaskNotSent`; the first is logged with its traceback, and
    how many were lost when the broker is back. A callback thread is held up by at most
    2 * `timeout` in `pause` + 2 * `timeout` seconds.

    Args:
        event_kind: An event class, or its name ("last_trade_price"); also "book_update" and
            "event", for every data event.
        task: Called with one dict. Its result is ignored.
        subscriber: Whose events; None is the one that was attached with scope="node".
        asset_id: Only events of this asset, or these, as with `on_...`.
        market: Only events of this market, or these.
        options: For `apply_async`: queue, priority, expires and others.
        timeout: Seconds to wait for a connection to the broker, and for its answer.
        pause: Seconds after a failure in which the broker is not asked, and events are lost at
            once.

    Returns:
        The callback, which counts what it `sent` and `lost`; for `Subscriber.remove_callback`.

    Raises:
        ConfigurationError: no such event; or no subscriber, several, or one with
            scope="process", where each process of the pool would send every event.
    """
    name = _name(event_kind)
    chosen = subscriber or _attached()
    attachment = attachment_of(chosen)
    if attachment is not None and attachment.scope != "node":
        raise ConfigurationError(
            "each process of the pool would send every event: attach(app, subscriber, scope='node')"
        )
    register = getattr(chosen, f"on_{name}", None)
    if register is None or name in ("error", "frame"):
        raise ConfigurationError(f"there is no event {name!r} that a task could be sent")
    sender = TaskSender(task, options or {}, timeout, pause)
    filters = {"asset_id": asset_id, "market": market}
    register(sender, **{key: value for key, value in filters.items() if value is not None})
    if attachment is not None:
        attachment.senders.append(sender)
    return sender


def _name(event_kind: type[Event] | str) -> str:
    if isinstance(event_kind, str):
        return event_kind.removeprefix("on_")
    return event_kind.event_type


def _attached() -> Subscriber:
    found = [known.subscriber for known in attachments if known.scope == "node"]
    if len(found) != 1:
        raise ConfigurationError(
            f"{len(found)} subscribers are attached with scope='node': give to_task(subscriber=...)"
        )
    return found[0]

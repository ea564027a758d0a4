"""What the commands that follow Polymarket print and refuse, under each web framework alike."""

from __future__ import annotations

import math
from collections.abc import Collection

from polymarket_ws import Subscriber
from polymarket_ws.events import BROADCASTS
from polymarket_ws.stats import Stats

_BROADCASTS = {kind.event_type for kind in BROADCASTS}


def seconds(text: str | float) -> float:
    """The value of an option such as --timeout.

    Raises:
        ValueError: no number of seconds, 0 or more.
    """
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(f"{text} is no number of seconds")
    return value


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def is_anything_subscribed(subscriber: Subscriber) -> bool:
    """Whether there is a book or a user channel to wait for."""
    wanted = subscriber.subscriptions
    return bool(wanted.asset_ids) or wanted.markets is None or bool(wanted.markets)


def is_anything_followed(subscriber: Subscriber, event_types: Collection[str]) -> bool:
    """Whether anything could arrive for callbacks of these events: broadcasts need no asset."""
    return is_anything_subscribed(subscriber) or not _BROADCASTS.isdisjoint(event_types)


def describe_followed(subscriber: Subscriber) -> str:
    wanted = subscriber.subscriptions
    parts = [counted(len(wanted.asset_ids), "asset")] if wanted.asset_ids else []
    if wanted.markets is None:
        parts.append("the user channel")
    elif wanted.markets:
        parts.append(f"the user channel of {counted(len(wanted.markets), 'market')}")
    return " and ".join(parts) or "broadcasts"


def describe_ready(subscriber: Subscriber) -> str:
    return f"ready: {counted(len(subscriber.books), 'live book')}"


def describe_missing(subscriber: Subscriber) -> str:
    """What `wait_ready` waits for, without its words on the time."""
    try:
        subscriber.wait_ready(0.0)
    except TimeoutError as error:
        return str(error).removeprefix("not ready within 0 s: ")
    return "nothing any more"


def describe_end(stats: Stats) -> str:
    """The last line: what was handled, and what was not."""
    return (
        f"stopped: {counted(sum(stats.events.values()), 'event')}, "
        f"{counted(stats.callback_errors, 'failed call')}, {stats.dropped} dropped, "
        f"{stats.discarded} discarded"
    )

"""The event classes by name, and the sets of them that follow from what each class says of itself.

Filled from the files beside this one: a class there that has an `event_type` is an event. A set is
for a reader whose items need not be events, or who asks of many at a time; others read the class.
"""

from __future__ import annotations

from collections.abc import Callable

from . import lifecycle, market, undecoded, user
from .values import Event, Family, TimedEvent

EVENTS: dict[str, type[Event]] = {}
"""Every event class by its callback's name without `on_`."""
WIRE_EVENTS: dict[str, type[TimedEvent]] = {}
"""Those that a channel sends and its decoder makes, by the wire's event_type."""

OWN: set[type[Event]] = set()
LIFECYCLE: set[type[Event]] = set()
CONTINUITY: set[type[Event]] = set()
BROADCASTS: set[type[Event]] = set()
DROPPABLE: set[type[Event]] = set()
DATA: set[str] = set()
"""The names of what `on_event` receives."""
CUSTOM_FEATURES: set[str] = set()
"""The names of what is sent only with `custom_feature_enabled`."""

_CLASSES: tuple[tuple[set[type[Event]], Callable[[type[Event]], bool]], ...] = (
    (OWN, lambda kind: kind.family is Family.OWN),
    (LIFECYCLE, lambda kind: kind.family is Family.LIFECYCLE),
    (CONTINUITY, lambda kind: kind.family is Family.CONTINUITY),
    (BROADCASTS, lambda kind: kind.is_broadcast),
    (DROPPABLE, lambda kind: kind.may_be_dropped),
)
_NAMES: tuple[tuple[set[str], Callable[[type[Event]], bool]], ...] = (
    (DATA, lambda kind: kind.is_data),
    (CUSTOM_FEATURES, lambda kind: kind.needs_custom_features),
)


def register(kind: type[Event]) -> None:
    """Let a class be decoded, queued and delivered by what it says of itself.

    Those of this room are registered at import. Not for while a Subscriber runs: its threads read
    what this changes.

    Raises:
        ValueError: it has no event_type, or that of another class.
    """
    name = kind.event_type
    if not name or name in EVENTS:
        raise ValueError(f"{kind.__name__} needs an event_type of its own, not {name!r}")
    EVENTS[name] = kind
    if issubclass(kind, TimedEvent) and kind.is_sent:
        WIRE_EVENTS[name] = kind
    for kinds, belongs in _CLASSES:
        if belongs(kind):
            kinds.add(kind)
    for names, belongs in _NAMES:
        if belongs(kind):
            names.add(name)


def unregister(kind: type[Event]) -> None:
    """Undo `register`, under the same condition.

    Raises:
        KeyError: it is not registered.
    """
    name = kind.event_type
    del EVENTS[name]
    WIRE_EVENTS.pop(name, None)
    for kinds, _ in _CLASSES:
        kinds.discard(kind)
    for names, _ in _NAMES:
        names.discard(name)


for _room in (market, user, undecoded, lifecycle):
    for _kind in list(vars(_room).values()):
        if isinstance(_kind, type) and issubclass(_kind, Event) and _kind.event_type:
            register(_kind)

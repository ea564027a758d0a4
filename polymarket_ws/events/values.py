"""What all events are made of: Side, State and Level, the bases, and the way back to the wire.

Each event class says as ClassVars what is true of its kind; see `Event`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, NamedTuple

import attrs
from attrs import field, frozen

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_OURS = frozenset({"extra", "received_at_ns", "source"})
_API_KEYS = frozenset({"owner", "order_owner", "trade_owner"})


class Side(str, Enum):
    """BUY (the bids) or SELL (the asks). Equal to its text, and printed as it."""

    BUY = "BUY"
    SELL = "SELL"

    __str__ = str.__str__


class State(str, Enum):
    """What a Subscriber is doing. Equal to its text, and printed as it."""

    IDLE = "IDLE"
    """Not started, or nothing is wanted: no connection."""
    CONNECTING = "CONNECTING"
    """Started; a channel has not been up yet in this run."""
    LIVE = "LIVE"
    """Every channel is connected and no subscribed book is stale."""
    DEGRADED = "DEGRADED"
    """A channel is being reconnected, or a subscribed book is stale."""
    STOPPED = "STOPPED"
    """stop() was called and the threads have ended, or are about to."""
    FAILED = "FAILED"
    """A fatal error ended the run; `Subscriber.error` has it."""
    FORKED = "FORKED"
    """Started in the parent process: no thread of it exists in this forked child until start()."""

    __str__ = str.__str__


class Level(NamedTuple):
    """One price level. A named tuple, so that `for price, size in book.bids` works."""

    price: Decimal
    """The price of one share in USDC, between 0 and 1."""
    size: Decimal
    """Shares resting there, all orders together."""


class Family(Enum):
    """What an event tells of, in the coarsest way. Each class names its own."""

    MARKET = "market"
    """Market data: what the market channel sends."""
    OWN = "own"
    """One's own orders and trades: what the user channel sends."""
    UNDECODED = "undecoded"
    """What either channel sent, as it came."""
    LIFECYCLE = "lifecycle"
    """Connections that begin and end."""
    CONTINUITY = "continuity"
    """What was missed, and the end of it."""


class Scope(Enum):
    """Which subscription an event belongs to. Each class names its own."""

    ASSET = "asset"
    """Its `assets`: it is wanted by who subscribed to one of them."""
    MARKET = "market"
    """Its `market`: of one's own events those are wanted that `Subscriber.markets` lets through."""
    GLOBAL = "global"
    """None: everybody wants it, whatever assets it names."""


def wire(
    name: str,
    *aliases: str,
    seconds: bool = False,
    worst_first: bool = False,
    signed: bool = False,
    expected: bool = False,
) -> dict[str, object]:
    """Field metadata: the field's name on the wire, and how its value is written there.

    Args:
        name: Where it is written and looked for.
        aliases: Where it is looked for when it is not under its name.
        seconds: A time that the wire has in seconds; else in milliseconds.
        worst_first: Levels that the wire has in the other order.
        signed: A number that may be below 0.
        expected: The value is made without it, but that it is missing is told.
    """
    return {
        "wire": name,
        "aliases": aliases,
        "seconds": seconds,
        "worst_first": worst_first,
        "signed": signed,
        "expected": expected,
    }


@frozen(kw_only=True, repr=False)
class Value:
    """What all values share: unknown fields, and the way back to the wire's shape."""

    extra: Mapping[str, Any] = field(factory=dict, hash=False)
    """Fields of the wire that this version does not know, as parsed from JSON."""

    def to_dict(self) -> dict[str, Any]:
        """This value as the wire writes it: its names, numbers as strings, levels worst first."""
        fields = [f for f in attrs.fields(type(self)) if f.metadata or f.name not in _OURS]
        written = {
            f.metadata.get("wire", f.name): _to_wire(getattr(self, f.name), f.metadata)
            for f in fields
            if getattr(self, f.name) is not None
        }
        return {**written, **self.extra}

    def __repr__(self) -> str:
        shown = (f"{n}={_short(getattr(self, n))}" for n in self._shown if _is_set(self, n))
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_html_(self) -> str:
        """What a notebook shows: each field that is set, but for API keys."""
        from polymarket_ws.notebook.record import record_html

        names = [f.name for f in attrs.fields(type(self)) if f.name not in _OURS]
        values = {n: getattr(self, n) for n in names if n not in _API_KEYS and _is_set(self, n)}
        if self.extra:
            values["extra"] = self.extra
        return record_html(
            type(self).__name__, values, received_at_ns=getattr(self, "received_at_ns", 0)
        )

    _shown: ClassVar[tuple[str, ...]] = ()


@frozen(kw_only=True, repr=False)
class Event(Value):
    """Anything a callback is called with, but for a LiveBook and an exception.

    What holds for a whole class of events stands at the class, as the ClassVars below; everything
    that treats events by their kind reads it there.
    """

    event_type: ClassVar[str] = ""
    """The wire's name of this kind of event; of our own kinds, the callback's without `on_`."""
    family: ClassVar[Family]
    """What it tells of."""
    scope: ClassVar[Scope]
    """Which subscription it belongs to."""
    is_broadcast: ClassVar[bool] = False
    """Whether each connection brings a copy of it: delivered once, known by its `identity`."""
    needs_custom_features: ClassVar[bool] = False
    """Whether the server sends it only with `custom_feature_enabled`."""
    may_be_dropped: ClassVar[bool] = True
    """Whether a queue beyond its limit drops it and tells a Gap; the others are always kept."""
    is_data: ClassVar[bool] = True
    """Whether `on_event` receives it: what the server sent, decoded."""

    received_at_ns: int = field(default=0, eq=False)
    """Wall time in nanoseconds since 1970 at which its bytes were read (ours: when it was made)."""

    @property
    def assets(self) -> tuple[str, ...]:
        """The token ids that it names: one, several or none."""
        asset_id = getattr(self, "asset_id", None)
        return (asset_id,) if asset_id is not None else getattr(self, "asset_ids", ())

    @property
    def identity(self) -> Hashable:
        """What the copies of one broadcast have in common, and no other event has."""
        return self

    def concerns(self, asset_ids: AbstractSet[str]) -> bool:
        """Whether it names one of these assets."""
        return not asset_ids.isdisjoint(self.assets)

    def narrowed_to(self, asset_ids: AbstractSet[str]) -> Event:
        """What it says of these of its assets; itself where it cannot be divided."""
        return self


@frozen(kw_only=True, repr=False)
class TimedEvent(Event):
    """An event with the server's time: what a channel sends, decoded by its class, or what is made
    of that.
    """

    wire_types: ClassVar[tuple[str, ...]] = ()
    """The values of `type` by which it is known where the server wrote no event_type."""
    is_sent: ClassVar[bool] = True
    """False for one that is made here of what was sent, so that no decoder looks for it."""

    timestamp_ms: int = field(metadata=wire("timestamp"))
    """The server's time in milliseconds since 1970."""

    @property
    def timestamp(self) -> datetime:
        """The server's time, aware, in UTC."""
        return _EPOCH + timedelta(milliseconds=self.timestamp_ms)

    def to_dict(self) -> dict[str, Any]:
        """This event as the wire writes it: its names, numbers as strings, levels worst first."""
        return {**super().to_dict(), "event_type": self.event_type}


def plain(number: Decimal) -> str:
    """A Decimal as the wire writes it: without an exponent."""
    return format(number, "f")


def _to_wire(value: Any, metadata: Mapping[str, Any]) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Level):
        return {"price": plain(value.price), "size": plain(value.size)}
    if isinstance(value, Value):
        return value.to_dict()
    if isinstance(value, tuple):
        items = reversed(value) if metadata.get("worst_first") else value
        return [_to_wire(item, {}) for item in items]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, int) and "wire" in metadata:
        whole_seconds = metadata["seconds"] and value % 1000 == 0
        return str(value // 1000 if whole_seconds else value)
    return value


def _is_set(value: Value, name: str) -> bool:
    return getattr(value, name) not in (None, "", ())


def _short(value: object) -> str:
    if isinstance(value, str) and not isinstance(value, Enum):
        if " " in value:  # words, not an id
            return repr(value if len(value) <= 80 else f"{value[:79]}…")
        return repr(value if len(value) <= 24 else f"{value[:10]}…{value[-4:]}")
    if isinstance(value, Level):
        return f"{value.price}x{value.size}"
    if isinstance(value, tuple):
        inner = ", ".join(map(_short, value[:3]))
        return f"({inner}{', …' if len(value) > 3 else ''})"
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)

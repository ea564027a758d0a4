"""What either channel sent, as it came: of an unknown type, or before decoding."""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import field, frozen

from .values import Event, Family, Scope


@frozen(kw_only=True, repr=False)
class Unknown(Event):
    """An event of a type that this version does not know, whole."""

    event_type: ClassVar[str] = "unknown"
    family: ClassVar[Family] = Family.UNDECODED
    scope: ClassVar[Scope] = Scope.GLOBAL
    _shown: ClassVar[tuple[str, ...]] = ("wire_event_type", "channel")

    channel: str
    """"market" or "user"."""
    wire_event_type: str
    """What the server called it; "" where it named nothing."""
    data: Any = field(hash=False)
    """The element as parsed from JSON (a number with a fraction as Decimal)."""


@frozen(kw_only=True, repr=False)
class Frame(Event):
    """One data message's raw text, before decoding."""

    event_type: ClassVar[str] = "frame"
    family: ClassVar[Family] = Family.UNDECODED
    scope: ClassVar[Scope] = Scope.GLOBAL
    is_data: ClassVar[bool] = False
    _shown: ClassVar[tuple[str, ...]] = ("channel", "text")

    channel: str
    """"market" or "user"."""
    text: str
    """As it came."""

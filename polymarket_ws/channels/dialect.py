"""The dialect of a channel: its URL, its texts, its heartbeat and its decoder.

A channel is a dialect and a view. The dialect is all that a session has to know of how the server
of a channel speaks. It is a value: it keeps nothing of a connection, so the connections of a
leader, a follower and a probe share one. The view (view.py) is what the channel's events change.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Literal, NamedTuple, Protocol

from attrs import frozen

from polymarket_ws.errors import DecodeError
from polymarket_ws.wire.updates import Decoded

from .wanted import Wanted


@frozen
class Heartbeat:
    """The text that a client sends so that the connection stays open."""

    text: str
    interval: float
    """Seconds between two of them, and from the opening of the connection to the first one: some
    servers close a connection whose first text is not the subscription."""


class Control(NamedTuple):
    """A text that carries no data."""

    kind: Literal["pong", "notice"]
    """"pong" answers the heartbeat; a notice is counted and logged."""
    is_warning: bool = False
    """Of a notice: whether it says that something is wrong."""
    replies: Sequence[str] = ()
    """What to send in answer."""


Decode = Callable[[str, int], Sequence[Decoded | DecodeError]]
"""From a text and the time given to every event to the events in the wire's order, and an error for
each part that is not understood. No text raises."""
DecodeFast = Callable[[str, int, Container[str] | None], Sequence[Decoded | DecodeError] | None]
"""From a text, the time, and the event types that somebody listens for (None is all), to what
`Decode` makes of it, or None where `Decode` has to read it. Of a type that nobody listens for the
event may be None where the books need their update alone."""


def no_fast_path(text: str, received_at_ns: int, heard: Container[str] | None) -> None:
    """The DecodeFast of a channel whose messages are few."""


class Dialect(Protocol):
    """How the server of a channel speaks. Immutable, without clock or socket; any thread."""

    @property
    def name(self) -> str:
        """The channel's, as events and statistics show it."""

    @property
    def url(self) -> str: ...

    @property
    def authenticates(self) -> bool:
        """Whether a close right after the first text means refused credentials."""

    @property
    def heartbeat(self) -> Heartbeat: ...

    @property
    def data_begins(self) -> frozenset[str]:
        """First characters of texts that are data for sure: `read_control` is not asked."""

    def opening_texts(self, wanted: Wanted) -> list[str]:
        """The first texts of a connection: the whole wanted set."""

    def change_texts(self, before: Wanted, after: Wanted) -> list[str]:
        """The texts that turn one subscription into another on an open connection."""

    def resubscription_texts(self, asset_ids: list[str], wanted: Wanted) -> list[str]:
        """The texts that draw new snapshots of subscribed assets; none where there are none."""

    def read_control(self, text: str, wanted: Wanted) -> Control | None:
        """What a text means that carries no data; None for any other text."""

    # Functions of their own rather than methods, since they are called for each message.

    @property
    def decode_fast(self) -> DecodeFast:
        """What reads a data text first."""

    @property
    def fast_types(self) -> frozenset[str]:
        """The event types that `decode_fast` reads, unless the server has changed their fields."""

    @property
    def decode(self) -> Decode:
        """What reads a data text that `decode_fast` does not."""

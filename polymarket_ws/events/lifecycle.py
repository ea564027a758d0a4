"""What this package tells of its connections, and of what was missed."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from .values import Event, Family, Scope


@frozen(kw_only=True, repr=False)
class Connected(Event):
    """A connection is open and its subscription was sent."""

    event_type: ClassVar[str] = "connect"
    family: ClassVar[Family] = Family.LIFECYCLE
    scope: ClassVar[Scope] = Scope.GLOBAL
    may_be_dropped: ClassVar[bool] = False
    is_data: ClassVar[bool] = False
    _shown: ClassVar[tuple[str, ...]] = ("connection", "generation", "reconnected", "attempt")

    channel: str
    """"market" or "user"."""
    connection: str
    """The connection's name in the logs and in stats()."""
    generation: int
    """1 for the first connection of this run, one more each time it was made anew."""
    reconnected: bool
    """False for the first of a run."""
    attempt: int
    """How many attempts it took, counted from 1."""
    downtime: float | None = None
    """Seconds since the former connection was lost; None for the first."""


@frozen(kw_only=True, repr=False)
class Disconnected(Event):
    """A connection ended, or an attempt to make one failed.

    `reason` is one of: "closed" (the server's close frame), "eof" (the connection just ended),
    "reset", "network" (another socket error), "pong_timeout", "silent" (PING is answered, but data
    has stopped), "send_timeout", "protocol_error", "dns", "refused", "connect_timeout", "tls",
    "proxy", "rejected" (an HTTP status), "authentication", "certificate", "configuration",
    "unwanted" (nothing is subscribed any more), "rotated" (`Options.rotate_every`), "replaced" (by
    its standby, since a book was proved wrong), "internal_error" (an exception that this package
    did not foresee), "stopped", "failed" (another connection's fatal error). More may come.
    """

    event_type: ClassVar[str] = "disconnect"
    family: ClassVar[Family] = Family.LIFECYCLE
    scope: ClassVar[Scope] = Scope.GLOBAL
    may_be_dropped: ClassVar[bool] = False
    is_data: ClassVar[bool] = False
    _shown: ClassVar[tuple[str, ...]] = (
        "connection",
        "reason",
        "detail",
        "code",
        "will_retry",
        "delay",
    )

    channel: str
    """"market" or "user"."""
    connection: str
    """The connection's name in the logs and in stats()."""
    generation: int
    """That of the connection that ended; 0 while there has been none."""
    reason: str
    """One of the words above."""
    detail: str = ""
    """What happened, in a short phrase; "" where the reason says it all."""
    code: int | None = None
    """The WebSocket close code, or the HTTP status; None without either."""
    will_retry: bool
    """False when it ended for good: by stop(), by a fatal error, or since nothing is wanted."""
    delay: float | None = None
    """Seconds until the next attempt; None when there is none."""
    attempt: int = 0
    """0 when an open connection ended, else which attempt in a row failed, counted from 1."""


@frozen(kw_only=True, repr=False)
class Gap(Event):
    """Something was missed: what these assets' events tell is not the whole story from here on.

    Told in stream order, after the books have become stale; one for each incident. It ends with one
    Resync, with unsubscribing, or with stop().

    `reason` is one of: "disconnect" (the connection was lost), "slow_consumer" (the server closed
    it because this side read too slowly), "decode_error" (a book's message was not understood),
    "overflow" (`queue_limit`: events were dropped, the books stayed right), "refresh_mismatch" (a
    refresh showed levels that no change had told), "hash_mismatch" and "top_mismatch" (checks
    failed for 2 s and a fresh snapshot proved the book wrong), "silent" (no data came, though a
    fresh snapshot differs), "no_data" (a subscribed asset's first book never came: the one Gap of
    books that were not live). More may come.
    """

    event_type: ClassVar[str] = "gap"
    family: ClassVar[Family] = Family.CONTINUITY
    scope: ClassVar[Scope] = Scope.ASSET
    may_be_dropped: ClassVar[bool] = False
    is_data: ClassVar[bool] = False
    _shown: ClassVar[tuple[str, ...]] = ("reason", "channel", "asset_ids", "dropped", "detail")

    channel: str
    """"market", or "user": then one's own orders and trades may be missing, of any market."""
    connection: str
    """The connection's name; "" for "overflow", which concerns the queue."""
    reason: str
    """One of the words above."""
    asset_ids: tuple[str, ...] = ()
    """The books that were live and are not; for "overflow" the assets of the dropped events."""
    dropped: int = 0
    """With "overflow": how many events."""
    detail: str = ""
    """What may help, in a sentence; "" where the reason says it all."""


@frozen(kw_only=True, repr=False)
class Resync(Event):
    """The end of one Gap: from here on events are complete again, and its books are live.

    What happened in between was not delivered and will not be.
    """

    event_type: ClassVar[str] = "resync"
    family: ClassVar[Family] = Family.CONTINUITY
    scope: ClassVar[Scope] = Scope.ASSET
    may_be_dropped: ClassVar[bool] = False
    is_data: ClassVar[bool] = False
    _shown: ClassVar[tuple[str, ...]] = ("reason", "channel", "asset_ids", "duration")

    channel: str
    """The Gap's."""
    connection: str
    """The Gap's."""
    reason: str
    """The Gap's."""
    asset_ids: tuple[str, ...] = ()
    """The Gap's, less those that were unsubscribed meanwhile."""
    duration: float = 0.0
    """Seconds from Gap to Resync; 0 for "overflow"."""

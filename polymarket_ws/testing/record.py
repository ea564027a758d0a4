"""What a FakeServer knows of one client's connection."""

from __future__ import annotations

from attrs import define, field

SECRET_HEADERS = frozenset({"poly_api_key", "poly_passphrase", "poly_signature"})
"""In lower case; a record shows them as "***"."""


@define(eq=False)
class ConnectionRecord:
    """One accepted connection, for assertions: read it from any thread, write none of it.

    Kept after the connection has ended. The server's thread writes it.
    """

    number: int
    """Counts the accepted connections of the server, from 1."""
    peer_port: int
    """The client's TCP port."""
    accepted_at: float = 0.0
    """Monotonic time in seconds at which it was accepted."""
    path: str = ""
    """Of the HTTP request; "" before there was one."""
    channel: str = ""
    """ "market" or "user"; "" before the handshake and for any other path."""
    status: int = 0
    """Of the HTTP answer, such as 101 or 429; 0 before there was one."""
    headers: dict[str, str] = field(factory=dict, repr=False)
    """Of the HTTP request, names in lower case, keys and signatures as `***`."""
    texts: list[str] = field(factory=list, repr=False)
    """Texts received from the client, PING included, secrets as they are on the wire."""
    pings: int = 0
    """How many of them were PING."""
    asset_ids: set[str] = field(factory=set, repr=False)
    """Market channel: what it is subscribed to now, unknown tokens included."""
    unserved: set[str] = field(factory=set, repr=False)
    """Those of them that are beyond `max_assets_per_connection`: nothing of them is sent."""
    markets: set[str] | None = field(default=None, repr=False)
    """User channel: its markets; None is all."""
    custom_features: bool = False
    """Market channel: whether `custom_feature_enabled` is on."""
    ready: bool = False
    """Whether its subscription was accepted."""
    open: bool = True
    """Whether the socket is still open on this side."""
    texts_sent: int = 0
    """Whole texts handed to the socket so far, PONG and the like included."""
    close_code: int | None = None
    """The close code that the client sent; None without one."""
    frozen: bool = False
    """No data is sent, PONG is (`FakeServer.freeze`)."""
    answers_pings: bool = True
    """Whether PING gets its PONG."""

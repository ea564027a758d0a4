"""Frozen snapshots of what a Subscriber counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import asdict, frozen

from .events import State


@frozen(kw_only=True)
class ConnectionStats:
    """One connection of a run, as it was at one moment."""

    connection: str
    """Its name in the logs."""
    channel: str
    """"market" or "user"."""
    state: str
    """"idle" (nothing wanted), "connecting", "open", "waiting" (to try again) or "closed"."""
    generation: int
    """How many connections this one name has had; 0 before the first."""
    attempt: int
    """Attempts since it was last open, the present one included; 0 while open."""
    local_port: int
    """TCP port on this side; 0 while not open."""
    messages: int
    """Text messages received on the present connection, heartbeats included."""
    total_messages: int
    """The same, over all generations."""
    total_bytes: int
    """Bytes received over all generations, after TLS."""
    last_data_age: float | None
    """Seconds since the last data message (not PONG); None before the first."""
    last_round_trip: float | None
    """Seconds from the last answered PING to its PONG; None before the first."""


@frozen(kw_only=True)
class Stats:
    """What a Subscriber counted since its last start, at one moment."""

    state: State
    """What it was doing: see `Subscriber.state`."""
    uptime: float
    """Seconds since start(); 0 when not started."""
    connections: tuple[ConnectionStats, ...]
    """One entry for each connection of the run, those that were drained included."""
    events: Mapping[str, int]
    """Events received per kind ("book", "price_change", ...), delivered or not."""
    decode_errors: int
    """Elements that were not understood."""
    slow_path: int
    """Texts of the frequent kinds (price_change, book, last_trade_price) that were understood, but
    whose fields are not those that the fast path knows: reading them took up to five times as long.
    See docs/performance.md."""
    notices: int
    """Texts such as INVALID OPERATION and NO NEW ASSETS."""
    duplicates: int
    """Messages of own orders and trades that say what had been told already: not delivered again,
    unless `Options.deliver_duplicates`."""
    late: int
    """Messages of own orders and trades that a later one had overtaken: not delivered."""
    late_changes: int
    """Level changes older than their book's snapshot, which holds them already: not applied."""
    held_overflows: int
    """Level changes that arrived before their book's snapshot and were too many to keep."""
    gaps: int
    """Gaps of connections. What a queue drops is counted in `dropped` instead."""
    resyncs: int
    """Ends of those gaps."""
    reconciliations: int
    """Times that one's own orders and trades were found complete by REST."""
    rest_failures: int
    """Listings over REST that brought no answer that could be used."""
    failovers: int
    """Times that a standby took over from a lost or frozen connection."""
    probes: int
    """Times that fresh snapshots were fetched beside a live connection, to settle a suspicion."""
    hash_checks: int
    """Books compared with the server's hash (`verify="hash"`)."""
    hash_mismatches: int
    """Times that a book began to differ from its hash without an explanation."""
    unverifiable: int
    """Hashes that could not be checked: missing, made up, or of parameters that are not known."""
    refresh_mismatches: int
    """Refreshes whose levels no change had told."""
    broadcast_duplicates: int
    """Copies of a broadcast that came over further connections: not delivered again."""
    top_mismatches: int
    """Times that a book's best prices began to differ from the server's (`verify="top"`)."""
    reconnects: int
    """Connections after the first of each name."""
    internal_errors: int
    """Exceptions that this package did not foresee; each cost a connection at most."""
    callback_errors: int
    """Exceptions that callbacks raised."""
    dropped: int
    """Market-data events dropped because `queue_limit` were waiting."""
    discarded: int
    """Events and changed books that were queued at stop(), and given to no callback."""
    stream_dropped: int
    """Market-data events dropped by events() iterators that were read too slowly."""
    coalesced: int
    """Connects, disconnects, gaps and resyncs dropped since many of one connection were waiting."""
    queue_depth: int
    """Events waiting for their callbacks now."""
    queue_high_water: int
    """The most that ever waited."""
    pending: int
    """queue_depth, and 1 more while a callback is running."""

    def _repr_html_(self) -> str:
        from .notebook.counts import counts_html

        counted = asdict(self, recurse=False, filter=lambda _, value: type(value) is int)
        groups = {"events": self.events, "counted": counted}
        badge = f"{self.state}, up for {self.uptime:,.1f} s"
        return counts_html("Stats", badge, self.connections, groups)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON has it: the state as its text, connections as a list of objects."""
        return {
            **asdict(self),
            "state": str(self.state),
            "connections": [asdict(connection) for connection in self.connections],
        }

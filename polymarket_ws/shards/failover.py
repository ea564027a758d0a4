"""Who leads: the connections of one shard, of which one is delivered and one may stand by."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from polymarket_ws.channels.channel import Channel, FollowingChannel, MarketChannel, Wanted
from polymarket_ws.connection.connection import Connection
from polymarket_ws.connection.gaps import Incidents
from polymarket_ws.delivery.event_queue import Item
from polymarket_ws.options import Options
from polymarket_ws.stats import ConnectionStats

logger = logging.getLogger(__name__)

CALL_AHEAD = 1.0  # seconds before its turn that a successor is connected, at most half of the turn
OVERDUE_SECONDS = 60.0  # that a rotation waits for books which its successor does not get
LOOK_SECONDS = 0.25  # between two looks at whether the leader has frozen, or may be rotated out


class Succession:
    """A leader, and with `Options.standby` or `rotate_every` a follower that can take its place.

    A follower is connected once the leader is open; with `rotate_every` alone, only when the leader
    has been open for so long. Used by its shard's thread; `stats` and `connectors` by any.

    Args:
        make: Makes a connection of this name, with its channel and the incidents it tells of.
        deliver: Takes what a new leader has to tell at once.
    """

    def __init__(
        self,
        name: str,
        channel: Channel,
        options: Options,
        make: Callable[[str, Channel, Incidents], Connection],
        deliver: Callable[[Sequence[Item]], None],
    ) -> None:
        self.incidents = Incidents()
        self.failovers = 0
        """Times that a follower took over without a gap in the connection."""
        self.leader = make(name, channel, self.incidents)
        self._channel = channel
        self._options = options
        self._deliver = deliver
        self._wanted = Wanted()
        self._call_ahead = min(CALL_AHEAD, (options.rotate_every or 0.0) / 2)
        self._looked_at = 0.0
        self._has_frozen = False
        self._leads_since: float | None = None  # while the leader is open
        self._follower: Connection | None = None
        if isinstance(channel, MarketChannel) and channel.merge is not None:
            following = FollowingChannel(channel.url, channel.merge)
            self._follower = make(f"{name}-standby", following, Incidents())
            self._following = following
            self._merge = channel.merge
        self.connections = (
            (self.leader,) if self._follower is None else (self.leader, self._follower)
        )
        """All, in an order that does not change. Any thread."""

    @property
    def deadline(self) -> float:
        """When `turn` is due, whatever comes before; 0 for at once."""
        due_at = min(connection.deadline for connection in self.connections)
        if self._follower is not None and self.leader.is_open:
            due_at = min(due_at, self._looked_at + LOOK_SECONDS)
        return due_at

    def want(self, wanted: Wanted, now: float) -> None:
        """Change what is wanted."""
        self._wanted = wanted
        self.leader.want(wanted, now)
        follower = self._follower
        if follower is not None and not follower.wanted.is_empty:
            follower.want(wanted, now)

    def read(self, now: float) -> None:
        """Receive what no selector tells of."""
        for connection in self.connections:
            if connection.deadline <= 0.0:
                connection.read(now)

    def turn(self, now: float) -> None:
        """Do what is due on each connection, then see to the follower."""
        led = self.leader
        for connection in self.connections:
            connection.turn(now)
        if self._follower is not None:
            self._look_after(self._follower, now)
        if self.leader is not led:
            self.leader.turn(now)

    def stop(self, reason: str) -> None:
        """End for good, the follower first: nothing is to be taken over any more."""
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.stop(reason)
        self.leader.stop(reason)

    def succeed(self, lost: Connection, now: float) -> list[Item]:
        """Let the follower lead, if it is open; returns what it has to tell at once."""
        follower = self._follower
        if follower is None or lost is not self.leader or not follower.is_open:
            return []
        self.failovers += 1
        logger.info("%s: takes over from %s", follower.name, lost.name)
        return self._promote(follower, now)

    def connectors(self) -> list[threading.Thread]:
        """The threads of attempts that have not ended. Any thread."""
        return [thread for c in self.connections for thread in c.connectors()]

    @property
    def has_standby(self) -> bool:
        """Whether another connection could lead at once."""
        return self._follower is not None and self._follower.is_open

    def stats(self, now: float) -> list[ConnectionStats]:
        """Of each connection; of a follower once it has been open. Any thread."""
        used = (c for c in self.connections if c is self.connections[0] or c.generation)
        return [connection.stats(now) for connection in used]

    def replace_wrong(self, now: float) -> None:
        """A book of the leader was proved wrong, and set right: let the other one lead."""
        if self._follower is not None and self._follower.is_open:
            self._rotate(self._follower, "replaced", now)

    def _promote(self, follower: Connection, now: float) -> list[Item]:
        """Change places; the former leader is a follower from here on, of nothing so far."""
        handover = self._merge.promote(self._live(), now, was_frozen=self._has_frozen)
        self._has_frozen = False
        former, self.leader, self._follower = self.leader, follower, self.leader
        former.lead(self._following, Incidents())
        follower.lead(self._channel, self.incidents)
        self._leads_since = now
        return follower.take_over(handover, now)

    def _look_after(self, follower: Connection, now: float) -> None:
        if not self.leader.is_open:
            self._leads_since = None
            if follower.is_open:  # both were lost, and this one is back first
                self._deliver(self._promote(follower, now))
            return
        if self._leads_since is None:
            self._leads_since = now
        if now < self._looked_at + LOOK_SECONDS:
            return
        self._looked_at = now
        self._merge.prune(now)
        is_called = self._options.standby or self._is_rotation_due(now, self._call_ahead)
        if follower.wanted.is_empty == is_called:
            self._call_or_dismiss(follower, now)
        elif follower.is_open and self._merge.is_frozen(now):
            self._has_frozen = True
            self.leader.lose_silent(now)
        elif follower.is_open and self._is_rotation_due(now):
            self._rotate_if_aligned(follower, now)

    def _call_or_dismiss(self, follower: Connection, now: float) -> None:
        if not follower.wanted.is_empty:
            follower.leave("unwanted", now)
        elif not self._wanted.is_empty:
            follower.want(self._wanted, now)

    def _live(self) -> list[str]:
        return [asset_id for asset_id, core in self._wanted.cores.items() if core.valid]

    def _rotate_if_aligned(self, follower: Connection, now: float) -> None:
        """An asset that the successor gets no book of (a closed market) is waited for in vain."""
        is_overdue = self._is_rotation_due(now, -OVERDUE_SECONDS)
        assets = [a for a in self._live() if not is_overdue or self._merge.has_answered(a)]
        if self._merge.is_aligned(assets, now):
            self._rotate(follower, "rotated", now)

    def _is_rotation_due(self, now: float, ahead: float = 0.0) -> bool:
        every, since = self._options.rotate_every, self._leads_since
        return every is not None and since is not None and now - since >= every - ahead

    def _rotate(self, follower: Connection, reason: str, now: float) -> None:
        former = self.leader
        self._deliver(self._promote(follower, now))
        logger.info("%s: leads instead of %s (%s)", self.leader.name, former.name, reason)
        former.leave(reason, now)

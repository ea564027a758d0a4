"""Who leads: the connections of one shard, of which one is delivered and one may stand by.

A lost connection costs seconds: backoff, handshake, snapshots, and a Gap for every book. With a
second connection that has the same subscription already, it costs nothing, provided that each
message is delivered once and none is missed. The view of the shard, with its books and gaps,
belongs to neither connection. The leader's session feeds it; the follower's session feeds a view
that only keeps messages. A failover is a change of places: each session is given the other view,
and the new leader first replays what the former one did not deliver (merge.py).

The follower takes over when the leader is lost, when it has frozen (the follower receives what it
does not), when a probe proved one of its books wrong, or at a planned time, before the server ends
an old connection by itself (`rotate_every`). Only a rotation can wait, until the two are aligned.

The danger is a failover at a bad moment: the follower may have joined too late to know what the
leader delivered last, or have a book that is still to be answered. Then the affected assets get a
Gap and a new snapshot, and the others go on. When both are lost, the first to return leads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from polymarket_ws.books.book import BookCore
from polymarket_ws.channels.dialect import Dialect
from polymarket_ws.channels.view import View
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.connection.connection import Connection
from polymarket_ws.connection.gaps import Gaps
from polymarket_ws.connection.owner import Loss
from polymarket_ws.connection.session import Session
from polymarket_ws.delivery.event_queue import Item
from polymarket_ws.errors import ConnectionLost, ProtocolError
from polymarket_ws.events import Gap
from polymarket_ws.logs import Log
from polymarket_ws.options import Options
from polymarket_ws.stats import ConnectionStats

from .merge import Handover
from .standby import FollowerView, LeaderView

logger = Log(__name__)

CONNECT_AHEAD = 1.0  # seconds before a rotation that a successor is connected, at most half of it
OVERDUE_SECONDS = 60.0  # that a rotation waits for books which its successor does not get
_TRY_AGAIN_LATER = 1013  # Polymarket's code for a slow reader: "slow consumer: send buffer full"
CHECK_SECONDS = 0.25  # between two checks whether the leader has frozen, or may be rotated out


class Failover:
    """A leader, and with `Options.standby` or `rotate_every` a follower that can take its place.

    A follower is connected once the leader is open; with `rotate_every` alone, only when the leader
    has been open for so long. Used by its shard's thread; `stats` by any.

    Args:
        make: Makes a connection of this name, with its view and the gaps that it tells.
        deliver: Takes what a new leader has to tell at once.
    """

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        view: View,
        options: Options,
        make: Callable[[str, View, Gaps], Connection],
        deliver: Callable[[Sequence[Item]], None],
    ) -> None:
        self.gaps = Gaps()
        self.failovers = 0
        """Times that a follower took over without a gap in the connection."""
        self.leader = make(name, view, self.gaps)
        self._dialect = dialect
        self._view = view
        self._options = options
        self._deliver = deliver
        self._wanted = Wanted()
        self._connect_ahead = min(CONNECT_AHEAD, (options.rotate_every or 0.0) / 2)
        self._checked_at = 0.0
        self._has_frozen = False
        self._leads_since: float | None = None  # while the leader is open
        self._follower: Connection | None = None
        if isinstance(view, LeaderView):
            self._merge = view.merge
            self._following = FollowerView(merge=view.merge)
            self._follower = make(f"{name}-standby", self._following, Gaps())
        self.connections = (
            (self.leader,) if self._follower is None else (self.leader, self._follower)
        )
        """All, in an order that does not change. Any thread."""

    @property
    def deadline(self) -> float:
        """When `turn` is due, whatever comes before; 0 for at once."""
        due_at = min(connection.deadline for connection in self.connections)
        if self._follower is not None and self.leader.is_open:
            due_at = min(due_at, self._checked_at + CHECK_SECONDS)
        return due_at

    def want(self, wanted: Wanted, now: float) -> None:
        """Change what is wanted."""
        self._wanted = wanted
        self.leader.want(wanted, now)
        follower = self._follower
        if follower is not None and not follower.wanted.is_empty:
            follower.want(wanted, now)

    def turn(self, now: float) -> None:
        """Do what is due on each connection, then check the follower."""
        led = self.leader
        for connection in self.connections:
            connection.turn(now)
        if self._follower is not None:
            self._check_follower(self._follower, now)
        if self.leader is not led:
            self.leader.turn(now)

    def break_off(self, now: float) -> None:
        """Make all connections anew after an internal error.

        The follower first: what it would go on with may be as wrong.
        """
        error = ConnectionLost("internal_error", "an exception that was not foreseen")
        if self._follower is not None:
            self._follower.break_off(error, now)
        self.leader.break_off(error, now)

    def stop(self, reason: str) -> None:
        """End for good, the follower first: nothing is to be taken over any more."""
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.stop(reason)
        self.leader.stop(reason)

    def connection_lost(
        self, lost: Connection, error: ConnectionLost | ProtocolError, now: float
    ) -> Loss:
        """Let the follower lead, if the leader is lost and it is open; else end the view."""
        if lost is not self.leader:
            self._following.connection_ended("disconnect")
            return Loss()
        follower = self._follower
        if follower is not None and follower.is_open:
            self.failovers += 1
            logger.info("%s: takes over from %s", follower.name, lost.name)
            return Loss(after=self._promote(follower, now))
        stale = self._view.connection_ended("disconnect")
        return Loss(stale, self._gap(lost, stale, error, now))

    def _gap(
        self,
        lost: Connection,
        stale: Sequence[BookCore],
        error: ConnectionLost | ProtocolError,
        now: float,
    ) -> list[Gap]:
        """What a lost connection leaves unknown."""
        missed = self._view.missed_by_loss(stale)
        if missed is None or (not missed and self.gaps.has_open):
            return []  # one that names no assets has not ended: the new connection was lost early
        gap = Gap(
            channel=self._dialect.name,
            connection=lost.name,
            reason=_gap_reason(error),
            asset_ids=missed,
        )
        return [self.gaps.open(gap, now)]

    @property
    def has_standby(self) -> bool:
        """Whether another connection could lead at once."""
        return self._follower is not None and self._follower.is_open

    def stats(self, now: float) -> list[ConnectionStats]:
        """Of each connection; of a follower once it has been open. Any thread."""
        used = (c for c in self.connections if c is self.connections[0] or c.generation)
        return [connection.stats(now) for connection in used]

    def leave_wrong_leader(self, now: float) -> None:
        """A book of the leader was proved wrong, and set right: let the other one lead."""
        if self._follower is not None and self._follower.is_open:
            self._rotate(self._follower, "replaced", now)

    def _promote(self, follower: Connection, now: float) -> list[Item]:
        """Change places; the former leader is a follower from here on, of nothing so far."""
        handover = self._merge.promote(self._live(), now, was_frozen=self._has_frozen)
        self._has_frozen = False
        former, self.leader, self._follower = self.leader, follower, self.leader
        former.use(self._following, Gaps())
        follower.use(self._view, self.gaps)
        self._leads_since = now
        return [] if follower.session is None else self._go_on(follower.session, handover, now)

    def _go_on(self, session: Session, handover: Handover, now: float) -> list[Item]:
        """Deliver what the former leader did not, and ask for what is not live after that.

        What this connection will answer anyway is not asked for again.
        """
        cores = self._wanted.cores
        stale = {asset_id for asset_id, core in cores.items() if not core.valid}
        awaited = stale.intersection(session.unanswered)
        self._view.await_answers(awaited)
        items = session.replay(handover.missed, handover.incomplete, now)
        stale.update(handover.incomplete)
        again = sorted(a for a in stale - awaited if a in cores and not cores[a].valid)
        session.ask_again(again, now)
        return items

    def _check_follower(self, follower: Connection, now: float) -> None:
        if not self.leader.is_open:
            self._leads_since = None
            if follower.is_open:  # both were lost, and this one is back first
                self._deliver(self._promote(follower, now))
            return
        if self._leads_since is None:
            self._leads_since = now
        if now < self._checked_at + CHECK_SECONDS:
            return
        self._checked_at = now
        self._merge.prune(now)
        is_needed = self._options.standby or self._is_rotation_due(now, self._connect_ahead)
        if follower.wanted.is_empty == is_needed:
            self._connect_or_disconnect(follower, now)
        elif follower.is_open and self._merge.is_frozen(now):
            self._has_frozen = True
            self.leader.reconnect_silent(now)
        elif follower.is_open and self._is_rotation_due(now):
            self._rotate_if_aligned(follower, now)

    def _connect_or_disconnect(self, follower: Connection, now: float) -> None:
        if not follower.wanted.is_empty:
            follower.disconnect("unwanted", now)
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
        former.disconnect(reason, now)


def _gap_reason(error: ConnectionLost | ProtocolError) -> str:
    if error.code == _TRY_AGAIN_LATER and "slow consumer" in error.detail:
        return "slow_consumer"
    is_silent = isinstance(error, ConnectionLost) and error.reason == "silent"
    return "silent" if is_silent else "disconnect"

"""Compares the books of the leading connection with fresh snapshots when they are suspect.

A feed can be wrong without saying so. The server may stop sending one asset's changes on an open
connection that still answers PING, or a change may be lost, after which the book is wrong until
the next snapshot. From the outside both look like a quiet market or like a hash recipe that does
not fit. To reconnect on suspicion would tear down a good connection again and again, so the
suspicion is looked into first.

A book becomes suspect by silence (silence.py) or by a mismatch that lasts (Books). A probe, a
second short connection, fetches fresh snapshots of the suspects. From the moment that it asks, the
live connection's changes are also held, so that they can be put on top of the probe's answer.
If the result is our book, it was right: a quiet book is given more time, and a mismatch was
a false alarm. If it differs, the book is replaced, resubscribed, or the connection is made anew.

The danger is the race between the two connections. What the probe shows may still be on its way
over the live one, so a silent book is judged two seconds after the answer, and only if it has
received nothing since the question. A probe without an answer proves nothing. Probes are limited:
one at a time, after all lost connections, and of 200 assets at most.
"""

from __future__ import annotations

from collections.abc import Sequence

from polymarket_ws.books.book import BookCore
from polymarket_ws.channels.view import InspectableBooks
from polymarket_ws.connection.connector import Connector
from polymarket_ws.logs import Log
from polymarket_ws.schedule import Schedule
from polymarket_ws.wire.updates import Decoded, Snapshot

from .failover import Failover
from .probe import Probe
from .silence import SilenceWatchdog

logger = Log(__name__)

GRACE_SECONDS = 2.0  # what a probe saw may still be on its way on the live connection
RETRY_SECONDS = 10.0  # after a probe that brought no snapshot of a mismatched book
# Snapshots are silently missing on a connection above some 500 assets (nautilus_trader#2915).
ASSETS_PER_PROBE = 200


class Inspector:
    """Compares what a connection says with fresh snapshots, before anything is torn down.

    Two suspicions are looked into: a book that has been silent for too long, and one whose checks
    have failed for a while. Used by its shard's thread alone, after each wait; one probe at a time.
    """

    def __init__(self, failover: Failover, view: InspectableBooks, connector: Connector) -> None:
        self.probes = 0
        self._failover = failover
        self._connection = failover.leader
        self._view = view
        self._connector = connector
        self._pacer = connector.pacer
        self._options = connector.options
        self._not_before = 0.0
        self._silence = SilenceWatchdog(self._options.data_timeout or float("inf"))
        self._watched: tuple[object, ...] = ()
        self._probe: Probe | None = None
        self._asked_at = 0.0
        self._judged_at = float("inf")
        self._resubscribed: set[str] = set()  # of this connection's books, since they had frozen
        # What to ask for; a mismatch is served wrong meanwhile, so it goes first.
        self._suspicions: dict[str, dict[str, None]] = {"mismatch": {}, "silent": {}}
        self._unsettled: Schedule[str] = (
            Schedule()
        )  # mismatched books of which it brought no snapshot

    @property
    def deadline(self) -> float:
        """When `turn` is due, whatever comes before; 0 for at once."""
        if self._probe is not None:
            return self._judged_at if self._probe.is_done else self._probe.deadline
        if not self._connection.is_open:
            return float("inf")
        # A mismatch becomes a suspicion in a session's tick, whose deadline wakes the shard.
        silent_at = min(self._silence.deadline, self._unsettled.next_due)
        return self._not_before if any(self._suspicions.values()) else silent_at

    def turn(self, now: float) -> None:
        """Do what is due: begin a probe, go on with it, judge its answers."""
        if self._connection is not self._failover.leader:
            self.close()
            self._view.books.suspect_again(now)
        elif not self._connection.is_open:
            self.close()
        self._connection = self._failover.leader
        if not self._connection.is_open:
            return
        self._watch_what_is_wanted(now)
        if self._probe is None:
            self._suspect(now)
        else:
            self._turn_probe(self._probe, now)

    def close(self) -> None:
        """Give the probe up."""
        probe, self._probe = self._probe, None
        self._judged_at = float("inf")
        for asset_ids in self._suspicions.values():
            asset_ids.clear()
        self._unsettled.clear()
        self._view.release(core.asset_id for core in self._view.books)
        if probe is not None:
            probe.close()

    def _watch_what_is_wanted(self, now: float) -> None:
        connection, wanted = self._connection, self._connection.wanted
        origin = connection.name, connection.generation
        if self._options.data_timeout is None or (origin, wanted) == self._watched:
            return
        anew = self._watched[:1] != (origin,)
        self._watched = (origin, wanted)
        if anew:
            self._resubscribed.clear()
        self._silence.begin(wanted.cores, now, anew=anew)

    def _suspect(self, now: float) -> None:
        mismatched = [core.asset_id for core in self._view.books.suspects(now)]
        mismatched += self._mismatched_still(now)
        silent = self._silence.suspects(self._connection.wanted.cores, now)
        self._suspicions["mismatch"].update(dict.fromkeys(mismatched))
        self._suspicions["silent"].update(dict.fromkeys(silent))
        why = next((why for why, asset_ids in self._suspicions.items() if asset_ids), None)
        if why is None or now < self._not_before:
            return
        wait = self._pacer.take(now, spare=1)  # whoever lost a connection goes first
        self._not_before = now + wait
        if not wait:
            self._ask(self._next_asked(why), why, now)

    def _next_asked(self, why: str) -> list[str]:
        """Remove and return as many suspects as one probe asks for; those that are live still."""
        suspects, cores = self._suspicions[why], self._connection.wanted.cores
        asked = [a for a in suspects if a in cores and cores[a].valid][:ASSETS_PER_PROBE]
        for asset_id in [a for a in suspects if a in asked or a not in cores]:
            del suspects[asset_id]
        if not asked:
            suspects.clear()
        return asked

    def _mismatched_still(self, now: float) -> list[str]:
        """The books to ask about again, since nothing has answered for them or put them right."""
        cores = self._connection.wanted.cores
        due = [a for a in self._unsettled.take_due(now) if a in cores]
        return [a for a in due if cores[a].valid and cores[a].integrity == "mismatch"]

    def _ask(self, asset_ids: list[str], why: str, now: float) -> None:
        if not asset_ids:
            return
        self.probes += 1
        self._asked_at = now
        # Held from here on, what the live connection says is put on top of the answers.
        self._view.await_probe(asset_ids)
        self._probe = Probe(self._connection.name, self._connector, asset_ids, why, now)

    def _turn_probe(self, probe: Probe, now: float) -> None:
        if self._judged_at == float("inf"):
            probe.turn(now)
            if probe.is_done:
                needs_grace = probe.why == "silent" and probe.answers
                self._judged_at = now + (GRACE_SECONDS if needs_grace else 0.0)
        if now >= self._judged_at:
            self._probe, self._judged_at = None, float("inf")
            self._judge(probe, now)

    def _judge(self, probe: Probe, now: float) -> None:
        if probe.why == "silent":
            self._judge_silence(probe, now)
        else:
            self._judge_mismatch(probe, now)

    def _judge_mismatch(self, probe: Probe, now: float) -> None:
        """Levels that differ are adopted; where they are equal, our recipe or price was wrong.

        What brought no answer is asked for again.
        """
        wrong: dict[str, list[tuple[Decoded, Sequence[BookCore]]]] = {}
        for asset_id, decoded in probe.answers.items():
            core = self._connection.wanted.cores.get(asset_id)
            if core is not None and isinstance(decoded.update, Snapshot) and core.valid:
                settled = self._view.books.settle(core, decoded.update, now)
                if settled.reason:
                    wrong.setdefault(settled.reason, []).append((decoded, settled.changed))
        for reason, replaced in wrong.items():  # both tokens' books are mostly wrong: one Gap
            self._connection.tell_replaced(replaced, reason, now)
        if wrong:
            self._failover.leave_wrong_leader(now)
        self._view.release(probe.asset_ids)
        for asset_id in set(probe.asset_ids) - probe.answers.keys():
            self._unsettled.put(asset_id, now + RETRY_SECONDS)

    def _judge_silence(self, probe: Probe, now: float) -> None:
        """Books that differ, and have heard nothing since, are frozen; equal ones are just quiet.

        A server that answers, but not for an asset, has no such book any more: it is asked about
        ever less often. A probe without any answer proves nothing.
        """
        unheard = [a for a in probe.answers if not self._has_heard(a)]
        frozen = [a for a in unheard if self._view.differs(probe.answers[a])]
        self._view.release(probe.asset_ids)
        without = set(probe.asset_ids) - probe.answers.keys() if probe.was_answered else set()
        self._silence.was_quiet({*unheard, *without} - set(frozen), now)
        self._silence.was_frozen(frozen, now)
        if frozen:
            self._heal_frozen([probe.answers[a] for a in frozen], frozen, now)

    def _has_heard(self, asset_id: str) -> bool:
        core = self._connection.wanted.cores.get(asset_id)
        return core is None or (core.received_at or 0.0) >= self._asked_at

    def _overrule(self, decoded: Decoded, now: float) -> Sequence[BookCore]:
        snapshot = decoded.update
        assert isinstance(snapshot, Snapshot)
        core = self._connection.wanted.cores[snapshot.asset_id]
        return self._view.books.overrule(core, snapshot, "silent", now).changed

    def _heal_frozen(self, fresh: list[Decoded], asset_ids: list[str], now: float) -> None:
        """Ask again for single books; a connection that is silent as a whole, or froze a book that
        was asked for again already, is made anew. A standby would go on with what is wrong, since
        it has not noticed: so the books are put right first.
        """
        last_data_at = self._connection.tally.last_data_at or float("-inf")
        is_silent = self._asked_at - last_data_at >= (self._options.data_timeout or 0.0)
        if is_silent or not self._resubscribed.isdisjoint(asset_ids):
            if self._failover.has_standby:
                replaced = [(d, self._overrule(d, now)) for d in fresh]
                self._connection.tell_replaced(replaced, "silent", now)
            self._connection.reconnect_silent(now)
            return
        self._resubscribed.update(asset_ids)
        self._connection.resubscribe(asset_ids, "silent", now)

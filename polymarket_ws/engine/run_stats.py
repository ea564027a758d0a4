"""Adds up what the parts of one run have counted."""

from __future__ import annotations

from collections import Counter

from polymarket_ws.delivery.dispatcher import Dispatcher
from polymarket_ws.events import State
from polymarket_ws.stats import Stats

from .run_shards import RunShards


def add_up(
    shards: RunShards,
    dispatcher: Dispatcher,
    *,
    state: State,
    uptime: float,
    internal_errors: int,
) -> Stats:
    """The statistics of now. Any thread: each figure is read once."""
    now, queue = shards.clock.monotonic(), dispatcher.queue
    reconcilers = [r for shard in shards for r in shard.reconcilers]
    failovers = [shard.failover for shard in shards]
    books = [books.counts for books in tuple(shards.books)]
    connections = tuple(c for failover in failovers for c in failover.stats(now))
    tallies = [c.tally for failover in failovers for c in failover.connections]
    events: Counter[str] = sum((t.events.copy() for t in tallies), Counter())
    return Stats(
        state=state,
        uptime=uptime,
        connections=connections,
        events=dict(events),
        decode_errors=sum(t.decode_errors for t in tallies),
        slow_path=sum(t.slow_path for t in tallies),
        notices=sum(t.notices for t in tallies),
        duplicates=shards.account.duplicates,
        late=shards.account.late,
        late_changes=sum(b.late_changes for b in books),
        held_overflows=sum(b.held_overflows for b in books),
        gaps=sum(f.gaps.told for f in failovers),
        resyncs=sum(f.gaps.ended for f in failovers),
        reconciliations=sum(r.plan.completed for r in reconcilers),
        rest_failures=sum(r.failures for r in reconcilers),
        failovers=sum(f.failovers for f in failovers),
        probes=sum(shard.probes for shard in shards),
        hash_checks=sum(b.hash_checks for b in books),
        hash_mismatches=sum(b.hash_mismatches for b in books),
        unverifiable=sum(b.unverifiable for b in books),
        refresh_mismatches=sum(b.refresh_mismatches for b in books),
        broadcast_duplicates=shards.broadcasts.duplicates,
        top_mismatches=sum(b.top_mismatches for b in books),
        reconnects=sum(max(0, c.generation - 1) for c in connections),
        internal_errors=internal_errors,
        discarded=dispatcher.discarded,
        callback_errors=dispatcher.callback_errors,
        dropped=queue.dropped,
        stream_dropped=shards.streams.dropped,
        coalesced=queue.coalesced,
        queue_depth=dispatcher.waiting,
        queue_high_water=queue.high_water,
        pending=dispatcher.waiting + dispatcher.busy,
    )

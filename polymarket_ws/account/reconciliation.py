"""When to list an account, and what the listing changes: the plan of reconciliation, sans-I/O.

The user channel has no snapshot and replays nothing, so what happened while it was closed is known
from REST alone. REST may lag behind the channel by `staleness` seconds, and its pages can tear: an
order may move from a page that is still to come to one that was read. Both must not undo what the
channel has told. So a listing counts only when it began `staleness` seconds after the server took
the subscription: what it shows then is not older than the subscription, and everything later comes
over the channel. An order that was told before the subscription and is absent has ended, if the
next listing lacks it, too.

The danger is to say "complete" too early. It is said by the session of the channel for which a
whole listing was merged, and ends with that session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from attrs import define, evolve, field

from polymarket_ws.errors import DecodeError
from polymarket_ws.events import Event, Order, Trade
from polymarket_ws.events.user import OwnEvent

from .core import AccountCore
from .listing import POSITION, ListedPosition, Listing, Question
from .statuses import CONFIRMED
from .units import Units

FIRST_TRADES_SECONDS = 86_400.0
"""How long before the start a trade may have been matched to be listed: what is older is settled,
and is part of the positions."""
OVERLAP_SECONDS = 60.0
"""That trades are listed again: match times are rounded, and are not told in their order."""
RECHECK_SECONDS = 30.0
"""After a listing of which a row was not understood, or that lacked the positions."""
AGAIN_SECONDS = 1.0
"""After a listing that was asked for by a wrong clock, or positions that were listed while a trade
in one of them was confirmed.
"""
MOST_IDS = 50
"""Trades that are asked for one by one; more are listed from the first of them on."""
_NEVER = float("inf")
_NOTHING = Decimal(0)


@define(eq=False)
class Reconciliation:
    """The plan of one run. Used by the user shard's thread alone.

    The owner tells when the channel was subscribed, lost or refused; asks for `question` at
    `deadline`; and hands over the listing, or tells that there was none.
    """

    core: AccountCore
    staleness: float
    """Seconds that REST may lag behind the channel."""
    started_at: float
    """When the run was started, seconds since 1970."""
    is_wanted: Callable[[str | None], bool] = lambda _: True
    """Whether a market is subscribed."""
    completed: int = 0
    """Reconciliations so far."""
    _units: Units = field(factory=Units)
    _subscribed_at: float | None = None
    """Monotonic seconds; None while the channel is closed."""
    _due_at: float = 0.0
    _not_before: float = 0.0
    """When the service may be asked again after a failure."""
    _needs_verdict: bool = True
    """Whether it is to be asked though the channel is closed: if it knows the key."""
    _asked_at: float | None = None
    """Monotonic seconds; None while nothing is asked."""
    _is_fresh: bool = False
    """Whether the present listing was asked for late enough to count."""
    _clock_offset: float = 0.0
    """Seconds that the server's clock is ahead of ours."""
    _since_ms: int | None = None
    """The start by the server's clock, by the first listing: what came before is no news."""
    _server_ahead: float = 0.0
    """What the server's clock, in seconds since 1970, is ahead of the monotonic one."""
    _newest_match: float | None = None
    """When the newest trade was matched of those that were told while nothing was missing."""
    _missed: frozenset[str] = frozenset()
    """Open orders that the listing before lacked."""
    _flaws: int = 0
    """What was not understood of the listing before."""
    _counted: frozenset[str] = frozenset()
    """Trades that were confirmed before the present listing was asked for."""
    _was_complete: bool = False
    """Whether it is since the present subscription."""
    _interruptions: int = 0
    """Those that were there when the present listing was asked for."""

    @property
    def deadline(self) -> float:
        """When to ask, in monotonic seconds; 0 for at once."""
        if self._asked_at is not None or self._due_at == _NEVER:
            return _NEVER
        return max(self._due_at, self._not_before)

    def wanted_changed(self) -> None:
        """Of a market that is new nothing is known: neither its trades nor its positions."""
        self._interrupt(None)
        self.core.seeded, self._newest_match = False, None

    def subscribed(self, now: float) -> None:
        """The server was sent what is wanted: on a new connection, more of it on this one, or
        something that it sent was not understood.
        """
        self._interrupt(now)
        self._subscribed_at, self._missed = now, frozenset()
        # What was due before stays due: it cannot count, but an interruption each second must not
        # put it off for ever.
        self._due_at = min(max(self._due_at, now), now + self.staleness)

    def lost(self, now: float) -> None:
        """The channel is closed."""
        self._interrupt(now)
        self._subscribed_at, self._due_at = None, _NEVER

    def refused(self) -> None:
        """The channel was closed right after the credentials: whether REST knows them counts."""
        self._needs_verdict = True
        if self._due_at == _NEVER:  # else REST is about to be asked
            self._due_at = 0.0

    def question(self, now: float) -> Question:
        """What to ask now."""
        subscribed_at = self._subscribed_at
        self._is_fresh = subscribed_at is not None and now >= subscribed_at + self.staleness
        self._interruptions = self.core.completeness.interruptions
        self._counted = self.core.confirmed_trades()
        after = self._trades_after()
        matched = {id_: _matched_from(self.core.trades[id_]) for id_ in self.core.unsettled(now)}
        early = {id_: time for id_, time in matched.items() if time < after}
        if len(early) > MOST_IDS:
            after, early = min(early.values()) - OVERLAP_SECONDS, {}
        with_positions = self._is_fresh and not self.core.seeded
        self._asked_at = now  # last: nothing asks again while it is set
        return Question(after, tuple(early), with_positions=with_positions)

    def failed(self, now: float, delay: float, clock_offset: float = 0.0) -> None:
        """There was no listing.

        Args:
            now: Monotonic seconds.
            delay: Seconds to wait before the next.
            clock_offset: Seconds that the server's clock is ahead of ours.
        """
        self._asked_at, self._not_before = None, now + delay
        self._clock_offset = clock_offset
        is_needed = self._subscribed_at is not None or self._needs_verdict
        self._due_at = self._not_before if is_needed else _NEVER

    def take(self, listing: Listing, now: float) -> list[Event | DecodeError]:
        """Merge a listing; returns what to tell, in time's order."""
        asked_at, self._asked_at, self._needs_verdict = self._asked_at, None, False
        # Asked for by a clock that proved wrong, and so perhaps for trades of the server's future.
        is_skewed = abs(listing.clock_offset - self._clock_offset) > OVERLAP_SECONDS
        if is_skewed:
            listing = evolve(listing, positions=None)
        self._clock_offset = listing.clock_offset
        self._server_ahead = listing.received_ms / 1000 + listing.clock_offset - now
        told = self._merge(listing, now if asked_at is None else asked_at)
        flaws = list(listing.flaws) if len(listing.flaws) != self._flaws else []
        self._flaws = len(listing.flaws)
        lost = any(flaw.lost and flaw.event_type != POSITION for flaw in listing.flaws)
        self._due_at = _NEVER
        if self._subscribed_at is not None:
            if is_skewed:
                self._due_at = now + AGAIN_SECONDS
            elif self._is_fresh:
                if not lost:  # a row that was not understood may be the order that seems absent
                    told += self._end_absent(listing, self._subscribed_at, now)
                self._conclude(listing, now, is_whole=not lost)
            else:
                self._due_at = self._subscribed_at + self.staleness
        return [*flaws, *told]

    def _merge(self, listing: Listing, at: float) -> list[Event]:
        """Orders first: by their ids it is known which fills of a trade are one's own. Trades in
        the order in which they were matched, which costs a position the least.
        """
        core = self.core
        if self._since_ms is None:
            self._since_ms = 1000 * int(self.started_at + listing.clock_offset)
        since, settled = self._since_ms, core.confirmed_trades() - self._counted
        told: list[Event] = []
        for order in self._units.in_shares(filter(self._is_wanted, listing.orders), core.orders):
            is_news = self.completed > 0 or (order.created_at_ms or since) >= since
            told += core.apply(order, at, tell=is_news or order.id in core.orders)
        for trade in sorted(filter(self._is_wanted, listing.trades), key=_matched_from):
            is_news = (trade.match_time_ms or since) >= since
            told += core.apply(trade, at, tell=is_news or trade.id in core.trades)
        if listing.positions is not None:
            self._seed(listing.positions, listing.trades, settled)
        return sorted(told, key=_time)

    def _seed(
        self,
        positions: Iterable[ListedPosition],
        trades: Iterable[Trade],
        settled: frozenset[str],
    ) -> None:
        """Start the positions from what is held now, the trades of this listing included. What is
        not listed is not held.

        A trade that the channel settled while it was asked may be in the total or not, so the
        positions that it changes are asked for again.

        Args:
            positions: As they were listed.
            trades: Listed before the positions.
            settled: Trades that were confirmed since the question.
        """
        listed = {t.id for t in trades if t.status == CONFIRMED}
        counted = self._counted | listed
        unsure = {fill.asset_id for id_ in settled - listed for fill in self.core.fills_in(id_)}
        held = {p.asset_id: p for p in positions if self.is_wanted(p.market)}
        for position in held.values():
            if position.asset_id not in unsure:
                self.core.seed_position(
                    position.asset_id,
                    position.market,
                    position.size,
                    position.average_price,
                    counted,
                )
        for asset_id in self.core.ledgers.keys() - held.keys() - unsure:
            self.core.seed_position(asset_id, None, _NOTHING, None, counted)
        self.core.seeded = not unsure

    def _is_wanted(self, row: Order | Trade) -> bool:
        return self.is_wanted(row.market)

    def _end_absent(self, listing: Listing, subscribed_at: float, now: float) -> list[Event]:
        """End the orders that two listings in a row lack; remember those that this one lacks."""
        listed = {order.id for order in listing.orders}
        absent = frozenset(self.core.absent(listed, subscribed_at))
        ended = sorted(absent & self._missed)
        self._missed = absent - self._missed
        server_ms = listing.received_ms + int(1000 * listing.clock_offset)
        return [event for id_ in ended for event in self.core.end(id_, now, server_ms)]

    def _conclude(self, listing: Listing, now: float, *, is_whole: bool) -> None:
        """The listing was fresh, and perhaps each row was understood: whether all is known now."""
        if is_whole and self._missed:
            self._due_at = now
            return
        if is_whole:
            self.completed += not self._was_complete
            self.core.completeness.settle(self._interruptions)
            self._was_complete = True
            self._note_newest_match(now)
        if is_whole and listing.positions is not None and not self.core.seeded:
            self._due_at = now + AGAIN_SECONDS
        elif not is_whole or not self.core.seeded:
            self._due_at = now + RECHECK_SECONDS

    def _trades_after(self) -> float:
        """From when on trades are listed: the newest one that is known, less the overlap."""
        if self._newest_match is None:
            return self.started_at + self._clock_offset - FIRST_TRADES_SECONDS
        return self._newest_match - OVERLAP_SECONDS

    def _interrupt(self, now: float | None) -> None:
        """Something may be missing from here on."""
        if self._was_complete and now is not None:
            self._note_newest_match(now)
        self._was_complete = self._is_fresh = False

    def _note_newest_match(self, now: float) -> None:
        """A time that the server's clock has not reached would hide what comes before it."""
        times = [t.match_time_ms / 1000 for t in self.core.trades.values() if t.match_time_ms]
        newest = max(times, default=None)
        if newest is not None:
            self._newest_match = min(newest, now + self._server_ahead)


def _matched_from(trade: Trade) -> float:
    """When a trade was matched, in seconds since 1970; the earliest moment where it says none."""
    if trade.match_time_ms is None:
        return trade.timestamp_ms / 1000 - FIRST_TRADES_SECONDS
    return trade.match_time_ms / 1000


def _time(event: Event) -> int:
    return event.timestamp_ms if isinstance(event, OwnEvent) else 0

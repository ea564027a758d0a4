"""Two connections with one subscription: what is delivered of them, each message once, in order.

The leader's are delivered as they come. The follower's are kept for a while. Only when the leader
is given up are the two laid side by side, and what reaches beyond what was delivered is delivered
from the follower. Deduplicating by a set would be wrong, since equal events really happen twice;
by counts, too, since that breaks the order.

Order is equal over connections within a lane only: the changes and refreshes of one market, the
prints of one asset, and so on. Of two equal events in a row that straddle the follower's join,
while the leader dies within the lag, nobody can say which is which.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from typing import NamedTuple

from attrs import define, field

from polymarket_ws.errors import DecodeError
from polymarket_ws.events import BROADCASTS, BestBidAsk, Book, PriceChange, Unknown
from polymarket_ws.wire.updates import Changes, Decoded, Snapshot

from .alignment import (
    MOST_LAG,
    Answer,
    Entry,
    Mark,
    Message,
    Place,
    last_common,
    lay,
    marks,
    refreshed,
    since_state,
    split,
    without,
)

FROZEN_SECONDS = 1.5  # after which what only the follower received has frozen on the leader
WINDOW_SECONDS = 3.0  # of the follower: what came while the leader's freeze was not noticed yet
DELIVERED_SECONDS = WINDOW_SECONDS + 2 * MOST_LAG  # so that the counterpart of each is known
TWIN_SECONDS = 0.1  # by which the answers for two assets of one subscription may differ

LaneId = tuple[str, str]


class Beginning(NamedTuple):
    """Where in all that is received a subscription was answered."""

    at: float
    number: int
    """Of the last entry before it."""


_ALWAYS = Beginning(float("-inf"), 0)

_BOOKS = "books"
"""The lane kind of changes and refreshes, one for each market; the others are of one asset."""
_UNSURE = frozenset({"unknown", "flaw", BestBidAsk.event_type})
"""Kinds that may come over one connection alone: where they differ, nothing was missed for sure."""


class Handover(NamedTuple):
    """What a follower that leads from now on has to do first."""

    missed: list[Message]
    """What the former leader did not deliver, in the follower's order."""
    doubtful: list[str]
    """Assets of which something may have been missed for good."""


@define(eq=False)
class _Lane:
    """One order of events, as it was delivered and as the follower received it."""

    delivered: deque[Entry] = field(factory=deque)
    window: deque[Entry] = field(factory=deque)
    swallow: deque[object] = field(factory=deque)
    """Keys that a new leader will bring, and that were delivered already."""
    swallow_until: float = 0.0
    heard_at: float = float("-inf")
    """When the leader last brought something for it."""
    starts_at: float = float("-inf")
    """When the leader's newest subscription was answered: what came before is not missing."""
    base: tuple[str, Mark] | None = None
    """Of books: the asset and the state of its book then."""

    def is_delivered(self, key: object, now: float) -> bool:
        """Whether it was delivered by the former leader; what comes out of turn ends this."""
        swallow = self.swallow
        if not swallow:
            return False
        if now <= self.swallow_until and key in swallow:
            while swallow.popleft() != key:
                pass
            return True
        swallow.clear()
        return False


@define(eq=False)
class Merge:
    """What was delivered of late, and what the follower received. Used by one shard's thread.

    Sans-I/O: `now` is monotonic seconds. A message that `deliver` refuses was delivered before.
    """

    _lanes: dict[LaneId, _Lane] = field(factory=dict)
    _answers: dict[str, Answer] = field(factory=dict)
    """The follower's, by asset, on its present connection."""
    _marks: dict[str, Mark] = field(factory=dict)
    """The newest state of each asset's book that was delivered."""
    _markets: dict[str, str] = field(factory=dict)
    _begun: dict[str, Beginning] = field(factory=dict)
    """Where the leader's newest subscription of each asset was answered."""
    _wanted: frozenset[str] = frozenset()
    _replayed: deque[Message] = field(factory=deque)
    """What a failover brought to be delivered: it was not delivered before, whatever is equal."""
    _broadcasts: deque[Entry] = field(factory=deque)
    _heard_at: float = float("-inf")
    _received: int = 0

    def want(self, asset_ids: Iterable[str]) -> None:
        """These are subscribed from now on; nothing is kept of others."""
        former, self._wanted = self._wanted, frozenset(asset_ids)
        gone = former - self._wanted
        for known in (self._answers, self._marks, self._begun, self._markets):
            for asset_id in known.keys() - self._wanted:
                del known[asset_id]
        kept = {*self._wanted, *self._markets.values()}
        self._lanes = {
            (kind, id_): lane
            for (kind, id_), lane in self._lanes.items()
            if kind in _UNSURE or id_ in kept
        }
        for lane in self._lanes.values() if gone else ():  # a twin's stays
            lane.delivered = deque(e for e in lane.delivered if refreshed(e) not in gone)
            lane.window = deque(e for e in lane.window if refreshed(e) not in gone)

    def deliver(self, message: Message, now: float) -> bool:
        """Take a message of the leader; False when its like was delivered before a failover."""
        self._heard_at = now
        if _is_answer(message) or _is_broadcast(message) or not self._concerns_us(message):
            return True
        lane = self._lane(message)
        lane.heard_at = now
        key = _key(message)
        if self._replayed and message is self._replayed[0]:
            self._replayed.popleft()
        elif lane.is_delivered(key, now):
            return False
        self._received += 1
        entry = Entry(key, message, now, self._received)
        _append(lane.delivered, entry, now - DELIVERED_SECONDS)
        if isinstance(message, Decoded):
            self._marks.update((a, mark) for a, mark in marks(message) if a in self._wanted)
        return True

    def _concerns_us(self, message: Message) -> bool:
        """Whether it is about a subscribed asset, or about none that can be told."""
        if isinstance(message, DecodeError):
            return True
        if isinstance(message.update, Changes):
            return any(change.asset_id in self._wanted for change in message.update.changes)
        asset_id = getattr(message.event, "asset_id", None)
        return asset_id is None or asset_id in self._wanted

    def restart(self, asset_id: str, market: str, mark: Mark, now: float) -> None:
        """The leader's subscription of an asset was answered, and its book is at `mark` now."""
        self._markets[asset_id] = market
        self._marks[asset_id] = mark
        self._begun[asset_id] = Beginning(now, self._received)
        books = self._lane_of(_BOOKS, market)
        books.base = asset_id, mark
        for (kind, id_), lane in self._lanes.items():
            if id_ == (market if kind == _BOOKS else asset_id):
                lane.starts_at = lane.heard_at = now

    def keep(self, message: Message, now: float) -> None:
        """Take a message of the follower."""
        self._received += 1
        entry = Entry(_key(message), message, now, self._received)
        oldest = now - WINDOW_SECONDS
        if _is_broadcast(message):
            _append(self._broadcasts, entry, oldest)
        elif not self._concerns_us(message):
            return
        elif _is_answer(message):
            self._take_answer(message, now)
        else:
            _append(self._lane(message).window, entry, oldest)

    def part(self) -> None:
        """The follower's connection ended: what it received is worth nothing now."""
        self._answers.clear()
        self._broadcasts.clear()
        for lane in self._lanes.values():
            lane.window.clear()

    def prune(self, now: float) -> None:
        """Let go of what is too old to matter; quiet lanes would keep it."""
        for lane in self._lanes.values():
            _drop_older(lane.delivered, now - DELIVERED_SECONDS)
            _drop_older(lane.window, now - WINDOW_SECONDS)
        _drop_older(self._broadcasts, now - WINDOW_SECONDS)

    def has_answered(self, asset_id: str) -> bool:
        """Whether the follower's subscription of an asset was answered."""
        return asset_id in self._answers

    def is_frozen(self, now: float) -> bool:
        """Whether the follower has had something for a while that the leader should have, too."""
        awaited = self._wanted - self._begun.keys()
        return any(
            _is_frozen(lane, awaited, now)
            for (kind, id_), lane in self._lanes.items()
            if lane.window and kind not in _UNSURE and id_ not in awaited
        )

    def is_aligned(self, asset_ids: Iterable[str], now: float) -> bool:
        """Whether the follower could lead now with nothing missed."""
        alive_at = now - MOST_LAG
        known = self._answers
        return all(a in known and not self._is_unproved(a, alive_at) for a in asset_ids) and all(
            self._align(id_, lane, now).is_certain
            for id_, lane in self._lanes.items()
            if id_[0] not in _UNSURE
        )

    def promote(
        self, asset_ids: Iterable[str], now: float, *, was_frozen: bool = False
    ) -> Handover:
        """Let the follower lead: align every lane with what was delivered.

        Args:
            asset_ids: Those whose book is live: of these nothing may be missed without a word.
            now: Monotonic seconds.
            was_frozen: Whether the leader, though open, may have brought nothing for a while.
        """
        missed: list[Entry] = list(self._broadcasts)
        alive_at = self._heard_at if was_frozen else now - MOST_LAG
        doubtful = {
            a for a in asset_ids if a not in self._answers or self._is_unproved(a, alive_at)
        }
        for id_, lane in self._lanes.items():
            place = self._align(id_, lane, now)
            if not place.offsets and id_[0] not in _UNSURE:
                doubtful.update(self._assets_of(id_))
            missed += place.missed()
            lane.swallow = deque(entry.key for entry in place.pending())
            lane.swallow_until, lane.heard_at = now + WINDOW_SECONDS, now
        self.part()
        missed.sort(key=lambda entry: entry.number)
        messages = [entry.message for entry in missed]
        self._replayed = deque(m for m in messages if not _is_broadcast(m))
        return Handover(messages, sorted(doubtful))

    def _take_answer(self, message: Message, now: float) -> None:
        assert isinstance(message, Decoded)
        snapshot = message.update
        assert isinstance(snapshot, Snapshot)
        mark = snapshot.timestamp_ms, snapshot.hash
        self._answers[snapshot.asset_id] = Answer(now, self._received, snapshot.market, mark)
        self._markets.setdefault(snapshot.asset_id, snapshot.market)

    def _is_unproved(self, asset_id: str, alive_at: float) -> bool:
        """Whether the leader may have been lost before the follower began to listen.

        What the books miss shows in their marks: the follower began with a later one than was ever
        delivered. A print follows its change within MOST_LAG.

        Args:
            alive_at: Until when the leader surely brought what there was.
        """
        answer = self._answers[asset_id]
        known = self._marks.get(asset_id)
        if known is not None and known[0] < answer.mark[0]:
            return True
        if max(self._heard_at, alive_at) > answer.at:
            return False
        lane = self._lanes.get((_BOOKS, answer.market), _Lane())
        return bool(lane.delivered) and lane.delivered[-1].at > answer.at - MOST_LAG

    def _assets_of(self, id_: LaneId) -> list[str]:
        """The subscribed assets that a lane is about."""
        kind, name = id_
        if kind != _BOOKS:
            return [name] if name in self._markets else []
        return [asset_id for asset_id, market in self._markets.items() if market == name]

    def _align(self, id_: LaneId, lane: _Lane, now: float) -> Place:
        """Lay what the follower received of a lane beside what was delivered of it."""
        oldest = now - WINDOW_SECONDS
        if lane.base is None:
            oldest = max(oldest, lane.starts_at)
        delivered = [e for e in lane.delivered if e.at >= now - DELIVERED_SECONDS]
        window = [e for e in lane.window if e.at >= oldest]
        since = self._listens_since(id_, now) - MOST_LAG
        odd = self._odd_assets(id_, lane, now)
        delivered, alone = split(delivered, odd)
        early = [entry for entry in without(alone, window) if entry.at >= since]
        unsure, since_base = self._since_base(lane, window, now)
        unsure, unsure_late = split(unsure, odd)
        since_base, late = split(since_base, odd)
        whole, _ = split(window, odd)
        window, offsets = lay(delivered, whole, unsure, since_base, since)
        passed = last_common(delivered, window, offsets)
        late = [*(entry for entry in unsure_late if entry.number > passed), *late]
        return Place(delivered, window, without(late, alone), early, offsets)

    def _since_base(
        self, lane: _Lane, window: list[Entry], now: float
    ) -> tuple[list[Entry], list[Entry]]:
        """What may be older than the leader's newest answer, and what is not."""
        if lane.base is None:
            late = lane.starts_at + MOST_LAG
            return [e for e in window if e.at <= late], [e for e in window if e.at > late]
        if lane.starts_at <= now - DELIVERED_SECONDS:
            return [], window
        return since_state(window, *lane.base)

    def _odd_assets(self, id_: LaneId, lane: _Lane, now: float) -> set[str]:
        """The assets of a market whose subscription was answered of late, later than their twin's.

        Their refreshes began on each connection at a moment of its own, so they are compared one
        by one: each has its hash.
        """
        if id_[0] != _BOOKS:
            return set()
        assets, oldest = self._assets_of(id_), now - DELIVERED_SECONDS
        answers = ((a, self._answers[a]) for a in assets if a in self._answers)
        followed = {a: Beginning(answer.at, answer.number) for a, answer in answers}
        led = {a: self._begun[a] for a in assets if a in self._begun}
        odd: set[str] = set()
        for begun, entries in ((followed, lane.window), (led, lane.delivered)):
            first = min(begun.values(), default=_ALWAYS, key=lambda b: b.number)
            between = [e.number for e in entries if e.number > first.number]
            odd.update(
                asset_id
                for asset_id, (at, number) in begun.items()
                if at > oldest
                and (at > max(first.at, oldest) + TWIN_SECONDS or any(n <= number for n in between))
            )
        return odd

    def _listens_since(self, id_: LaneId, now: float) -> float:
        """When the follower's newest answer for a lane came, or now if that is long past."""
        answered = [self._answers[a].at for a in self._assets_of(id_) if a in self._answers]
        return max((at for at in answered if at > now - WINDOW_SECONDS), default=now)

    def _lane(self, message: Message) -> _Lane:
        return self._lane_of(*_lane_id(message))

    def _lane_of(self, kind: str, id_: str) -> _Lane:
        lane = self._lanes.get((kind, id_))
        if lane is None:
            lane = self._lanes[kind, id_] = _Lane()
            if kind != _BOOKS:
                lane.starts_at = lane.heard_at = self._begun.get(id_, _ALWAYS).at
        return lane


def _append(entries: deque[Entry], entry: Entry, oldest: float) -> None:
    entries.append(entry)
    _drop_older(entries, oldest)


def _drop_older(entries: deque[Entry], oldest: float) -> None:
    while entries and entries[0].at < oldest:
        entries.popleft()


def _is_frozen(lane: _Lane, awaited: Collection[str], now: float) -> bool:
    """Whether the follower has had something for a while that the leader has not brought.

    Args:
        awaited: Assets of which the leader gets no refreshes yet.
    """
    oldest = max(now - WINDOW_SECONDS, lane.heard_at - MOST_LAG, lane.starts_at + MOST_LAG)
    newest = now - FROZEN_SECONDS
    if newest <= oldest:  # the leader brought something of late
        return False
    waiting = [e for e in lane.window if oldest < e.at <= newest and refreshed(e) not in awaited]
    brought = {entry.key for entry in lane.delivered} if waiting else set()
    # An equal event is another one, where it came too late to be the same.
    return any(e.key not in brought or e.at > lane.heard_at + MOST_LAG for e in waiting)


def _is_answer(message: Message) -> bool:
    """Whether it answers a subscription: it belongs to one connection, and to no lane."""
    update = message.update if isinstance(message, Decoded) else None
    return isinstance(update, Snapshot) and update.is_answer


def _is_broadcast(message: Message) -> bool:
    return isinstance(message, Decoded) and type(message.event) in BROADCASTS


def _key(message: Message) -> object:
    if isinstance(message, DecodeError):
        return message.event_type, message.reason, message.asset_id, message.market, message.excerpt
    event = message.event
    return (event.wire_event_type, repr(event.data)) if isinstance(event, Unknown) else event


def _lane_id(message: Message) -> LaneId:
    if isinstance(message, DecodeError):
        return "flaw", message.market or ""
    event = message.event
    if isinstance(event, (PriceChange, Book)):
        return _BOOKS, event.market
    if isinstance(event, Unknown):
        return "unknown", ""
    return message.event_type, getattr(event, "asset_id", "")

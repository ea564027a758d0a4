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
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from attrs import define, field

from .books import Changes, Snapshot
from .codec import Decoded
from .errors import DecodeError
from .events import (
    BestBidAsk,
    Book,
    LastTradePrice,
    MarketResolved,
    NewMarket,
    PriceChange,
    Unknown,
)

MOST_LAG = 1.0  # seconds between the two connections' receipts of one event
FROZEN_SECONDS = 1.5  # after which what only the follower received has frozen on the leader
WINDOW_SECONDS = 3.0  # of the follower: what came while the leader's freeze was not noticed yet
DELIVERED_SECONDS = WINDOW_SECONDS + 2 * MOST_LAG  # so that the counterpart of each is known
TWIN_SECONDS = 0.1  # by which the answers for two assets of one subscription may differ

Message = Decoded | DecodeError
LaneId = tuple[str, str]
Mark = tuple[int, str | None]
"""A state of one asset's book: the time of its last change, in ms, and its hash."""

_BOOKS = "books"
"""The lane kind of changes and refreshes, one for each market; the others are of one asset."""
_BROADCASTS = (NewMarket, MarketResolved)
_UNSURE = frozenset({"unknown", "flaw", BestBidAsk.event_type})
"""Kinds that may come over one connection alone: where they differ, nothing was missed for sure."""


class _Entry(NamedTuple):
    """One message of one lane."""

    key: object
    message: Message
    at: float
    number: int
    """Counts what is received, over all lanes and both connections."""


class Answer(NamedTuple):
    """The snapshot with which a connection answered the subscription of one asset."""

    at: float
    number: int
    """As of an entry."""
    market: str
    mark: Mark


class Handover(NamedTuple):
    """What a follower that leads from now on has to do first."""

    missed: list[Message]
    """What the former leader did not deliver, in the follower's order."""
    doubtful: list[str]
    """Assets of which something may have been missed for good."""


class _Place(NamedTuple):
    """What the follower received of a lane, laid beside what was delivered."""

    delivered: list[_Entry]
    window: list[_Entry]
    late: list[_Entry]
    """What only the follower received, of the entries that are compared one by one."""
    early: list[_Entry]
    """What was delivered of these, and is still to come over the follower."""
    offsets: list[int]
    """Where in `delivered` the window may begin, the likeliest first; none is a contradiction."""

    @property
    def is_certain(self) -> bool:
        return len(self.offsets) == 1

    def missed(self) -> list[_Entry]:
        """What reaches beyond what was delivered."""
        return [*self.window[max(0, len(self.delivered) - self._offset()) :], *self.late]

    def pending(self) -> list[_Entry]:
        """What was delivered, and is still to come over the follower."""
        rest = self.delivered[max(0, self._offset() + len(self.window)) :]
        return sorted([*rest, *self.early], key=lambda entry: entry.number)

    def _offset(self) -> int:
        return self.offsets[0] if self.offsets else _last_common(self.delivered, self.window)


@define(eq=False)
class _Lane:
    """One order of events, as it was delivered and as the follower received it."""

    delivered: deque[_Entry] = field(factory=deque)
    window: deque[_Entry] = field(factory=deque)
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
    _answered_at: dict[str, float] = field(factory=dict)
    """When the leader's newest subscription of each asset was answered."""
    _wanted: frozenset[str] = frozenset()
    _replayed: deque[Message] = field(factory=deque)
    """What a failover brought to be delivered: it was not delivered before, whatever is equal."""
    _broadcasts: deque[_Entry] = field(factory=deque)
    _heard_at: float = float("-inf")
    _received: int = 0

    def want(self, asset_ids: Iterable[str]) -> None:
        """These are subscribed from now on; nothing is kept of others."""
        self._wanted = frozenset(asset_ids)
        for known in (self._answers, self._marks, self._answered_at, self._markets):
            for asset_id in known.keys() - self._wanted:
                del known[asset_id]
        kept = {*self._wanted, *self._markets.values()}
        self._lanes = {
            (kind, id_): lane
            for (kind, id_), lane in self._lanes.items()
            if kind in _UNSURE or id_ in kept
        }

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
        entry = _Entry(key, message, now, self._received)
        _append(lane.delivered, entry, now - DELIVERED_SECONDS)
        if isinstance(message, Decoded):
            self._marks.update((a, mark) for a, mark in _marks(message) if a in self._wanted)
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
        self._answered_at[asset_id] = now
        books = self._lane_of(_BOOKS, market)
        books.base, books.heard_at = (asset_id, mark), now
        for (kind, id_), lane in self._lanes.items():
            if id_ == asset_id and kind != _BOOKS:
                lane.starts_at = lane.heard_at = now

    def keep(self, message: Message, now: float) -> None:
        """Take a message of the follower."""
        self._received += 1
        entry = _Entry(_key(message), message, now, self._received)
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
        return any(
            _is_frozen(lane, now)
            for (kind, _), lane in self._lanes.items()
            if lane.window and kind not in _UNSURE
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
        missed: list[_Entry] = list(self._broadcasts)
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

    def _align(self, id_: LaneId, lane: _Lane, now: float) -> _Place:
        """Lay what the follower received of a lane beside what was delivered of it."""
        delivered = [e for e in lane.delivered if e.at >= now - DELIVERED_SECONDS]
        window = [e for e in lane.window if e.at >= max(now - WINDOW_SECONDS, lane.starts_at)]
        young = self._young_answer(id_, now)
        since = (now if young is None else young[1].at) - MOST_LAG
        odd = self._odd_assets(id_, now)
        delivered, early = _split(delivered, odd)
        window, late = _split(window, odd)
        window, offsets = self._begin(lane, delivered, window, young, now)
        return _Place(
            delivered,
            window,
            _without(late, early),
            _without(early, late),
            _best_offsets(delivered, window, offsets, since),
        )

    def _begin(
        self,
        lane: _Lane,
        delivered: list[_Entry],
        window: list[_Entry],
        young: tuple[str, Answer] | None,
        now: float,
    ) -> tuple[list[_Entry], Sequence[int]]:
        """Where the window begins to count, and where that may be in what was delivered.

        Of books snapshots tell: the leader's, when it is newer than what the window has; else the
        follower's, when that began to listen within the window.
        """
        anywhere = range(len(delivered) + 1)
        if lane.base is None:
            return window, anywhere
        asset_id, mark = lane.base
        if self._answered_at.get(asset_id, 0.0) > now - DELIVERED_SECONDS:
            known = any(_marks_of(entry).get(asset_id) == mark for entry in window)
            window = _after(window, asset_id, mark)
            if known:
                return window, anywhere
        if young is None:
            return window, anywhere
        asset_id, answer = young
        return _since(window, asset_id, answer), self._offsets(delivered, asset_id, answer.mark)

    def _odd_assets(self, id_: LaneId, now: float) -> set[str]:
        """The assets of a market that a connection subscribed of late, later than their twin.

        Their refreshes began on each connection at a moment of its own, so they are compared one
        by one: each has its hash.
        """
        if id_[0] != _BOOKS:
            return set()
        assets = self._assets_of(id_)
        odd: set[str] = set()
        answers = {a: self._answers[a].at for a in assets if a in self._answers}
        for answered_at in (answers, {a: self._answered_at.get(a, 0.0) for a in assets}):
            first = min(answered_at.values(), default=0.0)
            recent = max(first, now - DELIVERED_SECONDS)
            odd.update(a for a, at in answered_at.items() if at > recent + TWIN_SECONDS)
        return odd

    def _young_answer(self, id_: LaneId, now: float) -> tuple[str, Answer] | None:
        """The follower's newest answer for a lane, if its window does not reach back to before."""
        answers = ((a, self._answers[a]) for a in self._assets_of(id_) if a in self._answers)
        young = [(a, answer) for a, answer in answers if answer.at > now - WINDOW_SECONDS]
        return max(young, key=lambda pair: pair[1].at, default=None)

    def _offsets(self, delivered: list[_Entry], asset_id: str, mark: Mark) -> list[int]:
        """Where in what was delivered a follower that began with this state may go on."""
        states: list[Mark | None] = [None]
        for entry in delivered:
            states.append(_marks_of(entry).get(asset_id, states[-1]))
        places = range(1, len(states))
        known = self._marks.get(asset_id)
        if known is not None and mark[0] == known[0] and mark not in states:
            # A new tick or last price makes another hash of the same levels.
            return [i for i in places if (states[i] or known)[0] == mark[0]] or [len(delivered)]
        found = [i for i in places if states[i] == mark]
        return found or ([0] if known is not None and mark[0] < known[0] else [])

    def _lane(self, message: Message) -> _Lane:
        return self._lane_of(*_lane_id(message))

    def _lane_of(self, kind: str, id_: str) -> _Lane:
        lane = self._lanes.get((kind, id_))
        if lane is None:
            lane = self._lanes[kind, id_] = _Lane()
        return lane


def _append(entries: deque[_Entry], entry: _Entry, oldest: float) -> None:
    entries.append(entry)
    _drop_older(entries, oldest)


def _drop_older(entries: deque[_Entry], oldest: float) -> None:
    while entries and entries[0].at < oldest:
        entries.popleft()


def _is_frozen(lane: _Lane, now: float) -> bool:
    due_at = lane.heard_at + MOST_LAG
    if lane.window[-1].at <= due_at:
        return False
    first = next(entry for entry in lane.window if entry.at > due_at)
    return now - WINDOW_SECONDS <= first.at <= now - FROZEN_SECONDS


def _best_offsets(
    delivered: list[_Entry], window: list[_Entry], offsets: Sequence[int], since: float
) -> list[int]:
    """Where the window may begin in what was delivered, the likeliest first; empty if nowhere.

    Args:
        delivered: Of one lane.
        window: Of the same lane, as the follower received it.
        offsets: The indices in question.
        since: Of entries before this the follower will bring nothing any more.
    """
    end = len(delivered)
    if not window:
        return [i for i in offsets if i == end or delivered[i].at >= since][:1]
    fitting = [i for i in offsets if i < end and _fits(delivered, window, i)]
    fitting.sort(key=lambda i: _skew(delivered, window, i))
    if fitting and (
        _skew(delivered, window, fitting[0]) <= MOST_LAG
        or any(_is_identified(entry.message) for entry in window[: end - fitting[0]])
    ):
        return fitting
    return [end] if end in offsets and not _shares(delivered, window) else []


def _split(entries: list[_Entry], odd: set[str]) -> tuple[list[_Entry], list[_Entry]]:
    """The entries in their order, and apart from them the refreshes of these assets."""
    apart = [entry for entry in entries if _refreshed(entry) in odd] if odd else []
    return [e for e in entries if _refreshed(e) not in odd] if apart else entries, apart


def _without(entries: list[_Entry], others: list[_Entry]) -> list[_Entry]:
    known = {entry.key for entry in others}
    return [entry for entry in entries if entry.key not in known]


def _overlap(delivered: list[_Entry], window: list[_Entry], offset: int) -> range:
    """The indices in the window of what both have."""
    return range(min(len(window), len(delivered) - offset))


def _fits(delivered: list[_Entry], window: list[_Entry], offset: int) -> bool:
    return all(
        delivered[offset + i].key == window[i].key for i in _overlap(delivered, window, offset)
    )


def _skew(delivered: list[_Entry], window: list[_Entry], offset: int) -> float:
    """The mean time between the receipts of the entries that both have."""
    common = _overlap(delivered, window, offset)
    lags = [abs(delivered[offset + i].at - window[i].at) for i in common]
    return sum(lags) / len(lags)


def _shares(delivered: list[_Entry], window: list[_Entry]) -> bool:
    """Whether both have an event that is surely the same."""
    keys = {entry.key for entry in delivered if _is_identified(entry.message)}
    return any(_is_identified(entry.message) and entry.key in keys for entry in window)


def _last_common(delivered: list[_Entry], window: list[_Entry]) -> int:
    """Where the window begins when its last entry that was delivered stands at that one's place."""
    last = {entry.key: index for index, entry in enumerate(delivered)}
    for index in reversed(range(len(window))):
        place = last.get(window[index].key)
        if place is not None:
            return place - index
    return len(delivered)


def _after(window: list[_Entry], asset_id: str, mark: Mark) -> list[_Entry]:
    """What came after a state of one asset's book."""
    found = [i for i, entry in enumerate(window) if _marks_of(entry).get(asset_id) == mark]
    if found:
        return window[found[-1] + 1 :]
    return [entry for entry in window if _timestamp_ms(entry.message) > mark[0]]


def _since(window: list[_Entry], asset_id: str, answer: Answer) -> list[_Entry]:
    """What a follower received since its subscription was answered, and what overtook the answer.

    What has the answer's own time may be in it or not: that is seen by what was delivered.
    """
    before = [entry for entry in window if entry.number < answer.number]
    since = window[len(before) :]
    overtaking = _after(before, asset_id, answer.mark)
    return overtaking + [e for e in since if _timestamp_ms(e.message) >= answer.mark[0]]


def _timestamp_ms(message: Message) -> int:
    event = message.event if isinstance(message, Decoded) else None
    return event.timestamp_ms if isinstance(event, (PriceChange, Book)) else 0


def _refreshed(entry: _Entry) -> str | None:
    """The asset whose book it shows."""
    update = entry.message.update if isinstance(entry.message, Decoded) else None
    return update.asset_id if isinstance(update, Snapshot) else None


def _marks_of(entry: _Entry) -> dict[str, Mark]:
    return dict(_marks(entry.message)) if isinstance(entry.message, Decoded) else {}


def _marks(message: Decoded) -> Iterator[tuple[str, Mark]]:
    """The states of books that a message leads to."""
    update = message.update
    if isinstance(update, Changes):
        for change in update.changes:
            yield change.asset_id, (update.timestamp_ms, change.hash)
    elif isinstance(update, Snapshot):
        yield update.asset_id, (update.timestamp_ms, update.hash)


def _is_answer(message: Message) -> bool:
    """Whether it answers a subscription: it belongs to one connection, and to no lane."""
    update = message.update if isinstance(message, Decoded) else None
    return isinstance(update, Snapshot) and update.tick_size is not None


def _is_broadcast(message: Message) -> bool:
    return isinstance(message, Decoded) and isinstance(message.event, _BROADCASTS)


def _is_identified(message: Message) -> bool:
    """Whether no other event is equal to it."""
    if not isinstance(message, Decoded):
        return False
    event = message.event
    if isinstance(event, PriceChange):
        return all(change.hash is not None for change in event.price_changes)
    if isinstance(event, LastTradePrice):
        return bool(event.transaction_hash)
    return isinstance(event, Book) and event.hash is not None


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

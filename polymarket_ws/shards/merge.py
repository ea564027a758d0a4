"""Two connections with one subscription: what is delivered of them, each message once, in order.

Polymarket's messages have no sequence numbers, and both connections bring every message, one of
them up to a second later. When the leader is lost, the follower has received some of what was
delivered, and perhaps more. What it has beyond that is to be delivered, and nothing twice.

The leader's messages are delivered as they come, and remembered for some seconds (`deliver`). The
follower's are only kept (`keep`). When the leader is given up, `promote` lays the two records side
by side (alignment.py). What reaches beyond what was delivered is missed, and is delivered from the
follower. What was delivered and is still to come over the follower is left out when it comes.

The order is equal over both connections within a lane only (lanes.py), so each lane is aligned by
itself. Refreshes of an asset that was subscribed later than its complement are compared one by one,
since each connection began to receive them at a moment of its own.

Deduplicating by a set would be wrong, since equal events really happen twice; by counts, too, since
that breaks the order. Where no place fits, or the follower joined too late, something may have been
missed: the assets are `incomplete`, and get a Gap. Where several places fit, a rotation waits, and
a failover takes the likeliest. Of two equal events in a row, when the follower joined between them
and the leader died within the lag, nobody can say which is which.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from attrs import define, field

from polymarket_ws.errors import DecodeError
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
from .lanes import (
    BOOKS,
    DELIVERED_SECONDS,
    UNSURE,
    WINDOW_SECONDS,
    Lane,
    LaneId,
    drop_older,
    is_answer,
    is_broadcast,
    key_of,
    lane_of,
)

COMPLEMENT_SECONDS = 0.1  # by which the answers for two assets of one subscription may differ


class Beginning(NamedTuple):
    """Where in all that is received a subscription was answered."""

    at: float
    number: int
    """Of the last entry before it."""


_ALWAYS = Beginning(float("-inf"), 0)


class Handover(NamedTuple):
    """What a follower that leads from now on has to do first."""

    missed: list[Message]
    """What the former leader did not deliver, in the follower's order."""
    incomplete: list[str]
    """Assets of which something may have been missed for good."""


@define(eq=False)
class Merge:
    """What was delivered of late, and what the follower received. Used by one shard's thread.

    Sans-I/O: `now` is monotonic seconds. A message that `deliver` refuses was delivered before.
    """

    _lanes: dict[LaneId, Lane] = field(factory=dict)
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
            if kind in UNSURE or id_ in kept
        }
        for lane in self._lanes.values() if gone else ():  # the complement's stays
            lane.delivered = deque(e for e in lane.delivered if refreshed(e) not in gone)
            lane.window = deque(e for e in lane.window if refreshed(e) not in gone)

    def deliver(self, message: Message, now: float) -> bool:
        """Take a message of the leader; False when its like was delivered before a failover."""
        self._heard_at = now
        if is_answer(message) or is_broadcast(message) or not self._concerns_us(message):
            return True
        lane = self._lane(message)
        lane.heard_at = now
        key = key_of(message)
        if self._replayed and message is self._replayed[0]:
            self._replayed.popleft()
        elif lane.is_delivered(key, now):
            return False
        self._received += 1
        entry = Entry(key, message, now, self._received)
        lane.deliver(entry)
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
        books = self._find_lane(BOOKS, market)
        books.base = asset_id, mark
        for (kind, id_), lane in self._lanes.items():
            if id_ == (market if kind == BOOKS else asset_id):
                lane.starts_at = lane.heard_at = now

    def keep(self, message: Message, now: float) -> None:
        """Take a message of the follower."""
        self._received += 1
        entry = Entry(key_of(message), message, now, self._received)
        if is_broadcast(message):
            self._broadcasts.append(entry)
            drop_older(self._broadcasts, now - WINDOW_SECONDS)
        elif not self._concerns_us(message):
            return
        elif is_answer(message):
            self._take_answer(message, now)
        else:
            self._lane(message).keep(entry)

    def follower_lost(self) -> None:
        """The follower's connection ended: what it received is worth nothing now."""
        self._answers.clear()
        self._broadcasts.clear()
        for lane in self._lanes.values():
            lane.window.clear()

    def prune(self, now: float) -> None:
        """Let go of what is too old to matter."""
        for lane in self._lanes.values():
            lane.prune(now)
        drop_older(self._broadcasts, now - WINDOW_SECONDS)

    def has_answered(self, asset_id: str) -> bool:
        """Whether the follower's subscription of an asset was answered."""
        return asset_id in self._answers

    def is_frozen(self, now: float) -> bool:
        """Whether the follower has had something for a while that the leader should have, too."""
        awaited = self._wanted - self._begun.keys()
        return any(
            lane.is_frozen(awaited, now)
            for (kind, id_), lane in self._lanes.items()
            if lane.window and kind not in UNSURE and id_ not in awaited
        )

    def is_aligned(self, asset_ids: Iterable[str], now: float) -> bool:
        """Whether the follower could lead now with nothing missed."""
        alive_at = now - MOST_LAG
        known = self._answers
        return all(a in known and not self._is_unproved(a, alive_at) for a in asset_ids) and all(
            self._align(id_, lane, now).is_certain
            for id_, lane in self._lanes.items()
            if id_[0] not in UNSURE
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
        incomplete = {
            a for a in asset_ids if a not in self._answers or self._is_unproved(a, alive_at)
        }
        for id_, lane in self._lanes.items():
            place = self._align(id_, lane, now)
            if not place.offsets and id_[0] not in UNSURE:
                incomplete.update(self._assets_of(id_))
            missed += place.missed()
            lane.duplicates = deque(entry.key for entry in place.pending())
            lane.duplicates_until, lane.heard_at = now + WINDOW_SECONDS, now
        self.follower_lost()
        missed.sort(key=lambda entry: entry.number)
        messages = [entry.message for entry in missed]
        self._replayed = deque(m for m in messages if not is_broadcast(m))
        return Handover(messages, sorted(incomplete))

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
        lane = self._lanes.get((BOOKS, answer.market), Lane())
        return bool(lane.delivered) and lane.delivered[-1].at > answer.at - MOST_LAG

    def _assets_of(self, id_: LaneId) -> list[str]:
        """The subscribed assets that a lane is about."""
        kind, name = id_
        if kind != BOOKS:
            return [name] if name in self._markets else []
        return [asset_id for asset_id, market in self._markets.items() if market == name]

    def _align(self, id_: LaneId, lane: Lane, now: float) -> Place:
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
        self, lane: Lane, window: list[Entry], now: float
    ) -> tuple[list[Entry], list[Entry]]:
        """What may be older than the leader's newest answer, and what is not."""
        if lane.base is None:
            late = lane.starts_at + MOST_LAG
            return [e for e in window if e.at <= late], [e for e in window if e.at > late]
        if lane.starts_at <= now - DELIVERED_SECONDS:
            return [], window
        return since_state(window, *lane.base)

    def _odd_assets(self, id_: LaneId, lane: Lane, now: float) -> set[str]:
        """The assets of a market whose subscription was answered of late, later than their
        complement's.

        Their refreshes began on each connection at a moment of its own, so they are compared one
        by one: each has its hash.
        """
        if id_[0] != BOOKS:
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
                and (
                    at > max(first.at, oldest) + COMPLEMENT_SECONDS
                    or any(n <= number for n in between)
                )
            )
        return odd

    def _listens_since(self, id_: LaneId, now: float) -> float:
        """When the follower's newest answer for a lane came, or now if that is long past."""
        answered = [self._answers[a].at for a in self._assets_of(id_) if a in self._answers]
        return max((at for at in answered if at > now - WINDOW_SECONDS), default=now)

    def _lane(self, message: Message) -> Lane:
        return self._find_lane(*lane_of(message))

    def _find_lane(self, kind: str, id_: str) -> Lane:
        lane = self._lanes.get((kind, id_))
        if lane is None:
            lane = self._lanes[kind, id_] = Lane()
            if kind != BOOKS:
                lane.starts_at = lane.heard_at = self._begun.get(id_, _ALWAYS).at
        return lane

"""How one record of a lane lies on another: what was delivered, and what a follower received.

Both are lists of the same stream of messages, each a part of it, and the follower's part (the
window) begins somewhere within the delivered one. The question is where. An offset fits when all
entries that both lists then have in common are equal. Of several that fit, the likeliest is the one
at which both connections received the common entries at nearly the same times (`_skew`).

A price_change carries a hash of the book and a print its transaction, so an equal one is the same
one (`_is_identified`). Others, such as a best_bid_ask, may be equal by chance. So a fit counts only
if it is near in time or has an identified event, and two lists that share an identified event but
fit nowhere contradict each other: the result has no offset, and the caller has to assume a loss.

The danger is at the edges of the window. The leader may have subscribed anew: its snapshot then
contains some of the window's messages already, and those with the snapshot's own timestamp may be
in it or not (`since_state`: unsure). `lay` tries these readings one after the other: nothing was
missed before the snapshot; the window begins in the unsure part; it begins after its last change.

Pure functions over lists of entries; who keeps these, and why, is told in merge.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from polymarket_ws.errors import DecodeError
from polymarket_ws.events import Book, LastTradePrice, PriceChange
from polymarket_ws.wire.updates import Changes, Decoded, Snapshot

MOST_LAG = 1.0  # seconds between the two connections' receipts of one event

Message = Decoded | DecodeError
Mark = tuple[int, str | None]
"""A state of one asset's book: the time of its last change, in ms, and its hash."""


class Entry(NamedTuple):
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


class Place(NamedTuple):
    """What the follower received of a lane, laid beside what was delivered."""

    delivered: list[Entry]
    window: list[Entry]
    late: list[Entry]
    """What only the follower received, of the entries that are compared one by one."""
    early: list[Entry]
    """What was delivered of these, and is still to come over the follower."""
    offsets: list[int]
    """Where in `delivered` the window may begin, the likeliest first; none is a contradiction.

    Negative where the window's first entries came before all that was delivered.
    """

    @property
    def is_certain(self) -> bool:
        return len(self.offsets) == 1

    def missed(self) -> list[Entry]:
        """What reaches beyond what was delivered."""
        return [*self.window[max(0, len(self.delivered) - self._offset()) :], *self.late]

    def pending(self) -> list[Entry]:
        """What was delivered, and is still to come over the follower."""
        rest = self.delivered[max(0, self._offset() + len(self.window)) :]
        return sorted([*rest, *self.early], key=lambda entry: entry.number)

    def _offset(self) -> int:
        return self.offsets[0] if self.offsets else _last_place(self.delivered, self.window)


def lay(
    delivered: list[Entry],
    whole: list[Entry],
    unsure: list[Entry],
    window: list[Entry],
    since: float,
) -> tuple[list[Entry], list[int]]:
    """What of the window counts, and where it may begin in what was delivered.

    Args:
        delivered: Of one lane.
        whole: Of the same lane, all that the follower received of late.
        unsure: Of this, what the leader's newest answer may contain, or not.
        window: Of this, what came after that.
        since: Of entries before this the follower will bring nothing any more.

    Returns:
        The offsets as of a Place.
    """
    if unsure:
        reaching = [
            offset
            for offset in _fitting(delivered, whole, range(len(delivered)))
            if last_common(delivered, whole, [offset]) >= unsure[0].number
        ]
        if reaching:  # the leader missed nothing before its answer
            return whole, reaching
        if fitting := _fitting(delivered, unsure + window, range(-len(unsure), len(delivered))):
            return unsure + window, fitting
        window = _after_changes(unsure) + window
    end = len(delivered)
    if not window:
        return window, [next((i for i in range(end) if delivered[i].at >= since), end)]
    if fitting := _fitting(delivered, window, range(end)):
        return window, fitting
    return window, [] if _shares(delivered, window) else [end]


def _fitting(delivered: list[Entry], window: list[Entry], offsets: Sequence[int]) -> list[int]:
    """Those at which both have something in common and differ in nothing, the likeliest first."""
    fitting = [i for i in offsets if _overlap(delivered, window, i) and _fits(delivered, window, i)]
    fitting.sort(key=lambda i: _skew(delivered, window, i))
    if fitting and (
        _skew(delivered, window, fitting[0]) <= MOST_LAG
        or any(_is_identified(window[i].message) for i in _overlap(delivered, window, fitting[0]))
    ):
        return fitting
    return []


def split(entries: list[Entry], odd: set[str]) -> tuple[list[Entry], list[Entry]]:
    """The entries in their order, and apart from them the refreshes of these assets."""
    apart = [entry for entry in entries if refreshed(entry) in odd] if odd else []
    return [e for e in entries if refreshed(e) not in odd] if apart else entries, apart


def without(entries: list[Entry], others: list[Entry]) -> list[Entry]:
    """The entries that have no counterpart in the others; of equal ones each needs its own."""
    counterparts = Counter(entry.key for entry in others)
    rest = []
    for entry in entries:
        if counterparts[entry.key]:
            counterparts[entry.key] -= 1
        else:
            rest.append(entry)
    return rest


def last_common(delivered: list[Entry], window: list[Entry], offsets: list[int]) -> int:
    """The number of the window's last entry that was delivered; 0 for none."""
    common = _overlap(delivered, window, offsets[0]) if offsets else range(0)
    return window[common[-1]].number if common else 0


def _overlap(delivered: list[Entry], window: list[Entry], offset: int) -> range:
    """The indices in the window of what both have."""
    return range(max(0, -offset), min(len(window), len(delivered) - offset))


def _fits(delivered: list[Entry], window: list[Entry], offset: int) -> bool:
    return all(
        delivered[offset + i].key == window[i].key for i in _overlap(delivered, window, offset)
    )


def _skew(delivered: list[Entry], window: list[Entry], offset: int) -> float:
    """The mean time between the receipts of the entries that both have."""
    common = _overlap(delivered, window, offset)
    lags = [abs(delivered[offset + i].at - window[i].at) for i in common]
    return sum(lags) / len(lags)


def _shares(delivered: list[Entry], window: list[Entry]) -> bool:
    """Whether both have an event that is surely the same."""
    keys = {entry.key for entry in delivered if _is_identified(entry.message)}
    return any(_is_identified(entry.message) and entry.key in keys for entry in window)


def _last_place(delivered: list[Entry], window: list[Entry]) -> int:
    """Where the window begins when its last entry that was delivered stands at that one's place.

    There is one: both have something in common, or they would not contradict each other.
    """
    last = {entry.key: index for index, entry in enumerate(delivered)}
    common = [index for index, entry in enumerate(window) if entry.key in last]
    return last[window[common[-1]].key] - common[-1]


def since_state(window: list[Entry], asset_id: str, mark: Mark) -> tuple[list[Entry], list[Entry]]:
    """What may be in a state of one asset's book or not, and what came after it."""
    found = [i for i, entry in enumerate(window) if marks_of(entry).get(asset_id) == mark]
    if found:
        first, end = found[0], found[-1] + 1
        while end < len(window) and _repeats(window[end], mark):
            end += 1
        return window[first:end], window[end:]
    unsure = [entry for entry in window if _timestamp_ms(entry) == mark[0]]
    return unsure, [entry for entry in window if _timestamp_ms(entry) > mark[0]]


def _repeats(entry: Entry, mark: Mark) -> bool:
    """Whether it shows a book at the time of a state, such as the complement's."""
    return refreshed(entry) is not None and _timestamp_ms(entry) == mark[0]


def _after_changes(entries: list[Entry]) -> list[Entry]:
    """What follows the last change among them."""
    changes = [i for i, entry in enumerate(entries) if _is_change(entry)]
    return entries[changes[-1] + 1 :] if changes else entries


def _timestamp_ms(entry: Entry) -> int:
    """The server's time of a change or refresh; 0 for anything else."""
    event = entry.message.event if isinstance(entry.message, Decoded) else None
    return event.timestamp_ms if isinstance(event, (PriceChange, Book)) else 0


def _is_change(entry: Entry) -> bool:
    return isinstance(entry.message, Decoded) and isinstance(entry.message.update, Changes)


def refreshed(entry: Entry) -> str | None:
    """The asset whose book it shows."""
    update = entry.message.update if isinstance(entry.message, Decoded) else None
    return update.asset_id if isinstance(update, Snapshot) else None


def marks_of(entry: Entry) -> dict[str, Mark]:
    return dict(marks(entry.message)) if isinstance(entry.message, Decoded) else {}


def marks(message: Decoded) -> Iterator[tuple[str, Mark]]:
    """The states of books that a message leads to."""
    update = message.update
    if isinstance(update, Changes):
        for change in update.changes:
            yield change.asset_id, (update.timestamp_ms, change.hash)
    elif isinstance(update, Snapshot):
        yield update.asset_id, (update.timestamp_ms, update.hash)


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

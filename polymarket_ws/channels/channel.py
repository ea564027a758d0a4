"""The channels: where each is, what it is asked, and which live view its events change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from attrs import define, field, frozen

from polymarket_ws.account.views import Account
from polymarket_ws.books.book import BookCore
from polymarket_ws.books.shelf import Books
from polymarket_ws.credentials import Credentials
from polymarket_ws.errors import DecodeError
from polymarket_ws.events import LastTradePrice, TickSizeChange
from polymarket_ws.wire import requests
from polymarket_ws.wire.decode import Decoded
from polymarket_ws.wire.updates import Changes, Snapshot

from .merge import Merge


@frozen(eq=False)
class Wanted:
    """What one connection is to be subscribed to."""

    ids: frozenset[str] | None = frozenset()
    """Token ids (market) or condition ids (user); None is all of them."""
    cores: Mapping[str, BookCore] = field(factory=dict)
    """The book of each token id; a new core for a known id wants a new snapshot."""
    custom_features: bool = False

    @property
    def is_empty(self) -> bool:
        return self.ids is not None and not self.ids


class Taken(NamedTuple):
    """What an event did to the live views."""

    is_news: bool
    """False when it was told before."""
    changed: Sequence[BookCore]
    revived: tuple[str, ...] = ()
    """Assets whose book is live from here on, and was not."""
    broken: tuple[tuple[BookCore, str], ...] = ()
    """Books that this event proved wrong, and has put right, each with the Gap's reason."""


_TAKEN = Taken(True, ())
"""What a change did: its books are returned by `publish`, after the read."""


class Channel(Protocol):
    """What a session needs to know of its channel. Used by one shard's thread alone."""

    @property
    def name(self) -> str: ...

    @property
    def url(self) -> str: ...

    @property
    def authenticates(self) -> bool:
        """Whether a close right after the first text means refused credentials."""

    @property
    def needs_events(self) -> bool:
        """Whether every event is to be made, also one that nobody listens for."""

    @property
    def leads(self) -> bool:
        """Whether what its session makes of messages is delivered."""

    def adopt(self, wanted: Wanted) -> None:
        """Let the live views hold what is wanted, and nothing else."""

    def opening_text(self, wanted: Wanted) -> str:
        """The first text of a connection: the whole wanted set."""

    def change_texts(self, before: Wanted, after: Wanted) -> list[str]:
        """The texts that turn one subscription into another on an open connection."""

    def take(self, decoded: Decoded, now: float) -> Taken | None:
        """Apply an event to the live views; None for one that another connection told, or may."""

    def take_flaw(self, error: DecodeError, now: float) -> list[BookCore] | None:
        """Mark stale what a message that was not understood may have changed; None as of `take`."""

    def await_answers(self, asset_ids: Iterable[str]) -> None:
        """Hold the changes of these until their snapshots come."""

    def renewal_texts(self, asset_ids: list[str]) -> list[str]:
        """The texts that draw new snapshots of subscribed assets."""

    def doubt(self, asset_ids: Iterable[str], reason: str) -> list[BookCore]:
        """Mark these books stale; returns those that were live until now."""

    def publish(self, now: float) -> list[BookCore]:
        """Show users what a read changed; returns the books that look different."""

    @property
    def deadline(self) -> float:
        """When `tick` is due, whatever comes before."""

    def tick(self, now: float) -> list[BookCore]:
        """Do what time asks of the live views; returns the books that changed."""

    def lose(self, reason: str) -> list[BookCore]:
        """The connection ended: mark everything stale."""


@define(eq=False)
class MarketChannel:
    """Books, prices and trades of token ids (PROTOCOL 1)."""

    url: str
    books: Books
    merge: Merge | None = None
    """With a second connection that may take over: what was delivered of late."""
    name: str = "market"
    authenticates: bool = False
    leads: bool = True
    _wanted: Wanted = field(factory=Wanted)

    @property
    def needs_events(self) -> bool:
        return self.merge is not None

    def adopt(self, wanted: Wanted) -> None:
        if self.merge is not None:
            self.merge.want(wanted.cores)
        self._wanted = wanted
        for core in self.books:
            if wanted.cores.get(core.asset_id) is not core:
                self.books.remove(core.asset_id)
        for core in wanted.cores.values():
            if core.asset_id not in self.books:
                self.books.add(core)

    def opening_text(self, wanted: Wanted) -> str:
        self.books.await_snapshots(wanted.cores)
        return requests.market_subscription(sorted(wanted.cores), wanted.custom_features)

    def change_texts(self, before: Wanted, after: Wanted) -> list[str]:
        self.books.await_snapshots(_differing(after.cores, before.cores))
        return _change_texts(before, after)

    def take(self, decoded: Decoded, now: float) -> Taken | None:
        if self.merge is not None and not self.merge.deliver(decoded, now):
            return None
        event, update = decoded
        if update.__class__ is Changes:  # most of a stream: by one call less than Taken()
            self.books.apply(update, now)
            return _TAKEN
        if isinstance(update, Snapshot):
            return self._take_snapshot(update, now)
        changed: list[BookCore] = []
        if isinstance(event, LastTradePrice):
            changed = self.books.set_last_trade_price(
                event.market, event.asset_id, event.price, now
            )
        elif isinstance(event, TickSizeChange):
            changed = self.books.set_tick_size(event.asset_id, event.new_tick_size, now)
        return Taken(True, changed)

    def _take_snapshot(self, snapshot: Snapshot, now: float) -> Taken:
        core = self._wanted.cores.get(snapshot.asset_id)
        was_live = core is None or core.valid
        changed = self.books.replace(snapshot, now)
        if self.merge is not None and core is not None and snapshot.is_answer:
            self.merge.restart(core.asset_id, core.market, core.mark, now)
        is_revived = not was_live and core is not None and core.valid
        revived = (snapshot.asset_id,) if is_revived else ()
        return Taken(True, changed, revived, tuple(self.books.take_proofs()))

    def await_answers(self, asset_ids: Iterable[str]) -> None:
        self.books.await_snapshots(asset_ids)

    def renewal_texts(self, asset_ids: list[str]) -> list[str]:
        self.books.await_snapshots(asset_ids)
        return _renewal_texts(asset_ids, self._wanted)

    def doubt(self, asset_ids: Iterable[str], reason: str) -> list[BookCore]:
        return [c for a in asset_ids for c in self.books.mark_stale(reason, asset_id=a)]

    def release(self, asset_ids: Iterable[str]) -> None:
        """No fresh snapshot of these is awaited any more."""
        for core in (self._wanted.cores.get(a) for a in asset_ids):
            if core is not None and core.is_questioned:
                core.release()

    def question(self, asset_ids: Iterable[str]) -> None:
        """Evidence was asked for; what is held for the answer to a subscription stays held."""
        for core in (self._wanted.cores.get(a) for a in asset_ids):
            if core is not None and core.valid and not core.awaits_answer:
                core.question()

    def differs(self, decoded: Decoded) -> bool:
        """Whether a fresh snapshot, with what was held since it was asked for, is not our book."""
        snapshot = decoded.update
        assert isinstance(snapshot, Snapshot)
        core = self._wanted.cores.get(snapshot.asset_id)
        return core is not None and core.valid and core.differs_from(snapshot)

    def publish(self, now: float) -> list[BookCore]:
        return self.books.publish(now)

    @property
    def deadline(self) -> float:
        return self.books.deadline

    def tick(self, now: float) -> list[BookCore]:
        return self.books.tick(now)

    def take_flaw(self, error: DecodeError, now: float) -> list[BookCore] | None:
        if self.merge is not None and not self.merge.deliver(error, now):
            return None
        if not error.lost or error.event_type not in ("book", "price_change"):
            return []
        market = None if error.asset_id else error.market
        return self.books.mark_stale("decode_error", asset_id=error.asset_id, market=market)

    def lose(self, reason: str) -> list[BookCore]:
        return self.books.mark_stale(reason)


@define(eq=False)
class FollowingChannel:
    """The market channel as a follower's connection uses it: subscribed alike, kept, not told."""

    url: str
    merge: Merge
    name: str = "market"
    authenticates: bool = False
    leads: bool = False
    needs_events: bool = True
    deadline: float = float("inf")
    _wanted: Wanted = field(factory=Wanted)

    def adopt(self, wanted: Wanted) -> None:
        self._wanted = wanted

    def opening_text(self, wanted: Wanted) -> str:
        return requests.market_subscription(sorted(wanted.cores), wanted.custom_features)

    def change_texts(self, before: Wanted, after: Wanted) -> list[str]:
        return _change_texts(before, after)

    def take(self, decoded: Decoded, now: float) -> None:
        self.merge.keep(decoded, now)

    def take_flaw(self, error: DecodeError, now: float) -> None:
        self.merge.keep(error, now)

    def await_answers(self, asset_ids: Iterable[str]) -> None:
        """Nothing: what a follower receives is kept whatever came first."""

    def renewal_texts(self, asset_ids: list[str]) -> list[str]:
        return _renewal_texts(asset_ids, self._wanted)

    def doubt(self, asset_ids: Iterable[str], reason: str) -> list[BookCore]:
        return []

    def publish(self, now: float) -> list[BookCore]:
        return []

    def tick(self, now: float) -> list[BookCore]:
        return []

    def lose(self, reason: str) -> list[BookCore]:
        self.merge.part()
        return []


@frozen(eq=False)
class UserChannel:
    """One's own orders and trades in some markets or all (PROTOCOL 2)."""

    url: str
    account: Account
    credentials: Credentials = field(repr=False)
    name: str = "user"
    authenticates: bool = True
    leads: bool = True
    needs_events: bool = True

    def adopt(self, wanted: Wanted) -> None:
        """Nothing: orders and trades stay known when their market is not wanted any more."""

    def opening_text(self, wanted: Wanted) -> str:
        return requests.user_subscription(self.credentials, _sorted(wanted.ids))

    def change_texts(self, before: Wanted, after: Wanted) -> list[str]:
        had, wants = before.ids or frozenset(), after.ids or frozenset()
        removed, added = sorted(had - wants), sorted(wants - had)
        texts = [requests.user_change("unsubscribe", removed)] if removed else []
        return texts + ([requests.user_change("subscribe", added)] if added else [])

    def take(self, decoded: Decoded, now: float) -> Taken:
        event = decoded.event  # of this channel it is always made
        return Taken(event is None or self.account.apply(event), [])

    def take_flaw(self, error: DecodeError, now: float) -> list[BookCore]:
        return []

    def await_answers(self, asset_ids: Iterable[str]) -> None:
        """Nothing: orders and trades have no snapshots."""

    def renewal_texts(self, asset_ids: list[str]) -> list[str]:
        return []

    def doubt(self, asset_ids: Iterable[str], reason: str) -> list[BookCore]:
        return []

    def publish(self, now: float) -> list[BookCore]:
        return []

    @property
    def deadline(self) -> float:
        return float("inf")

    def tick(self, now: float) -> list[BookCore]:
        return []

    def lose(self, reason: str) -> list[BookCore]:
        return []


def _sorted(ids: Iterable[str] | None) -> list[str] | None:
    return None if ids is None else sorted(ids)


def _differing(ours: Mapping[str, BookCore], theirs: Mapping[str, BookCore]) -> list[str]:
    return sorted(id_ for id_, core in ours.items() if theirs.get(id_) is not core)


def _change_texts(before: Wanted, after: Wanted) -> list[str]:
    """The texts that turn one subscription of the market channel into another."""
    removed = _differing(before.cores, after.cores)
    added = _differing(after.cores, before.cores)
    switched = before.custom_features != after.custom_features
    # Said again with each subscription: its default is false, for the whole connection.
    custom = after.custom_features if switched or after.custom_features else None
    # The server takes the flag before it looks for duplicates: any active token carries it.
    subscribed = added or (sorted(after.cores)[:1] if switched else [])
    texts = [requests.market_change("unsubscribe", removed, None)] if removed else []
    return texts + ([requests.market_change("subscribe", subscribed, custom)] if subscribed else [])


def _renewal_texts(asset_ids: list[str], wanted: Wanted) -> list[str]:
    """Unsubscribing first, since a known token alone draws no snapshot (PROTOCOL 1.1)."""
    custom = True if wanted.custom_features else None
    return [
        requests.market_change("unsubscribe", asset_ids, None),
        requests.market_change("subscribe", asset_ids, custom),
    ]

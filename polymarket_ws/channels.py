"""The channels: where each is, what it is asked, and which live view its events change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from attrs import field, frozen

from . import codec
from .account import Account
from .books import BookCore, Books, Changes, Snapshot
from .codec import Decoded
from .credentials import Credentials
from .errors import DecodeError
from .events import LastTradePrice, TickSizeChange


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
    changed: list[BookCore]


class Channel(Protocol):
    """What a session needs to know of its channel. Used by one shard's thread alone."""

    @property
    def name(self) -> str: ...

    @property
    def url(self) -> str: ...

    @property
    def authenticates(self) -> bool:
        """Whether a close right after the first text means refused credentials."""

    def adopt(self, wanted: Wanted) -> None:
        """Let the live views hold what is wanted, and nothing else."""

    def opening_text(self, wanted: Wanted) -> str:
        """The first text of a connection: the whole wanted set."""

    def change_texts(self, before: Wanted, after: Wanted) -> list[str]:
        """The texts that turn one subscription into another on an open connection."""

    def take(self, decoded: Decoded, now: float) -> Taken:
        """Apply an event to the live views."""

    def take_flaw(self, error: DecodeError) -> list[BookCore]:
        """Mark stale what a message that was not understood may have changed."""

    def lose(self, reason: str) -> list[BookCore]:
        """The connection ended: mark everything stale."""


@frozen(eq=False)
class MarketChannel:
    """Books, prices and trades of token ids (PROTOCOL 1)."""

    url: str
    books: Books
    name: str = "market"
    authenticates: bool = False

    def adopt(self, wanted: Wanted) -> None:
        for core in self.books:
            if wanted.cores.get(core.asset_id) is not core:
                self.books.remove(core.asset_id)
        for core in wanted.cores.values():
            if core.asset_id not in self.books:
                self.books.add(core)

    def opening_text(self, wanted: Wanted) -> str:
        self.books.await_snapshots(wanted.cores)
        return codec.market_subscription(sorted(wanted.cores), wanted.custom_features)

    def change_texts(self, before: Wanted, after: Wanted) -> list[str]:
        removed = _differing(before.cores, after.cores)
        added = _differing(after.cores, before.cores)
        self.books.await_snapshots(added)
        switched = before.custom_features != after.custom_features
        # Said again with each subscription: its default is false, for the whole connection.
        custom = after.custom_features if switched or after.custom_features else None
        # The server takes the flag before it looks for duplicates: any active token carries it.
        subscribed = added or (sorted(after.cores)[:1] if switched else [])
        texts = [codec.market_change("unsubscribe", removed, None)] if removed else []
        return texts + (
            [codec.market_change("subscribe", subscribed, custom)] if subscribed else []
        )

    def take(self, decoded: Decoded, now: float) -> Taken:
        event, update = decoded
        changed: list[BookCore] = []
        if isinstance(update, Changes):
            changed = self.books.apply(update, now)
        elif isinstance(update, Snapshot):
            changed = self.books.replace(update, now)
        elif isinstance(event, LastTradePrice):
            changed = self.books.set_last_trade_price(
                event.market, event.asset_id, event.price, now
            )
        elif isinstance(event, TickSizeChange):
            changed = self.books.set_tick_size(event.asset_id, event.new_tick_size, now)
        return Taken(True, changed)

    def take_flaw(self, error: DecodeError) -> list[BookCore]:
        if not error.lost or error.event_type not in ("book", "price_change"):
            return []
        market = None if error.asset_id else error.market
        return self.books.mark_stale("decode_error", asset_id=error.asset_id, market=market)

    def lose(self, reason: str) -> list[BookCore]:
        return self.books.mark_stale(reason)


@frozen(eq=False)
class UserChannel:
    """One's own orders and trades in some markets or all (PROTOCOL 2)."""

    url: str
    account: Account
    credentials: Credentials = field(repr=False)
    name: str = "user"
    authenticates: bool = True

    def adopt(self, wanted: Wanted) -> None:
        """Nothing: orders and trades stay known when their market is not wanted any more."""

    def opening_text(self, wanted: Wanted) -> str:
        return codec.user_subscription(self.credentials, _sorted(wanted.ids))

    def change_texts(self, before: Wanted, after: Wanted) -> list[str]:
        had, wants = before.ids or frozenset(), after.ids or frozenset()
        removed, added = sorted(had - wants), sorted(wants - had)
        texts = [codec.user_change("unsubscribe", removed)] if removed else []
        return texts + ([codec.user_change("subscribe", added)] if added else [])

    def take(self, decoded: Decoded, now: float) -> Taken:
        return Taken(self.account.apply(decoded.event), [])

    def take_flaw(self, error: DecodeError) -> list[BookCore]:
        return []

    def lose(self, reason: str) -> list[BookCore]:
        return []


def _sorted(ids: Iterable[str] | None) -> list[str] | None:
    return None if ids is None else sorted(ids)


def _differing(ours: Mapping[str, BookCore], theirs: Mapping[str, BookCore]) -> list[str]:
    return sorted(id_ for id_, core in ours.items() if theirs.get(id_) is not core)

"""The market channel: books, prices and trades of token ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import define, field, frozen

from polymarket_ws.books.book import BookCore
from polymarket_ws.books.shelf import Books
from polymarket_ws.errors import DecodeError
from polymarket_ws.events import LastTradePrice, TickSizeChange
from polymarket_ws.wire import requests
from polymarket_ws.wire.decode import decode_market
from polymarket_ws.wire.fast_path import FAST_TYPES, decode_fast
from polymarket_ws.wire.updates import Changes, Decoded, Snapshot

from . import clob
from .dialect import Control, Decode, DecodeFast, Heartbeat
from .view import Taken
from .wanted import Wanted

_TAKEN = Taken(True, ())
"""What a change did: its books are returned by `publish`, after the read."""


@frozen
class MarketDialect:
    """How the market channel of the CLOB speaks."""

    url: str
    heartbeat: Heartbeat
    name: str = "market"
    authenticates: bool = False
    data_begins: frozenset[str] = clob.DATA_BEGINS
    decode_fast: DecodeFast = decode_fast
    fast_types: frozenset[str] = FAST_TYPES
    decode: Decode = decode_market

    def opening_texts(self, wanted: Wanted) -> list[str]:
        return [requests.market_subscription(sorted(wanted.ids or ()), wanted.custom_features)]

    def change_texts(self, before: Wanted, after: Wanted) -> list[str]:
        """Unsubscribe what went, subscribe what came.

        The flag of the custom features is said again with each subscription, since its default is
        false for the whole connection; the server takes it before it looks for duplicates, so any
        active token carries it.
        """
        removed = _differing(before.cores, after.cores)
        added = _differing(after.cores, before.cores)
        switched = before.custom_features != after.custom_features
        custom = after.custom_features if switched or after.custom_features else None
        subscribed = added or (sorted(after.cores)[:1] if switched else [])
        texts = [requests.market_change("unsubscribe", removed, None)] if removed else []
        if subscribed:
            texts.append(requests.market_change("subscribe", subscribed, custom))
        return texts

    def resubscription_texts(self, asset_ids: list[str], wanted: Wanted) -> list[str]:
        """Unsubscribe first, since subscribing to a known token draws no snapshot."""
        custom = True if wanted.custom_features else None
        return [
            requests.market_change("unsubscribe", asset_ids, None),
            requests.market_change("subscribe", asset_ids, custom),
        ]

    def read_control(self, text: str, wanted: Wanted) -> Control | None:
        return clob.read_control(text)


@define(eq=False)
class MarketView:
    """The books of one shard, as one connection's events change them."""

    books: Books
    needs_events: bool = False
    is_told: bool = True
    is_complete_once_open: bool = False
    reconciled: None = None
    _wanted: Wanted = field(factory=Wanted)

    @property
    def inspectable(self) -> MarketView:
        return self

    def want(self, wanted: Wanted) -> None:
        self._wanted = wanted
        for core in self.books:
            if wanted.cores.get(core.asset_id) is not core:
                self.books.remove(core.asset_id)
        for core in wanted.cores.values():
            if core.asset_id not in self.books:
                self.books.add(core)

    def await_answers(self, asset_ids: Iterable[str]) -> None:
        self.books.await_snapshots(asset_ids)

    def take(self, decoded: Decoded, now: float) -> Taken | None:
        event, update = decoded
        if update.__class__ is Changes:  # most of a stream
            self.books.apply(update, now)
            return _TAKEN
        if isinstance(update, Snapshot):
            return self._take_snapshot(update, now)
        changed: list[BookCore] = []
        if isinstance(event, LastTradePrice):
            changed = self.books.set_last_trade_price(
                event.market, event.asset_id, event.price, now
            )
            for core in changed:
                core.last_trade = event
        elif isinstance(event, TickSizeChange):
            changed = self.books.set_tick_size(event.asset_id, event.new_tick_size, now)
        return Taken(True, changed)

    def _take_snapshot(self, snapshot: Snapshot, now: float) -> Taken:
        core = self._wanted.cores.get(snapshot.asset_id)
        was_live = core is None or core.valid
        changed = self.books.replace(snapshot, now)
        is_revived = not was_live and core is not None and core.valid
        revived = (snapshot.asset_id,) if is_revived else ()
        return Taken(True, changed, revived, tuple(self.books.take_replaced()))

    def take_flaw(self, error: DecodeError, now: float) -> list[BookCore] | None:
        if not error.lost or error.event_type not in ("book", "price_change"):
            return []
        market = None if error.asset_id else error.market
        return self.books.mark_stale("decode_error", asset_id=error.asset_id, market=market)

    def publish(self, now: float) -> list[BookCore]:
        return self.books.publish(now)

    def mark_stale(self, asset_ids: Iterable[str], reason: str) -> list[BookCore]:
        return [c for a in asset_ids for c in self.books.mark_stale(reason, asset_id=a)]

    @property
    def deadline(self) -> float:
        return self.books.deadline

    def tick(self, now: float) -> list[BookCore]:
        return self.books.tick(now)

    def connection_ended(self, reason: str) -> list[BookCore]:
        return self.books.mark_stale(reason)

    def missed_by_loss(self, stale: Sequence[BookCore]) -> tuple[str, ...] | None:
        return tuple(core.asset_id for core in stale) or None

    def release(self, asset_ids: Iterable[str]) -> None:
        """No probe's snapshot of these is awaited any more."""
        self.books.release(asset_ids)

    def await_probe(self, asset_ids: Iterable[str]) -> None:
        """A probe asks for these; what is held for the answer to a subscription stays held."""
        self.books.await_probe(asset_ids)

    def differs(self, decoded: Decoded) -> bool:
        """Whether a fresh snapshot, with what was held since it was asked for, is not our book."""
        snapshot = decoded.update
        assert isinstance(snapshot, Snapshot)
        core = self._wanted.cores.get(snapshot.asset_id)
        return core is not None and core.valid and core.differs_from(snapshot)


def _differing(ours: Mapping[str, BookCore], theirs: Mapping[str, BookCore]) -> list[str]:
    return sorted(id_ for id_, core in ours.items() if theirs.get(id_) is not core)

"""How far one run has come: its state, and what is still missing until it is ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from attrs import define

from polymarket_ws.asset import name_of
from polymarket_ws.books.book import NO_SNAPSHOT
from polymarket_ws.books.live_book import LiveBook
from polymarket_ws.events import State
from polymarket_ws.subscriptions import TOKEN_ID_HINT, is_short

from .run_shards import RunShards


class Missing(NamedTuple):
    """What is not ready; false when all is."""

    asset_ids: list[str]
    """Whose book is not live."""
    channels: list[str]
    """Not subscribed, or not reconciled, each as a sentence names it."""

    def __bool__(self) -> bool:
        return bool(self.asset_ids or self.channels)


@define(eq=False)
class Readiness:
    """Looks at the shards and books of one run. Any thread; nothing is changed."""

    _shards: RunShards
    _books: Callable[[], Mapping[str, LiveBook]]

    @property
    def state(self) -> State:
        """That of a run that nothing has ended."""
        shards = self._shards.wanted()
        if not shards:
            return State.IDLE
        if all(shard.is_open for shard in shards):
            settled = (None, NO_SNAPSHOT)  # a book that was never live does not count
            is_stale = any(b.stale_reason not in settled for b in self._books().values())
            return State.DEGRADED if is_stale else State.LIVE
        never = any(shard.failover.leader.generation == 0 for shard in shards)
        return State.CONNECTING if never else State.DEGRADED

    @property
    def is_reconciled(self) -> bool:
        """Whether no account is to be compared with REST yet."""
        shards = self._shards.wanted()
        return all(r.is_complete for shard in shards for r in shard.reconcilers)

    def missing(self, asset_ids: frozenset[str] | None) -> Missing:
        """What wait_ready waits for, of all that is subscribed or of these assets."""
        books = self._books()
        wanted = books.keys() if asset_ids is None else asset_ids
        absent = [id_ for id_ in wanted if id_ not in books or not books[id_].valid]
        if asset_ids is not None:
            return Missing(absent, [])
        return Missing(
            absent,
            [
                f"the {shard.failover.leader.channel} channel ({shard.name})"
                for shard in self._shards.wanted()
                if not shard.is_subscribed
            ]
            + [
                f"own orders and trades over REST ({shard.name})"
                for shard in self._shards.wanted()
                if any(not r.is_complete for r in shard.reconcilers)
            ],
        )

    def sentence(self, missing: Missing, timeout: float) -> str:
        """What the TimeoutError of wait_ready says."""
        books = self._books()
        assets = {id_: books[id_].asset if id_ in books else None for id_ in missing.asset_ids}
        names = [f"the book of {name_of(id_, asset)}" for id_, asset in assets.items()]
        names += missing.channels
        listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        sentence = f"not ready within {timeout:g} s: missing {listed}"
        told = [shard.failover.leader.last_error for shard in self._shards]
        told += [r.last_error for shard in self._shards for r in shard.reconcilers]
        if error := next((text for text in told if text), None):
            sentence += f"; last connection error: {error}"
        is_hint = any(map(is_short, missing.asset_ids)) and not missing.channels
        return f"{sentence}; {TOKEN_ID_HINT}" if is_hint else sentence

"""The snapshots that one session has asked for: which are still to come, and when to ask again.

The danger is to ask for too much: a storm of malformed messages must not become one of
subscriptions. So each asset is asked for again every ten seconds at most, and a book that never
comes only three times; then it is a Gap("no_data"), told once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from attrs import define, field

from polymarket_ws.books.book import BookCore
from polymarket_ws.schedule import Schedule
from polymarket_ws.subscriptions import TOKEN_ID_HINT, is_short

RETRIES = 3  # a lost first book is mostly brought by asking again (nautilus_trader#4901)
# Between two fresh snapshots asked for one asset, so that a storm of flaws stays small.
RESUBSCRIPTION_SECONDS = 10.0


@define(eq=False)
class SnapshotRequests:
    """Of one session, and used by its thread."""

    timeout: float
    """Seconds until a subscription without a snapshot is sent again."""
    unanswered: Schedule[str] = field(factory=Schedule)
    """Subscribed assets without a book so far: when to ask again."""
    flawed: Schedule[str] = field(factory=Schedule)
    """Assets whose book was not understood: when to ask for a fresh snapshot."""
    _asked: dict[str, int] = field(factory=dict)
    """How often an unanswered one was asked for again."""
    _resubscribed_at: dict[str, float] = field(factory=dict)

    def put(self, asset_ids: Collection[str], now: float) -> None:
        """These are asked for now, not for the first time perhaps, and may fail anew."""
        for asset_id in asset_ids:
            self.unanswered.drop(asset_id)
            self.unanswered.put(asset_id, now + self.timeout)
        self._asked.update(dict.fromkeys(asset_ids, 0))

    def keep(self, wanted: Collection[str]) -> None:
        """Forget all but these."""
        for asset_id in [a for a in self.unanswered.due if a not in wanted]:
            self.unanswered.drop(asset_id)

    def take_overdue(self, now: float) -> tuple[list[str], list[str]]:
        """What was not answered in time: those to ask for again, and those to give up."""
        due = sorted(self.unanswered.take_due(now))
        again = [a for a in due if self._asked[a] < RETRIES]
        for asset_id in again:
            self.unanswered.put(asset_id, now + self.timeout)
            self._asked[asset_id] += 1
        return again, [a for a in due if a not in again]

    def put_flawed(self, asset_ids: Iterable[str], now: float) -> None:
        """Ask for fresh snapshots of these: soon, or when the last one is long enough ago."""
        for asset_id in asset_ids:
            earliest = self._resubscribed_at.get(asset_id, now - RESUBSCRIPTION_SECONDS)
            self.flawed.put(asset_id, earliest + RESUBSCRIPTION_SECONDS)

    def take_flawed(self, cores: Mapping[str, BookCore], now: float) -> list[str]:
        """Those that are due; a book that has healed by itself, or is gone, is left alone."""
        due = sorted(self.flawed.take_due(now))
        stale = [a for a in due if a in cores and not cores[a].valid]
        self._resubscribed_at.update(dict.fromkeys(stale, now))
        return stale


def no_data_detail(asset_ids: Iterable[str]) -> str:
    """What a Gap says of assets that were given up."""
    detail = f"no book came, though asked for {1 + RETRIES} times: closed market or wrong id?"
    return f"{detail} ({TOKEN_ID_HINT})" if any(map(is_short, asset_ids)) else detail

"""The market channel's views where two connections have one subscription: leader and follower."""

from __future__ import annotations

from attrs import define, field

from polymarket_ws.books.book import BookCore
from polymarket_ws.channels.market import MarketView
from polymarket_ws.channels.view import BooklessView, Taken
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.errors import DecodeError
from polymarket_ws.wire.updates import Decoded, Snapshot

from .merge import Merge


@define(eq=False)
class LeaderView(MarketView):
    """The books, and of late what was delivered, so that a follower can go on with it."""

    merge: Merge = field(kw_only=True)
    needs_events: bool = True

    def want(self, wanted: Wanted) -> None:
        self.merge.want(wanted.cores)
        MarketView.want(self, wanted)

    def take(self, decoded: Decoded, now: float) -> Taken | None:
        if not self.merge.deliver(decoded, now):
            return None
        return MarketView.take(self, decoded, now)

    def _take_snapshot(self, snapshot: Snapshot, now: float) -> Taken:
        taken = MarketView._take_snapshot(self, snapshot, now)
        core = self._wanted.cores.get(snapshot.asset_id)
        if core is not None and snapshot.is_answer:
            self.merge.restart(core.asset_id, core.market, core.mark, now)
        return taken

    def take_flaw(self, error: DecodeError, now: float) -> list[BookCore] | None:
        if not self.merge.deliver(error, now):
            return None
        return MarketView.take_flaw(self, error, now)


@define(eq=False, kw_only=True)
class FollowerView(BooklessView):
    """Keeps what a follower receives, and tells nothing of it."""

    merge: Merge
    is_told: bool = False
    is_complete_once_open: bool = False

    def take(self, decoded: Decoded, now: float) -> None:
        self.merge.keep(decoded, now)

    def take_flaw(self, error: DecodeError, now: float) -> None:
        self.merge.keep(error, now)

    def connection_ended(self, reason: str) -> list[BookCore]:
        self.merge.follower_lost()
        return []

    def missed_by_loss(self, stale: object) -> None:
        """None: the leader goes on."""

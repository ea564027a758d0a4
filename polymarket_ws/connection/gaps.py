"""The gaps that are open: which assets each still waits for, and when it has ended."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from polymarket_ws.events import Gap, Resync


@define(eq=False)
class OpenGap:
    """One Gap that was told and has not ended."""

    gap: Gap
    opened_at: float
    """Monotonic seconds."""
    waiting: set[str]
    """Assets whose book is not live again."""
    healed: list[str] = field(factory=list)


@define(eq=False)
class Gaps:
    """The open gaps of one connection. Used by its shard's thread alone.

    An asset may be in several: one that was healed and lost again while others of its first gap
    were still waited for.
    """

    told: int = 0
    """Gaps told so far."""
    ended: int = 0
    """Resyncs told so far."""
    _open: list[OpenGap] = field(factory=list)

    @property
    def has_open(self) -> bool:
        return bool(self._open)

    def open(self, gap: Gap, now: float) -> Gap:
        """Remember a gap, and return it to be told."""
        self.told += 1
        self._lose_again(gap.asset_ids)
        self._open.append(OpenGap(gap, now, set(gap.asset_ids)))
        return gap

    def waits_for(self, asset_id: str, reason: str) -> bool:
        """Whether a gap of this reason was told for it that has not ended."""
        return any(i.gap.reason == reason and asset_id in i.waiting for i in self._open)

    def heal(self, asset_ids: Iterable[str], now: float) -> list[Resync]:
        """These books are live again; returns the Resyncs of the gaps that this ends."""
        return self._end(frozenset(asset_ids), now, are_live=True)

    def forget(self, asset_ids: Iterable[str], now: float) -> list[Resync]:
        """These are not subscribed any more: nothing waits for them."""
        return self._end(frozenset(asset_ids), now, are_live=False)

    def end_all(self, now: float) -> list[Resync]:
        """Everything is complete again from here on: for a channel without books."""
        ended, self._open = self._open, []
        return [self._resync(open_gap, now) for open_gap in ended]

    def clear(self) -> None:
        """The run stops: what is open is not told any more."""
        self._open.clear()

    def _end(self, asset_ids: frozenset[str], now: float, *, are_live: bool) -> list[Resync]:
        if not self._open or not asset_ids:
            return []
        for open_gap in self._open:
            found = open_gap.waiting & asset_ids
            open_gap.waiting -= found
            if are_live:
                open_gap.healed += sorted(found)
            else:
                open_gap.healed = [a for a in open_gap.healed if a not in asset_ids]
        ended = [i for i in self._open if not i.waiting and i.gap.asset_ids]
        self._open = [i for i in self._open if i not in ended]
        return [self._resync(open_gap, now) for open_gap in ended if open_gap.healed]

    def _lose_again(self, asset_ids: Iterable[str]) -> None:
        """A Resync says that its books are live: those that are not any more are waited for."""
        for open_gap in self._open:
            lost = set(open_gap.healed).intersection(asset_ids)
            open_gap.healed = [a for a in open_gap.healed if a not in lost]
            open_gap.waiting |= lost

    def _resync(self, open_gap: OpenGap, now: float) -> Resync:
        self.ended += 1
        return Resync(
            channel=open_gap.gap.channel,
            connection=open_gap.gap.connection,
            reason=open_gap.gap.reason,
            asset_ids=tuple(open_gap.healed),
            duration=now - open_gap.opened_at,
        )

"""What came for one book while a snapshot of it was awaited, which may be older."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from polymarket_ws.wire.updates import Change, Snapshot

HELD_LIMIT = 4096  # changes kept for one awaited snapshot: some seconds of the busiest market


@define(eq=False)
class HeldChanges:
    """The changes that an awaited snapshot may lack, in their order. Used by the book's writer."""

    has_tick: bool = False
    """Whether a tick change came since a probe was asked for: its snapshot may be older."""
    has_print: bool = False
    """The same of a print."""
    _changes: list[tuple[int, Change]] = field(factory=list)

    def hold(self, timestamp_ms: int, changes: Iterable[Change]) -> int:
        """Keep changes; returns how many more there are than may be kept."""
        self._changes.extend((timestamp_ms, change) for change in changes)
        return max(0, len(self._changes) - HELD_LIMIT)

    def drop_oldest(self, count: int) -> None:
        """Give some up: the oldest are the likeliest to be in the snapshot."""
        del self._changes[:count]

    def newer(self, snapshot: Snapshot) -> list[tuple[int, Change]]:
        """Those that the snapshot does not contain, each with its time."""
        held = self._changes
        marks = [i for i, (_, c) in enumerate(held) if c.hash and c.hash == snapshot.hash]
        if marks:
            return held[marks[-1] + 1 :]
        return [item for item in held if item[0] >= snapshot.timestamp_ms]

    def release(self) -> None:
        """Forget all: no snapshot is awaited any more, or another one."""
        self.has_tick = self.has_print = False
        self._changes.clear()

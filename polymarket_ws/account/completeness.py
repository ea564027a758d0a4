"""Whether anything of an account may be missing: interruptions are counted, and settled later."""

from __future__ import annotations

from attrs import define


@define(eq=False)
class Completeness:
    """Written by the user shard's thread; `settle` also by a user's. Read from any, without a lock.

    Whoever settles says up to which interruption, so one that comes meanwhile is never covered.
    """

    interruptions: int = 1
    """Times that something may have been missed; the first is that nothing is known at first."""
    _settled: int = 0

    @property
    def complete(self) -> bool:
        """Whether nothing was interrupted since the last reconciliation."""
        return self._settled == self.interruptions

    def interrupt(self) -> None:
        """Something may be missing from here on."""
        self.interruptions += 1

    def settle(self, interruptions: int) -> None:
        """What the first so many interruptions left unknown is known now."""
        self._settled = interruptions

"""Which books are suspects: a mismatch that lasts is to be compared with another connection's."""

from __future__ import annotations

from attrs import define, field

from polymarket_ws.schedule import Schedule

from .book import BookCore
from .verification import PROBE, SUSPECT, AwaitedCause

SUSPECT_SECONDS = 2.0  # that a mismatch may last before a probe is asked for: prints explain many
MOST_DOUBLINGS = 8  # after so many false alarms a mismatch lasts 8.5 min before a probe


@define(eq=False)
class Suspects:
    """The mismatches of one shard, until each is over or a probe is made. Used by its thread alone.

    A timer runs for each book in a mismatch; when it ends, the book is a suspect, once until its
    state changes.
    """

    mismatched: Schedule[BookCore] = field(factory=Schedule)
    """When `collect` is to list which book."""
    _listed: dict[BookCore, None] = field(factory=dict)

    def watch(self, core: BookCore, now: float) -> None:
        """Begin or end the timer, as the book is in a mismatch or not."""
        if core.is_mismatched:
            # Where the recipe is wrong now and then, a probe is asked for ever less often.
            doublings = min(core.verification.false_alarms, MOST_DOUBLINGS)
            self.mismatched.put(core, now + SUSPECT_SECONDS * 2**doublings)
        else:
            self.forget(core)
            if core.verification.awaited is PROBE:
                core.release_probe()

    def forget(self, core: BookCore) -> None:
        """It is no suspect."""
        self.mismatched.drop(core)
        if core.verification.awaited is SUSPECT:
            del self._listed[core]
            core.verification.expect(AwaitedCause.GIVEN_UP)

    def collect(self, now: float) -> None:
        """List the books whose time is over."""
        for core in self.mismatched.take_due(now):
            if core.verification.awaited.holds:  # what is on its way will settle it
                self.watch(core, now)
            elif core.verification.awaited is not SUSPECT:
                core.verification.expect(AwaitedCause.LASTED)
                self._listed[core] = None

    def take(self, now: float) -> list[BookCore]:
        """Remove and return those that are listed, oldest first, each to be asked for now."""
        listed, self._listed = list(self._listed), {}
        for core in listed:
            if core.verification.awaited is not SUSPECT:  # asked for meanwhile, for another reason
                self.watch(core, now)
        return [core for core in listed if core.verification.awaited is SUSPECT]

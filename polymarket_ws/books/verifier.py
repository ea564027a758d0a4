"""Checks the books of one shard: when an engine step has ended, and whether its hash fits.

Theory of operation
-------------------
The states of a book and what they mean stand in verification.py; here is what moves them, and when.
Every change makes a check of the hash due at once, but at most one in CHECK_SECONDS for each book:
a hash is over the whole book, so the newest one proves all that came before it. A check is made
after the read that brought its change, since what arrived together explains itself.

A check that fits ends the step, for nothing of it can be missing. One that does not fit says
nothing until the step has ended: with the next change of another step, with a tick change, or
after STEP_SECONDS of quiet. It does not end with a print or a best_bid_ask: these are sent at
times of their own, and may come in between.

The danger is the inputs of a hash, which change with a print or a tick: what is due must be checked
with those of its own time, so it is checked before they change (`settle_pending`), and what failed
is tried again after it (`explain`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import define, field

from polymarket_ws.asset import Asset
from polymarket_ws.condition_ids import is_of_v2
from polymarket_ws.logs import Log
from polymarket_ws.schedule import Schedule
from polymarket_ws.wire.updates import Snapshot

from .book import BookCore
from .proof import Claim, book_head, looks_real
from .sides import BookSides
from .suspects import Suspects
from .verification import FindingCause, StepCause

logger = Log(__name__)

STEP_SECONDS = 0.05  # of quiet after which a step has ended, whatever may be missing of it
LONGEST_STEP = 0.5  # seconds; its messages are sent back to back, so this is a broken peer's
CHECK_SECONDS = 0.1  # between two checks of one asset's hash, unless something has to know now
FAILURES, FAILING_SECONDS = 20, 1.0  # checks failed in a row, and the pause between more of them
RECIPE_ASSETS = 5  # that have to fail, and be most of all, before the recipe is given up


@define(eq=False)
class Counts:
    """What Stats documents of the books of one shard."""

    late_changes: int = 0
    held_overflows: int = 0
    top_mismatches: int = 0
    hash_checks: int = 0
    """Hashes that were compared with the local book."""
    hash_mismatches: int = 0
    """Times that a book's hash began to differ; a later print may have explained it."""
    unverifiable: int = 0
    """Snapshots and due changes without a hash that can be checked: it is missing, all zeros or
    made up, or no known parameters fit the snapshot's."""
    refresh_mismatches: int = 0
    """Refreshes that proved their book wrong."""


@define(eq=False)
class Recipe:
    """Which books of V1 the hash recipe fits, by the last snapshot of each that could be learned
    from."""

    fitted: dict[BookCore, None] = field(factory=dict)
    unfitted: dict[BookCore, None] = field(factory=dict)
    """Their snapshots had a hash that looked real and fitted nothing."""

    @property
    def is_wrong(self) -> bool:
        """Whether it fits hardly anything."""
        failed = len(self.unfitted)
        return failed >= RECIPE_ASSETS and failed > len(self.fitted)

    def forget(self, core: BookCore) -> None:
        self.fitted.pop(core, None)
        self.unfitted.pop(core, None)


@define(eq=False)
class Verifier:
    """What of each book is checked, and when. Made with its Books, used by their thread alone."""

    verify: str
    """"hash", "top" or "off"; "hash" becomes "top" when the recipe fits hardly any snapshot."""
    counts: Counts = field(factory=Counts)
    suspects: Suspects = field(factory=Suspects)
    recipe: Recipe = field(factory=Recipe)
    checks: Schedule[BookCore] = field(factory=Schedule)
    """Books whose newest hash is to be compared."""
    steps: Schedule[BookCore] = field(factory=Schedule)
    """Books in whose newest step something is to be judged at its end."""

    def tick(self, now: float) -> list[BookCore]:
        """Make the checks that are due; returns the books that look different by them."""
        if self.suspects.mismatched.due:
            self.suspects.collect(now)
        changed = self._end_quiet_steps(now) if self.steps.due else []
        for core in self.checks.take_due(now):
            if self._check(core, now) and core not in changed:
                changed.append(core)
        return changed

    def forget(self, core: BookCore) -> None:
        """Nothing of it is to be checked until its next snapshot."""
        self.checks.drop(core)
        self.steps.drop(core)
        self.suspects.forget(core)
        self._forget_hash(core)

    def _forget_hash(self, core: BookCore) -> None:
        core.verification.move_step(StepCause.HASH_DECIDED)
        core.proof.unexplained = None

    # Snapshots

    def check_snapshot(
        self, core: BookCore, snapshot: Snapshot, sides: BookSides, now: float
    ) -> tuple[FindingCause | None, list[BookCore]]:
        """Check a snapshot's own hash.

        Returns:
            What it found, None if nothing could be compared; and the books that are not verified
            any more by it, since the recipe was given up.
        """
        core.proof.unexplained = None
        if self.verify != "hash":
            return None, []
        proof, tick_size = core.proof, core.proof.tick_size
        proof.tick_size = snapshot.tick_size or tick_size or _tick_text(core.asset)
        found = self._compare_snapshot(core, snapshot, sides, now)
        if core.held.has_tick:  # the snapshot may be older
            proof.tick_size = tick_size
        return found

    def _compare_snapshot(
        self, core: BookCore, snapshot: Snapshot, sides: BookSides, now: float
    ) -> tuple[FindingCause | None, list[BookCore]]:
        proof, is_refresh = core.proof, core.valid and not snapshot.is_answer
        is_recent = is_refresh and now < core.verification.checked_at + CHECK_SECONDS
        if is_recent and core.integrity == "verified" and core.repeats(snapshot, sides):
            return FindingCause.HASH_FITS, []  # what waits to be checked goes on waiting
        self.checks.drop(core)
        if not looks_real(snapshot.hash) or not proof.tick_size:
            self.counts.unverifiable += 1
            return None, []
        self.counts.hash_checks += 1
        core.verification.checked_at = now
        claim = _claim(snapshot, sides)
        if snapshot.is_answer or proof.parameters is None:
            return self._learn(core, claim, snapshot)
        if proof.check(claim):
            return FindingCause.HASH_FITS, []
        self.counts.hash_mismatches += core.integrity != "mismatch"
        return FindingCause.HASH_DIFFERS, []

    def _learn(
        self, core: BookCore, claim: Claim, snapshot: Snapshot
    ) -> tuple[FindingCause | None, list[BookCore]]:
        """Find what a snapshot's hash fits with; as `check_snapshot`."""
        last_trade_price = snapshot.last_trade_price or ("" if snapshot.is_answer else None)
        self.recipe.forget(core)
        fits = core.proof.learn(claim, last_trade_price, core.asset)
        # Whether the recipe holds on V2 is not known: its books say nothing about the others'.
        if not is_of_v2(snapshot.market):
            (self.recipe.fitted if fits else self.recipe.unfitted)[core] = None
        if fits:
            return FindingCause.HASH_FITS, []
        self.counts.unverifiable += 1
        return None, self._give_up_recipe() if self.recipe.is_wrong else []

    def _give_up_recipe(self) -> list[BookCore]:
        """Compare best prices only from now on; returns who is not verified any more."""
        cores = [*self.recipe.fitted, *self.recipe.unfitted]
        logger.warning(
            "the hashes of %d of %d books fit no known recipe: only best prices are checked",
            len(self.recipe.unfitted),
            len(cores),
        )
        self.verify = "top"
        self.checks.clear()
        for core in cores:
            self._forget_hash(core)
        return [core for core in cores if core.find(FindingCause.HASH_UNKNOWN)]

    # Engine steps

    def open_step(self, core: BookCore, now: float) -> None:
        """Await the end of its newest step."""
        if core not in self.steps.due:
            core.verification.step_since = now
            self.steps.put(core, now + STEP_SECONDS)

    def is_in_step(self, core: BookCore, now: float) -> bool:
        """Whether more of its newest step may be to come."""
        return now < core.verification.changed_at + STEP_SECONDS

    def publish_open(self, core: BookCore, now: float) -> None:
        """Publish a book of which something was to be judged, if it is whole now."""
        if core.published is core.latest:
            return  # what came with it has ended its step
        verification = core.verification
        if verification.step.by_top:
            self.open_step(core, now)
            return
        core.published = core.latest
        if verification.step.by_hash:  # what has come since may have completed it
            self.checks.put(core, now)
        elif verification.finding.top_differs:
            core.end_step()
            self.suspects.watch(core, now)

    def end_step(self, core: BookCore, now: float) -> bool:
        """Judge a step that has ended, and publish it; whether the book looks different now."""
        self.steps.drop(core)
        before = core.published
        if core.verification.step.by_hash:
            self.checks.drop(core)
            self._check(core, now, has_ended=True)
        if core.end_step():
            self._log_top_mismatch(core)
        if before.integrity != core.published.integrity:
            self.suspects.watch(core, now)
        return core.published is not before

    def _end_quiet_steps(self, now: float) -> list[BookCore]:
        ended: list[BookCore] = []
        for core in self.steps.take_due(now):
            quiet_at = core.verification.changed_at + STEP_SECONDS
            if now < min(quiet_at, core.verification.step_since + LONGEST_STEP):
                self.steps.put(core, quiet_at)
            elif self.end_step(core, now):
                ended.append(core)
        return ended

    def _log_top_mismatch(self, core: BookCore) -> None:
        self.counts.top_mismatches += 1
        bid, ask = core.published.bid, core.published.ask
        logger.warning(
            "book %s: best prices %s/%s, but the server says %s/%s",
            core.name,
            bid and bid[0],
            ask and ask[0],
            *core.verification.told_best,
        )

    # Hashes

    def put_check(self, core: BookCore, now: float) -> None:
        """Have the newest change checked; seldom where checks fail, which costs most."""
        if self.verify == "hash" and core.proof.parameters is not None:
            seconds = FAILING_SECONDS if core.proof.failures > FAILURES else CHECK_SECONDS
            self.checks.put(core, max(now, core.verification.checked_at + seconds))

    def settle_pending(
        self, cores: Sequence[BookCore], now: float, *, has_ended: bool = False
    ) -> list[BookCore]:
        """Make the pending checks of a market now: what they are made with is about to change.

        Args:
            cores: Its books.
            now: Monotonic seconds.
            has_ended: Whether this ends the steps of its books.

        Returns:
            The books that look different by it.
        """
        changed = [core for core in cores if self.checks.drop(core) and self._check(core, now)]
        if has_ended and self.steps.due:
            changed += [c for c in cores if c in self.steps.due and self.end_step(c, now)]
        return changed

    def explain(self, cores: Iterable[BookCore], now: float) -> None:
        """What was unexplained may fit with the price or tick size that just came."""
        for core in cores:
            if core.proof.explain():
                self._find(core, FindingCause.HASH_EXPLAINED, now)

    def _check(self, core: BookCore, now: float, *, has_ended: bool = False) -> bool:
        """Compare a book with the hash of its newest step; whether it looks different now.

        In the middle of a step only a hash that fits decides anything.
        """
        before, claim, verification = core.published, core.claim(), core.verification
        may_go_on = not has_ended and self.is_in_step(core, now)
        if claim is None:
            self.counts.unverifiable += 1
            self._forget_hash(core)
            self._find(core, FindingCause.HASH_UNKNOWN, now)
            return core.published is not before
        fits = not (verification.step.by_top and may_go_on) and core.proof.fits(
            claim, core.sides.near_prices()
        )
        if not fits and may_go_on:
            verification.move_step(StepCause.HASH_UNFIT)
            self.open_step(core, now)
            return False
        self.counts.hash_checks += 1
        verification.checked_at = now
        if fits:
            self.steps.drop(core)
            core.prove()
        else:
            core.proof.fail(claim)
            verification.move_step(StepCause.HASH_DECIDED)
        self._find(core, FindingCause.HASH_FITS if fits else FindingCause.HASH_DIFFERS, now)
        return core.published is not before

    def _find(self, core: BookCore, cause: FindingCause, now: float) -> None:
        """Take what a check found, and act on another integrity than before."""
        if core.find(cause):
            if core.is_mismatched:
                self.counts.hash_mismatches += 1
                logger.info("book %s: its levels do not have the server's hash", core.name)
            self.suspects.watch(core, now)


def _tick_text(asset: Asset | None) -> str:
    """The tick size before the wire told one, "" where it is not known either."""
    return "" if asset is None or asset.tick_size is None else f"{asset.tick_size:f}"


def _claim(snapshot: Snapshot, sides: BookSides) -> Claim:
    head = book_head(snapshot.market, snapshot.asset_id)
    return sides.claim(head, snapshot.timestamp_ms, snapshot.hash or "", keep=False)

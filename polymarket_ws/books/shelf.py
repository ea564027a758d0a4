"""The live books of one shard: where updates are applied, and other connections' books compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from polymarket_ws.condition_ids import condition_key
from polymarket_ws.wire.updates import Change, Changes, Snapshot

from .book import UNSUBSCRIBED, BookCore
from .sides import BookSides
from .verification import SNAPSHOT, WHOLE, AwaitedCause, FindingCause
from .verifier import Verifier


class Settlement(NamedTuple):
    """What became of a book when a probe's snapshot of it came."""

    finding: str
    """"equal": the book is right, and the recipe or a price of it was not. "different": the book
    was wrong, and is now the snapshot with what came since. "unclear": one of both is ahead, and
    the book is a suspect again after SUSPECT_SECONDS."""
    reason: str = ""
    """Of the Gap that is to be told; "" for none."""
    changed: Sequence[BookCore] = ()
    """The books that are to be told with that Gap: they look different now."""


class Books:
    """The cores of one shard, by asset: where its messages are applied. Used by its thread alone.

    What is judged is a whole step of the exchange's engine, which may come in several messages of
    the same timestamp and hash (see BookCore). When it has ended, and what is checked then, is the
    part of `verifier`.

    Whoever owns it calls `publish` after each read, then `tick`, and `tick` at `deadline`: what
    arrived in one read explains itself.
    """

    def __init__(self, verify: str = "hash") -> None:
        """Hold no book yet.

        Args:
            verify: "hash", "top" or "off", as in Options.
        """
        self.verifier = Verifier(verify)
        self.counts = self.verifier.counts
        self._cores: dict[str, BookCore] = {}
        self._by_market: dict[str, dict[str, BookCore]] = {}  # by the key of its condition id
        self._changed: dict[BookCore, None] = {}  # since `publish` was last called
        self._replaced: list[tuple[BookCore, str]] = []

    def __iter__(self) -> Iterator[BookCore]:
        return iter(list(self._cores.values()))

    def __contains__(self, asset_id: str) -> bool:
        return asset_id in self._cores

    @property
    def deadline(self) -> float:
        """When `tick` or `suspects` has something to do; infinite when neither has."""
        verifier = self.verifier
        timers = verifier.checks, verifier.suspects.mismatched, verifier.steps
        return min(timers[0].next_due, timers[1].next_due, timers[2].next_due)

    def add(self, core: BookCore) -> None:
        self._cores[core.asset_id] = core

    def remove(self, asset_id: str) -> None:
        core = self._cores.pop(asset_id, None)
        if core is not None:
            market = condition_key(core.market)
            of_market = self._by_market.get(market, {})
            of_market.pop(asset_id, None)
            if not of_market:
                self._by_market.pop(market, None)
            self._forget(core)
            self.verifier.recipe.forget(core)
            core.mark_stale(UNSUBSCRIBED)

    def await_snapshots(self, asset_ids: Iterable[str]) -> None:
        for asset_id in asset_ids:
            if asset_id in self._cores:
                self._cores[asset_id].await_snapshot()

    def replace(self, snapshot: Snapshot, now: float) -> list[BookCore]:
        """Take a whole book; returns the cores that changed: none for a foreign asset."""
        core = self._cores.get(snapshot.asset_id)
        if core is None:
            return []
        sides, verifier = core.sides_of(snapshot), self.verifier
        if verifier.verify != "off" and core.contradicts(snapshot, sides):
            self.counts.refresh_mismatches += 1
            self._replaced.append((core, "refresh_mismatch"))
            core.continuous_from = None
        finding, unverified = verifier.check_snapshot(core, snapshot, sides, now)
        was_live = core.valid
        verifier.steps.drop(core)
        held = core.replace(snapshot, sides, finding)
        if not was_live:  # healed by a refresh, before a probe's snapshot came
            core.release_probe()
        core.received_at = now
        if core.continuous_from is None:
            core.continuous_from = now
        self._by_market.setdefault(condition_key(core.market), {})[core.asset_id] = core
        for timestamp_ms, change in held:
            core.apply(timestamp_ms, (change,), verifier.verify)
        if held:
            core.verification.changed_at = now
            verifier.publish_open(core, now)
            verifier.put_check(core, now)
        core.told = core.published
        verifier.suspects.watch(core, now)
        return [core, *(other for other in unverified if other is not core)]

    def apply(self, changes: Changes, now: float) -> None:
        """Apply the changes of our own assets, each asset's at once. `publish` shows them."""
        cores, timestamp_ms = self._cores, changes.timestamp_ms
        for own in _by_asset(changes.changes):
            core = cores.get(own[0].asset_id)
            if core is not None:
                self._apply_one(core, timestamp_ms, own, now)

    def _apply_one(
        self, core: BookCore, timestamp_ms: int, changes: Sequence[Change], now: float
    ) -> None:
        core.received_at = now
        verification, verifier = core.verification, self.verifier
        if verification.awaited.holds:
            self.counts.held_overflows += core.hold(timestamp_ms, changes)
        if core.published.stale_reason is not None:
            return
        # A completed step may have a timer still: it must not end a later one.
        is_open = verification.step is not WHOLE or core in verifier.steps.due
        if is_open and core.is_ended_by(timestamp_ms, changes[-1].hash):
            verifier.end_step(core, now)
        if not core.apply(timestamp_ms, changes, verifier.verify):
            self.counts.late_changes += len(changes)
            return
        verification.changed_at = now
        self._changed[core] = None
        if verifier.verify == "hash" and core not in verifier.checks.due:
            verifier.put_check(core, now)

    def publish(self, now: float) -> list[BookCore]:
        """Show what a read has changed, but for steps of which something is still to come.

        Returns:
            The books that look different from when this was last called.
        """
        changed = self._changed
        if not changed:
            return []
        self._changed, shown = {}, []
        for core in changed:
            verification = core.verification
            if verification.step is WHOLE and not verification.finding.top_differs:  # nearly always
                core.published = core.latest
            else:
                self.verifier.publish_open(core, now)
            if core.published is not core.told:
                core.told = core.published
                shown.append(core)
        return shown

    def tick(self, now: float) -> list[BookCore]:
        """Make the checks that are due; returns the books that look different by them."""
        changed = self.verifier.tick(now)
        for core in changed:
            core.told = core.published
        return changed

    def suspects(self, now: float) -> list[BookCore]:
        """The live books in a mismatch for SUSPECT_SECONDS, each once until its state changes.

        Each awaits a probe's snapshot from then on: give it to `settle`.
        """
        self.verifier.suspects.collect(now)
        suspects = self.verifier.suspects.take(now)
        for core in suspects:
            core.await_snapshot(AwaitedCause.PROBED)
        return suspects

    def suspect_again(self, now: float) -> None:
        """Probes that were asked for will not come: let every mismatch become a suspect anew."""
        for core in self._cores.values():
            if core.is_mismatched:
                self.verifier.suspects.watch(core, now)

    def await_probe(self, asset_ids: Iterable[str]) -> None:
        """A probe asks for these; what is held for the answer to a subscription stays held."""
        for core in map(self._cores.get, asset_ids):
            if core is not None and core.valid and core.verification.awaited is not SNAPSHOT:
                core.await_snapshot(AwaitedCause.PROBED)

    def release(self, asset_ids: Iterable[str]) -> None:
        """No probe's snapshot of these is awaited any more."""
        for core in map(self._cores.get, asset_ids):
            if core is not None:
                core.release_probe()

    def settle(self, core: BookCore, snapshot: Snapshot, now: float) -> Settlement:
        """Take a probe's snapshot of a live book, and do all that follows from it.

        Returns:
            What it found, and what is to be told.
        """
        if core.verification.awaited is SNAPSHOT:  # asked for meanwhile, that one will settle it
            return Settlement("unclear")
        finding = core.compare(snapshot)
        if finding == "different" and core.is_at(snapshot) and self.verifier.is_in_step(core, now):
            finding = "unclear"  # the rest of the step may make them equal
        if finding == "different":
            return self.overrule(core, snapshot, core.verification.finding.reason, now)
        if finding == "equal":
            self._confirm(core, snapshot, now)
        core.release_probe()
        self.verifier.suspects.watch(core, now)
        return Settlement(finding)

    def overrule(self, core: BookCore, snapshot: Snapshot, reason: str, now: float) -> Settlement:
        """Replace a book that a probe's snapshot proved wrong, with what came since on top.

        Args:
            core: The book.
            snapshot: The probe's.
            reason: What the Gap is to say.
            now: Monotonic seconds.
        """
        core.mark_stale(reason)
        self._forget(core)
        return Settlement("different", reason, self.replace(snapshot, now))

    def _confirm(self, core: BookCore, snapshot: Snapshot, now: float) -> None:
        """A snapshot and what was held since are the book: the latter may end in half a step."""
        verifier = self.verifier
        core.verification.false_alarms += 1
        core.take_values(snapshot)
        verifier.checks.drop(core)
        found, _ = verifier.check_snapshot(core, snapshot, BookSides.of(snapshot), now)
        if core.is_at(snapshot) or not verifier.is_in_step(core, now):
            verifier.steps.drop(core)
            core.prove()
        causes = [FindingCause.REPLACED]
        if found is FindingCause.HASH_FITS:  # if not, that is the recipe's fault
            causes.append(found)
        core.find(*causes)
        if core.latest.timestamp_ms != snapshot.timestamp_ms:  # a held change bridged them
            verifier.put_check(core, now)

    def take_replaced(self) -> list[tuple[BookCore, str]]:
        """Return and forget the books that a refresh proved wrong, and healed, with the reason."""
        replaced, self._replaced = self._replaced, []
        return replaced

    def _forget(self, core: BookCore) -> None:
        self.verifier.forget(core)
        self._changed.pop(core, None)

    def _of_market(self, market: str) -> list[BookCore]:
        return list(self._by_market.get(condition_key(market), {}).values())

    def set_tick_size(self, asset_id: str, tick_size: Decimal, now: float) -> list[BookCore]:
        core = self._cores.get(asset_id)
        if core is None:
            return []
        cores = self._of_market(core.market)
        changed = self.verifier.settle_pending(cores, now, has_ended=True)
        core.hear_tick(tick_size)
        core.proof.tick_size = f"{tick_size:f}"
        core.received_at = now
        self.verifier.explain([core], now)
        return [core, *(other for other in changed if other is not core)]

    def set_last_trade_price(
        self, market: str, asset_id: str, price: Decimal, now: float
    ) -> list[BookCore]:
        """Both tokens of a market carry the same last price in their hashes."""
        cores = {core.asset_id: core for core in self._of_market(market)}
        if asset_id in self._cores:
            cores[asset_id] = self._cores[asset_id]
        if all(
            core.last_trade_price == price
            and core.proof.knows_print(price, is_own=core.asset_id == asset_id)
            for core in cores.values()
        ):
            for core in cores.values():
                core.received_at = now
            return list(cores.values())
        self.verifier.settle_pending(self._of_market(market), now)
        for core in cores.values():
            core.hear_print(price)
            core.received_at = now
            core.proof.hear_print(price, is_own=core.asset_id == asset_id)
        self.verifier.explain(cores.values(), now)
        return list(cores.values())

    def mark_stale(
        self, reason: str, *, asset_id: str | None = None, market: str | None = None
    ) -> list[BookCore]:
        """Mark one asset's book, one market's or all; returns those that were live until now."""
        key = None if market is None else condition_key(market)
        stale = [
            core
            for core in self._cores.values()
            if (asset_id is None or core.asset_id == asset_id)
            and (key is None or condition_key(core.market) == key)
            and core.mark_stale(reason)
        ]
        for core in stale:
            self._forget(core)
        return stale


def _by_asset(changes: Sequence[Change]) -> Iterable[Sequence[Change]]:
    """Each asset's in their order. Mostly there is one of each of a market's two tokens."""
    if len(changes) == 2 and changes[0].asset_id != changes[1].asset_id:
        return (changes[0],), (changes[1],)
    by_asset: dict[str, list[Change]] = {}
    for change in changes:
        by_asset.setdefault(change.asset_id, []).append(change)
    return by_asset.values()

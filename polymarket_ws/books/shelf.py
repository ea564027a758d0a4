"""The live books of one shard: where updates are applied, and proved right or wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from attrs import define, field

from polymarket_ws.schedule import Schedule
from polymarket_ws.wire.updates import Change, Changes, Snapshot

from .book import BookCore
from .proof import Claim, book_head, looks_real
from .sides import BookSides

logger = logging.getLogger(__name__)

STEP_SECONDS = 0.05  # of quiet after which a step has ended, whatever may be missing of it
LONGEST_STEP = 0.5  # seconds; its messages are sent back to back, so this is a broken peer's
CHECK_SECONDS = 0.1  # between two checks of one asset's hash, unless something has to know now
FAILURES, FAILING_SECONDS = 20, 1.0  # checks failed in a row, and the pause between more of them
SUSPECT_SECONDS = 2.0  # that a mismatch may last before evidence is asked for: prints explain many
MOST_PARDONS = 8  # after which a mismatch lasts 8.5 min before evidence is asked for
RECIPE_ASSETS = 5  # that have to fail, and be most of all, before the recipe is given up


@define(eq=False)
class Books:
    """The cores of one shard, by asset: where its messages are applied. Used by its thread alone.

    What is judged is a whole step of the exchange's engine, which may come in several messages of
    the same timestamp and hash (see BookCore). An asset's step ends with its next change or
    refresh that is not of it, with a tick change, or after STEP_SECONDS of quiet. It does not end
    with a print or a best_bid_ask: these are sent at times of their own, and may come in between.
    Until its end nothing of it counts as wrong, and it is not published while its best prices
    show that something is still to come.

    With verify="hash" the newest change of each book is checked by its hash, at most once in
    CHECK_SECONDS. Whoever owns it calls `publish` after each read, then `tick`, and `tick` at
    `deadline`: what arrived in one read explains itself. `late_changes` to `refresh_mismatches`
    count what Stats documents.
    """

    verify: str = "hash"
    """"hash", "top" or "off"; "hash" becomes "top" when the recipe fits hardly any snapshot."""
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
    _cores: dict[str, BookCore] = field(factory=dict)
    _by_market: dict[str, dict[str, BookCore]] = field(factory=dict)
    _checks: Schedule[BookCore] = field(factory=Schedule)
    _mismatched: Schedule[BookCore] = field(factory=Schedule)
    _steps: Schedule[BookCore] = field(factory=Schedule)
    """Books in whose newest step something is to be judged at its end."""
    _changed: dict[BookCore, None] = field(factory=dict)
    """Books that changed since `publish` was last called."""
    _suspects: dict[BookCore, None] = field(factory=dict)
    _proofs: list[tuple[BookCore, str]] = field(factory=list)
    _fitted: set[str] = field(factory=set)
    """Assets whose last snapshot had a hash that fitted."""
    _unfitted: set[str] = field(factory=set)
    """Assets whose last snapshot had a hash that looked real and fitted nothing."""

    def __iter__(self) -> Iterator[BookCore]:
        return iter(list(self._cores.values()))

    def __contains__(self, asset_id: str) -> bool:
        return asset_id in self._cores

    @property
    def deadline(self) -> float:
        """When `tick` or `suspects` has something to do; infinite when neither has."""
        return min(self._checks.next_due, self._mismatched.next_due, self._steps.next_due)

    def add(self, core: BookCore) -> None:
        self._cores[core.asset_id] = core

    def remove(self, asset_id: str) -> None:
        core = self._cores.pop(asset_id, None)
        if core is not None:
            twins = self._by_market.get(core.market, {})
            twins.pop(asset_id, None)
            if not twins:
                self._by_market.pop(core.market, None)
            self._forget(core)
            self._fitted.discard(asset_id)
            self._unfitted.discard(asset_id)
            core.mark_stale("unsubscribed", for_good=True)

    def await_snapshots(self, asset_ids: Iterable[str]) -> None:
        for asset_id in asset_ids:
            if asset_id in self._cores:
                self._cores[asset_id].await_snapshot()

    def replace(self, snapshot: Snapshot, now: float) -> list[BookCore]:
        """Take a whole book; returns the cores that changed: none for a foreign asset."""
        core = self._cores.get(snapshot.asset_id)
        if core is None:
            return []
        sides = core.sides_of(snapshot)
        if self.verify != "off" and core.contradicts(snapshot, sides):
            self.refresh_mismatches += 1
            self._proofs.append((core, "refresh_mismatch"))
        core.proof.unexplained = None
        verdict = "unverified"
        recanted: list[BookCore] = []
        if self.verify == "hash":
            verdict, recanted = self._judge(core, snapshot, sides, now)
        was_live = core.valid
        self._steps.drop(core)
        held = core.replace(snapshot, sides, verdict)
        if core.awaits_probe and not was_live:  # healed by a refresh, before the evidence came
            core.release()
        core.received_at = now
        self._by_market.setdefault(core.market, {})[core.asset_id] = core
        for timestamp_ms, change in held:
            core.apply(timestamp_ms, (change,), self.verify)
        if held:
            core.changed_at = now
            self._publish_open(core, now)
            self._put_check(core, now)
        core.told = core.published
        self._watch(core, now)
        return [core, *(other for other in recanted if other is not core)]

    def _judge(
        self, core: BookCore, snapshot: Snapshot, sides: BookSides, now: float
    ) -> tuple[str, list[BookCore]]:
        """Check a snapshot's own hash; the verdict, and the cores that lose theirs by it."""
        proof, tick_size = core.proof, core.proof.tick_size
        proof.tick_size = snapshot.tick_size or tick_size
        judged = self._check_snapshot(core, snapshot, sides, now)
        if core.heard_tick:
            proof.tick_size = tick_size
        return judged

    def _check_snapshot(
        self, core: BookCore, snapshot: Snapshot, sides: BookSides, now: float
    ) -> tuple[str, list[BookCore]]:
        proof, is_refresh = core.proof, core.valid and not snapshot.is_answer
        is_recent = is_refresh and now < core.checked_at + CHECK_SECONDS
        if is_recent and core.integrity == "verified" and core.repeats(snapshot, sides):
            return "verified", []  # what waits to be checked goes on waiting
        self._checks.drop(core)
        if not looks_real(snapshot.hash) or not proof.tick_size:
            self.unverifiable += 1
            return "unverified", []
        self.hash_checks += 1
        core.checked_at = now
        claim = _claim(snapshot, sides)
        if snapshot.is_answer or proof.parameters is None:
            return self._learn(core, claim, snapshot)
        if proof.check(claim):
            return "verified", []
        self.hash_mismatches += core.integrity != "mismatch"
        return "mismatch", []

    def _learn(
        self, core: BookCore, claim: Claim, snapshot: Snapshot
    ) -> tuple[str, list[BookCore]]:
        """Find what a snapshot's hash fits with; as `_judge`."""
        last_trade_price = snapshot.last_trade_price or ("" if snapshot.is_answer else None)
        if core.proof.learn(claim, last_trade_price):
            self._unfitted.discard(core.asset_id)
            self._fitted.add(core.asset_id)
            return "verified", []
        self.unverifiable += 1
        self._fitted.discard(core.asset_id)
        self._unfitted.add(core.asset_id)
        return "unverified", self._give_up_recipe()

    def _give_up_recipe(self) -> list[BookCore]:
        """Give the recipe up when it fits hardly anything; returns who is not verified any more."""
        failed = len(self._unfitted)
        if failed < RECIPE_ASSETS or failed <= len(self._fitted):
            return []
        logger.warning(
            "the hashes of %d of %d books fit no known recipe: only best prices are checked",
            failed,
            failed + len(self._fitted),
        )
        self.verify = "top"
        self._checks.clear()
        for core in self._cores.values():
            core.is_unproved, core.proof.unexplained = False, None  # no hash decides any more
        return [core for core in self._cores.values() if core.judge("unverified")]

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
        if core.is_awaited:
            self.held_overflows += core.hold(timestamp_ms, changes)
        if core.published.stale_reason is not None:
            return
        # A completed step may have a timer still: it must not end a later one.
        is_open = not core.agrees or core.is_unproved or core in self._steps.due
        if is_open and core.is_ended_by(timestamp_ms, changes[-1].hash):
            self._end_step(core, now)
        if not core.apply(timestamp_ms, changes, self.verify):
            self.late_changes += len(changes)
            return
        core.changed_at = now
        self._changed[core] = None
        if self.verify == "hash" and core not in self._checks.due:
            self._put_check(core, now)

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
            if core.agrees and not core.is_unproved and not core.top_differs:  # nearly always
                core.published = core.latest
            else:
                self._publish_open(core, now)
            if core.published is not core.told:
                core.told = core.published
                shown.append(core)
        return shown

    def _publish_open(self, core: BookCore, now: float) -> None:
        """Publish a book of which something was in doubt, if it is whole now."""
        if not core.agrees:
            self._await_end(core, now)
            return
        core.published = core.latest
        if core.is_unproved:  # what has come since may have completed it
            self._checks.put(core, now)
        elif core.top_differs:
            core.end_step()
            self._watch(core, now)

    def _await_end(self, core: BookCore, now: float) -> None:
        if core not in self._steps.due:
            core.step_since = now
            self._steps.put(core, now + STEP_SECONDS)

    def _end_step(self, core: BookCore, now: float) -> bool:
        """Judge a step that has ended, and publish it; whether the book looks different now."""
        self._steps.drop(core)
        before = core.published
        if core.is_unproved:
            self._checks.drop(core)
            self._check(core, now, has_ended=True)
        if core.end_step():
            self._tell_mismatch(core)
        if before.integrity != core.published.integrity:
            self._watch(core, now)
        return core.published is not before

    def _end_quiet_steps(self, now: float) -> list[BookCore]:
        ended: list[BookCore] = []
        for core in self._steps.take_due(now):
            quiet_at = core.changed_at + STEP_SECONDS
            if now < min(quiet_at, core.step_since + LONGEST_STEP):
                self._steps.put(core, quiet_at)
            elif self._end_step(core, now):
                ended.append(core)
        return ended

    def _put_check(self, core: BookCore, now: float) -> None:
        """Have the newest change checked; seldom where checks fail, which costs most."""
        if self.verify == "hash" and core.proof.parameters is not None:
            seconds = FAILING_SECONDS if core.proof.failures > FAILURES else CHECK_SECONDS
            self._checks.put(core, max(now, core.checked_at + seconds))

    def _tell_mismatch(self, core: BookCore) -> None:
        self.top_mismatches += 1
        bid, ask = core.published.bid, core.published.ask
        logger.warning(
            "book %s: best prices %s/%s, but the server says %s/%s",
            core.asset_id,
            bid and bid[0],
            ask and ask[0],
            *core.told_best,
        )

    def tick(self, now: float) -> list[BookCore]:
        """Make the checks that are due; returns the books that look different by them."""
        self._collect_suspects(now)
        changed = self._end_quiet_steps(now) if self._steps.due else []
        for core in self._checks.take_due(now):
            if self._check(core, now) and core not in changed:
                changed.append(core)
        for core in changed:
            core.told = core.published
        return changed

    def suspects(self, now: float) -> list[BookCore]:
        """The live books in a mismatch for SUSPECT_SECONDS, each once until its state changes.

        Each waits for evidence from then on, as for a snapshot: give it to `settle`.
        """
        self._collect_suspects(now)
        suspects = [core for core in self._suspects if core.is_mismatched]
        self._suspects = {}
        for core in suspects:
            core.await_probe()
        return suspects

    def suspect_again(self, now: float) -> None:
        """Evidence that was asked for will not come: let every mismatch become a suspicion anew."""
        for core in self._cores.values():
            if core.is_mismatched:
                self._watch(core, now)

    def _collect_suspects(self, now: float) -> None:
        for core in self._mismatched.take_due(now):
            if core.is_awaited:  # what is on its way will settle it
                self._watch(core, now)
            else:
                self._suspects[core] = None

    def settle(self, core: BookCore, snapshot: Snapshot, now: float) -> str:
        """Take what another connection was told of a book.

        Returns:
            "equal": the book is right, the recipe or a price of it was not: it is learned anew.
            "different": tell it, and give the snapshot to `replace`, which adds what came since.
            "unclear": one of both is ahead; the book is a suspect again after SUSPECT_SECONDS.
        """
        finding = core.compare(snapshot)
        if finding == "different" and not (core.is_at(snapshot) and self._is_in_step(core, now)):
            return finding
        if finding == "equal":
            core.pardons += 1
            core.take_values(snapshot)
            self._checks.drop(core)
            verdict = "unverified"
            if self.verify == "hash":
                verdict, _ = self._judge(core, snapshot, BookSides.of(snapshot), now)
            self._prove(core, snapshot, now)
            core.judge("unverified" if verdict == "mismatch" else verdict)
            if core.latest.timestamp_ms != snapshot.timestamp_ms:  # a held change bridged them
                self._put_check(core, now)
        core.release()
        self._watch(core, now)
        return "unclear" if finding == "different" else finding

    def _prove(self, core: BookCore, snapshot: Snapshot, now: float) -> None:
        """A snapshot and what was held since are the book: the latter may end in half a step."""
        if core.is_at(snapshot) or not self._is_in_step(core, now):
            self._steps.drop(core)
            core.accept()
        else:
            core.top_differs = False

    def take_proofs(self) -> list[tuple[BookCore, str]]:
        """Return and forget the books that a refresh proved wrong, and healed, with the reason."""
        proofs, self._proofs = self._proofs, []
        return proofs

    def _settle_market(self, market: str, now: float, *, has_ended: bool = False) -> list[BookCore]:
        """Make the pending checks of a market now: what they are made with is about to change.

        Args:
            has_ended: Whether this ends the steps of its books.
        """
        cores = list(self._by_market.get(market, {}).values())
        changed = [core for core in cores if self._checks.drop(core) and self._check(core, now)]
        if has_ended and self._steps.due:
            changed += [c for c in cores if c in self._steps.due and self._end_step(c, now)]
        return changed

    def _is_in_step(self, core: BookCore, now: float) -> bool:
        """Whether more of its newest step may be to come."""
        return now < core.changed_at + STEP_SECONDS

    def _check(self, core: BookCore, now: float, *, has_ended: bool = False) -> bool:
        """Compare a book with the hash of its newest step; whether it looks different now.

        In the middle of a step only a hash that fits decides anything.
        """
        if not core.valid:
            return False
        before, integrity, claim = core.published, core.integrity, core.claim()
        may_go_on = not has_ended and self._is_in_step(core, now)
        if claim is None:
            self.unverifiable += 1
            core.is_unproved = False
            core.judge("unverified")
            self._note(core, integrity, now)
            return core.published is not before
        if not core.agrees and may_go_on:
            fits = False
        else:
            fits = core.proof.fits(claim, core.near_prices())
        if not fits and may_go_on:
            core.is_unproved = True
            self._await_end(core, now)
            return False
        self.hash_checks += 1
        core.checked_at = now
        core.is_unproved = False
        if fits:
            self._steps.drop(core)
            core.accept()
        else:
            core.proof.fail(claim)
        core.judge("verified" if fits else "mismatch")
        self._note(core, integrity, now)
        return core.published is not before

    def _note(self, core: BookCore, before: str, now: float) -> bool:
        """Act on another integrity than before; whether it is another."""
        after = core.published.integrity
        if after == before:
            return False
        if after == "mismatch":
            self.hash_mismatches += 1
            logger.info("book %s: its levels do not have the server's hash", core.asset_id)
        self._watch(core, now)
        return True

    def _watch(self, core: BookCore, now: float) -> None:
        """Let a mismatch become a suspicion when it lasts, and end it with the mismatch."""
        if core.published.integrity == "mismatch" and core.valid:
            # Where the recipe is wrong now and then, evidence is asked for ever less often.
            self._mismatched.put(core, now + SUSPECT_SECONDS * 2 ** min(core.pardons, MOST_PARDONS))
        else:
            self._mismatched.drop(core)
            if core.awaits_probe:
                core.release()

    def _forget(self, core: BookCore) -> None:
        self._checks.drop(core)
        self._mismatched.drop(core)
        self._steps.drop(core)
        self._changed.pop(core, None)
        core.is_unproved = False
        core.proof.unexplained = None

    def _explain(self, cores: Iterable[BookCore], now: float) -> None:
        """What was unexplained may fit with the price or tick that just came."""
        for core in cores:
            if core.proof.explain():
                before = core.published.integrity
                core.judge("verified")
                self._note(core, before, now)

    def set_tick_size(self, asset_id: str, tick_size: Decimal, now: float) -> list[BookCore]:
        core = self._cores.get(asset_id)
        if core is None:
            return []
        changed = self._settle_market(core.market, now, has_ended=True)
        core.hear_tick(tick_size)
        core.proof.tick_size = f"{tick_size:f}"
        core.received_at = now
        self._explain([core], now)
        return [core, *(other for other in changed if other is not core)]

    def set_last_trade_price(
        self, market: str, asset_id: str, price: Decimal, now: float
    ) -> list[BookCore]:
        """Both tokens of a market carry the same last price in their hashes."""
        cores = dict(self._by_market.get(market, {}))
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
        self._settle_market(market, now)
        for core in cores.values():
            core.hear_print(price)
            core.received_at = now
            core.proof.hear_print(price, is_own=core.asset_id == asset_id)
        self._explain(cores.values(), now)
        return list(cores.values())

    def mark_stale(
        self, reason: str, *, asset_id: str | None = None, market: str | None = None
    ) -> list[BookCore]:
        """Mark one asset's book, one market's or all; returns those that were live until now."""
        stale = [
            core
            for core in self._cores.values()
            if (asset_id is None or core.asset_id == asset_id)
            and (market is None or core.market == market)
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


def _claim(snapshot: Snapshot, sides: BookSides) -> Claim:
    head = book_head(snapshot.market, snapshot.asset_id)
    return sides.claim(head, snapshot.timestamp_ms, snapshot.hash or "", keep=False)

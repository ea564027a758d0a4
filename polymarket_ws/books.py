"""The live books of one shard: where updates are applied, and proved right or wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from attrs import define, field

from .agenda import Agenda
from .book_core import BookCore
from .book_sides import BookSides
from .integrity import Claim, book_head, looks_real
from .updates import Change, Changes, Snapshot

logger = logging.getLogger(__name__)

CHECK_SECONDS = 0.1  # between two checks of one asset's hash, unless something has to know now
FAILURES, FAILING_SECONDS = 20, 1.0  # checks failed in a row, and the pause between more of them
DOUBT_SECONDS = 2.0  # that a mismatch may last before evidence is asked for: prints explain many
MOST_PARDONS = 8  # after which a mismatch lasts 8.5 min before evidence is asked for
RECIPE_ASSETS = 5  # that have to fail, and be most of all, before the recipe is given up


@define(eq=False)
class Books:
    """The cores of one shard, by asset: where its messages are applied. Used by its thread alone.

    With verify="hash" the newest change of each book is checked by its hash, at most once in
    CHECK_SECONDS. Whoever owns it calls `tick` at `deadline`, and after each read whose `deadline`
    has passed: what arrived in one read explains itself. `late_changes` to `refresh_mismatches`
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
    _checks: Agenda[BookCore] = field(factory=Agenda)
    _doubts: Agenda[BookCore] = field(factory=Agenda)
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
        return min(self._checks.next_due, self._doubts.next_due)

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
        core.replace(snapshot, sides, verdict)
        if core.is_questioned and not was_live:  # healed by a refresh, before the evidence came
            core.release()
        core.received_at = now
        self._by_market.setdefault(core.market, {})[core.asset_id] = core
        if not core.is_at(snapshot):
            self._put_check(core, now)
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
        return "unverified", self._doubt_recipe()

    def _doubt_recipe(self) -> list[BookCore]:
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
        return [core for core in self._cores.values() if core.judge("unverified")]

    def apply(self, changes: Changes, now: float) -> list[BookCore]:
        """Apply the changes of our own assets, each asset's at once; returns those that changed."""
        cores, timestamp_ms = self._cores, changes.timestamp_ms
        changed: list[BookCore] = []
        for own in _by_asset(changes.changes):
            core = cores.get(own[0].asset_id)
            if core is not None and self._apply_one(core, timestamp_ms, own, now):
                changed.append(core)
        return changed

    def _apply_one(
        self, core: BookCore, timestamp_ms: int, changes: Sequence[Change], now: float
    ) -> bool:
        core.received_at = now
        if core.is_awaited:
            self.held_overflows += core.hold(timestamp_ms, changes)
        before, differed = core.published, core.top_differs
        if before.stale_reason is not None:
            return False
        if not core.apply(timestamp_ms, changes, self.verify):
            self.late_changes += len(changes)
            return False
        if core.top_differs and not differed:
            self._tell_mismatch(core, changes[-1])
        if core.published.integrity != before.integrity:
            self._watch(core, now)
        if self.verify == "hash" and core not in self._checks.due:
            self._put_check(core, now)
        return True

    def _put_check(self, core: BookCore, now: float) -> None:
        """Have the newest change checked; seldom where checks fail, which costs most."""
        if self.verify == "hash" and core.proof.parameters is not None:
            seconds = FAILING_SECONDS if core.proof.failures > FAILURES else CHECK_SECONDS
            self._checks.put(core, max(now, core.checked_at + seconds))

    def _tell_mismatch(self, core: BookCore, change: Change) -> None:
        self.top_mismatches += 1
        bid, ask = core.published.bid, core.published.ask
        logger.warning(
            "book %s: best prices %s/%s, but the server says %s/%s",
            core.asset_id,
            bid and bid[0],
            ask and ask[0],
            change.best_bid,
            change.best_ask,
        )

    def tick(self, now: float) -> list[BookCore]:
        """Make the checks that are due; returns the cores whose integrity changed."""
        self._collect_suspects(now)
        return [core for core in self._checks.take_due(now) if self._check(core, now)]

    def suspects(self, now: float) -> list[BookCore]:
        """The live books in a mismatch for DOUBT_SECONDS, each once until its state changes.

        Each waits for evidence from then on, as for a snapshot: give it to `settle`.
        """
        self._collect_suspects(now)
        suspects = [core for core in self._suspects if core.is_doubted]
        self._suspects = {}
        for core in suspects:
            core.question()
        return suspects

    def doubt_again(self, now: float) -> None:
        """Evidence that was asked for will not come: let every mismatch become a suspicion anew."""
        for core in self._cores.values():
            if core.is_doubted:
                self._watch(core, now)

    def _collect_suspects(self, now: float) -> None:
        for core in self._doubts.take_due(now):
            if core.is_awaited:  # what is on its way will settle it
                self._watch(core, now)
            else:
                self._suspects[core] = None

    def settle(self, core: BookCore, snapshot: Snapshot, now: float) -> str:
        """Take what another connection was told of a book.

        Returns:
            "equal": the book is right, the recipe or a price of it was not: it is learned anew.
            "different": tell it, and give the snapshot to `replace`, which adds what came since.
            "unclear": one of both is ahead; the book is a suspect again after DOUBT_SECONDS.
        """
        finding = core.compare(snapshot)
        if finding == "different":
            return finding
        if finding == "equal":
            core.pardons += 1
            core.take_values(snapshot)
            self._checks.drop(core)
            verdict = "unverified"
            if self.verify == "hash":
                verdict, _ = self._judge(core, snapshot, BookSides.of(snapshot), now)
            core.top_differs = False
            core.judge("unverified" if verdict == "mismatch" else verdict)
            if core.published.timestamp_ms != snapshot.timestamp_ms:  # a held change bridged them
                self._put_check(core, now)
        core.release()
        self._watch(core, now)
        return finding

    def take_proofs(self) -> list[tuple[BookCore, str]]:
        """Return and forget the books that a refresh proved wrong, and healed, with the reason."""
        proofs, self._proofs = self._proofs, []
        return proofs

    def _settle_market(self, market: str, now: float) -> list[BookCore]:
        """Make the pending checks of a market now: what they are made with is about to change."""
        cores = self._by_market.get(market, {}).values()
        return [core for core in cores if self._checks.drop(core) and self._check(core, now)]

    def _check(self, core: BookCore, now: float) -> bool:
        """Compare a book with the hash of its newest change; whether its integrity changed."""
        if not core.valid:
            return False
        before, claim, verdict = core.integrity, core.claim(), "unverified"
        if claim is None:
            self.unverifiable += 1
        elif core.proof.check(claim, core.near_prices()):
            core.top_differs, verdict = False, "verified"
        else:
            verdict = "mismatch"
        if claim is not None:
            self.hash_checks += 1
            core.checked_at = now
        core.judge(verdict)
        return self._note(core, before, now)

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
            self._doubts.put(core, now + DOUBT_SECONDS * 2 ** min(core.pardons, MOST_PARDONS))
        else:
            self._doubts.drop(core)
            if core.is_questioned:
                core.release()

    def _forget(self, core: BookCore) -> None:
        self._checks.drop(core)
        self._doubts.drop(core)
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
        changed = self._settle_market(core.market, now)
        core.hear_tick(tick_size)
        core.proof.tick_size = f"{tick_size:f}"
        core.received_at = now
        self._explain([core], now)
        return [core, *(other for other in changed if other is not core)]

    def set_last_trade_price(
        self, market: str, asset_id: str, price: Decimal, now: float
    ) -> list[BookCore]:
        """Both tokens of a market carry the same last price (PROTOCOL 1.6)."""
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

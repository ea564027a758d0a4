"""The verification of one book: its named states, and what moves it from one to another.

Theory of operation
-------------------
The problem. The channel has no sequence numbers: a lost change shows only in what comes later. Each
change carries two facts about the book after it: the best prices, and a hash over the whole book.
Neither may be trusted at once. The engine's step may be told in several messages, which all carry
the facts of its end, so in the middle of a step a correct book differs from both. And the hash
covers a last trade price that may be ahead of its print, so a correct book may fail its hash until
the print comes.

The idea. Three questions are kept apart, each with a small enum and a table of its own:

- `Step`: is something of the newest engine step still to come? While it is open, nothing of it is
  a mismatch, and a book whose best prices are not those of its message is not published.
- `Finding`: what did the last whole step show? The best prices and the hash may fail independently,
  and a mismatch of one does not end with the other, so there is a state for each combination. Users
  see it as `integrity`, a Gap has its `reason`.
- `Awaited`: what has been asked of the server? A mismatch that lasts for SUSPECT_SECONDS makes the
  book a suspect, a probe is asked for its snapshot, and changes are held until it comes.

How a lost change passes through them: the hash of the next change fails in the middle of its step
(WHOLE, HASH_UNFIT -> HASH_OPEN), the step ends (HASH_DECIDED -> WHOLE; VERIFIED, HASH_DIFFERS ->
HASH_MISMATCH), nothing explains it (NOTHING, LASTED -> SUSPECT), the probe is made (PROBED ->
PROBE), and its snapshot differs, so it replaces the book (ANSWERED -> NOTHING; REPLACED ->
UNVERIFIED, HASH_FITS -> VERIFIED).

The danger. A step that is called complete too early is a false alarm; one that is never called
complete hides a loss, hence STEP_SECONDS and LONGEST_STEP in verifier.py. A false mismatch costs a
probe, so nothing is torn down before another connection's snapshot has been compared. Held changes
must not be dropped while the answer to a subscription is on its way: it may be older than they
are. That is why a probe is never asked for in SNAPSHOT, and giving a probe up leaves it.

The tables are complete: a pair that is not there cannot happen, and raises KeyError. All states are
used by the book's writer alone. `BookCore.apply` compares `step is WHOLE` before it looks anything
up, so most messages cost no call.
"""

from __future__ import annotations

from enum import Enum, auto

from attrs import define


class _Named(Enum):
    """A state or a cause. Hashed by its identity: looking a pair up calls no function of Enum's."""

    __hash__ = object.__hash__


class Step(_Named):
    """What of the newest engine step is still to come, as far as its messages show."""

    WHOLE = False, False
    """Nothing: its best prices are the book's, or it has ended."""
    TOP_OPEN = True, False
    """Its best prices are not the book's yet. Not published."""
    HASH_OPEN = False, True
    """Its hash did not fit yet: checked again when more of it comes, and at its end."""
    OPEN = True, True
    """Both."""

    def __init__(self, by_top: bool, by_hash: bool) -> None:
        self.by_top = by_top
        self.by_hash = by_hash


class StepCause(_Named):
    """What opens and closes a step."""

    TOP_FITS = auto()
    """A message came whose best prices are the book's."""
    TOP_UNFIT = auto()
    """A message came whose best prices are others."""
    HASH_UNFIT = auto()
    """The hash was checked in the middle of the step, and did not fit."""
    HASH_DECIDED = auto()
    """The hash has nothing to add any more: it was judged, or its check was given up."""
    PROVED = auto()
    """The hash fits, or a probe's snapshot is equal: it has ended, whatever the best prices say."""
    ENDED = auto()
    """Another step began, the tick size changed, or nothing more has come in time."""
    REPLACED = auto()
    """A snapshot replaced the book."""


class Finding(_Named):
    """What the last whole step showed of the book: do its best prices differ; what of its hash."""

    UNVERIFIED = False, "unverified"
    VERIFIED = False, "verified"
    HASH_MISMATCH = False, "mismatch"
    TOP_MISMATCH = True, "unverified"
    """The best prices differ; no hash says anything."""
    TOP_MISMATCH_ONLY = True, "verified"
    """The best prices differ; the last hash that was checked, perhaps an earlier one, fitted."""
    BOTH_MISMATCH = True, "mismatch"

    def __init__(self, top_differs: bool, by_hash: str) -> None:
        self.top_differs = top_differs
        self.by_hash = by_hash
        self.integrity = "mismatch" if top_differs else by_hash
        """What users see."""
        self.reason = "top_mismatch" if top_differs else "hash_mismatch"
        """What a Gap says of the mismatch."""


class FindingCause(_Named):
    """What tells of a book."""

    TOP_AGREES = auto()
    """A step ended with the book's best prices."""
    TOP_DIFFERS = auto()
    """A step ended with others."""
    HASH_FITS = auto()
    """The hash of the newest step, or of the snapshot that has just come, fits."""
    HASH_DIFFERS = auto()
    """It does not, and no more of the step can explain it."""
    HASH_EXPLAINED = auto()
    """The hash that differed last fits with the print or tick size that just came."""
    HASH_UNKNOWN = auto()
    """The newest hash cannot be checked: missing, made up, or the recipe was given up."""
    REPLACED = auto()
    """A snapshot replaced the book, or a probe's is equal to it: what was found before is void."""


class Awaited(_Named):
    """What has been asked of the server about a book, and not been answered."""

    NOTHING = 0, False
    SUSPECT = 1, False
    """A probe is to be asked for: its mismatch has lasted."""
    SNAPSHOT = 2, True
    """The answer to a subscription."""
    PROBE = 3, True
    """The snapshot that a probe asked for."""

    def __init__(self, _: int, holds: bool) -> None:
        self.holds = holds
        """Whether changes are held until it comes."""


class AwaitedCause(_Named):
    """What asks, answers and gives up."""

    SUBSCRIBED = auto()
    """A subscription was sent."""
    LASTED = auto()
    """A mismatch has lasted for SUSPECT_SECONDS, while nothing was awaited."""
    PROBED = auto()
    """A probe is asked for: of a suspect, or of a book that is silent."""
    ANSWERED = auto()
    """A snapshot came that answers a subscription, the live connection's or a probe's."""
    GIVEN_UP = auto()
    """It will not come, or is not needed: the mismatch is over, the probe was judged or failed."""


WHOLE, TOP_OPEN, HASH_OPEN, OPEN = Step
UNVERIFIED, VERIFIED, HASH_MISMATCH, TOP_MISMATCH, TOP_MISMATCH_ONLY, BOTH_MISMATCH = Finding
NOTHING, SUSPECT, SNAPSHOT, PROBE = Awaited
_U, _V, _H, _T, _O, _B = Finding

_STEP_ROWS: dict[StepCause, tuple[Step | None, ...]] = {
    # from:                 WHOLE      TOP_OPEN  HASH_OPEN  OPEN
    StepCause.TOP_FITS: (None, WHOLE, HASH_OPEN, HASH_OPEN),  # WHOLE is not looked up
    StepCause.TOP_UNFIT: (TOP_OPEN, TOP_OPEN, OPEN, OPEN),
    StepCause.HASH_UNFIT: (HASH_OPEN, OPEN, HASH_OPEN, OPEN),
    StepCause.HASH_DECIDED: (WHOLE, TOP_OPEN, WHOLE, TOP_OPEN),
    StepCause.PROVED: (WHOLE, WHOLE, WHOLE, WHOLE),
    StepCause.ENDED: (WHOLE, WHOLE, None, None),  # its hash is decided first
    StepCause.REPLACED: (None, WHOLE, WHOLE, WHOLE),  # nor here
}
_FINDING_ROWS: dict[FindingCause, tuple[Finding | None, ...]] = {
    # from: UNVERIFIED, VERIFIED, HASH_MISMATCH, TOP_MISMATCH, TOP_MISMATCH_ONLY, BOTH_MISMATCH
    FindingCause.TOP_AGREES: (_U, _V, _H, _U, _V, _H),
    FindingCause.TOP_DIFFERS: (_T, _O, _B, _T, _O, _B),
    FindingCause.HASH_FITS: (_V, _V, _V, _V, _V, _V),
    FindingCause.HASH_DIFFERS: (_H, _H, _H, _B, _B, _B),
    FindingCause.HASH_EXPLAINED: (None, None, _V, None, None, _O),  # only what differed
    FindingCause.HASH_UNKNOWN: (_U, _U, _U, _T, _T, _T),
    FindingCause.REPLACED: (_U, _U, _U, _U, _U, _U),
}
_AWAITED_ROWS: dict[AwaitedCause, tuple[Awaited | None, ...]] = {
    # from:                   NOTHING   SUSPECT   SNAPSHOT  PROBE
    AwaitedCause.SUBSCRIBED: (SNAPSHOT, SNAPSHOT, SNAPSHOT, SNAPSHOT),
    AwaitedCause.LASTED: (SUSPECT, None, None, None),
    AwaitedCause.PROBED: (PROBE, PROBE, None, PROBE),
    AwaitedCause.ANSWERED: (NOTHING, NOTHING, NOTHING, NOTHING),
    AwaitedCause.GIVEN_UP: (None, NOTHING, NOTHING, NOTHING),
}

STEPS = {
    (state, cause): after
    for cause, row in _STEP_ROWS.items()
    for state, after in zip(Step, row, strict=True)
    if after is not None
}
FINDINGS = {
    (state, cause): after
    for cause, row in _FINDING_ROWS.items()
    for state, after in zip(Finding, row, strict=True)
    if after is not None
}
AWAITED = {
    (state, cause): after
    for cause, row in _AWAITED_ROWS.items()
    for state, after in zip(Awaited, row, strict=True)
    if after is not None
}


@define(eq=False)
class Verification:
    """The three states of one book, and the times they depend on. Used by the book's writer alone.

    The states are read as they are, and changed by the three methods.
    """

    step: Step = WHOLE
    finding: Finding = UNVERIFIED
    awaited: Awaited = NOTHING
    told_best: tuple[str | None, str | None] = (None, None)
    """The best bid and ask that came with the newest change, if they were not the book's."""
    changed_at: float = float("-inf")
    """Monotonic seconds at which the newest change arrived."""
    step_since: float = float("-inf")
    """Monotonic seconds since which the end of the step is awaited."""
    checked_at: float = float("-inf")
    """Monotonic seconds of the last check of a hash."""
    false_alarms: int = 0
    """Mismatches since the last answer to a subscription that a probe found to be none."""

    def move_step(self, cause: StepCause) -> None:
        self.step = STEPS[self.step, cause]

    def find(self, cause: FindingCause) -> None:
        self.finding = FINDINGS[self.finding, cause]

    def expect(self, cause: AwaitedCause) -> None:
        self.awaited = AWAITED[self.awaited, cause]

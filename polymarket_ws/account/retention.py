"""Which orders or trades are remembered: the open ones, and of the ended ones the newest."""

from __future__ import annotations

from collections import OrderedDict

from attrs import define, field

KEPT = 10_000  # of each kind; months of a busy account, and a bound for a worker that never ends
MOST_OPEN = 100_000  # of each kind: far more than an account can have open, so a server's fault


@define(eq=False)
class Retention:
    """Knows which ids are open, and in constant time which one is forgotten next.

    OrderedDicts, since of a dict whose first keys are always deleted the first one is found in
    linear time only.
    """

    told_at: dict[str, float] = field(factory=dict)
    """When each open one was last told, in monotonic seconds. Other threads may copy it."""
    dropped: int = 0
    """Open ones that were forgotten, since there were too many."""
    _open: OrderedDict[str, None] = field(factory=OrderedDict)
    """The open ones, the one told longest ago first."""
    _ended: OrderedDict[str, None] = field(factory=OrderedDict)
    """The others, the one that ended longest ago first."""

    def tell(self, id_: str, at: float, *, is_open: bool) -> str | None:
        """Take note of one that was told at `at`.

        Returns:
            The id to be forgotten, when there are too many now.
        """
        if is_open:
            self._ended.pop(id_, None)
            self.told_at[id_] = max(at, self.told_at.get(id_, at))
            self._open[id_] = None
            self._open.move_to_end(id_)
        elif id_ not in self._ended:
            if self.told_at.pop(id_, None) is not None:
                del self._open[id_]
            self._ended[id_] = None
        return self._surplus()

    def _surplus(self) -> str | None:
        if len(self._ended) > KEPT:
            return self._ended.popitem(last=False)[0]
        if len(self._open) > MOST_OPEN:
            id_ = self._open.popitem(last=False)[0]
            del self.told_at[id_]
            self.dropped += 1
            return id_
        return None

    def last_told_before(self, moment: float) -> list[str]:
        """The open ones that were last told before this moment. Any thread."""
        return [id_ for id_, at in self.told_at.copy().items() if at < moment]

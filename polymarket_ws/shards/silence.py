"""Which books have been silent for too long, each against its own rhythm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from attrs import define, field

from polymarket_ws.books.book import BookCore
from polymarket_ws.schedule import Schedule

LONGEST_LIMIT = 600.0  # seconds: the most by which a freeze after a quiet night is noticed late


@define
class _Patience:
    """How long one asset may be silent, counted from its last data or from `since`."""

    limit: float
    since: float


@define(eq=False)
class SilenceWatchdog:
    """The silence of one connection's books, sans-I/O. Used by its shard's thread alone.

    A book is suspected after `timeout` seconds without data. When a probe then finds it unchanged
    it was just quiet, and its limit doubles; when it becomes lively again the limit shrinks back.
    So each book is judged by its own rhythm, and a quiet night costs ever fewer probes. Receiving
    costs nothing here: the time of the last data is read from the core when a limit expires.

    Args:
        timeout: Seconds; `Options.data_timeout`.
    """

    timeout: float
    _patience: dict[str, _Patience] = field(factory=dict)
    _schedule: Schedule[str] = field(factory=Schedule)

    @property
    def deadline(self) -> float:
        """When `suspects` is to be asked again; inf while nothing is watched."""
        return self._schedule.next_due

    def begin(self, asset_ids: Iterable[str], now: float, *, anew: bool) -> None:
        """Watch exactly these from now on; what is known of their rhythm stays.

        Args:
            anew: The connection is a new one: nobody has been silent yet.
        """
        former, self._patience = self._patience, {}
        self._schedule.clear()
        for asset_id in asset_ids:
            known = former.get(asset_id)
            limit = known.limit if known is not None else self.timeout
            since = known.since if known is not None and not anew else now
            self._patience[asset_id] = _Patience(limit, since)
            self._schedule.put(asset_id, since + limit)

    def suspects(self, cores: Mapping[str, BookCore], now: float) -> list[str]:
        """The live books whose limit has expired without data; each is asked about again later."""
        due = self._schedule.take_due(now)
        return sorted(asset_id for asset_id in due if self._is_silent(asset_id, cores, now))

    def _is_silent(self, asset_id: str, cores: Mapping[str, BookCore], now: float) -> bool:
        patience, core = self._patience[asset_id], cores.get(asset_id)
        heard_at = max(patience.since, (core and core.received_at) or 0.0)
        if now - heard_at >= patience.limit:
            patience.since = now
            self._schedule.put(asset_id, now + patience.limit)
            return core is not None and core.valid
        if now - heard_at < patience.limit / 4:
            patience.limit = max(self.timeout, patience.limit / 2)
        self._schedule.put(asset_id, max(heard_at + patience.limit, now))
        return False

    def was_quiet(self, asset_ids: Iterable[str], now: float) -> None:
        """Nothing had happened to these: be more patient with them."""
        self._set(asset_ids, now, lambda limit: min(LONGEST_LIMIT, limit * 2))

    def was_frozen(self, asset_ids: Iterable[str], now: float) -> None:
        """Something had happened to these: be as strict as at first."""
        self._set(asset_ids, now, lambda _: self.timeout)

    def _set(self, asset_ids: Iterable[str], now: float, rule: Callable[[float], float]) -> None:
        for asset_id in asset_ids:
            patience = self._patience.get(asset_id)
            if patience is not None:
                patience.limit, patience.since = rule(patience.limit), now
                self._schedule.drop(asset_id)
                self._schedule.put(asset_id, now + patience.limit)

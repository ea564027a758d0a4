"""Which connection serves which asset: filled, drained, and never reshuffled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import define, field

from polymarket_ws.events import Event, Family, Scope

_BY_ASSET, _MARKET_DATA = Scope.ASSET, Family.MARKET  # asked of each event

REMEMBERED = 10_000  # markets of assets that are wanted no more: they may come back


@define(eq=False)
class Partition:
    """Splits assets over connections, at most `limit` each. Sans-I/O.

    An asset stays where it is for as long as it is wanted, since its events keep their order on one
    connection only. What is left free is filled first; the tokens of a market are put together
    where the market is known and they fit, even if a place stays free elsewhere. One thread at a
    time calls `assign`; any thread calls `share`.
    """

    limit: int
    _parts: list[set[str]] = field(factory=list)
    _part_of: dict[str, int] = field(factory=dict)
    _markets: dict[str, str] = field(factory=dict)
    """Of assets that have left."""
    _market_of: Callable[[str], str] = field(default=lambda asset_id: "")
    """The one that knows the assets which are wanted so far."""

    def assign(
        self, wanted: Iterable[str], market_of: Callable[[str], str]
    ) -> list[frozenset[str]]:
        """The assets of each connection, by its number; an empty one is drained.

        Args:
            wanted: All assets; new ones are put where there is room, in this order, but those
                whose market has a connection first.
            market_of: The market of a wanted asset; "" where it is not known yet. Kept, and asked
                again when the asset leaves.
        """
        ordered = list(dict.fromkeys(wanted))
        self._drain(frozenset(ordered))
        self._market_of = market_of
        homes = {self._market(a) or a: number for a, number in self._part_of.items()}
        added: dict[str, list[str]] = {}
        for asset_id in ordered:
            if asset_id not in self._part_of:
                added.setdefault(self._market(asset_id) or asset_id, []).append(asset_id)
        for market in sorted(added, key=lambda market: market not in homes):
            self._place(added[market], homes.get(market))
        return [frozenset(part) for part in self._parts]

    def share(self, number: int, event: Event) -> Event | None:
        """What a connection has to tell of an event that it received; None for nothing.

        A change of both tokens of a market comes over both connections when these are split, and
        what was on its way when an asset left comes beside what its next connection brings. What is
        wanted of no connection stays in: a change also names the complement that nobody subscribed.
        """
        if event.scope is not _BY_ASSET or event.family is not _MARKET_DATA:
            return event
        part_of, assets = self._part_of, event.assets
        if len(assets) == 1:  # most kinds: not worth a list
            return event if part_of.get(assets[0], number) == number else None
        owners = [part_of.get(asset_id) for asset_id in assets]
        if owners.count(number) + owners.count(None) == len(owners):
            return event
        if number not in owners:
            return None
        shares = zip(assets, owners, strict=True)
        mine = event.narrowed_to({a for a, owner in shares if owner in (None, number)})
        if mine is not event:
            return mine
        # One that cannot be divided is told by the connection of its first wanted asset.
        return event if number == next(owner for owner in owners if owner is not None) else None

    def _market(self, asset_id: str) -> str:
        return self._market_of(asset_id) or self._markets.get(asset_id, "")

    def _drain(self, wanted: frozenset[str]) -> None:
        for asset_id in self._part_of.keys() - wanted:
            self._remember(asset_id)
            self._parts[self._part_of.pop(asset_id)].discard(asset_id)

    def _remember(self, asset_id: str) -> None:
        market = self._market(asset_id)
        if market:
            self._markets[asset_id] = market
            if len(self._markets) > REMEMBERED:
                del self._markets[next(iter(self._markets))]

    def _place(self, twins: Sequence[str], home: int | None) -> None:
        """Put new assets of one market together, as far as there is room.

        Args:
            twins: The assets.
            home: The connection of another one of their market; None without one.
        """
        for done, asset_id in enumerate(twins):
            if home is None or len(self._parts[home]) >= self.limit:
                home = self._room(min(len(twins) - done, self.limit))
            self._part_of[asset_id] = home
            self._parts[home].add(asset_id)

    def _room(self, places: int) -> int:
        """The first connection with so many places left."""
        for number, part in enumerate(self._parts):
            if len(part) + places <= self.limit:
                return number
        self._parts.append(set())
        return len(self._parts) - 1

"""What is held of one asset: the sum of its fills, and of what was held before them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection
from decimal import Decimal, InvalidOperation
from enum import Enum, auto
from operator import attrgetter

from attrs import define, field, frozen

from polymarket_ws.events import Fill, Side

from .statuses import CONFIRMED, FAILED

MOST_ENTRIES = 1_000  # fills of one asset whose order in time can still change its average price

_NOTHING = Decimal(0)
_PLACES = Decimal("1E-10")  # of an average price

Key = tuple[int, int, str, str]
"""Where a fill stands among others in time: match time, first message, then ids."""


@frozen(kw_only=True)
class Position:
    """What is held of one asset, by one's own fills. In shares.

    Tokens that were split, merged, redeemed or sent have no fills: they count only by what the
    data API said of them when the account was last reconciled over REST.
    """

    asset_id: str
    """Token id."""
    market: str | None
    """The condition id; None where no fill has named it."""
    size: Decimal
    """Bought less sold, without what FAILED. Below 0 where not all that was bought is known."""
    confirmed: Decimal
    """What could be sold now: confirmed buys less all sells that are not FAILED."""
    pending: Decimal
    """Bought, and not confirmed yet."""
    average_price: Decimal | None
    """What the shares that are held cost, on average; a sale takes its shares out at this average.
    None when none are held, or some have no known price."""
    complete: bool
    """Whether nothing is known to be missing: `Account.complete`, and what was held at the start
    was asked for."""


class Place(Enum):
    """Where a fill is counted."""

    NOWHERE = auto()
    """It FAILED, or whether it was bought or sold is not known."""
    ENTRY = auto()
    """Among the entries, each of which can still be taken out."""
    BASE = auto()
    """In what was held before the first entry."""
    SEED = auto()
    """In what the data API said is held."""


@define(eq=False)
class Row:
    """One fill as it is held, with its place in time."""

    fill: Fill
    key: Key
    ledger: Ledger | None = None
    """The asset's; None while the asset is not known."""
    place: Place = Place.NOWHERE

    def move(self, key: Key) -> None:
        """It came earlier than was known: give it its place in time."""
        if self.ledger is None:
            self.key = key
        else:
            self.ledger.move(self, key)


_key = attrgetter("key")
_Held = tuple[Decimal, Decimal | None]
"""Size, and what it cost; None where that is not known."""


@define(eq=False)
class Ledger:
    """The fills of one asset in time's order, and the sums of them.

    Written by one thread. `total` is replaced whole, so any thread may read it. A change costs as
    much as there are entries after it: mostly none, at most MOST_ENTRIES.
    """

    asset_id: str
    market: str | None = None
    rows: dict[tuple[str, str | None], Row] = field(factory=dict)
    """All fills of the asset, FAILED ones too, by trade and order."""
    total: tuple[Decimal, Decimal, Decimal | None] = (_NOTHING, _NOTHING, None)
    """Size, pending and average price."""
    _seeded: Collection[str] = frozenset()
    """The trades that the seed has already."""
    _base: _Held = (_NOTHING, _NOTHING)
    """What was held before the first entry."""
    _entries: list[Row] = field(factory=list)
    _after: list[_Held] = field(factory=list)
    """What was held after each entry."""
    _pending: Decimal = _NOTHING

    def put(self, row: Row, fill: Fill) -> None:
        """Take a fill, which is new or has a new status, in the place of its row's former one."""
        self.market = self.market or fill.market
        self.rows[fill.trade_id, fill.order_id] = row
        self._pending -= _pending_part(row)
        if row.place is Place.NOWHERE and fill.trade_id in self._seeded:
            row.place = Place.SEED
        if row.place is not Place.SEED and (
            row.place is Place.NOWHERE or _effect(fill) != _effect(row.fill)
        ):
            self._take_out(row)
            row.fill = fill
            self._insert(row)
        row.fill = fill
        self._pending += _pending_part(row)
        self._sum_up()

    def move(self, row: Row, key: Key) -> None:
        """Give a fill another place in time; one that is in the base stays there."""
        is_entry = row.place is Place.ENTRY
        if is_entry:
            self._take_out(row)
        row.key = key
        if is_entry:
            self._insert(row)
            self._sum_up()

    def forget(self, row: Row) -> None:
        """Forget a fill, but not what it has done to the sums."""
        if row.place is Place.ENTRY:
            self._fold(bisect_left(self._entries, row.key, key=_key) + 1)
        self._pending -= _pending_part(row)
        del self.rows[row.fill.trade_id, row.fill.order_id]
        self._sum_up()

    def seed(self, size: Decimal, average: Decimal | None, counted: Collection[str]) -> None:
        """Start from what somebody else says is held.

        Args:
            size: In shares.
            average: What one of them cost; None where it is not known.
            counted: The ids of the trades that the size has in it; all others come on top.
        """
        self._seeded = counted
        self._base = size, _cost(size, average)
        for row in self.rows.values():
            is_counted = row.fill.trade_id in counted
            row.place = Place.SEED if is_counted else Place.NOWHERE
        self._entries = sorted((row for row in self.rows.values() if _counts(row)), key=_key)
        for row in self._entries:
            row.place = Place.ENTRY
        self._pending = sum(map(_pending_part, self.rows.values()), _NOTHING)
        self._recount(0)
        self._sum_up()

    def _insert(self, row: Row) -> None:
        if not _counts(row):
            return
        row.place = Place.ENTRY
        index = bisect_left(self._entries, row.key, key=_key)
        self._entries.insert(index, row)
        self._recount(index)
        if len(self._entries) > MOST_ENTRIES:
            self._fold(MOST_ENTRIES // 2)

    def _take_out(self, row: Row) -> None:
        if row.place is Place.ENTRY:
            index = bisect_left(self._entries, row.key, key=_key)
            del self._entries[index]
            self._recount(index)
        elif row.place is Place.BASE:
            self._base = _without(self._base, row.fill)
            self._recount(0)
        row.place = Place.NOWHERE

    def _recount(self, index: int) -> None:
        """Say anew what was held after this entry and each later one."""
        del self._after[index:]
        held = self._after[-1] if self._after else self._base
        for row in self._entries[index:]:
            held = _with(held, row.fill)
            self._after.append(held)

    def _fold(self, count: int) -> None:
        """Keep the effect of the first entries, and not their order."""
        self._base = self._after[count - 1]
        for row in self._entries[:count]:
            row.place = Place.BASE
        del self._entries[:count], self._after[:count]

    def _sum_up(self) -> None:
        size, cost = self._after[-1] if self._after else self._base
        self.total = size, self._pending, _average(size, cost)


def _average(size: Decimal, cost: Decimal | None) -> Decimal | None:
    if cost is None or size <= 0:
        return None
    try:
        return (cost / size).quantize(_PLACES).normalize()
    except InvalidOperation:  # a price that is none: it has too many digits
        return None


def _counts(row: Row) -> bool:
    return row.place is not Place.SEED and _effect(row.fill) is not None


def _effect(fill: Fill) -> tuple[Side, Decimal, Decimal | None] | None:
    """What a fill does to what is held; None for nothing."""
    if fill.status == FAILED or fill.side is None:
        return None
    return fill.side, fill.size, fill.price


def _pending_part(row: Row) -> Decimal:
    """What was bought by a fill that is counted, and is not confirmed."""
    is_pending = (
        row.place in (Place.ENTRY, Place.BASE)
        and row.fill.side is Side.BUY
        and row.fill.status != CONFIRMED
    )
    return row.fill.size if is_pending else _NOTHING


def _cost(size: Decimal, price: Decimal | None) -> Decimal | None:
    return size * price if price is not None else None if size else _NOTHING


def _with(held: _Held, fill: Fill) -> _Held:
    """What is held after a fill, given what was held before it."""
    size, cost = held
    if fill.side is Side.SELL:
        left = size - fill.size
        if cost is None or left <= 0:
            return left, None if left > 0 else _NOTHING
        return left, cost * left / size
    after = size + fill.size
    if size < 0:  # some of it had been sold before it was known to be bought
        return after, _cost(max(after, _NOTHING), fill.price)
    added = _cost(fill.size, fill.price)
    return after, None if cost is None or added is None else cost + added


def _without(held: _Held, fill: Fill) -> _Held:
    """What is held without a fill whose place in time is not known any more."""
    size, cost = held
    is_sale = fill.side is Side.SELL
    after = size + fill.size if is_sale else size - fill.size
    if after <= 0:
        return after, _NOTHING
    if is_sale:
        return after, None if cost is None or size <= 0 else cost * after / size
    taken = _cost(fill.size, fill.price)
    return after, None if cost is None or taken is None else cost - taken

"""Which trades name orders of which nobody has said whose they are."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field


@define(eq=False)
class Unclaimed:
    """A trade may come before the order of one's own that it names, and names others' orders too.

    As large as the trades that are remembered, no more.
    """

    _trades: dict[str, list[str]] = field(factory=dict)
    """The ids of the trades that name an order."""

    def note(self, trade_id: str, order_ids: Iterable[str]) -> None:
        """A trade names these orders; each pair is noted once."""
        for order_id in order_ids:
            self._trades.setdefault(order_id, []).append(trade_id)

    def claim(self, order_id: str) -> list[str]:
        """An order is one's own: the trades that name it."""
        return self._trades.pop(order_id, [])

    def forget(self, trade_id: str, order_ids: Iterable[str]) -> None:
        """A trade is remembered no more; mostly it is the first of each order's."""
        for order_id in order_ids:
            trade_ids = self._trades.get(order_id, [])
            if trade_id in trade_ids:
                trade_ids.remove(trade_id)
                if not trade_ids:
                    del self._trades[order_id]

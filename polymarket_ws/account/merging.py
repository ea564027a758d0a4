"""Several messages of one order or trade as one value: the furthest, completed by the others."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import attrs
from attrs import evolve

from polymarket_ws.events import Order, Trade

# A message says of these what it is, not what the order or trade is.
_OF_THE_MESSAGE = frozenset(
    {"id", "type", "status", "source", "timestamp_ms", "received_at_ns", "extra"}
)


def _lasting(cls: type[Order] | type[Trade]) -> tuple[str, ...]:
    return tuple(f.name for f in attrs.fields(cls) if f.name not in _OF_THE_MESSAGE)


_ORDER_FIELDS, _TRADE_FIELDS = _lasting(Order), _lasting(Trade)
_read_order, _read_trade = attrgetter(*_ORDER_FIELDS), attrgetter(*_TRADE_FIELDS)


def merged_order(further: Order, other: Order) -> Order:
    """The further of two messages, with what only the other says; `size_matched` never falls."""
    added = _absent(_ORDER_FIELDS, _read_order(further), _read_order(other))
    held, told = further.size_matched, other.size_matched
    if told is not None and (held is None or told > held):
        added["size_matched"] = told
    return evolve(further, **added) if added else further


def merged_trade(further: Trade, other: Trade) -> Trade:
    """The further of two messages, with what only the other says."""
    added = _absent(_TRADE_FIELDS, _read_trade(further), _read_trade(other))
    return evolve(further, **added) if added else further


def _absent(
    names: tuple[str, ...], values: tuple[Any, ...], others: tuple[Any, ...]
) -> dict[str, Any]:
    if values == others:
        return {}
    return {
        name: other
        for name, value, other in zip(names, values, others)  # noqa: B905 - of one length
        if (value is None or value == () or value == "") and other not in (None, (), "")
    }

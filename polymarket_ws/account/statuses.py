"""The ladders of statuses: which message of an order or a trade is further than another, and which
is the end.

An order's status (docs.polymarket.com/api-reference/wss/user, and captures):

    DELAYED -> UNMATCHED -> LIVE -> MATCHED            all of it was matched
                                 -> CANCELED...        also INVALID, EXPIRED and free text

A trade's:

    MATCHED_NOT_BROADCASTED -> MATCHED -> MINED, RETRYING -> CONFIRMED or FAILED

MATCHED: the exchange matched it. MINED: its transaction is in a block. RETRYING: the transaction
failed and is sent again; so MINED and RETRYING are one step, and the later of the two holds.
CONFIRMED: it is final. FAILED: it is final too, and nothing was exchanged. A status that is not
known is shown, stands beside LIVE, or MINED, and is no end.
"""

from __future__ import annotations

from collections.abc import Container
from decimal import Decimal

from polymarket_ws.events import Order, Trade

FAILED = "FAILED"
CONFIRMED = "CONFIRMED"
UNKNOWN = "UNKNOWN"
"""Of an order that has ended, nobody knows how."""

_FINAL = frozenset({CONFIRMED, FAILED})
_TRADE_RANKS = {"": 0, "MATCHED_NOT_BROADCASTED": 1, "MATCHED": 2, CONFIRMED: 4, FAILED: 4}
_UNKNOWN_TRADE_RANK = 3  # MINED, RETRYING and what is not known

_ORDER_RANKS = {"DELAYED": 0, "UNMATCHED": 1, "MATCHED": 3, UNKNOWN: 4}
_LIVE_RANK = 2
_CANCELED, _MATCHED = 0, 1
_ENDINGS = ("CANCEL", "INVALID", "EXPIRED")
_NEVER_RESTING = frozenset({"FOK", "FAK", "IOC"})
_NOTHING = Decimal(0)

OrderStep = tuple[bool, Decimal, int]
"""Whether it has ended, the shares matched, and the rung of its status."""


def order_step(order: Order) -> OrderStep:
    """How far an order has come by this message; of two messages the greater is the later."""
    status, matched = order.status or "", order.size_matched or _NOTHING
    if order.type == "CANCELLATION" or status.upper().startswith(_ENDINGS):
        return True, matched, _CANCELED
    if status == "MATCHED" and not _may_rest(order):
        return True, matched, _MATCHED
    if status in ("", "LIVE") and matched and matched == order.original_size:
        return True, matched, _MATCHED
    if not status and order.type == "UPDATE":
        return False, matched, _LIVE_RANK + 1  # a match, of which nothing is said
    return False, matched, _ORDER_RANKS.get(status, _LIVE_RANK)


def _may_rest(order: Order) -> bool:
    """Whether a MATCHED order was matched in part, and what is left of it may rest in the book."""
    return (
        order.size_matched is not None
        and order.original_size is not None
        and order.size_matched < order.original_size
        and order.order_type not in _NEVER_RESTING
    )


def is_open(order: Order) -> bool:
    """Whether it can still be matched."""
    return order.status != UNKNOWN and not order_step(order)[0]


def is_later_order(new: Order, old: Order) -> bool:
    """Whether a message of an order is further than the one that is held."""
    new_step, old_step = order_step(new), order_step(old)
    if new_step != old_step:
        return new_step > old_step
    if new_step[0] or new.status == old.status:
        return False
    return (new.timestamp_ms, new.status or "") > (old.timestamp_ms, old.status or "")


def is_final(trade: Trade) -> bool:
    """Whether its status is the last."""
    return trade.status in _FINAL


def is_later_trade(new: Trade, old: Trade, told: Container[str | None] = ()) -> bool:
    """Whether a message of a trade is further than the one that is held.

    Args:
        new: The message.
        old: What is held.
        told: The statuses that came before. Of two on one step and of one time, the one that did
            not is the later.
    """
    new_rank, old_rank = _trade_rank(new), _trade_rank(old)
    if new_rank != old_rank:
        return new_rank > old_rank
    if old.status in _FINAL or new.status == old.status:
        return False
    if new.timestamp_ms != old.timestamp_ms:
        return new.timestamp_ms > old.timestamp_ms
    return new.status not in told


def _trade_rank(trade: Trade) -> int:
    return _TRADE_RANKS.get(trade.status or "", _UNKNOWN_TRADE_RANK)

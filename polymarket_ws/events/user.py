"""What the user channel sends: one's own orders and trades."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from attrs import field, frozen

from .values import Family, Scope, Side, TimedEvent, Value, wire


@frozen(kw_only=True, repr=False)
class OwnEvent(TimedEvent):
    """One's own order or trade. Never dropped: a queue that holds too many ends the run instead."""

    family: ClassVar[Family] = Family.OWN
    scope: ClassVar[Scope] = Scope.MARKET
    may_be_dropped: ClassVar[bool] = False


@frozen(kw_only=True, repr=False)
class Order(OwnEvent):
    """One's own order was placed, (partly) matched or cancelled."""

    event_type: ClassVar[str] = "order"
    wire_types: ClassVar[tuple[str, ...]] = ("PLACEMENT", "UPDATE", "CANCELLATION")
    _shown: ClassVar[tuple[str, ...]] = ("id", "type", "status", "side", "price", "size_matched")

    id: str
    """The order's hash."""
    type: str
    """PLACEMENT, UPDATE (a match) or CANCELLATION; open to more."""
    market: str
    asset_id: str
    side: Side
    price: Decimal
    original_size: Decimal
    size_matched: Decimal | None = None
    """None where the server wrote "" (a killed fill-or-kill order)."""
    status: str | None = None
    """LIVE, MATCHED, DELAYED, UNMATCHED, CANCELED, INVALID, CANCELED_... and free text; open."""
    owner: str | None = None
    """API key of the owner."""
    order_owner: str | None = None
    associate_trades: tuple[str, ...] = ()
    """Ids of the trades that it took part in."""
    outcome: str | None = None
    created_at_ms: int | None = field(default=None, metadata=wire("created_at", seconds=True))
    expiration_ms: int | None = field(default=None, metadata=wire("expiration", seconds=True))
    """None when it does not expire (the wire's "0")."""
    order_type: str | None = None
    """GTC, GTD, FOK, FAK; open."""
    maker_address: str | None = None


@frozen(kw_only=True, repr=False)
class MakerOrder(Value):
    """One resting order that a trade filled; perhaps another user's, or of the other token."""

    _shown: ClassVar[tuple[str, ...]] = ("order_id", "matched_amount", "price")

    order_id: str
    owner: str | None = None
    matched_amount: Decimal
    """Shares."""
    price: Decimal
    asset_id: str | None = None
    """May be the opposite token, at 1 less the price."""
    maker_address: str | None = None
    fee_rate_bps: Decimal | None = field(default=None, metadata=wire("fee_rate_bps", signed=True))
    outcome: str | None = None
    outcome_index: int | None = None
    side: Side | None = None


@frozen(kw_only=True, repr=False)
class Trade(OwnEvent):
    """One's own trade, told once for each status."""

    event_type: ClassVar[str] = "trade"
    wire_types: ClassVar[tuple[str, ...]] = ("TRADE",)
    _shown: ClassVar[tuple[str, ...]] = ("id", "status", "side", "price", "size")

    id: str
    """The same for each status."""
    status: str
    """MATCHED, MINED, CONFIRMED (final), RETRYING, FAILED (final); open. Without REST's prefix."""
    type: str | None = None
    market: str
    asset_id: str
    side: Side
    """The taker's."""
    size: Decimal
    """The taker's, in all."""
    price: Decimal
    taker_order_id: str | None = None
    owner: str | None = None
    """API key of the taker."""
    trade_owner: str | None = None
    match_time_ms: int | None = field(
        default=None, metadata=wire("match_time", "matchtime", seconds=True)
    )
    """The docs of June 2026 said "matchtime": accepted too."""
    last_update_ms: int | None = field(default=None, metadata=wire("last_update", seconds=True))
    fee_rate_bps: Decimal | None = field(default=None, metadata=wire("fee_rate_bps", signed=True))
    outcome: str | None = None
    maker_address: str | None = None
    transaction_hash: str | None = None
    """May be "" while MATCHED."""
    bucket_index: int | None = None
    trader_side: str | None = None
    """TAKER or MAKER: your part. As MAKER your fills are the `maker_orders` with your owner."""
    maker_orders: tuple[MakerOrder, ...] = ()

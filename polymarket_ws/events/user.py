"""What the user channel sends, one's own orders and trades, and the fills that are made of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from attrs import field, frozen

from .values import Family, Scope, Side, TimedEvent, Value, wire


@frozen(kw_only=True, repr=False)
class OwnEvent(TimedEvent):
    """One's own order, trade or fill. Never dropped: a queue that holds too many ends the run.

    It is told whatever the server left out: what is missing is None.
    """

    family: ClassVar[Family] = Family.OWN
    scope: ClassVar[Scope] = Scope.MARKET
    may_be_dropped: ClassVar[bool] = False

    timestamp_ms: int = field(metadata=wire("timestamp", expected=True))
    """The server's time in milliseconds since 1970; where it has none the time of arrival."""
    source: str = "stream"
    """"stream" (the user channel) or "rest" (the REST API, asked for what the channel missed).
    `to_dict` leaves "stream" out."""

    def to_dict(self) -> dict[str, Any]:
        """This event as the wire writes it: its names, numbers as strings; `source` if "rest"."""
        written = super().to_dict()
        return written if self.source == "stream" else {"source": self.source, **written}


@frozen(kw_only=True, repr=False)
class Order(OwnEvent):
    """One's own order was placed, (partly) matched or cancelled."""

    event_type: ClassVar[str] = "order"
    wire_types: ClassVar[tuple[str, ...]] = ("PLACEMENT", "UPDATE", "CANCELLATION")
    _shown: ClassVar[tuple[str, ...]] = ("id", "type", "status", "side", "price", "size_matched")

    id: str
    """The order's hash."""
    type: str | None = field(default=None, metadata=wire("type", expected=True))
    """PLACEMENT, UPDATE (a match) or CANCELLATION; open to more. None of REST."""
    market: str | None = field(default=None, metadata=wire("market", expected=True))
    """Condition id."""
    asset_id: str | None = field(default=None, metadata=wire("asset_id", expected=True))
    """Token id."""
    side: Side | None = field(default=None, metadata=wire("side", expected=True))
    """BUY or SELL."""
    price: Decimal | None = field(default=None, metadata=wire("price", expected=True))
    """The limit, for one share in USDC."""
    original_size: Decimal | None = field(
        default=None, metadata=wire("original_size", expected=True)
    )
    """Shares, as it was placed."""
    size_matched: Decimal | None = None
    """Never less than it was told before. None where the server wrote "" (a killed fill-or-kill
    order) and had told nothing before."""
    status: str | None = None
    """LIVE, MATCHED, DELAYED, UNMATCHED, CANCELED, INVALID, CANCELED_... and free text; open.
    "UNKNOWN" (ours): REST does not list it any more, and its fills do not say how it ended."""
    owner: str | None = None
    """API key of the owner."""
    order_owner: str | None = None
    """The same as `owner`; None where the server sent none."""
    associate_trades: tuple[str, ...] = ()
    """Ids of the trades that it took part in."""
    outcome: str | None = None
    """The token's outcome, such as Yes; None without."""
    created_at_ms: int | None = field(default=None, metadata=wire("created_at", seconds=True))
    """Milliseconds since 1970; None where the server sent none."""
    expiration_ms: int | None = field(default=None, metadata=wire("expiration", seconds=True))
    """None when it does not expire (the wire's "0")."""
    order_type: str | None = None
    """GTC, GTD, FOK, FAK; open."""
    maker_address: str | None = None
    """The wallet that the order is of; None where the server sent none."""


@frozen(kw_only=True, repr=False)
class MakerOrder(Value):
    """One resting order that a trade filled; perhaps another user's, or of the other token."""

    _shown: ClassVar[tuple[str, ...]] = ("order_id", "matched_amount", "price")

    order_id: str
    """The order's hash."""
    owner: str | None = None
    """API key of its owner; None where the server sent none."""
    matched_amount: Decimal
    """Shares."""
    price: Decimal | None = None
    """At which it was filled, in terms of its own token. REST adds float noise:
    "0.7210000476613491"."""
    asset_id: str | None = None
    """May be the opposite token, at 1 less the price."""
    maker_address: str | None = None
    """The wallet that it is of; None where the server sent none."""
    fee_rate_bps: Decimal | None = field(default=None, metadata=wire("fee_rate_bps", signed=True))
    """In hundredths of a percent; None without."""
    outcome: str | None = None
    """Its token's outcome, such as Yes; None without."""
    outcome_index: int | None = None
    """That outcome's place in the market, from 0; None without."""
    side: Side | None = None
    """BUY or SELL; None where the server sent none."""


@frozen(kw_only=True, repr=False)
class Trade(OwnEvent):
    """One's own trade, told once for each status."""

    event_type: ClassVar[str] = "trade"
    wire_types: ClassVar[tuple[str, ...]] = ("TRADE",)
    _shown: ClassVar[tuple[str, ...]] = ("id", "status", "side", "price", "size")

    id: str
    """The same for each status."""
    status: str | None = field(default=None, metadata=wire("status", expected=True))
    """MATCHED, MINED, CONFIRMED (final), RETRYING, FAILED (final); open. Without REST's prefix."""
    type: str | None = None
    """"TRADE"; None where the server sent none."""
    market: str | None = field(default=None, metadata=wire("market", expected=True))
    """Condition id."""
    asset_id: str | None = field(default=None, metadata=wire("asset_id", expected=True))
    """The token that the taker traded."""
    side: Side | None = field(default=None, metadata=wire("side", expected=True))
    """The taker's."""
    size: Decimal | None = field(default=None, metadata=wire("size", expected=True))
    """The taker's, in all."""
    price: Decimal | None = field(default=None, metadata=wire("price", expected=True))
    """The taker's, for one share in USDC."""
    taker_order_id: str | None = None
    """The hash of the taker's order; None where the server sent none."""
    owner: str | None = None
    """API key of the taker."""
    trade_owner: str | None = None
    """An API key, as the server wrote it; None without."""
    match_time_ms: int | None = field(
        default=None, metadata=wire("match_time", "matchtime", seconds=True)
    )
    """The docs of June 2026 said "matchtime": accepted too."""
    last_update_ms: int | None = field(default=None, metadata=wire("last_update", seconds=True))
    """Milliseconds since 1970; None where the server sent none."""
    fee_rate_bps: Decimal | None = field(default=None, metadata=wire("fee_rate_bps", signed=True))
    """In hundredths of a percent; None without."""
    outcome: str | None = None
    """The token's outcome, such as Yes; None without."""
    maker_address: str | None = None
    """A wallet, as the server wrote it; None without."""
    transaction_hash: str | None = None
    """May be "" while MATCHED."""
    bucket_index: int | None = None
    """The server's number of this part of a trade that was settled in several; None without."""
    trader_side: str | None = None
    """TAKER or MAKER: your part. Your own side, size and price are in each `Fill` of the trade."""
    maker_orders: tuple[MakerOrder, ...] = ()
    """The resting orders that it filled, those of other users too."""


@frozen(kw_only=True, repr=False)
class Fill(OwnEvent):
    """One's own part in a trade, told once for each status of the trade.

    Made of a `Trade` and one's orders, never sent: a trade itself has the taker's side, size and
    price, and the orders of others. A trade in which two of one's orders met has two fills.
    """

    event_type: ClassVar[str] = "fill"
    is_sent: ClassVar[bool] = False
    _shown: ClassVar[tuple[str, ...]] = ("order_id", "role", "status", "side", "price", "size")

    trade_id: str
    """The trade's id."""
    order_id: str | None
    """One's own order; None where the trade does not name the taker's."""
    market: str | None
    """Condition id."""
    asset_id: str | None
    """The order's own token: perhaps the opposite of the trade's."""
    outcome: str | None
    """Of that token, such as "Yes"."""
    side: Side | None
    """What one's own order did."""
    price: Decimal | None
    """Of the order's own token, without REST's float noise."""
    size: Decimal
    """Shares that this order was filled with."""
    fee_rate_bps: Decimal | None
    """The order's fee rate, in hundredths of a percent."""
    role: str
    """"TAKER" or "MAKER"."""
    status: str | None
    """The trade's: MATCHED, MINED, RETRYING, CONFIRMED (final), FAILED (final: it counts for
    nothing); open."""

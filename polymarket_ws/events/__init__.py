"""The frozen values that callbacks receive; fields carry the wire's names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, NamedTuple

import attrs
from attrs import field, frozen

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
ZERO = Decimal(0)


class Side(str, Enum):
    """BUY (the bids) or SELL (the asks). Equal to its text, and printed as it."""

    BUY = "BUY"
    SELL = "SELL"

    __str__ = str.__str__


class State(str, Enum):
    """What a Subscriber is doing. Equal to its text, and printed as it."""

    IDLE = "IDLE"
    """Not started, or nothing is wanted: no connection."""
    CONNECTING = "CONNECTING"
    """Started; a channel has not been up yet in this run."""
    LIVE = "LIVE"
    """Every channel is connected and no subscribed book is stale."""
    DEGRADED = "DEGRADED"
    """A channel is being reconnected, or a subscribed book is stale."""
    STOPPED = "STOPPED"
    """stop() was called and the threads have ended, or are about to."""
    FAILED = "FAILED"
    """A fatal error ended the run; `Subscriber.error` has it."""

    __str__ = str.__str__


class Level(NamedTuple):
    """One price level. A named tuple, so that `for price, size in book.bids` works."""

    price: Decimal
    """The price of one share in USDC, between 0 and 1."""
    size: Decimal
    """Shares resting there, all orders together."""


def wire(name: str, *, seconds: bool = False, worst_first: bool = False) -> dict[str, object]:
    """Field metadata: the field's name on the wire, and how its value is written there."""
    return {"wire": name, "seconds": seconds, "worst_first": worst_first}


@frozen(kw_only=True, repr=False)
class Value:
    """What all values share: unknown fields, and the way back to the wire's shape."""

    extra: Mapping[str, Any] = field(factory=dict, hash=False)
    """Fields of the wire that this version does not know, as parsed from JSON."""

    def to_dict(self) -> dict[str, Any]:
        """This value as the wire writes it: its names, numbers as strings, levels worst first."""
        fields = [f for f in attrs.fields(type(self)) if f.metadata or f.name not in _OURS]
        written = {
            f.metadata.get("wire", f.name): _to_wire(getattr(self, f.name), f.metadata)
            for f in fields
            if getattr(self, f.name) is not None
        }
        return {**written, **self.extra}

    def __repr__(self) -> str:
        shown = (f"{n}={_short(getattr(self, n))}" for n in self._shown if _is_set(self, n))
        return f"{type(self).__name__}({', '.join(shown)})"

    _shown: ClassVar[tuple[str, ...]] = ()


@frozen(kw_only=True, repr=False)
class Event(Value):
    """Anything a callback is called with, but for a LiveBook and an exception."""

    event_type: ClassVar[str] = ""
    """The wire's name of this kind of event; of our own kinds, the callback's without `on_`."""

    received_at_ns: int = field(default=0, eq=False)
    """Wall time in nanoseconds since 1970 at which its bytes were read (ours: when it was made)."""


@frozen(kw_only=True, repr=False)
class TimedEvent(Event):
    """An event that carries the server's time."""

    timestamp_ms: int = field(metadata=wire("timestamp"))
    """The server's time in milliseconds since 1970."""

    @property
    def timestamp(self) -> datetime:
        """The server's time, aware, in UTC."""
        return _EPOCH + timedelta(milliseconds=self.timestamp_ms)

    def to_dict(self) -> dict[str, Any]:
        """This event as the wire writes it: its names, numbers as strings, levels worst first."""
        return {**super().to_dict(), "event_type": self.event_type}


# --- market channel -----------------------------------------------------------------------------


@frozen(kw_only=True, repr=False)
class Book(TimedEvent):
    """A full snapshot of one asset's book: on subscribing and after each trade (PROTOCOL 1.3)."""

    event_type: ClassVar[str] = "book"
    _shown: ClassVar[tuple[str, ...]] = ("asset_id", "top", "timestamp_ms")

    market: str
    """Condition id, "0x" and 64 hex digits."""
    asset_id: str
    """Token id, a decimal string of about 77 digits."""
    hash: str | None = None
    """SHA-1 of the whole book, 40 hex digits (PROTOCOL 1.6); None where the server sent none."""
    bids: tuple[Level, ...] = field(metadata=wire("bids", worst_first=True))
    """Best (highest) first."""
    asks: tuple[Level, ...] = field(metadata=wire("asks", worst_first=True))
    """Best (lowest) first."""
    tick_size: Decimal | None = None
    """Smallest price step; only in a snapshot that answers a subscription."""
    last_trade_price: Decimal | None = None
    """Only in a snapshot that answers a subscription; None when the market never traded."""
    min_order_size: Decimal | None = None
    """Never seen on the WebSocket (only in REST's answer)."""
    neg_risk: bool | None = None
    """Never seen on the WebSocket (only in REST's answer)."""

    @property
    def top(self) -> tuple[Level | None, Level | None]:
        """The best bid and the best ask; None for an empty side."""
        return (self.bids[0] if self.bids else None, self.asks[0] if self.asks else None)

    @property
    def mid(self) -> Decimal | None:
        """Halfway between the best prices; None when a side is empty."""
        bid, ask = self.top
        return (bid.price + ask.price) / 2 if bid and ask else None

    @property
    def spread(self) -> Decimal | None:
        """Best ask less best bid; None when a side is empty."""
        bid, ask = self.top
        return ask.price - bid.price if bid and ask else None


@frozen(kw_only=True, repr=False)
class LevelChange(Value):
    """One level's new size in one asset's book."""

    _shown: ClassVar[tuple[str, ...]] = ("asset_id", "side", "price", "size")

    asset_id: str
    """May be the twin token of the market, unsubscribed."""
    price: Decimal
    """The level that changed."""
    size: Decimal
    """The new aggregate size there, not a difference; 0 removes the level."""
    side: Side
    """BUY changes the bids, SELL the asks."""
    hash: str | None = None
    """Hash of this asset's whole book after the change; None in old frames."""
    best_bid: Decimal | None = None
    """Best bid after the change; 0 for an empty side. None where the server wrote nothing."""
    best_ask: Decimal | None = None
    """Best ask after the change; 1 for an empty side. None where the server wrote nothing."""


@frozen(kw_only=True, repr=False)
class PriceChange(TimedEvent):
    """Levels that changed in one market, usually one of each of its two tokens (PROTOCOL 1.4)."""

    event_type: ClassVar[str] = "price_change"
    _shown: ClassVar[tuple[str, ...]] = ("price_changes", "timestamp_ms")

    market: str
    """Condition id."""
    price_changes: tuple[LevelChange, ...]
    """To be applied in this order; both formats before September 2025 are turned into this one."""


@frozen(kw_only=True, repr=False)
class LastTradePrice(TimedEvent):
    """A public print: one settlement, told for the taker's token only."""

    event_type: ClassVar[str] = "last_trade_price"
    _shown: ClassVar[tuple[str, ...]] = ("asset_id", "side", "price", "size", "timestamp_ms")

    market: str
    asset_id: str
    """The token that the taker traded."""
    price: Decimal
    size: Decimal
    side: Side
    """The taker's."""
    fee_rate_bps: Decimal | None = None
    """In hundredths of a percent."""
    transaction_hash: str | None = None
    """On Polygon; absent before 2026."""


@frozen(kw_only=True, repr=False)
class TickSizeChange(TimedEvent):
    """The smallest price step changed: near 0 and 1 it becomes finer. Open: any Decimal."""

    event_type: ClassVar[str] = "tick_size_change"
    _shown: ClassVar[tuple[str, ...]] = ("asset_id", "old_tick_size", "new_tick_size")

    market: str
    asset_id: str
    old_tick_size: Decimal
    new_tick_size: Decimal


@frozen(kw_only=True, repr=False)
class BestBidAsk(TimedEvent):
    """The best prices, as the server sees them. Not sent for every change."""

    event_type: ClassVar[str] = "best_bid_ask"
    _shown: ClassVar[tuple[str, ...]] = ("asset_id", "best_bid", "best_ask", "timestamp_ms")

    market: str
    asset_id: str
    best_bid: Decimal | None = None
    best_ask: Decimal | None = None
    spread: Decimal | None = None


@frozen(kw_only=True, repr=False)
class EventMessage(Value):
    """The event (a group of markets, in Polymarket's words) that a market belongs to."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "slug")

    id: str = ""
    ticker: str = ""
    slug: str = ""
    title: str = ""
    description: str = ""


@frozen(kw_only=True, repr=False)
class NewMarket(TimedEvent):
    """A market was created. Broadcast: not filtered by the subscribed assets."""

    event_type: ClassVar[str] = "new_market"
    _shown: ClassVar[tuple[str, ...]] = ("slug", "market")

    id: str
    market: str
    """Condition id."""
    question: str = ""
    slug: str = ""
    description: str = ""
    asset_ids: tuple[str, ...] = field(default=(), metadata=wire("assets_ids"))
    """Token ids, in the order of `outcomes`."""
    outcomes: tuple[str, ...] = ()
    event_message: EventMessage | None = None
    tags: tuple[str, ...] = ()
    condition_id: str | None = None
    active: bool | None = None
    clob_token_ids: tuple[str, ...] = ()
    sports_market_type: str | None = None
    line: str | None = None
    game_start_time_ms: int | None = field(default=None, metadata=wire("game_start_time"))
    """Milliseconds since 1970; the wire has RFC 3339, "YYYY-MM-DD HH:MM:SS+00" or digits."""
    order_price_min_tick_size: Decimal | None = None
    group_item_title: str | None = None
    taker_base_fee: Decimal | None = None
    fees_enabled: bool | None = None
    fee_schedule: Mapping[str, Any] | None = field(default=None, hash=False)
    """exponent, rate, rebate_rate (strings) and taker_only (bool), as parsed."""


@frozen(kw_only=True, repr=False)
class MarketResolved(TimedEvent):
    """A market was decided. Broadcast; often late or missing, so nothing to rely on alone."""

    event_type: ClassVar[str] = "market_resolved"
    _shown: ClassVar[tuple[str, ...]] = ("market", "winning_outcome")

    id: str
    market: str
    asset_ids: tuple[str, ...] = field(default=(), metadata=wire("assets_ids"))
    winning_asset_id: str | None = None
    winning_outcome: str | None = None
    event_message: EventMessage | None = None
    tags: tuple[str, ...] = ()
    question: str | None = None
    slug: str | None = None
    description: str | None = None
    outcomes: tuple[str, ...] = ()


# --- user channel -------------------------------------------------------------------------------


@frozen(kw_only=True, repr=False)
class Order(TimedEvent):
    """One's own order was placed, (partly) matched or cancelled (PROTOCOL 2.2)."""

    event_type: ClassVar[str] = "order"
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
    fee_rate_bps: Decimal | None = None
    outcome: str | None = None
    outcome_index: int | None = None
    side: Side | None = None


@frozen(kw_only=True, repr=False)
class Trade(TimedEvent):
    """One's own trade, told once for each status (PROTOCOL 2.3)."""

    event_type: ClassVar[str] = "trade"
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
    match_time_ms: int | None = field(default=None, metadata=wire("match_time", seconds=True))
    """The docs of June 2026 said "matchtime": accepted too."""
    last_update_ms: int | None = field(default=None, metadata=wire("last_update", seconds=True))
    fee_rate_bps: Decimal | None = None
    outcome: str | None = None
    maker_address: str | None = None
    transaction_hash: str | None = None
    """May be "" while MATCHED."""
    bucket_index: int | None = None
    trader_side: str | None = None
    """TAKER or MAKER: your part. As MAKER your fills are the `maker_orders` with your owner."""
    maker_orders: tuple[MakerOrder, ...] = ()


# --- any channel --------------------------------------------------------------------------------


@frozen(kw_only=True, repr=False)
class Unknown(Event):
    """An event of a type that this version does not know, whole."""

    event_type: ClassVar[str] = "unknown"
    _shown: ClassVar[tuple[str, ...]] = ("wire_event_type", "channel")

    channel: str
    """"market" or "user"."""
    wire_event_type: str
    """What the server called it; "" where it named nothing."""
    data: Any = field(hash=False)
    """The element as parsed from JSON (a number with a fraction as Decimal)."""


@frozen(kw_only=True, repr=False)
class Frame(Event):
    """One data message's raw text, before decoding."""

    event_type: ClassVar[str] = "frame"
    _shown: ClassVar[tuple[str, ...]] = ("channel", "text")

    channel: str
    text: str


@frozen(kw_only=True, repr=False)
class Connected(Event):
    """A connection is open and its subscription was sent."""

    event_type: ClassVar[str] = "connect"
    _shown: ClassVar[tuple[str, ...]] = ("connection", "generation", "reconnected", "attempt")

    channel: str
    """"market" or "user"."""
    connection: str
    """The connection's name in the logs and in stats()."""
    generation: int
    """1 for the first connection of this run, one more each time it was made anew."""
    reconnected: bool
    """False for the first of a run."""
    attempt: int
    """How many attempts it took, counted from 1."""
    downtime: float | None = None
    """Seconds since the former connection was lost; None for the first."""


@frozen(kw_only=True, repr=False)
class Disconnected(Event):
    """A connection ended, or an attempt to make one failed.

    `reason` is one of: "closed" (the server's close frame), "eof" (the connection just ended),
    "reset", "network" (another socket error), "pong_timeout", "silent" (PING is answered, but data
    has stopped), "send_timeout", "protocol_error", "dns", "refused", "connect_timeout", "tls",
    "proxy", "rejected" (an HTTP status), "authentication", "certificate", "configuration",
    "unwanted" (nothing is subscribed any more), "rotated" (`Options.rotate_every`), "replaced" (by
    its standby, since a book was proved wrong), "stopped", "failed" (another connection's fatal
    error, or this package's own). More may come.
    """

    event_type: ClassVar[str] = "disconnect"
    _shown: ClassVar[tuple[str, ...]] = (
        "connection",
        "reason",
        "detail",
        "code",
        "will_retry",
        "delay",
    )

    channel: str
    connection: str
    generation: int
    """That of the connection that ended; 0 while there has been none."""
    reason: str
    detail: str = ""
    code: int | None = None
    """The WebSocket close code, or the HTTP status; None without either."""
    will_retry: bool
    delay: float | None = None
    """Seconds until the next attempt; None when there is none."""
    attempt: int = 0
    """0 when an open connection ended, else which attempt in a row failed, counted from 1."""


@frozen(kw_only=True, repr=False)
class Gap(Event):
    """Something was missed: what these assets' events tell is not the whole story from here on.

    Told in stream order, after the books have become stale; one for each incident. It ends with one
    Resync, with unsubscribing, or with stop().

    `reason` is one of: "disconnect" (the connection was lost), "slow_consumer" (the server closed
    it because this side read too slowly), "decode_error" (a book's message was not understood),
    "overflow" (`queue_limit`: events were dropped, the books stayed right), "refresh_mismatch" (a
    refresh showed levels that no change had told), "hash_mismatch" and "top_mismatch" (checks
    failed for 2 s and a fresh snapshot proved the book wrong), "silent" (no data came, though a
    fresh snapshot differs), "no_data" (a subscribed asset's first book never came: the one Gap of
    books that were not live). More may come.
    """

    event_type: ClassVar[str] = "gap"
    _shown: ClassVar[tuple[str, ...]] = ("reason", "channel", "asset_ids", "dropped", "detail")

    channel: str
    """"market", or "user": then one's own orders and trades may be missing, of any market."""
    connection: str
    """The connection's name; "" for "overflow", which concerns the queue."""
    reason: str
    asset_ids: tuple[str, ...] = ()
    """The books that were live and are not; for "overflow" the assets of the dropped events."""
    dropped: int = 0
    """With "overflow": how many events."""
    detail: str = ""
    """What may help, in a sentence; "" where the reason says it all."""


@frozen(kw_only=True, repr=False)
class Resync(Event):
    """The end of one Gap: from here on events are complete again, and its books are live.

    What happened in between was not delivered and will not be.
    """

    event_type: ClassVar[str] = "resync"
    _shown: ClassVar[tuple[str, ...]] = ("reason", "channel", "asset_ids", "duration")

    channel: str
    connection: str
    reason: str
    """The Gap's."""
    asset_ids: tuple[str, ...] = ()
    """The Gap's, less those that were unsubscribed meanwhile."""
    duration: float = 0.0
    """Seconds from Gap to Resync; 0 for "overflow"."""


EVENTS: dict[str, type[Event]] = {
    cls.event_type: cls
    for cls in (
        Book,
        PriceChange,
        LastTradePrice,
        TickSizeChange,
        BestBidAsk,
        NewMarket,
        MarketResolved,
        Order,
        Trade,
        Unknown,
        Frame,
        Connected,
        Disconnected,
        Gap,
        Resync,
    )
}
"""Every event class by its callback's name without `on_`."""

LIFECYCLE: frozenset[type[Event]] = frozenset({Connected, Disconnected})
CONTINUITY: frozenset[type[Event]] = frozenset((Gap, Resync))
OWN: frozenset[type[Event]] = frozenset({Order, Trade})
CUSTOM_FEATURES: frozenset[str] = frozenset({"best_bid_ask", "new_market", "market_resolved"})
"""Sent only with `custom_feature_enabled` (PROTOCOL 1.1)."""

_OURS = frozenset({"extra", "received_at_ns"})


def assets_of(event: Event) -> tuple[str, ...]:
    """The token ids that an event is about."""
    if isinstance(event, PriceChange):
        return tuple(change.asset_id for change in event.price_changes)
    asset_id = getattr(event, "asset_id", None)
    return (asset_id,) if asset_id is not None else getattr(event, "asset_ids", ())


def plain(number: Decimal) -> str:
    """A Decimal as the wire writes it: without an exponent."""
    return format(number, "f")


def _to_wire(value: Any, metadata: Mapping[str, Any]) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Level):
        return {"price": plain(value.price), "size": plain(value.size)}
    if isinstance(value, Value):
        return value.to_dict()
    if isinstance(value, tuple):
        items = reversed(value) if metadata.get("worst_first") else value
        return [_to_wire(item, {}) for item in items]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, int) and "wire" in metadata:
        whole_seconds = metadata["seconds"] and value % 1000 == 0
        return str(value // 1000 if whole_seconds else value)
    return value


def _is_set(value: Value, name: str) -> bool:
    return getattr(value, name) not in (None, "", ())


def _short(value: object) -> str:
    if isinstance(value, str) and not isinstance(value, Enum):
        if " " in value:  # words, not an id
            return repr(value if len(value) <= 80 else f"{value[:79]}…")
        return repr(value if len(value) <= 24 else f"{value[:10]}…{value[-4:]}")
    if isinstance(value, Level):
        return f"{value.price}x{value.size}"
    if isinstance(value, tuple):
        inner = ", ".join(map(_short, value[:3]))
        return f"({inner}{', …' if len(value) > 3 else ''})"
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)

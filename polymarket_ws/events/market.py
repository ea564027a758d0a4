"""What the market channel sends."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any, ClassVar

from attrs import evolve, field, frozen

from .values import Family, Level, Scope, Side, TimedEvent, Value, wire


@frozen(kw_only=True, repr=False)
class MarketEvent(TimedEvent):
    """Market data. A class of this file that has an `event_type` is decoded and delivered."""

    family: ClassVar[Family] = Family.MARKET
    scope: ClassVar[Scope] = Scope.ASSET


@frozen(kw_only=True, repr=False)
class Book(MarketEvent):
    """A full snapshot of one asset's book: on subscribing and after each trade."""

    event_type: ClassVar[str] = "book"
    _shown: ClassVar[tuple[str, ...]] = ("asset_id", "top", "timestamp_ms")

    market: str
    """Condition id, "0x" and 64 hex digits."""
    asset_id: str
    """Token id, a decimal string of about 77 digits."""
    hash: str | None = None
    """SHA-1 of the whole book, 40 hex digits; None where the server sent none."""
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

    def _repr_html_(self) -> str:
        from polymarket_ws.notebook.book_view import snapshot_html

        return snapshot_html(self)


@frozen(kw_only=True, repr=False)
class LevelChange(Value):
    """One level's new size in one asset's book."""

    _shown: ClassVar[tuple[str, ...]] = ("asset_id", "side", "price", "size")

    asset_id: str
    """May be the complement token of the market, unsubscribed."""
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
class PriceChange(MarketEvent):
    """Levels that changed in one market, mostly one of each of its two tokens."""

    event_type: ClassVar[str] = "price_change"
    _shown: ClassVar[tuple[str, ...]] = ("price_changes", "timestamp_ms")

    market: str
    """Condition id."""
    price_changes: tuple[LevelChange, ...]
    """To be applied in this order; both formats before September 2025 are turned into this one."""

    @property
    def assets(self) -> tuple[str, ...]:
        """The token id of each entry, in their order."""
        return tuple([change.asset_id for change in self.price_changes])

    def concerns(self, asset_ids: AbstractSet[str]) -> bool:
        """Whether any entry is of one of these assets."""
        # Asked of most of a stream, and a generator is called once for each entry.
        for change in self.price_changes:  # noqa: SIM110
            if change.asset_id in asset_ids:
                return True
        return False

    def narrowed_to(self, asset_ids: AbstractSet[str]) -> PriceChange:
        """The entries of these assets alone."""
        kept = tuple(change for change in self.price_changes if change.asset_id in asset_ids)
        return evolve(self, price_changes=kept)


@frozen(kw_only=True, repr=False)
class LastTradePrice(MarketEvent):
    """A public print: one settlement, told for the taker's token only."""

    event_type: ClassVar[str] = "last_trade_price"
    _shown: ClassVar[tuple[str, ...]] = ("asset_id", "side", "price", "size", "timestamp_ms")

    market: str
    """Condition id."""
    asset_id: str
    """The token that the taker traded."""
    price: Decimal
    """Of one share in USDC, between 0 and 1."""
    size: Decimal
    """Shares."""
    side: Side
    """The taker's."""
    fee_rate_bps: Decimal | None = field(default=None, metadata=wire("fee_rate_bps", signed=True))
    """In hundredths of a percent."""
    transaction_hash: str | None = None
    """On Polygon; absent before 2026."""


@frozen(kw_only=True, repr=False)
class TickSizeChange(MarketEvent):
    """The smallest price step changed: near 0 and 1 it becomes finer. Open: any Decimal."""

    event_type: ClassVar[str] = "tick_size_change"
    _shown: ClassVar[tuple[str, ...]] = ("asset_id", "old_tick_size", "new_tick_size")

    market: str
    """Condition id."""
    asset_id: str
    """Token id."""
    old_tick_size: Decimal
    """The step until now."""
    new_tick_size: Decimal
    """The step from now on."""


@frozen(kw_only=True, repr=False)
class BestBidAsk(MarketEvent):
    """The best prices, as the server sees them. Not sent for every change."""

    event_type: ClassVar[str] = "best_bid_ask"
    needs_custom_features: ClassVar[bool] = True
    _shown: ClassVar[tuple[str, ...]] = ("asset_id", "best_bid", "best_ask", "timestamp_ms")

    market: str
    """Condition id."""
    asset_id: str
    """Token id."""
    best_bid: Decimal | None = None
    """0 for an empty side; None where the server wrote nothing."""
    best_ask: Decimal | None = None
    """1 for an empty side; None where the server wrote nothing."""
    spread: Decimal | None = field(default=None, metadata=wire("spread", signed=True))
    """Best ask less best bid, as the server wrote it."""


@frozen(kw_only=True, repr=False)
class EventMessage(Value):
    """The event (a group of markets, in Polymarket's words) that a market belongs to."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "slug")

    id: str = ""
    """Polymarket's number of it, as text."""
    ticker: str = ""
    """A short name."""
    slug: str = ""
    """Its name in the address of its page."""
    title: str = ""
    """As its page shows it."""
    description: str = ""
    """The text below the title."""


@frozen(kw_only=True, repr=False)
class NewMarket(MarketEvent):
    """A market was created. Broadcast: not filtered by the subscribed assets."""

    event_type: ClassVar[str] = "new_market"
    scope: ClassVar[Scope] = Scope.GLOBAL
    is_broadcast: ClassVar[bool] = True
    needs_custom_features: ClassVar[bool] = True
    _shown: ClassVar[tuple[str, ...]] = ("slug", "market")

    id: str
    """Polymarket's number of the market, as text."""
    market: str
    """Condition id."""
    question: str = ""
    """As its page shows it."""
    slug: str = ""
    """Its name in the address of its page."""
    description: str = ""
    """The text that says how it will be decided."""
    asset_ids: tuple[str, ...] = field(
        default=(), metadata=wire("assets_ids", "asset_ids", "token_ids")
    )
    """Token ids, in the order of `outcomes`."""
    outcomes: tuple[str, ...] = ()
    """Their names, such as Yes and No."""
    event_message: EventMessage | None = None
    """The event that it belongs to; None where the server sent none."""
    tags: tuple[str, ...] = ()
    """Words under which it is filed."""
    condition_id: str | None = None
    """The same as `market`; None where the server sent none."""
    active: bool | None = None
    """As the server wrote it: False was seen at the time of the announcement. None without."""
    clob_token_ids: tuple[str, ...] = ()
    """The same as `asset_ids`; empty where the server sent none."""
    sports_market_type: str | None = None
    """Such as "moneyline"; "" for a market that is not of sports, None without."""
    line: str | None = None
    """The handicap or total of a sports market; "" or None without."""
    game_start_time_ms: int | None = field(default=None, metadata=wire("game_start_time"))
    """Milliseconds since 1970; the wire has RFC 3339, "YYYY-MM-DD HH:MM:SS+00" or digits."""
    order_price_min_tick_size: Decimal | None = None
    """The smallest price step; None where the server sent none."""
    group_item_title: str | None = None
    """Its name among the markets of its event; "" or None without."""
    taker_base_fee: Decimal | None = field(
        default=None, metadata=wire("taker_base_fee", signed=True)
    )
    """As the server wrote it; None without."""
    fees_enabled: bool | None = None
    """Whether trades cost a fee; None where the server sent nothing."""
    fee_schedule: Mapping[str, Any] | None = field(default=None, hash=False)
    """exponent, rate, rebate_rate (strings) and taker_only (bool), as parsed."""

    @property
    def identity(self) -> Hashable:
        """Kind, id and time: a market is told again at another time."""
        return self.event_type, self.id, self.timestamp_ms


@frozen(kw_only=True, repr=False)
class MarketResolved(MarketEvent):
    """A market was decided. Broadcast; often late or missing, so nothing to rely on alone."""

    event_type: ClassVar[str] = "market_resolved"
    scope: ClassVar[Scope] = Scope.GLOBAL
    is_broadcast: ClassVar[bool] = True
    needs_custom_features: ClassVar[bool] = True
    _shown: ClassVar[tuple[str, ...]] = ("market", "winning_outcome")

    id: str
    """Polymarket's number of the market, as text."""
    market: str
    """Condition id."""
    asset_ids: tuple[str, ...] = field(
        default=(), metadata=wire("assets_ids", "asset_ids", "token_ids")
    )
    """Token ids of its outcomes."""
    winning_asset_id: str | None = None
    """The token that is worth 1 USDC now; None where the server sent none."""
    winning_outcome: str | None = None
    """That token's outcome, such as Yes; None where the server sent none."""
    event_message: EventMessage | None = None
    """The event that it belongs to; None where the server sent none."""
    tags: tuple[str, ...] = ()
    """Words under which it is filed."""
    question: str | None = None
    """As its page shows it; None in newer messages."""
    slug: str | None = None
    """Its name in the address of its page; None in newer messages."""
    description: str | None = None
    """The text that says how it is decided; None in newer messages."""
    outcomes: tuple[str, ...] = ()
    """Their names, in the order of `asset_ids`; empty in newer messages."""

    @property
    def identity(self) -> Hashable:
        """Kind, id and time: a market is told again at another time."""
        return self.event_type, self.id, self.timestamp_ms

"""What Polymarket's market data says of one asset."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from .logs import printable

LABEL_CHARS = 40


@frozen(kw_only=True)
class Asset:
    """One outcome token of a market, as `polymarket_ws.lookup.find_assets` found it.

    Whatever takes asset ids takes Assets too; `str()` is "question: outcome". A value: it does not
    change when the market does.

        assets = find_assets("https://polymarket.com/event/will-it-rain")
        sub = Subscriber(assets)
        sub.on_book(print, asset_id=assets[0])
    """

    asset_id: str
    """Token id, or position id in a market of protocol V2: a decimal string."""
    outcome: str
    """What it pays for: "Yes", "No", a team."""
    market: str
    """Condition id."""
    question: str
    """What the market asks."""
    slug: str
    """The market's name in a page address."""
    event_slug: str
    """The event's name in a page address; "" when the answer named none."""
    tick_size: Decimal | None
    """The smallest price step; None when the answer had none. It may change later."""
    min_order_size: Decimal | None
    """Shares of the smallest order; None when the answer had none."""
    neg_risk: bool | None
    """Whether the market belongs to a negative-risk event; None when the answer did not say."""
    closed: bool
    """Whether trading has ended: no book comes for it then."""

    def __str__(self) -> str:
        return f"{self.question}: {self.outcome}"


def label_of(asset: Asset, chars: int = LABEL_CHARS) -> str:
    """`str(asset)` for a line: of at most so many characters, the outcome kept longer than the
    question, and printable.
    """
    outcome = _cut(printable(asset.outcome), chars // 2)
    return f"{_cut(printable(asset.question), chars - len(outcome) - 2)}: {outcome}"


def name_of(asset_id: str, asset: Asset | None) -> str:
    """What a log or an exception calls an asset: its label, if it has one, and its whole id."""
    return asset_id if asset is None else f"{label_of(asset)} ({asset_id})"


def _cut(text: str, chars: int) -> str:
    """Whole words, unless the one that does not fit is long."""
    if len(text) <= chars:
        return text
    words = text[:chars].rpartition(" ")[0]
    return f"{words if len(words) > chars - 12 else text[: chars - 1]}…"

"""A synchronous, thread-backed SDK for Polymarket's real-time WebSocket channels."""

from __future__ import annotations

from .account.account import Account
from .account.positions import Position
from .books.live_book import LiveBook, Top
from .credentials import Credentials
from .errors import PolymarketWsError
from .events import (
    BestBidAsk,
    Book,
    Connected,
    Disconnected,
    Event,
    Fill,
    Frame,
    Gap,
    LastTradePrice,
    Level,
    LevelChange,
    MakerOrder,
    MarketResolved,
    NewMarket,
    Order,
    PriceChange,
    Resync,
    Side,
    State,
    TickSizeChange,
    Trade,
    Unknown,
)
from .options import Options
from .subscriber import Subscriber, running

__version__ = "0.1.0"

__all__ = [
    "Account",
    "BestBidAsk",
    "Book",
    "Connected",
    "Credentials",
    "Disconnected",
    "Event",
    "Fill",
    "Frame",
    "Gap",
    "LastTradePrice",
    "Level",
    "LevelChange",
    "LiveBook",
    "MakerOrder",
    "MarketResolved",
    "NewMarket",
    "Options",
    "Order",
    "PolymarketWsError",
    "Position",
    "PriceChange",
    "Resync",
    "Side",
    "State",
    "Subscriber",
    "TickSizeChange",
    "Top",
    "Trade",
    "Unknown",
    "__version__",
    "running",
]

"""The frozen values that callbacks receive, and what is true of each class of them; nothing here
may know of the wire's parsing, of books, connections or threads.

Fields carry the wire's names. To add an event of the market channel, define its class in market.py
and name it below.
"""

from __future__ import annotations

# typing.get_type_hints looks here for what the annotations of the classes name: see the end.
from collections.abc import Mapping  # noqa: F401
from decimal import Decimal  # noqa: F401
from typing import Any, ClassVar  # noqa: F401

from .catalogue import (
    BROADCASTS,
    CONTINUITY,
    CUSTOM_FEATURES,
    DATA,
    DROPPABLE,
    EVENTS,
    LIFECYCLE,
    OWN,
    WIRE_EVENTS,
)
from .lifecycle import Connected, Disconnected, Gap, Resync
from .market import (
    BestBidAsk,
    Book,
    EventMessage,
    LastTradePrice,
    LevelChange,
    MarketEvent,
    MarketResolved,
    NewMarket,
    PriceChange,
    TickSizeChange,
)
from .undecoded import Frame, Unknown
from .user import Fill, MakerOrder, Order, OwnEvent, Trade
from .values import (
    Event,
    Family,
    Level,
    Scope,
    Side,
    State,
    TimedEvent,
    Value,
    plain,
)

__all__ = [
    "BROADCASTS",
    "CONTINUITY",
    "CUSTOM_FEATURES",
    "DATA",
    "DROPPABLE",
    "EVENTS",
    "LIFECYCLE",
    "OWN",
    "WIRE_EVENTS",
    "BestBidAsk",
    "Book",
    "Connected",
    "Disconnected",
    "Event",
    "EventMessage",
    "Family",
    "Fill",
    "Frame",
    "Gap",
    "LastTradePrice",
    "Level",
    "LevelChange",
    "MakerOrder",
    "MarketEvent",
    "MarketResolved",
    "NewMarket",
    "Order",
    "OwnEvent",
    "PriceChange",
    "Resync",
    "Scope",
    "Side",
    "State",
    "TickSizeChange",
    "TimedEvent",
    "Trade",
    "Unknown",
    "Value",
    "plain",
]

# The classes are known by this module, whichever file they stand in: in pickles, above all.
for _name in __all__:
    if isinstance(_class := globals()[_name], type):
        _class.__module__ = __name__
del _name, _class

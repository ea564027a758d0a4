"""Makes the orders of a simulated exchange, the user's and others', and checks their terms."""

from __future__ import annotations

from decimal import Decimal

import attrs

from polymarket_ws.events import Side

from .agenda import Agenda
from .ids import Ids
from .seeding import Quote
from .simulated_market import RestingOrder, SimulatedMarket


@attrs.frozen
class OrderDesk:
    """Made by one SimulatedExchange, with its ids and its time."""

    ids: Ids
    agenda: Agenda
    api_key: str
    """The user's."""
    wallet: str
    """The user's."""

    def order(self, quote: Quote, *, own: bool) -> RestingOrder:
        """A new order, the user's or another's."""
        order = RestingOrder(
            id=self.ids.hex(64),
            asset_id=quote.asset_id,
            side=quote.side,
            price=quote.price,
            size=quote.size,
            owner=self.api_key if own else self.ids.uuid(),
            own=own,
            maker_address=self.ids.hex(40),
            order_type=quote.order_type,
            placed_ms=self.agenda.now_ms,
            remaining=quote.size,
            expires_ms=self.agenda.now_ms + quote.expires_ms if quote.expires_ms else 0,
        )
        return attrs.evolve(order, maker_address=self.wallet) if own else order

    def successor(
        self,
        old: RestingOrder,
        asset_id: str | None,
        side: Side | str | None,
        price: Decimal,
        size: Decimal,
    ) -> RestingOrder:
        """A new order of the same owner; None: as the old one's."""
        quote = Quote(
            old.asset_id if asset_id is None else asset_id,
            old.side if side is None else Side(side),
            price,
            size,
        )
        new = self.order(quote, own=old.own)
        return attrs.evolve(new, owner=old.owner, maker_address=old.maker_address)


def check_terms(market: SimulatedMarket, order: RestingOrder) -> None:
    """ValueError for a price off the market's grid, or a size below its minimum."""
    if order.price % market.tick_size or not 0 < order.price < 1:
        raise ValueError(f"price {order.price} is off the grid of {market.tick_size}")
    if order.size < market.min_order_size:
        raise ValueError(f"size {order.size} is below the minimum, {market.min_order_size}")

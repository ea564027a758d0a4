"""A market maker's script: quotes around each book's middle, taken back when the book goes stale.

Run it with a CLOB API key in the environment (see docs/user-channel.md):

    python maker.py 7132104567...2563 5211431950...8422

It only logs what it would do: put your own order entry into `place` and `cancel`. Both run on the
callback thread, so an order entry that takes long should be handed to a thread of its own.
"""

from __future__ import annotations

import argparse
import logging
import sys
from decimal import Decimal

from polymarket_ws import Connected, Credentials, LiveBook, Options, Order, Subscriber, Trade

logger = logging.getLogger(__name__)

TICK = Decimal("0.01")
SIZE = Decimal(20)


class Maker:
    """One bid and one ask around the middle of each book. Its methods run on one thread."""

    def __init__(self, sub: Subscriber, api_key: str) -> None:
        self.quotes: dict[str, tuple[Decimal, Decimal]] = {}
        self.positions: dict[str, Decimal] = {}
        self._api_key = api_key
        sub.on_book_update(self.requote, top_only=True)
        sub.on_trade(self.settle)
        sub.on_order(self.show)
        sub.on_connect(self.reconcile)

    def requote(self, book: LiveBook) -> None:
        top = book.top  # both sides of one moment, and whether they can be trusted
        if not (top.valid and top.bid and top.ask and top.integrity != "mismatch"):
            self.cancel(book.asset_id)
            return
        middle = ((top.bid.price + top.ask.price) / 2).quantize(TICK)
        quote = (middle - TICK, middle + TICK)
        if quote != self.quotes.get(book.asset_id):
            self.cancel(book.asset_id)
            self.place(book.asset_id, quote)

    def place(self, asset_id: str, quote: tuple[Decimal, Decimal]) -> None:
        self.quotes[asset_id] = quote
        logger.info("quote %s %s at %s / %s", asset_id[:8], SIZE, *quote)

    def cancel(self, asset_id: str) -> None:
        if self.quotes.pop(asset_id, None):
            logger.info("cancel %s", asset_id[:8])

    def settle(self, trade: Trade) -> None:
        logger.info("trade %s %s", trade.id, trade.status)
        if trade.status != "CONFIRMED":
            return
        for asset_id, shares in self.fills(trade):
            self.positions[asset_id] = self.positions.get(asset_id, Decimal(0)) + shares

    def fills(self, trade: Trade) -> list[tuple[str, Decimal]]:
        """One's own part of a trade: shares won (or lost, below 0) of each asset."""
        if trade.trader_side == "TAKER":
            return [(trade.asset_id, trade.size if trade.side == "BUY" else -trade.size)]
        return [
            (m.asset_id, m.matched_amount if m.side == "BUY" else -m.matched_amount)
            for m in trade.maker_orders
            if m.owner == self._api_key and m.asset_id is not None
        ]

    def show(self, order: Order) -> None:
        logger.info("order %s %s %s", order.id[:10], order.type, order.size_matched)

    def reconcile(self, event: Connected) -> None:
        if event.reconnected and event.channel == "user":  # the rest is lost
            logger.info("ask the REST API for open orders and trades")


def main() -> None:
    """Follow the assets of the command line until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("assets", nargs="+", help="token ids")
    parser.add_argument("--market-url", default=Options().market_url)
    parser.add_argument("--user-url", default=Options().user_url)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(message)s")
    options = Options(market_url=arguments.market_url, user_url=arguments.user_url)
    credentials = Credentials.from_env()
    sub = Subscriber(arguments.assets, credentials=credentials, options=options, name="maker")
    maker = Maker(sub, credentials.api_key)
    try:
        sub.run()  # until SIGTERM or Ctrl-C
    finally:
        for asset_id in list(maker.quotes):  # no callback runs any more
            maker.cancel(asset_id)
        logger.info("positions in %d assets", len(maker.positions))


if __name__ == "__main__":
    main()

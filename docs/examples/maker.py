"""A market maker: one bid and one ask in each book, and never more offered than is confirmed.

polymarket_ws follows books, orders and fills; Polymarket's own client places and cancels, in the
same process:

    pip install 'polymarket-ws[rest]' polymarket-client
    export POLYMARKET_PRIVATE_KEY=0x...
    python maker.py 7132104567...2563 5211431950...8422

It quotes as long as it may rely on what it sees, and cancels when a book is stale or wrong, when
the account may lack something, and at Ctrl-C or SIGTERM. An example, not a strategy.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from attrs import define

from polymarket_ws import Credentials, Fill, LiveBook, Options, Order, Side, Subscriber

if TYPE_CHECKING:
    from polymarket import SecureClient

logger = logging.getLogger(__name__)

SIZE, MIN_SIZE = Decimal(20), Decimal(5)  # shares of a quote; the market's least is in its Asset
MOST_HELD = Decimal(100)  # shares of an asset, from which on it buys no more
TICK = Decimal("0.01")  # until a book has told its own
TURN_SECONDS = 0.5  # at the most between two looks
RETRY_SECONDS = 5.0  # after a cancel that had no effect, or a quote that was refused
UNHEARD_SECONDS = 30.0  # after which an order that the channel never told does not rest
LAST_SECONDS = 10.0  # for cancels at the end

NOTHING = Decimal(0)


@define
class Quote:
    """An order of ours, until its fills have come."""

    asset_id: str
    side: Side
    price: Decimal
    size: Decimal
    placed_at: float = 0.0
    cancelled_at: float = float("-inf")
    """Monotonic seconds; when it was last asked for."""
    is_cancelled: bool = False
    """By the exchange's answer. What was matched before is still to be told."""


class OrderEntry(Protocol):
    """Places and cancels orders; each waits for the exchange's answer."""

    def place(self, quote: Quote) -> str | None:
        """The order's id; None when it was refused, or nobody knows."""

    def cancel(self, order_ids: list[str]) -> list[str]:
        """The ids of those that are cancelled. The others are asked for again if they rest."""


class OfficialClient:
    """Places and cancels with Polymarket's own client, whose synchronous half this is."""

    def __init__(self, client: SecureClient) -> None:
        self._client = client

    def place(self, quote: Quote) -> str | None:
        from polymarket import PolymarketError

        try:
            answer = self._client.place_limit_order(
                asset_id=quote.asset_id,
                side="BUY" if quote.side == "BUY" else "SELL",
                price=quote.price,
                size=quote.size,
                post_only=True,  # a maker does not take
            )
        except PolymarketError as error:
            logger.warning("the order was not placed, or nobody knows: %s", error)
            return None
        if not answer.ok:
            logger.warning("the order was refused: %s", answer.message)
            return None
        return answer.order_id

    def cancel(self, order_ids: list[str]) -> list[str]:
        from polymarket import PolymarketError

        try:
            answer = self._client.cancel_orders(order_ids=order_ids)
        except PolymarketError as error:
            logger.warning("%d orders may not be cancelled: %s", len(order_ids), error)
            return []
        for order_id, reason in answer.not_canceled.items():
            logger.info("order %s was not cancelled: %s", order_id[:10], reason)
        return list(answer.canceled)


class Maker:
    """Quotes on the thread that calls `run`; requests wait there, and hold up no callback."""

    def __init__(self, sub: Subscriber, entry: OrderEntry) -> None:
        self.quotes: dict[str, Quote] = {}
        """By the order's id: what may rest, or has fills to come."""
        self._sub = sub
        self._entry = entry
        self._over: set[str] = set()  # of the quotes: those that rest no more
        self._heard: set[str] = set()  # ids of orders that the account knows
        self._paused_until: dict[str, float] = {}
        self._changed = threading.Event()
        sub.on_book_update(self._wake, top_only=True)
        sub.on_gap(self._wake)
        sub.on_resync(self._wake)
        sub.on_order(self._take_order)
        sub.on_fill(self._take_fill)

    # On the callback thread.

    def _wake(self, _: object) -> None:
        self._changed.set()

    def _take_order(self, order: Order) -> None:
        self._heard.add(order.id)
        self._changed.set()

    def _take_fill(self, fill: Fill) -> None:
        logger.info(
            "fill of %s: %s %s at %s, %s",
            str(fill.order_id)[:10],
            fill.side,
            fill.size,
            fill.price,
            fill.status,
        )
        self._changed.set()

    # On the thread of `run`.

    def run(self, stopping: threading.Event) -> None:
        """Quote until it is asked to stop, or the subscriber has failed; then cancel all."""
        try:
            while not stopping.is_set() and self._sub.error is None:
                self.turn()
                self._changed.wait(TURN_SECONDS)
                self._changed.clear()
        finally:
            self._cancel_all()

    def turn(self) -> None:
        """Look at everything once, and place and cancel what follows."""
        self._look()
        for book in self._sub.books.values():
            self._requote(book)

    def _look(self) -> None:
        """Find out which of our orders rest no more; those of a former run are ours, too."""
        heard, now = set(self._heard), time.monotonic()  # first: what is heard and not open is over
        open_orders = {order.id: order for order in self._sub.account.open_orders()}
        for order in open_orders.values():
            if order.id not in self.quotes and order.asset_id in self._sub.books:
                self._adopt(order, now)
        for id_, quote in self.quotes.items():
            is_lost = self._sub.account.complete and now > quote.placed_at + UNHEARD_SECONDS
            is_known = id_ in heard or is_lost or not self._unsettled(id_)
            if is_known and id_ not in open_orders:
                self._over.add(id_)
        for id_ in [id_ for id_ in self._over if not self._unsettled(id_)]:
            self._over.remove(id_)
            self._heard.discard(id_)
            del self.quotes[id_]

    def _adopt(self, order: Order, now: float) -> None:
        if order.asset_id and order.side and order.price is not None and order.original_size:
            self._heard.add(order.id)
            self.quotes[order.id] = Quote(
                order.asset_id, order.side, order.price, order.original_size, now
            )

    def _requote(self, book: LiveBook) -> None:
        prices, now = self._prices(book), time.monotonic()
        resting = {i: q for i, q in self._resting().items() if q.asset_id == book.asset_id}
        wrong = [id_ for id_, quote in resting.items() if quote.price != prices.get(quote.side)]
        self._cancel(wrong, now)
        if now < self._paused_until.get(book.asset_id, now):
            return
        for side in prices.keys() - {quote.side for quote in resting.values()}:
            size = self._size(book.asset_id, side)
            if size >= MIN_SIZE:
                self._place(Quote(book.asset_id, side, prices[side], size, now))

    def _prices(self, book: LiveBook) -> dict[Side, Decimal]:
        """What to quote; nothing while the book or the account cannot be relied on."""
        top = book.top  # both sides of one moment
        if not (self._sub.account.complete and top.valid and top.integrity != "mismatch"):
            return {}
        if top.bid is None or top.ask is None:
            return {}
        tick = book.tick_size or TICK
        middle = (top.bid.price + top.ask.price) / 2 // tick * tick
        prices = {Side.BUY: middle - tick, Side.SELL: middle + tick}
        return {side: price for side, price in prices.items() if 0 < price < 1}

    def _size(self, asset_id: str, side: Side) -> Decimal:
        if side is Side.SELL:
            return min(SIZE, self.sellable(asset_id))
        held = self._sub.account.position(asset_id).size
        return min(SIZE, MOST_HELD - held)

    def sellable(self, asset_id: str) -> Decimal:
        """The shares that are confirmed, and neither offered nor sold already.

        What an order was matched for is told by the order and by a fill, in either order: it counts
        as offered until the fill has come. `confirmed` knows the fills, so it is read after them.
        """
        offered = sum(
            (
                self._unsettled(id_)
                for id_, quote in self.quotes.items()
                if quote.asset_id == asset_id and quote.side is Side.SELL
            ),
            NOTHING,
        )
        return self._sub.account.position(asset_id).confirmed - offered

    def _unsettled(self, id_: str) -> Decimal:
        """The shares of an order that may be matched still, or were and have no fill yet."""
        whole = self.quotes[id_].size
        if id_ in self._over:
            order = self._sub.orders.get(id_)
            whole = (order.size_matched if order else None) or NOTHING
        fills = self._sub.account.fills(order_id=id_)
        return max(NOTHING, whole - sum((fill.size for fill in fills), NOTHING))

    def _resting(self) -> dict[str, Quote]:
        return {
            id_: quote
            for id_, quote in self.quotes.items()
            if id_ not in self._over and not quote.is_cancelled
        }

    def _place(self, quote: Quote) -> None:
        id_ = self._entry.place(quote)
        if id_ is None:  # if it was placed after all, it turns up among the open orders
            self._paused_until[quote.asset_id] = time.monotonic() + RETRY_SECONDS
            return
        self.quotes[id_] = quote
        logger.info(
            "quote %s: %s %s at %s", quote.asset_id[:8], quote.side, quote.size, quote.price
        )

    def _cancel(self, ids: list[str], now: float) -> None:
        due = [id_ for id_ in ids if now >= self.quotes[id_].cancelled_at + RETRY_SECONDS]
        if due:
            for id_ in due:
                self.quotes[id_].cancelled_at = now
            logger.info("cancel %s", ", ".join(id_[:10] for id_ in due))
            for id_ in self._entry.cancel(due):
                self.quotes[id_].is_cancelled = True

    def _cancel_all(self) -> None:
        """Cancel what rests, and wait until it does not."""
        until = time.monotonic() + LAST_SECONDS
        while (now := time.monotonic()) < until:
            self._look()
            self._cancel(list(self._resting()), now)
            if not self._resting():
                return
            self._changed.wait(TURN_SECONDS)
            self._changed.clear()
        logger.error("orders may still rest: %s", ", ".join(self._resting()))


def make(
    client: SecureClient, asset_ids: list[str], options: Options, stopping: threading.Event
) -> None:
    """Quote these assets until it is asked to stop.

    Raises:
        PolymarketWsError: the fatal error.
    """
    keys = client.credentials
    credentials = Credentials(
        keys.key, keys.secret, keys.passphrase, address=client.signer, funder=client.wallet
    )
    sub = Subscriber(asset_ids, credentials=credentials, options=options, name="maker")
    maker = Maker(sub, OfficialClient(client))
    with sub:
        sub.wait_ready(timeout=30)  # the account, too
        maker.run(stopping)
        for asset_id, position in sub.account.positions.items():
            logger.info(
                "held %s: %s, confirmed %s", asset_id[:8], position.size, position.confirmed
            )
    if sub.error is not None:
        raise sub.error


def main() -> None:
    """Quote the assets of the command line."""
    from polymarket import SecureClient

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("assets", nargs="+", help="token ids")
    assets = parser.parse_args().assets
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(message)s")
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with SecureClient.create(private_key=os.environ["POLYMARKET_PRIVATE_KEY"]) as client:
        make(client, assets, Options(), stopping)


if __name__ == "__main__":
    main()

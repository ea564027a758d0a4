"""A program whose main thread computes: it reads the books when it has time for them.

    python busy_main_thread.py 7132104567...2563 5211431950...8422

Nothing waits for the main thread: the books are kept up to date by the subscriber's own threads,
and another thread of the program counts the trades.
"""

from __future__ import annotations

import argparse
import logging
import random
import threading
from collections.abc import Iterable, Sequence
from decimal import Decimal

from polymarket_ws import LastTradePrice, Options, Subscriber

logger = logging.getLogger(__name__)

DRAWS = 20_000


class Volume:
    """Shares traded. Written by one thread, read by any."""

    def __init__(self) -> None:
        self.trades = 0
        self.shares = Decimal(0)

    def follow(self, trades: Iterable[LastTradePrice]) -> None:
        """Count until the subscriber has stopped."""
        for trade in trades:
            self.trades += 1
            self.shares += trade.size


def prices(sub: Subscriber) -> list[Decimal] | None:
    """Halfway between the best prices of each book; None while one of them cannot be trusted."""
    tops = [book.top for book in sub.books.values()]  # takes no lock, waits for nothing
    if not all(top.valid and top.bid and top.ask for top in tops):
        return None
    return [(top.bid.price + top.ask.price) / 2 for top in tops if top.bid and top.ask]


def simulate(chances: Sequence[Decimal]) -> float:
    """How often every one of these comes true: some 20 ms of pure Python."""
    thresholds = [float(chance) for chance in chances]  # random numbers are no prices
    hits = sum(all(random.random() < t for t in thresholds) for _ in range(DRAWS))
    return hits / DRAWS


def run(sub: Subscriber, turns: int) -> Volume:
    """Compute so many times. Stops the subscriber."""
    volume = Volume()
    trades = sub.events(LastTradePrice)  # before the start, so that it misses none
    counter = threading.Thread(target=volume.follow, args=[trades], name="volume")
    with sub:
        counter.start()
        sub.wait_ready()
        for turn in range(turns):
            chances = prices(sub)
            if chances is None:
                logger.warning("turn %d: prices are stale", turn)
                sub.wait(timeout=1.0)  # raises the fatal error, if that is why
                continue
            logger.info("turn %d: all come true in %.4f", turn, simulate(chances))
    counter.join()  # its iterator has ended with the subscriber
    logger.info("%d trades of %s shares", volume.trades, volume.shares)
    if dropped := sub.stats().stream_dropped:
        logger.error("%d trades were dropped: the counter is too slow", dropped)
    return volume


def main() -> None:
    """Follow the assets of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("assets", nargs="+", help="token ids")
    parser.add_argument("--turns", type=int, default=1000)
    parser.add_argument("--market-url", default=Options().market_url)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options = Options(market_url=given.market_url)
    run(Subscriber(given.assets, options=options, name="busy"), given.turns)


if __name__ == "__main__":
    main()

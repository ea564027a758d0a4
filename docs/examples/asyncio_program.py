"""An asyncio program that follows prices: the subscriber keeps its own threads beside the loop.

    python asyncio_program.py 7132104567...2563 5211431950...8422

Two ways lead into the loop. Trades are pulled, each in its turn, on a thread of asyncio's; what is
not taken in time waits in the iterator's bounded queue. Of books only the newest state counts, so a
callback just wakes the loop, which reads them: that takes no lock.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from contextlib import suppress

from polymarket_ws import LastTradePrice, LiveBook, Options, Subscriber

logger = logging.getLogger(__name__)


async def follow_trades(sub: Subscriber) -> None:
    """Take trades until the subscriber has stopped.

    Raises:
        PolymarketWsError: the fatal error.
    """
    with sub.events(LastTradePrice) as trades:
        while trade := await asyncio.to_thread(trades.next_within, None):
            logger.info("trade %s %s at %s", trade.asset_id[:8], trade.size, trade.price)


async def follow_tops(sub: Subscriber) -> None:
    """Look at the books whenever one has changed, and not while that goes on."""
    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    def wake(book: LiveBook) -> None:  # on the callback thread
        loop.call_soon_threadsafe(changed.set)

    sub.on_book_update(wake, top_only=True)
    try:
        while True:
            await changed.wait()
            changed.clear()
            spreads = [book.spread for book in sub.books.values() if book.valid]
            logger.info("%d books live, spreads %s", len(spreads), spreads)
    finally:
        sub.remove_callback(wake)


async def program(sub: Subscriber) -> None:
    """Follow both until cancelled, or until the fatal error. Stops the subscriber."""
    tasks = [asyncio.create_task(follow(sub)) for follow in (follow_trades, follow_tops)]
    await asyncio.sleep(0)  # both listen now
    try:
        sub.start()
        await asyncio.to_thread(sub.wait_ready)
        logger.info("ready")
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await asyncio.to_thread(sub.stop)  # first: from here on no callback wakes the loop
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def main() -> None:
    """Follow the assets of the command line until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("assets", nargs="+", help="token ids")
    parser.add_argument("--market-url", default=Options().market_url)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    sub = Subscriber(given.assets, options=Options(market_url=given.market_url), name="prices")
    running = asyncio.create_task(program(sub))
    with suppress(NotImplementedError):  # on Windows
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with suppress(asyncio.CancelledError):
        await running


if __name__ == "__main__":
    asyncio.run(main())

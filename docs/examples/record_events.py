"""A script that writes every event of some assets to a file, and loses none when it is stopped.

    python record_events.py events.jsonl 7132104567...2563 5211431950...8422

At Ctrl-C or SIGTERM it takes no more events, writes those that wait, and ends with 1 if one was
lost. What the network lost while a connection was down is told by the Gap in the file.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
from typing import TextIO

from polymarket_ws import Event, Options, Subscriber

logger = logging.getLogger(__name__)

PATIENCE = 60.0  # seconds for what waits at the end


class Writer:
    """A JSON object a line. Used by the callback thread alone."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.count = 0

    def write(self, event: Event) -> None:
        named = {"event_type": event.event_type, "received_at_ns": event.received_at_ns}
        self._file.write(json.dumps({**named, **event.to_dict()}, default=str) + "\n")
        self.count += 1


def record(sub: Subscriber, file: TextIO, stopping: threading.Event) -> int:
    """Record until it is asked to stop; the exit code.

    Raises:
        PolymarketWsError: the fatal error, or what the writer raised.
    """
    writer = Writer(file)
    for register in (sub.on_event, sub.on_gap, sub.on_resync):
        register(writer.write)
    sub.start()
    try:
        while not stopping.is_set() and not sub.wait(timeout=0.5):
            pass
    finally:
        has_ended = sub.stop(timeout=PATIENCE, drain=True)
    stats = sub.stats()
    lost = stats.discarded + stats.dropped + stats.decode_errors
    lost += stats.pending  # of a writer that is stuck: then stop() returned False
    logger.info("%d events written, %d lost, %d gaps", writer.count, lost, stats.gaps)
    return 0 if has_ended and lost == 0 else 1


def main() -> int:
    """Record the assets of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="is added to")
    parser.add_argument("assets", nargs="+", help="token ids")
    parser.add_argument("--market-url", default=Options().market_url)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    options = Options(
        market_url=given.market_url,
        queue_limit=1_000_000,  # for a disk that is slow for minutes: some GB of memory at the most
        callback_errors="raise",  # what cannot be written ends it, at once
    )
    sub = Subscriber(given.assets, options=options, name="recorder")
    with open(given.file, "a", encoding="utf-8") as file:
        return record(sub, file, stopping)


if __name__ == "__main__":
    sys.exit(main())

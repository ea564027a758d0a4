"""A script that writes the best prices of some assets to an SQLite file, until Ctrl-C or SIGTERM.

    python tops_to_sqlite.py tops.sqlite 7132104567...2563 5211431950...8422

One row for each change. While a book is stale its prices are NULL, so that no reader takes an old
price for the present one.
"""

from __future__ import annotations

import argparse
import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal

from polymarket_ws import LiveBook, Options, Subscriber

TABLE = """
CREATE TABLE IF NOT EXISTS tops (
    written_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
    asset_id TEXT NOT NULL,
    timestamp_ms INTEGER NOT NULL,  -- the server's time
    bid TEXT, bid_size TEXT, ask TEXT, ask_size TEXT,
    state TEXT NOT NULL
)
"""

sqlite3.register_adapter(Decimal, str)  # a float would lose digits


class Tops:
    """The table. Used by the callback thread alone while the subscriber runs."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute("PRAGMA journal_mode = WAL")  # others may read meanwhile
        database.execute(TABLE)

    def write(self, book: LiveBook) -> None:
        top = book.top  # both sides of one moment, and whether they can be trusted
        bid = top.bid if top.valid and top.bid else (None, None)
        ask = top.ask if top.valid and top.ask else (None, None)
        state = "live" if top.valid else "stale"
        self._database.execute(
            "INSERT INTO tops (asset_id, timestamp_ms, bid, bid_size, ask, ask_size, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (book.asset_id, top.timestamp_ms, *bid, *ask, state),
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Follow the assets of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="of the database")
    parser.add_argument("assets", nargs="+", help="token ids")
    parser.add_argument("--market-url", default=Options().market_url)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # A full disk shall end the script, not leave a hole: run() raises what a callback raised.
    options = Options(market_url=given.market_url, callback_errors="raise")
    sub = Subscriber(given.assets, options=options, name="tops")
    # autocommit; and made here, but used on the callback thread
    connect = sqlite3.connect(given.file, isolation_level=None, check_same_thread=False)
    with closing(connect) as database:
        tops = Tops(database)
        sub.on_book_update(tops.write, top_only=True)
        sub.run()
        for book in sub.books.values():  # no callback runs any more
            tops.write(book)


if __name__ == "__main__":
    main()

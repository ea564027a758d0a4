"""A Celery application whose tasks read live books, and one of them stores each public trade.

    sh start.sh      # a Redis of its own, and a worker with four processes

`prices` runs in each process, for tasks that need a price now. `feed` runs once, in the worker's
main process, and sends each trade to `store`: once, however many processes there are.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing

from celery import Celery

from polymarket_ws import Options, Subscriber
from polymarket_ws.contrib.celery import attach, to_task
from polymarket_ws.errors import CallbackError, PolymarketWsError
from polymarket_ws.options import MARKET_URL

BROKER = os.environ.get("BROKER_URL", "redis://127.0.0.1:6379/0")
DATABASE = os.environ.get("DATABASE", "trades.sqlite3")
ASSET_IDS = json.loads(os.environ["ASSET_IDS"])  # a JSON list of token ids
OPTIONS = Options(market_url=os.environ.get("MARKET_URL", MARKET_URL))

app = Celery("tasks", broker=BROKER, backend=BROKER)

prices = Subscriber(ASSET_IDS, options=OPTIONS, name="prices")
attach(app, prices)

feed = Subscriber(ASSET_IDS, options=OPTIONS, name="feed")
attach(app, feed, scope="node")


@app.task
def quote(asset_id: str) -> dict[str, str | None]:
    """The best prices now; an error while the book is not live."""
    prices.wait_ready(timeout=10, asset_ids=[asset_id])
    top = prices.books[asset_id].top
    return {
        "bid": str(top.bid.price) if top.bid else None,
        "ask": str(top.ask.price) if top.ask else None,
    }


@app.task
def store(trade: dict[str, str]) -> None:
    """Write a trade; prices are text, so nothing is rounded."""
    with closing(sqlite3.connect(DATABASE, timeout=30)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS trades (asset_id, side, price, size, time)")
        names = ("asset_id", "side", "price", "size", "timestamp")
        row = [trade[name] for name in names]
        database.execute("INSERT INTO trades VALUES (?, ?, ?, ?, ?)", row)


to_task("last_trade_price", store, options={"expires": 3600})


@feed.on_error
def keep(error: PolymarketWsError) -> None:
    """A trade that the broker did not take comes here: keep what must not be lost."""
    if isinstance(error, CallbackError):
        with open("lost.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(error.event.to_dict()) + "\n")

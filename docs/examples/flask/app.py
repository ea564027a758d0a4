"""A Flask application that shows live books in the browser and keeps trades in SQLite.

    sh start.sh      # the recorder of trades, and gunicorn with four workers

The web workers read books. One more process, `flask polymarket stream`, writes the trades: once,
however many workers there are.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from flask import Flask, Response, current_app, g, jsonify

from polymarket_ws import LastTradePrice
from polymarket_ws.contrib.flask import PolymarketWS, stream_books

polymarket = PolymarketWS()


def create_app() -> Flask:
    """The application; FLASK_... variables of the environment are its configuration."""
    app = Flask(__name__)
    app.config["DATABASE"] = str(Path(__file__).with_name("trades.sqlite3"))
    app.config.from_prefixed_env()
    polymarket.init_app(app)
    app.teardown_appcontext(close_database)
    app.add_url_rule("/", view_func=show_page)
    app.add_url_rule("/books", view_func=stream_all)
    app.add_url_rule("/books/<asset_id>", view_func=stream_one)
    app.add_url_rule("/trades", view_func=list_trades)
    app.add_url_rule("/healthz", view_func=tell_health)
    return app


def show_page() -> Response:
    """A page that listens to /books."""
    return Response(PAGE)


def stream_all() -> Response:
    """Every book, as server-sent events."""
    return stream_books(depth=5)


def stream_one(asset_id: str) -> Response:
    """One book; 404 when it is not followed."""
    return stream_books([asset_id])


def list_trades() -> Response:
    """The newest trades that were written."""
    rows = database().execute("SELECT asset_id, side, price, size FROM trades ORDER BY id DESC")
    return jsonify([dict(row) for row in rows.fetchmany(50)])


def tell_health() -> tuple[Response, int]:
    """200 while this worker's books are all live."""
    subscriber = polymarket.subscriber
    answer = jsonify(
        pid=os.getpid(),
        state=str(subscriber.state),
        missing=list(subscriber.missing),
        streams=polymarket.open_streams,
    )
    return answer, 200 if subscriber.healthy else 503


@polymarket.in_stream.on_last_trade_price
def store(trade: LastTradePrice) -> None:
    """Write a trade. Called in the application's context, which closes the database at its end."""
    with database() as connection:
        connection.execute(
            "INSERT INTO trades (asset_id, side, price, size, timestamp_ms) VALUES (?, ?, ?, ?, ?)",
            (trade.asset_id, trade.side, str(trade.price), str(trade.size), trade.timestamp_ms),
        )


def database() -> sqlite3.Connection:
    """The connection of the present context."""
    if "database" not in g:
        g.database = sqlite3.connect(current_app.config["DATABASE"])
        g.database.row_factory = sqlite3.Row
        g.database.execute(
            "CREATE TABLE IF NOT EXISTS trades (id INTEGER PRIMARY KEY, asset_id TEXT, side TEXT, "
            "price TEXT, size TEXT, timestamp_ms INTEGER)"
        )
    connection: sqlite3.Connection = g.database
    return connection


def close_database(error: BaseException | None) -> None:
    """At the end of each request and each callback."""
    if "database" in g:
        g.pop("database").close()


PAGE = """<!doctype html>
<title>Books</title>
<table><thead><tr><th>asset<th>bid<th>ask<th>state</thead><tbody id="books"></tbody></table>
<script>
const rows = {};
new EventSource("/books").onmessage = (message) => {
  const book = JSON.parse(message.data);
  const row = rows[book.asset_id] ||= document.getElementById("books").insertRow();
  const price = (levels) => (levels[0] || ["-"])[0];
  const cells = [book.asset_id.slice(0, 8), price(book.bids), price(book.asks),
                 book.valid ? "live" : book.stale_reason];
  row.innerHTML = cells.map((cell) => `<td>${cell}`).join("");
};
</script>
"""

"""A subscriber for each Flask application: started in the worker that serves, callbacks in the
application's context, books as server-sent events.

    polymarket = PolymarketWS()

    @polymarket.on_last_trade_price
    def store(trade):                      # in the application's context
        db.session.add(...)

    def create_app():
        app = Flask(__name__)
        app.config["POLYMARKET_WS_ASSET_IDS"] = [YES, NO]
        polymarket.init_app(app)           # starts nothing
        return app

Needs the extra: `pip install polymarket-ws[flask]`.
"""

from __future__ import annotations

try:
    import flask  # noqa: F401 - the check alone
except ModuleNotFoundError as error:
    raise ImportError(
        "polymarket_ws.contrib.flask needs Flask: install polymarket-ws[flask]"
    ) from error

from .book_stream import end_streams_when, stream_books
from .extension import PolymarketWS

__all__ = ["PolymarketWS", "end_streams_when", "stream_books"]

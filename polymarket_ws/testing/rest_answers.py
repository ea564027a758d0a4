"""What a FakeServer answers in the place of Polymarket's REST services. Sans-I/O.

The private part shows the account of its exchange's user: /data/orders, /data/trades. Public are
/book, /books and, of the data service, /positions.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from email.utils import formatdate

from attrs import define, field, frozen

from polymarket_ws.credentials import Credentials

from .exchange import API_KEY, SimulatedExchange
from .http_messages import JSON, Answer, HttpRequest
from .rest_faults import Act, RestFaults
from .rest_rows import book_row, order_row, position_row, trade_row
from .rest_signature import Gatekeeper
from .simulated_market import Wire

LAST_CURSOR = "LTE="  # base64 of -1
_ROUTES = {
    ("GET", "/data/orders"): "orders",
    ("GET", "/data/trades"): "trades",
    ("GET", "/book"): "book",
    ("POST", "/books"): "books",
    ("GET", "/positions"): "positions",
}
_MOST_POSITIONS = 500


@frozen
class RestRequest:
    """A request that was answered in the place of Polymarket's REST services."""

    method: str
    path: str
    query: Mapping[str, str]
    status: int
    """Of the answer."""


@define
class RestStyle:
    """How REST answers look: `FakeServer.rest_style`. Set its fields at any time."""

    page_size: int = 300
    """Rows of a page."""
    newest_first: bool = False
    """Whether listings begin with what is newest."""
    base_units: bool = False
    """Whether /data/orders has sizes in millionths of a share."""
    prefixes: bool = False
    """Whether statuses begin with ORDER_STATUS_ and TRADE_STATUS_."""
    float_noise: bool = False
    """Whether the prices of /data/trades' makers carry float noise."""


class _BadRequest(Exception):
    """Its words are the answer's."""


@define(eq=False)
class RestAnswers:
    """Answers the requests. Owned by one FakeServer; only its thread calls it.

    Args:
        exchange: The server's, whose user's account is shown; None: there are no rows.
        snapshot: The book of an asset; None for an unknown one.
        play: Lets the exchange act and sends what came of it.
        credentials: Whom private answers are for; None: whoever shows the user's api key.
        faults: What goes wrong.
        time: The server's clock, seconds since 1970.
    """

    exchange: Callable[[], SimulatedExchange | None]
    snapshot: Callable[[str], Wire | None]
    play: Callable[[Act], object]
    credentials: Credentials | None = field(repr=False)
    faults: RestFaults
    time: Callable[[], float]
    style: RestStyle = field(factory=RestStyle)
    requests: list[RestRequest] = field(factory=list)
    _moments: deque[tuple[float, int]] = field(factory=deque)
    """When the ledger had how many entries, by the server's clock."""

    def answer(self, request: HttpRequest) -> Answer | None:
        """The answer to a request; None when its path is none of these services'."""
        route = _ROUTES.get((request.method, request.path))
        if route is None:
            return None
        fault = self.faults.take(request)
        answer = self._right_answer(route, request)
        if fault is not None:
            answer = fault.apply(answer)
        self.requests.append(
            RestRequest(request.method, request.path, request.query, answer.status)
        )
        return answer

    def note(self) -> None:
        """Note the present moment of the exchange, for answers that are stale by the clock.

        Called before and after it acts.
        """
        exchange = self.exchange()
        if exchange is None:
            return
        now, lag = self.time(), self.faults.lag
        self._moments.append((now, exchange.ledger.entries))
        shown_since = now - (lag.seconds if lag else 0)
        while len(self._moments) > 1 and self._moments[1][0] <= shown_since:
            self._moments.popleft()

    def _right_answer(self, route: str, request: HttpRequest) -> Answer:
        try:
            if route in ("orders", "trades") and not self._is_admitted(request):
                return self._json(401, {"error": "Unauthorized/Invalid api key"})
            if route in ("book", "books"):
                return self._books(request)
            if route == "positions":
                return self._json(200, self._positions(request.query))
            list_events = self._orders if route == "orders" else self._trades
            page = self._page(list(list_events(request.query)), request.query)
            return self._json(200, {**page, "data": [self._row(e) for e in page["data"]]})
        except _BadRequest as error:
            return self._json(400, {"error": str(error)})

    def _is_admitted(self, request: HttpRequest) -> bool:
        """Whoever signs with the exchange's time, as `Date` tells it, or with the real one."""
        exchange = self.exchange()
        gatekeeper = Gatekeeper(self.credentials, exchange.api_key if exchange else API_KEY)
        times = (self._clock(), self.time() + self.faults.clock_seconds)
        return any(gatekeeper.admits(request, time) for time in times)

    def _clock(self) -> float:
        """The service's clock: the exchange's time, as in the rows that it lists."""
        exchange = self.exchange()
        now = self.time() if exchange is None else exchange.now_ms / 1000
        return now + self.faults.clock_seconds

    def _json(self, status: int, document: object) -> Answer:
        date = formatdate(self._clock(), usegmt=True)
        body = json.dumps(document, ensure_ascii=False)
        return Answer(status, body, {"Content-Type": JSON, "Date": date})

    # The account.

    def _orders(self, query: Mapping[str, str]) -> Iterator[Wire]:
        exchange = self.exchange()
        if exchange is not None:
            for event in exchange.ledger.open_orders(self._moment(exchange)):
                if all(event[name] == query.get(name, event[name]) for name in _FILTERS):
                    yield event

    def _trades(self, query: Mapping[str, str]) -> Iterator[Wire]:
        exchange = self.exchange()
        if exchange is not None:
            for event in exchange.ledger.trades(self._moment(exchange)):
                if _is_asked_for(event, query):
                    yield event

    def _row(self, event: Wire) -> Wire:
        style = self.style
        if event["event_type"] == "order":
            return order_row(event, base_units=style.base_units, prefixes=style.prefixes)
        return trade_row(event, float_noise=style.float_noise, prefixes=style.prefixes)

    def _moment(self, exchange: SimulatedExchange) -> int:
        """The moment of the exchange that the present answer shows."""
        lag = self.faults.lag
        if lag is None:
            return exchange.ledger.entries
        seconds = lag.random.uniform(0, lag.seconds)
        if lag.clock == "exchange":
            return exchange.ledger.entries_at(exchange.now_ms - round(1000 * seconds))
        at = self.time() - seconds
        noted = [entries for noted_at, entries in self._moments if noted_at <= at]
        oldest = self._moments[0][1] if self._moments else exchange.ledger.entries
        return noted[-1] if noted else oldest

    def _page(self, rows: list[Wire], query: Mapping[str, str]) -> Wire:
        """The page that the cursor asks for; its rows are events still."""
        rows = rows[::-1] if self.style.newest_first else rows
        start, size = _offset(query.get("next_cursor", "")), self.style.page_size
        tears = self.faults.between_pages
        if start and tears and tears[0] is None:  # one of the former page is gone: a row is missed
            tears.popleft()
            start += 1
        page, left = rows[start : start + size], len(rows) > start + size
        if left and tears and tears[0] is not None:
            act = tears.popleft()
            assert act is not None
            self.play(act)
        cursor = _cursor(start + size) if left else LAST_CURSOR
        return {"data": page, "next_cursor": cursor, "limit": size, "count": len(page)}

    # Books and positions.

    def _books(self, request: HttpRequest) -> Answer:
        if request.method == "GET":
            book = self._book(request.query.get("token_id", ""))
            if book is None:
                missing = "No orderbook exists for the requested token id"
                return self._json(404, {"error": missing})
            return self._json(200, book)
        try:
            ids = [str(wanted["token_id"]) for wanted in json.loads(request.body)]
        except (ValueError, TypeError, KeyError):
            raise _BadRequest("Invalid payload") from None
        return self._json(200, [book for book in map(self._book, ids) if book])

    def _book(self, asset_id: str) -> Wire | None:
        exchange, snapshot = self.exchange(), self.snapshot(asset_id)
        if snapshot is None:
            return None
        minimum, neg_risk = exchange.hash_parameters(asset_id) if exchange else ("5", False)
        return book_row(snapshot, min_order_size=minimum, neg_risk=neg_risk)

    def _positions(self, query: Mapping[str, str]) -> list[Wire]:
        exchange = self.exchange()
        if exchange is None or query.get("user", "").lower() != exchange.wallet.lower():
            return []
        start = _whole(query.get("offset", "0"))
        count = min(_whole(query.get("limit", "100")), _MOST_POSITIONS)
        holdings = exchange.ledger.holdings(self._moment(exchange))
        rows = [position_row(held, exchange.wallet) for held in holdings if held.size > 0]
        return rows[start : start + count]


_FILTERS = ("id", "market", "asset_id")


def _is_asked_for(event: Wire, query: Mapping[str, str]) -> bool:
    """Filters of /data/trades; `after` and `before` exclude their own second."""
    matched, wallet = int(event["match_time"]), query.get("maker_address")
    parts = (event, *event["maker_orders"])
    return (
        all(event[name] == query.get(name, event[name]) for name in _FILTERS)
        and (wallet is None or any(part["maker_address"] == wallet for part in parts))
        and ("after" not in query or matched > _whole(query["after"]))
        and ("before" not in query or matched < _whole(query["before"]))
    )


def _cursor(offset: int) -> str:
    return base64.b64encode(str(offset).encode()).decode()


def _offset(cursor: str) -> int:
    try:
        return _whole(base64.b64decode(cursor, validate=True).decode() or "0")
    except (binascii.Error, UnicodeDecodeError):
        raise _BadRequest("Invalid next_cursor") from None


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise _BadRequest(f"not a whole number: {text}")
    return int(text)

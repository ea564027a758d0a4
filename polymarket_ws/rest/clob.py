"""One account's orders, trades and positions, row by row, as two services list them.

Nothing is understood here but the pages: a row is what the JSON says. Requests wait on the caller's
thread.
"""

from __future__ import annotations

import http
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import define, field

from polymarket_ws.credentials import Credentials
from polymarket_ws.logs import Log
from polymarket_ws.options import Options

from .abort import Abort
from .client import RestClient
from .failures import KeyRefused, RequestFailed, UnexpectedAnswer
from .signing import signed_headers

logger = Log(__name__)

Row = Mapping[str, Any]

_MOST_PAGES = 1000  # of 300 rows: a list that does not end is a fault of the service
_LAST_CURSORS = ("", "LTE=", None)  # the base64 of -1
_POSITIONS_PAGE = 500
_MOST_POSITIONS = 100_000
_REQUEST_SECONDS = 30.0
# A date has whole seconds, and an answer may be on its way for some.
_SKEW_SECONDS = 5.0


@define(eq=False)
class ClobAccount:
    """Lists what one account has. Used by one thread at a time.

    Args:
        address: The signer's.
        holder: The wallet that holds the positions.
        wall: Gives the time, seconds since 1970.
    """

    credentials: Credentials = field(repr=False)
    address: str
    holder: str
    options: Options
    wall: Callable[[], float]
    abort: Abort = field(factory=Abort)
    clock_offset: float = 0.0
    """Seconds that the server's clock is ahead of ours; 0 while they differ by a few."""
    _told_clock: bool = False

    def stop(self) -> None:
        """End what is being asked, for good. Any thread; never blocks."""
        self.abort.abort()

    def open_orders(self) -> Iterator[Row]:
        """Every open order.

        Raises:
            RequestFailed: no answer that can be used.
            KeyRefused: the service does not know the key.
            UnexpectedAnswer: no pages of rows.
            AuthenticationError: the secret is no base64 text.
        """
        return self._pages("/data/orders", [])

    def trades(self, *, after_seconds: float | None = None, id: str = "") -> Iterator[Row]:
        """The trades that were matched after a moment of the server's clock, or the one of this id;
        raises as `open_orders` does.
        """
        query = [("id", id)] if id else []
        if after_seconds is not None:
            query.append(("after", str(max(0, int(after_seconds)))))
        return self._pages("/data/trades", query)

    def positions(self) -> Iterator[Row]:
        """What the wallet holds, as the data service lists it; raises as `open_orders` does."""
        client = RestClient(self.options.data_url, self.options, self.abort)
        for offset in range(0, _MOST_POSITIONS, _POSITIONS_PAGE):
            query = [
                ("user", self.holder),
                ("sizeThreshold", "0"),
                ("limit", str(_POSITIONS_PAGE)),
                ("offset", str(offset)),
            ]
            url = client.address(["positions"], query)
            rows = _rows(url, client.get(url, deadline=_deadline()))
            yield from rows
            if len(rows) < _POSITIONS_PAGE:
                return
        raise UnexpectedAnswer(f"the list of positions has more than {_MOST_POSITIONS} rows")

    def _pages(self, path: str, query: Sequence[tuple[str, str]]) -> Iterator[Row]:
        client = RestClient(self.options.rest_url, self.options, self.abort, self._compare_clocks)
        cursor, seen = "", set[str]()
        for _ in range(_MOST_PAGES):
            more = [("next_cursor", cursor)] if cursor else []
            url = client.address(path.strip("/").split("/"), [*query, *more])
            page = self._get(client, url, path)
            if not isinstance(page, dict) or "data" not in page:
                raise UnexpectedAnswer(f"the answer of {path} is no page with its rows in `data`")
            yield from _rows(url, page["data"])
            following = page.get("next_cursor")
            if following in _LAST_CURSORS:
                return
            if not isinstance(following, str) or following in seen:
                raise UnexpectedAnswer(f"the pages of {path} do not end: a cursor came twice")
            seen.add(following)
            cursor = following
        raise UnexpectedAnswer(f"the answer of {path} has more than {_MOST_PAGES} pages")

    def _get(self, client: RestClient, url: str, path: str) -> object:
        """A signed request; once more when its answer told that our clock is wrong."""
        signed_with = self.clock_offset
        try:
            return self._get_signed(client, url, path)
        except RequestFailed as error:
            if not _is_verdict(error):
                raise
            refusal = error
        if self.clock_offset != signed_with:
            try:
                return self._get_signed(client, url, path)
            except RequestFailed as error:
                if not _is_verdict(error):
                    raise
                refusal = error
        raise KeyRefused(refusal.url, refusal.detail, status=refusal.status)

    def _get_signed(self, client: RestClient, url: str, path: str) -> object:
        def headers() -> dict[str, str]:
            seconds = int(self.wall() + self.clock_offset)
            return signed_headers(self.credentials, self.address, seconds, "GET", path)

        return client.get(url, deadline=_deadline(), headers=headers)

    def _compare_clocks(self, server_time: float) -> None:
        """Take the server's clock for ours when they differ by more than an answer takes."""
        offset = server_time - self.wall()
        if abs(offset - self.clock_offset) <= _SKEW_SECONDS:
            return
        level = logging.DEBUG if self._told_clock else logging.WARNING
        self._told_clock = True
        logger.log(
            level,
            "this machine's clock is %.0f s %s the server's, which is taken instead",
            abs(offset),
            "behind" if offset > 0 else "ahead of",
        )
        self.clock_offset = offset


def _is_verdict(error: RequestFailed) -> bool:
    """Whether an answer is about the key."""
    if error.status == http.HTTPStatus.FORBIDDEN:
        return "json" in error.kind.lower()
    return error.status == http.HTTPStatus.UNAUTHORIZED


def _deadline() -> float:
    return time.monotonic() + _REQUEST_SECONDS


def _rows(url: str, answer: object) -> list[Row]:
    if not isinstance(answer, list):
        raise UnexpectedAnswer(f"{url.partition('?')[0]} answered no list of rows")
    return answer

"""One GET of a JSON document, its retries, and what came instead of an answer.

urllib3 speaks HTTP and counts the retries. The socket is ours: proxies, TLS and the limits of a
connection are those of the WebSocket channels.
"""

from __future__ import annotations

import http
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from socket import socket
from urllib.parse import quote, urlencode, urlsplit

import attrs
from attrs import field, frozen
from urllib3 import HTTPResponse, Retry
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError

from polymarket_ws.errors import (
    ConfigurationError,
    ConnectionLost,
    PolymarketWsError,
    forget_locals,
)
from polymarket_ws.logs import Log, printable
from polymarket_ws.net.attempt import Attempt
from polymarket_ws.net.deadline import shut_down
from polymarket_ws.options import Options
from polymarket_ws.wire.json_text import JSON, InvalidValue, check_text
from polymarket_ws.wire.redaction import redact

from .abort import Abort
from .failures import RequestFailed

logger = Log(__name__)

MAX_ANSWER_BYTES = 16 * 2**20  # a captured market has 7 kB; events have up to some hundred of them
ATTEMPTS = 4
_CHUNK_BYTES = 2**16
_SHOWN_CHARS, _KIND_CHARS = 60, 40
_BACKOFF_BASE, _BACKOFF_CAP, _JITTER = 0.25, 2.0, 0.25  # seconds
# 425: the matching engine restarts (docs.polymarket.com).
_RETRIED = (425, 429, 500, 502, 503, 504)
_SHORTEST_TIMEOUT = 0.01  # what Options allows
_HEADERS = {"Accept": "application/json", "User-Agent": "polymarket-ws", "Connection": "close"}


@frozen
class _Reply:
    status: int
    retry_after: str
    kind: str
    """Its content type."""
    server_time: float | None
    """Its date, seconds since 1970."""
    body: bytes


@frozen
class RestClient:
    """Asks one service. Made for some requests, on the caller's thread, which waits for them.

    Args:
        url: Of the service, http:// or https://.
        options: The proxy and the TLS context.
        abort: Ends what is being asked, from another thread.
        heard_date: Called with the date of each answer that tells one, seconds since 1970.
    """

    url: str
    options: Options = field(factory=Options)
    abort: Abort = field(factory=Abort)
    heard_date: Callable[[float], object] = lambda _: None

    def address(self, segments: Sequence[str], query: Sequence[tuple[str, str]] = ()) -> str:
        """The URL of a request: the service's, a path of these segments, and a query."""
        path = "".join(f"/{quote(segment, safe='')}" for segment in segments)
        return f"{self.url.rstrip('/')}{path}{'?' if query else ''}{urlencode(query)}"

    def get(
        self,
        url: str,
        *,
        deadline: float,
        headers: Callable[[], Mapping[str, str]] = dict,
    ) -> object:
        """The JSON document at a URL; numbers with a fraction are Decimal.

        Args:
            url: As `address` makes it.
            deadline: Monotonic time in seconds by which it has to be there, retries included.
            headers: Makes those of each attempt, besides the usual ones.

        Raises:
            RequestFailed: no answer, none of status 200, none that is JSON, or it was aborted.
            ConfigurationError: the proxy's settings are wrong, or the certificate was refused.
        """
        retry = Retry(
            ATTEMPTS - 1,
            backoff_factor=_BACKOFF_BASE,
            backoff_max=_BACKOFF_CAP,
            backoff_jitter=_JITTER,
        )
        while True:
            try:
                return self._get_once(url, deadline, headers())
            except RequestFailed as error:
                failure = error
            if failure.status is not None and failure.status not in _RETRIED:
                raise failure
            try:
                retry = retry.increment("GET", url, error=failure)
            except MaxRetryError:
                raise failure from None
            seconds = failure.retry_after or retry.get_backoff_time()
            if time.monotonic() + seconds >= deadline:
                raise failure
            logger.debug("GET %s: %s; next attempt in %.2f s", url, failure.detail, seconds)
            if self.abort.wait(seconds):
                raise failure

    def _get_once(self, url: str, deadline: float, headers: Mapping[str, str]) -> object:
        began_at = time.monotonic()
        try:
            reply = self._exchange(url, deadline, headers)
            if time.monotonic() >= deadline:  # what came may have been cut off
                raise TimeoutError
        except ConnectionLost as error:
            detail = f"no answer: {error}"
            raise RequestFailed(url, detail, retry_after=error.retry_after) from error
        except ConfigurationError:  # the certificate, the proxy
            raise
        except ValueError:  # a header cannot be written: the error shows it, and it may be a key
            raise RequestFailed(url, "the request cannot be written") from None
        except (HTTPError, HTTPException, OSError) as error:
            now = time.monotonic()
            what = _words(error) if now < deadline else f"none within {now - began_at:.1f} s"
            raise RequestFailed(url, f"no whole answer: {what}") from error
        logger.debug("GET %s: HTTP status %d, %d bytes", url, reply.status, len(reply.body))
        if reply.server_time is not None:
            self.heard_date(reply.server_time)
        if reply.status != http.HTTPStatus.OK:
            raise _refusal(url, reply)
        return _json(url, reply)

    def _exchange(self, url: str, deadline: float, more: Mapping[str, str]) -> _Reply:
        parts = urlsplit(url)
        seconds = max(_SHORTEST_TIMEOUT, deadline - time.monotonic())
        sock = self._open_stream(url, seconds)
        # A timeout of the socket is for each read, and a server may send byte by byte.
        watchdog = threading.Timer(max(0.0, deadline - time.monotonic()), shut_down, [sock])
        watchdog.name, watchdog.daemon = "polymarket-ws-request-deadline", True
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
        connection.sock = sock
        with closing(connection), self.abort.calls(lambda: shut_down(sock)):
            watchdog.start()
            try:
                headers = {**_HEADERS, **more, "Host": parts.netloc.rpartition("@")[2]}
                target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
                connection.request(
                    "GET", target, headers=headers, preload_content=False, decode_content=False
                )
                with closing(connection.getresponse()) as response:
                    return _reply(url, response)
            finally:
                watchdog.cancel()

    def _open_stream(self, url: str, seconds: float) -> socket:
        timeout = min(self.options.connect_timeout, seconds)
        options = attrs.evolve(self.options, connect_timeout=timeout)
        context = options.ssl_context
        attempt = Attempt(url, options, lambda: context or ssl.create_default_context())
        try:
            with self.abort.calls(attempt.abort):
                return attempt.open_stream()
        except PolymarketWsError as error:
            forget_locals(error)  # of the way through a proxy, with its password
            raise


def _reply(url: str, response: HTTPResponse) -> _Reply:
    return _Reply(
        response.status,
        response.headers.get("Retry-After", ""),
        response.headers.get("Content-Type", ""),
        _server_time(response.headers.get("Date", "")),
        _body(url, response),
    )


def _server_time(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _body(url: str, response: HTTPResponse) -> bytes:
    body = bytearray()
    for chunk in response.stream(_CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            limit = f"the answer has more than {MAX_ANSWER_BYTES} bytes"
            raise RequestFailed(url, limit, status=response.status)
    return bytes(body)


def _refusal(url: str, reply: _Reply) -> RequestFailed:
    seconds = _retry_after(reply.retry_after)
    try:
        phrase = f" ({http.HTTPStatus(reply.status).phrase})"
    except ValueError:
        phrase = ""
    detail = f"HTTP status {reply.status}{phrase}"
    if seconds:
        detail += f": it asks to wait {seconds:g} s"
    elif 300 <= reply.status < 400:
        detail += ": redirects are not followed"
    return RequestFailed(url, detail, status=reply.status, retry_after=seconds, kind=reply.kind)


def _retry_after(text: str) -> float | None:
    try:
        return Retry().parse_retry_after(text) if text else None
    except (InvalidHeader, OverflowError):
        return None


def _json(url: str, reply: _Reply) -> object:
    text = reply.body.decode("utf-8", "replace")
    try:
        document: object = JSON.decode(text)
        check_text(document)
    except (ValueError, RecursionError, InvalidValue):
        kind = printable(reply.kind.partition(";")[0])[:_KIND_CHARS] or "without a content type"
        shown = redact(text.strip()[:_SHOWN_CHARS])
        detail = f"the answer is no JSON but {kind}: {shown}" if shown else "the answer is empty"
        raise RequestFailed(url, detail, status=reply.status) from None
    return document


def _words(error: Exception) -> str:
    """urllib3's errors name objects; the cause says it shorter."""
    cause = error.__cause__ or error.__context__ or error
    return printable(str(cause) or type(cause).__name__)

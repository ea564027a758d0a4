"""The exception tree, split by what its reader can do.

PolymarketWsError
├── ConfigurationError            fix the call (also a ValueError)
│   └── CertificateError          fix the trust store, or the URL
├── AuthenticationError           fix the keys
├── ConnectionLost                wait: the subscriber reconnects by itself
│   ├── ConnectTimeout            the connect deadline passed
│   └── HandshakeRejected         the server answered with an HTTP status
├── ReconciliationFailed          wait: REST did not list the account, and is asked again
├── LookupFailed                  look at what was asked and what came: a market was not found
├── OrderEnded                    decide anew: one's own order ended and was not filled
├── ProtocolError                 report the peer: its frames break RFC 6455, or hold too much
├── DecodeError                   report the peer: an element of a message is not understood
├── QueueOverflow                 look at your own code: too slow for your own orders and trades
└── CallbackError                 look at your own code: a callback raised
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from .logs import printable

if TYPE_CHECKING:
    from .events import Order

EXCERPT_CHARS = 200  # of a bad message: enough to see its kind, short enough for a log line


class PolymarketWsError(Exception):
    """The base of every exception of this package. Picklable, as process pools need."""

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args), vars(self)


def _rebuild(kind: type[PolymarketWsError], args: tuple[object, ...]) -> PolymarketWsError:
    return kind.__new__(kind, *args)  # and not kind(*args): `args` is the sentence


class ConfigurationError(PolymarketWsError, ValueError):
    """A wrong argument, option or URL: the call has to change, a retry cannot help."""


class CertificateError(ConfigurationError):
    """The server's TLS certificate was refused.

    Fatal at the first connect, since trying again cannot help. Of a connection that was open before
    it may be one bad host of many: that is tried again, and fatal after ten in a row.

    Attributes:
        host: The name that the certificate was checked for.
        detail: OpenSSL's reason.
    """

    def __init__(self, host: str, detail: str) -> None:
        super().__init__(f"the TLS certificate of {host} was refused: {detail}")
        self.host = host
        self.detail = detail


class AuthenticationError(PolymarketWsError):
    """The server refused the credentials, or this client as a whole (HTTP 401, 403). Fatal."""


class ConnectionLost(PolymarketWsError):
    """A connection could not be made, or ended. Told through on_disconnect; the next one comes.

    Attributes:
        reason: A documented word, the same as `Disconnected.reason`.
        detail: What happened, in a short phrase.
        code: The WebSocket close code, the HTTP status, or None.
        retry_after: Seconds the server asked to wait before the next attempt, or None.
    """

    def __init__(
        self,
        reason: str,
        detail: str,
        *,
        code: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        detail = printable(detail)
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.code = code
        self.retry_after = retry_after

    def add_place(self, place: str) -> None:
        """Say where the connection was to be made."""
        self.detail = f"{self.detail} ({place})"
        self.args = (f"{self.reason}: {self.detail}",)


class ConnectTimeout(ConnectionLost):
    """The total deadline for connecting (`Options.connect_timeout`) passed.

    Attributes:
        phase: What was going on: "dns", "tcp", "proxy", "tls" or "handshake".
    """

    def __init__(self, phase: str, seconds: float) -> None:
        super().__init__("connect_timeout", f"no answer within {seconds:g} s (in phase {phase!r})")
        self.phase = phase


class HandshakeRejected(ConnectionLost):
    """The server answered the opening handshake with an HTTP status other than 101."""

    def __init__(self, status: int, *, retry_after: float | None = None) -> None:
        super().__init__("rejected", f"HTTP status {status}", code=status, retry_after=retry_after)
        self.status = status


class ReconciliationFailed(PolymarketWsError):
    """REST did not list one's own orders and trades; it is asked again. Told to on_error.

    `account.complete` is False until it does.

    Attributes:
        detail: What came, in a short phrase.
        attempt: How many listings in a row have failed.
        delay: Seconds until the next one.
    """

    def __init__(self, detail: str, *, attempt: int, delay: float) -> None:
        detail = printable(detail)
        super().__init__(
            f"own orders and trades were not listed over REST: {detail} (attempt {attempt}, the "
            f"next one in {delay:.1f} s)"
        )
        self.detail = detail
        self.attempt = attempt
        self.delay = delay


class LookupFailed(PolymarketWsError):
    """A market was not found, or the service that knows the markets did not answer as it should.

    Attributes:
        detail: What came, in a short phrase.
        url: What was asked last.
        status: The HTTP status; None when none came.
        retry_after: Seconds the server asked to wait; None when it did not.
    """

    def __init__(
        self, detail: str, *, url: str, status: int | None = None, retry_after: float | None = None
    ) -> None:
        detail, url = printable(detail), printable(url)
        super().__init__(f"{detail} (asked {url})")
        self.detail = detail
        self.url = url
        self.status = status
        self.retry_after = retry_after


class OrderEnded(PolymarketWsError):
    """An order that was waited for was cancelled, has expired or failed: it will not be filled.

    Attributes:
        order: The order as it ended; `size_matched` of it was matched.
        failed: Shares of these whose trade FAILED, so that they were not exchanged.
    """

    def __init__(self, order: Order, failed: Decimal = Decimal(0)) -> None:
        status, matched = order.status or order.type or "ended", order.size_matched or Decimal(0)
        whole = "?" if order.original_size is None else f"{order.original_size:f}"
        super().__init__(
            f"order {printable(order.id)} will not be filled: {printable(status)}, "
            f"{matched:f} of {whole} matched"
            + (f", {failed:f} in trades that FAILED" if failed else "")
        )
        self.order = order
        self.failed = failed


class ProtocolError(PolymarketWsError):
    """The peer broke RFC 6455, or a limit of ours: the connection is closed with `code` and made
    anew.

    Attributes:
        code: The close code that was sent: 1002, 1007, 1009, or 1008 where a message holds more
            than an honest server sends.
    """

    def __init__(self, code: int, detail: str) -> None:
        detail = printable(detail)
        super().__init__(f"{detail} (closed with code {code})")
        self.code = code
        self.detail = detail


class DecodeError(PolymarketWsError):
    """One element of a message was not understood; its neighbours were delivered.

    Attributes:
        path: Where, as a JSON path from the message's root: "$.price_changes[1].price".
        reason: What was expected and what was there.
        event_type: The element's event type; "" where it has none that can be read.
        excerpt: The element's first characters, secrets masked.
        asset_id, market: Whom it concerned, where that much could be read; else None.
        lost: Whether a whole element or entry was lost; False when only an optional field was.
    """

    def __init__(
        self,
        path: str,
        reason: str,
        *,
        event_type: str = "",
        excerpt: str = "",
        asset_id: str | None = None,
        market: str | None = None,
        lost: bool = True,
    ) -> None:
        path, reason = printable(path), printable(reason)
        super().__init__(f"{reason} @ {path}" + (f": {excerpt}" if excerpt else ""))
        self.path = path
        self.reason = reason
        self.event_type = event_type
        self.excerpt = excerpt
        self.asset_id = asset_id
        self.market = market
        self.lost = lost


class QueueOverflow(PolymarketWsError):
    """More own orders and trades wait for their callbacks than `Options.queue_limit`. Fatal.

    They are never dropped, so a subscriber that cannot deliver them fails instead.
    """


class CallbackError(PolymarketWsError):
    """A callback raised. Told to on_error, or raised: see `Options.callback_errors`.

    Attributes:
        callback: The function as it was registered.
        event: What it was called with.
        cause: The exception (also `__cause__`).
    """

    def __init__(
        self, callback: Callable[..., object], event: object, cause: BaseException
    ) -> None:
        name, words = callback_name(callback), _words(cause)
        super().__init__(f"callback {name} raised {type(cause).__name__}: {words}")
        self.callback = callback
        self.event = event
        self.cause = cause
        self.__cause__ = cause


def forget_locals(error: BaseException) -> None:
    """Clear the local variables of the frames in which an error, and what caused it, was raised.

    Some tools print them (rich, sentry, cgitb), and on the way to a server they hold keys and
    passwords. Frames that are still executing keep theirs.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is not None and id(current) not in seen:
            seen.add(id(current))
            traceback.clear_frames(current.__traceback__)
            waiting += current.__cause__, current.__context__


def callback_name(callback: Callable[..., object]) -> str:
    """What to call it in a log line or an error: never its repr, which is user code too."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    name = getattr(callback, "__qualname__", None)
    return str(name) if name else f"{type(callback).__qualname__} object"


def _words(cause: BaseException) -> str:
    try:
        return printable(str(cause))
    except Exception:  # the user's own __str__; the callback thread is not to die of it
        return "(its __str__ raised)"

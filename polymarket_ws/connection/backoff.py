"""Retry or give up, and after how many seconds.

When an exchange goes down, every client loses its connection in the same second. If all of them
retried at once, and again at fixed intervals, the server would fall over each time that it came
up. So the bound of the delay doubles with each failure in a row, and the delay is a random part of
the whole bound (full jitter), which spreads the clients evenly.

Two counts are kept apart. The delay grows by every failure, also of connections that were accepted
and closed at once, since some servers do that while they start. `max_attempts` counts only what
brought nothing at all: a server that answered is there.

The danger is to retry what cannot get better, and to give up what can. A wrong certificate or URL
ends the run at once. Bad credentials do not look like that: the server accepts the connection, and
closes it right after the credentials without a reason, as it may for a restart, too. Three such
closes in a row, on a connection that never was useful, are taken for an answer.
"""

from __future__ import annotations

from attrs import define, frozen

from polymarket_ws.errors import (
    AuthenticationError,
    CertificateError,
    ConfigurationError,
    ConnectionLost,
    HandshakeRejected,
    PolymarketWsError,
)
from polymarket_ws.options import Options

MAX_RETRY_AFTER = 300.0  # seconds: a server that asks for more is asked again after this
CERTIFICATES = 10  # refused in a row where it has been open: one bad host of many, or a bad hour
REFUSALS = 3  # closes right after the credentials: one may be a restart, three are an answer


@frozen
class Retry:
    """What follows a failure: `delay` seconds and another attempt; or the run's end, by `fatal`."""

    delay: float | None
    fatal: PolymarketWsError | None


@frozen(kw_only=True)
class Ending:
    """How an open connection ended."""

    useful: bool = False
    """Something but a close came."""
    lasting: bool = False
    """And it had been open for a while: what ended it is no sequel of what ended the one before."""
    refused: bool = False
    """The server ended it right after the credentials were sent."""


@define(eq=False)
class Backoff:
    """One connection's memory of its failures."""

    options: Options
    counts_refusals: bool = True
    """Whether closes right after the credentials are taken for an answer to them."""
    _losses: int = 0  # in a row, attempts and short-lived connections: the exponent of the delay
    _fruitless: int = 0  # in a row, since something was received: what max_attempts bounds
    _refusals: int = 0
    _certificates: int = 0  # refused since something was received
    _was_open: bool = False
    _was_useful: bool = False

    def opened(self) -> None:
        """The connection was opened. Failures stay known: some servers accept and close."""
        self._was_open = True

    def fail(self, error: PolymarketWsError, random: float, ending: Ending | None) -> Retry:
        """Judge a failed attempt or a lost connection.

        Args:
            error: What happened.
            random: From 0 to 1.
            ending: How the open connection ended; None for an attempt that failed.
        """
        self._count(ending)
        fatal = self._fatal(error)
        if fatal is not None:
            return Retry(None, fatal)
        retry_after = error.retry_after if isinstance(error, ConnectionLost) else None
        return Retry(delay(self._losses - 1, self.options, retry_after, random), None)

    def _count(self, ending: Ending | None) -> None:
        is_useful = ending is not None and ending.useful
        self._certificates = 0 if is_useful else self._certificates
        self._was_useful = self._was_useful or is_useful
        self._losses = 1 if ending is not None and ending.lasting else self._losses + 1
        self._fruitless = 0 if is_useful else self._fruitless + 1
        if ending is not None:  # an attempt that failed in between says nothing of the credentials
            is_refusal = ending.refused and not self._was_useful and self.counts_refusals
            self._refusals = self._refusals + 1 if is_refusal else 0

    def _fatal(self, error: PolymarketWsError) -> PolymarketWsError | None:
        if isinstance(error, CertificateError) and self._was_open:
            self._certificates += 1
            return error if self._certificates >= CERTIFICATES else None
        if isinstance(error, (AuthenticationError, ConfigurationError)):
            return error
        if self._refusals >= REFUSALS:
            return AuthenticationError(
                f"the server closed the user channel {REFUSALS} times right after the credentials: "
                "they are probably wrong (derive the API key with Polymarket's client; "
                "keys made in the web page are refused)"
            )
        if isinstance(error, HandshakeRejected) and error.status == 404 and not self._was_open:
            return ConfigurationError(
                "the server answered HTTP 404: the URL's path has to end in /ws/market or /ws/user"
            )
        limit = self.options.max_attempts
        return error if limit is not None and self._fruitless >= limit else None


def delay(failures: int, options: Options, retry_after: float | None, random: float) -> float:
    """Seconds to wait after `failures` earlier failures in a row: full jitter.

    `random * min(cap, base * 2**failures)`, never less than what the server asked for. Full jitter
    spreads the clients that one outage cut off
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """
    bound = min(options.backoff_cap, options.backoff_base * 2.0 ** min(failures, 64))
    return max(random * bound, min(retry_after or 0.0, MAX_RETRY_AFTER))

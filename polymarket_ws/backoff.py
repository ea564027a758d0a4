"""Retry or give up, and after how many seconds."""

from __future__ import annotations

from attrs import define, frozen

from .errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionLost,
    HandshakeRejected,
    PolymarketWsError,
)
from .options import Options

MAX_RETRY_AFTER = 300.0  # seconds: a server that asks for more is asked again after this
REFUSALS = 3  # closes right after the credentials: one may be a restart, three are an answer


@frozen
class Verdict:
    """What follows a failure: `delay` seconds and another attempt; or the run's end, by `fatal`."""

    delay: float | None
    fatal: PolymarketWsError | None


@define(eq=False)
class Backoff:
    """One connection's memory of its failures."""

    options: Options
    failures: int = 0
    """In a row, since the connection was last useful."""
    _refusals: int = 0
    _was_open: bool = False

    def succeed(self) -> None:
        """The connection was opened. Failures stay known: some servers accept and close."""
        self._was_open = True

    def reset(self) -> None:
        """The connection was useful: begin anew."""
        self.failures = 0
        self._refusals = 0

    def fail(
        self,
        error: PolymarketWsError,
        random: float,
        *,
        was_useful: bool = False,
        was_refused: bool = False,
    ) -> Verdict:
        """Judge a failed attempt or a lost connection.

        Args:
            error: What happened.
            random: From 0 to 1.
            was_useful: An open connection was lost that had been useful: no failure of ours.
            was_refused: The server closed right after the credentials were sent.
        """
        earlier = self.failures
        self.failures += not was_useful
        self._refusals = self._refusals + 1 if was_refused else 0
        fatal = self._fatal(error)
        if fatal is not None:
            return Verdict(None, fatal)
        retry_after = error.retry_after if isinstance(error, ConnectionLost) else None
        return Verdict(delay(earlier, self.options, retry_after, random), None)

    def _fatal(self, error: PolymarketWsError) -> PolymarketWsError | None:
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
        return error if limit is not None and self.failures >= limit else None


def delay(failures: int, options: Options, retry_after: float | None, random: float) -> float:
    """Seconds to wait after `failures` earlier failures in a row: full jitter.

    `random * min(cap, base * 2**failures)`, never less than what the server asked for. Full jitter
    spreads the clients that one outage cut off
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """
    bound = min(options.backoff_cap, options.backoff_base * 2.0 ** min(failures, 64))
    return max(random * bound, min(retry_after or 0.0, MAX_RETRY_AFTER))

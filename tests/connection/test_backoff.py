"""Retry or give up, and after how many seconds: decided from errors and numbers alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymarket_ws.connection.backoff import (
    MAX_RETRY_AFTER,
    REFUSALS,
    Backoff,
    Ending,
    Retry,
    delay,
)
from polymarket_ws.errors import (
    AuthenticationError,
    CertificateError,
    ConfigurationError,
    ConnectionLost,
    HandshakeRejected,
    PolymarketWsError,
    ProtocolError,
)
from polymarket_ws.options import Options

LOST = ConnectionLost("reset", "by the peer")
SHORT = Ending(useful=True)
LASTING = Ending(useful=True, lasting=True)
REFUSED = Ending(refused=True)


def test_the_bound_doubles_up_to_the_cap() -> None:
    """U(0, min(cap, base * 2**n)): with the highest random number the bound itself."""
    backoff = Backoff(Options(backoff_base=0.25, backoff_cap=3))

    delays = [backoff.fail(LOST, 1.0, None).delay for _ in range(6)]

    assert [0.25, 0.5, 1.0, 2.0, 3.0, 3.0] == delays


def test_the_jitter_is_full() -> None:
    """A quarter of the bound for a random number of a quarter; nothing at all for 0."""
    backoff = Backoff(Options(backoff_base=4))

    assert [1.0, 0.0] == [backoff.fail(LOST, 0.25, None).delay, backoff.fail(LOST, 0.0, None).delay]


@given(st.integers(0, 10_000), st.floats(0, 1), st.none() | st.floats(0, 1e9))
def test_a_delay_is_within_its_bounds(
    failures: int, random: float, retry_after: float | None
) -> None:
    """Never beyond the cap or the longest Retry-After, never less than the server asked for."""
    options = Options()

    seconds = delay(failures, options, retry_after, random)

    asked = min(retry_after or 0.0, MAX_RETRY_AFTER)
    assert asked <= seconds <= max(options.backoff_cap, MAX_RETRY_AFTER)
    assert seconds <= max(asked, options.backoff_cap)


@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (86_400.0, 300.0), (0.0, 0.0)])
def test_retry_after_is_honoured_up_to_a_bound(asked: float, waited: float) -> None:
    """429 and 503 may carry it; a server that asks for a day is asked again after five minutes."""
    rejected = HandshakeRejected(429, retry_after=asked)

    assert Retry(waited, None) == Backoff(Options()).fail(rejected, 0.0, None)


def test_a_longer_backoff_than_retry_after_stays() -> None:
    """Retry-After is a lower bound only."""
    retry = Backoff(Options(backoff_base=8)).fail(HandshakeRejected(503, retry_after=2), 1.0, None)

    assert 8.0 == retry.delay


def test_only_a_lasting_connection_begins_anew() -> None:
    """A server that accepts, answers and closes at once is asked ever more rarely."""
    backoff = Backoff(Options(backoff_base=1))
    endings = [None, Ending(), SHORT, SHORT, LASTING, None, LASTING]

    delays = [backoff.fail(LOST, 1.0, ending).delay for ending in endings]

    assert [1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 1.0] == delays


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("HTTP status 401"),
        ConfigurationError("no such proxy"),
        CertificateError("localhost", "expired"),
    ],
)
def test_what_a_retry_cannot_help_is_fatal(error: PolymarketWsError) -> None:
    """Wrong keys, a wrong call, a refused certificate."""
    assert Retry(None, error) == Backoff(Options()).fail(error, 0.5, None)


@pytest.mark.parametrize(
    "error",
    [LOST, ProtocolError(1002, "masked"), HandshakeRejected(503), ConnectionLost("closed", "")],
)
def test_what_may_pass_is_retried(error: PolymarketWsError) -> None:
    """A lost connection, a broken frame, a busy server."""
    assert None is Backoff(Options()).fail(error, 0.5, None).fatal


def test_a_404_of_the_first_attempt_is_a_wrong_url() -> None:
    """A CLOB URL without /market or /user answers 404 (clob-client#127)."""
    retry = Backoff(Options()).fail(HandshakeRejected(404), 0.5, None)

    assert isinstance(retry.fatal, ConfigurationError)
    assert (
        "the server answered HTTP 404: the URL's path has to end in /ws/market or /ws/user"
        == str(retry.fatal)
    )


def test_a_404_after_a_connection_is_retried() -> None:
    """The URL was right once: the server is being changed."""
    backoff = Backoff(Options())
    backoff.opened()

    assert None is backoff.fail(HandshakeRejected(404), 0.5, None).fatal


def test_refused_credentials_are_fatal_the_third_time() -> None:
    """The user channel answers bad keys with a mere close, as a restarting server does."""
    backoff = Backoff(Options())

    retries = [backoff.fail(LOST, 0.5, REFUSED) for _ in range(REFUSALS)]

    assert [True, True, False] == [v.fatal is None for v in retries]
    assert isinstance(retries[-1].fatal, AuthenticationError)
    assert "closed the user channel 3 times right after the credentials" in str(retries[-1].fatal)


def test_a_failed_attempt_says_nothing_of_the_credentials() -> None:
    """Refusals are counted over it."""
    backoff = Backoff(Options())

    retries = [backoff.fail(LOST, 0.5, e) for e in (REFUSED, None, REFUSED, None, REFUSED)]

    assert [True] * 4 + [False] == [v.fatal is None for v in retries]


def test_refusals_count_in_a_row() -> None:
    """A connection that ended in another way in between begins anew."""
    backoff = Backoff(Options())
    endings = [REFUSED, REFUSED, Ending(), REFUSED, REFUSED]

    assert [None] * 5 == [backoff.fail(LOST, 0.5, ending).fatal for ending in endings]


def test_credentials_that_were_good_once_are_not_doubted() -> None:
    """After something was received, early closes are the server's trouble."""
    backoff = Backoff(Options())
    backoff.fail(LOST, 0.5, SHORT)

    assert [None] * 5 == [backoff.fail(LOST, 0.5, REFUSED).fatal for _ in range(5)]


def test_max_attempts_bounds_fruitless_failures_in_a_row() -> None:
    """The last one itself is the fatal error; a useful connection, however short, begins anew."""
    backoff = Backoff(Options(max_attempts=2))
    endings = [None, SHORT, Ending(), None]

    assert [None, None, None, LOST] == [backoff.fail(LOST, 0.5, e).fatal for e in endings]


def test_a_bad_certificate_is_fatal_at_the_first_connect_alone() -> None:
    """Of a connection that was open it may be one bad host: ten in a row are an answer."""
    refused = CertificateError("example.org", "expired")
    fresh, proved = Backoff(Options()), Backoff(Options())
    proved.opened()
    proved.fail(LOST, 0.0, SHORT)

    assert refused is fresh.fail(refused, 0.0, None).fatal
    assert [None] * 9 == [proved.fail(refused, 0.0, None).fatal for _ in range(9)]
    proved.fail(LOST, 0.0, SHORT)
    assert [None] * 9 == [proved.fail(refused, 0.0, None).fatal for _ in range(9)]
    assert refused is proved.fail(refused, 0.0, None).fatal

"""Retry or give up, and after how many seconds: decided from errors and numbers alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymarket_ws.backoff import MAX_RETRY_AFTER, REFUSALS, Backoff, Verdict, delay
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


def test_the_bound_doubles_up_to_the_cap() -> None:
    """U(0, min(cap, base * 2**n)): with the highest random number the bound itself."""
    backoff = Backoff(Options(backoff_base=0.25, backoff_cap=3))

    delays = [backoff.fail(LOST, 1.0).delay for _ in range(6)]

    assert [0.25, 0.5, 1.0, 2.0, 3.0, 3.0] == delays
    assert 6 == backoff.failures


def test_the_jitter_is_full() -> None:
    """A quarter of the bound for a random number of a quarter; nothing at all for 0."""
    backoff = Backoff(Options(backoff_base=4))

    assert [1.0, 0.0] == [backoff.fail(LOST, 0.25).delay, backoff.fail(LOST, 0.0).delay]


@given(st.integers(0, 10_000), st.floats(0, 1), st.none() | st.floats(0, 1e9))
def test_a_delay_is_within_its_bounds(
    failures: int, random: float, retry_after: float | None
) -> None:
    """Never beyond the cap or the longest Retry-After, never less than what the server asked for."""
    options = Options()

    seconds = delay(failures, options, retry_after, random)

    asked = min(retry_after or 0.0, MAX_RETRY_AFTER)
    assert asked <= seconds <= max(options.backoff_cap, MAX_RETRY_AFTER)
    assert seconds <= max(asked, options.backoff_cap)


@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (86_400.0, 300.0), (0.0, 0.0)])
def test_retry_after_is_honoured_up_to_a_bound(asked: float, waited: float) -> None:
    """429 and 503 may carry it; a server that asks for a day is asked again after five minutes."""
    rejected = HandshakeRejected(429, retry_after=asked)

    assert Verdict(waited, None) == Backoff(Options()).fail(rejected, 0.0)


def test_a_longer_backoff_than_retry_after_stays() -> None:
    """Retry-After is a lower bound only."""
    verdict = Backoff(Options(backoff_base=8)).fail(HandshakeRejected(503, retry_after=2), 1.0)

    assert 8.0 == verdict.delay


def test_only_a_useful_connection_resets_it() -> None:
    """A server that accepts and closes at once for ever is asked ever more rarely."""
    backoff = Backoff(Options(backoff_base=1))
    delays = []
    for _ in range(3):
        backoff.succeed()
        delays.append(backoff.fail(LOST, 1.0).delay)
    backoff.reset()

    assert ([1.0, 2.0, 4.0], 1.0) == (delays, backoff.fail(LOST, 1.0).delay)


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
    assert Verdict(None, error) == Backoff(Options()).fail(error, 0.5)


@pytest.mark.parametrize(
    "error",
    [LOST, ProtocolError(1002, "masked"), HandshakeRejected(503), ConnectionLost("closed", "")],
)
def test_what_may_pass_is_retried(error: PolymarketWsError) -> None:
    """A lost connection, a broken frame, a busy server."""
    assert None is Backoff(Options()).fail(error, 0.5).fatal


def test_a_404_of_the_first_attempt_is_a_wrong_url() -> None:
    """A CLOB URL without /market or /user answers 404 (PROTOCOL 0)."""
    verdict = Backoff(Options()).fail(HandshakeRejected(404), 0.5)

    assert isinstance(verdict.fatal, ConfigurationError)
    assert (
        "the server answered HTTP 404: the URL's path has to end in /ws/market or /ws/user"
        == str(verdict.fatal)
    )


def test_a_404_after_a_connection_is_retried() -> None:
    """The URL was right once: the server is being changed."""
    backoff = Backoff(Options())
    backoff.succeed()

    assert None is backoff.fail(HandshakeRejected(404), 0.5).fatal


def test_refused_credentials_are_fatal_the_third_time() -> None:
    """The user channel answers bad keys with a mere close, as a restarting server does."""
    backoff = Backoff(Options())

    verdicts = [backoff.fail(LOST, 0.5, was_refused=True) for _ in range(REFUSALS)]

    assert [True, True, False] == [v.fatal is None for v in verdicts]
    assert isinstance(verdicts[-1].fatal, AuthenticationError)
    assert "closed the user channel 3 times right after the credentials" in str(verdicts[-1].fatal)


def test_refusals_count_in_a_row() -> None:
    """Another failure in between, or a useful connection, begins anew."""
    backoff = Backoff(Options())
    verdicts = [backoff.fail(LOST, 0.5, was_refused=r) for r in (True, True, False, True, True)]
    backoff.reset()
    verdicts += [backoff.fail(LOST, 0.5, was_refused=True) for _ in range(2)]

    assert [None] * 7 == [v.fatal for v in verdicts]


def test_the_loss_of_a_useful_connection_is_no_failure() -> None:
    """It waits like a first one, and does not count against max_attempts."""
    backoff = Backoff(Options(backoff_base=1, max_attempts=1))

    verdicts = [backoff.fail(LOST, 1.0, was_useful=True) for _ in range(3)]

    assert [Verdict(1.0, None)] * 3 == verdicts
    assert 0 == backoff.failures


def test_max_attempts_bounds_failures_in_a_row() -> None:
    """The last failure itself is the fatal error; None is for ever."""
    backoff = Backoff(Options(max_attempts=2))

    assert None is backoff.fail(LOST, 0.5).fatal
    backoff.reset()
    assert [None, LOST] == [backoff.fail(LOST, 0.5).fatal for _ in range(2)]

"""The exception tree: its shape, its sentences, its data."""

from __future__ import annotations

import copy
import functools
import pickle
import traceback
from decimal import Decimal

import pytest

from polymarket_ws import errors
from polymarket_ws.errors import (
    AuthenticationError,
    CallbackError,
    CertificateError,
    ConfigurationError,
    ConnectionLost,
    ConnectTimeout,
    DecodeError,
    HandshakeRejected,
    LookupFailed,
    OrderEnded,
    PolymarketWsError,
    ProtocolError,
    QueueOverflow,
    callback_name,
)
from polymarket_ws.events import Order


def show(event: object) -> None:
    """A callback."""


CAUSE = KeyError("price")
FILLED = Order(
    id="0xa", type="UPDATE", original_size=Decimal(10), size_matched=Decimal(10), timestamp_ms=1
)
EXAMPLES: list[tuple[PolymarketWsError, str]] = [
    (ConfigurationError("asset_ids is one str"), "asset_ids is one str"),
    (
        CertificateError("example.org", "certificate has expired"),
        "the TLS certificate of example.org was refused: certificate has expired",
    ),
    (AuthenticationError("HTTP status 401"), "HTTP status 401"),
    (ConnectionLost("closed", "code 1013", code=1013), "closed: code 1013"),
    (ConnectionLost("eof", ""), "eof"),
    (ConnectTimeout("tls", 10.0), "connect_timeout: no answer within 10 s (in phase 'tls')"),
    (HandshakeRejected(429, retry_after=7.0), "rejected: HTTP status 429"),
    (
        LookupFailed("Polymarket has no market 'x'", url="https://example.org/x", status=404),
        "Polymarket has no market 'x' (asked https://example.org/x)",
    ),
    (
        OrderEnded(Order(id="0xa", status="CANCELED", timestamp_ms=1)),
        "order 0xa will not be filled: CANCELED, 0 of ? matched",
    ),
    (
        OrderEnded(FILLED, Decimal(4)),
        "order 0xa will not be filled: UPDATE, 10 of 10 matched, 4 in trades that FAILED",
    ),
    (ProtocolError(1002, "a reserved bit is set"), "a reserved bit is set (closed with code 1002)"),
    (
        DecodeError("$[1].price", "no number", event_type="book", excerpt='{"price":"x"}'),
        'no number @ $[1].price: {"price":"x"}',
    ),
    (DecodeError("$", "a binary message", lost=False), "a binary message @ $"),
    (QueueOverflow("3 wait"), "3 wait"),
    (CallbackError(show, "event", CAUSE), "callback show raised KeyError: 'price'"),
]
ids = [type(error).__name__ for error, _ in EXAMPLES]


def drawn_tree() -> dict[str, str]:
    """Each class of the drawing at the module's top, with the one it hangs under."""
    parents: dict[str, str] = {}
    path: list[str] = []
    assert errors.__doc__
    for line in errors.__doc__.splitlines():
        name = line.lstrip("│├└─ ").split(" ")[0]
        if not name or not hasattr(errors, name):
            continue
        depth = (len(line) - len(line.lstrip("│├└─ "))) // 4
        path[depth:] = [name]
        if depth:
            parents[name] = path[depth - 1]
    return parents


def test_the_tree_is_the_drawn_one() -> None:
    """Every exception is in the drawing, under its base."""
    defined = {
        name: kind.__bases__[0].__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, PolymarketWsError)
    }
    assert "Exception" == defined.pop("PolymarketWsError")

    assert drawn_tree() == defined


@pytest.mark.parametrize(("error", "sentence"), EXAMPLES, ids=ids)
def test_an_error_says_what_happened(error: PolymarketWsError, sentence: str) -> None:
    """In one line."""
    assert sentence == str(error)


def test_a_wrong_call_is_a_value_error_too() -> None:
    """Code that knows nothing of this package catches it."""
    assert issubclass(ConfigurationError, ValueError)


def test_errors_carry_data() -> None:
    """What a program needs is an attribute; no sentence has to be parsed."""
    timeout, rejected = ConnectTimeout("dns", 1.5), HandshakeRejected(503, retry_after=2)
    decode = DecodeError("$", "?", asset_id="1", market="0x1")
    certificate = CertificateError("h", "d")

    assert ("connect_timeout", "dns", None, None) == (
        timeout.reason,
        timeout.phase,
        timeout.code,
        timeout.retry_after,
    )
    assert ("rejected", 503, 503, 2) == (
        rejected.reason,
        rejected.status,
        rejected.code,
        rejected.retry_after,
    )
    assert ("$", "?", "", "", "1", "0x1", True) == (
        decode.path,
        decode.reason,
        decode.event_type,
        decode.excerpt,
        decode.asset_id,
        decode.market,
        decode.lost,
    )
    assert ("h", "d") == (certificate.host, certificate.detail)
    assert (1009, "too long") == (
        ProtocolError(1009, "too long").code,
        ProtocolError(1009, "too long").detail,
    )


def test_a_callback_error_keeps_what_raised() -> None:
    """The function as it was registered, what it was called with, and the cause."""
    error = CallbackError(show, "event", CAUSE)

    assert (show, "event", CAUSE, CAUSE) == (
        error.callback,
        error.event,
        error.cause,
        error.__cause__,
    )


@pytest.mark.parametrize(("error", "sentence"), EXAMPLES, ids=ids)
@pytest.mark.parametrize("protocol", [0, pickle.HIGHEST_PROTOCOL])
def test_an_error_can_be_pickled(error: PolymarketWsError, sentence: str, protocol: int) -> None:
    """Process pools and task queues send exceptions so, and hang on one they cannot."""
    loaded = pickle.loads(pickle.dumps(error, protocol))

    assert (type(error), sentence, error.args) == (type(loaded), str(loaded), loaded.args)
    assert {k: repr(v) for k, v in vars(error).items()} == {
        k: repr(v) for k, v in vars(loaded).items()
    }
    assert sentence == str(copy.copy(error))


def test_an_exception_that_cannot_be_shown_is_told_all_the_same() -> None:
    """The user's own __str__ may raise; the thread that calls callbacks does not die of it."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "callback show raised Mute: (its __str__ raised)" == str(
        CallbackError(show, None, Mute())
    )


def test_a_callback_is_named_without_its_repr() -> None:
    """A partial's repr shows its arguments, which may be secrets; an object's is user code."""

    class Strategy:
        def __call__(self, event: object) -> None: ...

    assert ["show", "show", f"{Strategy.__qualname__} object"] == [
        callback_name(callback) for callback in (show, functools.partial(show, "x"), Strategy())
    ]


def test_a_lost_connection_says_where_it_was_to_be_made() -> None:
    """Beside what happened, in the sentence and in the detail."""
    error = ConnectionLost("refused", "nobody listens")
    error.add_place("127.0.0.1:1")

    assert ("nobody listens (127.0.0.1:1)", "refused: nobody listens (127.0.0.1:1)") == (
        error.detail,
        str(error),
    )


def test_the_locals_of_the_whole_chain_are_forgotten() -> None:
    """Of an error, of what caused it, and of what it came in the middle of; once each."""

    def fail(key: str) -> None:
        try:
            raise ValueError("first")
        except ValueError as error:
            first = ConnectionLost("reset", "by the peer")
            error.__cause__ = first  # a circle
            raise first from error

    with pytest.raises(ConnectionLost) as raised:
        fail("hidden-key")
    errors.forget_locals(raised.value)

    shown = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    frames = [frame for frame in shown.stack if frame.name == "fail"]
    assert [None] == [frame.locals or None for frame in frames]


def test_a_failed_reconciliation_says_when_the_next_comes() -> None:
    """And how many have failed in a row."""
    error = errors.ReconciliationFailed("HTTP status 425", attempt=3, delay=0.5)

    assert "HTTP status 425 (attempt 3, the next one in 0.5 s)" in str(error)
    assert ("HTTP status 425", 3, 0.5) == (error.detail, error.attempt, error.delay)

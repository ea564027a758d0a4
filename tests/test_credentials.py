"""Credentials: read, compared, handed over once, and never shown."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from typing import Any

import pytest

from polymarket_ws.credentials import Credentials
from polymarket_ws.errors import ConfigurationError

PARTS = ("KEY-id-1234", "SECRET-abcd", "PASS-phrase-xyz")
FIRST = ("POLYMARKET_API_KEY", "POLYMARKET_API_SECRET", "POLYMARKET_API_PASSPHRASE")
SECOND = ("CLOB_API_KEY", "CLOB_SECRET", "CLOB_PASS_PHRASE")

ADDRESSES = ("POLYMARKET_ADDRESS", "POLYMARKET_FUNDER")
SIGNER, WALLET = "0x" + "aB" * 20, "0x" + "12" * 20


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any credentials."""
    for name in FIRST + SECOND + ADDRESSES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def assert_hidden(text: str) -> None:
    """No part is in the text."""
    assert [] == [part for part in PARTS if part in text]


def test_the_parts_are_handed_over_by_one_method_alone() -> None:
    """The user channel's first text needs them; the api key is the owner of one's own events."""
    credentials = Credentials(*PARTS)

    assert PARTS == credentials.reveal()
    assert PARTS[0] == credentials.api_key


@pytest.mark.parametrize("show", [repr, str, format, "{0!r} {0!s} {0}".format, ascii])
def test_no_text_shows_them(show: Any) -> None:
    """repr, str, format, f-strings and containers show the class alone."""
    credentials = Credentials(*PARTS)

    assert "Credentials(***)" in show(credentials)
    assert_hidden(show(credentials) + show([credentials]) if show is not format else "")


def test_a_traceback_with_locals_shows_nothing() -> None:
    """Sentry, rich and pytest -l print the locals of each frame by their repr."""

    def fail(credentials: Credentials) -> None:
        raise LookupError

    try:
        fail(Credentials(*PARTS))
    except LookupError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)

    text = "".join(shown.format())
    assert "Credentials(***)" in text
    assert_hidden(text)


def test_a_wrong_part_does_not_show_the_others() -> None:
    """The frames of the failed constructor are left without them."""
    given = {"api_key": PARTS[0], "secret": PARTS[1], "passphrase": ""}

    def construct() -> None:
        Credentials(**given)

    with pytest.raises(ConfigurationError) as caught:
        construct()

    trace = caught.value.__traceback__
    inner = traceback.StackSummary.extract(traceback.walk_tb(trace), capture_locals=True)[-1]
    assert ("__init__", "Credentials: passphrase must be a non-empty str") == (
        inner.name,
        str(caught.value),
    )
    assert_hidden(str(inner.locals))


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("", "s", "p"), "api_key"),
        (("k", "  ", "p"), "secret"),
        (("k", "s", None), "passphrase"),
        ((b"k", "s", "p"), "api_key"),
    ],
)
def test_an_empty_part_is_refused(parts: tuple[Any, Any, Any], name: str) -> None:
    """The sentence names the part; its value is not in it."""
    with pytest.raises(ConfigurationError, match=f"^Credentials: {name} must be a non-empty str$"):
        Credentials(*parts)


def test_they_have_no_dict() -> None:
    """vars() is what many debuggers and serialisers ask first."""
    with pytest.raises(TypeError):
        vars(Credentials(*PARTS))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_is_refused(protocol: int) -> None:
    """A task queue would store them; the sentence says what to do instead."""
    with pytest.raises(TypeError) as caught:
        pickle.dumps(Credentials(*PARTS), protocol)

    assert "Credentials are not pickled: call Credentials.from_env() in the other process" == str(
        caught.value
    )


def test_a_copy_is_the_same_object() -> None:
    """They cannot change, so configuration that holds them can be copied."""
    credentials = Credentials(*PARTS)

    assert copy.copy(credentials) is credentials
    assert copy.deepcopy({"c": credentials})["c"] is credentials


def test_they_cannot_be_changed() -> None:
    """No attribute can be set, known or new."""
    credentials = Credentials(*PARTS)

    for name in ("_secret", "api_key", "other"):
        with pytest.raises(AttributeError):
            setattr(credentials, name, "x")


def test_they_are_values() -> None:
    """Equal and of equal hash when all parts are."""
    credentials = Credentials(*PARTS)

    assert Credentials(*PARTS) == credentials
    assert hash(Credentials(*PARTS)) == hash(credentials)
    assert Credentials(PARTS[0], PARTS[1], "other") != credentials
    assert PARTS != credentials


@pytest.mark.parametrize("names", [FIRST, SECOND])
def test_the_environment_has_two_sets_of_names(
    environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, names: tuple[str, ...]
) -> None:
    """Ours, or py-clob-client's; the names that were used are logged, never the values."""
    for name, part in zip(names, PARTS, strict=True):
        environment.setenv(name, part)

    with caplog.at_level(logging.DEBUG):
        credentials = Credentials.from_env()

    assert Credentials(*PARTS) == credentials
    assert [f"credentials read from {', '.join(names)}"] == caplog.messages


def test_our_names_go_first(environment: pytest.MonkeyPatch) -> None:
    """When both sets are complete; an incomplete one is passed over."""
    for name in SECOND:
        environment.setenv(name, "second")
    environment.setenv(FIRST[0], "first")
    incomplete = Credentials.from_env()
    for name in FIRST:
        environment.setenv(name, "first")

    assert ("second", "first") == (incomplete.api_key, Credentials.from_env().api_key)


@pytest.mark.parametrize(
    ("present", "missing"),
    [
        ({}, FIRST),
        ({FIRST[0]: "k", FIRST[2]: " "}, FIRST[1:]),
        ({SECOND[1]: "s"}, (SECOND[0], SECOND[2])),
    ],
)
def test_what_is_missing_is_named(
    environment: pytest.MonkeyPatch, present: dict[str, str], missing: tuple[str, ...]
) -> None:
    """Of the set that was begun; blank is missing."""
    for name, value in present.items():
        environment.setenv(name, value)

    with pytest.raises(ConfigurationError) as caught:
        Credentials.from_env()

    assert f"no credentials in the environment: set {', '.join(missing)}" == str(caught.value)


def test_addresses_are_optional_and_public() -> None:
    """The funder is the signer, if no other is named; the repr stays short."""
    both = Credentials(*PARTS, address=SIGNER, funder=WALLET)
    signer = Credentials(*PARTS, SIGNER)
    neither = Credentials(*PARTS)

    assert (SIGNER, WALLET) == (both.address, both.funder)
    assert (SIGNER, SIGNER) == (signer.address, signer.funder)
    assert (None, None) == (neither.address, neither.funder)
    assert "Credentials(***)" == repr(both)


def test_addresses_are_compared_without_case() -> None:
    """Upper case is a checksum; other wallets are other credentials."""
    signer = Credentials(*PARTS, SIGNER)

    assert Credentials(*PARTS, SIGNER.lower()) == signer == Credentials(*PARTS, SIGNER, SIGNER)
    assert hash(Credentials(*PARTS, SIGNER.lower())) == hash(signer)
    assert Credentials(*PARTS) != signer != Credentials(*PARTS, SIGNER, WALLET)


@pytest.mark.parametrize("name", ["address", "funder"])
@pytest.mark.parametrize("wrong", ["", "0x12", WALLET + "0", WALLET[2:], "0x" + "g" * 40, 5, b"0x"])
def test_a_wrong_address_is_refused(name: str, wrong: Any) -> None:
    """The sentence does not show it: a swapped argument may be a secret."""
    with pytest.raises(ConfigurationError) as caught:
        Credentials(*PARTS, **{name: wrong})

    assert f"Credentials: {name} must be 0x and 40 hex digits, or None" == str(caught.value)
    trace = traceback.walk_tb(caught.value.__traceback__)
    inner = traceback.StackSummary.extract(trace, capture_locals=True)[-1]
    assert_hidden(str(inner.locals))


def test_the_environment_may_have_addresses(
    environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With either set of names; blank is none."""
    for name, part in zip(SECOND, PARTS, strict=True):
        environment.setenv(name, part)
    environment.setenv("POLYMARKET_ADDRESS", SIGNER)
    environment.setenv("POLYMARKET_FUNDER", " ")

    with caplog.at_level(logging.INFO):
        credentials = Credentials.from_env()

    assert (SIGNER, SIGNER) == (credentials.address, credentials.funder)
    assert [f"credentials read from {', '.join(SECOND)}, POLYMARKET_ADDRESS"] == caplog.messages
    environment.setenv("POLYMARKET_FUNDER", WALLET)
    assert WALLET == Credentials.from_env().funder


@pytest.mark.parametrize("part", [" key", "key\n", "k\ney"])
def test_a_part_with_a_line_break_is_refused(part: str) -> None:
    """As one that was read from a file; the part is not shown."""
    with pytest.raises(ConfigurationError, match=r"passphrase has a blank.*strip") as caught:
        Credentials("key", "c2VjcmV0", part)

    assert part not in str(caught.value)

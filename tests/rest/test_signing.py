"""The headers of a signed request, by the vector that the official clients publish."""

from __future__ import annotations

import pytest
from kit.loopback import SECRET

from polymarket_ws.credentials import Credentials
from polymarket_ws.errors import AuthenticationError
from polymarket_ws.rest.signing import signature, signed_headers

KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
ADDRESS = "0x" + "1" * 40


def test_the_published_vector() -> None:
    """tests/signing/test_hmac.py of Polymarket/py-clob-client."""
    text = '1000000test-sign/orders{"hash": "0x123"}'

    assert "ZwAdJKvoYRlEKDkNMwd5BuwNNtg93kNaR_oU2HrfVvc=" == signature(KEY, text)
    assert signature(KEY, text) == signature(KEY.rstrip("="), text)  # keys come without padding


def test_both_alphabets_are_read() -> None:
    """A secret is written in the URL-safe one, but some tools rewrite it."""
    assert signature("-_8=", "x") == signature("+/8=", "x")


def test_the_headers() -> None:
    """The timestamp is what was signed."""
    headers = signed_headers(Credentials("key", KEY, "phrase"), ADDRESS, 7, "GET", "/data/orders")

    assert {
        "POLY_ADDRESS": ADDRESS,
        "POLY_API_KEY": "key",
        "POLY_PASSPHRASE": "phrase",
        "POLY_TIMESTAMP": "7",
        "POLY_SIGNATURE": signature(KEY, "7GET/data/orders"),
    } == headers


def test_a_part_that_fits_in_no_header_is_told() -> None:
    """Without showing it."""
    with pytest.raises(AuthenticationError, match="no HTTP header") as caught:
        signed_headers(Credentials("key", KEY, "pässe"), ADDRESS, 7, "GET", "/data/orders")

    assert "pässe" not in str(caught.value)


@pytest.mark.parametrize("secret", ["no base64!", f"{SECRET}é", "abcde"])
def test_a_secret_that_is_no_key_is_told(secret: str) -> None:
    """By what to do, and without the secret."""
    with pytest.raises(AuthenticationError, match="not URL-safe base64") as caught:
        signature(secret, "x")

    assert secret not in str(caught.value)

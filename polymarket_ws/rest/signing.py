"""The headers that open the private part of the CLOB's REST service. Sans-I/O."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from polymarket_ws.credentials import Credentials
from polymarket_ws.errors import AuthenticationError


def signed_headers(
    credentials: Credentials, address: str, seconds: int, method: str, path: str
) -> dict[str, str]:
    """The five headers of one request (polymarket-client 0.14, _internal/hmac.py).

    Args:
        credentials: Whose key signs.
        address: The signer's.
        seconds: The server's time, since 1970.
        method: "GET".
        path: Without the query string, which is not signed.

    Raises:
        AuthenticationError: the secret is no base64 text, or another part fits in no header.
    """
    api_key, secret, passphrase = credentials.reveal()
    if not (api_key.isascii() and passphrase.isascii()):
        del api_key, secret, passphrase  # some tracebacks show the locals
        raise AuthenticationError(
            "the API key or the passphrase has a character that no HTTP header can carry"
        )
    return {
        "POLY_ADDRESS": address,
        "POLY_API_KEY": api_key,
        "POLY_PASSPHRASE": passphrase,
        "POLY_TIMESTAMP": str(seconds),
        "POLY_SIGNATURE": signature(secret, f"{seconds}{method}{path}"),
    }


def signature(secret: str, text: str) -> str:
    """URL-safe base64 of the HMAC-SHA256 of a text.

    Raises:
        AuthenticationError: the secret is no base64 text.
    """
    padded = secret + "=" * (-len(secret) % 4)
    try:
        key = base64.b64decode(padded.translate(_URL_SAFE), validate=True)
    except (binascii.Error, ValueError):
        del secret, padded  # some tracebacks show the locals
        raise AuthenticationError(
            "the API secret is not URL-safe base64, so nothing can be signed with it: derive the "
            "API key with Polymarket's client"
        ) from None
    digest = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode()


_URL_SAFE = str.maketrans("-_", "+/")

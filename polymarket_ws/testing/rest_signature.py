"""Who is let in to a FakeServer's private REST answers: the L2 headers and their HMAC. Sans-I/O."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

from attrs import field, frozen

from polymarket_ws.credentials import Credentials

from .http_messages import HttpRequest

_HEADERS = ("poly_address", "poly_api_key", "poly_passphrase", "poly_timestamp", "poly_signature")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_MOST_SECONDS_OFF = 60.0


@frozen
class Gatekeeper:
    """Checks the headers of a private request.

    Args:
        credentials: Whom it lets in, by the signature too; None: anyone who shows five headers of
            the right form and the api key.
        api_key: The user's, which counts without credentials.
    """

    credentials: Credentials | None = field(repr=False)
    api_key: str = field(repr=False)

    def admits(self, request: HttpRequest, now: float) -> bool:
        """Whether the request is the user's; `now` is the server's time, seconds since 1970."""
        values = [request.headers.get(name, "") for name in _HEADERS]
        address, api_key, passphrase, timestamp, signature = values
        if not all(values) or not _ADDRESS.fullmatch(address) or not timestamp.isdecimal():
            return False
        if abs(int(timestamp) - now) > _MOST_SECONDS_OFF:
            return False
        if self.credentials is None:
            return api_key == self.api_key
        known_key, secret, known_passphrase = self.credentials.reveal()
        known_address = self.credentials.address or address
        signed = f"{timestamp}{request.method}{request.path}{request.body}"
        return (
            (api_key, passphrase) == (known_key, known_passphrase)
            and address.lower() == known_address.lower()
            and signature == sign(secret, signed)
        )


def sign(secret: str, text: str) -> str | None:
    """The signature of a text: HMAC-SHA256 in URL-safe base64; None for a secret that is none."""
    try:
        key = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    except (binascii.Error, ValueError):
        return None
    return base64.urlsafe_b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()

"""A REST client that knows nothing of ours: the standard library's, with Polymarket's headers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

from polymarket_ws.testing import FakeServer

ADDRESS = "0x" + "a1" * 20
API_KEY = "00000000-0000-0000-0000-000000000001"
SECRET, PASSPHRASE = "c2VjcmV0LXNlY3JldC1zZWNyZXQ", "passphrase-1"  # its "=" is left out


def signed(
    path: str,
    *,
    secret: str = SECRET,
    method: str = "GET",
    body: str = "",
    timestamp: int | None = None,
    **others: str,
) -> dict[str, str]:
    """The five headers of a request; `others` replace some by their names in lower case."""
    moment = str(int(time.time()) if timestamp is None else timestamp)
    key = base64.urlsafe_b64decode(secret + "==")
    digest = hmac.new(key, f"{moment}{method}{path}{body}".encode(), hashlib.sha256).digest()
    headers = {
        "poly_address": ADDRESS,
        "poly_api_key": API_KEY,
        "poly_passphrase": PASSPHRASE,
        "poly_timestamp": moment,
        "poly_signature": base64.urlsafe_b64encode(digest).decode(),
        **others,
    }
    return {name.upper(): value for name, value in headers.items()}


def ask(
    server: FakeServer,
    path: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: str | None = None,
    **query: str | int,
) -> tuple[int, Any, dict[str, str]]:
    """Status, document (or text) and headers, of a signed request if no headers are given."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    given = signed(path, method=method) if headers is None else headers
    target = f"{path}?{urlencode(query)}" if query else path
    try:
        connection.request(method, target, body=body, headers=given)
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    is_json = response.headers["Content-Type"] == "application/json"
    return response.status, json.loads(text) if is_json else text, dict(response.headers)


def rows(server: FakeServer, path: str, **query: str | int) -> list[Any]:
    """All rows of a listing, page by page."""
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while cursor.get("next_cursor") != "LTE=":
        status, page, _ = ask(server, path, **{**query, **cursor})
        assert status == 200, page
        assert page["count"] == len(page["data"])
        found += page["data"]
        cursor = {"next_cursor": page["next_cursor"]}
    return found

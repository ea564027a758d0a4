"""Excerpts of wire texts that are safe to show."""

from __future__ import annotations

import re

from polymarket_ws.errors import EXCERPT_CHARS
from polymarket_ws.logs import printable

# A value that is no plain string or number is masked to the end: safe beats exact.
_SECRET = re.compile(
    r"""(\\*["'])(api_?key|secret|passphrase|key|\w*owner)\1\s*:\s*"""
    r"""(?:(["'])(?:[^\\]|\\.)*?(?:\3|\\?\Z)|[\\\[{].*|[^\s,}\]]+)""",
    re.IGNORECASE | re.DOTALL,
)


def redact(text: str) -> str:
    """A text's first characters; each key, secret, passphrase and owner (an API key) is masked,
    and what a terminal would obey is escaped.
    """
    cut = text[: EXCERPT_CHARS + 1].encode("utf-8", "backslashreplace").decode()
    masked = printable(_SECRET.sub(r"\1\2\1:\1***\1", cut))
    is_whole = len(text) <= EXCERPT_CHARS and len(masked) <= EXCERPT_CHARS
    return masked if is_whole else f"{masked[: EXCERPT_CHARS - 1]}…"

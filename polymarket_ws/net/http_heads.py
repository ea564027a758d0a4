"""The head of an HTTP response: status and headers, bounded, its body never read."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from attrs import frozen

MAX_HEAD_BYTES = 64 * 1024

_END = re.compile(rb"\r?\n\r?\n")
_LONGEST_END_BYTES = 4
_STATUS_LINE = re.compile(r"HTTP/1\.\d ([1-9]\d\d)(?: |$)")
_SECONDS = re.compile(r"\d{1,9}")


@frozen
class ResponseHead:
    """A response's status and headers: names in lower case, values of one name joined."""

    status: int
    headers: dict[str, str]


def receive_head(receive: Callable[[int], bytes]) -> tuple[ResponseHead, bytes]:
    """Read up to the end of a response's head; return it and what was read beyond.

    Read ahead, not byte by byte as websocket-client does: each call lets the interpreter's lock go,
    and gets it back only after up to 5 ms where another thread computes.

    Raises:
        EOFError: the stream ended before.
        ValueError: the head is malformed or longer than 64 KiB.
    """
    data = bytearray()
    while True:
        seen_bytes = len(data)
        chunk = receive(4096)
        if not chunk:
            raise EOFError("the connection ended before the HTTP response")
        data += chunk
        end = _END.search(data, max(0, seen_bytes - _LONGEST_END_BYTES))
        if (end.start() if end else len(data)) > MAX_HEAD_BYTES:
            raise ValueError(f"the HTTP header is longer than {MAX_HEAD_BYTES} bytes")
        if end:
            return decode_head(bytes(data[: end.start()])), bytes(data[end.end() :])


def decode_head(data: bytes) -> ResponseHead:
    """Decode a head without its final empty line.

    Raises:
        ValueError: it is malformed; its text is not shown.
    """
    first, *lines = data.decode("latin-1").replace("\r\n", "\n").split("\n")
    status_line = _STATUS_LINE.match(first)
    if status_line is None:
        raise ValueError("the response is not HTTP")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise ValueError("the HTTP header is malformed")
        before = headers.get(name.lower())
        headers[name.lower()] = value.strip() if before is None else f"{before}, {value.strip()}"
    return ResponseHead(int(status_line[1]), headers)


def retry_after_seconds(head: ResponseHead, now: datetime) -> float | None:
    """Read Retry-After, seconds or an HTTP date, as seconds from `now`; None if not valid."""
    text = head.headers.get("retry-after", "")
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        then = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):  # TypeError: no date, as Python 3.10 says it
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=timezone.utc)
    return max(0.0, (then - now).total_seconds())

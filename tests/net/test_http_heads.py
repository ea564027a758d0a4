"""http_heads: the head of an HTTP response."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest

from polymarket_ws.net.http_heads import (
    MAX_HEAD_BYTES,
    decode_head,
    receive_head,
    retry_after_seconds,
)


def reader(*chunks: bytes) -> Callable[[int], bytes]:
    """A stream that gives these chunks and then ends."""
    left = iter(chunks)
    return lambda _: next(left, b"")


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n"])
def test_the_head_ends_at_the_empty_line(end: bytes) -> None:
    """What was read beyond the empty line is given back, however the head is cut."""
    data = b"HTTP/1.1 101 Switching Protocols\r\nA: b" + end

    for cut in range(1, len(data)):
        head, rest = receive_head(reader(data[:cut], data[cut:] + b"frames"))
        assert (101, {"a": "b"}, b"frames") == (head.status, head.headers, rest)


def test_the_head_is_bounded() -> None:
    """A head over 64 KiB is refused, ended or not, and one that fits is taken."""
    line = b"HTTP/1.1 200 OK\r\nA: "
    longest = line + b"b" * (MAX_HEAD_BYTES - len(line))

    assert 200 == receive_head(reader(longest + b"\r\n\r\n"))[0].status
    for data in (longest + b"b\r\n\r\n", longest + b"bb\r\n"):
        with pytest.raises(ValueError, match="longer than 65536 bytes"):
            receive_head(reader(data))


def test_the_stream_ends_within_the_head() -> None:
    """An end before the empty line is told as such."""
    with pytest.raises(EOFError):
        receive_head(reader(b"HTTP/1.1 200 OK\r\n"))


@pytest.mark.parametrize(
    "text",
    ["", "SSH-2.0", "HTTP/2 200", "HTTP/1.1 20", "HTTP/1.1 200\nno colon", "HTTP/1.1 200\n: a"],
)
def test_malformed_heads(text: str) -> None:
    """A head that is no HTTP/1 response is refused, its text not shown."""
    with pytest.raises(ValueError, match=r"not HTTP|malformed"):
        decode_head(text.encode())


NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("Thu, 01 Jan 2026 00:01:30 GMT", 90.0),
        ("Thu, 01 Jan 2026 00:01:30 -0000", 90.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        ("-1", None),
        ("1.5", None),
        ("9" * 400, None),
        ("Thu, 99 Jan 2026 00:00:00 GMT", None),
        ("Thu, 01 Jan 99999999999 00:00:00 GMT", None),
        ("", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    """Retry-After is seconds or an HTTP date, never negative; anything else is none."""
    head = decode_head(f"HTTP/1.1 429 Slow\r\nRetry-After: {value}".encode())

    assert seconds == retry_after_seconds(head, NOW)


def test_headers_of_one_name_are_joined() -> None:
    """Names are in lower case; several of one name become one."""
    head = decode_head(b"HTTP/1.0 200\nA: 1\nB:2\na: 3")

    assert (200, {"a": "1, 3", "b": "2"}) == (head.status, head.headers)

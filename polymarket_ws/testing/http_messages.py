"""HTTP on a FakeServer's port: a connection's first request, and the bytes of an answer."""

from __future__ import annotations

import http
from collections.abc import Mapping
from email.utils import formatdate
from urllib.parse import parse_qs, urlsplit

from attrs import define, evolve, field, frozen

JSON = "application/json"
HTML = "text/html; charset=utf-8"
UNTIL_RELEASED = float("inf")

_LONGEST_HEAD = 65536


@frozen
class HttpRequest:
    """A request with its whole body."""

    method: str
    target: str
    """Path and query."""
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    """Names in lower case."""
    body: str = field(default="", repr=False)

    @property
    def path(self) -> str:
        """Without the query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The first value of each name."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


@frozen
class Answer:
    """An HTTP answer and how it is sent."""

    status: int
    body: str
    headers: Mapping[str, str] = field(factory=lambda: {"Content-Type": JSON})
    seconds: float = 0.0
    """How long it is held back; UNTIL_RELEASED: until it is released."""
    cut: bool = False
    """Whether the connection ends in the middle of the body."""

    def altered(self, status: int, headers: Mapping[str, str], body: str | None) -> Answer:
        """What a fault makes of it: another status, further headers, another body.

        Args:
            status: 200: its own, unless the body is another.
            headers: Besides its own.
            body: None: its own with status 200, else an error's.
        """
        if body is None:
            body = self.body if status == http.HTTPStatus.OK else '{"error": "as asked for"}'
            status = self.status if status == http.HTTPStatus.OK else status
        kind = HTML if body.lstrip().startswith("<") else JSON
        return evolve(self, status=status, body=body, headers={"Content-Type": kind, **headers})

    def to_bytes(self) -> bytes:
        """Head and body; half of the body if it is cut."""
        body = self.body.encode()
        headers = {
            "Date": formatdate(usegmt=True),
            "Connection": "close",
            "Content-Length": str(len(body)),
            **self.headers,
        }
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        return head + (body[: len(body) // 2] if self.cut else body)


@define(eq=False)
class RequestReader:
    """Reads the request that a connection begins with. Owned by one Peer."""

    data: bytearray = field(factory=bytearray)
    """All that was received."""

    def receive(self, data: bytes) -> HttpRequest | None:
        """The request, once it is whole; one with method "" when it is none that HTTP knows."""
        self.data += data
        head, end, rest = bytes(self.data).partition(b"\r\n\r\n")
        if not end:
            return HttpRequest("", "") if len(head) > _LONGEST_HEAD else None
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3:
            return HttpRequest("", "")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        length = headers.get("content-length", "0")
        missing = int(length) - len(rest) if length.isdecimal() else 0
        return None if missing > 0 else HttpRequest(words[0], words[1], headers, rest.decode())


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"

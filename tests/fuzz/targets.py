"""What is fuzzed: each target takes any bytes, and raises when something is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime, timezone

from kit.decoding import agrees
from kit.dialects import market_dialect, user_dialect

from polymarket_ws.account.core import AccountCore
from polymarket_ws.books.book import BookCore
from polymarket_ws.books.shelf import Books
from polymarket_ws.channels.dialect import Dialect
from polymarket_ws.channels.market import MarketView
from polymarket_ws.channels.user import UserView
from polymarket_ws.channels.view import View
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.connection.session import Session, Tally
from polymarket_ws.errors import ProtocolError
from polymarket_ws.events import EVENTS
from polymarket_ws.net.frames import FrameParser
from polymarket_ws.net.http_heads import MAX_HEAD_BYTES, receive_head, retry_after_seconds
from polymarket_ws.options import Options
from polymarket_ws.wire import fast_path
from polymarket_ws.wire.decode import decode_market, decode_user
from polymarket_ws.wire.msgspec_parser import parse as parse_msgspec

LIMIT = 2**16
HEARD = frozenset(EVENTS)
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def frames(data: bytes) -> None:
    """However a stream is cut, the same messages come out; the first byte says how."""
    size = data[0] % 32 + 1 if data else 1
    whole, cut = FrameParser(LIMIT, 100), FrameParser(LIMIT, 100)
    chunks = [data[start : start + size] for start in range(0, len(data), size)]

    assert whole.receive(data) == [m for chunk in chunks for m in cut.receive(chunk)]


def decode(data: bytes) -> None:
    """A text raises only if it is over a limit; a fast path agrees with the general decoder."""
    text = data.decode("utf-8", "replace")
    for decode_channel in (decode_market, decode_user):
        with contextlib.suppress(ProtocolError):
            decode_channel(text, 7)
    former = fast_path.parse_fast
    try:
        for parse in (parse_msgspec, fast_path.parse_plain):
            fast_path.parse_fast = parse
            agrees(text)
    finally:
        fast_path.parse_fast = former


def session(data: bytes) -> None:
    """A session takes whatever comes, and ends by an error of ours if at all.

    The first byte says which channel, and whether the rest is the stream itself or texts, each
    ended by a NUL; the session's time moves on with each.
    """
    choice, rest = data[:1], data[1:]
    is_user, is_raw = bool(choice) and choice[0] & 1, bool(choice) and choice[0] & 2
    cores = {} if is_user else {asset_id: BookCore(asset_id) for asset_id in ("1", "2")}
    wanted = Wanted(None) if is_user else Wanted(frozenset(cores), cores)
    dialect: Dialect = user_dialect() if is_user else market_dialect()
    view: View = UserView(account=AccountCore()) if is_user else MarketView(Books())
    view.want(wanted)
    options = Options(max_message_bytes=LIMIT)
    talk = Session("fuzz", dialect, view, options, Tally(), lambda: HEARD)
    talk.open(wanted, 0.0)
    chunks = [rest[:7], rest[7:]] if is_raw else [*map(_text_frame, rest.split(b"\0"))]
    for number, chunk in enumerate(chunks):
        if talk.ended is None:
            talk.receive(chunk, number * 0.7, 7)
        if talk.ended is None:
            talk.tick(number * 0.7)
    view.connection_ended("disconnect")


def _text_frame(payload: bytes) -> bytes:
    if len(payload) < 126:
        return bytes((0x81, len(payload))) + payload
    if len(payload) < 2**16:
        return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload
    return b"\x81\x7f" + len(payload).to_bytes(8, "big") + payload


def heads(data: bytes) -> None:
    """A head is read, or refused as malformed, too long or cut off, however it comes."""
    size = data[0] % 64 + 1 if data else 1

    assert _read_head(data, len(data) or 1) == _read_head(data, size)


def _read_head(data: bytes, size: int) -> object:
    left = iter([data[start : start + size] for start in range(0, len(data), size)])
    try:
        head, rest = receive_head(lambda _: next(left, b""))
    except (EOFError, ValueError) as error:
        return type(error)
    assert len(repr(head.headers)) < 8 * MAX_HEAD_BYTES
    retry_after = retry_after_seconds(head, NOW)
    assert retry_after is None or retry_after >= 0
    return head, rest + b"".join(left)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "frames": frames,
    "decode": decode,
    "session": session,
    "heads": heads,
}

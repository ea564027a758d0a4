"""One connection's conversation, sans-I/O: bytes and time in; events, frames and a deadline out."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from attrs import define, field

from .backoff import Ending
from .channels import Channel, Wanted
from .codec import NOTICES, PING, PONG, decode, redact
from .errors import ConnectionLost, DecodeError, ProtocolError
from .event_queue import Item
from .events import Frame
from .frames import Close, FrameParser, Ping, Pong, Violation
from .options import Options
from .repeats import is_milestone

logger = logging.getLogger(__name__)

NORMAL_CLOSURE = 1000
AUTHENTICATION_SECONDS = 5.0  # within which refused credentials get a close (PROTOCOL 2.1)
LASTING_SECONDS = 10.0  # a server that accepts, answers and closes at once is asked ever less often
_SERVER_BUSY = frozenset({1001, 1012, 1013})  # going away, restarting, try again later
_REASON_CHARS = 100

Outgoing = str | Pong | Close


@define(eq=False)
class Tally:
    """What one named connection received, over all its sessions. Written by its shard's thread."""

    messages: int = 0
    received_bytes: int = 0
    decode_errors: int = 0
    notices: int = 0
    events: Counter[str] = field(factory=Counter)
    last_data_at: float | None = None
    last_round_trip: float | None = None


@define(eq=False)
class Session:
    """The state of one open WebSocket, from its handshake to its end. Never used again after it.

    Whoever owns it feeds `receive` and `tick`, sends what it finds in `outbox`, calls again at
    `deadline`, and closes the connection once `ended` says why.
    """

    name: str
    """The connection's, for the logs."""
    channel: Channel
    options: Options
    tally: Tally
    hears_frames: Callable[[], bool]
    """Whether somebody listens for raw frames."""
    outbox: list[Outgoing] = field(factory=list, repr=False)
    ended: ConnectionLost | ProtocolError | None = None
    """Why the connection has to be closed."""
    messages: int = 0
    """Text messages received in this session."""
    useful: bool = False
    """Something but a close came: data or a PONG."""
    _wanted: Wanted = field(factory=Wanted)
    _opened_at: float = 0.0
    _next_ping_at: float = float("inf")
    _unanswered_ping_at: float | None = None
    _parser: FrameParser = field(init=False)
    _debug: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._parser = FrameParser(self.options.max_message_bytes)
        self._debug = logger.isEnabledFor(logging.DEBUG)

    @property
    def deadline(self) -> float:
        """When `tick` is due, whatever comes before."""
        if self._unanswered_ping_at is None:
            return self._next_ping_at
        return min(self._next_ping_at, self._unanswered_ping_at + self.options.pong_timeout)

    def open(self, wanted: Wanted, now: float) -> None:
        """The handshake is done: subscribe. The server closes with 1008 when PING comes first."""
        self._wanted = wanted
        self._opened_at = now
        self._next_ping_at = now + self.options.heartbeat_interval
        self.outbox.append(self.channel.opening_text(wanted))

    def want(self, wanted: Wanted) -> None:
        """Change the subscription of the open connection."""
        self.outbox.extend(self.channel.change_texts(self._wanted, wanted))
        self._wanted = wanted

    def close(self, code: int = NORMAL_CLOSURE) -> None:
        """Say goodbye; the owner does not wait for an answer."""
        self.outbox.append(Close(code, ""))

    def receive(self, data: bytes, now: float, received_at_ns: int) -> list[Item]:
        """Take bytes as they came; return the events and changed books, in order."""
        self.tally.received_bytes += len(data)
        items: list[Item] = []
        for message in self._parser.receive(data):
            if isinstance(message, str):
                self._receive_text(message, now, received_at_ns, items)
            elif isinstance(message, Ping):
                self.outbox.append(Pong(message.payload))
            elif isinstance(message, Close):
                self._receive_close(message)
            elif isinstance(message, Violation):
                self.close(message.code)
                self.ended = ProtocolError(message.code, message.detail)
            elif isinstance(message, bytes):
                self._count_message()
                self._take_flaw(DecodeError("$", "a binary message"), items)
        return items

    def tick(self, now: float) -> None:
        """Do what time asks for: send PING, or give the connection up when no PONG came."""
        pinged_at = self._unanswered_ping_at
        if pinged_at is not None and now - pinged_at >= self.options.pong_timeout:
            self.ended = ConnectionLost(
                "pong_timeout", f"no PONG within {self.options.pong_timeout:g} s of a PING"
            )
        elif now >= self._next_ping_at:
            self.outbox.append(PING)
            self._next_ping_at = now + self.options.heartbeat_interval
            if pinged_at is None:
                self._unanswered_ping_at = now

    def ending(self, error: ConnectionLost | ProtocolError, now: float) -> Ending:
        """How it ended. Bad credentials are answered soon, before anything came, with no reason."""
        seconds = now - self._opened_at
        is_hint = isinstance(error, ConnectionLost) and (
            error.reason in ("eof", "reset")
            or (error.reason == "closed" and error.code not in _SERVER_BUSY)
        )
        return Ending(
            useful=self.useful,
            lasting=self.useful and seconds >= LASTING_SECONDS,
            refused=self.channel.authenticates
            and is_hint
            and not self.useful
            and seconds < AUTHENTICATION_SECONDS,
        )

    def _receive_text(self, text: str, now: float, received_at_ns: int, items: list[Item]) -> None:
        self._count_message()
        if self._debug:
            logger.debug("%s: < %s", self.name, redact(text))
        if text == PONG:
            self._receive_pong(now)
        elif text.strip() in NOTICES:
            self._receive_notice(text.strip())
        else:
            self._receive_data(text, now, received_at_ns, items)

    def _count_message(self) -> None:
        self.messages += 1
        self.tally.messages += 1

    def _receive_pong(self, now: float) -> None:
        self.useful = True
        if self._unanswered_ping_at is not None:
            self.tally.last_round_trip = now - self._unanswered_ping_at
        self._unanswered_ping_at = None

    def _receive_notice(self, text: str) -> None:
        self.tally.notices += 1
        level = logging.WARNING if text == "INVALID OPERATION" else logging.DEBUG
        logger.log(level, "%s: the server says %r", self.name, text)

    def _receive_data(self, text: str, now: float, received_at_ns: int, items: list[Item]) -> None:
        self.useful = True
        self.tally.last_data_at = now
        if self.hears_frames():
            frame = Frame(channel=self.channel.name, text=text, received_at_ns=received_at_ns)
            items.append(frame)
        for decoded in decode(text, self.channel.name, received_at_ns):
            if isinstance(decoded, DecodeError):
                self._take_flaw(decoded, items)
                continue
            self.tally.events[decoded.event.event_type] += 1
            is_news, changed = self.channel.take(decoded, now)
            items.extend(changed)
            if is_news:
                items.append(decoded.event)

    def _take_flaw(self, error: DecodeError, items: list[Item]) -> None:
        self.tally.decode_errors += 1
        if is_milestone(self.tally.decode_errors):
            logger.warning(
                "%s: not understood (%d so far): %s", self.name, self.tally.decode_errors, error
            )
        stale = self.channel.take_flaw(error)
        for core in stale:
            logger.warning("%s: the book of %s is stale: %s", self.name, core.asset_id, error)
        items.extend(stale)
        items.append(error)

    def _receive_close(self, close: Close) -> None:
        self.close(close.code or NORMAL_CLOSURE)
        reason = f" {redact(close.reason[:_REASON_CHARS])!r}" if close.reason else ""
        detail = f"code {close.code}{reason}" if close.code else "without a code"
        self.ended = ConnectionLost("closed", detail, code=close.code)

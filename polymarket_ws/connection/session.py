"""One connection's conversation, sans-I/O: bytes and time in; events, texts and a deadline out.

All that depends on what a server says, and when, is decided here without a socket. So a test can
play any server, and a live connection, a follower, a probe and a recording share the same code.
`receive` takes bytes as they came, `tick` the time. Both return the items to deliver, and leave in
`outbox` what is to be sent, and in `ended` why to close. How the server speaks is told by the
dialect; what its events change, by the view. A session adds what no single message shows: an
unanswered PING, a subscription that brought no snapshot, the gap that a malformed message leaves.

The order of the items matters: changed books come before the events of the same read, and a Gap
before the snapshot that ends it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Container, Iterable, Sequence

from attrs import define, field

from polymarket_ws.books.book import BookCore
from polymarket_ws.channels.dialect import Dialect
from polymarket_ws.channels.view import View
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.delivery.event_queue import Item
from polymarket_ws.errors import ConnectionLost, DecodeError, ProtocolError
from polymarket_ws.events import Book, Frame, Gap
from polymarket_ws.logs import Log
from polymarket_ws.milestones import is_milestone
from polymarket_ws.net.frames import Close, FrameParser, Ping, Pong, Violation
from polymarket_ws.options import Options
from polymarket_ws.wire.redaction import redact
from polymarket_ws.wire.updates import Decoded, Snapshot

from .backoff import Ending
from .gaps import Gaps
from .slow_path import decode_slowly
from .snapshot_requests import SnapshotRequests, no_data_detail
from .tally import Tally

logger = Log(__name__)

NORMAL_CLOSURE = 1000
AUTHENTICATION_SECONDS = 5.0  # within which refused credentials get a close (rs-clob-client#218)
LASTING_SECONDS = 0.5  # a server that accepts, answers and closes at once is asked ever less often
_SERVER_BUSY = frozenset({1001, 1012, 1013})  # going away, restarting, try again later
_REASON_CHARS = 100

Outgoing = str | Pong | Close


@define(eq=False)
class Session:
    """The state of one open WebSocket, from its handshake to its end. Never used again after it.

    Whoever owns it feeds `receive` and `tick`, sends what it finds in `outbox`, calls again at
    `deadline`, and closes the connection once `ended` says why.
    """

    name: str
    """The connection's, for the logs."""
    dialect: Dialect
    view: View
    options: Options
    tally: Tally
    hears: Callable[[], Container[str]]
    """The event types that somebody listens for, "frame" for raw ones."""
    gaps: Gaps = field(factory=Gaps)
    """The gaps that are open: the connection's, since they outlive a session."""
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
    _requests: SnapshotRequests = field(init=False)
    _parser: FrameParser = field(init=False)
    _debug: bool = field(init=False)
    _data_begins: frozenset[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._requests = SnapshotRequests(self.options.first_event_timeout)
        self._parser = FrameParser(self.options.max_message_bytes)
        self._debug = logger.is_enabled_for(logging.DEBUG)
        self._data_begins = self.dialect.data_begins

    @property
    def deadline(self) -> float:
        """When `tick` is due, whatever comes before."""
        due = min(
            self.view.deadline,
            self._requests.flawed.next_due,
            self._requests.unanswered.next_due,
            self._next_ping_at,
        )
        if self._unanswered_ping_at is not None:
            due = min(due, self._unanswered_ping_at + self.options.pong_timeout)
        return due

    def open(self, wanted: Wanted, now: float) -> None:
        """The handshake is done: subscribe."""
        self._wanted = wanted
        self._opened_at = now
        self._next_ping_at = now + self.dialect.heartbeat.interval
        self.outbox.extend(self.dialect.opening_texts(wanted))
        self._await_answers(wanted.cores, now)

    def want(self, wanted: Wanted, now: float) -> None:
        """Change the subscription of the open connection."""
        self.outbox.extend(self.dialect.change_texts(self._wanted, wanted))
        former, self._wanted = self._wanted.cores, wanted
        self._requests.keep(wanted.cores)
        self._await_answers([a for a, c in wanted.cores.items() if former.get(a) is not c], now)

    def use(self, view: View, gaps: Gaps) -> None:
        """Feed another view from now on, and tell the gaps of others."""
        self.view, self.gaps = view, gaps

    def _await_answers(self, asset_ids: Collection[str], now: float) -> None:
        self.view.await_answers(asset_ids)
        self._requests.put(asset_ids, now)

    def close(self, code: int = NORMAL_CLOSURE) -> None:
        """Say goodbye; the owner does not wait for an answer."""
        self.outbox.append(Close(code, ""))

    def receive(self, data: bytes, now: float, received_at_ns: int) -> list[Item]:
        """Take bytes as they came; return the events and changed books, in order."""
        self.tally.received_bytes += len(data)
        items: list[Item] = []
        heard = self.hears()
        for message in self._parser.receive(data):
            if isinstance(message, str):
                self._receive_text(message, now, received_at_ns, heard, items)
            elif isinstance(message, Ping):
                self._answer_ping(message)
            elif isinstance(message, Close):
                self._receive_close(message)
            elif isinstance(message, Violation):
                self._break_off(ProtocolError(message.code, message.detail))
            elif isinstance(message, bytes):
                self.messages += 1
                self.tally.messages += 1
                self._take_flaw(DecodeError("$", "a binary message"), now, items)
        return self._publish(items, now)

    def _answer_ping(self, ping: Ping) -> None:
        """Of several in a row the last is answered (RFC 6455, 5.5.3): a flood costs one frame."""
        if self.outbox and isinstance(self.outbox[-1], Pong):
            self.outbox.pop()
        self.outbox.append(Pong(ping.payload))

    def _break_off(self, error: ProtocolError) -> None:
        self.close(error.code)
        self.ended = error

    def receive_text(self, text: str, now: float, received_at_ns: int) -> list[Item]:
        """Take one whole message, from whatever has it: a recording, another connection."""
        items: list[Item] = []
        self._receive_text(text, now, received_at_ns, self.hears(), items)
        return self._publish(items, now)

    def _receive_text(
        self, text: str, now: float, received_at_ns: int, heard: Container[str], items: list[Item]
    ) -> None:
        self.messages += 1
        self.tally.messages += 1
        if self._debug:
            logger.debug("%s: < %s", self.name, redact(text))
        if text[:1] in self._data_begins or not self._receive_control(text, now):
            self._receive_data(text, now, received_at_ns, heard, items)

    def _publish(self, items: list[Item], now: float) -> list[Item]:
        """Put the books that look different before the events of the same read."""
        shown: list[Item] = [*self.view.publish(now)]
        shown += items
        return shown

    def tick(self, now: float) -> list[Item]:
        """Do what time asks for: the heartbeat, asking for snapshots, giving up on a dead peer."""
        if self._requests.flawed.due:
            self.ask_again(self._requests.take_flawed(self._wanted.cores, now), now)
        items: list[Item] = [*self.view.tick(now)]
        if self._requests.unanswered.due:
            items.extend(self._ask_for_first_books(now))
        pinged_at = self._unanswered_ping_at
        if pinged_at is not None and now - pinged_at >= self.options.pong_timeout:
            self.ended = ConnectionLost(
                "pong_timeout", f"no PONG within {self.options.pong_timeout:g} s of a PING"
            )
        elif now >= self._next_ping_at:
            self.outbox.append(self.dialect.heartbeat.text)
            self._next_ping_at = now + self.dialect.heartbeat.interval
            if pinged_at is None:
                self._unanswered_ping_at = now
        return items

    def tell_replaced(
        self, replaced: Sequence[tuple[Decoded, Sequence[BookCore]]], reason: str, now: float
    ) -> list[Item]:
        """Tell of books that were wrong, and have been replaced: the Gap, the books, its end.

        Args:
            replaced: Each book's snapshot, and the books that look different by it.
            reason: Of the Gap.
            now: Monotonic seconds.
        """
        events = [d.event for d, _ in replaced if isinstance(d.event, Book)]
        items: list[Item] = [self._open_gap(reason, [e.asset_id for e in events], now)]
        for event, (_, changed) in zip(events, replaced, strict=True):
            self._requests.unanswered.drop(event.asset_id)
            self.tally.events[event.event_type] += 1
            items += [*changed, event, *self.gaps.heal([event.asset_id], now)]
        return items

    def resubscribe(self, asset_ids: list[str], reason: str, now: float) -> list[Item]:
        """Ask for new snapshots of books that are not to be trusted: stale, and the Gap."""
        stale = self.view.mark_stale(asset_ids, reason)
        if not stale:
            return []
        self.ask_again([core.asset_id for core in stale], now)
        return [*stale, self._tell_gap(reason, stale, now)]

    def ask_again(self, asset_ids: list[str], now: float) -> None:
        """Draw new snapshots of subscribed assets."""
        if not asset_ids:
            return
        self.outbox.extend(self.dialect.resubscription_texts(asset_ids, self._wanted))
        self._await_answers(asset_ids, now)

    @property
    def unanswered(self) -> Collection[str]:
        """Subscribed assets whose snapshot is still to come."""
        return self._requests.unanswered.due.keys()

    def replay(
        self, messages: Iterable[Decoded | DecodeError], lost: Collection[str], now: float
    ) -> list[Item]:
        """Take what another connection received, after the gap of what neither brought.

        Args:
            messages: In their order.
            lost: Assets of which something may be missing for good. The Gap comes first: what is
                missing came before all these messages.
            now: Monotonic seconds.
        """
        stale = self.view.mark_stale(lost, "disconnect")
        items: list[Item] = [*stale, self._tell_gap("disconnect", stale, now)] if stale else []
        items += self._take_all(messages, now)
        items += self.view.publish(now)
        return items

    def _take_all(self, messages: Iterable[Decoded | DecodeError], now: float) -> list[Item]:
        items: list[Item] = []
        for message in messages:
            if isinstance(message, DecodeError):
                self._take_flaw(message, now, items)
            else:
                self._take(message, now, items)
        return items

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
            refused=self.dialect.authenticates
            and is_hint
            and not self.useful
            and seconds < AUTHENTICATION_SECONDS,
        )

    def _receive_control(self, text: str, now: float) -> bool:
        """Take a text that carries no data; False for any other text."""
        control = self.dialect.read_control(text, self._wanted)
        if control is None:
            return False
        if control.kind == "pong":
            self._receive_pong(now)
        else:
            self.tally.notices += 1
            is_news = control.is_warning and is_milestone(self.tally.notices)
            level = logging.WARNING if is_news else logging.DEBUG
            logger.log(level, "%s: the server says %r", self.name, redact(text.strip()))
        self.outbox.extend(control.replies)
        return True

    def _receive_pong(self, now: float) -> None:
        self.useful = True
        if self._unanswered_ping_at is not None:
            self.tally.last_round_trip = now - self._unanswered_ping_at
        self._unanswered_ping_at = None

    def _receive_data(
        self, text: str, now: float, received_at_ns: int, heard: Container[str], items: list[Item]
    ) -> None:
        self.useful = True
        self.tally.last_data_at = now
        if Frame.event_type in heard and self.view.is_told:
            items.append(Frame(channel=self.dialect.name, text=text, received_at_ns=received_at_ns))
        needed = None if self.view.needs_events else heard
        messages = self.dialect.decode_fast(text, received_at_ns, needed)
        if messages is None:
            try:
                messages = decode_slowly(text, received_at_ns, self.dialect, self.tally, self.name)
            except ProtocolError as error:  # it holds too much
                self._break_off(error)
                return
        for decoded in messages:
            if isinstance(decoded, DecodeError):
                self._take_flaw(decoded, now, items)
            else:
                self._take(decoded, now, items)

    def _take(self, decoded: Decoded, now: float, items: list[Item]) -> None:
        event, update = decoded
        if update.__class__ is Snapshot:
            self._requests.unanswered.drop(update.asset_id)
        taken = self.view.take(decoded, now)
        if taken is None:
            return
        self.tally.events[decoded.event_type if event is None else event.event_type] += 1
        is_news, changed, revived, broken, told = taken
        for core, reason in broken:
            items.append(self._tell_gap(reason, [core], now))
        items += changed
        if is_news and event is not None:
            items.append(event)
        items += told
        for core, _ in broken:
            items += self.gaps.heal([core.asset_id], now)
        if revived:
            items += self.gaps.heal(revived, now)

    def _take_flaw(self, error: DecodeError, now: float, items: list[Item]) -> None:
        stale = self.view.take_flaw(error, now)
        if stale is None:
            return
        self.tally.decode_errors += 1
        if is_milestone(self.tally.decode_errors):
            logger.warning(
                "%s: not understood (%d so far): %s", self.name, self.tally.decode_errors, error
            )
        for core in stale:
            logger.warning("%s: the book of %s is stale: %s", self.name, core.name, error)
        items.extend(stale)
        items.append(error)
        if stale:
            items.append(self._tell_gap("decode_error", stale, now))
            self._requests.put_flawed([core.asset_id for core in stale], now)

    def _tell_gap(self, reason: str, cores: list[BookCore], now: float) -> Gap:
        return self._open_gap(reason, [core.asset_id for core in cores], now)

    def _open_gap(self, reason: str, asset_ids: list[str], now: float, detail: str = "") -> Gap:
        gap = Gap(
            channel=self.dialect.name,
            connection=self.name,
            reason=reason,
            asset_ids=tuple(asset_ids),
            detail=detail,
        )
        logger.warning("%s: gap (%s) in %d books", self.name, reason, len(asset_ids))
        return self.gaps.open(gap, now)

    def _ask_for_first_books(self, now: float) -> list[Item]:
        """Ask again for first books that have not come, all in one go; give up after some times."""
        again, given_up = self._requests.take_overdue(now)
        if again:
            logger.info("%s: no book yet for %d assets: asking again", self.name, len(again))
            self.outbox.extend(self.dialect.resubscription_texts(again, self._wanted))
            self.view.await_answers(again)
        untold = [a for a in given_up if not self.gaps.waits_for(a, "no_data")]
        if not untold or not self.view.is_told:
            return []
        detail = no_data_detail(untold)
        logger.warning("%s: %s: %s", self.name, ", ".join(untold[:5]), detail)
        # A gap of more assets must not wait for what will not come: it ends for the others.
        ended = self.gaps.forget(untold, now)
        return [*ended, self._open_gap("no_data", untold, now, detail)]

    def _receive_close(self, close: Close) -> None:
        self.close(close.code or NORMAL_CLOSURE)
        reason = f" {redact(close.reason[:_REASON_CHARS])!r}" if close.reason else ""
        detail = f"code {close.code}{reason}" if close.code else "without a code"
        self.ended = ConnectionLost("closed", detail, code=close.code)

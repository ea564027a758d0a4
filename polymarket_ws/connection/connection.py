"""One connection's life: attempts, an open link with its session, waiting, and again."""

from __future__ import annotations

import logging
import random
import selectors
import ssl
import threading
import time
from collections.abc import Callable, Container, Sequence
from typing import NamedTuple, Protocol

from polymarket_ws.channels.dialect import Dialect
from polymarket_ws.channels.view import View
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.delivery.event_queue import Item
from polymarket_ws.errors import (
    AuthenticationError,
    CertificateError,
    ConfigurationError,
    ConnectionLost,
    ConnectTimeout,
    HandshakeRejected,
    PolymarketWsError,
    ProtocolError,
)
from polymarket_ws.events import Connected, Disconnected
from polymarket_ws.net.attempt import Attempt, OpenSocket
from polymarket_ws.net.attempt_thread import AttemptThread
from polymarket_ws.net.frames import Close, Pong
from polymarket_ws.options import Options
from polymarket_ws.stats import ConnectionStats
from polymarket_ws.wire.redaction import redact
from polymarket_ws.wire.updates import Decoded

from .backoff import Backoff, Ending, Verdict
from .gaps import Gaps
from .pacing import Pacer
from .session import NORMAL_CLOSURE, Outgoing, Session, Tally

logger = logging.getLogger(__name__)


READS_PER_TURN = 8  # then timers and writes have their turn, also under a flood
_TOO_MANY = frozenset({429, 503})
# The resolver cannot be interrupted: a hung one must not cost a thread each attempt.
LOOKUPS_AT_ONCE = 3
# Seconds past the deadline: all phases but DNS end themselves, with a better error.
_DNS_GRACE = 0.25


class Loss(NamedTuple):
    """What the loss of a connection means beyond the connection."""

    stale: Sequence[Item] = ()
    """Books that are not live any more, told before its Disconnected."""
    after: Sequence[Item] = ()
    """The Gap, or what another connection goes on with, told after its Disconnected."""


class Owner(Protocol):
    """What a connection asks of its shard."""

    @property
    def is_stopping(self) -> bool:
        """Whether the shard was asked to end."""

    def deliver(self, items: Sequence[Item]) -> None:
        """Hand events over to whoever listens."""

    def fail(self, error: PolymarketWsError) -> None:
        """End the run."""

    def wake(self) -> None:
        """Interrupt the shard's wait. Any thread."""

    def hears(self) -> Container[str]:
        """The event types that somebody listens for."""

    def lose(self, lost: Connection, error: ConnectionLost | ProtocolError, now: float) -> Loss:
        """An open connection is lost: let another one go on with its view, or end that."""


class Connection:
    """A named connection that is made again for as long as something is wanted of it.

    Owned by its shard's thread, which calls `read` when the link is readable, `turn` after each
    wait, and waits no longer than `deadline`. Only `stats` and `connectors` are for other threads.
    """

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        view: View,
        options: Options,
        ssl_context: Callable[[], ssl.SSLContext],
        pacer: Pacer,
        owner: Owner,
        selector: selectors.BaseSelector,
        gaps: Gaps,
    ) -> None:
        self.name = name
        self._dialect = dialect
        self._view = view
        self._options = options
        self._ssl_context = ssl_context
        self._pacer = pacer
        self._owner = owner
        self._selector = selector
        self._wanted = Wanted()
        self._backoff = Backoff(options)
        self._tally = Tally()
        self._gaps = gaps
        self._generation = 0
        self._attempts = 0  # since it was last open
        self._lost_at: float | None = None
        # At most one of these three is set: connecting, open, or waiting for the next attempt.
        self._connecting: AttemptThread | None = None
        self._deadline_of_attempt = 0.0
        self._link: OpenSocket | None = None
        self._session: Session | None = None
        self._retry_at: float | None = None
        self._blocked_since: float | None = None
        self._has_subscribed = False
        self._was_refused = False  # the last one, right after the credentials
        self._handed_over = 0  # messages of this session whose events are queued
        self._closed = False
        self.last_error: str | None = None
        """What the newest failed attempt or lost connection said; None since the last success."""
        self._promised = False  # the last thing told was that it will be tried again
        self._connectors: list[threading.Thread] = []

    @property
    def deadline(self) -> float:
        """When `turn` is due, whatever comes before; 0 for at once."""
        if self._connecting is not None:
            return self._deadline_of_attempt
        if self._link is not None and self._session is not None:
            if self._link.has_buffered:
                return 0.0
            if self._blocked_since is not None:
                send_by = self._blocked_since + self._options.send_timeout
                return min(self._session.deadline, send_by)
            return self._session.deadline
        return self._retry_at if self._retry_at is not None else float("inf")

    @property
    def channel(self) -> str:
        return self._dialect.name

    @property
    def is_open(self) -> bool:
        return self._link is not None

    @property
    def is_subscribed(self) -> bool:
        """Whether it is open, and the server was sent what is wanted of it."""
        return self._link is not None and self._has_subscribed

    @property
    def generation(self) -> int:
        return self._generation

    def want(self, wanted: Wanted, now: float) -> None:
        """Change what is wanted: connect, tell the server, or close."""
        gone = [id_ for id_, c in self._wanted.cores.items() if wanted.cores.get(id_) is not c]
        self._has_subscribed = False
        self._wanted = wanted
        self._view.want(wanted)
        self._owner.deliver(self._gaps.forget(gone, now))
        if wanted.is_empty:
            self._retire("unwanted")
        elif self._session is not None:
            self._session.want(wanted, now)
        elif self._connecting is None and self._retry_at is None:
            self._connect(now)

    def read(self, now: float) -> None:
        """Receive what the socket has, a bounded number of reads at a time."""
        try:
            for _ in range(READS_PER_TURN):
                if self._link is None or self._session is None or self._owner.is_stopping:
                    return
                data = self._link.receive()
                if not data:
                    return
                self._owner.deliver(self._session.receive(data, now, time.time_ns()))
                self._handed_over = self._session.messages
                if self._session.ended is not None:
                    return
        except ConnectionLost as error:
            self._lose(error, now)

    @property
    def session(self) -> Session | None:
        """The open one."""
        return self._session

    def use(self, view: View, gaps: Gaps) -> None:
        """Feed another view from now on, and tell the gaps of others."""
        self._view, self._gaps = view, gaps
        if self._session is not None:
            self._session.use(view, gaps)

    def leave(self, reason: str, now: float) -> None:
        """Close, since nothing is wanted of it for now."""
        self._wanted = Wanted()
        self._view.want(self._wanted)
        self._retire(reason)

    def turn(self, now: float) -> None:
        """Do what is due: take a finished attempt, begin one, keep the heartbeat, write."""
        if self._connecting is not None:
            self._turn_connecting(self._connecting, now)
        elif self._retry_at is not None and now >= self._retry_at:
            self._connect(now)
        if self._link is not None and self._session is not None:
            self._turn_open(self._link, self._session, now)

    def stop(self, reason: str) -> None:
        """End for good."""
        self._retire(reason)
        self._closed = True

    def connectors(self) -> list[threading.Thread]:
        """The threads of attempts that have not ended. Any thread."""
        return [thread for thread in list(self._connectors) if thread.is_alive()]

    @property
    def wanted(self) -> Wanted:
        return self._wanted

    def data_age(self, now: float) -> float:
        """Seconds since the last data message of any generation; inf before the first."""
        last = self._tally.last_data_at
        return float("inf") if last is None else now - last

    def replace_wrong(self, fresh: list[Decoded], reason: str, now: float) -> None:
        """Replace books that fresh snapshots proved wrong."""
        if self._session is not None and fresh:
            self._owner.deliver(self._session.replace_wrong(fresh, reason, now))

    def resubscribe(self, asset_ids: list[str], reason: str, now: float) -> None:
        """Ask again for books that have frozen, on the same connection."""
        if self._session is not None:
            self._owner.deliver(self._session.resubscribe(asset_ids, reason, now))

    def lose_silent(self, now: float) -> None:
        """Make the connection anew: it is open, and answers PING, but brings no data."""
        if self._link is not None:
            silent = ConnectionLost("silent", "PING is answered, but data has stopped coming")
            self._lose(silent, now)

    def stats(self, now: float) -> ConnectionStats:
        """What it counted. Any thread: each figure is read once."""
        link, last_data_at = self._link, self._tally.last_data_at
        return ConnectionStats(
            connection=self.name,
            channel=self._dialect.name,
            state=self._state(),
            generation=self._generation,
            attempt=self._attempts,
            local_port=link.local_port if link is not None else 0,
            messages=self._handed_over,
            total_messages=self._tally.messages,
            total_bytes=self._tally.received_bytes,
            last_data_age=None if last_data_at is None else max(0.0, now - last_data_at),
            last_round_trip=self._tally.last_round_trip,
        )

    @property
    def tally(self) -> Tally:
        return self._tally

    @property
    def gaps(self) -> Gaps:
        return self._gaps

    def _state(self) -> str:
        if self._closed:
            return "closed"
        if self._link is not None:
            return "open"
        if self._connecting is not None:
            return "connecting"
        return "idle" if self._retry_at is None else "waiting"

    def _connect(self, now: float) -> None:
        # A connection of which nothing is told leaves a place for those that are.
        wait = self._pacer.take(now, spare=0 if self._view.is_told else 1)
        self._retry_at = now + wait if wait else None
        if wait:
            return
        self._attempts += 1
        self._connectors = self.connectors()
        if len(self._connectors) >= LOOKUPS_AT_ONCE:
            earlier = ConnectionLost("dns", f"{LOOKUPS_AT_ONCE} earlier look-ups have not ended")
            self._fail_attempt(earlier, now)
            return
        attempt = Attempt(self._dialect.url, self._options, self._ssl_context)
        self._connecting = AttemptThread(self.name, attempt, self._owner.wake)
        self._deadline_of_attempt = now + self._options.connect_timeout + _DNS_GRACE
        logger.debug("%s: connecting, attempt %d", self.name, self._attempts)
        self._connecting.start()
        self._connectors.append(self._connecting.thread)

    def _turn_connecting(self, connecting: AttemptThread, now: float) -> None:
        outcome = connecting.take()
        if isinstance(outcome, OpenSocket):
            self._connecting = None
            self._open(outcome, now)
        elif outcome is not None:
            self._connecting = None
            self._fail_attempt(outcome, now)
        elif now >= self._deadline_of_attempt:
            self._connecting = None
            connecting.abandon()
            timeout = ConnectTimeout(connecting.phase, self._options.connect_timeout)
            self._fail_attempt(timeout, now)

    def _open(self, link: OpenSocket, now: float) -> None:
        self._has_subscribed = False
        self._link = link
        self._handed_over = 0
        self.last_error = None
        self._selector.register(link, selectors.EVENT_READ, self)
        self._generation += 1
        self._backoff.opened()
        session = Session(
            self.name,
            self._dialect,
            self._view,
            self._options,
            self._tally,
            self._owner.hears,
            self._gaps,
        )
        session.open(self._wanted, now)
        self._session = session
        connected = Connected(
            channel=self._dialect.name,
            connection=self.name,
            generation=self._generation,
            reconnected=self._generation > 1,
            attempt=self._attempts,
            downtime=None if self._lost_at is None else now - self._lost_at,
            received_at_ns=time.time_ns(),
        )
        self._attempts, self._lost_at, self._promised = 0, None, False
        logger.info("%s: connected (generation %d)", self.name, self._generation)
        # Where the last connection was refused, only the first PONG shows that this one works.
        trusted = self._view.is_complete_once_open and not self._was_refused
        ended = self._gaps.end_all(now) if trusted else []
        self._owner.deliver([connected, *ended])

    def _turn_open(self, link: OpenSocket, session: Session, now: float) -> None:
        try:
            if session.ended is None:
                self._owner.deliver(session.tick(now))
            if session.useful and self._view.is_complete_once_open and self._gaps.has_open:
                self._owner.deliver(self._gaps.end_all(now))
            self._write(link, session, now)
        except ConnectionLost as error:
            self._lose(session.ended or error, now)
            return
        if session.ended is not None:
            self._lose(session.ended, now)

    def _write(self, link: OpenSocket, session: Session, now: float) -> None:
        outbox, session.outbox = session.outbox, []
        for outgoing in outbox:
            self._send(link, outgoing)
        link.flush()
        self._select_for_writing(link)
        if not link.wants_write:
            self._blocked_since = None
            self._has_subscribed = True
        elif self._blocked_since is None:
            self._blocked_since = now
        elif now - self._blocked_since >= self._options.send_timeout:
            timeout = self._options.send_timeout
            raise ConnectionLost("send_timeout", f"the server read nothing for {timeout:g} s")

    def _send(self, link: OpenSocket, outgoing: Outgoing) -> None:
        if isinstance(outgoing, str):
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug("%s: > %s", self.name, redact(outgoing))
            link.send(outgoing)
        elif isinstance(outgoing, Pong):
            link.send_pong(outgoing.payload)
        elif isinstance(outgoing, Close):
            link.send_close(outgoing.code or NORMAL_CLOSURE)

    def _select_for_writing(self, link: OpenSocket) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.wants_write else 0)
        if self._selector.get_key(link).events != events:
            self._selector.modify(link, events, self)

    def _lose(self, error: ConnectionLost | ProtocolError, now: float) -> None:
        ending = self._session.ending(error, now) if self._session is not None else Ending()
        self._was_refused = ending.refused
        self._close_link()
        self._lost_at = now
        loss = self._owner.lose(self, error, now)
        verdict = self._judge(error, ending)
        told = self._disconnected(error, verdict, attempt=0)
        self._owner.deliver([*loss.stale, told, *loss.after])
        self._follow(verdict, error, now)

    def _judge(self, error: PolymarketWsError, ending: Ending | None) -> Verdict:
        """What follows a failure. That of a connection of which nothing is told ends nothing."""
        verdict = self._backoff.fail(error, random.random(), ending)
        if verdict.fatal is not None and not self._view.is_told:
            return Verdict(self._options.backoff_cap, None)
        return verdict

    def _fail_attempt(self, error: PolymarketWsError, now: float) -> None:
        if isinstance(error, HandshakeRejected) and error.status in _TOO_MANY:
            self._pacer.pause(now, error.retry_after)
        verdict = self._judge(error, None)
        self._owner.deliver([self._disconnected(error, verdict, attempt=self._attempts)])
        self._follow(verdict, error, now)

    def _follow(self, verdict: Verdict, error: PolymarketWsError, now: float) -> None:
        self.last_error = str(error)
        if verdict.delay is None:
            fatal, self._promised = verdict.fatal or error, False
            logger.error("%s: giving up: %s", self.name, fatal)
            self._owner.fail(fatal)
            return
        logger.warning("%s: %s; next attempt in %.2f s", self.name, error, verdict.delay)
        self._retry_at, self._promised = now + verdict.delay, True

    def _retire(self, reason: str) -> None:
        """Close without another attempt, saying goodbye to the server."""
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            connecting.abandon()
        self._retry_at = self._lost_at = None
        self._gaps.clear()
        is_news = self._link is not None or self._promised
        self._promised = False
        if self._session is not None:
            self._session.close()
        self._close_link()
        stale = self._view.lose(reason)
        if is_news:
            logger.info("%s: closed (%s)", self.name, reason)
            self._owner.deliver([*stale, self._ended(reason, "", None, None, 0)])

    def _close_link(self) -> None:
        link, session = self._link, self._session
        self._link = self._session = self._blocked_since = None
        if link is None or session is None:
            return
        self._selector.unregister(link)
        try:
            for outgoing in session.outbox:
                self._send(link, outgoing)
            link.flush()
        except ConnectionLost:
            logger.debug("%s: the close frame could not be sent", self.name)
        link.close()

    def _disconnected(
        self, error: PolymarketWsError, verdict: Verdict, attempt: int
    ) -> Disconnected:
        cause = verdict.fatal or error
        detail = cause.detail if isinstance(cause, (ConnectionLost, ProtocolError)) else str(cause)
        code = error.code if isinstance(error, (ConnectionLost, ProtocolError)) else None
        return self._ended(_reason(cause), detail, code, verdict.delay, attempt)

    def _ended(
        self, reason: str, detail: str, code: int | None, delay: float | None, attempt: int
    ) -> Disconnected:
        return Disconnected(
            channel=self._dialect.name,
            connection=self.name,
            generation=self._generation,
            reason=reason,
            detail=detail,
            code=code,
            will_retry=delay is not None,
            delay=delay,
            attempt=attempt,
            received_at_ns=time.time_ns(),
        )


def _reason(error: PolymarketWsError) -> str:
    if isinstance(error, ConnectionLost):
        return error.reason
    kinds = (
        (ProtocolError, "protocol_error"),
        (AuthenticationError, "authentication"),
        (CertificateError, "certificate"),
        (ConfigurationError, "configuration"),
    )
    return next((reason for kind, reason in kinds if isinstance(error, kind)), "failed")

"""One connection, made again for as long as something is wanted of it.

A connection is idle, connecting, open, or waiting for its next attempt. A server may refuse, hang,
close or fall silent at any time, and users change what they want; what follows has to be the same
however it came about. So each state is one attribute, of which at most one is set, and each has one
way out: an attempt ends in `_start_session` or `_fail_attempt`, an open socket in `_lose` or
`_retire`. The backoff decides whether to try again, and when. The wanted set, the open gaps, the
tally and the view outlive a socket; a session is thrown away with it.

The danger is in the order of what is told. When a socket is lost, the stale books come first, then
the Disconnected, then the Gap, or what another connection goes on with.
"""

from __future__ import annotations

from collections.abc import Sequence

from polymarket_ws.books.book import BookCore
from polymarket_ws.channels.view import View
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.errors import (
    AuthenticationError,
    CertificateError,
    ConfigurationError,
    ConnectionLost,
    PolymarketWsError,
    ProtocolError,
    forget_locals,
)
from polymarket_ws.events import Connected, Disconnected
from polymarket_ws.logs import Log
from polymarket_ws.net.attempt_thread import AttemptThread
from polymarket_ws.net.open_socket import OpenSocket
from polymarket_ws.stats import ConnectionStats
from polymarket_ws.wire.updates import Decoded

from .backoff import Backoff, Ending, Retry
from .connector import Connector
from .gaps import Gaps
from .open_connection import OpenConnection
from .owner import Owner
from .session import Session
from .tally import Tally

logger = Log(__name__)

READS_PER_TURN = 8  # then timers and writes have their turn, also under a flood
# The resolver cannot be interrupted: a hung one must not cost a thread each attempt.
LOOKUPS_AT_ONCE = 3


class Connection:
    """A named connection. Made by a shard, for as long as that lives.

    Owned by its shard's thread, which calls `read` when the socket is readable, and `turn` at
    `deadline` or before. Any thread may call `stats` and read the attributes and properties.
    """

    def __init__(
        self, name: str, view: View, gaps: Gaps, connector: Connector, owner: Owner[Connection]
    ) -> None:
        self.name = name
        self.channel = connector.dialect.name
        self.wanted = Wanted()
        self.generation = 0
        self.tally = Tally()
        self.last_error: str | None = None
        """What the newest failed attempt or lost connection said; None since the last success."""
        self.was_refused = False
        """Whether the last one was closed right after the credentials."""
        self._view = view
        self._gaps = gaps
        self._connector = connector
        self._clock = connector.clock
        self._options = connector.options
        self._owner = owner
        self._backoff = Backoff(connector.options)
        self._attempts = 0  # since it was last open
        self._lost_at: float | None = None
        # At most one of these three is set: connecting, open, or waiting for the next attempt.
        self._attempt: AttemptThread | None = None
        self._open: OpenConnection | None = None
        self._retry_at: float | None = None
        self._has_subscribed = False
        self._handed_over = 0  # messages of this session whose events are queued
        self._closed = False
        self._promised = False  # the last thing told was that it will be tried again

    @property
    def deadline(self) -> float:
        """When `turn` is due, whatever comes before; 0 for at once."""
        if self._attempt is not None:
            return self._attempt.deadline
        if self._open is not None:
            return 0.0 if self._has_gaps_to_end(self._open) else self._open.deadline
        return self._retry_at if self._retry_at is not None else float("inf")

    @property
    def is_open(self) -> bool:
        return self._open is not None

    @property
    def is_subscribed(self) -> bool:
        """Whether it is open, and the server was sent what is wanted of it."""
        return self._open is not None and self._has_subscribed

    def trust_credentials(self, trusted: bool) -> None:
        """Whether something else than the server's closes tells if the credentials are right."""
        self._backoff.counts_refusals = not trusted

    @property
    def session(self) -> Session | None:
        """The open one."""
        return self._open.session if self._open is not None else None

    def want(self, wanted: Wanted, now: float) -> None:
        """Change what is wanted: connect, tell the server, or close."""
        gone = [id_ for id_, c in self.wanted.cores.items() if wanted.cores.get(id_) is not c]
        self._has_subscribed = False
        self.wanted = wanted
        self._view.want(wanted)
        self._owner.deliver(self._gaps.forget(gone, now))
        if wanted.is_empty:
            self._retire("unwanted")
        elif self._open is not None:
            self._open.session.want(wanted, now)
        elif self._attempt is None and self._retry_at is None:
            self._connect(now)

    def use(self, view: View, gaps: Gaps) -> None:
        """Feed another view from now on, and tell the gaps of others."""
        self._view, self._gaps = view, gaps
        if self._open is not None:
            self._open.session.use(view, gaps)

    def read(self, now: float) -> float:
        """Receive what the socket has, a bounded number of reads at a time; returns `deadline`."""
        opened = self._open
        for _ in range(READS_PER_TURN):
            if opened is None or self._owner.is_stopping:
                break
            items = opened.receive(now)
            if items is None:
                break
            self._owner.deliver(items)
            self._handed_over = opened.session.messages
        return self.deadline

    def turn(self, now: float) -> None:
        """Do what is due: take a finished attempt, begin one, keep the heartbeat, write."""
        if self._open is not None and self._open.has_buffered:
            self.read(now)
        if self._attempt is not None:
            self._turn_connecting(self._attempt, now)
        elif self._retry_at is not None and now >= self._retry_at:
            self._connect(now)
        if self._open is not None:
            self._turn_open(self._open, now)

    def break_off(self, error: ConnectionLost, now: float) -> None:
        """Lose the connection, or the attempt to make one, by an error of our own."""
        if self._open is not None:
            self._lose(self._open, error, now)
        elif self._attempt is not None:
            self._attempt.abandon()
            self._attempt = None
            self._fail_attempt(error, now)
        elif self._retry_at is None and not self.wanted.is_empty:
            # An exception fell between two states: without this it would stay idle for good.
            self._lost_at = now
            loss = self._owner.connection_lost(self, error, now)
            retry = self._decide(error, None)
            told = self._disconnected(error, retry, attempt=self._attempts)
            self._owner.deliver([*loss.stale, told, *loss.after])
            self._retry_or_give_up(retry, error, now)

    def disconnect(self, reason: str, now: float) -> None:
        """Close, since nothing is wanted of it for now."""
        self.wanted = Wanted()
        self._view.want(self.wanted)
        self._retire(reason)

    def stop(self, reason: str) -> None:
        """End for good."""
        self._retire(reason)
        self._closed = True

    def tell_replaced(
        self, replaced: Sequence[tuple[Decoded, Sequence[BookCore]]], reason: str, now: float
    ) -> None:
        """Tell of books that were wrong, and have been replaced."""
        if self._open is not None:
            self._owner.deliver(self._open.session.tell_replaced(replaced, reason, now))

    def resubscribe(self, asset_ids: list[str], reason: str, now: float) -> None:
        """Ask again for books that have frozen, on the same connection."""
        if self._open is not None:
            self._owner.deliver(self._open.session.resubscribe(asset_ids, reason, now))

    def reconnect_silent(self, now: float) -> None:
        """Make the connection anew: it is open, and answers PING, but brings no data."""
        if self._open is not None:
            silent = ConnectionLost("silent", "PING is answered, but data has stopped coming")
            self._lose(self._open, silent, now)

    def stats(self, now: float) -> ConnectionStats:
        """What it counted. Any thread: each figure is read once."""
        opened, last_data_at = self._open, self.tally.last_data_at
        return ConnectionStats(
            connection=self.name,
            channel=self.channel,
            state=self._state(),
            generation=self.generation,
            attempt=self._attempts,
            local_port=opened.local_port if opened is not None else 0,
            messages=self._handed_over,
            total_messages=self.tally.messages,
            total_bytes=self.tally.received_bytes,
            last_data_age=None if last_data_at is None else max(0.0, now - last_data_at),
            last_round_trip=self.tally.last_round_trip,
        )

    def _state(self) -> str:
        if self._closed:
            return "closed"
        if self._open is not None:
            return "open"
        if self._attempt is not None:
            return "connecting"
        return "idle" if self._retry_at is None else "waiting"

    def _connect(self, now: float) -> None:
        # A connection of which nothing is told leaves a place for those that are.
        wait = self._connector.pacer.take(now, spare=0 if self._view.is_told else 1)
        self._retry_at = now + wait if wait else None
        if wait:
            return
        self._attempts += 1
        if len(self._connector.threads(self.name)) >= LOOKUPS_AT_ONCE:
            earlier = ConnectionLost("dns", f"{LOOKUPS_AT_ONCE} earlier look-ups have not ended")
            self._fail_attempt(earlier, now)
            return
        logger.debug("%s: connecting, attempt %d", self.name, self._attempts)
        try:
            self._attempt = self._connector.start(self.name, now)
        except RuntimeError as error:  # the system has no thread left
            self._fail_attempt(ConnectionLost("network", str(error)), now)

    def _turn_connecting(self, attempt: AttemptThread, now: float) -> None:
        outcome = self._connector.take(attempt, now)
        if outcome is None:
            return
        self._attempt = None
        if isinstance(outcome, OpenSocket):
            try:
                self._start_session(outcome, now)
            finally:
                if self._open is None:
                    outcome.close()
        else:
            self._fail_attempt(outcome, now)

    def _fail_attempt(self, error: PolymarketWsError, now: float) -> None:
        retry = self._decide(error, None)
        self._owner.deliver([self._disconnected(error, retry, attempt=self._attempts)])
        self._retry_or_give_up(retry, error, now)

    def _start_session(self, socket: OpenSocket, now: float) -> None:
        session = Session(
            self.name,
            self._connector.dialect,
            self._view,
            self._options,
            self.tally,
            self._owner.hears,
            self._gaps,
        )
        session.open(self.wanted, now)
        self._has_subscribed = False
        self._handed_over = 0
        self.last_error = None
        self.generation += 1
        self._backoff.opened()
        self._open = OpenConnection(socket, session, self._connector, self)
        connected = Connected(
            channel=self.channel,
            connection=self.name,
            generation=self.generation,
            reconnected=self.generation > 1,
            attempt=self._attempts,
            downtime=None if self._lost_at is None else now - self._lost_at,
            received_at_ns=self._clock.wall_ns(),
        )
        self._attempts, self._lost_at, self._promised = 0, None, False
        logger.info("%s: connected (generation %d)", self.name, self.generation)
        # Where the last connection was refused, only the first PONG shows that this one works.
        trusted = self._view.is_complete_once_open and not self.was_refused
        ended = self._gaps.end_all(now) if trusted else []
        self._owner.deliver([connected, *ended])

    def _turn_open(self, opened: OpenConnection, now: float) -> None:
        session = opened.session
        if session.ended is None:
            self._owner.deliver(session.tick(now))
        if self._has_gaps_to_end(opened):
            self._owner.deliver(self._gaps.end_all(now))
        opened.write(now)
        if session.ended is not None:
            self._lose(opened, session.ended, now)
        elif opened.blocked_since is None:
            self._has_subscribed = True

    def _has_gaps_to_end(self, opened: OpenConnection) -> bool:
        """Whether the connection has proved to work, and nothing else is waited for."""
        return self._view.is_complete_once_open and opened.session.useful and self._gaps.has_open

    def _lose(
        self, opened: OpenConnection, error: ConnectionLost | ProtocolError, now: float
    ) -> None:
        forget_locals(error)
        self._open = None
        opened.close()
        ending = opened.session.ending(error, now)
        self.was_refused = ending.refused
        self._lost_at = now
        loss = self._owner.connection_lost(self, error, now)
        retry = self._decide(error, ending)
        told = self._disconnected(error, retry, attempt=0)
        self._owner.deliver([*loss.stale, told, *loss.after])
        self._retry_or_give_up(retry, error, now)

    def _decide(self, error: PolymarketWsError, ending: Ending | None) -> Retry:
        """What follows a failure. That of a connection of which nothing is told ends nothing."""
        retry = self._backoff.fail(error, self._clock.random(), ending)
        if retry.fatal is not None and not self._view.is_told:
            return Retry(self._options.backoff_cap, None)
        return retry

    def _retry_or_give_up(self, retry: Retry, error: PolymarketWsError, now: float) -> None:
        self.last_error = str(error)
        if retry.delay is None:
            fatal, self._promised = retry.fatal or error, False
            self._owner.fail(fatal)
            logger.error("%s: giving up: %s", self.name, fatal)
            return
        logger.warning("%s: %s; next attempt in %.2f s", self.name, error, retry.delay)
        self._retry_at, self._promised = now + retry.delay, True

    def _retire(self, reason: str) -> None:
        """Close without another attempt, saying goodbye to the server."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.abandon()
        self._retry_at = self._lost_at = None
        self._gaps.clear()
        opened, self._open = self._open, None
        is_news = opened is not None or self._promised
        self._promised = False
        if opened is not None:
            opened.session.close()
            opened.close()
        stale = self._view.connection_ended(reason)
        if is_news:
            logger.info("%s: closed (%s)", self.name, reason)
            self._owner.deliver([*stale, self._ended(reason, "", None, None, 0)])

    def _disconnected(self, error: PolymarketWsError, retry: Retry, attempt: int) -> Disconnected:
        cause = retry.fatal or error
        detail = cause.detail if isinstance(cause, (ConnectionLost, ProtocolError)) else str(cause)
        code = error.code if isinstance(error, (ConnectionLost, ProtocolError)) else None
        return self._ended(_reason(cause), detail, code, retry.delay, attempt)

    def _ended(
        self, reason: str, detail: str, code: int | None, delay: float | None, attempt: int
    ) -> Disconnected:
        return Disconnected(
            channel=self.channel,
            connection=self.name,
            generation=self.generation,
            reason=reason,
            detail=detail,
            code=code,
            will_retry=delay is not None,
            delay=delay,
            attempt=attempt,
            received_at_ns=self._clock.wall_ns(),
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

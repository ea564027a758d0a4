"""An open socket with the session that is spoken over it: reads, writes and the close frame."""

from __future__ import annotations

import logging
import selectors

from polymarket_ws.delivery.event_queue import Item
from polymarket_ws.errors import ConnectionLost
from polymarket_ws.logs import Log
from polymarket_ws.net.frames import Close, Pong
from polymarket_ws.net.open_socket import OpenSocket
from polymarket_ws.wire.redaction import redact

from .connector import Connector
from .session import NORMAL_CLOSURE, Outgoing, Session

logger = Log(__name__)


class OpenConnection:
    """One generation of a connection, or a probe's only one. Used by its shard's thread.

    Made when an attempt has succeeded. Its owner calls `receive` when the selector finds the socket
    readable, `write` after each wait, and `close` once `session.ended` says why, or earlier.

    Args:
        socket: The attempt's outcome; the selector watches it from here on.
        session: A new one, already opened: its outbox has the subscription.
        connector: The shard's.
        reader: Whose `read` the shard calls when the socket is readable.
    """

    def __init__(
        self, socket: OpenSocket, session: Session, connector: Connector, reader: object
    ) -> None:
        self.session = session
        self.local_port = socket.local_port
        self.blocked_since: float | None = None
        """Since when the socket takes nothing; None while all that was to be sent is sent."""
        self._socket = socket
        self._selector = connector.selector
        self._wall_ns = connector.clock.wall_ns
        self._send_timeout = connector.options.send_timeout
        self._reader = reader
        self._selector.register(socket, selectors.EVENT_READ, reader)

    @property
    def has_buffered(self) -> bool:
        """Whether `receive` has something that no selector would tell of."""
        return self._socket.has_buffered

    @property
    def deadline(self) -> float:
        """When the owner's turn is due, whatever comes before; 0 for at once."""
        session = self.session
        if session.outbox or session.ended is not None or self._socket.has_buffered:
            return 0.0
        if self.blocked_since is not None:
            return min(self.session.deadline, self.blocked_since + self._send_timeout)
        return self.session.deadline

    def receive(self, now: float) -> list[Item] | None:
        """Make one read; returns what it brought, None when there is nothing or it has ended."""
        if self.session.ended is not None:
            return None
        try:
            data = self._socket.receive()
        except ConnectionLost as error:
            self.session.ended = error
            return None
        return self.session.receive(data, now, self._wall_ns()) if data else None

    def write(self, now: float) -> None:
        """Send what the session has in its outbox, as far as the socket takes it."""
        try:
            self._send_all()
            self._select()
            self._watch_blocked(now)
        except ConnectionLost as error:
            self.session.ended = self.session.ended or error

    def close(self) -> None:
        """Send what is left, such as a close frame, without waiting; give the socket back."""
        try:
            self._selector.unregister(self._socket)
            self._send_all()
        except ConnectionLost:
            logger.debug("%s: the close frame could not be sent", self.session.name)
        finally:
            self._socket.close()

    def _send_all(self) -> None:
        outbox, self.session.outbox = self.session.outbox, []
        for outgoing in outbox:
            self._send(outgoing)
        self._socket.flush()

    def _send(self, outgoing: Outgoing) -> None:
        if isinstance(outgoing, str):
            if logger.is_enabled_for(logging.DEBUG):
                logger.debug("%s: > %s", self.session.name, redact(outgoing))
            self._socket.send(outgoing)
        elif isinstance(outgoing, Pong):
            self._socket.send_pong(outgoing.payload)
        elif isinstance(outgoing, Close):
            self._socket.send_close(outgoing.code or NORMAL_CLOSURE)

    def _select(self) -> None:
        """Wait until the socket is writable only while something waits to be written."""
        writing = selectors.EVENT_WRITE if self._socket.wants_write else 0
        events = selectors.EVENT_READ | writing
        if self._selector.get_key(self._socket).events != events:
            self._selector.modify(self._socket, events, self._reader)

    def _watch_blocked(self, now: float) -> None:
        if not self._socket.wants_write:
            self.blocked_since = None
        elif self.blocked_since is None:
            self.blocked_since = now
        elif now - self.blocked_since >= self._send_timeout:
            seconds = self._send_timeout
            raise ConnectionLost("send_timeout", f"the server read nothing for {seconds:g} s")

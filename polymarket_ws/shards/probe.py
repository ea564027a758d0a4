"""A short connection beside the live one, which asks for fresh snapshots of a few assets."""

from __future__ import annotations

import logging
import selectors
import ssl
import time
from collections.abc import Callable

from polymarket_ws.channels.dialect import Dialect
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.connection.session import NORMAL_CLOSURE
from polymarket_ws.errors import ConnectionLost, ConnectTimeout, PolymarketWsError, ProtocolError
from polymarket_ws.net.attempt import Attempt, OpenSocket
from polymarket_ws.net.attempt_thread import AttemptThread
from polymarket_ws.net.frames import Close, FrameParser, Violation
from polymarket_ws.options import Options
from polymarket_ws.wire.updates import Decoded, Snapshot

ANSWER_SECONDS = 3.0  # from the first answer to the last

logger = logging.getLogger(__name__)


class Probe:
    """Asks once, collects the answers, and is done. Owned by its shard's thread, like a connection.

    It ends when every asset has answered, when its time is over, or when its connection fails. It
    sends no PING: it lives shorter than a heartbeat interval of the server's patience.

    Args:
        asset_ids: What to ask for.
        why: "silent" or "mismatch", for the logs and whoever judges the answers.
    """

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        options: Options,
        ssl_context: Callable[[], ssl.SSLContext],
        wake: Callable[[], None],
        selector: selectors.BaseSelector,
        asset_ids: list[str],
        why: str,
        now: float,
    ) -> None:
        self.name = f"{name}-probe"
        self.why = why
        self.asset_ids = asset_ids
        self.answers: dict[str, Decoded] = {}
        self.error: PolymarketWsError | None = None
        self.is_done = False
        self._dialect = dialect
        self._options = options
        self._selector = selector
        self._parser = FrameParser(options.max_message_bytes)
        self._link: OpenSocket | None = None
        self._deadline = now + 2 * options.connect_timeout
        self.was_answered = False
        """Whether the server answered at all, with books or with none."""
        self._connecting = AttemptThread(
            self.name, Attempt(dialect.url, options, ssl_context), wake
        )
        self._connecting.start()
        self.thread = self._connecting.thread
        logger.info("%s: asking for %d snapshots (%s)", self.name, len(asset_ids), why)

    @property
    def deadline(self) -> float:
        """When `turn` is due, whatever comes before; 0 for at once."""
        if self._link is not None and self._link.has_buffered:
            return 0.0
        return self._deadline

    def read(self, now: float) -> None:
        """Take what has come."""
        if self._link is None:
            return
        try:
            data = self._link.receive()
        except ConnectionLost as error:
            self._end(error)
            return
        for message in self._parser.receive(data):
            if isinstance(message, str) and message.strip().startswith(("[", "{")):
                if not self.was_answered:  # the snapshots come in one array, or soon after it
                    self._deadline = min(self._deadline, now + ANSWER_SECONDS)
                self.was_answered = True
                self._take(message)
            elif isinstance(message, Close):
                self._end(ConnectionLost("closed", f"code {message.code}", code=message.code))
            elif isinstance(message, Violation):
                self._end(ProtocolError(message.code, message.detail))
        if self.answers.keys() >= set(self.asset_ids):
            self._end(None)

    def turn(self, now: float) -> None:
        """Send the question, or give up when the time is over."""
        outcome = self._connecting.take()
        try:
            if isinstance(outcome, OpenSocket):
                self._ask(outcome)
            elif outcome is not None:
                self._end(outcome)
            elif self._link is not None:
                self._write(self._link)
        except ConnectionLost as error:
            self._end(error)
        if not self.is_done and now >= self._deadline:
            is_connected = self._link is not None
            phase = "open" if is_connected else self._connecting.phase
            self._end(
                None if is_connected else ConnectTimeout(phase, self._options.connect_timeout)
            )

    def close(self) -> None:
        """End at once, whatever it waits for."""
        self._end(ConnectionLost("stopped", "the probe was given up"))

    def _ask(self, link: OpenSocket) -> None:
        self._link = link
        self._selector.register(link, selectors.EVENT_READ, self)
        for text in self._dialect.opening_texts(Wanted(frozenset(self.asset_ids))):
            link.send(text)
        self._write(link)

    def _write(self, link: OpenSocket) -> None:
        link.flush()
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.wants_write else 0)
        if self._selector.get_key(link).events != events:
            self._selector.modify(link, events, self)

    def _take(self, text: str) -> None:
        for decoded in self._dialect.decode(text, time.time_ns(), None):
            if isinstance(decoded, Decoded) and isinstance(decoded.update, Snapshot):
                self.answers.setdefault(decoded.update.asset_id, decoded)

    def _end(self, error: PolymarketWsError | None) -> None:
        if self.is_done:
            return
        self.is_done, self.error = True, error
        self._connecting.abandon()
        link, self._link = self._link, None
        if link is not None:
            self._selector.unregister(link)
            self._say_goodbye(link)
        if error is not None:
            logger.info("%s: %s", self.name, error)

    def _say_goodbye(self, link: OpenSocket) -> None:
        try:
            link.send_close(NORMAL_CLOSURE)
            link.flush()
        except ConnectionLost as error:
            logger.debug("%s: %s", self.name, error)
        link.close()

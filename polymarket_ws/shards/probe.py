"""A short connection beside the live one, which asks for fresh snapshots of a few assets."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from attrs import define, field

from polymarket_ws.channels.view import BooklessView
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.connection.connector import Connector
from polymarket_ws.connection.open_connection import OpenConnection
from polymarket_ws.connection.session import Session
from polymarket_ws.connection.tally import Tally
from polymarket_ws.errors import ConnectionLost, DecodeError, PolymarketWsError
from polymarket_ws.logs import Log
from polymarket_ws.net.open_socket import OpenSocket
from polymarket_ws.wire.updates import Decoded, Snapshot

ANSWER_SECONDS = 3.0  # from the first answer to the last
_NOBODY: Final[Collection[str]] = ()

logger = Log(__name__)


@define(eq=False, kw_only=True)
class SnapshotView(BooklessView):
    """Keeps the first snapshot of each asset, and tells nothing."""

    snapshots: dict[str, Decoded] = field(factory=dict)
    is_told: bool = False
    is_complete_once_open: bool = False

    def take(self, decoded: Decoded, now: float) -> None:
        if isinstance(decoded.update, Snapshot):
            self.snapshots.setdefault(decoded.update.asset_id, decoded)

    def take_flaw(self, error: DecodeError, now: float) -> None:
        """Nothing: an asset without an answer is asked about again."""


class Probe:
    """Asks once, collects the answers, and is done. Owned by its shard's thread, like a connection.

    It ends when every asset has answered, when its time is over, or when its connection fails.

    Args:
        name: The connection's beside which it is made.
        asset_ids: What to ask for.
        why: "silent" or "mismatch", for the logs and whoever judges the answers.
    """

    def __init__(
        self, name: str, connector: Connector, asset_ids: list[str], why: str, now: float
    ) -> None:
        self.name = f"{name}-probe"
        self.why = why
        self.asset_ids = asset_ids
        self.error: PolymarketWsError | None = None
        self.is_done = False
        self._connector = connector
        self._view = SnapshotView()
        self._tally = Tally()
        self._deadline = now + 2 * connector.options.connect_timeout
        self._open: OpenConnection | None = None
        self._attempt = connector.start(self.name, now)
        logger.info("%s: asking for %d snapshots (%s)", self.name, len(asset_ids), why)

    @property
    def answers(self) -> dict[str, Decoded]:
        """The first snapshot of each asset that has answered."""
        return self._view.snapshots

    @property
    def was_answered(self) -> bool:
        """Whether the server answered at all, with books or with none."""
        return self._tally.last_data_at is not None

    @property
    def deadline(self) -> float:
        """When `turn` is due, whatever comes before; 0 for at once."""
        if self.is_done:
            return 0.0
        step = self._attempt if self._open is None else self._open
        return min(self._deadline, step.deadline)

    def read(self, now: float) -> float:
        """Take what has come; returns `deadline`."""
        was_answered = self.was_answered
        if self._open is not None:
            self._open.receive(now)
        if self.was_answered and not was_answered:
            # The snapshots come in one array, or soon after it.
            self._deadline = min(self._deadline, now + ANSWER_SECONDS)
        if self.answers.keys() >= set(self.asset_ids):
            self._end(None)
        return self.deadline

    def turn(self, now: float) -> None:
        """Send the question, or give up when the time is over."""
        if self._open is not None and self._open.has_buffered:
            self.read(now)
        elif self._open is None and not self.is_done:
            self._turn_connecting(now)
        if self._open is not None:
            self._turn_open(self._open, now)
        if now >= self._deadline:
            self._end(None)

    def close(self) -> None:
        """End at once, whatever it waits for."""
        self._end(ConnectionLost("stopped", "the probe was given up"))

    def _turn_connecting(self, now: float) -> None:
        outcome = self._connector.take(self._attempt, now)
        if isinstance(outcome, OpenSocket):
            self._ask(outcome, now)
        elif outcome is not None:
            self._end(outcome)

    def _ask(self, socket: OpenSocket, now: float) -> None:
        dialect, options = self._connector.dialect, self._connector.options
        session = Session(self.name, dialect, self._view, options, self._tally, lambda: _NOBODY)
        session.open(Wanted(frozenset(self.asset_ids)), now)
        self._open = OpenConnection(socket, session, self._connector, self)

    def _turn_open(self, opened: OpenConnection, now: float) -> None:
        opened.session.tick(now)
        opened.write(now)
        if opened.session.ended is not None:
            self._end(opened.session.ended)

    def _end(self, error: PolymarketWsError | None) -> None:
        if self.is_done:
            return
        self.is_done, self.error = True, error
        self._attempt.abandon()
        opened, self._open = self._open, None
        if opened is not None:
            if opened.session.ended is None:
                opened.session.close()
            opened.close()
        if error is not None:
            logger.info("%s: %s", self.name, error)

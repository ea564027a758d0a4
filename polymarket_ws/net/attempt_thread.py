"""One attempt to connect in a one-shot thread of its own, so that it never delays an open
connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from polymarket_ws.errors import ConnectionLost, PolymarketWsError, forget_locals
from polymarket_ws.logs import Log

from .attempt import Attempt, OpenSocket

logger = Log(__name__)


class AttemptThread:
    """Runs an Attempt and hands over its socket or its error. Made by a connector, for one attempt.

    The thread `polymarket-ws-<connection>-connect` is a daemon: the resolver cannot be interrupted,
    and must not keep the process alive. It ends with the attempt; `abandon` ends that at once, but
    for DNS.

    Args:
        name: The connection's.
        wake: Called when there is an outcome.
        deadline: Monotonic time at which whoever waits gives it up.
    """

    def __init__(
        self, name: str, attempt: Attempt, wake: Callable[[], None], deadline: float
    ) -> None:
        self.name = name
        self.deadline = deadline
        self._attempt = attempt
        self._wake = wake
        self._outcome: OpenSocket | PolymarketWsError | None = None
        self._abandoned = False
        # Guards the two above: a socket goes to its owner or is closed, never neither.
        self._handover = threading.Lock()
        self.thread = threading.Thread(
            target=self._main, name=f"polymarket-ws-{name}-connect", daemon=True
        )

    def start(self) -> None:
        self.thread.start()

    @property
    def place(self) -> str:
        """Where it connects to, for an error's sentence."""
        return self._attempt.place

    @property
    def phase(self) -> str:
        """How far the attempt has come, for an error's sentence."""
        return self._attempt.phase

    def take(self) -> OpenSocket | PolymarketWsError | None:
        """The outcome, once; None while there is none."""
        with self._handover:
            outcome, self._outcome = self._outcome, None
        return outcome

    def abandon(self) -> None:
        """End the attempt; a late socket is closed. Any thread; never blocks."""
        with self._handover:
            self._abandoned = True
            outcome, self._outcome = self._outcome, None
        if isinstance(outcome, OpenSocket):
            outcome.close()
        self._attempt.abort()

    def _main(self) -> None:
        outcome: OpenSocket | PolymarketWsError
        try:
            outcome = self._attempt.open()
        except PolymarketWsError as error:
            outcome = error
        except BaseException as error:
            forget_locals(error)  # handlers of logs may show them, too
            logger.error(
                "%s: connecting failed unexpectedly; please report this", self.name, cause=error
            )
            outcome = ConnectionLost("network", f"unexpected {type(error).__name__}")
        if not isinstance(outcome, OpenSocket):
            forget_locals(outcome)
            if isinstance(outcome, ConnectionLost):
                outcome.add_place(self._attempt.place)
        with self._handover:
            late = self._abandoned
            if not late:
                self._outcome = outcome
        if late and isinstance(outcome, OpenSocket):
            outcome.close()
        self._wake()

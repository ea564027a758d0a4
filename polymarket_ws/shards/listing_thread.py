"""One listing of an account, in a one-shot thread of its own: requests wait for their answers."""

from __future__ import annotations

import threading

from polymarket_ws.account.listing import Listing, Question, Service, read_listing
from polymarket_ws.connection.connector import Connector
from polymarket_ws.errors import forget_locals
from polymarket_ws.logs import Log

logger = Log(__name__)


class ListingThread:
    """Asks one question and hands over its listing or its error. Made by a reconciler.

    The thread `polymarket-ws-<connection>-rest` is a daemon, and ends with the answer.

    Args:
        name: The connection's.
        connector: Its shard's, whose clock counts, and which is woken by the outcome.
    """

    def __init__(
        self, name: str, service: Service, question: Question, connector: Connector
    ) -> None:
        self.outcome: Listing | Exception | None = None
        """None while there is none."""
        self._service = service
        self._question = question
        self._connector = connector
        self.thread = threading.Thread(
            target=self._main, name=f"polymarket-ws-{name}-rest", daemon=True
        )

    def start(self) -> None:
        """Start it.

        Raises:
            RuntimeError: the system has no thread left.
        """
        self.thread.start()

    def _main(self) -> None:
        try:
            wall_ns = self._connector.clock.wall_ns
            self.outcome = read_listing(self._service, self._question, wall_ns)
        except Exception as error:
            forget_locals(error)  # they hold the key
            self.outcome = error
        except BaseException as error:  # a log handler's SystemExit, a greenlet that is killed
            forget_locals(error)
            self.outcome = RuntimeError(f"it was ended by {type(error).__name__}")
        self._connector.wake()

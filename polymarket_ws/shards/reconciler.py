"""Compares one's own orders and trades with REST after each connect of the user channel.

The plan, and what a listing changes, is account/reconciliation.py; this starts the threads that
ask, tells what came of it, and tries again. REST also knows what the channel does not say: whether
a key is wrong. The channel closes the connection for that as it does when it is restarted.

The danger is to take a server that restarts for one that refuses the key. So while REST can be
reached, its word alone counts: 401 or 403 twice in a row ends the run, anything else does not.
"""

from __future__ import annotations

import threading

from polymarket_ws.account.listing import Listing, Service
from polymarket_ws.account.reconciliation import Reconciliation
from polymarket_ws.connection.backoff import delay
from polymarket_ws.connection.connection import Connection
from polymarket_ws.connection.connector import Connector
from polymarket_ws.connection.owner import Owner
from polymarket_ws.delivery.event_queue import Item
from polymarket_ws.errors import AuthenticationError, PolymarketWsError, ReconciliationFailed
from polymarket_ws.logs import Log
from polymarket_ws.milestones import is_milestone
from polymarket_ws.rest.failures import KeyRefused, RequestFailed, UnexpectedAnswer

from .failover import Failover
from .listing_thread import ListingThread

logger = Log(__name__)

REFUSALS = 2  # of a key, in a row: one may be a fault of the service
LATER_REFUSALS = 5  # of one that it has known in this run, with a backoff
REFUSED_SECONDS = 1.0  # between them at the start
_FAILURES = (RequestFailed, UnexpectedAnswer, PolymarketWsError, RuntimeError)
# For some 90 s 425, then 503 for two minutes (docs.polymarket.com).
_RESTARTING = {
    425: "the matching engine restarts",
    503: "the matching engine may be restarting",
}


class Reconciler:
    """Used by its shard's thread, after each wait; one listing at a time.

    Args:
        owner: The shard: takes what a listing changed, and the error that ends the run.
    """

    def __init__(
        self,
        plan: Reconciliation,
        service: Service,
        failover: Failover,
        connector: Connector,
        owner: Owner[Connection],
    ) -> None:
        self.plan = plan
        self.failures = 0
        """Listings that failed in this run."""
        self.last_error: str | None = None
        """What the newest failed listing said; None since the last success."""
        self._failover = failover
        self._service = service
        self._connector = connector
        self._owner = owner
        self._asking: ListingThread | None = None
        self._threads: tuple[threading.Thread, ...] = ()  # the newest: it outlives its answer
        self._followed: tuple[frozenset[str] | None, ...] = ()  # what was subscribed last
        self._interruptions: int | None = None  # by then; None while the channel is not subscribed
        self._refused = 0
        self._generation_refused = 0
        self._in_a_row = 0
        self._connection.trust_credentials(True)

    @property
    def _connection(self) -> Connection:
        return self._failover.leader  # of an account there is never another one

    @property
    def deadline(self) -> float:
        """When `turn` is due, whatever comes before; 0 for at once."""
        if self._asking is not None and self._asking.outcome is not None:
            return 0.0
        return self.plan.deadline

    @property
    def is_complete(self) -> bool:
        """Whether nothing of the account may be missing. Any thread."""
        return self.plan.core.completeness.complete

    @property
    def threads(self) -> list[threading.Thread]:
        """Those that may be running."""
        return [thread for thread in self._threads if thread.is_alive()]

    def turn(self, now: float) -> None:
        """Do what is due: take an answer, watch the connection, ask."""
        asking = self._asking
        if asking is not None and asking.outcome is not None:
            self._asking = None
            self._take(asking.outcome, now)
        self._watch_connection(now)
        if self._asking is None and now >= self.plan.deadline:
            self._ask(now)

    def close(self) -> None:
        """Ask nothing any more."""
        self._service.stop()

    def _watch_connection(self, now: float) -> None:
        connection = self._connection
        completeness = self.plan.core.completeness
        if not connection.is_subscribed:
            if self._interruptions is not None:
                self._interruptions = None
                self.plan.lost(now)
        else:
            followed = (connection.wanted.ids,)
            if self._followed not in ((), followed):
                self.plan.wanted_changed()
            self._followed = followed
            if self._interruptions != completeness.interruptions:
                self._interruptions = completeness.interruptions
                self.plan.subscribed(now)
        if connection.was_refused and self._generation_refused != connection.generation:
            self._generation_refused = connection.generation
            self.plan.refused()

    def _ask(self, now: float) -> None:
        question = self.plan.question(now)
        name = self._connection.name
        asking = ListingThread(name, self._service, question, self._connector)
        try:
            asking.start()
            self._threads = (asking.thread,)
        except RuntimeError as error:  # the system has no thread left
            self._take(error, now)
            return
        logger.debug("%s: asking REST for orders and trades", name)
        self._asking = asking

    def _take(self, outcome: Listing | Exception, now: float) -> None:
        if isinstance(outcome, Listing):
            self._in_a_row = self._refused = 0
            lost = [str(flaw) for flaw in outcome.flaws if flaw.lost]
            self.last_error = f"a listed row was not understood: {lost[0]}" if lost else None
            self._connection.trust_credentials(True)
            completeness = self.plan.core.completeness
            was_complete = completeness.complete
            items: list[Item] = [*self.plan.take(outcome, now)]
            if completeness.complete and not was_complete:
                logger.info("%s: reconciled with REST", self._connection.name)
            if completeness.complete:  # also where the user has confirmed it meanwhile
                items += self._failover.gaps.end_all(now)
            self._owner.deliver(items)
        elif isinstance(outcome, KeyRefused):
            self._take_refusal(outcome, now)
        elif isinstance(outcome, PolymarketWsError) and not self.plan.completed:
            self._owner.fail(outcome)  # the certificate, the proxy, the secret: at the start
        elif isinstance(outcome, _FAILURES):
            self._take_failure(outcome, now)
        else:
            self.plan.failed(now, self._delay(outcome))
            raise outcome

    def _take_refusal(self, refusal: KeyRefused, now: float) -> None:
        self._refused += 1
        was_known = self.plan.completed > 0
        if self._refused < (LATER_REFUSALS if was_known else REFUSALS):
            seconds = self._delay(refusal) if was_known else REFUSED_SECONDS
            self.plan.failed(now, seconds, self._service.clock_offset)
            return
        self._owner.fail(
            AuthenticationError(
                f"REST refuses the API key {self._refused} times ({refusal.detail}): derive it "
                "with Polymarket's client for the address that signs (Credentials.address); keys "
                "made in the web page and builder keys are refused"
            )
        )

    def _take_failure(self, failure: Exception, now: float) -> None:
        self.failures += 1
        self._in_a_row += 1
        self._refused = 0
        status = getattr(failure, "status", None)
        # Without any HTTP status nobody knows about the key, and the channel's closes count again.
        self._connection.trust_credentials(status is not None)
        seconds = self._delay(failure)
        self.plan.failed(now, seconds, self._service.clock_offset)
        cause = _RESTARTING.get(status or 0, "")
        detail = f"{failure} ({cause})" if cause else str(failure)
        told = ReconciliationFailed(detail, attempt=self._in_a_row, delay=seconds)
        self.last_error = str(told)
        if is_milestone(self._in_a_row):
            logger.warning("%s: %s", self._connection.name, told)
            self._owner.deliver([told])

    def _delay(self, failure: Exception) -> float:
        retry_after = getattr(failure, "retry_after", None)
        random = self._connector.clock.random()
        return delay(
            self._in_a_row + self._refused - 1, self._connector.options, retry_after, random
        )

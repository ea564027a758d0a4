"""Sends events to one task, within a bounded time, and says which it could not send."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

from attrs import define, field
from kombu.exceptions import OperationalError

from polymarket_ws import Event, LiveBook, PolymarketWsError
from polymarket_ws.errors import ConfigurationError, forget_locals
from polymarket_ws.logs import Log

logger = Log(__name__)


class Task(Protocol):
    """What is used of a Celery task."""

    @property
    def name(self) -> str: ...
    @property
    def app(self) -> Any: ...
    def apply_async(self, args: tuple[object, ...], **options: Any) -> object: ...


class TaskNotSent(PolymarketWsError):
    """The broker did not take a task: its event is lost unless `on_error` keeps it.

    It is the `cause` of a `CallbackError`, which has the event. After a timeout the broker may have
    taken it nevertheless.

    Attributes:
        task: The task's name.
        detail: What the broker, or the way to it, answered.
    """

    def __init__(self, task: str, detail: str) -> None:
        super().__init__(f"task {task} was not sent: {detail}")
        self.task = task
        self.detail = detail


@define(eq=False, slots=False)
class TaskSender:
    """A callback that sends what it is called with to a task. Made by `to_task`; the subscriber's
    callback thread calls it, any thread may read its counts.

    It has a connection to the broker of its own, and never waits long for it: `timeout` for a
    connection, `timeout` for an answer, and after a failure nothing for `pause` seconds.
    """

    _task: Task
    _options: Mapping[str, object]
    _timeout: float
    _pause: float
    sent: int = field(default=0, init=False)
    """Events that the broker has taken."""
    lost: int = field(default=0, init=False)
    """Events that were not sent: each was told to on_error."""
    _broker: Any = field(default=None, init=False)
    _failure: str = field(default="", init=False)
    """Why the broker is left alone for now; "" while it takes tasks."""
    _failed_at: float = field(default=0.0, init=False)
    _down_since: float = field(default=0.0, init=False)
    _lost_before: int = field(default=0, init=False)
    """`lost` when the present failure began."""

    def __attrs_post_init__(self) -> None:
        if not (self._timeout > 0 and self._pause >= 0):
            raise ConfigurationError("timeout must be above 0, and pause 0 or more")
        self.__qualname__ = f"to_task({self._task.name})"  # what logs call this callback

    def __call__(self, event: Event | LiveBook) -> None:
        """Send it.

        Raises:
            TaskNotSent: the broker did not take it, or did not take another one just now.
        """
        if self._failure and time.monotonic() - self._failed_at < self._pause:
            self._lose(f"no attempt for {self._pause:g} s after a failure ({self._failure})")
        try:
            self._send(event)
        except (OperationalError, OSError, *self._open_broker().connection_errors) as error:
            forget_locals(error)  # they hold the broker's password, and its sockets
            self._note_failure(f"{type(error).__name__}: {error}")
            self._lose(self._failure, error)
        self.sent += 1
        self._recover()

    def _send(self, event: Event | LiveBook) -> None:
        self._task.apply_async(
            (to_json(event),),
            connection=self._open_broker(),
            **{"ignore_result": True, **self._options, "retry": False},
        )

    def close(self) -> None:
        """Close the connection; another event opens it again."""
        broker, self._broker = self._broker, None
        if broker is not None:
            broker.release()

    def _open_broker(self) -> Any:
        if self._broker is None:
            self._broker = self._task.app.connection_for_write(
                connect_timeout=self._timeout,
                transport_options={  # Redis', AMQP's, and kombu's own for all
                    "socket_connect_timeout": self._timeout,
                    "socket_timeout": self._timeout,
                    "retry_on_timeout": False,
                    "write_timeout": self._timeout,
                    "max_retries": 1,
                    "interval_start": 0,
                    "interval_step": 0,
                    "interval_max": 0,
                },
            )
        return self._broker

    def _note_failure(self, detail: str) -> None:
        self._failed_at = time.monotonic()
        if not self._failure:
            self._down_since, self._lost_before = self._failed_at, self.lost
        self._failure = detail

    def _lose(self, detail: str, cause: Exception | None = None) -> NoReturn:
        self.lost += 1
        raise TaskNotSent(self._task.name, detail) from cause

    def _recover(self) -> None:
        if not self._failure:
            return
        self._failure = ""
        logger.warning(
            "task %s is sent again after %.1f s: %d events were lost",
            self._task.name,
            time.monotonic() - self._down_since,
            self.lost - self._lost_before,
        )


def to_json(event: Event | LiveBook) -> dict[str, object]:
    """What a task receives: `to_dict()` of the event, with its type and time; prices are text."""
    if isinstance(event, LiveBook):
        return {"event_type": "book_update", **event.to_dict()}
    return {
        "event_type": event.event_type,
        **event.to_dict(),
        "received_at_ns": event.received_at_ns,
    }

"""Which process of a worker runs the subscriber, from when to when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from attrs import define, field
from celery import bootsteps, current_app, signals

from polymarket_ws import Subscriber
from polymarket_ws.errors import ConfigurationError

if TYPE_CHECKING:
    from celery import Celery

    from .sender import TaskSender

Scope = Literal["process", "node"]

_POOL = "celery.worker.components:Pool"
_PREFORK = "celery.concurrency.prefork"  # the pool whose tasks run in processes of their own

attachments: list[Attachment] = []


def attach(app: Celery, subscriber: Subscriber, *, scope: Scope = "process") -> None:
    """Run a subscriber in the workers of a Celery application, whatever their pool.

    Call it where the application is made. It starts nothing: a worker does, when its pool is ready,
    and stops the subscriber when the last task of a warm shutdown has ended. A program that imports
    the application to send tasks is not concerned.

    Args:
        app: The application.
        subscriber: What to start; of this process or, after a fork, of each child.
        scope: "process" is one in each process that runs tasks: with the prefork pool in every
            child, those that replace others (`--max-tasks-per-child`) too, with the threads,
            gevent, eventlet and solo pools in the one process that there is. Tasks read its books.
            "node" is one a worker, in its main process, whatever its pool and concurrency; what
            `to_task` needs. In children of the prefork pool its state is then IDLE or FORKED.

    Raises:
        ConfigurationError: another scope, or the subscriber is attached already.
    """
    if scope not in ("process", "node"):
        raise ConfigurationError(f'scope must be "process" or "node", not {scope!r}')
    if attachment_of(subscriber) is not None:
        raise ConfigurationError(f"{subscriber.name} is attached already")
    attachment = Attachment(app, subscriber, scope)
    attachments.append(attachment)
    app.steps["worker"].add(attachment.make_step())
    for signal, receiver in (
        (signals.worker_process_init, attachment.start_in_child),
        (signals.worker_process_shutdown, attachment.stop_in_child),
        (signals.worker_shutdown, attachment.stop),
    ):
        signal.connect(receiver, weak=False)


def attachment_of(subscriber: Subscriber) -> Attachment | None:
    return next((known for known in attachments if known.subscriber is subscriber), None)


@define(eq=False)
class Attachment:
    """One subscriber of one application. Made by `attach`, lives as long as the process; its
    members are called on the main thread of a worker or of a child.
    """

    app: Celery
    subscriber: Subscriber
    scope: Scope
    senders: list[TaskSender] = field(factory=list)
    """What its events are sent by: closed with it."""

    def make_step(self) -> type:
        """The part of a worker's start and end that is the main process's."""
        attachment = self

        class Step(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
            name = f"polymarket_ws.{attachment.subscriber.name}.{id(attachment)}"
            label = attachment.subscriber.name
            requires = (_POOL,)  # children are forked before there are threads

            def start(self, worker: Any) -> None:
                attachment.start_in_main(worker.pool_cls)

            def stop(self, worker: Any) -> None:
                """Nothing yet: at a warm shutdown the pool's last tasks still read books. The
                signal worker_shutdown comes after them.
                """

            def terminate(self, worker: Any) -> None:
                attachment.stop()

        return Step

    def start_in_main(self, pool: type) -> None:
        """In the worker's main process, once its pool has started."""
        if self.scope == "node" or not _has_children(pool):
            self.subscriber.start()

    def start_in_child(self, **_: object) -> None:
        """In a child of the prefork pool that begins; the solo pool calls it, too, in its only
        process.
        """
        if self.scope == "process" and current_app.main == self.app.main:
            self.subscriber.start()

    def stop_in_child(self, **_: object) -> None:
        """At the end of such a child. What the main process runs is left alone: the child has
        copies of its connections to the broker.
        """
        if self.scope == "process":
            self.subscriber.stop()

    def stop(self, **_: object) -> None:
        """At the end of the main process."""
        self.subscriber.stop()
        for sender in self.senders:
            sender.close()


def _has_children(pool: type) -> bool:
    return any(base.__module__ == _PREFORK for base in pool.__mro__)

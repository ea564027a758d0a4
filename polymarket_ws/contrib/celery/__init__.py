"""A subscriber in Celery workers, in each of their processes or once a worker, and its events as
tasks.

    app = Celery("tasks", broker="redis://")
    prices = Subscriber([YES, NO])
    attach(app, prices)                        # in each process that runs tasks

    @app.task
    def quote():
        return str(prices.books[YES].mid)

or, with `attach(app, prices, scope="node")`, once a worker:

    to_task("last_trade_price", store_trade)   # @app.task def store_trade(event): ...

Needs the extra: `pip install polymarket-ws[celery]`.
"""

from __future__ import annotations

try:
    import celery  # noqa: F401 - the check alone
except ModuleNotFoundError as error:
    raise ImportError(
        "polymarket_ws.contrib.celery needs Celery: install polymarket-ws[celery]"
    ) from error

from .attachment import attach
from .sender import TaskNotSent, TaskSender
from .sending import to_task

__all__ = ["TaskNotSent", "TaskSender", "attach", "to_task"]

"""The command `polymarket-ws stream`, run by a test."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import polymarket_ws
from polymarket_ws import Subscriber
from polymarket_ws.commands.command_line import main

PATIENCE = 20.0


class Streaming:
    """`polymarket-ws stream` in a thread of this process, so that a test may stop it."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.code: int | None = None
        self._arguments = ["stream", *arguments]
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Subscriber:
        self._thread.start()
        deadline = time.monotonic() + PATIENCE
        while not polymarket_ws.running():
            assert time.monotonic() < deadline
            self._thread.join(0.01)
        (subscriber,) = polymarket_ws.running()
        subscriber.wait_ready(PATIENCE)
        return subscriber

    def __exit__(self, *_: object) -> None:
        for subscriber in polymarket_ws.running():
            subscriber.stop()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        self.code = main(self._arguments)

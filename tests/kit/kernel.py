"""A Jupyter kernel in a process of its own, asked as a notebook asks it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from attrs import define, field
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

PATIENCE = 60.0


@define
class Ran:
    """One cell that was run: its outputs so far, as the notebook would show them."""

    id: str
    status: str = ""
    """"ok" or "error"; "" while it runs."""
    began: bool = False
    """Whether the kernel has begun it."""
    streams: str = ""
    """What was printed."""
    displays: dict[str, dict[str, Any]] = field(factory=dict)
    """The display data by their id, updated in place; that of no id by its number."""
    updates: int = 0
    """How often one of them was updated."""
    traceback: str = ""

    def take(self, message: Mapping[str, Any]) -> None:
        """Change as a notebook's outputs do."""
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "stream":
            self.streams += content["text"]
        elif kind in ("display_data", "execute_result", "update_display_data"):
            name = content.get("transient", {}).get("display_id") or str(len(self.displays))
            self.updates += kind == "update_display_data"
            self.displays[name] = content["data"]
        elif kind == "error":
            self.status, self.traceback = "error", "\n".join(content["traceback"])
        elif kind == "status" and content["execution_state"] == "busy":
            self.began = True
        elif kind == "status" and content["execution_state"] == "idle":
            self.status = self.status or "ok"

    @property
    def html(self) -> str:
        """The HTML of its only display."""
        [data] = self.displays.values()
        return str(data["text/html"])

    @property
    def text(self) -> str:
        """The text of its only display."""
        [data] = self.displays.values()
        return str(data["text/plain"])


class Kernel:
    """Runs cells, one after the other; a context manager.

    Args:
        environment: The kernel's.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._cells: dict[str, Ran] = {}
        self._unanswered: set[str] = set()
        self.widget_messages = 0
        """Messages to widgets in the browser."""

    def __enter__(self) -> Kernel:
        self._manager: KernelManager
        self._client: BlockingKernelClient
        self._manager, self._client = start_new_kernel(env=self._environment)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()

    def begin(self, source: str) -> Ran:
        """Run a cell without waiting for it; one that was begun before has ended."""
        while self._unanswered:  # as notebooks do: the kernel may lose what comes between
            reply = self._client.get_shell_msg(timeout=PATIENCE)
            self._unanswered.discard(reply["parent_header"].get("msg_id", ""))
        ran = Ran(self._client.execute(source))
        self._cells[ran.id] = ran
        self._unanswered.add(ran.id)
        return ran

    def run(self, source: str) -> Ran:
        """Run a cell to its end."""
        ran = self.begin(source)
        self.wait(lambda: bool(ran.status))
        return ran

    def printed(self, source: str) -> str:
        """What a cell prints."""
        ran = self.run(source)
        assert "ok" == ran.status, ran.traceback
        return ran.streams.strip()

    def wait(self, is_done: Callable[[], bool]) -> None:
        """Take messages until what is waited for has come."""
        deadline = time.monotonic() + PATIENCE
        while not is_done():
            message = self._client.get_iopub_msg(timeout=max(0.0, deadline - time.monotonic()))
            self.widget_messages += message["header"]["msg_type"] == "comm_msg"
            ran = self._cells.get(message["parent_header"].get("msg_id", ""))
            if ran is not None:
                ran.take(message)

    def interrupt(self) -> None:
        """As the notebook's stop button."""
        self._manager.interrupt_kernel()

    def restart(self) -> None:
        """As the notebook's restart button: the process is killed, another one begins."""
        self._manager.restart_kernel(now=True)
        self._unanswered.clear()
        self._client.wait_for_ready(timeout=PATIENCE)

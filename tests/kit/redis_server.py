"""A Redis of a test's own, on the loopback interface."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from .programs import launched, wait_until

REASON = "redis-server is not installed: apt-get install redis-server"


@contextmanager
def redis_server(folder: Path, port: int) -> Iterator[str]:
    """Serve, without a file; gives the URL. Skips the test where Redis is not installed."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip(REASON)
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with launched(folder / "redis.log", binary, *arguments, cwd=folder) as program:
        wait_until(lambda: _answers(port), "Redis does not answer", program)
        yield f"redis://127.0.0.1:{port}/0"
        program.end()


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"PING\r\n")
        return client.recv(5) == b"+PONG"
    return False

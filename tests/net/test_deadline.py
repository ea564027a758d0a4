"""socket_deadline: the deadline of an attempt, and its abort."""

from __future__ import annotations

import socket

import pytest
from kit.loopback import (
    PATIENCE,
)

from polymarket_ws.errors import (
    ConnectionLost,
)
from polymarket_ws.net.deadline import GuardedSocket, SocketDeadline


def test_a_link_is_not_handed_over_after_an_abort() -> None:
    """An abort between the last step and the hand-over closes the socket."""
    socket_deadline = SocketDeadline(PATIENCE)
    with socket.socket() as sock:
        socket_deadline.register(sock)
        socket_deadline.abort()
        with pytest.raises(ConnectionLost, match="stopped"):
            socket_deadline.release(sock)
        socket_deadline.close_all()
        assert -1 == sock.fileno()


def test_the_kernels_timeout_is_no_deadline() -> None:
    """ETIMEDOUT before the deadline passes on as it is."""
    socket_deadline = SocketDeadline(PATIENCE)
    with socket.socket() as sock:
        with pytest.raises(TimeoutError), socket_deadline.limit(sock):
            raise TimeoutError(110, "Connection timed out")
        guarded = GuardedSocket(sock, socket_deadline)
        assert 0 < guarded.gettimeout() <= PATIENCE
        guarded.close()
        guarded.close()

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
from polymarket_ws.net.deadline import GuardedSocket, SocketDeadline, shut_down


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


def test_a_socket_of_a_replaced_class_is_shut_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """gevent and eventlet replace socket.socket, also while a socket of before is open."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        monkeypatch.setattr(socket, "socket", type("socket", (), {}))

        shut_down(ours)

        assert b"" == theirs.recv(1)

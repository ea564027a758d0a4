"""dialing: TCP connections to a name."""

from __future__ import annotations

import os
import socket

import pytest
from kit.loopback import (
    PATIENCE,
    Server,
    attempt_to,
    silent_address,
    speak,
)

from polymarket_ws.net.deadline import SocketDeadline
from polymarket_ws.net.dial import dial, interleave


def test_localhost_on_ipv4_alone() -> None:
    """A name whose IPv6 address refuses is reached by IPv4."""
    with Server(speak()) as server:
        sock = dial(
            [
                (socket.AF_INET6, ("::1", server.port, 0, 0)),
                (socket.AF_INET, ("127.0.0.1", server.port)),
            ],
            SocketDeadline(PATIENCE),
        )
        assert ("127.0.0.1", server.port) == sock.getpeername()
        sock.close()
        attempt_to(server.port, host="localhost").open().close()


def test_addresses_take_turns() -> None:
    """The families take turns, beginning with the first."""
    four, six = socket.AF_INET, socket.AF_INET6

    assert [(six, 1), (four, 2), (six, 3), (six, 4)] == interleave(
        [(six, 1), (six, 3), (six, 4), (four, 2)]
    )


def test_a_silent_address_delays_but_does_not_block() -> None:
    """While one address is silent, the next is tried; the loser is closed."""
    with Server(speak()) as server, silent_address() as silent:
        addresses = [(socket.AF_INET, silent), (socket.AF_INET, ("127.0.0.1", server.port))]
        socket_deadline = SocketDeadline(PATIENCE)
        sock = dial(addresses, socket_deadline)

        assert server.port == sock.getpeername()[1]
        socket_deadline.close_all()
        assert -1 == sock.fileno()


def test_all_addresses_fail() -> None:
    """When no address can be reached, the last one's error is told."""
    unusable = (socket.AF_INET, ("255.255.255.255", 1))

    with pytest.raises(OSError, match=r"unreachable|denied|Invalid|Cannot assign"):
        dial([unusable], SocketDeadline(PATIENCE))
    with pytest.raises(OSError, match="no address"):
        dial([], SocketDeadline(PATIENCE))


def test_socket_options() -> None:
    """A link's socket has TCP_NODELAY and keepalive."""
    with Server(speak()) as server:
        link = attempt_to(server.port).open()
        with socket.socket(fileno=os.dup(link.fileno())) as sock:
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert 30_000 == sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert not os.get_inheritable(link.fileno())
        link.close()

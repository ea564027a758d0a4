"""TCP connections to a name: all of its addresses, raced (RFC 8305), and the socket options."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any

from attrs import define, field

from .deadline import SocketDeadline
from .descriptors import owned

HEAD_START = 0.25  # seconds that an address has before the next one is tried too (RFC 8305, 5)
BACKSTOP = 1.0  # seconds; where shutting a connecting socket down wakes no selector (not Linux)

_STARTED = (0, errno.EINPROGRESS, errno.EWOULDBLOCK)
# Found dead by the kernel, too, whatever the heartbeat does: names are missing on some systems.
_OPTIONS = (
    ("IPPROTO_TCP", "TCP_NODELAY", 1),
    ("SOL_SOCKET", "SO_KEEPALIVE", 1),
    ("IPPROTO_TCP", "TCP_KEEPIDLE", 30),
    ("IPPROTO_TCP", "TCP_KEEPINTVL", 10),
    ("IPPROTO_TCP", "TCP_KEEPCNT", 3),
    ("IPPROTO_TCP", "TCP_USER_TIMEOUT", 30_000),  # ms that sent bytes may stay unacknowledged
)

Address = tuple[socket.AddressFamily, Any]  # the family and its form of an address


def resolve(host: str, port: int, *, only_ipv4: bool = False) -> list[Address]:
    """Look a name up: its addresses, families taking turns. Blocks, and cannot be interrupted.

    Raises:
        OSError, UnicodeError: there is no such name, or it cannot be one.
    """
    family = socket.AF_INET if only_ipv4 else socket.AF_UNSPEC
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    return interleave([(entry[0], entry[4]) for entry in found])


def interleave(addresses: Sequence[Address]) -> list[Address]:
    """Let the families take turns, in the order in which they first come."""
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    turns = zip_longest(*families.values())
    return [address for address in chain.from_iterable(turns) if address is not None]


def dial(addresses: Sequence[Address], socket_deadline: SocketDeadline) -> socket.socket:
    """Connect to the first address that answers; the socket is registered with the socket_deadline.

    Raises:
        OSError: none can be reached; what the last one said.
        ConnectionLost: the socket_deadline ended it.
    """
    with owned(selectors.DefaultSelector()) as selector:
        sock = _Race(socket_deadline, selector, deque(addresses)).run()
    sock.setblocking(True)  # eventlet's TLS socket keeps the mode of the one that it wraps
    tune(sock)
    return sock


def tune(sock: socket.socket) -> None:
    """Set the options that a connection of ours has, as far as the system knows them."""
    for level, name, value in _OPTIONS:
        if hasattr(socket, name):
            sock.setsockopt(getattr(socket, level), getattr(socket, name), value)


@define(eq=False)
class _Race:
    """One `dial`: some attempts under way, the others waiting for their turn."""

    _socket_deadline: SocketDeadline
    _selector: selectors.BaseSelector
    _waiting: deque[Address]
    _next_start_at: float = field(init=False, default=0.0)
    _failure: OSError = field(
        init=False, factory=lambda: OSError(errno.EADDRNOTAVAIL, "the name has no address")
    )

    def run(self) -> socket.socket:
        while True:
            self._start_due()
            if not self._selector.get_map():
                raise self._failure
            for key, _ in self._selector.select(self._patience()):
                assert isinstance(key.fileobj, socket.socket)
                if self._settle(key.fileobj):
                    self._drop_losers()
                    return key.fileobj

    def _start_due(self) -> None:
        while self._waiting and (
            not self._selector.get_map() or time.monotonic() >= self._next_start_at
        ):
            self._next_start_at = time.monotonic() + HEAD_START
            try:
                self._start(*self._waiting.popleft())
            except OSError as error:
                self._fail(error)

    def _start(self, family: socket.AddressFamily, address: Any) -> None:
        sock = owned(socket.socket(family, socket.SOCK_STREAM))
        self._socket_deadline.register(sock)
        sock.setblocking(False)
        error_number = sock.connect_ex(address)
        if error_number not in _STARTED:
            self._socket_deadline.close(sock)
            raise _error(error_number)
        self._selector.register(sock, selectors.EVENT_WRITE)

    def _fail(self, error: OSError) -> None:
        self._failure = error
        self._next_start_at = time.monotonic()

    def _patience(self) -> float:
        seconds = min(self._socket_deadline.remaining(), BACKSTOP)
        if self._waiting:
            seconds = min(seconds, max(0.0, self._next_start_at - time.monotonic()))
        return seconds

    def _settle(self, sock: socket.socket) -> bool:
        self._socket_deadline.remaining()  # an abort, too, makes a socket ready
        error_number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._selector.unregister(sock)
        if error_number:
            self._socket_deadline.close(sock)
            self._fail(_error(error_number))
        return not error_number

    def _drop_losers(self) -> None:
        for key in tuple(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            self._selector.unregister(key.fileobj)
            self._socket_deadline.close(key.fileobj)


def _error(error_number: int) -> OSError:
    return OSError(error_number, os.strerror(error_number))

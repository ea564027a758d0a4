"""What can end an attempt to connect from outside: its total deadline, and abort()."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator

from polymarket_ws.errors import ConnectionLost, ConnectTimeout


class SocketDeadline:
    """The sockets of one attempt, and the two things that end whatever blocks on them.

    Made by an Attempt and used by the thread that connects; any other may only call `abort`. A
    socket is registered before anything blocks on it. Every blocking call is preceded by
    `remaining`, so that an abort that came earlier is not lost.
    """

    def __init__(self, timeout: float) -> None:
        self.phase = "dns"
        self.aborted = False
        self._timeout = timeout
        self._ends_at = time.monotonic() + timeout
        self._sockets: list[socket.socket] = []
        # Guards _sockets and keeps a descriptor from being closed, and used anew, while abort shuts
        # it down. Nothing blocks under it. Reentrant, for an abort within a signal handler.
        self._lock = threading.RLock()

    def start(self) -> None:
        """Let the deadline begin now."""
        self._ends_at = time.monotonic() + self._timeout

    def remaining(self) -> float:
        """Return the seconds left, more than 0.

        Raises:
            ConnectionLost: "stopped", the attempt was aborted.
            ConnectTimeout: the deadline passed.
        """
        if self.aborted:
            raise self.stopped()
        seconds = self._ends_at - time.monotonic()
        if seconds <= 0:
            raise self.timed_out()
        return seconds

    def stopped(self) -> ConnectionLost:
        """The error of an aborted attempt."""
        return ConnectionLost("stopped", f"while connecting (in phase {self.phase!r})")

    def timed_out(self) -> ConnectTimeout:
        """The error of an attempt that took too long."""
        return ConnectTimeout(self.phase, self._timeout)

    @contextlib.contextmanager
    def limit(self, sock: socket.socket) -> Iterator[None]:
        """Within this, one blocking call on the socket ends at the deadline."""
        sock.settimeout(self.remaining())
        try:
            yield
        except TimeoutError as error:
            if error.errno is None:  # else the kernel's ETIMEDOUT: the network failed
                raise self.timed_out() from error
            raise

    def register(self, sock: socket.socket) -> None:
        """Put a socket within reach of abort; one that wraps another's descriptor replaces it."""
        with self._lock:
            self._sockets = [known for known in self._sockets if known.fileno() >= 0] + [sock]
        self.remaining()

    def release(self, sock: socket.socket) -> None:
        """Hand a socket over to its next owner: abort does not reach it any more."""
        with self._lock:
            self.remaining()
            self._sockets.remove(sock)

    def close(self, sock: socket.socket) -> None:
        """Close one registered socket."""
        with self._lock:
            if sock in self._sockets:
                self._sockets.remove(sock)
            sock.close()

    def close_all(self) -> None:
        """Close what was neither closed nor released."""
        for sock in tuple(self._sockets):
            self.close(sock)

    def abort(self) -> None:
        """End the attempt now, from any thread; does not wait for that."""
        self.aborted = True
        with self._lock:
            for sock in self._sockets:
                shut_down(sock)


def shut_down(sock: socket.socket) -> None:
    """End both directions of a socket, which wakes whoever blocks on it.

    The base class's call: after SSLSocket.shutdown a concurrent read returns ciphertext as data.
    Which class that is depends on who has replaced the standard one (gevent, eventlet).
    """
    with contextlib.suppress(OSError):
        if isinstance(sock, ssl.SSLSocket):
            super(ssl.SSLSocket, sock).shutdown(socket.SHUT_RDWR)
        else:
            sock.shutdown(socket.SHUT_RDWR)


class GuardedSocket:
    """A socket whose every blocking call ends at the socket_deadline's deadline or abort.

    It has what websocket-client and python-socks call on a socket.
    """

    def __init__(self, sock: socket.socket, socket_deadline: SocketDeadline) -> None:
        self.socket = sock
        self.socket_deadline = socket_deadline

    def recv(self, size: int) -> bytes:
        """Wait for up to `size` bytes; b"" at the end."""
        with self.socket_deadline.limit(self.socket):
            return self.socket.recv(size)

    def send(self, data: bytes) -> int:
        """Send all of the data: a foreign caller may take a short count for granted."""
        self.sendall(data)
        return len(data)

    def sendall(self, data: bytes) -> None:
        """Send all of the data."""
        with self.socket_deadline.limit(self.socket):
            self.socket.sendall(data)

    def gettimeout(self) -> float:
        """The seconds left."""
        return self.socket_deadline.remaining()

    def close(self) -> None:
        """Close the socket; harmless when repeated."""
        self.socket_deadline.close(self.socket)

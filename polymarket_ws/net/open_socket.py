"""An open WebSocket's socket: bulk reads, masked frames out, never blocking."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct

from websocket import ABNF

from polymarket_ws.errors import ConnectionLost

from .deadline import shut_down

READ_BYTES = 64 * 1024  # some hundred frames: one hand-over, and a short time to stop


class OpenSocket:
    """A connection after its opening handshake, plain or TLS, non-blocking.

    Made by `Attempt.open`. Owned by exactly one thread, which waits for `fileno` in a selector, to
    read, and to write while `wants_write`; two threads corrupt one TLS socket. `close` ends it.

        while not opened.has_buffered:
            selector.select(timeout)
        data = opened.receive()

    Args:
        sock: Connected, its handshakes done.
        early: What was read of the stream already.
    """

    def __init__(self, sock: socket.socket, early: bytes = b"") -> None:
        sock.setblocking(False)
        self.local_port: int = sock.getsockname()[1]
        self._socket = sock
        self._tls = sock if isinstance(sock, ssl.SSLSocket) else None
        self._early = early
        # recv_into: recv(256 KiB) took 17 us for 450 bytes, recv_into 3 (measured 2026-11, Linux).
        self._space = memoryview(bytearray(READ_BYTES))
        self._unsent = bytearray()
        self._ending: ConnectionLost | None = None
        self._read_waits_for_write = False  # TLS only: a key update has to be answered
        self._write_waits_for_read = False

    def fileno(self) -> int:
        """The descriptor to select on; -1 after close."""
        return self._socket.fileno()

    @property
    def has_buffered(self) -> bool:
        """Whether `receive` has something that no selector would tell of."""
        if self._early or self._ending is not None:
            return True
        return self._tls is not None and self._tls.fileno() >= 0 and self._tls.pending() > 0

    @property
    def wants_write(self) -> bool:
        """Whether `flush` is to be called once the socket is writable."""
        return self._read_waits_for_write or bool(self._unsent and not self._write_waits_for_read)

    def receive(self) -> bytes:
        """Read what has come, at most 64 KiB; b"" is nothing now.

        Raises:
            ConnectionLost: "eof", "reset", "tls" or "network", once all data before is returned.
        """
        if self._early:
            data, self._early = self._early, b""
            return data
        received_bytes = 0 if self._ending else self._fill()
        if self._write_waits_for_read:
            self._write_waits_for_read = False
            self.flush()
        if not received_bytes and self._ending is not None:
            raise self._ending
        return bytes(self._space[:received_bytes])

    def _fill(self) -> int:
        """Read until nothing is left or the space is full; a TLS read gives one record at most."""
        received_bytes = 0
        self._read_waits_for_write = False
        try:
            while received_bytes < READ_BYTES:
                count = self._socket.recv_into(self._space[received_bytes:])
                received_bytes += count
                if not count:
                    self._ending = ConnectionLost("eof", "the server ended the connection")
                if not count or self._tls is None:
                    break
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except ssl.SSLWantWriteError:
            self._read_waits_for_write = True
        except OSError as error:
            self._ending = lost(error)
            self._ending.__cause__ = error
        return received_bytes

    def send(self, text: str) -> None:
        """Send a text message: what the socket does not take now waits for `flush`.

        Raises:
            ConnectionLost: as `flush`.
        """
        self._append(text.encode(), ABNF.OPCODE_TEXT)

    def send_close(self, code: int) -> None:
        """Send a close frame, after which nothing may be sent.

        Raises:
            ConnectionLost: as `flush`.
        """
        self._append(struct.pack(">H", code), ABNF.OPCODE_CLOSE)

    def send_pong(self, payload: bytes) -> None:
        """Answer a ping.

        Raises:
            ConnectionLost: as `flush`.
        """
        self._append(payload, ABNF.OPCODE_PONG)

    def _append(self, payload: bytes, opcode: int) -> None:
        self._unsent += ABNF.create_frame(payload, opcode).format()
        self.flush()

    def flush(self) -> None:
        """Write what the socket takes now.

        Raises:
            ConnectionLost: "eof", "reset", "tls" or "network"; the socket is of no use any more.
        """
        if self._read_waits_for_write:
            self._retry_read()
        try:
            while self._unsent:
                sent_bytes = self._socket.send(self._unsent)
                del self._unsent[:sent_bytes]
        except (BlockingIOError, ssl.SSLWantWriteError):
            pass
        except ssl.SSLWantReadError:
            self._write_waits_for_read = True
        except OSError as error:
            raise lost(error) from error

    def _retry_read(self) -> None:
        """Go on with a read that had to write first; its data waits for `receive`."""
        received_bytes = self._fill()
        self._early += bytes(self._space[:received_bytes])

    def close(self) -> None:
        """End the connection at once and give the descriptor back; harmless when repeated."""
        shut_down(self._socket)
        with contextlib.suppress(OSError):
            self._socket.close()


def lost(error: OSError) -> ConnectionLost:
    """What a socket's error means: "eof", "reset", "refused", "tls" or "network"."""
    detail = error.strerror or type(error).__name__
    if isinstance(error, ssl.SSLEOFError):
        return ConnectionLost("eof", "the server ended the connection within TLS")
    if isinstance(error, ssl.SSLError):
        return ConnectionLost("tls", getattr(error, "reason", None) or detail)
    if isinstance(error, ConnectionRefusedError):
        return ConnectionLost("refused", detail)
    if isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return ConnectionLost("reset", detail)
    return ConnectionLost("network", detail)

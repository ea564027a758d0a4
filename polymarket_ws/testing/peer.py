"""One accepted socket of a FakeServer: its TLS, its protocol and what waits to be sent."""

from __future__ import annotations

import contextlib
import http
import selectors
import socket
import ssl
import struct
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from attrs import define, evolve, field
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from .faults import ConnectFault
from .http_messages import UNTIL_RELEASED, Answer, HttpRequest, RequestReader
from .manners import CHANNELS
from .record import SECRET_HEADERS, ConnectionRecord

_CHUNK = 65536
_FLOOD_AHEAD = 4 * _CHUNK  # bytes that a flood keeps waiting for the socket
_LINGER_SECONDS = 1.0  # for the client to answer a close frame or an end of stream
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def _new_protocol() -> ServerProtocol:
    return ServerProtocol(max_size=2**24)


@define(eq=False)
class Peer:
    """The server's end of one connection. Only the server's thread touches it; never blocks."""

    sock: socket.socket
    record: ConnectionRecord
    before_close: Callable[[Peer], None]
    """Lets the selector forget the descriptor, whose number the next socket may get."""
    admit: Callable[[], ConnectFault | None]
    """Judges a handshake that no fault was asked for."""
    answer: Callable[[HttpRequest], Answer | None]
    """Answers a request that is no handshake; None: it is answered 404."""
    give_back: Callable[[ConnectFault], None]
    """Takes a rejection that was not carried out, as there was no handshake."""
    fault: ConnectFault | None = None
    wake_at: float | None = None
    """When it wants `flush` although its socket has nothing to say."""
    deaf: bool = False
    """Neither reads nor writes any more (half-open)."""
    _reader: RequestReader | None = field(factory=RequestReader)
    """None once it was a handshake."""
    _reply: Answer | None = None
    """Waits for its time, which is `wake_at`."""
    _protocol: ServerProtocol = field(factory=_new_protocol)
    _outbox: bytearray = field(factory=bytearray)
    _fragments: list[bytes] = field(factory=list)
    _shaking: bool = False
    _stalled: bool = False
    _flood: bytes | None = None
    _pace: float = 0.0
    _end_after_flush: bool = False
    _ended: bool = False

    @classmethod
    def accept(
        cls,
        sock: socket.socket,
        record: ConnectionRecord,
        before_close: Callable[[Peer], None],
        admit: Callable[[], ConnectFault | None],
        answer: Callable[[HttpRequest], Answer | None],
        give_back: Callable[[ConnectFault], None],
        fault: ConnectFault | None,
        tls: ssl.SSLContext | None,
    ) -> Peer:
        """Take over an accepted socket, with TLS unless it shall hang before that."""
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is None or (fault and fault.kind in ("refuse", "hang", "hang_tls")):
            return cls(sock, record, before_close, admit, answer, give_back, fault)
        wrapped = tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return cls(wrapped, record, before_close, admit, answer, give_back, fault, shaking=True)

    @property
    def is_open(self) -> bool:
        """Whether texts can be sent."""
        return self.record.open and not self._ended and self._protocol.state is State.OPEN

    @property
    def interest(self) -> int:
        """What the selector shall watch for."""
        if self.deaf or not self.record.open:
            return 0
        waiting = self._outbox and not self._pace and not self._ended
        wants_write = waiting or self._flood is not None or self._shaking
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if wants_write else 0)

    def receive(self) -> Iterator[str]:
        """Read what there is and yield each text; the opening handshake is answered on the way."""
        if not self._handshake():
            return
        while self.record.open and not self.deaf:
            try:
                data = self.sock.recv(_CHUNK)
            except _WOULD_BLOCK:
                return
            except OSError:
                self.close()
                return
            if not data:
                self.close()
                return
            yield from self._received(data)

    def send_text(self, text: str | bytes) -> bool:
        """Queue one text message, bytes as they are. Returns False if it can go nowhere."""
        if not self.is_open or self._stalled or self.deaf:
            return False
        self._protocol.send_text(text.encode() if isinstance(text, str) else text)
        self._collect()
        self.record.texts_sent += 1
        return True

    def send_bytes(self, data: bytes) -> None:
        """Queue raw bytes between two frames."""
        if self.is_open and not self._stalled:
            self._outbox += data

    def send_close(self, code: int, reason: str, now: float) -> None:
        """Begin the closing handshake; without an answer the socket is closed a second later."""
        if self.is_open:
            self._flood = None
            self._protocol.send_close(code, reason)
            self._collect()
            self.wake_at = now + _LINGER_SECONDS

    def send_half(self, text: str) -> None:
        """Queue the first half of a text's frame and never anything more."""
        if self.is_open and not self._stalled:
            self._protocol.send_text(text.encode())
            frame = b"".join(self._protocol.data_to_send())
            self._outbox += frame[: len(frame) // 2]
            self._stalled = True

    def flood(self, text: str | None) -> None:
        """Send a text again and again, as fast as the socket takes it; None ends that."""
        self._flood = None if text is None else text.encode()

    def end(self, now: float) -> None:
        """End the stream after what is queued, without a close frame (and without TLS's own)."""
        self._flood = None
        self._end_after_flush = True
        self.flush(now)

    def reset(self) -> None:
        """Drop the TCP connection with an RST."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close the socket."""
        if self.record.open:
            self.before_close(self)
        self.record.open = False
        self.wake_at = None
        self._flood = None
        self._outbox.clear()
        with contextlib.suppress(OSError):
            self.sock.close()

    def flush(self, now: float) -> None:
        """Give the socket what it takes now, then do what is due."""
        if not self.record.open or self.deaf or self._shaking:
            return
        self._give_reply(now)
        try:
            self._write(now)
        except _WOULD_BLOCK:
            return
        except OSError:
            self.close()
            return
        if self._end_after_flush and not self._outbox and not self._ended:
            self._end_stream(now)
        elif self.wake_at is not None and now >= self.wake_at:
            self.close()

    def release(self) -> None:
        """Send the answer that is held back, if there is one."""
        if self._reply is not None:
            self._reply = evolve(self._reply, seconds=0.0)
            self.wake_at = None

    def _give_reply(self, now: float) -> None:
        """Queue the answer to a request when it is due; with it the stream ends."""
        if self._reply is None:
            return
        if self.wake_at is None and 0 < self._reply.seconds < UNTIL_RELEASED:
            self.wake_at = now + self._reply.seconds
        due = self._reply.seconds == 0 or (self.wake_at is not None and now >= self.wake_at)
        if due:
            self._outbox += self._reply.to_bytes()
            self._reply, self.wake_at, self._end_after_flush = None, None, True

    def _handshake(self) -> bool:
        if not self._shaking:
            return True
        try:
            self.sock.do_handshake()  # type: ignore[attr-defined]  # an SSLSocket while _shaking
        except _WOULD_BLOCK:
            return False
        except OSError:
            self.close()
            return False
        self._shaking = False
        return True

    def _received(self, data: bytes) -> Iterator[str]:
        if self._ended or (self.fault and self.fault.kind in ("hang", "hang_tls")):
            return
        if self._reader is not None:
            data = self._begin(self._reader, data)
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._answer(event)
            elif isinstance(event, Frame):
                yield from self._frame(event)
        self._collect()

    def _begin(self, reader: RequestReader, data: bytes) -> bytes:
        """Answer the first request if it is no handshake; returns what is for the protocol."""
        request = reader.receive(data)
        if request is None or self._reply is not None or self._end_after_flush:
            return b""
        if request.method and request.path not in CHANNELS:
            self._answer_request(request)
            return b""
        self._reader = None
        return bytes(reader.data)

    def _answer_request(self, request: HttpRequest) -> None:
        self._see(request.path, request.headers)
        if self.fault and self.fault.kind == "reject":
            self.give_back(self.fault)
        self._reply = self.answer(request) or Answer(404, "not found\n", {})
        self._pace = self.fault.seconds_per_byte if self.fault else 0.0
        self.record.status = self._reply.status

    def _answer(self, request: Request) -> None:
        path = urlsplit(request.path).path
        self._see(path, {name.lower(): value for name, value in request.headers.raw_items()})
        fault = self.fault or self.admit()
        if fault and fault.kind == "reject":
            response = self._rejection(fault)
        elif path not in CHANNELS:
            response = self._rejection(ConnectFault("reject", 404))
        else:
            self.record.channel = CHANNELS[path]
            response = self._protocol.accept(request)
        self._pace = fault.seconds_per_byte if fault and fault.kind == "drip" else 0.0
        self.record.status = response.status_code
        self._protocol.send_response(response)
        self._collect()

    def _see(self, path: str, headers: Mapping[str, str]) -> None:
        self.record.path = path
        self.record.headers = {
            name: "***" if name in SECRET_HEADERS else value for name, value in headers.items()
        }

    def _rejection(self, fault: ConnectFault) -> Response:
        """Any answer but 101: that is all the same to the protocol."""
        response = self._protocol.reject(http.HTTPStatus(fault.status), "rejected\n")
        for name, value in fault.headers.items():
            if name in response.headers:
                del response.headers[name]
            response.headers[name] = value
        return response

    def _frame(self, frame: Frame) -> Iterator[str]:
        if frame.opcode is Opcode.CLOSE:
            self.record.close_code = (
                self._protocol.close_rcvd.code if self._protocol.close_rcvd else None
            )
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        self._fragments.append(bytes(frame.data))
        if frame.fin:
            text = b"".join(self._fragments).decode(errors="replace")
            self._fragments.clear()
            self.record.texts.append(text)
            yield text

    def _collect(self) -> None:
        for data in self._protocol.data_to_send():
            if self._stalled:
                continue
            self._outbox += data
            self._end_after_flush |= not data

    def _write(self, now: float) -> None:
        if self._pace:
            self._drip(now)
        while not self._pace and (self._outbox or self._flood is not None) and not self._ended:
            while self._flood is not None and len(self._outbox) < _FLOOD_AHEAD:
                if not self.send_text(self._flood):
                    self._flood = None
            del self._outbox[: self.sock.send(self._outbox[:_CHUNK])]

    def _drip(self, now: float) -> None:
        if self._outbox and (self.wake_at is None or now >= self.wake_at):
            del self._outbox[: self.sock.send(self._outbox[:1])]
            self.wake_at = now + self._pace
        if not self._outbox:
            self._pace, self.wake_at = 0.0, None

    def _end_stream(self, now: float) -> None:
        self._ended = True
        self.wake_at = now + _LINGER_SECONDS
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()

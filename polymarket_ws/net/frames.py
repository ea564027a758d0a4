"""The receive side of RFC 6455: bytes in, whole messages and control frames out, bounded.

Sans-I/O. Section numbers in the comments are those of RFC 6455.
"""

from __future__ import annotations

from attrs import define, field, frozen

PROTOCOL_BREACH = 1002
INVALID_TEXT = 1007
TOO_BIG = 1009

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_FIN, _RESERVED_BITS, _OPCODE, _CONTROL, _MASK = 0x80, 0x70, 0x0F, 0x08, 0x80
_WHOLE_TEXT = _FIN | _TEXT
_KNOWN_OPCODES = frozenset((_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG))
_MAX_CONTROL_BYTES = 125  # 5.5
_LENGTH_16 = 126  # two bytes of length follow; after 127 eight do
_LONG_FORM = "a frame's length is not in its shortest form, or has its top bit set"
# 7.4.1 and the IANA registry: what may stand in a close frame. 1004 to 1006 and 1015 may not.
_CLOSE_CODES = frozenset((*range(1000, 1004), *range(1007, 1015)))
_PRIVATE_CLOSE_CODES = range(3000, 5000)


@frozen
class Ping:
    """A ping, to be answered with a pong of the same payload (at most 125 bytes)."""

    payload: bytes


@frozen
class Pong:
    """The answer to a ping, or unasked."""

    payload: bytes


@frozen
class Close:
    """The peer closes; nothing comes after it. `code` is None where the frame had none."""

    code: int | None
    reason: str


@frozen
class Violation:
    """The peer broke the protocol: close with `code`; nothing comes after it."""

    code: int
    detail: str


Message = str | bytes | Ping | Pong | Close | Violation


class _Breach(Exception):
    """A violation on its way from where it is seen to `FrameParser.receive`."""


@define(eq=False)
class FrameParser:
    """One connection's parser. Not thread-safe: it belongs to the thread that reads the socket.

        parser = FrameParser(max_message_bytes=2**20)
        for message in parser.receive(data):
            ...

    Args:
        max_message_bytes: Longest message, all its fragments together. Announced lengths are
            judged, so a longer one costs no memory.
        max_fragments: Most frames of one message; empty ones would pass every bound on bytes.
    """

    max_message_bytes: int
    max_fragments: int = 65_536

    _chunks: list[bytes] = field(init=False, factory=list)  # received, not parsed
    _chunk_bytes: int = field(init=False, default=0)
    _needed_bytes: int = field(init=False, default=2)  # of the chunks, before a parse can get on
    _fragments: list[bytes] = field(init=False, factory=list)  # not empty: inside a message
    _fragment_bytes: int = field(init=False, default=0)
    _message_opcode: int = field(init=False, default=_TEXT)
    _ended: bool = field(init=False, default=False)

    def receive(self, data: bytes) -> list[Message]:
        """Take the next bytes of the stream, cut anywhere; return what became complete, in order.

        A `Close` or `Violation` is the last message ever; all later bytes are ignored.
        """
        messages: list[Message] = []
        if self._ended:
            return messages
        # A long frame comes in many chunks: they are joined once, when it is complete.
        self._chunks.append(data)
        self._chunk_bytes += len(data)
        if self._chunk_bytes < self._needed_bytes:
            return messages
        buffer = b"".join(self._chunks) if len(self._chunks) > 1 else data
        try:
            parsed_bytes = self._parse(buffer, messages)
        except _Breach as breach:
            messages.append(Violation(*breach.args))
            self._ended = True
        except UnicodeDecodeError as error:
            messages.append(Violation(INVALID_TEXT, f"a text message is not UTF-8: {error.reason}"))
            self._ended = True
        self._keep(b"" if self._ended else buffer[parsed_bytes:])
        return messages

    def _keep(self, tail: bytes) -> None:
        self._chunks = [tail] if tail else []
        self._chunk_bytes = len(tail)

    def _parse(self, buffer: bytes, messages: list[Message]) -> int:
        """Append the complete messages and return how many bytes they took. The hot loop."""
        position, end = 0, len(buffer)
        fragments, max_message_bytes = self._fragments, self.max_message_bytes
        while end - position >= 2:
            first, length = buffer[position], buffer[position + 1]
            start = position + 2
            if length == _LENGTH_16 and start + 2 <= end:  # most frames: 0.3 us saved by no call
                length = buffer[start] << 8 | buffer[start + 1]
                start += 2
                if length < _LENGTH_16:
                    raise _Breach(PROTOCOL_BREACH, _LONG_FORM)
            elif length >= _LENGTH_16:
                start += _extended_bytes(length)
                if start > end:
                    self._needed_bytes = start - position
                    return position
                length = _read_long_length(buffer, position + 2)
            stop = start + length
            if first == _WHOLE_TEXT and not fragments and length <= max_message_bytes:
                if stop > end:
                    self._needed_bytes = stop - position
                    return position
                messages.append(buffer[start:stop].decode())
            else:
                self._check(first, length)
                if stop > end:
                    self._needed_bytes = stop - position
                    return position
                self._take(first, buffer[start:stop], messages)
                if self._ended:
                    return end
            position = stop
        self._needed_bytes = 2
        return position

    def _check(self, first: int, length: int) -> None:
        """Judge a header before its payload is waited for."""
        opcode = first & _OPCODE
        if first & _RESERVED_BITS:
            raise _Breach(PROTOCOL_BREACH, "a reserved bit is set, but no extension was agreed on")
        if opcode not in _KNOWN_OPCODES:
            raise _Breach(PROTOCOL_BREACH, f"opcode {opcode:#x} is reserved")
        if not opcode & _CONTROL:
            self._check_data(opcode, length)
        elif not first & _FIN:
            raise _Breach(PROTOCOL_BREACH, "a control frame is fragmented")
        elif length > _MAX_CONTROL_BYTES:
            raise _Breach(PROTOCOL_BREACH, f"a control frame of {length} bytes is too long")

    def _check_data(self, opcode: int, length: int) -> None:
        if opcode == _CONTINUATION and not self._fragments:
            raise _Breach(PROTOCOL_BREACH, "a continuation frame continues nothing")
        if opcode != _CONTINUATION and self._fragments:
            raise _Breach(PROTOCOL_BREACH, "a new message begins inside a fragmented one")
        if self._fragment_bytes + length > self.max_message_bytes:
            total = self._fragment_bytes + length
            limit = self.max_message_bytes
            raise _Breach(TOO_BIG, f"a message of at least {total} bytes, limit {limit}")
        if len(self._fragments) >= self.max_fragments:
            limit = self.max_fragments
            raise _Breach(TOO_BIG, f"a message has more fragments than the limit of {limit}")

    def _take(self, first: int, payload: bytes, messages: list[Message]) -> None:
        opcode = first & _OPCODE
        if opcode == _PING:
            messages.append(Ping(payload))
        elif opcode == _PONG:
            messages.append(Pong(payload))
        elif opcode == _CLOSE:
            messages.append(_decode_close(payload))
            self._ended = True
        else:
            self._take_fragment(first, payload, messages)

    def _take_fragment(self, first: int, payload: bytes, messages: list[Message]) -> None:
        if not self._fragments:
            self._message_opcode = first & _OPCODE
        self._fragments.append(payload)
        self._fragment_bytes += len(payload)
        if first & _FIN:
            whole = b"".join(self._fragments)
            self._fragments.clear()
            self._fragment_bytes = 0
            messages.append(whole.decode() if self._message_opcode == _TEXT else whole)


def _extended_bytes(length: int) -> int:
    if length & _MASK:
        raise _Breach(PROTOCOL_BREACH, "a frame of the server is masked")  # 5.1
    return 2 if length == _LENGTH_16 else 8


def _read_long_length(buffer: bytes, start: int) -> int:
    length = int.from_bytes(buffer[start : start + 8], "big")
    if not 2**16 <= length < 2**63:  # 5.2: the minimal form, the top bit clear
        raise _Breach(PROTOCOL_BREACH, _LONG_FORM)
    return length


def _decode_close(payload: bytes) -> Close:
    if not payload:
        return Close(None, "")
    code = int.from_bytes(payload[:2], "big")
    if code not in _CLOSE_CODES and code not in _PRIVATE_CLOSE_CODES:  # one byte is below 1000
        raise _Breach(PROTOCOL_BREACH, "a close frame has no valid code")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError as error:
        raise _Breach(PROTOCOL_BREACH, "a close frame's reason is not UTF-8") from error

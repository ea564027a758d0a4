"""What other implementations of RFC 6455 make of a server's bytes."""

from __future__ import annotations

from typing import Any

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Close as WebsocketsClose
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State
from wsproto.frame_protocol import FrameProtocol, ParseFailed

from polymarket_ws.net.frames import Close, Message, Ping, Pong

CLOSE, PING = 8, 9


def ask_wsproto(stream: bytes) -> tuple[list[Message], int | None]:
    """Its messages, and the code with which it refused the rest."""
    oracle = FrameProtocol(client=True, extensions=[])
    messages: list[Message] = []
    parts: list[Any] = []
    oracle.receive_bytes(stream)
    try:
        for received in oracle.received_frames():
            if received.opcode.iscontrol():
                messages.append(_control_of_wsproto(received.opcode, received.payload))
            else:
                parts.append(received.payload)
                if received.message_finished:
                    messages.append(type(parts[0])().join(parts))
                    parts.clear()
    except ParseFailed as error:
        return messages, int(error.code)
    return messages, None


def _control_of_wsproto(opcode: int, payload: Any) -> Message:
    if opcode == CLOSE:
        code, reason = payload
        return Close(None if code == 1005 else int(code), reason)
    return Ping(bytes(payload)) if opcode == PING else Pong(bytes(payload))


def ask_websockets(stream: bytes, limit: int) -> tuple[list[Message], int | None]:
    """Its messages, and the code with which it refused the rest. It leaves texts to its user."""
    oracle = Protocol(Side.CLIENT, state=State.OPEN, max_size=limit)
    oracle.receive_data(stream)
    messages: list[Message] = []
    parts: list[Frame] = []
    for received in oracle.events_received():
        assert isinstance(received, Frame)
        if received.opcode in (Opcode.CLOSE, Opcode.PING, Opcode.PONG):
            messages.append(_control_of_websockets(received))
            continue
        parts.append(received)
        if received.fin:
            whole = b"".join(part.data for part in parts)
            is_text = parts[0].opcode is Opcode.TEXT
            parts.clear()
            try:
                messages.append(whole.decode() if is_text else whole)
            except UnicodeDecodeError:
                return messages, 1007
    error = oracle.parser_exc
    codes = {ProtocolError: 1002, PayloadTooBig: 1009, UnicodeDecodeError: 1007}
    return messages, None if error is None else codes.get(type(error), 0) or None


def _control_of_websockets(received: Frame) -> Message:
    data = bytes(received.data)
    if received.opcode is not Opcode.CLOSE:
        return Ping(data) if received.opcode is Opcode.PING else Pong(data)
    close = WebsocketsClose.parse(data)
    return Close(None if close.code == 1005 else int(close.code), close.reason)

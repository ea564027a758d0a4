"""The receive side against two other implementations, in the cases of Autobahn's test suite.

https://github.com/crossbario/autobahn-testsuite, families 1 to 7, as a server sends them. Valid
frames are made by websockets; its parser and wsproto's have to come to our verdict.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from kit.oracles import ask_websockets, ask_wsproto
from websockets.frames import Frame, Opcode

from polymarket_ws.net.frames import Close, FrameParser, Message, Violation

LIMIT = 2**20
EVERY_BYTE_UP_TO = 3_000  # a longer stream is cut in fewer places
TEXT, BINARY, CONTINUATION = Opcode.TEXT, Opcode.BINARY, Opcode.CONT
CLOSE, PING, PONG = Opcode.CLOSE, Opcode.PING, Opcode.PONG

Verdict = tuple[list[Message], int | None]


def made(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    """A frame by websockets."""
    return Frame(opcode, data, fin=fin).serialize(mask=False)


def raw(first: int, payload: bytes = b"") -> bytes:
    """A frame that websockets would not make."""
    length = bytes((len(payload),)) if len(payload) < 126 else struct.pack(">BH", 126, len(payload))
    return bytes((first,)) + length + payload


HELLO, BYE = made(TEXT, b"Hello"), made(CLOSE, b"\x03\xe8")
KOSME = "Hello-µ@ßöäüàá-UTF-8!!".encode()
VALID_TEXTS = ["κόσμε", "\0", "\u0080", "ࠀ", "\U00010000", "\ud7ff\ue000\ufffd", "\U0010ffff"]
BAD_TEXTS = [
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64",
    *(b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\xf7\xbf\xbf\xbf"),
    *(b"\xf4\x90\x80\x80", b"\x80", b"\xbf", b"\x80\xbf\x80", b"\xfe", b"\xff", b"\xc1\xbf"),
    *(b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf"),
    *(b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80"),
    *(b"\xce", b"\xe1\xbd"),
]


def framing() -> Iterator[tuple[str, bytes]]:
    """Families 1 and 2: data of each length form, pings and pongs."""
    for opcode in (TEXT, BINARY):
        for size in (0, 125, 126, 127, 128, 65_535, 65_536):
            yield f"1-{opcode.name}-{size}", made(opcode, b"*" * size)
    yield "2.1", made(PING)
    yield "2.2", made(PING, b"Hello, world!")
    yield "2.3", made(PING, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")
    yield "2.4", made(PING, b"\xfe" * 125)
    yield "2.5", raw(0x89, b"\xfe" * 126)
    yield "2.7", made(PONG)
    yield "2.8", made(PONG, b"unsolicited")
    yield "2.9", made(PONG, b"unsolicited") + made(PING, b"ping")
    yield "2.10", b"".join(made(PING, b"payload-%d" % number) for number in range(10))


def reserved() -> Iterator[tuple[str, bytes]]:
    """Families 3 and 4: reserved bits and opcodes, after a message and before one."""
    for bits in range(1, 8):
        for opcode in (TEXT, BINARY, PING, CLOSE):
            bad = raw(0x80 | bits << 4 | opcode, b"" if opcode is CLOSE else b"Hello")
            yield f"3-{bits}-{opcode.name}", HELLO + bad + made(PING)
    for number in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        for payload in (b"", b"reserved opcode payload"):
            yield f"4-{number}-{len(payload)}", HELLO + raw(0x80 | number, payload) + made(PING)


def fragments() -> Iterator[tuple[str, bytes]]:
    """Family 5."""
    one, two = made(TEXT, b"fragment1", fin=False), made(CONTINUATION, b"fragment2")
    more = made(CONTINUATION, b"fragment2", fin=False)
    yield "5.1", raw(0x09, b"fragment1") + two
    yield "5.2", raw(0x0A, b"fragment1") + two
    yield "5.3", one + two
    yield "5.6", one + made(PING, b"ping") + two
    yield "5.9", two + HELLO
    yield "5.12", more + HELLO
    yield "5.15", one + two + more + HELLO
    yield "5.16", more + HELLO + two
    yield "5.18", one + made(TEXT, b"fragment2")
    yield "5.18-binary", one + made(BINARY, b"fragment2")
    ping = made(PING, b"pongme")
    yield "5.19", one + more + ping + more + more + ping + two
    yield "5.20", made(BINARY, b"", fin=False) + made(CONTINUATION, b"", fin=False) + two


def texts() -> Iterator[tuple[str, bytes]]:
    """Family 6, whole, in fragments of one byte, and with a bad part in the second of three."""
    yield "6.1.1", made(TEXT)
    yield "6.1.2", made(TEXT, fin=False) + made(CONTINUATION, fin=False) + made(CONTINUATION)
    yield "6.1.3", made(TEXT, fin=False) + made(CONTINUATION, b"middle", fin=False) + raw(0x80)
    for number, text in enumerate([KOSME, *(text.encode() for text in VALID_TEXTS), *BAD_TEXTS]):
        yield f"6-{number}-whole", made(TEXT, text) + HELLO
        pieces = [made(CONTINUATION, bytes((byte,)), fin=False) for byte in text]
        yield f"6-{number}-bytes", made(TEXT, fin=False) + b"".join(pieces) + raw(0x80) + HELLO
        first, last = made(TEXT, KOSME, fin=False), made(CONTINUATION, KOSME)
        yield f"6-{number}-middle", first + made(CONTINUATION, text, fin=False) + last


def closes() -> Iterator[tuple[str, bytes]]:
    """Family 7."""
    yield "7.1.1", HELLO + BYE
    yield "7.1.2", BYE + BYE
    yield "7.1.3", BYE + made(PING)
    yield "7.1.4", BYE + HELLO
    yield "7.1.5", made(TEXT, b"fragment1", fin=False) + BYE + made(CONTINUATION, b"fragment2")
    yield "7.1.6", made(TEXT, b"*" * 200_000) + HELLO + BYE + made(PING)
    yield "7.3.1", made(CLOSE)
    yield "7.3.2", raw(0x88, b"\x03")
    yield "7.3.4", made(CLOSE, b"\x03\xe8Hello World!")
    yield "7.3.5", made(CLOSE, b"\x03\xe8" + b"*" * 123)
    yield "7.3.6", raw(0x88, b"\x03\xe8" + b"*" * 124)
    yield "7.5.1", made(CLOSE, b"\x03\xe8" + BAD_TEXTS[0])
    valid = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    for code in (*valid, 0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535):
        yield f"7.7-{code}", raw(0x88, struct.pack(">H", code))
        yield f"7.9-{code}-reason", raw(0x88, struct.pack(">H", code) + b"a reason")


LIMITS = [
    ("length", made(BINARY, bytes(LIMIT)) + b"\x82\x7f" + struct.pack(">Q", LIMIT + 1), 1009),
    ("fragments", made(BINARY, bytes(LIMIT), fin=False) + made(CONTINUATION, b"x"), 1009),
    ("top bit", b"\x82\x7f" + struct.pack(">Q", 2**63) + bytes(100), 1002),
    ("masked", b"\x81\x82mask??" + bytes(100), 1002),
]
# Cases in which another parser differs, and what it says.
DIFFERENCES = {
    # RFC 6455, 5.4: control frames may stand in a fragmented message. Autobahn wants a clean close.
    ("7.1.5", "websockets"): ([], 1002),
    # A reason that is no UTF-8: the RFC names no code for it. It is no message, so 1002 here.
    ("7.5.1", "websockets"): ([], 1007),
    ("7.5.1", "wsproto"): ([], 1007),
}
CASES = dict([*framing(), *reserved(), *fragments(), *texts(), *closes()])


def judge(stream: bytes, size: int) -> Verdict:
    """Our verdict on a stream that comes in chunks of this size."""
    parser = FrameParser(LIMIT)
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
    messages = [message for chunk in chunks for message in parser.receive(chunk)]
    if messages and isinstance(violation := messages[-1], Violation):
        return messages[:-1], violation.code
    return messages, None


def without_the_rest(verdict: Verdict) -> Verdict:
    """Up to a close: only we do not read what comes after it."""
    messages, code = verdict
    for number, message in enumerate(messages):
        if isinstance(message, Close):
            return messages[: number + 1], None
    return messages, code


@pytest.mark.parametrize("name", CASES)
def test_three_parsers_come_to_one_verdict(name: str) -> None:
    """The messages and the code of a case are those of both others, however it is cut."""
    stream = CASES[name]
    sizes = {len(stream), 997, 1 if len(stream) <= EVERY_BYTE_UP_TO else 997}
    ours, *others = [judge(stream, size) for size in sizes]
    assert [ours] * len(others) == others
    theirs = {"websockets": ask_websockets(stream, LIMIT), "wsproto": ask_wsproto(stream)}

    for other, verdict in theirs.items():
        expected = DIFFERENCES.get((name, other), without_the_rest(ours))
        assert expected == without_the_rest(verdict), other


@pytest.mark.parametrize(("name", "stream", "code"), LIMITS)
def test_limits(name: str, stream: bytes, code: int) -> None:
    """What is over a limit or badly framed is refused, by websockets too; wsproto has no limits."""
    messages, refused = ask_websockets(stream, LIMIT)

    assert (messages, code) == judge(stream, len(stream))
    assert refused in (1002, 1009)


@pytest.mark.parametrize("bad", BAD_TEXTS)
def test_a_bad_text_is_refused_at_its_end(bad: bytes) -> None:
    """What is no UTF-8 is refused once its message is complete (Autobahn's 6.4: "non-strict"), and
    nothing of it is given out.
    """
    begin = made(TEXT, KOSME, fin=False) + made(CONTINUATION, bad, fin=False)
    parser = FrameParser(LIMIT)

    assert [] == parser.receive(begin)
    (violation,) = parser.receive(made(CONTINUATION, b"end"))
    assert isinstance(violation, Violation)
    assert 1007 == violation.code

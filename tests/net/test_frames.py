"""frames: the receive side of RFC 6455."""

from __future__ import annotations

import struct
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.oracles import ask_wsproto

from polymarket_ws.net.frames import Close, FrameParser, Message, Ping, Pong, Violation

LIMIT = 100_000
TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0) -> bytes:
    """A server's frame, in the shortest form of its length."""
    first = fin << 7 | reserved << 4 | opcode
    if len(payload) < 126:
        return bytes((first, len(payload))) + payload
    if len(payload) < 2**16:
        return struct.pack(">BBH", first, 126, len(payload)) + payload
    return struct.pack(">BBQ", first, 127, len(payload)) + payload


def parse(data: bytes, *, limit: int = LIMIT, max_fragments: int = 100) -> list[Message]:
    """What a fresh parser makes of data in one piece."""
    return FrameParser(limit, max_fragments).receive(data)


def parse_chunks(data: bytes, cuts: list[int]) -> list[Message]:
    """What a fresh parser makes of data cut at these places."""
    parser = FrameParser(LIMIT, 100)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    chunks = [data[a:b] for a, b in pairwise(edges)]
    return [message for chunk in chunks for message in parser.receive(chunk)]


def code_of(messages: list[Message]) -> int:
    """The code of the violation at the end."""
    assert isinstance(messages[-1], Violation)
    return messages[-1].code


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_every_length_form(size: int) -> None:
    """A text of any length form is one str."""
    assert ["x" * size] == parse(frame(TEXT, b"x" * size))


@pytest.mark.parametrize("size", [126, 65_536])
def test_a_header_cut_anywhere(size: int) -> None:
    """A header that is cut within its length waits for the rest."""
    data = frame(TEXT, b"x" * size)
    parser = FrameParser(LIMIT)

    for cut in range(10):
        assert [] == parser.receive(data[cut : cut + 1])
    assert ["x" * size] == parser.receive(data[10:])


def test_many_frames_in_one_chunk() -> None:
    """All complete messages of one chunk come at once and in order."""
    data = frame(TEXT, b"a") + frame(PING, b"p") + frame(BINARY, b"\xff") + frame(PONG) + b"\x81"

    assert ["a", Ping(b"p"), b"\xff", Pong(b"")] == parse(data)


def test_fragments_with_a_ping_between() -> None:
    """A fragmented text is one message, even cut inside a character; a ping between comes first."""
    euro = "€".encode()
    data = (
        frame(TEXT, euro[:1], fin=False)
        + frame(PING)
        + frame(CONTINUATION, euro[1:2], fin=False)
        + frame(CONTINUATION, euro[2:])
        + frame(TEXT, b"next")
    )

    assert [Ping(b""), "€", "next"] == parse(data)


def test_fragmented_binary() -> None:
    """A fragmented binary message stays bytes, and empty fragments count as begun."""
    data = frame(BINARY, b"", fin=False) + frame(CONTINUATION, b"\xff")

    assert [b"\xff"] == parse(data)


@pytest.mark.parametrize(
    ("payload", "close"),
    [
        (b"", Close(None, "")),
        (struct.pack(">H", 1000), Close(1000, "")),
        (struct.pack(">H", 1013) + "später".encode(), Close(1013, "später")),
        (struct.pack(">H", 4999), Close(4999, "")),
    ],
)
def test_close(payload: bytes, close: Close) -> None:
    """A close frame ends the stream: nothing after it is parsed, now or later."""
    parser = FrameParser(LIMIT)

    assert ["a", close] == parser.receive(frame(TEXT, b"a") + frame(CLOSE, payload) + b"\xff\xff")
    assert [] == parser.receive(frame(TEXT, b"late"))


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"\x81\x81mask?", "masked"),
        (b"\x81\xfe\x00\x80", "masked"),
        (frame(TEXT, reserved=4), "reserved bit"),
        (frame(PING, reserved=1), "reserved bit"),
        (frame(3), "opcode 0x3"),
        (frame(11), "opcode 0xb"),
        (frame(PING, fin=False), "control frame is fragmented"),
        (frame(PING, b"x" * 126), "126 bytes is too long"),
        (frame(CONTINUATION), "continues nothing"),
        (frame(TEXT, fin=False) + frame(TEXT), "new message begins"),
        (frame(TEXT, fin=False) + frame(BINARY), "new message begins"),
        (b"\x81\x7e\x00\x7d", "shortest form"),
        (b"\x81\x7f" + struct.pack(">Q", 65_535), "shortest form"),
        (b"\x81\x7f" + struct.pack(">Q", 2**63), "top bit"),
        (frame(CLOSE, b"\x03"), "no valid code"),
        (frame(CLOSE, struct.pack(">H", 1005)), "no valid code"),
        (frame(CLOSE, struct.pack(">H", 2999)), "no valid code"),
        (frame(CLOSE, struct.pack(">H", 1000) + b"\xff"), "reason is not UTF-8"),
    ],
)
def test_breaches(data: bytes, detail: str) -> None:
    """A breach is told with code 1002 after the messages before it, and ends the stream."""
    parser = FrameParser(LIMIT)

    before, violation = parser.receive(frame(TEXT, b"before") + data)

    assert "before" == before
    assert isinstance(violation, Violation)
    assert 1002 == violation.code
    assert detail in violation.detail
    assert [] == parser.receive(frame(TEXT, b"after"))


@pytest.mark.parametrize("bad", [b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xe2\x82"])
def test_bad_utf8(bad: bytes) -> None:
    """A text that is not strictly UTF-8 is a violation with code 1007, whole or in fragments."""
    assert 1007 == code_of(parse(frame(TEXT, bad)))
    assert 1007 == code_of(parse(frame(TEXT, bad, fin=False) + frame(CONTINUATION)))


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_announced_length(opcode: int) -> None:
    """A length over the limit is refused by its header alone, up to which the limit is exact."""
    header = frame(opcode, b"x" * (LIMIT + 1))[:10]

    assert 1009 == code_of(parse(header))
    assert [] == parse(frame(opcode, b"x" * LIMIT)[:10])


def test_total_of_the_fragments() -> None:
    """The fragments of a message count together, and no longer after it."""
    half = b"x" * (LIMIT // 2)
    message = frame(TEXT, half, fin=False) + frame(CONTINUATION, half)

    assert [2 * half.decode()] * 2 == parse(message * 2)
    assert 1009 == code_of(parse(frame(TEXT, half, fin=False) + frame(0, half + b"x")[:4]))


def test_number_of_fragments() -> None:
    """Empty fragments are bounded too."""
    data = frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 2

    assert [] == parse(data, max_fragments=3)
    assert [""] == parse(data + frame(CONTINUATION), max_fragments=4)
    assert 1009 == code_of(parse(data + frame(CONTINUATION), max_fragments=3))


def test_a_refused_length_takes_no_memory() -> None:
    """A frame that announces 1 TiB is refused before memory is taken."""
    tracemalloc.start()
    try:
        assert 1009 == code_of(parse(b"\x82\x7f" + struct.pack(">Q", 2**40)))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak_bytes < 100_000


def test_a_long_message_is_not_copied_per_chunk() -> None:
    """While a long frame is incomplete, its chunks are kept as they came."""
    parser = FrameParser(2**26)
    data = frame(BINARY, bytes(2**20))
    chunks = [data[i : i + 1024] for i in range(0, len(data), 1024)]

    assert [] == [message for chunk in chunks[:-1] for message in parser.receive(chunk)]
    assert all(kept is chunk for kept, chunk in zip(parser._chunks[1:], chunks[1:], strict=False))
    assert [bytes(2**20)] == parser.receive(chunks[-1])


payloads = st.binary(max_size=200) | st.text(max_size=60).map(str.encode)
close_payloads = st.builds(
    lambda code, reason: struct.pack(">H", code) + reason.encode(),
    st.integers(1000, 1015) | st.integers(2990, 5010),
    st.text(max_size=20),
)


@st.composite
def messages_on_the_wire(draw: st.DrawFn) -> bytes:
    """A valid message, perhaps in two fragments with a ping between, or a control frame."""
    kind = draw(st.sampled_from(["whole", "fragments", "control"]))
    if kind == "control":
        return frame(draw(st.sampled_from([PING, PONG])), draw(st.binary(max_size=125)))
    text = draw(st.booleans())
    payload = draw(st.text(max_size=200)).encode() if text else draw(st.binary(max_size=200))
    opcode = TEXT if text else BINARY
    if kind == "whole":
        return frame(opcode, payload)
    cut = draw(st.integers(0, len(payload)))
    ping = frame(PING, b"between") if draw(st.booleans()) else b""
    return frame(opcode, payload[:cut], fin=False) + ping + frame(CONTINUATION, payload[cut:])


any_frames = st.builds(
    frame,
    st.integers(0, 15),
    payloads | close_payloads,
    fin=st.booleans(),
    reserved=st.sampled_from([0, 0, 0, 0, 1]),
)
valid_streams = st.lists(messages_on_the_wire(), max_size=8).map(b"".join)
closes = st.just(b"") | close_payloads.map(lambda payload: frame(CLOSE, payload))
wild_streams = st.lists(messages_on_the_wire() | any_frames, max_size=8).map(b"".join)


@st.composite
def mutated_streams(draw: st.DrawFn) -> bytes:
    """A valid stream of which up to three bytes were changed."""
    stream = bytearray(draw(valid_streams) + draw(closes))
    for _ in range(draw(st.integers(0, 3)) if stream else 0):
        stream[draw(st.integers(0, len(stream) - 1))] = draw(st.integers(0, 255))
    return bytes(stream)


streams = valid_streams | wild_streams | mutated_streams()


@given(streams, st.lists(st.integers(0, 2**20), max_size=30))
def test_any_chunking_gives_the_same(stream: bytes, cuts: list[int]) -> None:
    """However a stream is cut, the same messages come out, up to the same violation."""
    assert parse(stream) == parse_chunks(stream, cuts)


@given(st.lists(messages_on_the_wire(), max_size=4).map(b"".join))
def test_byte_by_byte(stream: bytes) -> None:
    """A stream that comes byte by byte gives the same as in one piece."""
    assert parse(stream) == parse_chunks(stream, list(range(len(stream))))


# Completes whatever frame a stream was cut in, so that no verdict is left open.
FILLER = frame(BINARY, bytes(40_000)) * 3


@given(valid_streams)
def test_the_oracle_agrees_on_valid_streams(stream: bytes) -> None:
    """Of a valid stream wsproto and this parser make the same messages."""
    messages, refused = ask_wsproto(stream)

    assert (messages, None) == (parse(stream), refused)


@given(streams)
def test_the_oracle_agrees_on_any_stream(stream: bytes) -> None:
    """wsproto and this parser refuse the same streams, after the same messages, but for four cases.

    wsproto knows no limits (1009). It judges the text of a fragmented message before its end, so
    that a control frame behind the bad fragment is still seen here and not there. It gives 1007 to
    a close reason that is not UTF-8 (here 1002: it is no message). It may refuse close codes that
    were registered after RFC 6455.
    """
    ours = parse(stream + FILLER)
    theirs, refused = ask_wsproto(stream + FILLER)
    violation = ours.pop() if ours and isinstance(ours[-1], Violation) else None

    if violation is None:
        assert refused is None or isinstance(ours.pop(), Close)
        assert theirs == ours
    elif violation.code == 1009:
        assert theirs[: len(ours)] == ours or refused == 1007
    else:
        assert refused is not None
        assert theirs == ours[: len(theirs)]
        assert all(refused == 1007 and isinstance(m, Ping | Pong) for m in ours[len(theirs) :])
        assert violation.code == refused or "reason" in violation.detail or refused == 1007

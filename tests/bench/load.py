"""The load: one WebSocket connection, fed from bytes made before. A process of its own.

    python -m bench.load WORKLOAD blast COUNT [tls]       # as fast as the client reads
    python -m bench.load WORKLOAD paced RATE SECONDS      # so many messages a second

It prints its port, serves one client, and ends. PING is answered throughout. In a paced run the
transaction_hash of each print is the monotonic time, in ns, at which it was handed to the socket.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import select
import socket
import ssl
import sys
import time

from polymarket_ws.testing.certificate import loopback_contexts

from .workload import Workload, load

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SLICE_SECONDS = 0.001  # between two bursts of a paced run
CHUNK = 1 << 20


def frame(text: str) -> bytes:
    """A server's text frame."""
    data = text.encode()
    if len(data) < 126:
        return bytes([0x81, len(data)]) + data
    if len(data) < 65_536:
        return b"\x81\x7e" + len(data).to_bytes(2, "big") + data
    return b"\x81\x7f" + len(data).to_bytes(8, "big") + data


class Peer:
    """The one client, after its handshake and its subscription."""

    def __init__(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = tls.wrap_socket(sock, server_side=True) if tls else sock
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.sock.recv(65_536)
        head, rest = head.split(b"\r\n\r\n", 1)
        lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
        key = next(v.strip() for k, _, v in lines if k.strip().lower() == b"sec-websocket-key")
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        self.sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self.pings: list[float] = []
        self._buffer = rest
        while not self._texts():
            self._buffer += self.sock.recv(65_536)

    def _texts(self) -> list[bytes]:
        """The client's whole frames, unmasked; they are few and short."""
        texts = []
        while len(self._buffer) >= 2:
            length, start = self._buffer[1] & 127, 2
            if length >= 126:
                size = 2 if length == 126 else 8
                length, start = int.from_bytes(self._buffer[2 : 2 + size], "big"), 2 + size
            if len(self._buffer) < start + 4 + length:
                break
            mask = self._buffer[start : start + 4]
            data = self._buffer[start + 4 : start + 4 + length]
            self._buffer = self._buffer[start + 4 + length :]
            texts.append(bytes(b ^ mask[i % 4] for i, b in enumerate(data)))
        return texts

    def answer_pings(self) -> bool:
        """Answer what PING has come; False when the client is gone."""
        while select.select([self.sock], [], [], 0)[0]:
            data = self.sock.recv(65_536)
            if not data:
                return False
            self._buffer += data
            for text in self._texts():
                if text == b"PING":
                    self.pings.append(time.monotonic())
                    self.sock.sendall(frame("PONG"))
        return True


def blast(peer: Peer, work: Workload, count: int) -> None:
    """Send the snapshot and so many messages."""
    peer.sock.sendall(frame(work.snapshot))
    frames = [frame(text) for text in work.texts]
    one_round = b"".join(frames)
    for _ in range(count // len(frames)):
        for at in range(0, len(one_round), CHUNK):
            peer.sock.sendall(one_round[at : at + CHUNK])
            peer.answer_pings()
    peer.sock.sendall(b"".join(frames[: count % len(frames)]))


def paced(peer: Peer, work: Workload, rate: int, seconds: int) -> None:
    """Send at a rate; a burst that is late is not made up for by a larger one than 50 ms' worth."""
    peer.sock.sendall(frame(work.snapshot))
    stamp = json.dumps("@@@@@@@@@@@@@@@@")
    frames = []
    for text in work.texts:
        event = json.loads(text)
        if event["event_type"] == "last_trade_price":
            text = json.dumps({**event, "transaction_hash": "@@@@@@@@@@@@@@@@"})
        frames.append((stamp in text, frame(text)))
    select.select([], [], [], 1.0)  # until the books are live
    began, sent, late = time.monotonic(), 0, 0.0
    with contextlib.suppress(ConnectionError):  # the client has seen enough
        while (now := time.monotonic()) - began < seconds and peer.answer_pings():
            due = min(int((now - began) * rate), sent + rate // 20)
            late = max(late, now - began - sent / rate)
            if due > sent:
                mark = b"%016d" % time.monotonic_ns()
                parts = [frames[i % len(frames)] for i in range(sent, due)]
                blob = b"".join([f.replace(b"@" * 16, mark) if s else f for s, f in parts])
                peer.sock.sendall(blob)
                sent = due
            select.select([peer.sock], [], [], SLICE_SECONDS)
    gaps = [b - a for a, b in zip(peer.pings, peer.pings[1:], strict=False)]
    report = {
        "sent": sent,
        "late": late,
        "pings": len(peer.pings),
        "ping_gap": max(gaps, default=0),
    }
    print(json.dumps(report), flush=True)


def main(arguments: list[str]) -> None:
    """Serve one client."""
    path, mode, *numbers = arguments
    tls = loopback_contexts()[0] if numbers[-1] == "tls" else None
    work = load(path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        peer = Peer(listener, tls)
        with contextlib.suppress(ConnectionError):  # the client has seen enough
            if mode == "blast":
                blast(peer, work, int(numbers[0]))
            else:
                paced(peer, work, int(numbers[0]), int(numbers[1]))
        with contextlib.suppress(ConnectionError):
            while peer.answer_pings():  # until the client leaves
                select.select([peer.sock], [], [], 0.2)


if __name__ == "__main__":
    main(sys.argv[1:])

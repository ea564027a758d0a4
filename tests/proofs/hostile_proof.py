"""What a hostile or broken server can cost: bytes sent, CPU, memory, what is kept. A command:
`make hostile`.

Each row is a process of its own that follows one asset. The server sends the row's messages on the
first connection, and then, there and on later ones, a plain book: by it the stream goes on.
Arguments: `--write` (to docs/reliability.md), names of rows; none is all of them.
"""

from __future__ import annotations

import gc
import json
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from kit.loopback import Server, answer, long_frame, read_frame, read_head, text_frame
from kit.measured import write_part

from polymarket_ws import Credentials, Options, Subscriber

KEYS = Credentials("key-1", "VE9QU0VDUkVU", "PASSPHRASE9")
SECONDS = 120.0  # after which a row counts as hanging
PRIME = 2**61 - 1  # CPython's hashes of numbers are modulo this
MARKET = "0x" + "a" * 64
MIB = 2**20
AT = 1_790_000_000_000  # the plain book's time, in ms


def text(payload: str) -> bytes:
    """One text message."""
    if len(payload) < 65_536 and payload.isascii():
        return text_frame(payload)
    return b"\x81" + long_frame(payload.encode())[1:]


def book(asset_id: str, bids: list[tuple[str, str]], at: int = 1_780_000_000_000) -> str:
    """A book whose hash is made up."""
    levels = [{"price": price, "size": size} for price, size in bids]
    return json.dumps(
        {
            "event_type": "book",
            "asset_id": asset_id,
            "market": MARKET,
            "bids": levels,
            "asks": [],
            "timestamp": str(at),
            "hash": "ab" * 20,
        }
    )


def changes(entries: list[tuple[str, str]]) -> str:
    """A price_change of these assets and prices."""
    return json.dumps(
        {
            "event_type": "price_change",
            "market": MARKET,
            "timestamp": "1780000000001",
            "price_changes": [
                {"asset_id": asset, "price": price, "size": "1", "side": "BUY", "hash": "ab" * 20}
                for asset, price in entries
            ],
        }
    )


def colliding(count: int) -> list[str]:
    """Prices from 0 to 1 whose hashes are equal."""
    start = 7 * 10**24 % PRIME
    return [f"0.{start + number * PRIME:024d}" for number in range(count)]


def grid(count: int, digits: int = 7) -> list[str]:
    """Different prices."""
    return [f"0.{number:0{digits}d}" for number in range(1, count + 1)]


def order(number: int) -> str:
    """An open order of one's own, without a status."""
    return json.dumps(
        {
            "event_type": "order",
            "id": f"0x{number:064x}",
            "type": "PLACEMENT",
            "market": MARKET,
            "asset_id": "1",
            "side": "BUY",
            "price": "0.5",
            "original_size": "1",
            "timestamp": "1780000000001",
        }
    )


def _tiny() -> Iterator[bytes]:
    yield text("[" + "1," * 1_500_000 + "1]")


def _colliding_book() -> Iterator[bytes]:
    yield text(book("1", [(price, "1") for price in colliding(20_000)]))


def _colliding_changes() -> Iterator[bytes]:
    yield text(book("1", [("0.5", "1")]))
    for price in colliding(20_000):
        yield text(changes([("1", price)]))


def _foreign_books() -> Iterator[bytes]:
    levels = [(price, "1") for price in grid(200)]
    for number in range(5_000):
        yield text(book(f"9{number:076d}", levels))


def _many_prices() -> Iterator[bytes]:
    prices = grid(200_000)
    for start in range(0, 200_000, 1_000):
        yield text(changes([("2", price) for price in prices[start : start + 1_000]]))


def _long_words() -> Iterator[bytes]:
    for number in range(60):
        yield text(json.dumps({"event_type": f"{number}" + "x" * MIB, "market": MARKET}))
        yield text(changes([(f"{number}" + "7" * MIB, "0.5")]))


def _million_levels() -> Iterator[bytes]:
    yield text(book("1", [(price, "1") for price in grid(1_000_000)]))


def _large_books() -> Iterator[bytes]:
    levels = [(price, "1") for price in grid(20_000)]
    for number in range(128):
        yield text(book(f"{number + 1}", levels))


def _many_assets() -> Iterator[bytes]:
    yield text(changes([(f"{number:077d}", "0.5") for number in range(260_000)]))


def _long_number() -> Iterator[bytes]:
    yield text('{"event_type":"book","asset_id":"1","timestamp":' + "9" * 60 * MIB + "}")
    yield text(book("1", [("0." + "1" * 30 * MIB, "1")]))


def _exponents() -> Iterator[bytes]:
    for price in ("1e99", "1e999999999", "1e-999999999", "NaN", "Infinity", "-0.5", "7"):
        yield text(book("1", [(price, "1")]))
        yield text(book("1", [("0.5", price)]).replace(f'"{price}"', price))


def _duplicate_keys() -> Iterator[bytes]:
    yield text("{" + '"event_type":"book",' * 1_000_000 + '"asset_id":"1"}')


def _deep() -> Iterator[bytes]:
    yield text("[" * 1_000_000)
    yield text('{"event_type":' * 200_000)


def _pings() -> Iterator[bytes]:
    for _ in range(200):
        yield b"\x89\x00" * 10_000


def _open_orders() -> Iterator[bytes]:
    for number in range(15_000):
        yield text(order(number))


def _control_characters() -> Iterator[bytes]:
    dirty = "a\x1b[31mb\n\x00\x07\u202ec"
    yield text(json.dumps({"event_type": dirty, "market": dirty}))
    yield text(book("1", [("0.5", dirty)]))
    yield text("NOTICE " + dirty)
    yield text('{"event_type": "book" ' + dirty)
    reason = dirty.encode()
    yield bytes((0x88, 2 + len(reason))) + b"\x03\xe8" + reason


ROWS: dict[str, tuple[str, Callable[[], Iterator[bytes]], int]] = {
    "tiny-elements": ("1 500 001 numbers in one array", _tiny, 1),
    "colliding-book": ("a book of 20 000 prices of equal hash", _colliding_book, 1),
    "colliding-changes": ("20 000 changes of prices of equal hash", _colliding_changes, 1),
    "foreign-books": ("5 000 books of assets that nobody subscribed", _foreign_books, 1),
    "many-prices": ("200 000 different prices of a foreign asset", _many_prices, 1),
    "long-words": ("60 event types and asset ids of 1 MiB", _long_words, 1),
    "million-levels": ("a book of 1 000 000 levels", _million_levels, 1),
    "large-books": ("128 books of 20 000 levels", _large_books, 128),
    "many-assets": ("260 000 assets in one price_change", _many_assets, 1),
    "long-number": ("numbers of 60 and 30 MiB", _long_number, 1),
    "exponents": ("1e99, 1e999999999, NaN and the like as price and size", _exponents, 1),
    "duplicate-keys": ("an object with one key 1 000 000 times", _duplicate_keys, 1),
    "deep": ("arrays and objects nested 1 000 000 deep", _deep, 1),
    "pings": ("2 000 000 empty pings", _pings, 1),
    "open-orders": ("15 000 open orders of one's own without a status", _open_orders, 0),
    "control": ("control characters in texts, notices and a close reason", _control_characters, 1),
}


class Peer:
    """The server of one row."""

    def __init__(self, messages: Callable[[], Iterator[bytes]]) -> None:
        self.sent_bytes = 0
        self.connections = 0
        self._messages = messages

    def serve(self, connection: socket.socket) -> None:
        """Take a subscription, send the row's messages if it is the first, then plain books."""
        connection.sendall(answer(read_head(connection)))
        read_frame(connection)
        self.connections += 1
        if self.connections == 1:
            for message in self._messages():
                self.sent_bytes += len(message)
                self._send(connection, message)
        plain = text(book("1", [("0.4", "10")], AT))
        while True:  # until the client has seen it and closes
            self._send(connection, plain)
            select.select([connection], [], [], 0.05)

    def _send(self, connection: socket.socket, data: bytes) -> None:
        """Send, and throw away what comes meanwhile: a client that answers must not block."""
        left = memoryview(data)
        connection.setblocking(False)
        while left:
            readable, writable, _ = select.select([connection], [connection], [], SECONDS)
            if readable and not connection.recv(65536):
                raise OSError("the client closed")
            if writable:
                left = left[connection.send(left) :]


def follow(port: int, assets: int) -> dict[str, Any]:
    """The client of one row: follow until the plain book is there, then stop."""
    url = f"ws://127.0.0.1:{port}/ws/"
    options = Options(
        market_url=f"{url}market", user_url=f"{url}user", trust_env=False, backoff_cap=0.1
    )
    ids = [str(number + 1) for number in range(assets)]
    sub = Subscriber(ids, credentials=None if assets else KEYS, options=options)
    told: Counter[str] = Counter()
    raw: list[str] = []

    @sub.on_error
    def tell(error: Exception) -> None:
        told[type(error).__name__] += 1
        raw.append(str(error))

    @sub.on_disconnect
    def tell_loss(event: Any) -> None:
        told[event.reason] += 1
        raw.append(event.detail)

    sub.on_gap(lambda gap: told.update([f"Gap {gap.reason}"]))
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, begun_at, cpu = _memory("VmRSS"), time.monotonic(), time.process_time()
    sub.start()
    goes_on = False
    while not goes_on and time.monotonic() - begun_at < SECONDS:
        sub.wait(timeout=0.02)
        book_of_1 = sub.books.get("1")
        goes_on = (
            len(sub.orders) >= 10_000
            if book_of_1 is None
            else book_of_1.valid and book_of_1.top.timestamp_ms == AT
        )
    seen_at = time.monotonic()
    cpu = time.process_time() - cpu
    peak = _memory("VmHWM")
    stopped = sub.stop(timeout=10)
    stop_seconds = time.monotonic() - seen_at
    errors = sub.stats().decode_errors
    del sub, book_of_1
    gc.collect()
    return {
        "seconds": seen_at - begun_at,
        "cpu": cpu,
        "peak_mib": (peak - before) / MIB,
        "kept_mib": (_memory("VmRSS") - before) / MIB,
        "stop_seconds": stop_seconds if stopped else float("inf"),
        "goes_on": goes_on,
        "told": {**told, "decode_errors": errors},
        "is_printable": all(line.isprintable() for line in raw),
    }


def _memory(kind: str) -> int:
    """Bytes of this process: "VmRSS" now, "VmHWM" at the most."""
    status = Path("/proc/self/status").read_text()
    return (
        int(next(line.split()[1] for line in status.splitlines() if line.startswith(kind))) * 1024
    )


def measure(name: str) -> dict[str, Any]:
    """One row, with the client in a process of its own."""
    _, messages, assets = ROWS[name]
    peer = Peer(messages)
    with Server(peer.serve) as server:
        done = subprocess.run(
            [sys.executable, __file__, "--follow", str(server.port), str(assets)],
            capture_output=True,
            text=True,
            timeout=SECONDS + 60,
            check=False,
        )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
    return {"sent_mib": peer.sent_bytes / MIB, **result, "stderr": done.stderr}


def main(names: list[str]) -> int:
    """Measure and print the table; returns 1 when a stream did not go on."""
    writes = "--write" in names
    lines = [
        "| sent | MiB | CPU s | peak MiB | kept after stop MiB | stop() s | told | goes on |",
        "|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    is_good = True
    for name in [name for name in names if name != "--write"] or ROWS:
        line, goes_on = _line(name, measure(name))
        print(line, flush=True)
        lines.append(line)
        is_good = is_good and goes_on
    if writes:
        write_part("hostile", lines)
    return 0 if is_good else 1


def _line(name: str, row: dict[str, Any]) -> tuple[str, bool]:
    """A row of the table, and whether the stream went on without a raw control character."""
    begin = f"| {ROWS[name][0]} | {row['sent_mib']:.1f} "
    if "cpu" not in row:
        return f"{begin}| died: {row['stderr'][-200:]!r} |", False
    told = ", ".join(f"{count}x {what}" for what, count in row["told"].items() if count)
    is_clean = row["is_printable"] and _is_clean(row["stderr"])
    raw = "" if is_clean else ", RAW CONTROL CHARACTERS"
    line = (
        f"{begin}| {row['cpu']:.2f} | {row['peak_mib']:.0f} | {row['kept_mib']:.0f} "
        f"| {row['stop_seconds']:.2f} | {told}{raw} | {'yes' if row['goes_on'] else 'NO'} |"
    )
    return line, row["goes_on"] and is_clean


def _is_clean(log: str) -> bool:
    return all(line.isprintable() for line in log.split("\n"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--follow"]:
        print(json.dumps(follow(int(sys.argv[2]), int(sys.argv[3]))))
        sys.exit(0)
    sys.exit(main(sys.argv[1:]))

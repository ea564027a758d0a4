"""Measurements inside one process: `python -m bench.micro WHAT [WORKLOAD] [...]` prints JSON."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from .load import frame
from .workload import Workload, captured, load, simulated

KINDS = ("price_change", "book", "last_trade_price")


def _workload(path: str) -> Workload:
    return captured() if path == "captured" else load(path)


def _texts(path: str, kind: str) -> list[str]:
    return [t for t in _workload(path).texts if json.loads(t)["event_type"] == kind]


def _each(
    texts: list[str],
    read: Callable[[str], object],
    begin: Callable[[], object] = lambda: None,
    seconds: float = 1.0,
) -> dict[str, Any]:
    """Microseconds for each text; `begin` comes before each pass, and is not counted."""
    times: list[float] = []
    while len(times) < 2 or sum(times) < seconds:  # the first is to warm up
        begin()
        began = time.perf_counter()
        for text in texts:
            read(text)
        times.append(time.perf_counter() - began)
    return {"us": sum(times[1:]) / len(times[1:]) / len(texts) * 1e6}


def decode_ours(path: str, kind: str) -> dict[str, Any]:
    """Our decoder, every event made; in each pass it meets the levels of the books anew."""
    return _decode(path, _texts(path, kind))


def _decode(path: str, texts: list[str]) -> dict[str, Any]:
    from polymarket_ws.wire import fast_path
    from polymarket_ws.wire.decode import decode_market

    snapshot = _workload(path).snapshot

    def decode(text: str) -> object:
        return fast_path.decode_fast(text, 0, None) or decode_market(text, 0)

    def begin() -> None:
        fast_path._levels._known.clear()
        decode(snapshot)

    return _each(texts, decode, begin)


def decode_plain(path: str, kind: str) -> dict[str, Any]:
    """Our decoder without the extra [fast]."""
    from polymarket_ws.wire import fast_path

    fast_path.parse_fast = None
    return decode_ours(path, kind)


def decode_slow(path: str, kind: str) -> dict[str, Any]:
    """Our decoder, when the server has added a field to each message."""
    return _decode(path, ['{"later":"1", ' + text[1:] for text in _texts(path, kind)])


def decode_official(path: str, kind: str) -> dict[str, Any]:
    """polymarket-client's, as its stream does it."""
    from polymarket._internal.streams.clob.market_protocol import parse_events

    return _each(_texts(path, kind), lambda text: parse_events(json.loads(text)))


def _resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _book_texts(count: int) -> list[str]:
    """So many books of 40 levels on each side, each with sizes of its own."""
    return [
        json.dumps(
            {
                "event_type": "book",
                "market": f"0x{number // 2:064x}",
                "asset_id": str(10**76 + number),
                "timestamp": "1790491136945",
                "hash": f"{number:040x}",
                "bids": [_level(number, n, n) for n in range(1, 41)],
                "asks": [_level(number, n, 100 - n) for n in range(1, 41)],
                "tick_size": "0.01",
                "last_trade_price": "0.500",
            }
        )
        for number in range(count)
    ]


def _level(book: int, level: int, cents: int) -> dict[str, str]:
    size = 100 + book * 7919 % 89989 + level * 31
    return {"price": f"0.{cents:02d}".rstrip("0"), "size": f"{size}.{(book + level) % 97:02d}"}


def memory_ours(*_: str) -> dict[str, Any]:
    """10 000 live books of ours, hashes checked once."""
    from polymarket_ws.books.shelf import BookCore, Books
    from polymarket_ws.wire.fast_path import decode_fast

    texts = _book_texts(10_000)
    books = Books("top")
    for number in range(len(texts)):
        core = BookCore(str(10**76 + number))
        books.add(core)
        core.await_snapshot()
    gc.collect()
    before = _resident_bytes()
    for text in texts:
        (decoded,) = decode_fast(text, 0, frozenset()) or ()
        books.replace(decoded.update, 0.0)  # type: ignore[arg-type]  # a snapshot
    del text, decoded
    gc.collect()
    return {"mb": (_resident_bytes() - before) / 2**20}


def memory_dicts(*_: str) -> dict[str, Any]:
    """The same books as dicts of Decimal."""
    texts = _book_texts(10_000)
    gc.collect()
    before = _resident_bytes()
    books = {}
    for text in texts:
        event = json.loads(text)
        books[event["asset_id"]] = {
            side: {Decimal(level["price"]): Decimal(level["size"]) for level in event[side]}
            for side in ("bids", "asks")
        }
    del event, text
    gc.collect()
    return {"mb": (_resident_bytes() - before) / 2**20}


def scale(_: str, assets: str) -> dict[str, Any]:
    """One session's cost for each message, with so many assets subscribed, verify "top"."""
    from polymarket_ws.books.shelf import BookCore, Books
    from polymarket_ws.channels import clob
    from polymarket_ws.channels.market import MarketDialect, MarketView
    from polymarket_ws.channels.wanted import Wanted
    from polymarket_ws.connection.session import Session, Tally
    from polymarket_ws.options import Options

    work = simulated(rounds=4000, markets=int(assets) // 2, depth=10)
    dialect = MarketDialect("ws://127.0.0.1/ws/market", clob.heartbeat(10))
    view = MarketView(Books("top"))
    wanted = Wanted(frozenset(work.asset_ids), {a: BookCore(a) for a in work.asset_ids})
    view.want(wanted)
    session = Session(
        "scale", dialect, view, Options(), Tally(), lambda: frozenset({"price_change"})
    )
    session.open(wanted, 0.0)
    session.receive(frame(work.snapshot), 0.0, 0)
    blob = b"".join(map(frame, work.texts))
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < 2.0:
        for at in range(0, len(blob), 65_536):
            session.receive(blob[at : at + 65_536], 1.0, 0)
        done += len(work.texts)
    return {"us": (time.perf_counter() - began) / done * 1e6}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))

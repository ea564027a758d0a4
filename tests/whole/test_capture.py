"""The live capture of frames/market_capture.jsonl, over real sockets, against an independent
replay.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from kit.recorder import Recorder

from polymarket_ws import Book, LastTradePrice, LiveBook, PriceChange, Subscriber
from polymarket_ws.testing import FakeServer

KINDS = {"book": Book, "price_change": PriceChange, "last_trade_price": LastTradePrice}


class Replay:
    """A dict model of the books: slow, obvious, and none of the package's code."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
        self.tops: dict[str, tuple[Decimal, Decimal]] = {}

    def apply(self, message: Any) -> None:
        for event in message if isinstance(message, list) else [message]:
            if event["event_type"] == "book":
                self.sides[event["asset_id"]] = {
                    side: {Decimal(x["price"]): Decimal(x["size"]) for x in event[side]}
                    for side in ("bids", "asks")
                }
            for change in event.get("price_changes", ()):
                self._change(change)

    def _change(self, change: dict[str, str]) -> None:
        side = self.sides[change["asset_id"]]["bids" if change["side"] == "BUY" else "asks"]
        side[Decimal(change["price"])] = Decimal(change["size"])
        if not Decimal(change["size"]):
            del side[Decimal(change["price"])]
        self.tops[change["asset_id"]] = (Decimal(change["best_bid"]), Decimal(change["best_ask"]))


def _levels(book: LiveBook) -> dict[str, dict[Decimal, Decimal]]:
    shown = book.snapshot()
    return {"bids": dict(shown.bids), "asks": dict(shown.asks)}


def _wire_top(book: LiveBook) -> tuple[Decimal, Decimal]:
    """As the server writes an empty side."""
    bid, ask = book.best_bid, book.best_ask
    return (Decimal(0) if bid is None else bid, Decimal(1) if ask is None else ask)


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_the_capture_reaches_callbacks_in_order_and_the_books_follow(
    frames_dir: Path, tls: bool
) -> None:
    """All 60 frames arrive in order; after each the books equal a replay, and their tops the
    wire's.
    """
    lines = (frames_dir / "market_capture.jsonl").read_text().splitlines()
    asset_ids = [book["asset_id"] for book in json.loads(lines[0])]
    replay, told = Replay(), Recorder()
    with FakeServer(tls=tls) as server, Subscriber(asset_ids, options=server.options()) as sub:
        sub.on_event(told)
        server.wait_for_connection()
        for line in lines:
            server.send(line)
            server.settle(sub)
            replay.apply(json.loads(line))

            assert replay.sides == {id_: _levels(sub.books[id_]) for id_ in replay.sides}
            assert replay.tops == {id_: _wire_top(sub.books[id_]) for id_ in replay.tops}
        stats = sub.stats()

    expected = [
        KINDS[event["event_type"]]
        for line in lines
        for event in (json.loads(line) if line.startswith("[") else [json.loads(line)])
    ]
    assert expected == [type(event) for event in told.items]
    assert {"book": 26, "price_change": 29, "last_trade_price": 10} == stats.events
    assert (0, 0, 0) == (stats.decode_errors, stats.top_mismatches, stats.dropped)


@pytest.mark.parametrize("channel", ["market", "user"])
def test_no_recorded_frame_escapes_as_an_exception(frames_dir: Path, channel: str) -> None:
    """Every recorded line of a channel goes through a running subscriber; each gives an event or is
    told.
    """
    from polymarket_ws import Credentials

    told, errors, frames = Recorder(), Recorder(), Recorder()
    with FakeServer() as server:
        credentials = Credentials("key", "c2VjcmV0", "passphrase")
        sub = Subscriber(["1"], credentials=credentials, options=server.options())
        sub.on_event(told)
        sub.on_error(errors)
        sub.on_frame(frames)
        with sub:
            server.wait_for_connection(channel)  # type: ignore[arg-type]  # a literal, by the parameters
            sent = 0
            for path in sorted(frames_dir.glob(f"{channel}_*.jsonl")):
                for line in path.read_text().splitlines():
                    sent += server.send(line, channel)  # type: ignore[arg-type]  # as above
            server.settle(sub, timeout=20)
            stats = sub.stats()

    assert 0 == stats.reconnects
    assert stats.decode_errors == len(errors.items)
    heard = [frame for frame in frames.items if frame.channel == channel]
    assert sent == len(heard) - (channel == "market")  # which answers the subscription with []
    assert len(told.items) > 0

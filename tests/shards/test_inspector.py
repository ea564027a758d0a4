"""A feed that is silently wrong: suspected, asked about, judged and healed, over real sockets."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from kit.recorder import DEADLINE, Recorder

from polymarket_ws import Book, Connected, Disconnected, Gap, Resync, Subscriber
from polymarket_ws.shards.inspector import ASSETS_PER_PROBE
from polymarket_ws.testing import (
    ConnectionRecord,
    FakeServer,
    SimulatedExchange,
    make_book,
    make_price_change,
)
from polymarket_ws.testing.simulated_market import book_hash

QUICK = {"backoff_base": 0.001, "backoff_cap": 0.01, "connect_timeout": 1.0}
LIVELY = [("0.4", "10"), ("0.41", "5")]  # a book after a change that was not told


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server with three books."""
    with FakeServer() as server:
        for asset_id in "123":
            server.add_book(make_book(asset_id))
        yield server


class Night:
    """A subscriber with all that is told of its lines and books on record, in order."""

    def __init__(self, server: FakeServer, *asset_ids: str, **options: object) -> None:
        self.server = server
        self.sub = Subscriber(
            asset_ids or ("1",),
            options=server.options(**{**QUICK, "data_timeout": 0.3, **options}),
        )
        self.told, self.gaps, self.resyncs = Recorder(), Recorder(), Recorder()
        self.losses, self.books = Recorder(), Recorder()
        self.sub.on_gap(self.gaps)
        self.sub.on_resync(self.resyncs)
        self.sub.on_disconnect(self.losses)
        self.sub.on_book_update(lambda book: self.books((book.asset_id, book.integrity)))
        for register in (
            self.sub.on_connect,
            self.sub.on_disconnect,
            self.sub.on_book,
            self.sub.on_gap,
            self.sub.on_resync,
        ):
            register(self.told)

    def __enter__(self) -> Night:
        self.sub.start()
        self.live = self.server.wait_for_connection()
        return self

    def __exit__(self, *_: object) -> None:
        self.sub.stop()

    def wait_ready(self) -> None:
        self.sub.wait_ready(timeout=DEADLINE)
        self.server.settle(self.sub, timeout=DEADLINE)
        self.told.items.clear()

    def wait_until(self, predicate: Callable[[], bool]) -> None:
        """Wait for something in the subscriber."""
        assert self.sub._wait_until(predicate, DEADLINE), self.sub.stats()

    def wait_for_server(self, predicate: Callable[[], bool]) -> None:
        assert self.server.wait_until(predicate, DEADLINE), self.server.connections

    def wait_for_probes(self, count: int) -> None:
        self.wait_until(lambda: self.sub.stats().probes >= count)

    def others(self) -> list[ConnectionRecord]:
        """The connections to the server beside the live one."""
        return [record for record in self.server.connections if record is not self.live]

    def wait_for_an_answered_probe(self) -> ConnectionRecord:
        """Wait until some probe has ended as it should; return its record."""
        self.wait_for_server(lambda: any(r.close_code == 1000 for r in self.others()))
        return next(r for r in self.others() if r.close_code == 1000)

    def integrity(self, asset_id: str = "1") -> str:
        return self.sub.books[asset_id].integrity

    def chatter(self, asset_ids: list[str], until: Callable[[], bool]) -> None:
        """Change all these books again and again, each round received before the next."""
        for size in range(1, 10_000):
            if until():
                return
            self.server.send([make_price_change(a, [("BUY", "0.3", size)]) for a in asset_ids])
            self.server.settle(self.sub, timeout=DEADLINE)
        raise AssertionError(self.sub.stats())


def commands(record: ConnectionRecord) -> list[tuple[str, list[str]]]:
    """What a client asked for, but for its PINGs."""
    texts = [json.loads(text) for text in record.texts if text != "PING"]
    return [(text.get("operation", "open"), text["assets_ids"]) for text in texts]


def names(items: list[Any]) -> list[str]:
    """Their types."""
    return [type(item).__name__ for item in items]


def lose_truth(server: FakeServer, asset_id: str = "1") -> None:
    """The server's book changes without a word."""
    server.add_book(make_book(asset_id, bids=LIVELY))


def test_a_frozen_connection_is_made_anew(server: FakeServer) -> None:
    """PING is answered, data is lost: the loss and the gap say "silent", the next connection's
    book ends it, and later data arrives.
    """
    with Night(server, heartbeat_interval=0.1) as night:
        night.wait_ready()
        server.freeze(only=night.live)
        server.send(make_price_change("1", [("BUY", "0.41", "5")]))
        resync = night.resyncs.wait_for_reason("silent")
        pings = night.live.pings
        server.send(make_price_change("1", [("BUY", "0.42", "5")]))
        night.wait_until(lambda: "0.42" == str(night.sub.books["1"].best_bid))
        stats = night.sub.stats()

        told = night.told.items
        assert [Disconnected, Gap, Connected, Book, Resync] == [type(item) for item in told]
        assert ("silent", True, "market") == (told[0].reason, told[0].will_retry, told[0].channel)
        assert ("silent", ("1",)) == (told[1].reason, told[1].asset_ids)
        assert (("1",), True) == (resync.asset_ids, resync.duration >= 0)
        assert (1, 1, 1) == (stats.reconnects, stats.gaps, stats.resyncs)
        assert pings >= 2
        assert "PONG" not in night.live.texts


def test_a_quiet_connection_is_left_alone(server: FakeServer) -> None:
    """Silent books that a probe finds unchanged: no loss, no gap, nothing said on the live line;
    each probe asks for all of them, once, and says goodbye.
    """
    with Night(server, "1", "2") as night:
        night.wait_ready()
        night.wait_for_probes(2)
        server.send(make_price_change("1", [("BUY", "0.41", "5")]))
        server.settle(night.sub, timeout=DEADLINE)
        stats = night.sub.stats()
        probe = night.wait_for_an_answered_probe()

        assert [("open", ["1", "2"])] == commands(probe)
        assert {(("open", ("1", "2")),)} == {
            tuple((kind, tuple(ids)) for kind, ids in commands(record))
            for record in night.others()
            if record.texts
        }
        assert [("open", ["1", "2"])] == commands(night.live)
        assert ([], [], []) == (night.told.items, night.gaps.items, night.losses.items)
        assert (0, 1) == (stats.reconnects, len(stats.connections))
        assert "0.41" == str(night.sub.books["1"].best_bid)


def test_only_the_silent_are_asked_about(server: FakeServer) -> None:
    """Beside two lively books the probe asks for the third alone."""
    with Night(server, "1", "2", "3", data_timeout=2.0) as night:
        night.wait_ready()
        night.chatter(["1", "2"], lambda: bool(night.others() and night.others()[0].texts))

        assert [("open", ["3"])] == commands(night.others()[0])


def test_one_frozen_book_among_fifty_is_healed_in_place(server: FakeServer) -> None:
    """Its Gap names it alone; it is unsubscribed and subscribed again on the live line, whose other
    books stay live; its snapshot ends the gap.
    """
    asset_ids = [str(n) for n in range(1, 51)]
    for asset_id in asset_ids:
        server.add_book(make_book(asset_id))
    with Night(server, *asset_ids) as night:
        night.wait_ready()
        lose_truth(server, "7")
        lively = [a for a in asset_ids if a != "7"]
        night.chatter(lively, lambda: len(night.resyncs.items) > 0)

        assert ["Gap", "Book", "Resync"] == names(night.told.items)
        assert [("silent", ("7",))] == [(g.reason, g.asset_ids) for g in night.gaps.items]
        assert ("7",) == night.resyncs.items[0].asset_ids
        again = [("unsubscribe", ["7"]), ("subscribe", ["7"])]
        assert [("open", sorted(asset_ids)), *again] == commands(night.live)
        assert (0, []) == (night.sub.stats().reconnects, night.losses.items)
        assert "0.41" == str(night.sub.books["7"].best_bid)


def test_a_book_that_freezes_again_has_its_connection_made_anew(server: FakeServer) -> None:
    """Asking again on the line that froze it helps once; then the line itself is in doubt."""
    with Night(server, "1", "2") as night:
        night.wait_ready()
        lose_truth(server)
        night.chatter(["2"], lambda: len(night.resyncs.items) == 1)
        server.add_book(make_book("1", bids=[("0.45", "1")]))
        night.chatter(["2"], lambda: len(night.losses.items) > 0)
        night.resyncs.wait_for(2)

        assert ["silent"] == [loss.reason for loss in night.losses.items]
        assert ["silent", "silent"] == [gap.reason for gap in night.gaps.items]
        assert "0.45" == str(night.sub.books["1"].best_bid)


def test_data_within_the_grace_acquits(server: FakeServer) -> None:
    """The probe knew more, but what it knew was on its way: no gap, no loss."""
    with Night(server) as night:
        night.wait_ready()
        lose_truth(server)
        night.wait_for_an_answered_probe()
        server.send(make_price_change("1", [("BUY", "0.41", "5")]))
        night.wait_until(lambda: "0.41" == str(night.sub.books["1"].best_bid))
        night.wait_for_probes(2)  # so the first has been judged

        assert ([], []) == (night.gaps.items, night.losses.items)


PROBE_FAULTS: dict[str, Callable[[FakeServer], object]] = {
    "refused": lambda server: server.faults.refuse(times=None),
    "hanging": lambda server: server.faults.hang(times=None),
    "rejected": lambda server: server.faults.reject(429, {"Retry-After": "0"}, times=None),
    "silent": lambda server: server.freeze(new_too=True, channel="user"),
}


@pytest.mark.parametrize("name", PROBE_FAULTS)
def test_a_probe_that_fails_tears_nothing_down(server: FakeServer, name: str) -> None:
    """Without an answer nothing is concluded, and the question is asked again later."""
    with Night(server, connect_timeout=0.2) as night:
        night.wait_ready()
        PROBE_FAULTS[name](server)
        night.wait_for_probes(2)
        assert ([], [], True) == (night.gaps.items, night.losses.items, night.sub.healthy)

        server.faults.clear()
        server.thaw()
        lose_truth(server)
        night.gaps.wait_for_reason("silent")
        night.resyncs.wait_for_reason("silent")

        assert "0.41" == str(night.sub.books["1"].best_bid)


STOPS: dict[str, tuple[Callable[[FakeServer], object], Callable[[Night], bool]]] = {
    "connecting": (lambda s: s.faults.hang(times=None), lambda night: bool(night.others())),
    "waiting for answers": (
        lambda s: s.freeze(new_too=True, channel="user"),
        lambda night: any(r.ready and r.frozen for r in night.others()),
    ),
    "waiting for the judgement": (
        lambda s: None,
        lambda night: any(record.close_code == 1000 for record in night.others()),
    ),
}


@pytest.mark.parametrize("name", STOPS)
def test_stop_ends_a_probe_too(server: FakeServer, name: str) -> None:
    """Whatever the probe waits for: no thread and no socket of it is left (the fixture looks)."""
    fault, is_there = STOPS[name]
    with Night(server, connect_timeout=60.0) as night:
        night.wait_ready()
        fault(server)
        night.wait_for_server(lambda: is_there(night))
        night.sub.stop(timeout=DEADLINE)

        night.wait_for_server(lambda: not any(record.open for record in night.others()))
        assert "STOPPED" == night.sub.state


def test_a_lost_connection_takes_its_probe_along(server: FakeServer) -> None:
    """A probe that waits for answers is given up with the line that it was to judge."""
    with Night(server, connect_timeout=60.0) as night:
        night.wait_ready()
        server.freeze(new_too=True, channel="user")
        night.wait_for_server(lambda: any(r.ready and r.frozen for r in night.others()))
        probe = night.others()[-1]
        server.thaw()
        server.disconnect(only=night.live)
        night.resyncs.wait_for_reason("disconnect")
        night.wait_for_server(lambda: not probe.open)

        assert ["disconnect"] == [gap.reason for gap in night.gaps.items]


def test_without_a_timeout_silence_is_never_suspected(server: FakeServer) -> None:
    """With data_timeout=None there is no probe, however long nothing comes."""
    with Night(server, data_timeout=None, heartbeat_interval=0.01) as night:
        night.wait_ready()
        night.wait_for_server(lambda: night.live.pings > 100)

        assert (0, []) == (night.sub.stats().probes, night.others())


def test_many_silent_books_are_asked_about_in_parts() -> None:
    """No probe asks for more than a server is known to answer."""
    asset_ids = [str(n) for n in range(ASSETS_PER_PROBE + 10)]
    with FakeServer() as server:
        for asset_id in asset_ids:
            server.add_book(make_book(asset_id))
        options = {"max_assets_per_connection": len(asset_ids)}
        with Night(server, *asset_ids, **options) as night:
            night.wait_ready()
            night.wait_for_server(lambda: sum(bool(r.texts) for r in night.others()) >= 2)
            asked = [commands(record)[0][1] for record in night.others() if record.texts][:2]

    assert [ASSETS_PER_PROBE, 10] == [len(part) for part in asked]
    assert set(asset_ids) == set(asked[0]) | set(asked[1])


def test_a_first_book_that_never_comes_is_told_once(
    server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked for three times again; then one Gap("no_data") and a WARNING say what may be
    wrong, also after a reconnect once only; the book ends it when it comes after all.
    """
    again = [("unsubscribe", ["9"]), ("subscribe", ["9"])]
    options = {"first_event_timeout": 0.1, "heartbeat_interval": 0.05}
    with caplog.at_level(logging.WARNING), Night(server, "9", **options) as night:
        gap = night.gaps.wait_for_reason("no_data")
        assert [("open", ["9"]), *again * 3] == commands(night.live)

        server.disconnect(only=night.live)
        night.wait_for_server(lambda: bool(night.others() and len(commands(night.others()[0])) > 6))
        second = night.others()[0]
        pings = second.pings
        night.wait_for_server(lambda: second.pings > pings + 10)
        assert [("open", ["9"]), *again * 3] == commands(second)
        assert ["no_data"] == [gap.reason for gap in night.gaps.items]

        server.send(make_book("9"))
        resync = night.resyncs.wait_for(1)[0]

    assert (("9",), "market") == (gap.asset_ids, gap.channel)
    assert "token ids have about 77 digits" in gap.detail
    assert "4 times" in gap.detail
    assert ("no_data", ("9",)) == (resync.reason, resync.asset_ids)
    warned = [r.getMessage() for r in caplog.records if "token ids have" in r.getMessage()]
    assert (1, True) == (len(warned), "9" in warned[0])


def test_a_first_book_that_comes_when_asked_again_is_no_gap(server: FakeServer) -> None:
    """The server lost the first answer only: nobody is troubled with it."""
    with Night(server, "1", "9", first_event_timeout=0.5) as night:
        server.add_book(make_book("9"))
        night.wait_ready()

        again = [("unsubscribe", ["9"]), ("subscribe", ["9"])]
        assert [("open", ["1", "9"]), *again] == commands(night.live)
        assert ([], []) == (night.gaps.items, night.losses.items)


def test_wrong_best_prices_are_settled_by_a_probe(server: FakeServer) -> None:
    """A lost change makes the best prices differ: a mismatch, and after two seconds a probe proves
    the book wrong and puts it right, on the same connection.
    """
    with Night(server, verify="top", data_timeout=None) as night:
        night.wait_ready()
        server.faults.lose("price_change")
        server.send(make_price_change("1", [("BUY", "0.45", "5")], best_bid="0.45"))
        server.send(make_price_change("1", [("SELL", "0.5", "1")], best_bid="0.45", best_ask="0.5"))
        night.wait_until(lambda: "mismatch" == night.integrity())
        assert night.sub.books["1"].valid
        night.resyncs.wait_for_reason("top_mismatch")

        assert ["Gap", "Book", "Resync"] == names(night.told.items)
        assert [("top_mismatch", ("1",))] == [(g.reason, g.asset_ids) for g in night.gaps.items]
        assert ("0.45", "0.5") == tuple(
            str(price) for price in (night.sub.books["1"].best_bid, night.sub.books["1"].best_ask)
        )
        assert "unverified" == night.integrity()
        assert (1, 0, 1) == (
            night.sub.stats().probes,
            night.sub.stats().reconnects,
            night.sub.stats().top_mismatches,
        )


def test_a_false_top_of_the_server_is_no_gap(server: FakeServer) -> None:
    """A probe that shows our very levels acquits the book: the price that was told was wrong."""
    with Night(server, verify="top", data_timeout=None) as night:
        night.wait_ready()
        server.send(make_price_change("1", [("BUY", "0.3", "5")], best_bid="0.45"))
        night.wait_until(lambda: "mismatch" == night.integrity())
        night.wait_until(lambda: "unverified" == night.integrity())

        assert (1, []) == (night.sub.stats().probes, night.gaps.items)


def test_a_mismatch_without_a_snapshot_is_asked_about_again(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe that fails proves nothing: the book stays in its mismatch until the next one."""
    monkeypatch.setattr("polymarket_ws.shards.inspector.RETRY_SECONDS", 0.1)
    with Night(server, verify="top", data_timeout=None) as night:
        night.wait_ready()
        server.faults.lose("price_change")
        server.faults.reject(503, times=2)
        server.send(make_price_change("1", [("BUY", "0.45", "5")], best_bid="0.45"))
        server.send(make_price_change("1", [("SELL", "0.5", "1")], best_bid="0.45"))
        night.resyncs.wait_for_reason("top_mismatch")

        assert (3, 1) == (night.sub.stats().probes, len(night.gaps.items))


def test_a_lost_change_is_proved_by_its_hash_and_healed() -> None:
    """Behind equal best prices a level is wrong: the next change's hash tells, a probe heals both
    tokens of the market, and their hashes fit again.
    """
    exchange = SimulatedExchange(seed=5, markets=1)
    yes, no = exchange.asset_ids
    bid = exchange.book(yes).bids[3].price
    with FakeServer(exchange) as server, Night(server, yes, no, data_timeout=None) as night:
        night.wait_ready()
        server.faults.lose("price_change")
        server.play(lambda e: e.place(yes, "BUY", bid, "500"))
        server.play(lambda e: e.place(yes, "BUY", bid - exchange.tick_size, "77"))
        night.wait_until(lambda: {"mismatch"} == {night.integrity(a) for a in (yes, no)})
        night.resyncs.wait_for(1)
        night.wait_until(lambda: {"verified"} == {night.integrity(a) for a in (yes, no)})

        assert ["Gap", "Book", "Book", "Resync"] == names(night.told.items)
        assert [("hash_mismatch", {yes, no})] == [
            (gap.reason, set(gap.asset_ids)) for gap in night.gaps.items
        ]
        assert exchange.book(yes).bids == night.sub.books[yes].snapshot().bids
        assert exchange.book(no).asks == night.sub.books[no].snapshot().asks
        stats = night.sub.stats()
        assert (0, 0, 1) == (stats.reconnects, stats.top_mismatches, stats.probes)


class Capture:
    """The live capture with its lost delta, and the true books that a server would answer with."""

    def __init__(self, frames_dir: Path) -> None:
        lines = (frames_dir / "market_capture.jsonl").read_text().splitlines()
        self.frames = [json.loads(line) for line in lines]
        self.gap = json.loads((frames_dir / "market_capture.notes.json").read_text())["real_gap"]
        self.books: dict[str, dict[str, Any]] = {b["asset_id"]: b for b in self.frames[0]}
        self.asset_ids = list(self.books)
        self.wrong = [self.gap["asset"], self.gap["mirror_asset"]]

    def true_book(self, asset_id: str) -> dict[str, Any]:
        """The first book with what the capture lost, and the hash of that."""
        side, price = ("asks", "mirror_price") if asset_id == self.wrong[1] else ("bids", "price")
        book = dict(self.books[asset_id])
        book[side] = [
            {**level, "size": self.gap["true_size"]} if level["price"] == self.gap[price] else level
            for level in book[side]
        ]
        return {**book, "hash": book_hash(book, min_order_size="5", neg_risk=False)}

    def lost_change(self) -> dict[str, Any]:
        """What would have told it."""
        changes = [
            {
                "asset_id": asset_id,
                "price": self.gap[price],
                "size": self.gap["true_size"],
                "side": side,
                "hash": self.true_book(asset_id)["hash"],
            }
            for asset_id, side, price in zip(
                self.wrong, ("BUY", "SELL"), ("price", "mirror_price"), strict=True
            )
        ]
        book = self.books[self.wrong[0]]
        return {
            "event_type": "price_change",
            "market": book["market"],
            "timestamp": book["timestamp"],
            "price_changes": changes,
        }


def test_the_loss_in_the_live_capture_is_noticed_and_healed(frames_dir: Path) -> None:
    """With default options: frame 5 makes both tokens a mismatch, one probe settles it, one Gap
    and one Resync name them, and every book is verified at the end.
    """
    capture = Capture(frames_dir)
    with FakeServer() as server:
        for book in capture.books.values():
            server.add_book(book)
        defaults = {"backoff_base": 0.25, "backoff_cap": 30.0, "connect_timeout": 10.0}
        with Night(server, *capture.asset_ids, data_timeout=60.0, **defaults) as night:
            night.wait_ready()
            assert {"verified"} == {night.integrity(a) for a in capture.asset_ids}
            for asset_id in capture.wrong:
                server.add_book(capture.true_book(asset_id))
            for frame in capture.frames[1:4]:
                server.send(frame)
                server.settle(night.sub, timeout=DEADLINE)
            assert "mismatch" not in [night.integrity(a) for a in capture.asset_ids]
            server.send(capture.frames[4])
            night.wait_until(lambda: {"mismatch"} == {night.integrity(a) for a in capture.wrong})
            night.resyncs.wait_for(1)
            assert {"verified"} == {night.integrity(a) for a in capture.wrong}
            for frame in capture.frames[5:]:
                server.send(frame)
                server.settle(night.sub, timeout=DEADLINE)
            night.wait_until(
                lambda: {"verified"} == {night.integrity(a) for a in capture.asset_ids}
            )
            stats, losses = night.sub.stats(), list(night.losses.items)

        for told in (night.gaps.items, night.resyncs.items):
            assert [("hash_mismatch", set(capture.wrong))] == [
                (event.reason, set(event.asset_ids)) for event in told
            ]
        assert (1, 0, []) == (stats.probes, stats.reconnects, losses)
        assert "1000" == str(
            dict(night.sub.books[capture.wrong[0]].snapshot().bids)[Decimal("0.27")]
        )


def test_the_healed_capture_has_no_gap(frames_dir: Path) -> None:
    """With the lost change put in, every check verifies: no mismatch, no probe, no Gap."""
    capture = Capture(frames_dir)
    with FakeServer() as server:
        for book in capture.books.values():
            server.add_book(book)
        with Night(server, *capture.asset_ids, data_timeout=60.0) as night:
            night.wait_ready()
            for frame in [capture.lost_change(), *capture.frames[1:]]:
                server.send(frame)
                server.settle(night.sub, timeout=DEADLINE)
            night.wait_until(
                lambda: {"verified"} == {night.integrity(a) for a in capture.asset_ids}
            )
            stats = night.sub.stats()

        assert "mismatch" not in [integrity for _, integrity in night.books.items]
        assert (0, []) == (stats.probes, night.gaps.items)

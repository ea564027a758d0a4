"""The hot path makes no more calls for each message than it did: a guard that no clock is part of.

Counted are calls of Python and C functions, which are the same in every run on one Python. After a
change that is meant to cost or to save: `make costs`, and say so in the changelog.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from bench.load import frame
from bench.workload import Workload, simulated

from polymarket_ws.books.book import BookCore
from polymarket_ws.books.shelf import Books
from polymarket_ws.channels import clob
from polymarket_ws.channels.market import MarketDialect, MarketView
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.connection.session import Session, Tally
from polymarket_ws.delivery.callbacks import Callbacks, Registration
from polymarket_ws.engine.engine import Engine
from polymarket_ws.events import Event
from polymarket_ws.net.frames import FrameParser
from polymarket_ws.options import Options
from polymarket_ws.subscriptions import Subscriptions
from polymarket_ws.wire.fast_path import decode_fast
from polymarket_ws.wire.updates import Changes, Decoded

COSTS = Path(__file__).resolve().parents[1] / "bench" / "costs.json"
TOLERANCE = 0.10  # on the Python that counted
ELSEWHERE = 0.35  # on others, whose own functions call more or fewer of their own


@cache
def work() -> Workload:
    """Some hundred messages, the same in every run."""
    return simulated(rounds=150, markets=5, depth=20)


def changes() -> list[str]:
    return [text for text in work().texts if "price_changes" in text]


def decoded() -> list[Decoded]:
    return [one for text in changes() for one in decode_fast(text, 0, None) or ()]


def calls(act: Callable[[], object]) -> int:
    """How many functions `act` calls."""
    count = 0

    def look(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    act()  # what is cached is cached
    before = sys.getprofile()
    sys.setprofile(look)
    try:
        act()
    finally:
        sys.setprofile(before)
    return count


def count_frames() -> float:
    """Bytes to messages."""
    blob = b"".join(map(frame, work().texts))
    parser = FrameParser(2**20)
    return calls(lambda: parser.receive(blob)) / len(work().texts)


def count_decode() -> float:
    """A price_change to an event and the books' part."""
    return calls(lambda: [decode_fast(text, 0, None) for text in changes()]) / len(changes())


def count_decode_unheard() -> float:
    """A price_change to the books' part alone."""
    heard = frozenset({"book"})
    return calls(lambda: [decode_fast(t, 0, heard) for t in changes()]) / len(changes())


def count_apply() -> float:
    """A price_change of two assets to their books, with verify "top"."""
    books = Books("top")
    for asset_id in work().asset_ids:
        books.add(BookCore(asset_id))
    for one in decode_fast(work().snapshot, 0, None) or ():
        books.replace(one.update, 0.0)  # type: ignore[arg-type]  # a snapshot
    updates = [one.update for one in decoded() if isinstance(one.update, Changes)]
    return calls(lambda: [books.apply(update, 1.0) for update in updates]) / len(updates)


def count_dispatch() -> float:
    """An event from the hand-over to one callback."""
    callbacks = Callbacks()
    callbacks.add(Registration("price_change", lambda event: None))
    run = Engine("costs", Options(), None, callbacks, dict, lambda: None)
    run.subscriptions = Subscriptions(asset_ids=frozenset(work().asset_ids))
    events: list[Event] = [one.event for one in decoded() if one.event is not None]
    run.dispatcher._ending = True  # so that it returns when all is handled

    def deliver() -> None:
        run.dispatcher.put(events)
        run.dispatcher._handle_all()

    return calls(deliver) / len(events)


def count_session() -> float:
    """Bytes to books and events, hashes checked as time asks for."""
    dialect = MarketDialect("ws://127.0.0.1/ws/market", clob.heartbeat(10))
    view = MarketView(Books("hash"))
    cores = {asset_id: BookCore(asset_id) for asset_id in work().asset_ids}
    wanted = Wanted(frozenset(cores), cores)
    view.want(wanted)
    heard = frozenset({"price_change"})
    session = Session("costs", dialect, view, Options(), Tally(), lambda: heard)
    session.open(wanted, 0.0)
    session.receive(frame(work().snapshot), 0.0, 0)
    blob, now = b"".join(map(frame, work().texts)), 0.0

    def receive() -> None:
        nonlocal now
        for at in range(0, len(blob), 65_536):
            now += 0.01
            session.receive(blob[at : at + 65_536], now, 0)
            session.tick(now)

    return calls(receive) / len(work().texts)


STAGES = {
    f.__name__.removeprefix("count_"): f
    for f in (
        count_frames,
        count_decode,
        count_decode_unheard,
        count_apply,
        count_dispatch,
        count_session,
    )
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_costs_what_it_did(stage: str) -> None:
    """Neither much more, which is a loss, nor much less, which is to be kept."""
    kept = json.loads(COSTS.read_text())
    is_same = kept["python"] == list(sys.version_info[:2])
    tolerance = TOLERANCE if is_same else ELSEWHERE

    assert kept["calls"][stage] == pytest.approx(STAGES[stage](), rel=tolerance)


if __name__ == "__main__":
    counted = {stage: round(count(), 2) for stage, count in STAGES.items()}
    COSTS.write_text(
        json.dumps({"python": sys.version_info[:2], "calls": counted}, indent=2) + "\n"
    )

"""One connection's conversation: bytes and a number for a clock in; events and texts out."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from attrs import asdict, evolve
from hypothesis import given
from hypothesis import strategies as st
from kit.dialects import market_dialect, user_dialect
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, TextMessage
from wsproto.events import Ping as WsPing

from polymarket_ws.account.core import AccountCore
from polymarket_ws.books.book import BookCore
from polymarket_ws.books.live_book import LiveBook
from polymarket_ws.books.shelf import Books
from polymarket_ws.channels.market import MarketView
from polymarket_ws.channels.user import UserView
from polymarket_ws.channels.view import BooklessView
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.connection.backoff import Ending
from polymarket_ws.connection.gaps import Gaps
from polymarket_ws.connection.session import Session, Tally
from polymarket_ws.connection.snapshot_requests import RETRIES
from polymarket_ws.delivery.event_queue import Item
from polymarket_ws.errors import ConnectionLost, DecodeError, ProtocolError
from polymarket_ws.events import EVENTS, Book, Frame, Gap, PriceChange, Resync, Trade, Unknown
from polymarket_ws.net.frames import Close, Pong
from polymarket_ws.options import Options
from polymarket_ws.wire.decode import decode_market
from polymarket_ws.wire.limits import ELEMENTS
from polymarket_ws.wire.updates import Decoded, Snapshot

MARKET = "0x" + "a" * 64
NO_BOOK_TEXT = json.dumps({"event_type": "later", "n": 1})
# Nothing here comes from a server that would answer: only the tests of it ask again.
OPTIONS = Options(heartbeat_interval=10, pong_timeout=20, first_event_timeout=3600)
OPENED_AT = 1_000.0


def text_frame(text: str, *, fin: bool = True, opcode: int = 1) -> bytes:
    """A server's text frame."""
    return frame(text.encode(), opcode, fin=fin)


def frame(payload: bytes, opcode: int, *, fin: bool = True) -> bytes:
    """A server's frame of any kind."""
    head = bytes([(0x80 if fin else 0) | opcode])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    return head + bytes([126]) + len(payload).to_bytes(2, "big") + payload


def close_frame(code: int | None, reason: str = "") -> bytes:
    """A server's close."""
    return frame(b"" if code is None else code.to_bytes(2, "big") + reason.encode(), 8)


def book_text(
    asset_id: str = "1", bid: str = "0.4", timestamp: int = 1, *, answers: bool = True
) -> str:
    """A snapshot that answers a subscription, or, without its tick size, one after a trade."""
    book = {
        "event_type": "book",
        "market": MARKET,
        "asset_id": asset_id,
        "timestamp": str(timestamp),
        "bids": [{"price": bid, "size": "1"}],
        "asks": [],
    }
    return json.dumps({**book, "tick_size": "0.01"} if answers else book)


def renewal(*asset_ids: str) -> list[str]:
    """The texts that draw new snapshots."""
    ids = json.dumps(asset_ids, separators=(",", ":"))
    operations = ("unsubscribe", "subscribe")
    return [f'{{"operation":"{o}","assets_ids":{ids}}}' for o in operations]


def change_text(price: str, asset_id: str = "1", timestamp: int = 2) -> str:
    """A price_change of one entry."""
    entry = {"asset_id": asset_id, "price": price, "size": "5", "side": "BUY"}
    return json.dumps(
        {
            "event_type": "price_change",
            "market": MARKET,
            "price_changes": [entry],
            "timestamp": str(timestamp),
        }
    )


class Market:
    """A session on the market channel with the books of assets 1 and 2, opened at OPENED_AT."""

    def __init__(
        self, *, opened: bool = True, hears_frames: bool = False, options: Options = OPTIONS
    ) -> None:
        self.shelf = Books()
        heard = frozenset(EVENTS) if hears_frames else frozenset(EVENTS) - {"frame"}
        cores = {id_: BookCore(id_) for id_ in ("1", "2")}
        self.books = {id_: LiveBook(core) for id_, core in cores.items()}
        self.wanted = Wanted(frozenset(cores), cores)
        view = MarketView(self.shelf)
        view.want(self.wanted)
        self.session = Session("main", market_dialect(), view, options, Tally(), lambda: heard)
        if opened:
            self.session.open(self.wanted, OPENED_AT)
            self.sent()

    def sent(self) -> list[Any]:
        outbox, self.session.outbox = self.session.outbox, []
        return outbox

    def receive(self, *frames: bytes, now: float = OPENED_AT) -> list[Item]:
        return self.session.receive(b"".join(frames), now, int(now * 1e9))


class User(Market):
    """A session on the user channel, all markets, opened at OPENED_AT."""

    def __init__(self) -> None:
        self.account = AccountCore()
        self.session = Session(
            "user",
            user_dialect(),
            UserView(account=self.account),
            OPTIONS,
            Tally(),
            lambda: frozenset(EVENTS) - {"frame"},
        )
        self.session.open(Wanted(None), OPENED_AT)


# --- opening and heartbeat -----------------------------------------------------------------------


def test_the_first_text_is_the_subscription() -> None:
    """The whole wanted set in one text, once."""
    market = Market(opened=False)

    market.session.open(market.wanted, OPENED_AT)

    assert [
        '{"type":"market","assets_ids":["1","2"],"custom_feature_enabled":false}'
    ] == market.sent()


def test_ping_never_comes_before_the_subscription() -> None:
    """The server closes with 1008 when it does: before `open` no time brings a PING."""
    market = Market(opened=False)

    market.session.tick(1e9)

    assert ([], float("inf")) == (market.sent(), market.session.deadline)


@given(st.lists(st.floats(0, 1e6), max_size=5), st.floats(0, 1e6))
def test_the_subscription_is_first_whatever_the_clock_says(
    before: list[float], opened_at: float
) -> None:
    """Ticks before, at and after the opening change nothing in the order."""
    market = Market(opened=False)
    for now in before:
        market.session.tick(now)
    market.session.open(market.wanted, opened_at)
    for now in (opened_at, opened_at + 1e6):
        market.session.tick(now)

    sent = market.sent()
    assert sent[0].startswith('{"type":"market"')
    assert ["PING"] == [text for text in sent[1:] if "operation" not in text]


def test_a_text_ping_goes_out_every_interval() -> None:
    """At 10, 20, 30 s, each when its time has come and once; PONG comes to each."""
    market = Market()
    pinged_at = []
    for second in range(35):
        now = OPENED_AT + second
        market.session.tick(now)
        if market.sent() == ["PING"]:
            pinged_at.append(second)
            market.receive(text_frame("PONG"), now=now + 0.5)

    assert [10, 20, 30] == pinged_at
    assert (0.5, 3) == (market.session.tally.last_round_trip, market.session.messages)


def test_the_deadline_is_the_next_ping_or_the_end_of_patience() -> None:
    """Whichever comes first."""
    market = Market()
    deadlines = [market.session.deadline]
    for seconds in (10, 20):
        market.session.tick(OPENED_AT + seconds)
        deadlines.append(market.session.deadline)
    market.receive(text_frame("PONG"), now=OPENED_AT + 21)
    deadlines.append(market.session.deadline)

    assert [10, 20, 30, 30] == [deadline - OPENED_AT for deadline in deadlines]


def test_a_peer_that_does_not_answer_is_given_up() -> None:
    """20 s after the first unanswered PING; the later ones do not prolong it."""
    market = Market()
    ended = []
    for second in range(31):
        market.session.tick(OPENED_AT + second)
        ended.append(market.session.ended)

    assert {None} == set(ended[:30])
    assert isinstance(ended[30], ConnectionLost)
    assert ("pong_timeout", "no PONG within 20 s of a PING") == (
        ended[30].reason,
        ended[30].detail,
    )


def test_data_does_not_stand_in_for_pong() -> None:
    """Both are watched apart: a peer that sends but does not read is lost all the same."""
    market = Market()
    for second in range(31):
        market.receive(text_frame(NO_BOOK_TEXT), now=OPENED_AT + second)
        market.session.tick(OPENED_AT + second)

    assert "pong_timeout" == getattr(market.session.ended, "reason", None)


def test_a_pong_that_nobody_asked_for_measures_nothing() -> None:
    """It shows that the connection is useful, no more."""
    market = Market()

    market.receive(text_frame("PONG"))

    assert (None, True, []) == (
        market.session.tally.last_round_trip,
        market.session.useful,
        market.sent(),
    )


# --- subscriptions -------------------------------------------------------------------------------


def test_a_change_of_what_is_wanted_is_sent() -> None:
    """Only the difference: gone ones first."""
    market = Market()
    core = BookCore("3")

    wanted = Wanted(frozenset("23"), {"2": market.wanted.cores["2"], "3": core})
    market.session.want(wanted, OPENED_AT)

    assert [
        '{"operation":"unsubscribe","assets_ids":["1"]}',
        '{"operation":"subscribe","assets_ids":["3"]}',
    ] == market.sent()


def test_what_is_wanted_already_sends_nothing() -> None:
    """The server would answer NO NEW ASSETS."""
    market = Market()

    market.session.want(market.wanted, OPENED_AT)

    assert [] == market.sent()


def test_a_resubscribed_asset_is_asked_for_anew() -> None:
    """Its new book needs a snapshot, which the server sends only after an unsubscription."""
    market = Market()
    again = {**market.wanted.cores, "1": BookCore("1")}

    market.session.want(evolve(market.wanted, cores=again), OPENED_AT)

    assert [
        '{"operation":"unsubscribe","assets_ids":["1"]}',
        '{"operation":"subscribe","assets_ids":["1"]}',
    ] == market.sent()


# --- receiving -----------------------------------------------------------------------------------


def test_events_follow_the_books_they_changed() -> None:
    """What a callback reads in the book is never older than its event. What the changes of a read
    made of a book is told once.
    """
    market = Market()

    items = market.receive(text_frame(book_text()), text_frame(change_text("0.5")), now=1_001.0)

    assert [BookCore, BookCore, Book, PriceChange] == [type(item) for item in items]
    assert Decimal("0.5") == market.books["1"].best_bid
    assert [int(1_001e9)] * 2 == [i.received_at_ns for i in items if not isinstance(i, BookCore)]
    assert (2, {"book": 1, "price_change": 1}, 1_001.0) == (
        market.session.tally.messages,
        dict(market.session.tally.events),
        market.session.tally.last_data_at,
    )


def described(items: Sequence[Item]) -> list[str]:
    """The events in a form that can be compared between two sessions."""
    return [repr(i) for i in items if not isinstance(i, BookCore)]


def books_told(items: Sequence[Item]) -> set[str]:
    """The assets whose books are said to look different."""
    return {i.asset_id for i in items if isinstance(i, BookCore)}


STREAM = b"".join(
    (
        text_frame("[" + book_text("1") + "," + book_text("2") + "]\n"),
        text_frame(change_text("0.5")[:40], fin=False),
        frame(b"beat", 9),
        text_frame(change_text("0.5")[40:], opcode=0),
        text_frame("PONG"),
        text_frame("not JSON"),
        text_frame(NO_BOOK_TEXT),
        frame(b"\0\1", 2),
        text_frame("NO NEW ASSETS"),
        text_frame(change_text("0.6", "2")),
        close_frame(1012, "restart"),
        text_frame(change_text("0.7")),
    )
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_cut_of_the_bytes_gives_the_same(cuts: list[int]) -> None:
    """Items, answers, counts, books and the end do not depend on how TCP cut the stream."""
    whole, cut = Market(), Market()
    ends = [0, *sorted(cuts), len(STREAM)]

    expected = whole.receive(STREAM)
    actual = [item for a, b in pairwise(ends) for item in cut.receive(STREAM[a:b])]

    assert described(expected) == described(actual)
    assert books_told(expected) == books_told(actual)
    assert (7, 8) == (len(described(expected)), whole.session.messages)
    assert whole.sent() == cut.sent()
    assert asdict(whole.session.tally) == asdict(cut.session.tally)
    assert "closed: code 1012 'restart'" == str(whole.session.ended) == str(cut.session.ended)
    assert [b.best_bid for b in whole.books.values()] == [b.best_bid for b in cut.books.values()]


def test_frames_of_another_implementation_are_understood() -> None:
    """wsproto as the server: a text, a ping, a close."""
    market = Market()
    server = Connection(ConnectionType.SERVER)
    data = server.send(TextMessage(data=book_text()))
    data += server.send(WsPing(payload=b"x"))
    data += server.send(CloseConnection(code=1001, reason="away"))

    items = market.receive(data)

    assert [BookCore, Book] == [type(item) for item in items]
    assert [Pong(b"x"), Close(1001, "")] == market.sent()
    assert "closed: code 1001 'away'" == str(market.session.ended)


def test_raw_frames_are_handed_over_only_when_somebody_listens() -> None:
    """Before the events that they hold; PONG and notices are no data."""
    market = Market(hears_frames=True)

    items = market.receive(text_frame("PONG"), text_frame(""), text_frame(NO_BOOK_TEXT))

    assert [Frame(channel="market", text=NO_BOOK_TEXT)] == items[:1]
    assert [Frame, Unknown] == [type(item) for item in items]


def test_a_protocol_ping_is_answered() -> None:
    """With a pong of the same payload; it is no message, and a protocol pong is nothing at all."""
    market = Market()

    assert [] == market.receive(frame(b"beat", 9), frame(b"", 10))
    assert ([Pong(b"beat")], 0) == (market.sent(), market.session.messages)


def test_of_several_protocol_pings_the_last_is_answered() -> None:
    """A flood of them costs one frame."""
    market = Market()
    market.receive(text_frame("one", opcode=9), text_frame("two", opcode=9))

    assert [Pong(b"two")] == market.sent()


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("INVALID OPERATION", logging.WARNING),
        ("NO NEW ASSETS", logging.DEBUG),
        ("", logging.DEBUG),
        (" NO NEW ASSETS\n", logging.DEBUG),
    ],
)
def test_notices_are_counted_and_logged(
    text: str, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Texts that are no JSON: only INVALID OPERATION is worth a person's look."""
    market = Market()

    with caplog.at_level(logging.DEBUG):
        items = market.receive(text_frame(text))

    assert ([], 1, False) == (items, market.session.tally.notices, market.session.useful)
    [record] = caplog.records
    assert (level, f"main: the server says {text.strip()!r}") == (
        record.levelno,
        record.getMessage(),
    )


def test_each_message_is_logged_at_debug_with_secrets_masked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whether DEBUG is on is asked once, at the beginning of a session."""
    with caplog.at_level(logging.DEBUG):
        market = Market()
        market.receive(text_frame('{"event_type":"x","owner":"KEY-1"}'))

    [record] = caplog.records
    assert record.getMessage().startswith('main: < {"event_type":"x"')
    assert "KEY-1" not in record.getMessage()


def test_a_duplicate_is_not_told_twice() -> None:
    """A trade status that was told already is counted, and no event."""
    user = User()
    trade = {
        "event_type": "trade",
        "id": "t",
        "status": "MATCHED",
        "market": MARKET,
        "asset_id": "1",
        "side": "BUY",
        "price": "0.5",
        "size": "1",
        "taker_order_id": "o",
        "owner": "w",
        "timestamp": "1",
        "type": "TRADE",
    }

    items = user.receive(text_frame(json.dumps(trade)), text_frame(json.dumps(trade)))

    assert [Trade] == [type(item) for item in items]
    assert (1, 2) == (user.account.duplicates, user.session.tally.events["trade"])


# --- flaws ---------------------------------------------------------------------------------------


def test_a_change_that_is_not_understood_makes_its_own_book_stale() -> None:
    """Before the error is told, and then the gap; the twin's entry is applied, and its book stays
    live.
    """
    market = Market()
    market.receive(text_frame("[" + book_text("1") + "," + book_text("2") + "]"))
    message = json.loads(change_text("0.5", "2"))
    message["price_changes"].append({"asset_id": "1", "price": "x", "size": "1", "side": "BUY"})

    items = market.receive(text_frame(json.dumps(message)))

    assert ["2", "PriceChange", "1", "DecodeError", "Gap"] == [
        i.asset_id if isinstance(i, BookCore) else type(i).__name__ for i in items
    ]
    assert ("decode_error", True) == (market.books["1"].stale_reason, market.books["2"].valid)
    assert (1, Decimal("0.5")) == (market.session.tally.decode_errors, market.books["2"].best_bid)


def test_a_flaw_elsewhere_leaves_the_books_alone() -> None:
    """Text that is no JSON, and a binary message, say nothing of any book."""
    market = Market()
    market.receive(text_frame(book_text()))

    items = market.receive(text_frame("not JSON"), frame(b"\0", 2))

    assert [DecodeError, DecodeError] == [type(item) for item in items]
    assert "a binary message @ $" == str(items[1])
    assert (2, True) == (market.session.tally.decode_errors, market.books["1"].valid)


def flaw(asset_id: str = "1") -> bytes:
    """A change of one asset that is not understood."""
    return text_frame(change_text("x", asset_id))


def gaps(items: Sequence[Item]) -> list[tuple[str, str, str]]:
    """The gaps and their ends: name, reason, assets."""
    return [
        (type(i).__name__, i.reason, "".join(i.asset_ids))
        for i in items
        if isinstance(i, (Gap, Resync))
    ]


def test_a_fresh_snapshot_heals_a_flaw() -> None:
    """It is asked for as soon as time is looked at; with it the gap ends, after the event."""
    market = Market()
    market.receive(text_frame(book_text()))

    told = market.receive(flaw(), now=1_001.0)
    assert ([], True) == (market.sent(), market.session.deadline <= 1_001.1)
    market.session.tick(1_001.1)
    assert renewal("1") == market.sent()
    healed = market.receive(text_frame(book_text(bid="0.5")), now=1_002.0)

    assert [("Gap", "decode_error", "1")] == gaps(told)
    assert [BookCore, Book, Resync] == [type(item) for item in healed]
    assert [("Resync", "decode_error", "1")] == gaps(healed)
    [duration] = [item.duration for item in healed if isinstance(item, Resync)]
    assert 1.0 == pytest.approx(duration)
    assert (True, Decimal("0.5")) == (market.books["1"].valid, market.books["1"].best_bid)


def test_flaws_of_one_message_are_one_request() -> None:
    """Whatever they broke by then is renewed at once; further flaws tell no further gap."""
    market = Market()
    market.receive(text_frame(book_text("1")), text_frame(book_text("2")))

    told = market.receive(flaw("2"), flaw("1"), flaw("2"))
    market.session.tick(OPENED_AT + 0.1)

    assert [("Gap", "decode_error", "2"), ("Gap", "decode_error", "1")] == gaps(told)
    assert renewal("1", "2") == market.sent()


def test_a_storm_of_flaws_asks_once_in_ten_seconds() -> None:
    """For each asset; each healing in between is followed by a gap of its own."""
    market = Market()
    market.receive(text_frame(book_text("1")), text_frame(book_text("2")))
    asked_at = []
    for tenth in range(250):
        now = OPENED_AT + tenth / 10
        market.receive(flaw(), now=now)
        market.session.tick(now + 0.05)
        if renewal("1")[1] in market.sent():
            asked_at.append(tenth // 10)
            market.receive(text_frame(book_text()), now=now + 0.06)

    assert [0, 10, 20] == asked_at
    assert (4, 3) == (market.session.gaps.told, market.session.gaps.ended)
    assert market.session.tally.decode_errors == 250


def test_what_has_healed_or_is_not_wanted_is_not_renewed() -> None:
    """A book that came by itself; an asset that was unsubscribed."""
    market = Market()
    market.receive(text_frame(book_text("1")), text_frame(book_text("2")))
    market.receive(flaw("1"), flaw("2"))
    market.receive(text_frame(book_text("1", answers=False)))
    market.session.want(Wanted(frozenset("1"), {"1": market.wanted.cores["1"]}), OPENED_AT)
    market.sent()

    market.session.tick(OPENED_AT + 1)

    assert [] == market.sent()


def test_a_refresh_that_proves_a_loss_is_a_gap_healed_at_once() -> None:
    """Gap, the book, the event, Resync: it brings the right levels itself."""
    market = Market()
    market.receive(text_frame(book_text()))

    items = market.receive(text_frame(book_text(bid="0.3", answers=False)))

    assert [Gap, BookCore, Book, Resync] == [type(item) for item in items]
    assert [("Gap", "refresh_mismatch", "1"), ("Resync", "refresh_mismatch", "1")] == gaps(items)


def test_a_replaced_book_is_told_with_its_gap() -> None:
    """Gap, the new book, its event, Resync."""
    market = Market()
    market.receive(text_frame(book_text()))
    [fresh] = [d for d in decode_market(book_text(bid="0.3"), 0) if isinstance(d, Decoded)]
    assert isinstance(fresh.update, Snapshot)
    changed = market.shelf.replace(fresh.update, OPENED_AT)

    items = market.session.tell_replaced([(fresh, changed)], "hash_mismatch", OPENED_AT)

    assert [Gap, BookCore, Book, Resync] == [type(item) for item in items]
    assert [("Gap", "hash_mismatch", "1"), ("Resync", "hash_mismatch", "1")] == gaps(items)
    assert Decimal("0.3") == market.books["1"].best_bid


def test_books_in_doubt_are_asked_for_anew() -> None:
    """Stale first, then the gap; those that are stale already are left alone."""
    market = Market()
    market.receive(text_frame(book_text()))

    items = market.session.resubscribe(["1", "2"], "silent", OPENED_AT)

    assert [BookCore, Gap] == [type(item) for item in items]
    assert (renewal("1"), "silent") == (market.sent(), market.books["1"].stale_reason)
    assert [] == market.session.resubscribe(["1", "2"], "silent", OPENED_AT)
    healed = market.receive(text_frame(book_text()))
    assert [("Resync", "silent", "1")] == gaps(healed)


def test_own_orders_have_nothing_to_renew() -> None:
    """The user channel has no books."""
    user = User()
    user.sent()

    assert [] == user.session.resubscribe(["1"], "silent", OPENED_AT)
    assert [] == user.sent()


def test_a_first_book_that_does_not_come_is_asked_for_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After each first_event_timeout, all assets in one go; then the gap, which helps."""
    market = Market(options=Options(heartbeat_interval=60, first_event_timeout=15))
    asked, told = [], []
    for second in range(100):
        told += market.session.tick(OPENED_AT + second)
        asked += [second for text in market.sent() if '"subscribe"' in text]

    [gap] = told
    assert [15, 30, 45] == asked
    assert RETRIES == len(asked)
    assert isinstance(gap, Gap)
    assert ("no_data", ("1", "2")) == (gap.reason, gap.asset_ids)
    assert "token ids have about 77 digits" in gap.detail
    assert "1, 2: no book came, though asked for 4 times" in caplog.text
    healed = market.receive(text_frame(book_text("1")), text_frame(book_text("2")))
    assert [("Resync", "no_data", "12")] == gaps(healed)


def test_what_has_come_or_is_unwanted_is_not_asked_for_again() -> None:
    """Only the others; ids of full length need no hint."""
    long_id = "7" * 77
    market = Market(options=Options(heartbeat_interval=60, first_event_timeout=15))
    market.receive(text_frame(book_text("1")))
    cores = {"1": market.wanted.cores["1"], long_id: BookCore(long_id)}
    market.session.view.want(Wanted(frozenset(cores), cores))
    market.session.want(Wanted(frozenset(cores), cores), OPENED_AT + 5)
    market.sent()

    told = []
    for second in range(20, 100, 15):
        told += market.session.tick(OPENED_AT + second)
    texts = [text for text in market.sent() if text != "PING"]

    assert renewal(long_id) * RETRIES == texts
    assert [("Gap", "no_data", long_id)] == gaps(told)
    assert ["no book came, though asked for 4 times: closed market or wrong id?"] == [
        gap.detail for gap in told if isinstance(gap, Gap)
    ]


def test_a_lost_book_that_does_not_come_back_ends_its_gap_for_the_others() -> None:
    """A market that closed during an outage is told as "no_data", so that the outage's Gap can end;
    once told it is not told again.
    """
    market = Market(options=Options(heartbeat_interval=60, first_event_timeout=15))
    incidents = market.session.gaps
    assets = ("1", "2", "other")
    lost = Gap(channel="market", connection="main", reason="disconnect", asset_ids=assets)
    incidents.open(lost, OPENED_AT)
    assert [] == incidents.heal(["other"], OPENED_AT + 1)

    told = [item for second in range(100) for item in market.session.tick(OPENED_AT + second)]

    assert [("Resync", "disconnect"), ("Gap", "no_data")] == [
        (type(item).__name__, item.reason) for item in told if isinstance(item, (Gap, Resync))
    ]
    assert ("other",) == told[0].asset_ids
    assert incidents.waits_for("1", "no_data")


def test_a_storm_of_flaws_leaves_a_handful_of_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    """The first, the tenth, the hundredth."""
    market = Market()

    market.receive(*[text_frame("{")] * 120)

    lines = [record.getMessage() for record in caplog.records]
    assert 3 == len(lines)
    assert lines[-1].startswith("main: not understood (100 so far): ")


# --- the end -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason", "sentence"),
    [
        (1000, "", "closed: code 1000"),
        (1013, "slow consumer: send buffer full", None),
        (4001, "x" * 120, f"closed: code 4001 '{'x' * 100}'"),
        (None, "", "closed: without a code"),
    ],
)
def test_a_close_is_echoed_and_told(code: int | None, reason: str, sentence: str | None) -> None:
    """With its own code, or 1000 where it had none; a long reason is cut."""
    market = Market()

    market.receive(close_frame(code, reason))

    assert [Close(code or 1000, "")] == market.sent()
    assert isinstance(market.session.ended, ConnectionLost)
    assert ("closed", code) == (market.session.ended.reason, market.session.ended.code)
    assert (sentence or f"closed: code {code} {reason!r}") == str(market.session.ended)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x81abcd?", 1002),
        (b"\xc1\x00", 1002),
        (frame(b"\xff", 1), 1007),
        (b"\x81\x7f" + (2**40).to_bytes(8, "big"), 1009),
    ],
)
def test_a_peer_that_breaks_the_protocol_is_told_so(data: bytes, code: int) -> None:
    """What came before it is delivered; then a close with the right code, and the end."""
    market = Market()

    items = market.receive(text_frame(NO_BOOK_TEXT), data, text_frame(NO_BOOK_TEXT))

    assert ([Unknown], [Close(code, "")]) == ([type(i) for i in items], market.sent())
    assert isinstance(market.session.ended, ProtocolError)
    assert code == market.session.ended.code


def test_a_message_that_holds_too_much_ends_the_session() -> None:
    """Beyond its limits nothing of it is taken."""
    market = Market()

    assert [] == market.receive(text_frame(f"[{'0,' * ELEMENTS}0]"))
    assert isinstance(market.session.ended, ProtocolError)
    assert [Close(1008, "")] == market.sent()


def test_we_say_goodbye_with_1000() -> None:
    """A close of ours carries the normal code."""
    market = Market()

    market.session.close()

    assert [Close(1000, "")] == market.sent()


EOF = ConnectionLost("eof", "")
CLOSED = ConnectionLost("closed", "code 1000", code=1000)


@pytest.mark.parametrize(
    ("session", "seconds", "frames", "error", "refused"),
    [
        (User, 1.0, [], EOF, True),
        (User, 1.0, [], ConnectionLost("reset", "by the peer"), True),
        (User, 1.0, [], CLOSED, True),
        (User, 1.0, [text_frame("INVALID OPERATION")], EOF, True),
        (User, 5.0, [], EOF, False),
        (User, 1.0, [text_frame("PONG")], EOF, False),
        (User, 1.0, [text_frame("[]")], EOF, False),
        (User, 1.0, [], ConnectionLost("closed", "restart", code=1012), False),
        (User, 1.0, [], ConnectionLost("send_timeout", ""), False),
        (User, 1.0, [], ProtocolError(1002, "masked"), False),
        (Market, 1.0, [], EOF, False),
    ],
)
def test_refused_credentials_show_as_an_early_end(
    session: type[Market],
    seconds: float,
    frames: list[bytes],
    error: ConnectionLost | ProtocolError,
    refused: bool,
) -> None:
    """On the user channel, within 5 s, before data or PONG: the server gives no reason."""
    conversation = session()
    conversation.receive(*frames)

    assert refused is conversation.session.ending(error, OPENED_AT + seconds).refused


@pytest.mark.parametrize(
    ("frames", "seconds", "ending"),
    [
        ([], 60.0, Ending()),
        ([text_frame("NO NEW ASSETS")], 60.0, Ending()),
        ([text_frame("PONG")], 0.4, Ending(useful=True)),
        ([text_frame("[]")], 0.5, Ending(useful=True, lasting=True)),
    ],
)
def test_a_connection_was_useful_when_it_brought_data_or_pong(
    frames: list[bytes], seconds: float, ending: Ending
) -> None:
    """And lasting when it was open for ten seconds besides."""
    market = Market()
    market.receive(*frames)

    assert ending == market.session.ending(EOF, OPENED_AT + seconds)


def test_no_repr_shows_the_secret() -> None:
    """The text waits in the outbox, which is not in the repr."""
    user = User()

    assert "SECRET-1" in str(user.sent())
    assert "SECRET-1" not in repr(user.session)


# --- other owners --------------------------------------------------------------------------------


class Kept(BooklessView):
    """The view of an owner that keeps what it receives, and tells nothing."""

    def __init__(self) -> None:
        super().__init__(is_told=False, is_complete_once_open=False)
        self.kept: list[Decoded | DecodeError] = []

    def take(self, decoded: Decoded, now: float) -> None:
        self.kept.append(decoded)

    def take_flaw(self, error: DecodeError, now: float) -> None:
        self.kept.append(error)


def test_a_view_that_only_keeps_tells_nothing_and_keeps_its_heartbeat() -> None:
    """Its events, flaws, raw frames and missing answers are kept or counted, not told."""
    market, view = Market(opened=False, hears_frames=True), Kept()
    market.session.use(view, Gaps())
    market.session.open(market.wanted, OPENED_AT)
    broken = text_frame('{"event_type":"book","market":"0x1","asset_id":"1"}')

    assert [] == market.receive(text_frame(book_text()), broken, text_frame("PONG"))
    assert [Decoded, DecodeError] == [type(item) for item in view.kept]
    assert (0, 0) == (market.session.tally.decode_errors, len(market.session.tally.events))
    silent_for = OPENED_AT + (RETRIES + 2) * OPTIONS.first_event_timeout
    told = [market.session.tick(OPENED_AT + n * OPTIONS.first_event_timeout) for n in range(1, 6)]
    assert [[]] * 5 == told
    assert market.session.deadline < silent_for


def test_a_message_may_come_from_something_that_is_no_socket() -> None:
    """A whole text is taken like one that came in frames, and counted."""
    market, other = Market(), Market()

    expected = market.receive(text_frame(book_text()))
    actual = other.session.receive_text(book_text(), OPENED_AT, int(OPENED_AT * 1e9))

    assert described(expected) == described(actual)
    assert (1, 1) == (other.session.messages, other.session.tally.messages)


def test_what_another_connection_received_is_told_after_its_gap() -> None:
    """The lost book is stale, then what was received; a refresh among it heals the book."""
    market = Market()
    market.receive(text_frame(book_text("1")), text_frame(book_text("2")))
    [refresh] = decode_market(book_text("2", "0.3", timestamp=2, answers=False), 0)
    flaw = DecodeError("$", "?")

    told = market.session.replay([refresh, flaw], ["2"], OPENED_AT)

    events = [item for item in told if not isinstance(item, BookCore)]
    assert [Gap, Book, Resync, DecodeError] == [type(item) for item in events]
    assert ("disconnect", ("2",)) == (events[0].reason, events[0].asset_ids)  # type: ignore[union-attr]
    assert all(core.valid for core in market.wanted.cores.values())


def test_what_is_asked_for_again_is_awaited() -> None:
    """And asked for once more when nothing comes."""
    market = Market()
    market.receive(text_frame(book_text("1")), text_frame(book_text("2")))

    market.session.ask_again(["2"], OPENED_AT)
    asked = market.sent()

    assert (renewal("2"), {"2"}) == (asked, set(market.session.unanswered))
    assert market.wanted.cores["2"].verification.awaited.holds
    market.session.tick(OPENED_AT + OPTIONS.first_event_timeout)
    assert asked == [text for text in market.sent() if text != "PING"]

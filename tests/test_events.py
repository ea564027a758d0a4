"""The values that callbacks receive: frozen, comparable, short to print, back to the wire."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import strategies

from polymarket_ws import events
from polymarket_ws.events import (
    CONTINUITY,
    CUSTOM_FEATURES,
    EVENTS,
    LIFECYCLE,
    OWN,
    Book,
    Connected,
    Disconnected,
    Event,
    EventMessage,
    Frame,
    Gap,
    LastTradePrice,
    Level,
    LevelChange,
    MakerOrder,
    NewMarket,
    Order,
    PriceChange,
    Resync,
    Side,
    State,
    TimedEvent,
    Trade,
    Unknown,
    Value,
    assets_of,
    plain,
)

M = "0x" + "1" * 64
TOKEN = "28756001267446015644282192000586184633181417034487430148393633388063374846479"


def book(**fields: Any) -> Book:
    """A book of two bids and an ask."""
    given: dict[str, Any] = {
        "market": M,
        "asset_id": TOKEN,
        "timestamp_ms": 1_700_000_000_123,
        "bids": (Level(Decimal("0.4"), Decimal(10)), Level(Decimal("0.3"), Decimal(5))),
        "asks": (Level(Decimal("0.6"), Decimal("7.5")),),
    }
    return Book(**{**given, **fields})


def order(**fields: Any) -> Order:
    """An order of one's own."""
    given: dict[str, Any] = {
        "id": "0x" + "f" * 64,
        "type": "PLACEMENT",
        "market": M,
        "asset_id": TOKEN,
        "side": Side.BUY,
        "price": Decimal("0.5"),
        "original_size": Decimal(10),
        "timestamp_ms": 1_700_000_000_000,
    }
    return Order(**{**given, **fields})


def disconnected(**fields: Any) -> Disconnected:
    """The end of a connection."""
    given: dict[str, Any] = {
        "channel": "market",
        "connection": "1-market",
        "generation": 1,
        "reason": "closed",
        "will_retry": True,
    }
    return Disconnected(**{**given, **fields})


def gap(**fields: Any) -> Gap:
    """What a lost connection leaves unknown."""
    given: dict[str, Any] = {
        "channel": "market",
        "connection": "1-market",
        "reason": "disconnect",
        "asset_ids": (TOKEN, "2"),
    }
    return Gap(**{**given, **fields})


def resync(**fields: Any) -> Resync:
    """Its end."""
    given: dict[str, Any] = {
        "channel": "market",
        "connection": "1-market",
        "reason": "disconnect",
        "asset_ids": ("2",),
    }
    return Resync(**{**given, **fields})


ours: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        Unknown, channel=st.just("market"), wire_event_type=strategies.words, data=st.just({"a": 1})
    ),
    st.builds(Frame, channel=st.just("user"), text=strategies.words),
    st.builds(
        Connected,
        channel=st.just("market"),
        connection=strategies.words,
        generation=st.integers(1, 9),
        reconnected=st.booleans(),
        attempt=st.integers(1, 9),
        downtime=st.none() | st.floats(0, 1e6),
    ),
    st.builds(
        disconnected,
        detail=st.text(max_size=300),
        code=st.none() | st.integers(1000, 4999),
        delay=st.none() | st.floats(0, 300),
    ),
    st.builds(
        gap,
        asset_ids=st.lists(strategies.words, max_size=300).map(tuple),
        dropped=st.integers(0, 10**9),
    ),
    st.builds(resync, duration=st.floats(0, 1e6)),
)
all_events = strategies.wire_events | ours


# --- enumerations --------------------------------------------------------------------------------


@pytest.mark.parametrize("member", [*Side, *State])
def test_an_enumeration_is_its_text(member: Side | State) -> None:
    """Equal to it, printed as it, of the same hash, in JSON as it."""
    text = member.value

    assert text == member
    assert (text, text) == (str(member), f"{member}")
    assert hash(text) == hash(member)
    assert f'"{text}"' == json.dumps(member)
    assert f"{text:>12}" == f"{member:>12}"


# --- as values -----------------------------------------------------------------------------------


@given(all_events)
def test_events_are_values(event: Event) -> None:
    """Equal to a copy and a pickle, and of the same hash."""
    copies = [
        copy.copy(event),
        copy.deepcopy(event),
        pickle.loads(pickle.dumps(event)),
        attrs.evolve(event, received_at_ns=event.received_at_ns + 1),
    ]

    assert [event] * 4 == copies
    assert {hash(event)} == {hash(c) for c in copies}


def test_when_an_event_was_received_does_not_count() -> None:
    """The same event over two connections is equal."""
    assert book(received_at_ns=1) == book(received_at_ns=2)
    assert book(timestamp_ms=1) != book(timestamp_ms=2)
    assert book(extra={"new": 1}) != book()


@pytest.mark.parametrize("kind", [*EVENTS.values(), LevelChange, MakerOrder, EventMessage])
def test_values_are_frozen_slotted_and_keyword_only(kind: type[Value]) -> None:
    """So that they cross threads, stay small, and may gain fields."""
    assert not hasattr(kind, "__dict__") or "__dict__" not in dir(object.__new__(kind))
    assert all(field.kw_only for field in attrs.fields(kind))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        object.__new__(kind).extra = {}  # type: ignore[misc]


def test_a_level_is_a_pair() -> None:
    """It unpacks, and has names."""
    [(price, size), _] = book().bids

    assert (Decimal("0.4"), Decimal(10)) == (price, size) == book().bids[0]
    assert (price, size) == (book().bids[0].price, book().bids[0].size)


@given(strategies.times_ms)
def test_a_timestamp_is_aware(timestamp_ms: int) -> None:
    """In UTC, exact to the millisecond."""
    timestamp = book(timestamp_ms=timestamp_ms).timestamp

    assert (timezone.utc, timedelta(0)) == (timestamp.tzinfo, timestamp.utcoffset())
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert timestamp_ms * 1000 == (timestamp - epoch) // timedelta(microseconds=1)


def test_every_event_is_known_by_its_callbacks_name() -> None:
    """The wire's event_type, or our word."""
    assert all(name == kind.event_type for name, kind in EVENTS.items())
    assert {"connect", "disconnect"} == {kind.event_type for kind in LIFECYCLE}
    assert {"gap", "resync"} == {kind.event_type for kind in CONTINUITY}
    assert {"order", "trade"} == {kind.event_type for kind in OWN}
    assert set(EVENTS) >= CUSTOM_FEATURES
    assert {k for k in vars(events).values() if isinstance(k, type) and issubclass(k, Event)} == {
        Event,
        TimedEvent,
        *EVENTS.values(),
    }


# --- a book's best -------------------------------------------------------------------------------


def test_a_book_knows_its_top() -> None:
    """Best first on both sides, so the first levels are the top."""
    value = book()

    assert (value.bids[0], value.asks[0]) == value.top
    assert (Decimal("0.5"), Decimal("0.2")) == (value.mid, value.spread)


@pytest.mark.parametrize("side", ["bids", "asks"])
def test_an_empty_side_has_no_top(side: str) -> None:
    """None for the side, and for what needs both."""
    value = book(**{side: ()})

    assert 1 == value.top.count(None)
    assert (None, None) == (value.mid, value.spread)


# --- back to the wire ----------------------------------------------------------------------------


def test_a_book_goes_back_to_the_wires_shape() -> None:
    """Names, strings, the worst level first; unknown fields are kept; what is None is absent."""
    assert {
        "event_type": "book",
        "market": M,
        "asset_id": TOKEN,
        "timestamp": "1700000000123",
        "hash": "abc",
        "bids": [{"price": "0.3", "size": "5"}, {"price": "0.4", "size": "10"}],
        "asks": [{"price": "0.6", "size": "7.5"}],
        "neg_risk": True,
        "level": 2,
    } == book(hash="abc", neg_risk=True, extra={"level": 2}, received_at_ns=9).to_dict()


def test_an_order_goes_back_to_the_wires_shape() -> None:
    """Times that the wire has in seconds are in seconds, unless that would lose something."""
    value = order(
        size_matched=Decimal("0"),
        created_at_ms=1_700_000_000_000,
        expiration_ms=1_700_000_000_001,
        associate_trades=("t1", "t2"),
        status="LIVE",
    )

    assert {
        "event_type": "order",
        "id": "0x" + "f" * 64,
        "type": "PLACEMENT",
        "market": M,
        "asset_id": TOKEN,
        "side": "BUY",
        "price": "0.5",
        "original_size": "10",
        "size_matched": "0",
        "status": "LIVE",
        "timestamp": "1700000000000",
        "created_at": "1700000000",
        "expiration": "1700000000001",
        "associate_trades": ["t1", "t2"],
    } == value.to_dict()
    assert str is type(value.to_dict()["side"])


def test_nested_values_go_back_too() -> None:
    """Entries, makers and the event message are objects on the wire."""
    change = LevelChange(
        asset_id=TOKEN,
        price=Decimal("0.5"),
        size=Decimal("1E+3"),
        side=Side.SELL,
        best_ask=Decimal("1"),
    )
    maker = MakerOrder(
        order_id="o", matched_amount=Decimal(3), price=Decimal("0.5"), outcome_index=1
    )
    trade = Trade(
        id="t",
        status="MATCHED",
        market=M,
        asset_id=TOKEN,
        side=Side.BUY,
        size=Decimal(3),
        price=Decimal("0.5"),
        bucket_index=0,
        maker_orders=(maker,),
        timestamp_ms=1,
    )
    new = NewMarket(
        id="1",
        market=M,
        asset_ids=("1", "2"),
        active=False,
        event_message=EventMessage(id="7", extra={"x": 1}),
        fee_schedule={"exponent": "1"},
        timestamp_ms=1,
    )

    assert [
        {"asset_id": TOKEN, "price": "0.5", "size": "1000", "side": "SELL", "best_ask": "1"}
    ] == PriceChange(market=M, price_changes=(change,), timestamp_ms=1).to_dict()["price_changes"]
    assert [
        {"order_id": "o", "matched_amount": "3", "price": "0.5", "outcome_index": 1}
    ] == trade.to_dict()["maker_orders"]
    assert 0 == trade.to_dict()["bucket_index"]
    written = new.to_dict()
    assert (["1", "2"], False, {"exponent": "1"}) == (
        written["assets_ids"],
        written["active"],
        written["fee_schedule"],
    )
    assert ("7", 1) == (written["event_message"]["id"], written["event_message"]["x"])


def test_our_own_events_have_a_dict_too() -> None:
    """Their fields by name; nothing is on the wire."""
    assert {
        "channel": "market",
        "connection": "1-market",
        "generation": 1,
        "reason": "closed",
        "detail": "",
        "will_retry": True,
        "attempt": 0,
    } == disconnected().to_dict()
    lost = {"channel": "market", "connection": "1-market", "reason": "disconnect"}
    assert {**lost, "asset_ids": [TOKEN, "2"], "dropped": 0, "detail": ""} == gap().to_dict()
    assert {**lost, "asset_ids": ["2"], "duration": 1.5} == resync(duration=1.5).to_dict()


@given(strategies.wire_events)
def test_a_dict_is_json(event: Event) -> None:
    """Every event can be written as it is; each number is a string, as on the wire."""
    written = event.to_dict()

    assert written == json.loads(json.dumps(written))
    assert event.event_type == written["event_type"]
    assert isinstance(written["timestamp"], str)


@pytest.mark.parametrize(
    ("number", "text"),
    [("1E+3", "1000"), ("1E-7", "0.0000001"), ("0.870", "0.870"), ("-0.01", "-0.01"), ("0", "0")],
)
def test_a_number_is_written_without_exponent(number: str, text: str) -> None:
    """And with its zeros."""
    assert text == plain(Decimal(number))


@pytest.mark.parametrize(
    ("make", "assets"),
    [
        (book, (TOKEN,)),
        (gap, (TOKEN, "2")),
        (lambda: gap(channel="user", asset_ids=()), ()),
        (disconnected, ()),
        (lambda: Frame(channel="market", text="x"), ()),
        (
            lambda: PriceChange(
                market=M,
                timestamp_ms=1,
                price_changes=tuple(
                    LevelChange(asset_id=id_, price=Decimal(1), size=Decimal(1), side=Side.BUY)
                    for id_ in "12"
                ),
            ),
            ("1", "2"),
        ),
    ],
)
def test_an_event_is_about_its_assets(make: Callable[[], Event], assets: tuple[str, ...]) -> None:
    """One, several, or none."""
    assert assets == assets_of(make())


# --- printed -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (
            book,
            "Book(asset_id='2875600126…6479', top=(0.4x10, 0.6x7.5), timestamp_ms=1700000000123)",
        ),
        (lambda: book(asset_id="1", bids=()), "Book(asset_id='1', top=(None, 0.6x7.5), timest"),
        (
            lambda: order(status="LIVE"),
            "Order(id='0xffffffff…ffff', type='PLACEMENT', status='LIVE', side=BUY, price=0.5)",
        ),
        (
            lambda: disconnected(detail="code 1013 'slow consumer: send buffer full'", delay=1 / 3),
            "Disconnected(connection='1-market', reason='closed', "
            "detail=\"code 1013 'slow consumer: send buffer full'\", will_retry=True, delay=0.333)",
        ),
        (
            lambda: disconnected(detail="word " * 40),
            "Disconnected(connection='1-market', reason='closed', detail='word word ",
        ),
        (
            lambda: gap(reason="overflow", dropped=3),
            "Gap(reason='overflow', channel='market', asset_ids=('2875600126…6479', '2'), "
            "dropped=3)",
        ),
        (
            lambda: gap(channel="user", asset_ids=()),
            "Gap(reason='disconnect', channel='user'",
        ),
        (
            lambda: resync(duration=1 / 3),
            "Resync(reason='disconnect', channel='market', asset_ids=('2'), duration=0.333)",
        ),
        (
            lambda: Frame(channel="market", text='[{"a":1},\n{}]'),
            "Frame(channel='market', text='[{\"a\":1},\\n{}]')",
        ),
        (
            lambda: LastTradePrice(
                market=M,
                asset_id="1",
                price=Decimal("0.50"),
                size=Decimal(2),
                side=Side.SELL,
                timestamp_ms=5,
            ),
            "LastTradePrice(asset_id='1', side=SELL, price=0.50, size=2, timestamp_ms=5)",
        ),
    ],
)
def test_a_repr_shows_what_matters(make: Callable[[], Event], shown: str) -> None:
    """Long ids by their ends, sentences by their beginning, nothing that is empty."""
    assert repr(make()).startswith(shown)


def test_many_entries_are_cut() -> None:
    """Three are shown."""
    change = LevelChange(asset_id="1", price=Decimal("0.5"), size=Decimal(1), side=Side.BUY)
    entry = "LevelChange(asset_id='1', side=BUY, price=0.5, size=1)"

    assert [f"({entry}, {entry}, {entry}, …)", f"({entry}, {entry}, {entry})"] == [
        repr(PriceChange(market=M, timestamp_ms=1, price_changes=(change,) * count))
        .removeprefix("PriceChange(price_changes=")
        .removesuffix(", timestamp_ms=1)")
        for count in (4, 3)
    ]


@given(all_events)
def test_a_repr_is_one_short_line(event: Event) -> None:
    """Whatever the fields hold."""
    shown = repr(event)

    assert shown.startswith(type(event).__name__ + "(")
    assert len(shown.splitlines()) == 1
    assert len(shown) < 500

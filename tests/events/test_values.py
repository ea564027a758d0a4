"""What all events have in common: frozen, comparable, short to print, back to the wire."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from kit import strategies
from kit.examples import TOKEN, M, all_events, book, disconnected, gap, order, resync

from polymarket_ws.events import (
    EVENTS,
    Event,
    EventMessage,
    Frame,
    LastTradePrice,
    LevelChange,
    MakerOrder,
    PriceChange,
    Side,
    State,
    Value,
    plain,
)


@pytest.mark.parametrize("member", [*Side, *State])
def test_an_enumeration_is_its_text(member: Side | State) -> None:
    """Equal to it, printed as it, of the same hash, in JSON as it."""
    text = member.value

    assert text == member
    assert (text, text) == (str(member), f"{member}")
    assert hash(text) == hash(member)
    assert f'"{text}"' == json.dumps(member)
    assert f"{text:>12}" == f"{member:>12}"


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
    assert assets == make().assets


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


def test_an_event_is_its_own_identity() -> None:
    """Where a class names no shorter one: copies are equal, whenever they were received."""
    assert book(received_at_ns=1).identity == book(received_at_ns=2).identity
    assert book(timestamp_ms=1).identity != book(timestamp_ms=2).identity


def test_an_event_concerns_the_assets_that_it_names() -> None:
    """Any of them; it is not divided where its class does not say how."""
    whole = gap(asset_ids=("1", "2"))

    assert [True, True, False] == [whole.concerns(ids) for ids in ({"1"}, {"2", "3"}, {"3"})]
    assert whole is whole.narrowed_to({"1"})


HOSTILE = "</td><script>alert('x')</script>\x00\ud800"


@given(all_events)
def test_every_event_can_be_shown_in_a_notebook(event: Event) -> None:
    """As HTML, which can be encoded and has no element but ours."""
    html = event._repr_html_()  # type: ignore[attr-defined]  # not declared, since IPython asks

    assert html.encode()
    assert "<script" not in html.lower().replace("<style>", "")


def test_a_notebook_shows_fields_that_are_set() -> None:
    """Unknown ones, too, escaped; no API key."""
    event = attrs.evolve(order(), owner="key-1", order_owner="key-2", extra={HOSTILE: [HOSTILE]})

    html = event._repr_html_()

    assert ">PLACEMENT<" in html
    assert "&lt;/td&gt;&lt;script&gt;" in html
    assert not [one for one in ("<script>", "key-1", "key-2", "\x00", "order_owner") if one in html]


def test_a_notebook_shows_a_gap_with_its_reason() -> None:
    """And no fields that it has not."""
    html = attrs.evolve(gap(), detail="")._repr_html_()

    assert f">{gap().reason}<" in html
    assert "detail" not in html

"""A market event that is a class and nothing else: it goes all the way that the others go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from attrs import field, frozen
from kit.recorder import DEADLINE, Recorder
from kit.streaming import Streaming

from polymarket_ws import Subscriber
from polymarket_ws.commands.command_line import default_events, events_to_choose
from polymarket_ws.delivery.event_queue import EventQueue
from polymarket_ws.delivery.registration import Registrar
from polymarket_ws.errors import ConfigurationError, DecodeError
from polymarket_ws.events import Event, Gap, MarketEvent, Resync, Scope, Unknown, Value
from polymarket_ws.events.catalogue import register, unregister
from polymarket_ws.events.values import wire
from polymarket_ws.shards.broadcasts import Broadcasts
from polymarket_ws.shards.partition import Partition
from polymarket_ws.testing import FakeServer, make_book
from polymarket_ws.wire.decode import decode_market
from polymarket_ws.wire.updates import Decoded

MARKET = "0x" + "1".zfill(64)


@frozen(kw_only=True, repr=False)
class Queue(Value):
    """A part of the event below."""

    price: Decimal
    orders: int


@frozen(kw_only=True, repr=False)
class Depth(MarketEvent):
    """How long the queues of one asset are."""

    event_type: ClassVar[str] = "depth"
    _shown: ClassVar[tuple[str, ...]] = ("asset_id", "skew")

    market: str
    asset_id: str
    is_full: bool
    skew: Decimal | None = field(default=None, metadata=wire("imbalance", "skew", signed=True))
    queues: tuple[Queue, ...] = ()
    longest: Queue | None = None


@frozen(kw_only=True, repr=False)
class Merged(MarketEvent):
    """Two assets became one: an event of several assets that cannot be divided."""

    event_type: ClassVar[str] = "merged"

    asset_ids: tuple[str, ...]


@frozen(kw_only=True, repr=False)
class Halt(MarketEvent):
    """Everything stands still."""

    event_type: ClassVar[str] = "halt"
    scope: ClassVar[Scope] = Scope.GLOBAL
    is_broadcast: ClassVar[bool] = True
    needs_custom_features: ClassVar[bool] = True

    reason: str = ""


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    """The three are events of the market channel for as long as a test runs."""
    for kind in (Depth, Merged, Halt):
        register(kind)
    yield
    for kind in (Depth, Merged, Halt):
        unregister(kind)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that knows two assets."""
    with FakeServer() as server:
        for asset_id in "12":
            server.add_book(make_book(asset_id))
        yield server


def depth(asset_id: str = "1", skew: str = "-0.5", **fields: Any) -> Depth:
    """The event of one asset."""
    number = Decimal(skew)
    return Depth(
        market=MARKET, asset_id=asset_id, is_full=True, skew=number, timestamp_ms=10**12, **fields
    )


def halt(timestamp_ms: int = 10**12) -> Halt:
    """The broadcast."""
    return Halt(reason="flood", timestamp_ms=timestamp_ms)


def decoded(text: str) -> list[Event | DecodeError | None]:
    """What a text of the market channel brings."""
    found = decode_market(text, 0)
    return [one.event if isinstance(one, Decoded) else one for one in found]


QUEUES: dict[str, Any] = {
    "queues": (Queue(price=Decimal("0.4"), orders=3), Queue(price=Decimal("0.5"), orders=1)),
    "longest": Queue(price=Decimal("0.4"), orders=3),
}
WIRE: dict[str, Any] = {
    "event_type": "depth",
    "market": MARKET,
    "asset_id": "1",
    "is_full": True,
    "imbalance": "-0.5",
    "timestamp": "1000000000000",
    "queues": [{"price": "0.4", "orders": 3}, {"price": "0.5", "orders": 1}],
    "longest": {"price": "0.4", "orders": 3},
}


def test_it_is_decoded_by_its_fields() -> None:
    """Numbers, signed ones under their alias, and the values within it."""
    aliased = {("skew" if key == "imbalance" else key): value for key, value in WIRE.items()}

    assert [depth(**QUEUES)] * 2 == decoded(json.dumps([WIRE, aliased]))


def test_a_flaw_in_it_costs_as_little_as_in_any_other() -> None:
    """An optional field, one entry of a list, or the event; unknown fields are kept."""
    bad_entry = {**WIRE, "queues": [{"price": "0.4"}, WIRE["queues"][1]], "more": 1}
    event, missing = decoded(json.dumps(bad_entry))
    wrong, *rest = decoded(json.dumps({**WIRE, "is_full": "perhaps"}))

    assert depth(**{**QUEUES, "queues": QUEUES["queues"][1:]}, extra={"more": 1}) == event
    assert isinstance(missing, DecodeError)
    assert ("$.queues[0].orders", True) == (missing.path, missing.lost)
    assert isinstance(wrong, DecodeError)
    assert ("$.is_full", "depth", []) == (wrong.path, wrong.event_type, rest)


def test_it_goes_back_to_the_wires_shape() -> None:
    """And is printed by what it shows."""
    assert WIRE == depth(**QUEUES).to_dict()
    assert "Depth(asset_id='1', skew=-0.5)" == repr(depth())


def test_unregistered_it_is_an_unknown_event() -> None:
    """As before, and as an event of tomorrow."""
    unregister(Depth)
    [event] = decoded(json.dumps(WIRE))
    register(Depth)

    assert Unknown(channel="market", wire_event_type="depth", data=WIRE) == event


def test_a_callback_hears_of_its_asset(server: FakeServer) -> None:
    """By filter, by class, and with on_event; what is not subscribed is not delivered."""
    filtered, all_of_it, every, halts = (Recorder() for _ in range(4))
    sub = Subscriber(["1", "2"], options=server.options())
    Registrar[Depth](sub, "depth")(filtered, asset_id="1")
    Registrar[Depth](sub, "depth")(all_of_it, market=MARKET)
    Registrar[Halt](sub, "halt")(halts)
    sub.on_event(every)
    with sub, sub.events(Depth) as stream:
        sub.wait_ready(DEADLINE)
        for event in (depth("1"), depth("2"), halt()):
            server.send(event)
        server.send(json.dumps(depth("3").to_dict()))
        server.settle(sub)

        assert [depth("1")] == filtered.items
        assert [depth("1"), depth("2")] == all_of_it.items == [next(stream), next(stream)]
        assert [halt()] == halts.items
        assert [depth("1"), depth("2"), halt()] == [
            event for event in every.items if type(event) in (Depth, Halt)
        ]


def test_a_filter_needs_something_to_filter_by(server: FakeServer) -> None:
    """A class without a market or an asset takes none."""
    sub = Subscriber(["1"], options=server.options())
    with pytest.raises(ConfigurationError, match=r"^on_halt has no asset and no market"):
        Registrar[Halt](sub, "halt")(print, asset_id="1")


def test_its_custom_features_are_asked_for(server: FakeServer) -> None:
    """As soon as somebody listens for it."""
    sub = Subscriber(["1"], options=server.options())
    with sub:
        sub.wait_ready(DEADLINE)
        before = [connection.custom_features for connection in server.connections]
        unheard = server.send(halt())
        with sub.events(Halt) as stream:
            assert server.wait_until(lambda: server.connections[0].custom_features, DEADLINE)
            server.send(halt())
            assert halt() == stream.next_within(DEADLINE)

    assert ([False], 0) == (before, unheard)


def test_it_is_dropped_when_a_queue_is_full() -> None:
    """The oldest go, and a Gap tells of which assets; its Resync follows."""
    queue = EventQueue(1)
    queue.put([depth("1"), depth("2"), halt(), depth("1", "0.5")])
    overflow = {"channel": "market", "connection": "", "reason": "overflow"}

    assert [
        Gap(**overflow, asset_ids=("1", "2"), dropped=3),
        Resync(**overflow, asset_ids=("1", "2")),
        depth("1", "0.5"),
    ] == queue.pop_some(9)
    assert 3 == queue.dropped


def test_it_is_told_by_the_connection_of_its_asset() -> None:
    """By one, whichever bring it; the first asset's, where it names several."""
    partition = Partition(1)
    partition.assign(["1", "2"], lambda asset_id: "")
    both = Merged(asset_ids=("7", "2", "1"), timestamp_ms=1)

    for event, told in ((depth("1"), [True, False]), (depth("2"), [False, True])):
        assert told == [partition.share(number, event) is event for number in range(2)]
    assert [None, both] == [partition.share(number, both) for number in range(2)]
    assert [halt(), halt()] == [partition.share(number, halt()) for number in range(2)]


def test_a_broadcast_is_told_once() -> None:
    """Copies are known by what the class says: here they are equal."""
    broadcasts = Broadcasts()
    told = [broadcasts.first([depth(), halt(), depth()]), broadcasts.first([halt(), halt(7)])]

    assert [[depth(), halt(), depth()], [halt(7)]] == [list(items) for items in told]
    assert 1 == broadcasts.duplicates


def test_shards_deliver_each_event_once(server: FakeServer) -> None:
    """One of an asset comes by its own connection, a broadcast by the first that brings it."""
    heard = Recorder()
    sub = Subscriber(
        ["1", "2"], options=server.options(max_assets_per_connection=1, custom_features=True)
    )
    sub.on_event(heard)
    with sub:
        sub.wait_ready(DEADLINE)
        assert 2 == server.send(json.dumps(depth("1").to_dict()))  # to each, wanted or not
        assert 2 == server.send(halt())
        server.settle(sub)
        duplicates = sub.stats().broadcast_duplicates

    assert {depth("1"): 1, halt(): 1} == {
        event: heard.items.count(event) for event in (depth("1"), halt())
    }
    assert 1 == duplicates


def test_the_command_line_streams_it(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """By default, since a subscription alone brings it; a custom feature is for --events."""
    streaming = Streaming(["1", "--json", "--url", server.url()])
    with streaming as subscriber:
        server.send(depth(**QUEUES))
        server.settle(subscriber)
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    chosen = Streaming(["1", "--json", "--events", "halt", "--url", server.url()])
    with chosen as subscriber:
        server.send(halt())
        server.settle(subscriber)
    [line] = capsys.readouterr().out.splitlines()

    assert ["book", "depth"] == [line["event_type"] for line in written]
    assert WIRE == {k: v for k, v in written[1].items() if k != "received_at_ns"}
    assert ("halt", "flood") == (json.loads(line)["event_type"], json.loads(line)["reason"])
    assert {"depth", "merged"} == set(default_events()) & {"depth", "merged", "halt"}
    assert {"depth", "merged", "halt"} <= set(events_to_choose())
    assert (0, 0) == (streaming.code, chosen.code)

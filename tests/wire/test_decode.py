"""The general decoder: texts of either channel in, typed events and errors out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import strategies

from polymarket_ws import events
from polymarket_ws.errors import DecodeError
from polymarket_ws.events import Book, Event, Level, PriceChange, Side, Unknown
from polymarket_ws.wire import converter
from polymarket_ws.wire import decode as decoder
from polymarket_ws.wire.decode import (
    decode_listed_order,
    decode_listed_trade,
    decode_market,
    decode_user,
)
from polymarket_ws.wire.json_text import InvalidValue, check_text
from polymarket_ws.wire.updates import Change, Changes, Decoded, Snapshot

OWN_FRAMES = Path(__file__).resolve().parents[1] / "frames"
KINDS = {
    "book": ["book", "book"],
    "price_change": ["price_change"],
    "price_change_2024": ["price_change"],
    "price_change_2025": ["price_change"],
    "last_trade_price": ["last_trade_price"],
    "tick_size_change": ["tick_size_change"],
    "best_bid_ask": ["best_bid_ask"],
    "new_market": ["new_market"],
    "market_resolved": ["market_resolved"],
    "order": ["order"],
    "trade": ["trade"],
}
# file: lines, events, unknown, errors
RECORDED = {
    "market_best_bid_ask": (2, 2, 0, 0),
    "market_book": (27, 30, 1, 0),
    "market_capture": (60, 65, 0, 0),
    "market_last_trade_price": (14, 13, 1, 0),
    "market_market_resolved": (1, 1, 0, 0),
    "market_new_market": (2, 2, 0, 0),
    "market_price_change": (36, 35, 1, 1),
    "market_price_change_legacy": (3, 3, 0, 0),
    "market_tick_size_change": (4, 3, 1, 0),
    "user_order": (11, 11, 0, 0),
    "user_order_captured": (2, 2, 0, 0),
    "user_trade": (11, 11, 0, 1),
}


def decode(text: str, channel: str, received_at_ns: int) -> Sequence[Decoded | DecodeError]:
    """The events and errors of one text of either channel."""
    read = {"market": decode_market, "user": decode_user}[channel]
    return read(text, received_at_ns)


def own_frame(name: str) -> str:
    """The text of a frame in tests/frames."""
    return (OWN_FRAMES / f"{name}.json").read_text(encoding="utf-8")


def own_object(name: str) -> dict[str, Any]:
    """The (first) JSON object of a frame in tests/frames."""
    parsed = json.loads(own_frame(name))
    element: dict[str, Any] = parsed[0] if isinstance(parsed, list) else parsed
    return element


def decode_all(message: object, channel: str = "market") -> list[Decoded | DecodeError]:
    """Decode a text, or anything that JSON can write."""
    return decode(message if isinstance(message, str) else json.dumps(message), channel, 7)


def events_of(message: object, channel: str = "market") -> list[Event]:
    """Decode and return the events alone."""
    return [item.event for item in decode_all(message, channel) if isinstance(item, Decoded)]


def errors_of(message: object, channel: str = "market") -> list[DecodeError]:
    """Decode and return the errors alone."""
    return [item for item in decode_all(message, channel) if isinstance(item, DecodeError)]


def the_event(message: object, channel: str = "market") -> Any:
    """Decode what holds one event and no error."""
    (decoded,) = decode_all(message, channel)
    assert isinstance(decoded, Decoded), decoded
    return decoded.event


def the_error(message: object, channel: str = "market") -> DecodeError:
    """Decode what holds one error and no event."""
    (error,) = decode_all(message, channel)
    assert isinstance(error, DecodeError), error
    return error


def event_and_error(message: object, channel: str = "market") -> tuple[Any, DecodeError]:
    """Decode what holds one event, and one error after it."""
    decoded, error = decode_all(message, channel)
    assert isinstance(decoded, Decoded), decoded
    assert isinstance(error, DecodeError), error
    return decoded.event, error


OPTIONAL_FIELDS = [
    (name, field)
    for name, cls in decoder.WIRE_EVENTS.items()
    for field in converter._fields(cls)
    if not field.required
]
LISTED = {
    "id": "0xo",
    "status": "ORDER_STATUS_LIVE",
    "market": "0xm",
    "asset_id": "1",
    "side": "BUY",
    "original_size": "10",
    "size_matched": "2",
    "price": "0.5",
    "created_at": 1790491136,
    "expiration": "0",
    "associate_trades": ["t"],
    "owner": "b7f1-key",
}
"""An open order as REST lists it."""
MISFITS: list[Any] = [True, {"x": [1]}, "\t?", -1.5]
"""Every reader refuses one of these."""


class TestRecordedFrames:
    """What is known of the wire decodes as it should."""

    def test_every_kind_has_its_own_file(self) -> None:
        """Each event of the wire has a frame in tests/frames, and no file is without a test."""
        assert set(KINDS) == {path.stem for path in OWN_FRAMES.glob("*.json")}
        named = {kind for kinds in KINDS.values() for kind in kinds}
        assert set(decoder.WIRE_EVENTS) == named

    @pytest.mark.parametrize("name", KINDS)
    def test_own_frame(self, name: str) -> None:
        """A frame of our own decodes into the events that it is named for."""
        decoded = decode(own_frame(name), "user" if name in ("order", "trade") else "market", 1)
        kinds = [item.event.event_type for item in decoded if isinstance(item, Decoded)]
        assert KINDS[name] == kinds
        assert len(decoded) == len(kinds)

    @pytest.mark.parametrize("name", RECORDED)
    def test_recorded_file(self, frames_dir: Path, name: str) -> None:
        """Every recorded line goes through, with exactly these numbers of events and errors."""
        lines = (frames_dir / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        counts: Counter[str] = Counter()
        for line in lines:
            for item in decode(line, name.partition("_")[0], 1):
                if isinstance(item, DecodeError):
                    counts["errors"] += 1
                else:
                    counts["unknown" if isinstance(item.event, Unknown) else "events"] += 1
        counted = (len(lines), counts["events"], counts["unknown"], counts["errors"])
        assert RECORDED[name] == counted

    def test_table_is_complete(self, frames_dir: Path) -> None:
        """No recorded file of the two channels is left out."""
        found = {p.stem for c in ("market", "user") for p in frames_dir.glob(f"{c}_*.jsonl")}
        assert set(RECORDED) == found

    def test_control_frames(self, frames_dir: Path) -> None:
        """The recorded texts that are no data raise nothing either."""
        lines = (frames_dir / "control_frames.jsonl").read_text(encoding="utf-8").splitlines()
        for line in lines:
            decode(json.loads(line)["text"], "market", 1)

    def test_capture_to_dict_is_the_wire(self, frames_dir: Path) -> None:
        """to_dict() of each event of the live capture equals the JSON that it came from."""
        lines = (frames_dir / "market_capture.jsonl").read_text(encoding="utf-8").splitlines()
        for line in lines:
            wire = json.loads(line)
            written = [event.to_dict() for event in events_of(line)]
            assert (wire if isinstance(wire, list) else [wire]) == written


class TestMessages:
    """One text may hold one event, many, or none."""

    def test_object(self) -> None:
        """A bare object is one event, stamped with the time it was received."""
        event = the_event(own_object("last_trade_price"))
        assert isinstance(event, events.LastTradePrice)
        assert event.received_at_ns == 7

    def test_array_keeps_order(self) -> None:
        """An array that mixes kinds is delivered in its order."""
        names = ["last_trade_price", "book", "price_change"]
        decoded = events_of([own_object(name) for name in names])
        assert names == [event.event_type for event in decoded]

    @pytest.mark.parametrize("text", ["", " \r\n\t", "[]", "[]\n"])
    def test_nothing(self, text: str) -> None:
        """A blank text, or the empty array that answers unknown assets, is no event."""
        assert decode_all(text) == []

    def test_concatenated_objects(self) -> None:
        """Objects end to end, with or without a newline between, are read one after the other."""
        text = json.dumps(own_object("last_trade_price"))
        assert len(events_of(f"\n{text}{text}\n{text}\n")) == 3

    def test_nested_array(self) -> None:
        """An array in the array is tolerated; its bad elements have both indexes in the path."""
        good = own_object("best_bid_ask")
        decoded = decode_all([[good, 5], good])
        assert [Decoded, DecodeError, Decoded] == [type(item) for item in decoded]
        assert "$[0][1]" == decoded[1].path  # type: ignore[union-attr]  # an error, as shown above

    def test_broken_rest(self) -> None:
        """What comes before broken JSON is delivered, and the rest is one error."""
        good = json.dumps(own_object("last_trade_price"))
        first, error = decode_all(good + '{"event_type":"book","asset_id":')
        assert isinstance(first, Decoded)
        assert isinstance(error, DecodeError)
        assert (
            f'broken JSON from character {len(good)} on @ $: {{"event_type":"book","asset_id":'
            == str(error)
        )
        assert ("", None, None) == (error.event_type, error.asset_id, error.market)

    @pytest.mark.parametrize(
        ("text", "path", "reason"),
        [
            ("5", "$", "expected an object, not 5"),
            ('"PONG"', "$", 'expected an object, not "PONG"'),
            ("null", "$", "expected an object, not null"),
            ("true", "$", "expected an object, not true"),
            ("NaN", "$", 'expected an object, not "NaN"'),
            ("[[[]]]", "$[0][0]", "expected an object, not an array"),
            ("PONG", "$", "broken JSON from character 0 on"),
            ("\ufeff{}", "$", "broken JSON from character 0 on"),
            ("{}}", "$", "broken JSON from character 2 on"),
            ("[" * 200_000, "$", "JSON nested too deeply"),
            ('{"a":"\ud800"}', "$", "half a surrogate pair, which is no text"),
            ('[{"\\ud800":1}]', "$[0]", "half a surrogate pair, which is no text"),
        ],
    )
    def test_no_event(self, text: str, path: str, reason: str) -> None:
        """A text that is no event is one error, whose sentence says what it is instead."""
        error = errors_of(text)[-1]
        assert (path, reason) == (error.path, error.reason)
        error.excerpt.encode()

    def test_escaped_pair(self) -> None:
        """A whole surrogate pair is a character, so it is no error."""
        text = '{"event_type":"new_thing","title":"\\ud83d\\ude00 é"}'
        assert the_event(text).data["title"] == "\U0001f600 é"

    def test_deep_unknown_fields(self) -> None:
        """An element that is deep, but not too deep to parse, raises nothing either."""
        for depth in (500, 900, 5_000, 100_000):
            deep = '{"a":' * depth + '"\\ud800"' + "}" * depth
            assert len(decode_all(deep)) == 1
            assert len(decode_all(f'{{"event_type":"book","x":{deep}}}')) == 1

    def test_deep_excerpt(self) -> None:
        """An element too deep to be written again has an empty excerpt."""
        deep: list[object] = []
        for _ in range(100_000):
            deep = [deep]
        assert decoder._excerpt(deep) == ""
        with pytest.raises(InvalidValue, match="JSON nested too deeply"):
            check_text(deep)

    def test_huge_numbers(self) -> None:
        """A number of any length in an unknown field costs nothing, in a known one the element."""
        huge = "9" * 5_000
        text = f'{{"event_type":"tick","x":{huge},"y":1e999999,"z":-Infinity,"f":0.25}}'
        expected = {"event_type": "tick", "x": huge, "y": "1e999999", "z": "-Infinity"}
        assert {**expected, "f": Decimal("0.25")} == the_event(text).data
        book = json.dumps(own_object("book")).replace('"75"', huge)
        assert the_error(book).path == "$.bids[2].size"

    def test_bad_elements_cost_themselves(self) -> None:
        """A bad element is one error in its place, and its neighbours are delivered."""
        bad = {**own_object("book"), "timestamp": "soon"}
        first, error, last = decode_all([own_object("order"), bad, own_object("trade")], "user")
        assert isinstance(first, Decoded)
        assert isinstance(last, Decoded)
        assert isinstance(error, DecodeError)
        assert ("$[1].timestamp", 'expected a time, not "soon"') == (error.path, error.reason)
        assert ("book", bad["asset_id"], bad["market"]) == (
            error.event_type,
            error.asset_id,
            error.market,
        )


class TestKinds:
    """Which event an object is."""

    def test_unknown_type(self) -> None:
        """An event type of the future is an Unknown with its name and its whole data."""
        message = {"event_type": "some_future_event", "market": "0x1", "n": 1}
        expected = Unknown(channel="market", wire_event_type="some_future_event", data=message)
        assert expected == the_event(message)

    @pytest.mark.parametrize("name", [None, "", 5, ["book"], {}, False])
    def test_no_type(self, name: object) -> None:
        """Without a readable type it is an Unknown with an empty name."""
        assert the_event({"event_type": name, "market": "0x1"}).wire_event_type == ""

    @pytest.mark.parametrize("name", ["connect", "disconnect", "frame", "unknown"])
    def test_our_own_names(self, name: str) -> None:
        """The server cannot make an event of our own kinds."""
        assert the_event({"event_type": name}).wire_event_type == name

    @pytest.mark.parametrize(
        ("type_", "expected"),
        [
            ("PLACEMENT", events.Order),
            ("UPDATE", events.Order),
            ("CANCELLATION", events.Order),
            ("TRADE", events.Trade),
            ("SOMETHING", Unknown),
            (["TRADE"], Unknown),
        ],
    )
    def test_user_type(self, type_: object, expected: type[Event]) -> None:
        """On the user channel the field `type` tells an order from a trade without event_type."""
        name = "trade" if type_ == "TRADE" else "order"
        message = {**own_object(name), "type": type_}
        del message["event_type"]
        assert expected is type(the_event(message, "user"))
        assert Unknown is type(the_event(message, "market"))

    def test_user_type_in_error(self) -> None:
        """The error of an order without event_type knows that it is an order."""
        message = {**own_object("order"), "price": "?"}
        del message["event_type"]
        _, error = event_and_error(message, "user")
        assert error.event_type == "order"

    def test_other_channel(self) -> None:
        """A known event of the other channel is decoded just the same."""
        assert isinstance(the_event(own_object("book"), "user"), Book)


class TestBook:
    """Snapshots."""

    def test_levels_are_best_first(self) -> None:
        """Both sides are sorted best first, whatever the wire's order."""
        message = own_object("book")
        message["asks"] = message["asks"][::-1]
        book = the_event(message)
        assert ["0.48", "0.47", "0.01"] == [str(level.price) for level in book.bids]
        assert ["0.5", "0.51", "0.99"] == [str(level.price) for level in book.asks]

    def test_update_keeps_the_wire(self) -> None:
        """The update holds the wire's own strings in the wire's order."""
        message = own_object("book")
        message["bids"] = [{"price": ".480", "size": "1.50"}, {"price": 0.5, "size": 10}]
        message["tick_size"] = ""
        (decoded,) = decode_all(message)
        assert isinstance(decoded, Decoded)
        asks = [(level["price"], level["size"]) for level in message["asks"]]
        bids = [(".480", "1.50"), ("0.5", "10")]
        expected = Snapshot(
            message["market"], message["asset_id"], int(message["timestamp"]), message["hash"],
            bids, asks, None, "0.490",
        )  # fmt: skip
        assert expected == decoded.update

    def test_equal_prices(self) -> None:
        """Of several levels at one price the last counts, and a level of size 0 is none."""
        message = own_object("book")
        pairs = [("0.5", "1"), ("0.4", "2"), ("0.50", "3"), ("0.3", "0.0"), ("0.4", "0")]
        message["bids"] = [{"price": price, "size": size} for price, size in pairs]
        assert (Level(Decimal("0.50"), Decimal(3)),) == the_event(message).bids

    def test_null_side(self) -> None:
        """A side that is null is empty; one that is missing is an error."""
        message = {**own_object("book"), "bids": None}
        assert () == the_event(message).bids
        del message["bids"]
        assert ("$.bids", "missing") == (the_error(message).path, the_error(message).reason)

    def test_never_traded(self) -> None:
        """The empty last_trade_price of a market that never traded is None, as is an empty hash."""
        book = the_event({**own_object("book"), "last_trade_price": "", "hash": ""})
        assert (None, None) == (book.last_trade_price, book.hash)

    @pytest.mark.parametrize("name", ["tick_size", "last_trade_price", "hash"])
    def test_optional_fields(self, name: str) -> None:
        """A field that only some snapshots have may be missing."""
        message = own_object("book")
        del message[name]
        assert getattr(the_event(message), name) is None

    @pytest.mark.parametrize(
        ("level", "path", "reason"),
        [
            ({"price": "x", "size": "1"}, "[1].price", 'expected a number, not "x"'),
            ({"price": "1", "size": "-1"}, "[1].size", 'expected a number from 0, not "-1"'),
            ({"price": "1"}, "[1].size", "missing"),
            (["0.5", "1"], "[1]", "expected an object, not an array"),
        ],
    )
    def test_bad_level_costs_the_book(self, level: object, path: str, reason: str) -> None:
        """A book with one bad level is an error as a whole, for that asset and market."""
        message = own_object("book")
        message["asks"].insert(1, level)
        error = the_error(message)
        assert (f"$.asks{path}", reason) == (error.path, error.reason)
        assert (message["asset_id"], message["market"]) == (error.asset_id, error.market)


class TestPriceChange:
    """Deltas, in the shapes of three eras."""

    def test_entries_and_update(self) -> None:
        """The entries come in order, and the update has the wire's own strings."""
        message = own_object("price_change")
        (decoded,) = decode_all(message)
        assert isinstance(decoded, Decoded)
        assert isinstance(decoded.event, PriceChange)
        assert [Side.BUY, Side.SELL] == [entry.side for entry in decoded.event.price_changes]
        assert isinstance(decoded.update, Changes)
        market, timestamp_ms, changes = decoded.update
        assert (message["market"], int(message["timestamp"])) == (market, timestamp_ms)
        for entry, change in zip(message["price_changes"], changes, strict=True):
            assert entry == {key: getattr(change, key) for key in entry}

    def test_sparse_entry(self) -> None:
        """Numbers as JSON numbers, "" for a best price and no hash are tolerated."""
        message = own_object("price_change")
        entry = {"asset_id": "1", "price": 0.48, "size": 0, "side": "sell", "best_bid": ""}
        message["price_changes"] = [entry]
        (decoded,) = decode_all(message)
        assert isinstance(decoded, Decoded)
        assert isinstance(decoded.update, Changes)
        assert [Change("1", "0.48", "0", "SELL", None, None, None)] == decoded.update.changes

    @pytest.mark.parametrize("era", ["2024", "2025"])
    def test_older_eras(self, era: str) -> None:
        """The shapes before September 2025 become the same event, with the envelope's hash."""
        message = own_object(f"price_change_{era}")
        message["new_field"] = 1
        event = the_event(message)
        assert isinstance(event, PriceChange)
        entry = event.price_changes[0]
        assert (message["asset_id"], message["hash"]) == (entry.asset_id, entry.hash)
        assert ("0.48", "175", Side.BUY) == (str(entry.price), str(entry.size), entry.side)
        assert {"new_field": 1} == event.extra
        assert {} == entry.extra

    @pytest.mark.parametrize(
        ("name", "change", "path"),
        [
            ("price_change", {"price_changes": [{}]}, "$.price_changes[0].asset_id"),
            ("price_change", {"price_changes": [7]}, "$.price_changes[0]"),
            ("price_change", {"price_changes": None}, "$.price_changes"),
            ("price_change", {"price_changes": {}}, "$.price_changes"),
            ("price_change", {"timestamp": None}, "$.timestamp"),
            ("price_change_2025", {"changes": [{"side": "BUY"}]}, "$.changes[0].price"),
            ("price_change_2025", {"changes": ["x"]}, "$.changes[0]"),
            ("price_change_2025", {"market": []}, "$.market"),
            ("price_change_2024", {"size": "much"}, "$.size"),
            ("price_change_2024", {"asset_id": None}, "$.asset_id"),
        ],
    )
    def test_paths(self, name: str, change: dict[str, Any], path: str) -> None:
        """The error's path is that of the message as it came, whatever its era."""
        error = the_error({**own_object(name), **change})
        assert (path, "price_change") == (error.path, error.event_type)

    def test_bad_entry_costs_itself(self) -> None:
        """A bad entry is an error of its own after the event that has the good ones."""
        message = own_object("price_change")
        message["price_changes"][0]["price"] = "NaN"
        decoded, error = decode_all([message])
        assert isinstance(decoded, Decoded)
        assert isinstance(decoded.event, PriceChange)
        assert isinstance(decoded.update, Changes)
        assert 1 == len(decoded.event.price_changes) == len(decoded.update.changes)
        assert isinstance(error, DecodeError)
        bad = message["price_changes"][0]
        assert ("price_change", bad["asset_id"], message["market"]) == (
            error.event_type,
            error.asset_id,
            error.market,
        )
        sentence = 'expected a number, not "NaN" @ $[0].price_changes[0].price: {"asset_id":"'
        assert str(error).startswith(sentence)

    def test_all_bad_entries(self) -> None:
        """When all entries are bad there is no event, but an error for each."""
        message = own_object("price_change")
        for entry in message["price_changes"]:
            entry["side"] = "HOLD"
        reasons = [error.reason for error in errors_of(message)]
        assert ['expected BUY or SELL, not "HOLD"'] * 2 == reasons
        assert [] == events_of(message)

    def test_no_entries(self) -> None:
        """An empty list of changes is an event without changes."""
        assert () == the_event({**own_object("price_change"), "price_changes": []}).price_changes


class TestTolerance:
    """What the wire has been seen to vary."""

    def test_unknown_fields(self) -> None:
        """Fields that this version does not know are kept in `extra`, where they came."""
        message = {**own_object("trade"), "new": [1], "received_at_ns": 2, "extra": 3}
        message["maker_orders"][0]["rank"] = 1
        trade = the_event(message, "user")
        assert {"new": [1], "received_at_ns": 2, "extra": 3} == trade.extra
        assert {"rank": 1} == trade.maker_orders[0].extra
        assert 7 == trade.received_at_ns

    def test_list_as_json(self) -> None:
        """A list may come as a string of JSON."""
        message = own_object("new_market")
        plain_event = the_event(message)
        for name in ("assets_ids", "outcomes", "clob_token_ids", "tags"):
            message[name] = json.dumps(message[name])
        assert plain_event == the_event(message)

    @pytest.mark.parametrize("alias", ["asset_ids", "token_ids"])
    def test_aliases(self, alias: str) -> None:
        """The sane spellings of assets_ids are read too, and are no extra fields."""
        message = own_object("market_resolved")
        ids = message.pop("assets_ids")
        event = the_event({**message, alias: ids})
        assert (tuple(ids), {}) == (event.asset_ids, event.extra)
        spoiled, error = event_and_error({**message, alias: {}})
        assert (f"$.{alias}", (), {alias: {}}) == (error.path, spoiled.asset_ids, spoiled.extra)

    def test_both_names(self) -> None:
        """The wire's own name wins over an alias."""
        message = {**own_object("market_resolved"), "token_ids": ["9"]}
        assert tuple(message["assets_ids"]) == the_event(message).asset_ids

    def test_matchtime(self) -> None:
        """The match time is read under either name."""
        message = own_object("trade")
        message["matchtime"] = message.pop("match_time")
        assert the_event(message, "user").match_time_ms == 1795392007000

    def test_minimal_messages(self) -> None:
        """Every field with a default may be missing; of one's own events all but the id."""
        for name, cls in decoder.WIRE_EVENTS.items():
            read = {field.key for field in converter._fields(cls) if field.required}
            message = {k: v for k, v in own_object(name).items() if k in read}
            first, *errors = decode_all({**message, "event_type": name})
            assert isinstance(first, Decoded)
            assert cls is type(first.event)
            assert ["$"] * issubclass(cls, events.OwnEvent) == [e.path for e in errors]
            assert not any(e.lost for e in errors)

    def test_what_own_events_lack(self) -> None:
        """It is None, or the time received, and one error names it all."""
        trade, error = event_and_error({"id": "t", "event_type": "trade", "price": ""}, "user")
        assert (None, None, None, 0) == (trade.status, trade.side, trade.price, trade.timestamp_ms)
        assert "missing: timestamp, status, market, asset_id, side, size, price" == error.reason
        order, *errors = decode_all({"id": "o", "size_matched": "1", "timestamp": "soon"}, "user")
        assert isinstance(order, Decoded)
        assert {"timestamp": "soon"} == order.event.extra
        assert ["$.timestamp", "$"] == [e.path for e in errors if isinstance(e, DecodeError)]

    def test_time_of_a_trade_without_timestamp(self) -> None:
        """It is the server's last word on it: last_update, or match_time."""
        message = own_object("trade")
        del message["timestamp"]
        trade, error = event_and_error(message, "user")
        assert ("missing: timestamp", trade.last_update_ms) == (error.reason, trade.timestamp_ms)
        del message["last_update"]
        trade, _ = event_and_error(message, "user")
        assert trade.match_time_ms == trade.timestamp_ms

    @pytest.mark.parametrize("name", ["order", "trade"])
    def test_own_event_is_known_by_its_fields(self, name: str) -> None:
        """Where the server wrote neither event_type nor type."""
        message = own_object(name)
        del message["event_type"], message["type"]
        assert name == decode_all(message, "user")[0].event.event_type

    @pytest.mark.parametrize("name", ["order", "trade"])
    def test_statuses_are_open(self, name: str) -> None:
        """REST's prefix is taken from a status; any text is one."""
        message = {**own_object(name), "status": f"{name.upper()}_STATUS_FROZEN"}
        assert the_event(message, "user").status == "FROZEN"

    def test_killed_order(self) -> None:
        """The "" that a killed order has for numbers and times is None."""
        message = {**own_object("order"), "size_matched": "", "created_at": "", "status": None}
        order = the_event(message, "user")
        assert (None, None, None, None) == (
            order.size_matched,
            order.created_at_ms,
            order.expiration_ms,
            order.status,
        )
        assert () == order.associate_trades

    def test_signs(self) -> None:
        """A spread may be negative (a crossed book), a rate too (a rebate); a price may not."""
        message = {**own_object("best_bid_ask"), "spread": "-0.01", "best_ask": ""}
        event = the_event(message)
        assert (Decimal("-0.01"), None) == (event.spread, event.best_ask)
        message["best_bid"] = "-0.01"
        _, error = event_and_error(message)
        assert 'expected a number from 0, not "-0.01"' == error.reason
        rebate = {**own_object("last_trade_price"), "fee_rate_bps": -5}
        assert Decimal(-5) == the_event(rebate).fee_rate_bps

    def test_off_grid_price(self) -> None:
        """A price with many decimals is exact."""
        message = {**own_object("last_trade_price"), "price": "0.0030000000012", "size": "0.0"}
        event = the_event(message)
        assert ("0.0030000000012", 0) == (str(event.price), event.size)

    def test_event_message(self) -> None:
        """The event that a market belongs to may be null, and is an object otherwise."""
        message = own_object("new_market")
        assert the_event(message).event_message.slug == "rain-in-bern"
        assert the_event({**message, "event_message": None}).event_message is None
        assert the_event({**message, "event_message": ""}).event_message is None

    def test_maker_orders(self) -> None:
        """A maker order of the twin token is read whole."""
        twin = the_event(own_object("trade"), "user").maker_orders[1]
        assert (Side.BUY, 1, Decimal(3)) == (twin.side, twin.outcome_index, twin.matched_amount)

    def test_secrets_in_errors(self) -> None:
        """An error's sentence shows no API key."""
        first = {"price": None, "owner": "b7f1-key", "auth": {"secret": "s3cret"}}
        error = the_error(first | {**own_object("order"), **first, "id": None}, "user")
        assert "b7f1-key" not in str(error)
        assert "s3cret" not in str(error)
        assert '"owner":"***"' in error.excerpt


class TestListed:
    """Rows of REST's listings, read as the channel's messages."""

    def test_order(self) -> None:
        """The status is without its prefix, the time that of the listing, the source "rest"."""
        errors: list[DecodeError] = []
        order = decode_listed_order(LISTED, 7_000_000, errors)
        assert ("LIVE", 7, "rest", None, ("t",), 1790491136000, None) == (
            order.status,
            order.timestamp_ms,
            order.source,
            order.type,
            order.associate_trades,
            order.created_at_ms,
            order.expiration_ms,
        )
        assert ([], "rest") == (errors, order.to_dict()["source"])

    def test_captured_trades(self, frames_dir: Path) -> None:
        """Their time is last_update; a rate of "" is none; float noise stays as it came."""
        rows = json.loads((frames_dir / "rest" / "data_trades.json").read_text())["data"]
        rows[0]["maker_orders"][0]["price"] = "0.7210000476613491"
        errors: list[DecodeError] = []
        first, second = (decode_listed_trade(row, 7, errors) for row in rows)
        assert ([], "CONFIRMED", "rest", 1787980577000) == (
            errors,
            first.status,
            first.source,
            first.timestamp_ms,
        )
        assert ("0.7210000476613491", None) == (
            str(first.maker_orders[0].price),
            first.maker_orders[0].fee_rate_bps,
        )
        assert Decimal("4.12") == second.size

    def test_bad_row(self) -> None:
        """One without an id is an error of its own, which shows no key."""
        with pytest.raises(DecodeError, match="expected a string") as caught:
            decode_listed_order({**LISTED, "id": None}, 7)
        assert ("$.id", "b7f1" in str(caught.value)) == (caught.value.path, False)
        with pytest.raises(DecodeError, match="expected an object, not an array"):
            decode_listed_trade([], 7)  # type: ignore[arg-type]
        with pytest.raises(DecodeError, match="surrogate"):
            decode_listed_trade({"id": "\ud800"}, 7)

    def test_flawed_row(self) -> None:
        """It is read as far as it can be; what is wrong is told to who asks for it."""
        errors: list[DecodeError] = []
        row = {**LISTED, "price": "much", "side": None}
        order = decode_listed_order(row, 7, errors)
        assert order == decode_listed_order(row, 7)
        assert (None, None, {"price": "much"}) == (order.price, order.side, order.extra)
        assert ["$.price", "$"] == [error.path for error in errors]
        assert {("order", "1", "0xm", False)} == {
            (error.event_type, error.asset_id, error.market, error.lost) for error in errors
        }


class TestFlaws:
    """A flaw costs no more than it has to."""

    @pytest.mark.parametrize(("name", "field"), OPTIONAL_FIELDS)
    def test_any_optional_field(self, name: str, field: converter._Field) -> None:
        """Whichever optional field is wrong, the event has its default, and the raw in extra."""
        good = own_object(name)
        cls = decoder.WIRE_EVENTS[name]
        default = {f.name: f.default for f in attrs.fields(cls)}[field.name]
        if field.name == "timestamp_ms":  # of one's own events: something else says when it was
            default = the_event(good).last_update_ms if name == "trade" else 0
        refused = 0
        for misfit in MISFITS:
            decoded = decode_all({**good, field.key: misfit})
            assert isinstance(decoded[0], Decoded)
            if len(decoded) == 1:
                continue
            refused += 1
            event, error = event_and_error({**good, field.key: misfit})
            assert (cls, default) == (type(event), getattr(event, field.name))
            assert json.dumps({field.key: misfit}) == json.dumps(event.extra, default=float)
            assert (name, False) == (error.event_type, error.lost)
            assert error.path.startswith(f"$.{field.key}")
        assert refused

    def test_two_flaws(self) -> None:
        """Each flaw is an error of its own, in the order of the fields, beside unknown fields."""
        message = {**own_object("order"), "outcome": [], "new": 1, "associate_trades": [2, {}]}
        decoded, *errors = decode_all([message], "user")
        assert isinstance(decoded, Decoded)
        assert {"outcome": [], "new": 1, "associate_trades": [2, {}]} == decoded.event.extra
        paths = [error.path for error in errors if isinstance(error, DecodeError)]
        assert ["$[0].associate_trades[1]", "$[0].outcome"] == paths

    def test_required_field_costs_the_element(self) -> None:
        """With a required field wrong too, there is one error: of that field."""
        error = the_error({**own_object("order"), "size_matched": [], "id": []}, "user")
        assert ("$.id", True) == (error.path, error.lost)

    def test_to_dict_has_the_raw(self) -> None:
        """What the wire wrote is written back, and decodes into an equal event."""
        message = {**own_object("trade"), "bucket_index": "first", "maker_orders": {"a": 1}}
        event = events_of(message, "user")[0]
        assert ("first", {"a": 1}) == tuple(
            event.to_dict()[key] for key in ("bucket_index", "maker_orders")
        )
        assert [event] == events_of(event.to_dict(), "user")

    def test_book_update(self) -> None:
        """The update of a flawed book has no part in the flaw."""
        flawed = {"tick_size": [1], "last_trade_price": {}, "hash": True}
        decoded, *errors = decode_all({**own_object("book"), **flawed})
        assert isinstance(decoded, Decoded)
        assert isinstance(decoded.update, Snapshot)
        assert flawed == decoded.event.extra
        assert len(errors) == 3
        update = decoded.update
        assert (None, None, None) == (update.tick_size, update.last_trade_price, update.hash)

    def test_level_change(self) -> None:
        """A level change without its best bid is applied; the error says whose it was."""
        message = own_object("price_change")
        message["price_changes"][1]["best_bid"] = ["0.4"]
        decoded, error = decode_all(message)
        assert isinstance(decoded, Decoded)
        assert isinstance(decoded.event, PriceChange)
        assert isinstance(decoded.update, Changes)
        entry = decoded.event.price_changes[1]
        assert (None, {"best_bid": ["0.4"]}) == (entry.best_bid, entry.extra)
        change = decoded.update.changes[1]
        assert (None, message["price_changes"][1]["best_ask"]) == (change.best_bid, change.best_ask)
        assert isinstance(error, DecodeError)
        assert ("$.price_changes[1].best_bid", False) == (error.path, error.lost)
        assert ("price_change", entry.asset_id, message["market"]) == (
            error.event_type,
            error.asset_id,
            error.market,
        )

    @pytest.mark.parametrize(
        ("era", "path"), [("2024", "$.hash"), ("2025", "$.changes[0].best_bid")]
    )
    def test_older_eras(self, era: str, path: str) -> None:
        """A flaw in an older frame has the path of the message as it came."""
        message = own_object(f"price_change_{era}")
        if era == "2025":
            message["changes"][0]["best_bid"] = "much"
        else:
            message["hash"] = []
        event, error = event_and_error(message)
        entries = len(message.get("changes", ["the message itself"]))
        assert (path, entries) == (error.path, len(event.price_changes))

    def test_lost_and_flawed_entries(self) -> None:
        """Of a lost entry its required field is told alone; entries are told in their order."""
        message = own_object("price_change")
        message["price_changes"][0] |= {"best_bid": [], "size": []}
        message["price_changes"][1] |= {"hash": [], "best_ask": []}
        decoded, *errors = decode_all(message)
        assert isinstance(decoded, Decoded)
        told = [(e.path, e.lost) for e in errors if isinstance(e, DecodeError)]
        assert [
            ("$.price_changes[0].size", True),
            ("$.price_changes[1].hash", False),
            ("$.price_changes[1].best_ask", False),
        ] == told

    def test_lost_maker_order(self) -> None:
        """A maker order without its size is left out, and shown by its error alone."""
        message = own_object("trade")
        message["maker_orders"].append({**message["maker_orders"][1], "order_id": "third"})
        bad = message["maker_orders"][1]
        bad["matched_amount"] = None
        trade, error = event_and_error(message, "user")
        kept = [order.order_id for order in trade.maker_orders]
        assert [message["maker_orders"][0]["order_id"], "third"] == kept
        assert {} == trade.extra
        assert ("$.maker_orders[1].matched_amount", "expected a number, not null", True) == (
            error.path,
            error.reason,
            error.lost,
        )
        assert ("trade", bad["asset_id"], message["market"]) == (
            error.event_type,
            error.asset_id,
            error.market,
        )
        assert error.excerpt.startswith(f'{{"asset_id":"{bad["asset_id"]}"')

    def test_no_maker_order_left(self) -> None:
        """The trade is delivered even if none of its maker orders is."""
        message = {**own_object("trade"), "maker_orders": [5]}
        trade, error = event_and_error(message, "user")
        assert ((), "$.maker_orders[0]", True) == (trade.maker_orders, error.path, error.lost)

    def test_maker_order(self) -> None:
        """A flaw in an optional field of a maker order costs the order that field."""
        message = own_object("trade")
        message["maker_orders"][0]["fee_rate_bps"] = {}
        trade, error = event_and_error(message, "user")
        order = trade.maker_orders[0]
        assert (None, {"fee_rate_bps": {}}) == (order.fee_rate_bps, order.extra)
        assert ({}, 2) == (trade.extra, len(trade.maker_orders))
        assert ("$.maker_orders[0].fee_rate_bps", False) == (error.path, error.lost)

    def test_event_message(self) -> None:
        """A flaw within the event that a market belongs to costs that one field of it."""
        message = own_object("new_market")
        message["event_message"]["id"] = []
        market, error = event_and_error(message)
        assert ("", {"id": []}) == (market.event_message.id, market.event_message.extra)
        assert ("rain-in-bern", {}) == (market.event_message.slug, market.extra)
        assert ("$.event_message.id", "new_market", False, message["market"]) == (
            error.path,
            error.event_type,
            error.lost,
            error.market,
        )


class TestProperties:
    """What holds for all texts."""

    @given(strategies.wire_events)
    def test_round_trip(self, event: Event) -> None:
        """An event that is written to the wire and decoded again is equal."""
        text = json.dumps(event.to_dict(), ensure_ascii=False)
        assert event == the_event(text)

    @given(strategies.wire_events, st.data())
    def test_optional_fields_cost_themselves(self, event: Event, data: st.DataObject) -> None:
        """Whatever stands in an optional field, the event is delivered with all other fields."""
        optional = [f for f in converter._fields(type(event)) if not f.required]
        if not optional:
            return
        field = data.draw(st.sampled_from(optional))
        raw = data.draw(strategies.json_values)
        decoded, *errors = decode_all({**event.to_dict(), field.key: raw})
        assert isinstance(decoded, Decoded), decoded
        kept = {field.name: getattr(event, field.name), "extra": event.extra}
        assert event == attrs.evolve(decoded.event, **kept)
        assert not any(e.lost for e in errors if isinstance(e, DecodeError) and "[" not in e.path)

    @given(st.lists(strategies.wire_messages, max_size=4))
    def test_array_is_its_elements(self, messages: list[dict[str, Any]]) -> None:
        """An array, and its objects end to end, decode as its objects one by one."""
        single = [event for message in messages for event in events_of(message)]
        assert single == events_of(messages)
        assert single == events_of("\n".join(map(json.dumps, messages)))

    @given(st.sampled_from(["market", "user"]), strategies.spoiled_texts())
    def test_spoiled_texts(self, channel: str, text: str) -> None:
        """A spoiled message raises nothing, and its results can be printed and written."""
        self._holds(text, channel)

    @given(st.text() | strategies.json_values.map(json.dumps))
    def test_any_text(self, text: str) -> None:
        """No text at all raises."""
        self._holds(text, "user")

    @given(st.sampled_from(sorted(KINDS)), st.data())
    def test_spoiled_frames(self, name: str, data: st.DataObject) -> None:
        """A recorded frame with any stretch replaced raises nothing."""
        text = own_frame(name)
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, len(text)))
        pieces = st.sampled_from(['"', "]", "{", "null", "-1", "1e99", "[[", "\\udfff"])
        self._holds(text[:start] + data.draw(pieces | st.text(max_size=3)) + text[end:], "market")

    @staticmethod
    def _holds(text: str, channel: str) -> None:
        for item in decode(text, channel, 1):
            if isinstance(item, DecodeError):
                assert item.path.startswith("$")
                str(item).encode()
            else:
                repr(item.event).encode()
                as_dict: Callable[[], object] = item.event.to_dict
                as_dict()
                assert (item.update is None) is not isinstance(item.event, (Book, PriceChange))

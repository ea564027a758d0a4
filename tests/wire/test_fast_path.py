"""The fast path reads what the general decoder reads, or nothing: on recorded, made and mutated
messages.
"""

from __future__ import annotations

import decimal
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.decoding import CHANGE_FIELDS, agrees

from polymarket_ws.events import Book, PriceChange
from polymarket_ws.testing import SimulatedExchange
from polymarket_ws.wire import fast_path
from polymarket_ws.wire.fast_path import FAST_TYPES, decode_fast, parse_plain
from polymarket_ws.wire.updates import Changes, Snapshot

FRAMES = Path(__file__).resolve().parents[3] / "shared" / "frames"
PARSERS = [parse_plain, pytest.importorskip("polymarket_ws.wire.msgspec_parser").parse]

MARKET = "0x" + "a" * 64
CHANGE = {
    "market": MARKET,
    "price_changes": [
        {
            "asset_id": asset_id,
            "price": "0.5",
            "size": "10.5",
            "side": side,
            "hash": "ab",
            "best_bid": "0.4",
            "best_ask": "0.6",
        }
        for asset_id, side in (("1", "BUY"), ("2", "SELL"))
    ],
    "timestamp": "1790491136945",
    "event_type": "price_change",
}
BOOK = {
    "market": MARKET,
    "asset_id": "1",
    "timestamp": "1790491136945",
    "hash": "ab",
    "bids": [{"price": "0.3", "size": "5"}, {"price": "0.4", "size": "10"}],
    "asks": [{"price": "0.6", "size": "5.25"}],
    "event_type": "book",
}
ANSWER = {**BOOK, "tick_size": "0.01", "last_trade_price": ""}
PRINT = {
    "market": MARKET,
    "asset_id": "1",
    "price": "0.5",
    "size": "3",
    "side": "SELL",
    "timestamp": "1790491136945",
    "fee_rate_bps": "0",
    "transaction_hash": "0xab",
    "event_type": "last_trade_price",
}
FREQUENT = [CHANGE, BOOK, ANSWER, PRINT]


@pytest.fixture(autouse=True, params=PARSERS, ids=["json", "msgspec"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test runs with either parser."""
    monkeypatch.setattr(fast_path, "parse_fast", request.param)


def recorded() -> Iterator[str]:
    """Every message of every file."""
    for path in sorted(FRAMES.glob("*.jsonl")):
        yield from path.read_text(encoding="utf-8").splitlines()


@pytest.mark.skipif(not FRAMES.exists(), reason="needs ../shared/frames, which is not here")
def test_recorded_messages_are_read_alike() -> None:
    """Every line of every file; of the live capture all but nothing takes the slow path."""
    for text in recorded():
        agrees(text)
    capture = (FRAMES / "market_capture.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(map(agrees, capture))


def test_simulated_messages_are_read_alike() -> None:
    """Of a thousand steps of the exchange it reads all changes, books and prints."""
    exchange = SimulatedExchange(3)
    assert agrees(json.dumps([exchange.snapshot(a) for a in exchange.asset_ids]) + "\n")
    for event in exchange.steps(300):
        assert (event["event_type"] in FAST_TYPES) == agrees(json.dumps(event))


@pytest.mark.parametrize("event", FREQUENT, ids=lambda e: f"{e['event_type']}-{len(e)}")
def test_frequent_messages_are_read(event: dict[str, Any]) -> None:
    """Alone and in an array, with white space around, in any order of keys."""
    text = json.dumps(event)
    for variant in (text, f"[{text},{text}]", f"{text}\n", json.dumps(event, sort_keys=True)):
        assert agrees(variant)


odd = st.sampled_from(
    [
        None,
        "",
        "0",
        "0.0",
        ".5",
        "5.",
        ".",
        "1.2.3",
        "-1",
        "NaN",
        "1e3",
        "1e999",
        "0.50",
        "buy",
        "1790491136",
        "0000000000001",
        "9" * 13,
        "9" * 70,
        "9" * 30,
        " 1",
        "١",
        "\ud800",
        "a\\b",
        7,
        0.5,
        10**30,
        10**120,
        float("nan"),
        True,
        [],
        {},
        ["1"],
    ]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a message."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*path, key))


def mutated(event: Any, path: tuple[Any, ...], how: str, value: Any) -> Any:
    """A copy with one place changed, taken out, or given an unknown neighbour."""
    copy = json.loads(json.dumps(event))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    if how == "change":
        inner[path[-1]] = value
    elif how == "drop":
        del inner[path[-1]]
    elif isinstance(inner, dict):
        inner["later"] = value
    else:
        inner.append(value)
    return copy


@given(data=st.data())
def test_mutated_messages_are_read_alike_or_left(data: st.DataObject) -> None:
    """One or two places of a frequent message hold something else, or nothing."""
    event: Any = data.draw(st.sampled_from(FREQUENT))
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(list(places(event)) or [("event_type",)]))
        how = data.draw(st.sampled_from(["change", "change", "drop", "add"]))
        try:
            event = mutated(event, path, how, data.draw(odd))
        except (KeyError, IndexError):  # the second place went with the first
            continue
    agrees(json.dumps(event, ensure_ascii=data.draw(st.booleans())))


@given(st.text(max_size=30), st.integers(0, 400))
def test_broken_texts_are_left_to_the_general_decoder(noise: str, place: int) -> None:
    """A text cut anywhere, or with something in its middle."""
    text = json.dumps(CHANGE)
    agrees(text[:place])
    agrees(text[:place] + noise + text[place:])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "null",
        "[]x",
        '{"event_type":"price_change"}{}',
        '{"event_type":["book"]}',
        "[" * 100_000,
        json.dumps({**CHANGE, "price_changes": []}),
        json.dumps({**CHANGE, "price_changes": "no"}),
        json.dumps({**CHANGE, "timestamp": "0000000000001"}),
        json.dumps({**CHANGE, "later": "1"}),
        json.dumps({**CHANGE, "market": None}),
        json.dumps({**CHANGE, "price_changes": [{**CHANGE["price_changes"][0], "hash": ""}]}),
        json.dumps({**CHANGE, "price_changes": [{**CHANGE["price_changes"][0], "later": "1"}]}),
        json.dumps({**BOOK, "bids": BOOK["bids"][::-1]}),
        json.dumps({**BOOK, "asks": [{"price": "0.6", "size": "0"}]}),
        json.dumps({**CHANGE, "price_changes": [{**CHANGE["price_changes"][0], "price": "x"}]}),
        json.dumps({**CHANGE, "price_changes": [{**CHANGE["price_changes"][0], "best_bid": None}]}),
        json.dumps({**PRINT, "price": float("nan")}),
        json.dumps({**PRINT, "price": "x"}),
        json.dumps({**PRINT, "size": "x"}),
        json.dumps({**PRINT, "fee_rate_bps": "x"}),
        json.dumps({**CHANGE, "price_changes": [{**CHANGE["price_changes"][0], "size": "1.2.3"}]}),
        json.dumps({**BOOK, "later": "1"}),
        json.dumps({**BOOK, "bids": {}}),
        json.dumps({**BOOK, "bids": [{"price": "x", "size": "1"}]}),
        json.dumps({**BOOK, "bids": [{"price": "0.4", "size": "9" * 70}]}),
        json.dumps({**BOOK, "bids": [{"price": "0.4", "size": "1.2.3"}]}),
        json.dumps({**BOOK, "bids": [{"price": "0.4", "size": "."}]}),
        json.dumps({**BOOK, "bids": [{"price": "0.4", "size": "1", "n": "1"}]}),
        json.dumps({**ANSWER, "tick_size": "fine"}),
        *(
            json.dumps({**ANSWER, key: value})
            for key in ("tick_size", "last_trade_price")
            for value in (1, 0, 0.0, False, [], {})
        ),
        json.dumps({**ANSWER, "last_trade_price": "none"}),
        json.dumps({**PRINT, "transaction_hash": None}),
        json.dumps({**PRINT, "later": "1"}),
        json.dumps({**PRINT, "side": "buy"}),
    ],
)
def test_other_messages_are_left_to_the_general_decoder(text: str) -> None:
    """None, and never an exception."""
    assert decode_fast(text, 0, None) is None


@pytest.mark.parametrize("size", ["1.2.3", ".", ""])
def test_a_program_that_tolerates_nan_gets_none(size: str) -> None:
    """Threads inherit the traps of `decimal.DefaultContext`: without one, Decimal gives NaN."""
    text = json.dumps({**BOOK, "bids": [{"price": "0.4", "size": size}, *BOOK["bids"]]})

    with decimal.localcontext() as context:
        context.traps[decimal.InvalidOperation] = False
        assert decode_fast(text, 0, None) is None


def test_an_empty_array_holds_nothing() -> None:
    """As a server answers for unknown tokens."""
    assert [] == decode_fast("[]", 0, None)


def test_of_what_nobody_hears_no_event_is_made() -> None:
    """The books' part is there all the same; a print is always made, since books need it."""
    (change,) = decode_fast(json.dumps(CHANGE), 0, frozenset({"book"})) or []
    (book,) = decode_fast(json.dumps(BOOK), 0, frozenset({"price_change"})) or []
    (print_,) = decode_fast(json.dumps(PRINT), 0, frozenset()) or []

    assert (None, None) == (change.event, book.event)
    assert ["price_change", "book", "last_trade_price"] == [
        d.event_type for d in (change, book, print_)
    ]
    assert change.update is not None
    assert book.update is not None
    heard = decode_fast(json.dumps([CHANGE, BOOK]), 0, frozenset({"book", "price_change"})) or []
    assert [PriceChange, Book] == [type(d.event) for d in heard]


def test_both_parsers_hand_over_the_same() -> None:
    """What the books take, and a print's strings; only the entries of a price_change are others."""
    for event, kind in zip(FREQUENT, (Changes, Snapshot, Snapshot, tuple), strict=True):
        (plain,), (fast,) = (parse(json.dumps(event)) for parse in PARSERS)
        assert kind is type(plain) is type(fast)
        if isinstance(plain, Changes) and isinstance(fast, Changes):
            assert [*map(CHANGE_FIELDS, plain.changes)] == [*map(CHANGE_FIELDS, fast.changes)]
            plain, fast = (update._replace(changes=[]) for update in (plain, fast))
        assert plain == fast


def test_without_the_extra_the_standard_library_parses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same result, more slowly."""
    assert fast_path.find_fast_parser() is PARSERS[1]
    monkeypatch.setitem(sys.modules, "polymarket_ws.wire.msgspec_parser", None)
    monkeypatch.setattr(fast_path, "parse_fast", fast_path.find_fast_parser())

    assert fast_path.parse_fast is None
    assert agrees(json.dumps(CHANGE))


@pytest.mark.parametrize(("limit", "message"), [("ELEMENTS", [CHANGE, CHANGE]), ("LEVELS", BOOK)])
def test_what_is_over_a_limit_is_left(
    limit: str, message: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message with more elements or levels than allowed is the general decoder's to refuse."""
    text = json.dumps(message)
    assert decode_fast(text, 7, None) is not None

    monkeypatch.setattr(fast_path, limit, 1)

    assert decode_fast(text, 7, None) is None

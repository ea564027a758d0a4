"""What a message may hold: beyond it, one clear error, and nothing is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from polymarket_ws.errors import DecodeError, ProtocolError
from polymarket_ws.wire import fast_path, limits
from polymarket_ws.wire.decode import decode_market, decode_user
from polymarket_ws.wire.fast_path import decode_fast
from polymarket_ws.wire.updates import Decoded

MARKET = "0x" + "a" * 64


def book(count: int, price: str = "0.{:05d}") -> dict[str, Any]:
    """A book with so many bids."""
    levels = [{"price": price.format(number), "size": "1"} for number in range(1, count + 1)]
    return {
        "event_type": "book",
        "asset_id": "1",
        "market": MARKET,
        "timestamp": "1790000000000",
        "hash": "ab" * 20,
        "bids": levels,
        "asks": [],
    }


def change(*entries: dict[str, Any]) -> dict[str, Any]:
    """A price_change with these entries."""
    return {
        "event_type": "price_change",
        "market": MARKET,
        "timestamp": "1790000000000",
        "price_changes": list(entries),
    }


def entry(price: str = "0.5", asset_id: str = "1") -> dict[str, Any]:
    """A changed level."""
    return {
        "asset_id": asset_id,
        "price": price,
        "size": "1",
        "side": "BUY",
        "hash": "ab" * 20,
        "best_bid": "0.5",
        "best_ask": "0.6",
    }


def errors_of(message: object) -> list[DecodeError]:
    """The errors of a text that the fast path leaves to the general decoder."""
    text = json.dumps(message)
    assert decode_fast(text, 1, None) is None
    return [found for found in decode_market(text, 1) if isinstance(found, DecodeError)]


@pytest.mark.parametrize(
    "text", ["[" + "{}," * 20_000 + "{}]", "{} " * 20_001, "[[" + "{}," * 20_000 + "{}]]"]
)
def test_a_message_has_so_many_elements(text: str) -> None:
    """In an array, end to end, or in an array in an array."""
    with pytest.raises(ProtocolError, match="a message of more than 20000 elements") as raised:
        decode_market(text, 1)

    assert 1008 == raised.value.code
    assert 20_000 == len(decode_market("{} " * 20_000, 1))


def test_the_fast_path_leaves_many_elements_to_the_general_decoder() -> None:
    """There they end the connection."""
    text = json.dumps([change(entry())] * 20_001)

    assert decode_fast(text, 1, None) is None
    with pytest.raises(ProtocolError):
        decode_market(text, 1)


def test_a_message_has_so_many_errors() -> None:
    """One more, and nothing of it is told but that."""
    assert limits.ERRORS == len(decode_user("1 " * limits.ERRORS, 1))
    with pytest.raises(ProtocolError, match="a message with more than 1000 errors"):
        decode_user("1 " * (limits.ERRORS + 1), 1)


def test_a_book_has_so_many_levels_on_a_side() -> None:
    """One of more is refused, whole."""
    assert isinstance(decode_market(json.dumps(book(limits.LEVELS)), 1)[0], Decoded)
    [error] = errors_of(book(limits.LEVELS + 1))

    assert ("expected at most 20000 levels, not 20001", "$.bids", "1") == (
        error.reason,
        error.path,
        error.asset_id,
    )


def test_a_price_change_has_so_many_entries() -> None:
    """One of more is refused, whole; it names its market, whose books are asked for again."""
    [error] = errors_of(change(*[entry()] * (limits.ENTRIES + 1)))

    assert ("expected at most 20000 entries, not 20001", MARKET) == (error.reason, error.market)


@pytest.mark.parametrize(
    "message", [book(1, "0." + "0" * 19 + "{}"), change(entry("0." + "1" * 19))]
)
def test_a_level_s_price_is_short(message: dict[str, Any]) -> None:
    """A longer one is no price: many of one hash could be found."""
    [error] = errors_of(message)

    assert "expected a price of at most 20 characters" in error.reason


def test_ids_are_short() -> None:
    """They are kept as keys."""
    long = "7" * (limits.ID_CHARS + 1)
    [error] = decode_market(json.dumps({**book(1), "asset_id": long, "x": 1}), 1)

    assert isinstance(error, DecodeError)
    assert "expected at most 256 characters" in error.reason


@pytest.mark.parametrize("parse", [fast_path.parse_fast, None])
@pytest.mark.parametrize("key", ["asset_id", "market", "hash"])
def test_the_fast_path_leaves_long_ids_to_the_general_decoder(
    monkeypatch: pytest.MonkeyPatch, parse: Any, key: str
) -> None:
    """Of all three messages: what one of the two refuses, the other must not take."""
    monkeypatch.setattr(fast_path, "parse_fast", parse)
    texts = ("size", "side", "hash", "best_bid", "best_ask", "asset_id")
    entry = {"price": "0.5"} | dict.fromkeys(texts, "1") | {"side": "BUY"}
    change = {"event_type": "price_change", "market": MARKET, "timestamp": "1790000000000"}
    price_change = {**change, "price_changes": [entry]}
    print_ = {**book(0), "event_type": "last_trade_price", "price": "0.5", "size": "1"}
    for name in ("hash", "bids", "asks"):
        del print_[name]
    print_ |= {"side": "BUY", "fee_rate_bps": "0", "transaction_hash": "0x1"}
    for message in (book(1), price_change, print_):
        holder = entry if message is price_change and key in entry else message
        if key not in holder:
            continue
        assert decode_fast(json.dumps(message), 0, None) is not None
        former, holder[key] = holder[key], "9" * (limits.ID_CHARS + 1)
        assert decode_fast(json.dumps(message), 0, None) is None
        holder[key] = former


@pytest.mark.parametrize("value", ["9" * (limits.ID_CHARS + 1), [], {}])
@pytest.mark.parametrize("key", ["asset_id", "hash"])
def test_what_old_entries_share_is_refused_once(key: str, value: Any) -> None:
    """Each entry's error would show it anew: 2 MB of it took 18 ms for each of 20 000 entries."""
    message = {
        "event_type": "price_change",
        "market": MARKET,
        "timestamp": "1790000000000",
        "changes": [{}] * 500,
        key: value,
    }
    [error] = decode_market(json.dumps(message), 0)
    assert isinstance(error, DecodeError)
    assert f"$.{key}" == error.path

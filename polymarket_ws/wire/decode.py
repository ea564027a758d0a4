"""The general decoder: any text of a channel to typed events, and an error for each bad part.

The fast path (fast_path.py) reads the frequent messages; all other texts come here. What the server
sends is documented at https://docs.polymarket.com/api-reference/wss/market and .../wss/user, but
captures differ from it, and from year to year. So the decoder is liberal: keys in any order, an
object or an array of them, several texts end to end, numbers as strings or not, seconds or
milliseconds, three forms of price_change, fields that nobody has heard of.

1. json_text.py parses the text to elements, each with its path ("$[2]"). Decimals stay exact.
2. `event_type` names the class of an element. One without a class becomes `Unknown`.
3. converter.py makes the value from the class's own fields, by the readers of fields.py.
4. For a book or a price_change, what the books need is kept beside the event, in the wire's own
   strings: the server's hash of a book is made of them.

No text raises but one that breaks a limit of limits.py. What is wrong costs as little as it can,
and its error follows what is left:

- An optional field (one with a default) costs itself: it takes its default, `extra` keeps what the
  wire had there, and the error's `lost` is False.
- A required field of an entry of price_changes or maker_orders costs that entry. No event keeps it;
  the error's excerpt shows its beginning.
- Of one's own orders and trades only the id is required; what else is missing is one error for all.
- Any other required field costs its element, and so does a single level: a book with a hole would
  be taken for true.

The danger is to take a wrong text for a right one, which shows in a book only when its hash fails:
a reader that does not understand a value refuses it, and guesses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from polymarket_ws.errors import DecodeError, ProtocolError
from polymarket_ws.events import (
    WIRE_EVENTS,
    Book,
    LevelChange,
    Order,
    OwnEvent,
    PriceChange,
    TimedEvent,
    Trade,
    Unknown,
)

from . import limits
from .converter import Element, PartError, entry_steps, read_entries, structure
from .fields import digits, expected, level_price
from .json_text import POLICY, InvalidValue, check_text, elements
from .redaction import redact
from .updates import Change, Changes, Decoded, Snapshot

_ENTRY_KEYS = frozenset({"asset_id", "price", "size", "side", "hash", "best_bid", "best_ask"})
_BY_WIRE_TYPE = {type_: name for name, cls in WIRE_EVENTS.items() for type_ in cls.wire_types}
"""What an element of the user channel without an event_type is, by its `type`."""

_BY_FIELD = {
    "taker_order_id": Trade.event_type,
    "maker_orders": Trade.event_type,
    "size_matched": Order.event_type,
    "original_size": Order.event_type,
}
"""What an element of the user channel without either is, by a field that only one kind has."""

_Own = TypeVar("_Own", bound=OwnEvent)


def decode_market(text: str, received_at_ns: int) -> list[Decoded | DecodeError]:
    """The events of one text of the market channel in the wire's order, each followed by the errors
    of its parts. Every event is made.

    Args:
        text: A message that carries data.
        received_at_ns: Given to every event.

    Raises:
        ProtocolError: the text holds more than limits.py allows.
    """
    return _decode(text, "market", received_at_ns)


def decode_user(text: str, received_at_ns: int) -> list[Decoded | DecodeError]:
    """The same of the user channel."""
    return _decode(text, "user", received_at_ns)


def decode_listed_order(
    row: Mapping[str, Any], received_at_ns: int, errors: list[DecodeError] | None = None
) -> Order:
    """One of the open orders that REST lists, as the channel would tell it, with source "rest".

    Args:
        row: As json_text.py parses it, numbers with a fraction as Decimal.
        received_at_ns: When the listing came; the order's time, since a row has none.
        errors: Takes what is wrong with parts of it, or missing.

    Raises:
        DecodeError: it has no id.
    """
    return _decode_listed(row, Order, received_at_ns, errors)


def decode_listed_trade(
    row: Mapping[str, Any], received_at_ns: int, errors: list[DecodeError] | None = None
) -> Trade:
    """The same of a trade; its time is `last_update`, or else `match_time`."""
    return _decode_listed(row, Trade, received_at_ns, errors)


def _decode_listed(
    row: Mapping[str, Any], cls: type[_Own], received_at_ns: int, errors: list[DecodeError] | None
) -> _Own:
    found: list[PartError] = []
    try:
        check_text(row)
        value = structure(Element(row, found, received_at_ns, "rest"), cls)
    except InvalidValue as error:
        raise _error(error, "$", row, "user") from None
    if errors is not None:
        errors += (_error(e, "$", data, "user", row, lost=lost) for e, data, lost in found)
    return value


def _decode(text: str, channel: str, received_at_ns: int) -> list[Decoded | DecodeError]:
    decoded: list[Decoded | DecodeError] = []
    is_checked = not text.isascii() or "\\ud" in text or "\\uD" in text
    error_count = 0
    for path, element in elements(text):
        found: list[Decoded | DecodeError]
        if isinstance(element, InvalidValue):
            found = [_error(element, path, text[element.index :], channel)]
        else:
            found = _decode_element(element, path, channel, received_at_ns, is_checked=is_checked)
        decoded += found
        error_count += sum(isinstance(message, DecodeError) for message in found)
        if error_count > limits.ERRORS:
            raise ProtocolError(POLICY, f"a message with more than {limits.ERRORS} errors")
    return decoded


def _decode_element(
    element: Any, path: str, channel: str, received_at_ns: int, *, is_checked: bool
) -> list[Decoded | DecodeError]:
    try:
        if is_checked:
            check_text(element)
        return _read_element(element, path, channel, received_at_ns)
    except InvalidValue as error:
        return [_error(error, path, element, channel)]


def _read_element(
    element: Any, path: str, channel: str, received_at_ns: int
) -> list[Decoded | DecodeError]:
    if element.__class__ is not dict:
        raise InvalidValue(expected("an object", element))
    name = _kind(element, channel)
    cls = WIRE_EVENTS.get(name)
    if cls is None:
        unknown = Unknown(
            channel=channel, wire_event_type=name, data=element, received_at_ns=received_at_ns
        )
        return [Decoded(unknown, None)]
    errors: list[PartError] = []
    event: Decoded | None
    if cls is PriceChange:
        event = _read_price_change(element, errors, received_at_ns)
    else:
        event = _read_event(Element(element, errors, received_at_ns), cls)
    decoded: list[Decoded | DecodeError] = [] if event is None else [event]
    for error, data, lost in errors:
        decoded.append(_error(error, path, data, channel, element, lost=lost))
    return decoded


def _read_event(whole: Element, cls: type[TimedEvent]) -> Decoded:
    event = structure(whole, cls)
    return Decoded(event, _snapshot(whole.data, event) if isinstance(event, Book) else None)


def _kind(element: Mapping[str, Any], channel: str) -> str:
    name = element.get("event_type")
    if not name and channel == "user":
        name = _BY_WIRE_TYPE.get(str(element.get("type"))) or _kind_by_fields(element)
    return name if isinstance(name, str) else ""


def _kind_by_fields(element: Mapping[str, Any]) -> str | None:
    """What one of one's own is, where the server said neither event_type nor a known `type`."""
    if element.get("type"):
        return None
    return next((name for key, name in _BY_FIELD.items() if key in element), None)


def _snapshot(element: Mapping[str, Any], book: Book) -> Snapshot:
    return Snapshot(
        book.market,
        book.asset_id,
        book.timestamp_ms,
        book.hash,
        [(level_price(level["price"]), digits(level["size"])) for level in element["bids"] or ()],
        [(level_price(level["price"]), digits(level["size"])) for level in element["asks"] or ()],
        None if book.tick_size is None else digits(element["tick_size"]),
        None if book.last_trade_price is None else digits(element["last_trade_price"]),
    )


def _read_price_change(
    element: dict[str, Any], errors: list[PartError], received_at_ns: int
) -> Decoded | None:
    """None when every entry is lost."""
    envelope, steps = _entries(element)
    entries = read_entries(steps, LevelChange, errors)
    if steps and not entries:
        return None
    levels = [level for _, level in entries]
    whole = Element({**envelope, "price_changes": levels}, errors, received_at_ns)
    event = structure(whole, PriceChange)
    changes = [_change(entry, level) for entry, level in entries]
    return Decoded(event, Changes(event.market, event.timestamp_ms, changes))


def _entries(element: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """The envelope, and the entries with their paths, of any of the three eras.

    2024 flat, then `changes`, since 2025-09-15 `price_changes`: old recordings have all of them.
    """
    if "price_changes" in element:
        return element, entry_steps(element["price_changes"], ".price_changes")
    if "changes" in element:
        common = {key: element[key] for key in ("asset_id", "hash") if key in element}
        _check_common(common)
        envelope = {k: v for k, v in element.items() if k not in common and k != "changes"}
        return envelope, [
            (step, {**common, **entry} if entry.__class__ is dict else entry)
            for step, entry in entry_steps(element["changes"], ".changes")
        ]
    entry = {key: value for key, value in element.items() if key in _ENTRY_KEYS}
    return {k: v for k, v in element.items() if k not in entry}, [("", entry)]


def _check_common(common: Mapping[Any, Any]) -> None:
    """Refuse at once what each entry would be refused for, and each error would show again."""
    for key, value in common.items():
        is_long = value.__class__ is str and len(value) > limits.ID_CHARS
        if is_long or value.__class__ in (list, dict):
            error = InvalidValue(expected("an id", value))
            error.put_under(f".{key}")
            raise error


def _change(entry: Mapping[str, Any], level: LevelChange) -> Change:
    return Change(
        level.asset_id,
        level_price(entry["price"]),
        digits(entry["size"]),
        level.side.value,
        level.hash,
        None if level.best_bid is None else digits(entry["best_bid"]),
        None if level.best_ask is None else digits(entry["best_ask"]),
    )


def _error(
    error: InvalidValue,
    path: str,
    element: object,
    channel: str,
    envelope: Mapping[str, Any] | None = None,
    *,
    lost: bool = True,
) -> DecodeError:
    known = element if isinstance(element, dict) else {}
    around: Mapping[str, Any] = envelope or known
    return DecodeError(
        path + error.path,
        error.reason,
        event_type=_kind(around, channel),
        excerpt=_excerpt(element),
        asset_id=_label(known, "asset_id"),
        market=_label(around, "market"),
        lost=lost,
    )


def _label(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) else None


def _excerpt(element: object) -> str:
    if isinstance(element, str):
        return redact(element)
    try:
        return redact(json.dumps(element, separators=(",", ":"), default=str))
    except RecursionError:
        return ""

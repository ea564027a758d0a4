"""The wire's messages as typed events, with an error for each part that is not understood."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple, TypeVar, get_type_hints

import attrs
import cattrs

from .books import Change, Changes, Snapshot
from .errors import DecodeError
from .events import (
    EVENTS,
    Book,
    Event,
    EventMessage,
    LevelChange,
    MakerOrder,
    Order,
    PriceChange,
    Side,
    TimedEvent,
    Trade,
    Unknown,
    Value,
)
from .json_text import ShapeError, check_text, elements
from .redaction import redact
from .subscription_texts import (
    market_change,
    market_subscription,
    user_change,
    user_subscription,
)
from .wire_values import (
    digits,
    expected,
    or_none,
    read_bool,
    read_hash,
    read_items,
    read_levels,
    read_number,
    read_object,
    read_optional_time,
    read_side,
    read_status,
    read_text,
    read_texts,
    read_time,
    read_whole,
)

__all__ = [
    "NOTICES",
    "PING",
    "PONG",
    "Decoded",
    "decode",
    "market_change",
    "market_subscription",
    "redact",
    "user_change",
    "user_subscription",
]

PING = "PING"
PONG = "PONG"
NOTICES = frozenset({"INVALID OPERATION", "NO NEW ASSETS", ""})
"""Texts that are no JSON and no data (PROTOCOL 1.1, 1.2); compare after strip()."""

_ALIASES = {"assets_ids": ("asset_ids", "token_ids"), "match_time": ("matchtime",)}
_SIGNED = frozenset({"spread", "fee_rate_bps", "taker_base_fee"})
_ENTRY_KEYS = frozenset({"asset_id", "price", "size", "side", "hash", "best_bid", "best_ask"})
_KINDS = {name: cls for name, cls in EVENTS.items() if issubclass(cls, TimedEvent)}
_USER_KINDS = {
    "PLACEMENT": Order.event_type,
    "UPDATE": Order.event_type,
    "CANCELLATION": Order.event_type,
    "TRADE": Trade.event_type,
}

_T = TypeVar("_T")
_Read = Callable[[Any], Any]


class Decoded(NamedTuple):
    """One event, and what the books need of it."""

    event: Event
    update: Snapshot | Changes | None
    """For a book or a price_change, in the wire's own strings; else None."""


class _Element(NamedTuple):
    """What an event is structured from."""

    data: Any
    received_at_ns: int


class _Field(NamedTuple):
    """How one attribute of a value is read."""

    name: str
    key: str
    read: _Read
    required: bool


def decode(text: str, channel: str, received_at_ns: int) -> list[Decoded | DecodeError]:
    """The events of one text message in the wire's order, and an error for each bad one.

    No text raises. A bad element costs that element alone, a bad entry of a price_change that
    entry alone; a bad level costs its whole book, since a book with a hole would be taken for true.

    Args:
        text: A message that is neither PONG nor one of NOTICES.
        channel: "market" or "user".
        received_at_ns: Given to every event.
    """
    decoded: list[Decoded | DecodeError] = []
    is_checked = not text.isascii() or "\\ud" in text or "\\uD" in text
    for path, element in elements(text):
        if isinstance(element, ShapeError):
            decoded.append(_error(element, path, text[element.index :], channel))
            continue
        try:
            if is_checked:
                check_text(element)
            decoded += _decode_element(element, path, channel, received_at_ns)
        except ShapeError as flaw:
            decoded.append(_error(flaw, path, element, channel))
    return decoded


def _decode_element(
    element: Any, path: str, channel: str, received_at_ns: int
) -> list[Decoded | DecodeError]:
    if element.__class__ is not dict:
        raise ShapeError(expected("an object", element))
    name = _kind(element, channel)
    cls = _KINDS.get(name)
    if cls is PriceChange:
        return _decode_price_change(element, path, received_at_ns)
    event: Event
    if cls is None:
        event = Unknown(
            channel=channel, wire_event_type=name, data=element, received_at_ns=received_at_ns
        )
    else:
        event = _structure(_Element(element, received_at_ns), cls)
    return [Decoded(event, _snapshot(element, event) if isinstance(event, Book) else None)]


def _kind(element: Mapping[str, Any], channel: str) -> str:
    name = element.get("event_type")
    if not name and channel == "user":
        name = _USER_KINDS.get(str(element.get("type")))
    return name if isinstance(name, str) else ""


def _snapshot(element: Mapping[str, Any], book: Book) -> Snapshot:
    return Snapshot(
        book.market,
        book.asset_id,
        book.timestamp_ms,
        book.hash,
        [(digits(level["price"]), digits(level["size"])) for level in element["bids"] or ()],
        [(digits(level["price"]), digits(level["size"])) for level in element["asks"] or ()],
        digits(element.get("tick_size")) or None,
        digits(element.get("last_trade_price")) or None,
    )


def _decode_price_change(
    element: dict[str, Any], path: str, received_at_ns: int
) -> list[Decoded | DecodeError]:
    envelope, entries = _entries(element)
    levels: list[LevelChange] = []
    changes: list[Change] = []
    errors: list[Decoded | DecodeError] = []
    for step, entry in entries:
        try:
            level = _structure(entry, LevelChange)
        except ShapeError as flaw:
            errors.append(_error(flaw, path + step, entry, "market", element))
        else:
            levels.append(level)
            changes.append(_change(entry, level))
    if errors and not levels:
        return errors
    whole = _Element({**envelope, "price_changes": levels}, received_at_ns)
    event = _structure(whole, PriceChange)
    return [Decoded(event, Changes(event.market, event.timestamp_ms, changes)), *errors]


def _entries(element: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """The envelope, and the entries with their paths, of any of the three eras (PROTOCOL 1.8)."""
    if "price_changes" in element:
        return element, _steps(element, "price_changes")
    if "changes" in element:
        common = {key: element[key] for key in ("asset_id", "hash") if key in element}
        envelope = {k: v for k, v in element.items() if k not in common and k != "changes"}
        return envelope, [
            (step, {**common, **entry} if entry.__class__ is dict else entry)
            for step, entry in _steps(element, "changes")
        ]
    entry = {key: value for key, value in element.items() if key in _ENTRY_KEYS}
    return {k: v for k, v in element.items() if k not in entry}, [("", entry)]


def _steps(element: dict[str, Any], key: str) -> list[tuple[str, Any]]:
    entries = element[key]
    if entries.__class__ is not list:
        raise ShapeError(expected("an array", entries), path=f".{key}")
    return [(f".{key}[{index}]", entry) for index, entry in enumerate(entries)]


def _change(entry: Mapping[str, Any], level: LevelChange) -> Change:
    return Change(
        level.asset_id,
        level.side is Side.BUY,
        digits(entry["price"]),
        digits(entry["size"]),
        level.hash,
        digits(entry.get("best_bid")) or None,
        digits(entry.get("best_ask")) or None,
    )


def _error(
    flaw: ShapeError,
    path: str,
    element: object,
    channel: str,
    envelope: dict[str, Any] | None = None,
) -> DecodeError:
    known = element if isinstance(element, dict) else {}
    around = envelope or known
    return DecodeError(
        path + flaw.path,
        flaw.reason,
        event_type=_kind(around, channel),
        excerpt=_excerpt(element),
        asset_id=_label(known, "asset_id"),
        market=_label(around, "market"),
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


_converter = cattrs.Converter(detailed_validation=False)


def _structure(data: object, cls: type[_T]) -> _T:
    return _converter.structure(data, cls)


_BY_TYPE: dict[Any, _Read] = {
    str: read_text,
    str | None: read_text,
    Decimal: read_number,
    Decimal | None: or_none(read_number),
    int | None: or_none(read_whole),
    bool | None: or_none(read_bool),
    Side: read_side,
    Side | None: or_none(read_side),
    tuple[str, ...]: read_texts,
    tuple[LevelChange, ...]: tuple,  # read one by one before
    tuple[MakerOrder, ...]: partial(read_items, partial(_structure, cls=MakerOrder)),
    EventMessage | None: or_none(partial(_structure, cls=EventMessage)),
    Mapping[str, Any] | None: or_none(read_object),
}
_BY_NAME: dict[str, _Read] = {
    "hash": read_hash,
    "status": read_status,
    "bids": partial(read_levels, highest_first=True),
    "asks": partial(read_levels, highest_first=False),
    "timestamp_ms": read_time,
}


def _reader(attribute: attrs.Attribute[Any], kind: Any) -> _Read:
    if attribute.name in _BY_NAME:
        return _BY_NAME[attribute.name]
    if attribute.name.endswith("_ms"):
        return read_optional_time
    if attribute.name in _SIGNED:
        return or_none(partial(read_number, signed=True))
    return _BY_TYPE[kind]


def _fields(cls: type[Value]) -> list[_Field]:
    kinds = get_type_hints(cls)
    return [
        _Field(
            attribute.name,
            attribute.metadata.get("wire", attribute.name),
            _reader(attribute, kinds[attribute.name]),
            attribute.default is attrs.NOTHING,
        )
        for attribute in attrs.fields(cls)
        if attribute.name not in ("extra", "received_at_ns")
    ]


def _arguments_reader(fields: list[_Field], *more_keys: str) -> Callable[[Any], dict[str, Any]]:
    """A function from a JSON object to a constructor's keyword arguments."""
    keys = [field.key for field in fields]
    known = {*keys, *more_keys, *(alias for key in keys for alias in _ALIASES.get(key, ()))}

    def read_arguments(data: Any) -> dict[str, Any]:
        data = read_object(data)
        arguments: dict[str, Any] = {}
        key = ""
        try:
            for name, key, read, required in fields:
                value = data.get(key)
                if value is None:
                    key, value = _elsewhere(data, key)
                    if value is None and not required:
                        continue
                    if key not in data:
                        raise ShapeError("missing")
                arguments[name] = read(value)
        except ShapeError as flaw:
            flaw.put_under(f".{key}")
            raise
        if not data.keys() <= known:
            arguments["extra"] = {k: v for k, v in data.items() if k not in known}
        return arguments

    return read_arguments


def _elsewhere(data: Mapping[str, Any], key: str) -> tuple[str, Any]:
    found = (alias for alias in _ALIASES.get(key, ()) if data.get(alias) is not None)
    key = next(found, key)
    return key, data.get(key)


def _value_hook(cls: type[Value]) -> Callable[[Any, Any], Value]:
    read = _arguments_reader(_fields(cls))
    return lambda data, _: cls(**read(data))


def _event_hook(cls: type[Event]) -> Callable[[_Element, Any], Event]:
    read = _arguments_reader(_fields(cls), "event_type")
    return lambda element, _: cls(**read(element.data), received_at_ns=element.received_at_ns)


for _value_class in (LevelChange, MakerOrder, EventMessage):
    _converter.register_structure_hook(_value_class, _value_hook(_value_class))
for _event_class in _KINDS.values():
    _converter.register_structure_hook(_event_class, _event_hook(_event_class))

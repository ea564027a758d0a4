"""The wire's messages as typed events, with an error for each part that is not understood."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache, partial
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import attrs
import cattrs

from polymarket_ws.errors import DecodeError
from polymarket_ws.events import (
    WIRE_EVENTS,
    Book,
    Event,
    LevelChange,
    PriceChange,
    Side,
    TimedEvent,
    Unknown,
    Value,
)

from .fast_path import read_usual
from .fields import (
    digits,
    expected,
    or_none,
    read_bool,
    read_hash,
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
from .json_text import ShapeError, check_text, elements
from .redaction import redact
from .updates import Change, Changes, Decoded, Snapshot

_ENTRY_KEYS = frozenset({"asset_id", "price", "size", "side", "hash", "best_bid", "best_ask"})
_BY_WIRE_TYPE = {type_: name for name, cls in WIRE_EVENTS.items() for type_ in cls.wire_types}
"""What an element of the user channel without an event_type is, by its `type`."""

_T = TypeVar("_T")
_Read = Callable[..., Any]
"""Of a field's value; where this is a part, of the list too that takes the flaws in it."""


class _Flaw(NamedTuple):
    """What is wrong with a part of a value that is delivered nevertheless."""

    error: ShapeError
    data: Any
    """The entry that was lost, or the object whose optional field was."""
    lost: bool


class _Element(NamedTuple):
    """What an event is structured from; the values in it are from (data, flaws) alone."""

    data: Any
    flaws: list[_Flaw]
    """Takes what is wrong with it and costs it not."""
    received_at_ns: int


class _Field(NamedTuple):
    """How one attribute of a value is read."""

    name: str
    key: str
    aliases: tuple[str, ...]
    """Where it is looked for when it is not under its key."""
    read: _Read
    required: bool
    is_part: bool
    """Whether it holds values of ours, so that a flaw in one may cost that one alone."""


def decode_market(
    text: str, received_at_ns: int, heard: Container[str] | None = None
) -> Sequence[Decoded | DecodeError]:
    """The events of one text of the market channel in the wire's order, and an error for each bad
    one.

    No text raises. A flaw costs as little as it can, and its error follows what is left:

    - An optional field (one with a default) costs itself: it takes its default, `extra` keeps what
      the wire had there, and the error's `lost` is False.
    - A required field of an entry of price_changes or maker_orders costs that entry. No event
      keeps it; the error's excerpt shows its beginning.
    - Any other required field costs its element, and so does a single level: a book with a hole
      would be taken for true.

    Args:
        text: A message that carries data.
        received_at_ns: Given to every event.
        heard: The event types that somebody listens for: of others the event may be None where
            the books need their update alone. None is all.
    """
    usual = read_usual(text, received_at_ns, heard)
    return _decode_any(text, "market", received_at_ns) if usual is None else usual


def decode_user(
    text: str, received_at_ns: int, heard: Container[str] | None = None
) -> Sequence[Decoded | DecodeError]:
    """The same of the user channel, of which every event is made."""
    return _decode_any(text, "user", received_at_ns)


def _decode_any(text: str, channel: str, received_at_ns: int) -> list[Decoded | DecodeError]:
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
    cls = WIRE_EVENTS.get(name)
    if cls is None:
        unknown = Unknown(
            channel=channel, wire_event_type=name, data=element, received_at_ns=received_at_ns
        )
        return [Decoded(unknown, None)]
    flaws: list[_Flaw] = []
    event: Decoded | None
    if cls is PriceChange:
        event = _read_price_change(element, flaws, received_at_ns)
    else:
        event = _read_event(_Element(element, flaws, received_at_ns), cls)
    decoded: list[Decoded | DecodeError] = [] if event is None else [event]
    for error, data, lost in flaws:
        decoded.append(_error(error, path, data, channel, element, lost=lost))
    return decoded


def _read_event(whole: _Element, cls: type[TimedEvent]) -> Decoded:
    event = _structure(whole, cls)
    return Decoded(event, _snapshot(whole.data, event) if isinstance(event, Book) else None)


def _kind(element: Mapping[str, Any], channel: str) -> str:
    name = element.get("event_type")
    if not name and channel == "user":
        name = _BY_WIRE_TYPE.get(str(element.get("type")))
    return name if isinstance(name, str) else ""


def _snapshot(element: Mapping[str, Any], book: Book) -> Snapshot:
    return Snapshot(
        book.market,
        book.asset_id,
        book.timestamp_ms,
        book.hash,
        [(digits(level["price"]), digits(level["size"])) for level in element["bids"] or ()],
        [(digits(level["price"]), digits(level["size"])) for level in element["asks"] or ()],
        None if book.tick_size is None else digits(element["tick_size"]),
        None if book.last_trade_price is None else digits(element["last_trade_price"]),
    )


def _read_price_change(
    element: dict[str, Any], flaws: list[_Flaw], received_at_ns: int
) -> Decoded | None:
    """None when every entry is lost."""
    envelope, steps = _entries(element)
    entries = _read_entries(steps, LevelChange, flaws)
    if steps and not entries:
        return None
    levels = [level for _, level in entries]
    whole = _Element({**envelope, "price_changes": levels}, flaws, received_at_ns)
    event = _structure(whole, PriceChange)
    changes = [_change(entry, level) for entry, level in entries]
    return Decoded(event, Changes(event.market, event.timestamp_ms, changes))


def _read_entries(
    steps: Iterable[tuple[str, Any]], cls: type[_T], flaws: list[_Flaw]
) -> list[tuple[Any, _T]]:
    """The entries that can be read, each as it came and as a value."""
    entries: list[tuple[Any, _T]] = []
    for step, entry in steps:
        inner: list[_Flaw] = []
        try:
            entries.append((entry, _structure((entry, inner), cls)))
        except ShapeError as error:
            inner = [_Flaw(error, entry, lost=True)]
        if inner:
            flaws += _under(step, inner)
    return entries


def _under(step: str, flaws: list[_Flaw]) -> list[_Flaw]:
    for flaw in flaws:
        flaw.error.put_under(step)
    return flaws


def _entries(element: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """The envelope, and the entries with their paths, of any of the three eras.

    2024 flat, then `changes`, since 2025-09-15 `price_changes`: old recordings have all of them.
    """
    if "price_changes" in element:
        return element, _steps(element["price_changes"], ".price_changes")
    if "changes" in element:
        common = {key: element[key] for key in ("asset_id", "hash") if key in element}
        envelope = {k: v for k, v in element.items() if k not in common and k != "changes"}
        return envelope, [
            (step, {**common, **entry} if entry.__class__ is dict else entry)
            for step, entry in _steps(element["changes"], ".changes")
        ]
    entry = {key: value for key, value in element.items() if key in _ENTRY_KEYS}
    return {k: v for k, v in element.items() if k not in entry}, [("", entry)]


def _steps(entries: Any, key: str = "") -> list[tuple[str, Any]]:
    if entries.__class__ is not list:
        raise ShapeError(expected("an array", entries), path=key)
    return [(f"{key}[{index}]", entry) for index, entry in enumerate(entries)]


def _change(entry: Mapping[str, Any], level: LevelChange) -> Change:
    return Change(
        level.asset_id,
        digits(entry["price"]),
        digits(entry["size"]),
        level.side.value,
        level.hash,
        None if level.best_bid is None else digits(entry["best_bid"]),
        None if level.best_ask is None else digits(entry["best_ask"]),
    )


def _error(
    flaw: ShapeError,
    path: str,
    element: object,
    channel: str,
    envelope: dict[str, Any] | None = None,
    *,
    lost: bool = True,
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


_converter = cattrs.Converter(detailed_validation=False)
_structure = _converter.structure


def _read_list(cls: type[_T], value: Any, flaws: list[_Flaw]) -> tuple[_T, ...]:
    return tuple(entry for _, entry in _read_entries(_steps(value), cls, flaws))


def _read_one(cls: type[_T], value: Any, flaws: list[_Flaw]) -> _T | None:
    return None if value == "" else _structure((value, flaws), cls)


_BY_TYPE: dict[Any, _Read] = {
    str: read_text,
    str | None: read_text,
    Decimal: read_number,
    Decimal | None: or_none(read_number),
    int: read_whole,
    int | None: or_none(read_whole),
    bool: read_bool,
    bool | None: or_none(read_bool),
    Side: read_side,
    Side | None: or_none(read_side),
    tuple[str, ...]: read_texts,
    Mapping[str, Any] | None: or_none(read_object),
}
_BY_NAME: dict[str, _Read] = {
    "hash": read_hash,
    "status": read_status,
    "bids": partial(read_levels, highest_first=True),
    "asks": partial(read_levels, highest_first=False),
    "timestamp_ms": read_time,
    "price_changes": tuple,  # read one by one before
}


def _reader(attribute: attrs.Attribute[Any], kind: Any) -> _Read | None:
    """What reads a field that holds no values of ours."""
    if attribute.name in _BY_NAME:
        return _BY_NAME[attribute.name]
    if attribute.name.endswith("_ms"):
        return read_optional_time
    if attribute.metadata.get("signed"):
        return or_none(partial(read_number, signed=True))
    return _BY_TYPE.get(kind)


def _part_reader(attribute: attrs.Attribute[Any], kind: Any) -> _Read:
    """What reads a list of values of ours, or one that may be None."""
    part = next(iter(get_args(kind)), None)
    if isinstance(part, type) and issubclass(part, Value):
        return partial(_read_list if get_origin(kind) is tuple else _read_one, part)
    raise TypeError(f"nothing is known that reads {attribute.name} as {kind}")


def _field(attribute: attrs.Attribute[Any], kind: Any) -> _Field:
    read = _reader(attribute, kind)
    return _Field(
        attribute.name,
        attribute.metadata.get("wire", attribute.name),
        attribute.metadata.get("aliases", ()),
        read or _part_reader(attribute, kind),
        attribute.default is attrs.NOTHING,
        read is None,
    )


def _fields(cls: type[Value]) -> list[_Field]:
    kinds = get_type_hints(cls)
    return [
        _field(attribute, kinds[attribute.name])
        for attribute in attrs.fields(cls)
        if attribute.name not in ("extra", "received_at_ns")
    ]


def _arguments_reader(
    fields: list[_Field], *more_keys: str
) -> Callable[[Any, list[_Flaw]], dict[str, Any]]:
    """A function from a JSON object to a constructor's keyword arguments."""
    keys = [field.key for field in fields]
    known = {*keys, *more_keys, *(alias for field in fields for alias in field.aliases)}

    def read_arguments(data: Any, flaws: list[_Flaw]) -> dict[str, Any]:
        data = read_object(data)
        arguments: dict[str, Any] = {}
        for name, key, aliases, read, required, is_part in fields:
            value = data.get(key)
            try:
                if value is None:
                    key, value = _elsewhere(data, key, aliases)
                    if value is None and not required:
                        continue
                    if key not in data:
                        raise ShapeError("missing")
                arguments[name] = _read_part(read, key, value, flaws) if is_part else read(value)
            except ShapeError as error:
                error.put_under(f".{key}")
                if required:
                    raise
                flaws.append(_Flaw(error, data, lost=False))
                arguments.setdefault("extra", {})[key] = value
        if len(data) > len(arguments) and not data.keys() <= known:  # if as many, all are known
            unknown = {k: v for k, v in data.items() if k not in known}
            arguments["extra"] = {**unknown, **arguments.get("extra", {})}
        return arguments

    return read_arguments


def _read_part(read: _Read, key: str, value: Any, flaws: list[_Flaw]) -> Any:
    inner: list[_Flaw] = []
    part = read(value, inner)
    flaws += _under(f".{key}", inner)
    return part


def _elsewhere(data: Mapping[str, Any], key: str, aliases: tuple[str, ...]) -> tuple[str, Any]:
    found = (alias for alias in aliases if data.get(alias) is not None)
    key = next(found, key)
    return key, data.get(key)


def _value_hook(cls: type[Value]) -> Callable[[Any, Any], Value]:
    read = _arguments_reader(_fields(cls))
    return lambda part, _: cls(**read(*part))


def _event_hook(cls: type[Event]) -> Callable[[_Element, Any], Event]:
    read = _arguments_reader(_fields(cls), "event_type")
    return lambda element, _: cls(
        **read(element.data, element.flaws), received_at_ns=element.received_at_ns
    )


@cache
def _hook(cls: type[Value]) -> Callable[[Any, Any], Value]:
    return _event_hook(cls) if issubclass(cls, Event) else _value_hook(cls)


# Any class of values is structured by its own fields, when first it comes.
_converter.register_structure_hook_factory(lambda cls: issubclass(cls, Value), _hook)
for _class in WIRE_EVENTS.values():  # now, so that a field which cannot be read fails the import
    _hook(_class)  # type: ignore[arg-type]  # mypy asks the instances for the class's __hash__

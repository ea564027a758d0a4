"""The cattrs converter that makes our values, events and their parts, from JSON objects.

Each class of values gets one structure hook, made from its attrs fields when the class is first
met. A hook knows for each field the key on the wire, older names of it, its reader (by name, or by
type), and whether the value can do without it. So an event class is all that a new event needs.

What is wrong costs as little as it can. An optional field that cannot be read takes its default; an
entry of a list that cannot be read is left out. Either adds a PartError to the list that each hook
is given, and the value is made all the same. A required field raises InvalidValue, and costs the
value it belongs to: an entry of a list, or the whole event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import cache, partial
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import attrs
import cattrs

from polymarket_ws.events import WIRE_EVENTS, Event, MakerOrder, OwnEvent, Side, Value

from . import limits
from .fields import (
    expected,
    or_none,
    read_bool,
    read_hash,
    read_id,
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
from .json_text import InvalidValue

_T = TypeVar("_T")
_Read = Callable[..., Any]
"""Of a field's value; where this is a part, of the list too that takes the errors in it."""


class PartError(NamedTuple):
    """What is wrong with a part of a value that is made nevertheless."""

    error: InvalidValue
    data: Any
    """The entry that was lost, or the object whose optional field was."""
    lost: bool


class Element(NamedTuple):
    """What an event is made from; the values in it are from (data, errors) alone."""

    data: Any
    errors: list[PartError]
    """Takes what is wrong with its parts."""
    received_at_ns: int
    source: str = "stream"
    """Of one's own orders and trades: see `OwnEvent.source`."""


class _Field(NamedTuple):
    """How one attribute of a value is read."""

    name: str
    key: str
    aliases: tuple[str, ...]
    """Where it is looked for when it is not under its key."""
    read: _Read
    required: bool
    is_part: bool
    """Whether it holds values of ours, so that an error in one may cost that one alone."""


_OURS = frozenset({"extra", "received_at_ns", "source"})
_ABSENT_FROM = {"stream": (), "rest": ("timestamp", "type")}
"""What no listing of REST has, so that nothing is missing."""

_converter = cattrs.Converter(detailed_validation=False)
structure = _converter.structure
"""From an Element and the class of its event, or (data, errors) and the class of a part of it."""


def entry_steps(entries: Any, key: str = "") -> list[tuple[str, Any]]:
    """The entries of an array, each with its step of the path."""
    if entries.__class__ is not list:
        raise InvalidValue(expected("an array", entries), path=key)
    if len(entries) > limits.ENTRIES:
        raise InvalidValue(
            f"expected at most {limits.ENTRIES} entries, not {len(entries)}", path=key
        )
    return [(f"{key}[{index}]", entry) for index, entry in enumerate(entries)]


def read_entries(
    steps: Iterable[tuple[str, Any]], cls: type[_T], errors: list[PartError]
) -> list[tuple[Any, _T]]:
    """The entries that can be read, each as it came and as a value."""
    entries: list[tuple[Any, _T]] = []
    for step, entry in steps:
        inner: list[PartError] = []
        try:
            entries.append((entry, structure((entry, inner), cls)))
        except InvalidValue as error:
            inner = [PartError(error, entry, lost=True)]
        if inner:
            errors += _under(step, inner)
    return entries


def _under(step: str, errors: list[PartError]) -> list[PartError]:
    for part in errors:
        part.error.put_under(step)
    return errors


def _read_list(cls: type[_T], value: Any, errors: list[PartError]) -> tuple[_T, ...]:
    return tuple(entry for _, entry in read_entries(entry_steps(value), cls, errors))


def _read_one(cls: type[_T], value: Any, errors: list[PartError]) -> _T | None:
    return None if value == "" else structure((value, errors), cls)


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
    "asset_id": read_id,
    "hash": read_hash,
    "id": read_id,
    "market": read_id,
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
        attribute.default is attrs.NOTHING and not attribute.metadata.get("expected"),
        read is None,
    )


def _fields(cls: type[Value]) -> list[_Field]:
    kinds = get_type_hints(cls)
    return [
        _field(attribute, kinds[attribute.name])
        for attribute in attrs.fields(cls)
        if attribute.name not in _OURS
    ]


def _arguments_reader(
    fields: list[_Field], *more_keys: str
) -> Callable[[Any, list[PartError]], dict[str, Any]]:
    """A function from a JSON object to a constructor's keyword arguments."""
    keys = [field.key for field in fields]
    known = {*keys, *more_keys, *(alias for field in fields for alias in field.aliases)}

    def read_arguments(data: Any, errors: list[PartError]) -> dict[str, Any]:
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
                        raise InvalidValue("missing")
                arguments[name] = _read_part(read, key, value, errors) if is_part else read(value)
            except InvalidValue as error:
                error.put_under(f".{key}")
                if required:
                    raise
                errors.append(PartError(error, data, lost=False))
                arguments.setdefault("extra", {})[key] = value
        if len(data) > len(arguments) and not data.keys() <= known:  # if as many, all are known
            unknown = {k: v for k, v in data.items() if k not in known}
            arguments["extra"] = {**unknown, **arguments.get("extra", {})}
        return arguments

    return read_arguments


def _read_part(read: _Read, key: str, value: Any, errors: list[PartError]) -> Any:
    inner: list[PartError] = []
    part = read(value, inner)
    errors += _under(f".{key}", inner)
    return part


def _elsewhere(data: Mapping[str, Any], key: str, aliases: tuple[str, ...]) -> tuple[str, Any]:
    found = (alias for alias in aliases if data.get(alias) is not None)
    key = next(found, key)
    return key, data.get(key)


def _value_hook(cls: type[Value]) -> Callable[[Any, Any], Value]:
    read = _arguments_reader(_fields(cls))
    return lambda part, _: cls(**read(*part))


def _event_hook(cls: type[Event]) -> Callable[[Element, Any], Event]:
    read = _arguments_reader(_fields(cls), "event_type")
    return lambda element, _: cls(
        **read(element.data, element.errors), received_at_ns=element.received_at_ns
    )


def _own_hook(cls: type[OwnEvent]) -> Callable[[Element, Any], OwnEvent]:
    """Make one's own order or trade of whatever there is, and tell what is not."""
    read = _arguments_reader(_fields(cls), "event_type")
    expected_fields = [
        (attribute.name, attribute.metadata["wire"])
        for attribute in attrs.fields(cls)
        if attribute.metadata.get("expected")
    ]

    def make(element: Element, _: Any) -> OwnEvent:
        arguments = read(element.data, element.errors)
        told_elsewhere = {*arguments.get("extra", ()), *_ABSENT_FROM[element.source]}
        absent: list[str] = []
        for name, key in expected_fields:
            if arguments.get(name) in (None, ""):
                arguments.pop(name, None)
                absent += [key] if key not in told_elsewhere else []
        absent += _makers_without_price(arguments.get("maker_orders", ()))
        if absent:
            missing = InvalidValue(f"missing: {', '.join(absent)}")
            element.errors.append(PartError(missing, element.data, lost=False))
        if "timestamp_ms" not in arguments:
            told_ms = arguments.get("last_update_ms") or arguments.get("match_time_ms")
            arguments["timestamp_ms"] = told_ms or element.received_at_ns // 1_000_000
        return cls(**arguments, received_at_ns=element.received_at_ns, source=element.source)

    return make


def _makers_without_price(makers: Iterable[MakerOrder]) -> list[str]:
    return [
        f"maker_orders[{number}].price"
        for number, maker in enumerate(makers)
        if maker.price is None and "price" not in maker.extra
    ]


@cache
def _hook(cls: type[Value]) -> Callable[[Any, Any], Value]:
    if issubclass(cls, OwnEvent):
        return _own_hook(cls)
    return _event_hook(cls) if issubclass(cls, Event) else _value_hook(cls)


# Any class of values is structured by its own fields, when first it comes.
_converter.register_structure_hook_factory(lambda cls: issubclass(cls, Value), _hook)
for _class in WIRE_EVENTS.values():  # now, so that a field which cannot be read fails the import
    _hook(_class)  # type: ignore[arg-type]  # mypy asks the instances for the class's __hash__

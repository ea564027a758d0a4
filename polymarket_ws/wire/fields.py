"""Readers of single JSON values: liberal in what the wire may write, InvalidValue for the rest.

The fast path has readers of its own, in fast_fields.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeVar

from polymarket_ws.events import Level, Side, plain

from . import limits
from .json_text import JSON, NUMBER, NUMBER_CHARS, InvalidValue, check_text

_CALENDAR = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?"
    r"(?:Z|([+-])(\d\d)(?::?(\d\d))?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST_MS = 100_000_000_000  # what is less counts seconds: captured own events have both
_LAST_MS = 253_402_300_799_999  # the end of the year 9999, which is that of datetime
_NO_TIME = ("", "0001-01-01T00:00:00Z")  # the latter is how Go writes a time that was never set
_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
_BOOLS = {"true": True, "false": False}

_T = TypeVar("_T")


def digits(value: Any) -> str:
    """A number that was read before, as the wire wrote it; "" for none."""
    if value.__class__ is str:
        return value
    if value is None:
        return ""
    return plain(value) if isinstance(value, Decimal) else str(value)


def read_text(value: Any) -> str:
    if value.__class__ is str:
        return value
    if value.__class__ is int or value.__class__ is Decimal:
        return digits(value)
    raise InvalidValue(expected("a string", value))


def level_price(value: Any) -> str:
    """A level's price that was read before, as the wire wrote it; a long one is refused."""
    text = digits(value)
    if len(text) > limits.PRICE_CHARS:
        raise InvalidValue(
            expected(f"a price of at most {limits.PRICE_CHARS} characters", value), path=".price"
        )
    return text


def read_id(value: Any) -> str:
    text = read_text(value)
    if len(text) > limits.ID_CHARS:
        raise InvalidValue(expected(f"at most {limits.ID_CHARS} characters", value))
    return text


def read_hash(value: Any) -> str | None:
    return read_id(value) or None


def read_status(value: Any) -> str:
    return read_id(value).removeprefix("TRADE_STATUS_").removeprefix("ORDER_STATUS_")


def read_number(value: Any, *, signed: bool = False) -> Decimal:
    if value.__class__ is str:
        return _number(value, signed)
    if value.__class__ is int or value.__class__ is Decimal:
        return _number(str(value), signed)
    raise InvalidValue(expected("a number", value))


@lru_cache(maxsize=16_384)  # a market has some thousand prices: they are parsed, and stored, once
def _number(text: str, signed: bool) -> Decimal:
    if len(text) > NUMBER_CHARS or not NUMBER.fullmatch(text):
        raise InvalidValue(expected("a number", text))
    if text.startswith("-") and not signed:
        raise InvalidValue(expected("a number from 0", text))
    return Decimal(text)


def read_whole(value: Any) -> int:
    is_digits = value.__class__ is str and value.isascii() and value.isdigit() and len(value) < 19
    if value.__class__ is int or is_digits:
        return int(value)
    raise InvalidValue(expected("a whole number", value))


def read_bool(value: Any) -> bool:
    known = _BOOLS.get(value.lower()) if value.__class__ is str else value
    if known is True or known is False:
        return known
    raise InvalidValue(expected("true or false", value))


def read_side(value: Any) -> Side:
    side = _SIDES.get(value.upper()) if value.__class__ is str else None
    if side is None:
        raise InvalidValue(expected("BUY or SELL", value))
    return side


def read_time(value: Any) -> int:
    """Milliseconds since 1970, of milliseconds, seconds (told by magnitude) or a calendar time."""
    if value.__class__ is str and value.isascii() and value.isdigit() and len(value) < 16:
        value = int(value)
    if value.__class__ is int or value.__class__ is Decimal:
        ms = int(value if value >= _FIRST_MS else value * 1000)
    else:
        ms = _read_calendar(value)
    if not 0 <= ms <= _LAST_MS:
        raise InvalidValue(expected("a time from 1970 to 9999", value))
    return ms


def _read_calendar(value: Any) -> int:
    match = _CALENDAR.fullmatch(value) if value.__class__ is str else None
    try:
        if match:
            *parts, fraction, sign, hours, minutes = match.groups()
            offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
            local = datetime(*map(int, parts), tzinfo=timezone.utc)  # type: ignore[arg-type, misc]  # six ints
            moment = local - _EPOCH - (-offset if sign == "-" else offset)
            return moment // timedelta(milliseconds=1) + int((fraction or "").ljust(3, "0")[:3])
    except ValueError:
        pass  # a 13th month and its like: no time either
    raise InvalidValue(expected("a time", value))


def read_optional_time(value: Any) -> int | None:
    return None if value in _NO_TIME else read_time(value) or None


def read_texts(value: Any) -> tuple[str, ...]:
    """An array of strings, also when it comes as a string of JSON."""
    if value.__class__ is str:
        try:
            value = JSON.decode(value) if value else []
        except (ValueError, RecursionError):
            raise InvalidValue(expected("an array", value)) from None
        check_text(value)
    return read_items(read_text, value)


def read_items(read: Callable[[Any], _T], value: Any) -> tuple[_T, ...]:
    if value.__class__ is not list:
        raise InvalidValue(expected("an array", value))
    items: list[_T] = []
    try:
        for item in value:
            items.append(read(item))
    except InvalidValue as error:
        error.put_under(f"[{len(items)}]")
        raise
    return tuple(items)


def read_levels(value: Any, *, highest_first: bool) -> tuple[Level, ...]:
    """One side of a book, best first; of levels at one price the last, and none of size 0."""
    if value.__class__ is list and len(value) > limits.LEVELS:
        raise InvalidValue(f"expected at most {limits.LEVELS} levels, not {len(value)}")
    levels = sorted(
        read_items(_read_level, [] if value is None else value),  # Go writes an empty slice so
        key=itemgetter(0),
        reverse=highest_first,
    )
    return tuple(
        level
        for level, worse in zip(levels, [*levels[1:], None])  # noqa: B905 - of one length
        if level.size and (worse is None or worse.price != level.price)
    )


def _read_level(value: Any) -> Level:
    data = read_object(value)
    key = "price"
    try:
        price = read_number(data[key])
        key = "size"
        return Level(price, read_number(data[key]))
    except KeyError:
        raise InvalidValue("missing", path=f".{key}") from None
    except InvalidValue as error:
        error.put_under(f".{key}")
        raise


def read_object(value: Any) -> dict[str, Any]:
    if value.__class__ is not dict:
        raise InvalidValue(expected("an object", value))
    return value


def or_none(read: Callable[[Any], _T]) -> Callable[[Any], _T | None]:
    """`read`, but None for the "" that the wire writes for nothing."""
    return lambda value: None if value == "" else read(value)


def expected(what: str, value: object) -> str:
    names: dict[type, str] = {dict: "an object", list: "an array"}
    named = names.get(type(value))
    shown = named or json.dumps(value[:40] if isinstance(value, str) else value, default=str)
    return f"expected {what}, not {shown if len(shown) <= 40 else shown[:39] + '…'}"

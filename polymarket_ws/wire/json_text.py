"""The JSON values of one text message; no text makes it raise anything but InvalidValue."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from polymarket_ws.errors import ProtocolError

from . import limits

POLICY = 1008  # the close code for a message that breaks a limit of ours
NUMBER_CHARS = 64
_INT_CHARS = 100  # an asset id has up to 78 digits, and is read when it comes as a number too
NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?", re.ASCII)
_BLANK = re.compile(r"[ \t\r\n]*")


class InvalidValue(Exception):
    """A value is not what its place calls for; decode.py turns it into a DecodeError.

    Attributes:
        reason: What was expected and what was there.
        path: Where, from the element on: ".bids[0].size".
        index: The character of the text at which the trouble begins, if it is no JSON.
    """

    def __init__(self, reason: str, *, path: str = "", index: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = path
        self.index = index

    def put_under(self, step: str) -> None:
        """Lengthen the path at its front, as the error rises from the inside out."""
        self.path = step + self.path


class _OddNumber(str):
    """A JSON number that is none for us (NaN, too long): the text, but no `str` to the readers."""

    __slots__ = ()


def _parse_float(text: str) -> Decimal | _OddNumber:
    is_number = len(text) <= NUMBER_CHARS and NUMBER.fullmatch(text)
    return Decimal(text) if is_number else _OddNumber(text)


def _parse_int(text: str) -> int | _OddNumber:
    return int(text) if len(text) <= _INT_CHARS else _OddNumber(text)


JSON = json.JSONDecoder(parse_float=_parse_float, parse_int=_parse_int, parse_constant=_OddNumber)


def elements(text: str) -> Iterator[tuple[str, Any]]:
    """Every element with its path; last a InvalidValue if the text breaks off."""
    count = 0
    try:
        for document in _documents(text):
            for step in _flat(document) if document.__class__ is list else [("$", document)]:
                count += 1
                if count > limits.ELEMENTS:
                    raise ProtocolError(
                        POLICY, f"a message of more than {limits.ELEMENTS} elements"
                    )
                yield step
    except InvalidValue as error:
        yield "$", error


def _documents(text: str) -> Iterator[Any]:
    """The JSON values of a text that holds one, or several end to end."""
    index = _after_blank(text, 0)
    while index < len(text):
        try:
            document, index = JSON.raw_decode(text, index)
        except RecursionError:
            raise InvalidValue("JSON nested too deeply", index=index) from None
        except ValueError:
            raise InvalidValue(f"broken JSON from character {index} on", index=index) from None
        yield document
        index = _after_blank(text, index)


def _flat(array: list[Any]) -> Iterator[tuple[str, Any]]:
    for index, item in enumerate(array):
        if item.__class__ is list:
            for inner_index, inner in enumerate(item):
                yield f"$[{index}][{inner_index}]", inner
        else:
            yield f"$[{index}]", item


def _after_blank(text: str, index: int) -> int:
    match = _BLANK.match(text, index)
    return match.end() if match else index


def check_text(element: object) -> None:
    """Refuse half a surrogate pair anywhere in it: such a str cannot be printed or sent on."""
    try:
        json.dumps(element, ensure_ascii=False, default=str).encode()
    except RecursionError:
        raise InvalidValue("JSON nested too deeply") from None
    except UnicodeEncodeError:
        raise InvalidValue("half a surrogate pair, which is no text") from None

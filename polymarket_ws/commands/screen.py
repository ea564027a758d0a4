"""A block of lines on a terminal, redrawn in place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import TextIO

from attrs import define, frozen

_COLOURS = {"good": "32", "bad": "31", "dim": "2"}
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_CLEAR_BELOW, _CLEAR_ALL = "\x1b[J", "\x1b[2J\x1b[H"


@frozen
class Line:
    """One line of text with one colour."""

    text: str
    tone: str = ""
    """"good", "bad", "dim", or "" for none."""


def is_terminal(out: TextIO) -> bool:
    """Whether `out` can be redrawn in place."""
    return out.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


@define(eq=False)
class Screen:
    """Where the demo draws. Used by one thread; a context manager that hides the cursor meanwhile.

    No line is longer than the terminal is wide and no block longer than it is high: either would
    scroll, and the next drawing could not go back to its beginning.
    """

    out: TextIO
    _drawn: int = 0
    _columns: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines that may be used."""
        columns, lines = shutil.get_terminal_size()
        return max(1, columns - 1), max(1, lines - 1)

    def __enter__(self) -> Screen:
        self.out.write(_HIDE_CURSOR)
        return self

    def __exit__(self, *_: object) -> None:
        self.out.write(_SHOW_CURSOR)
        self.out.flush()

    def draw(self, lines: Sequence[Line]) -> None:
        """Put these lines where the former ones were."""
        columns, height = self.size
        shown = [_coloured(line, columns) for line in lines[:height]]
        self.out.write(self._go_back(columns) + "".join(f"{text}\n" for text in shown))
        self.out.flush()
        self._drawn, self._columns = len(shown), columns

    def _go_back(self, columns: int) -> str:
        if self._drawn and columns != self._columns:  # resized: lines were wrapped
            return _CLEAR_ALL
        return (f"\x1b[{self._drawn}A\r" if self._drawn else "") + _CLEAR_BELOW


def _coloured(line: Line, columns: int) -> str:
    text = line.text if len(line.text) <= columns else line.text[: columns - 1] + "…"
    colour = None if os.environ.get("NO_COLOR") else _COLOURS.get(line.tone)
    return f"\x1b[{colour}m{text}\x1b[0m" if colour else text

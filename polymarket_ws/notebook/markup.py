"""HTML by parts: whatever is not markup already is escaped."""

from __future__ import annotations

from html import escape

MAX_CHARS = 2_000
"""Of one text that is shown; a hostile server could fill a page with one field."""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(
    name: str, *content: object, css: str = "", style: str = "", title: str = "", span: int = 0
) -> Markup:
    """One HTML element.

    Args:
        name: Of the element, such as "td".
        content: Its parts, in order; Markup is taken as it is, everything else is escaped.
        css: Its classes.
        style: Its style attribute.
        title: What a pointer that rests on it is shown.
        span: The columns that a cell takes; 0 is one.
    """
    named = {"class": css, "style": style, "title": title, "colspan": span or ""}
    attributes = "".join(f' {key}="{_text(value)}"' for key, value in named.items() if value)
    return Markup(f"<{name}{attributes}>{joined(*content)}</{name}>")


def joined(*content: object) -> Markup:
    """The parts one after the other, what is not Markup escaped."""
    return Markup("".join(one if isinstance(one, Markup) else _text(one) for one in content))


def _text(value: object) -> str:
    text = str(value)
    cut = text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}… ({len(text)} characters)"
    # A lone surrogate cannot be sent to the browser, and NUL is not allowed in HTML.
    sendable = cut.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
    return escape(sendable, quote=True)

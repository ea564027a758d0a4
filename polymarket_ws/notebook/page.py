"""The frame of everything that is shown: a heading with a badge, and the facts below."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from attrs import frozen

from .markup import Markup, element, joined
from .style import STYLE

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

_STOPPED = "No longer updated (kernel restarted or disconnected): this is what it showed last."


@frozen
class Badge:
    """What state something is in, in a word."""

    text: str
    tone: str = ""
    """"good", "bad", "wait", "dim", or "" for none."""


def page(
    name: object,
    badge: Badge | None,
    *content: Markup,
    facts: Sequence[object] = (),
    is_moving: bool = False,
) -> str:
    """The whole output: heading, content, and the facts in one line below.

    Args:
        is_moving: It is updated in place: when that ends without a last update, it says so itself.
    """
    shown = Markup()
    if badge is not None:
        shown = element("span", badge.text, css=f"pmws-badge pmws-{badge.tone or 'dim'}")
    head = element("div", element("span", name, css="pmws-name"), shown, css="pmws-head")
    foot = element("div", " · ".join(str(fact) for fact in facts), css="pmws-foot")
    watchdog = element("div", _STOPPED, css="pmws-stopped pmws-bad") if is_moving else Markup()
    css = "pmws pmws-moving" if is_moving else "pmws"
    return element("div", STYLE, head, joined(*content), foot if facts else "", watchdog, css=css)


def time_text(timestamp_ms: int) -> str:
    """A time of the server, in UTC; the number itself where no calendar has it."""
    try:
        moment = _EPOCH + timedelta(milliseconds=timestamp_ms)
    except OverflowError:
        return f"{timestamp_ms} ms"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} UTC"


def clock_text() -> str:
    """The time of day now, in UTC."""
    return f"{datetime.now(timezone.utc):%H:%M:%S} UTC"


def asset_name(book: object, asset_id: str) -> str:
    """What a book is called: the label of its Asset if it was subscribed as one, else its id."""
    asset = getattr(book, "asset", None)
    return short_id(asset_id) if asset is None else str(asset)


def short_id(text: str) -> str:
    """An id that fits in a line."""
    return text if len(text) <= 24 else f"{text[:10]}…{text[-6:]}"

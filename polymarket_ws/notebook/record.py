"""Any value as the table of its fields: an event, what was counted, what is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone

from .page import Badge, page
from .table import fields_table


def record_html(name: str, values: Mapping[str, object], *, received_at_ns: int = 0) -> str:
    """What it is, when it came, and a row for each field.

    Args:
        values: By their names, in the order in which they are shown.
        received_at_ns: Wall time in nanoseconds since 1970; 0 shows none.
    """
    badge = Badge(f"received {_time(received_at_ns)}", "dim") if received_at_ns else None
    return page(name, badge, fields_table(values))


def _time(received_at_ns: int) -> str:
    moment = datetime.fromtimestamp(received_at_ns // 10**9, timezone.utc)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{received_at_ns // 10**6 % 1000:03d} UTC"

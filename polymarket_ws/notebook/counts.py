"""What was counted: connections as a table, counters side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import AttrsInstance

from .markup import Markup, element, joined
from .page import Badge, page
from .table import records_table


def counts_html(
    name: str,
    badge: str,
    connections: Sequence[AttrsInstance],
    groups: Mapping[str, Mapping[str, object]],
) -> str:
    """All of it.

    Args:
        badge: What state it is in.
        connections: Values of one attrs class, a row for each.
        groups: Counters, by the title of their group.
    """
    return page(
        name,
        Badge(badge, "dim"),
        records_table(connections),
        *(_group(title, counters) for title, counters in groups.items() if counters),
    )


def _group(title: str, counters: Mapping[str, object]) -> Markup:
    return joined(
        element("div", title, css="pmws-title"),
        element("div", *(_counter(*one) for one in counters.items()), css="pmws-counts"),
    )


def _counter(name: str, value: object) -> Markup:
    text = f"{value:,}" if isinstance(value, int) else value
    css = "" if value else "pmws-dim"
    return element("div", element("span", name, css="pmws-dim"), element("span", text, css=css))

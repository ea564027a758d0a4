"""Draws the one kind of diagram that the pages have: boxes and the arrows down from one to another.

It is written as a mermaid flowchart, which forges draw themselves; a site would need a program or
three megabytes of JavaScript for it.
"""

from __future__ import annotations

import re
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_BOX = re.compile(r"^\s*(\w+)\[(.+)\]$", re.MULTILINE)
_ARROW = re.compile(r"^\s*(\w+) --> (\w+)$", re.MULTILINE)

_WIDTH, _HEIGHT = 128, 34  # of a box, in pixels
_GAP, _ROW = 36, 78  # between two boxes of a row, and from one row to the next
_LANE = 16  # as wide as a box, for an arrow that passes a row

_SVG = """<svg class="flowchart" role="img" aria-label="{label}" viewBox="0 0 {width} {height}">
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"
orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>
{arrows}
{boxes}
</svg>"""


Arrow = tuple[str, str]


def draw(source: str) -> str:
    """The SVG of a flowchart."""
    titles = dict(_BOX.findall(source))
    arrows = _ARROW.findall(source)
    depths = _depths(list(titles), arrows)
    ways = [_way(arrow, depths) for arrow in arrows]
    rows = _rows(depths, [step for way in ways for step in pairwise(way)])
    widths = [sum(_width(name, titles) + _GAP for name in row) for row in rows]
    places: dict[str, tuple[int, int]] = {}  # the middle of each box's upper edge
    for number, (row, width) in enumerate(zip(rows, widths, strict=True)):
        x = (max(widths) - width) // 2
        for name in row:
            own = _width(name, titles) + _GAP
            places[name] = (x + own // 2, 8 + number * _ROW)
            x += own
    return _SVG.format(
        label=escape(", ".join(f"{titles[begin]} to {titles[end]}" for begin, end in arrows)),
        width=max(widths),
        height=len(rows) * _ROW,
        arrows="\n".join(_path([places[name] for name in way]) for way in ways),
        boxes="\n".join(_box(titles[name], *places[name]) for name in titles),
    )


def _depths(names: list[str], arrows: list[Arrow]) -> dict[str, int]:
    """The row of each box: below all that lead to it."""
    depths = dict.fromkeys(names, 0)
    for _ in names:
        for begin, end in arrows:
            depths[end] = max(depths[end], depths[begin] + 1)
    return depths


def _way(arrow: Arrow, depths: dict[str, int]) -> list[str]:
    """What an arrow passes: its box, a lane of its own in each row between, and its other box."""
    begin, end = arrow
    lanes = [f"{begin} {end} {depth}" for depth in range(depths[begin] + 1, depths[end])]
    depths.update({lane: int(lane.split()[-1]) for lane in lanes})
    return [begin, *lanes, end]


def _rows(depths: dict[str, int], steps: list[Arrow]) -> list[list[str]]:
    """Each row in the order of what leads to it, so that few arrows cross."""
    rows: list[list[str]] = []
    places: dict[str, float] = {}
    for depth in range(max(depths.values()) + 1):
        row = [name for name in depths if depths[name] == depth]
        above = {name: [places[b] for b, e in steps if e == name] for name in row}
        row.sort(key=lambda name: sum(above[name]) / max(1, len(above[name])))
        places.update({name: (column + 0.5) / len(row) for column, name in enumerate(row)})
        rows.append(row)
    return rows


def _width(name: str, titles: dict[str, str]) -> int:
    return _WIDTH if name in titles else _LANE


def _box(title: str, x: int, y: int) -> str:
    return (
        f'<rect x="{x - _WIDTH // 2}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="5"/>'
        f'<text x="{x}" y="{y + _HEIGHT // 2}">{escape(title)}</text>'
    )


def _path(points: list[tuple[int, int]]) -> str:
    """A line from the lower edge of the first box to the upper edge of the last."""
    x, y = points[0]
    y += _HEIGHT
    path = f"M{x} {y}"
    for number, (next_x, next_y) in enumerate(points[1:], 2):
        bend = (next_y - y) // 2
        path += f"C{x} {y + bend} {next_x} {next_y - bend} {next_x} {next_y}"
        x, y = next_x, next_y
        if number < len(points):
            y += _HEIGHT
            path += f"V{y}"
    return f'<path class="arrow" d="{path}"/>'


def _draw_all(app: Sphinx, doctree: nodes.document) -> None:
    for block in list(doctree.findall(nodes.literal_block)):
        if block.get("language") == "mermaid" and app.builder.format == "html":
            block.replace_self(nodes.raw("", draw(block.astext()), format="html"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Draw as pages are read."""
    app.connect("doctree-read", _draw_all)
    return {"parallel_read_safe": True}

"""The snapshots of what was counted."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap

import attrs
import pytest

from polymarket_ws.events import State
from polymarket_ws.stats import ConnectionStats, Stats

CONNECTION = ConnectionStats(
    connection="1-market",
    channel="market",
    state="open",
    generation=1,
    attempt=0,
    local_port=1,
    messages=2,
    total_messages=3,
    total_bytes=4,
    last_data_age=None,
    last_round_trip=0.1,
)


def test_stats_are_frozen_values() -> None:
    """A snapshot of one moment: compared by value, never changed, varied by evolving."""
    numbers = {
        field.name: 0
        for field in attrs.fields(Stats)
        if field.name not in ("state", "connections", "events")
    }
    stats = Stats(state=State.LIVE, connections=(CONNECTION,), events={"book": 1}, **numbers)

    assert attrs.evolve(stats) == stats
    assert attrs.evolve(stats, dropped=1) != stats
    assert "open" == stats.connections[0].state
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        stats.dropped = 1  # type: ignore[misc]


@pytest.mark.parametrize("kind", [Stats, ConnectionStats])
def test_what_a_figure_means_is_documented(kind: type) -> None:
    """But for those whose name says it all."""
    [cls] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(cls, ast.ClassDef)
    undocumented = {
        node.target.id
        for node, after in zip(cls.body, [*cls.body[1:], ast.Pass()], strict=True)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and not isinstance(after, ast.Expr)
    }

    assert undocumented <= {"state", "connections", "callback_errors"}


def test_stats_as_json() -> None:
    """Plain values all the way down."""
    numbers = {
        field.name: 0
        for field in attrs.fields(Stats)
        if field.name not in ("state", "connections", "events")
    }
    stats = Stats(state=State.LIVE, connections=(CONNECTION,), events={"book": 1}, **numbers)

    written = json.loads(json.dumps(stats.to_dict()))
    assert ("LIVE", {"book": 1}, 0) == (written["state"], written["events"], written["dropped"])
    assert [attrs.asdict(CONNECTION)] == written["connections"]


def test_a_notebook_shows_connections_and_counters() -> None:
    """With their names as in the class."""
    numbers = {
        field.name: 1234
        for field in attrs.fields(Stats)
        if field.name not in ("state", "connections", "events")
    }
    stats = Stats(state=State.LIVE, connections=(CONNECTION,), events={"book": 17}, **numbers)

    html = stats._repr_html_()

    assert not [name for name in {*numbers} - {"uptime"} if f">{name}<" not in html]
    assert not [text for text in (">1-market<", ">17<", ">1,234<") if text not in html]

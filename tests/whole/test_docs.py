"""The pages agree with the code: options, command line, reasons, counters, errors, links."""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import re
from pathlib import Path

import attrs
import pytest
from kit.measured import markers
from proofs import faults_proof, hostile_proof

from polymarket_ws import Disconnected, Gap, LiveBook, Options, Subscriber, errors
from polymarket_ws.commands.command_line import events_to_choose, make_parser
from polymarket_ws.errors import ConfigurationError
from polymarket_ws.stats import ConnectionStats, Stats

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md")))


def _rows(page: str, first_column: str | None = None) -> list[list[str]]:
    """The cells of a page's tables, or of those whose first heading is `first_column`."""
    rows: list[list[str]] = []
    heading = ""
    former = ""
    for line in (DOCS / page).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and not former.startswith("|"):
            heading = cells[0]
        elif cells and not set(line) <= set("|- ") and first_column in (None, heading):
            rows.append(cells)
        former = line
    return rows


def _codes(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


OPTION_ROWS = {_codes(row[0])[0]: row for row in _rows("options.md", "option")}


def test_every_option_is_documented() -> None:
    """options.md has a row for each field of Options, in its order, and no other."""
    assert [field.name for field in attrs.fields(Options)] == list(OPTION_ROWS)


@pytest.mark.parametrize("name", OPTION_ROWS)
def test_documented_defaults_are_the_real_ones(name: str) -> None:
    """The default of each option is the one that its page shows."""
    shown = OPTION_ROWS[name][1].strip("`").strip('"')

    assert str(getattr(Options(), name)) == shown


@pytest.mark.parametrize("name", OPTION_ROWS)
def test_documented_bounds_are_the_real_ones(name: str) -> None:
    """What the page allows is accepted at its very bound, and refused beyond it."""
    bound = OPTION_ROWS[name][2]
    if " to " in bound:
        low, high = (float(text) if "." in text else int(text) for text in bound.split(" to "))
        good, bad = (low, high), (low * 0.99 if isinstance(low, float) else low - 1, high + 1)
    elif bound.startswith("`True`"):
        good, bad = (True, False), (1, None)
    elif bound.startswith('`"'):
        good, bad = tuple(code.strip('"') for code in _codes(bound)), ("else", None)
    elif "URL" in bound:
        schemes = re.findall(r"\b(https?|socks\w+|wss?)\b", bound)
        good, bad = tuple(f"{s}://127.0.0.1:1" for s in schemes), ("ftp://127.0.0.1", 1)
    else:
        good, bad = (None,), ("context",)

    for value in good:
        assert value == getattr(Options(**{name: value}), name)
    for value in bad:
        with pytest.raises(ConfigurationError, match=name):
            Options(**{name: value})


def _commands() -> dict[str, argparse.ArgumentParser]:
    (action,) = (a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(action.choices)


@pytest.mark.parametrize("command", _commands())
def test_every_argument_is_documented(command: str) -> None:
    """cli.md has each command's arguments, and no other."""
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    section = text.split(f"## polymarket-ws {command}")[1].split("\n## ")[0]
    cells = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    documented = {code.split()[0] for cell in cells for code in _codes(cell)}
    real = {
        name
        for action in _commands()[command]._actions
        for name in (action.option_strings or [str(action.metavar)])
    }

    assert real - {"-h", "--help"} == documented


def test_every_command_is_documented() -> None:
    """cli.md has a section for each command."""
    sections = re.findall(r"^## polymarket-ws (\w+)$", (DOCS / "cli.md").read_text(), re.MULTILINE)

    assert sorted(_commands()) == sorted(sections)


def test_exit_codes_are_documented() -> None:
    """cli.md lists those of --help."""
    told = re.findall(r"^  (\d+) ", make_parser().epilog or "", re.MULTILINE)

    assert told == [row[0] for row in _rows("cli.md", "code")]


def test_events_to_choose_are_documented() -> None:
    """cli.md names every event that --events takes."""
    (row,) = (row for row in _rows("cli.md") if "--events" in row[0])

    assert set() == set(events_to_choose()) - set(re.findall(r"\w+", row[1]))


def test_every_reason_of_a_disconnect_is_documented() -> None:
    """reconnecting.md has the words that the docstring of Disconnected promises."""
    promised = set(re.findall(r'"(\w+)"', inspect.getdoc(Disconnected) or ""))

    assert promised == {_codes(row[0])[0] for row in _rows("reconnecting.md", "reason")}


def test_every_reason_of_a_gap_is_documented() -> None:
    """reconnecting.md has the words that the docstring of Gap promises."""
    promised = set(re.findall(r'"(\w+)"', inspect.getdoc(Gap) or ""))
    rows = _rows("reconnecting.md", "reason of a gap")

    assert promised == {code for row in rows for code in _codes(row[0])}


def test_every_stale_reason_is_documented() -> None:
    """books.md has the words that LiveBook.stale_reason promises."""
    promised = set(re.findall(r'"(\w+)"', inspect.getdoc(LiveBook.stale_reason) or ""))
    documented = {code for row in _rows("books.md", "`valid`") for code in _codes(row[1])}

    assert promised == documented


@pytest.mark.parametrize(
    ("kind", "heading"), [(Stats, "field"), (ConnectionStats, "field of a connection")]
)
def test_every_counter_is_documented(kind: type, heading: str) -> None:
    """logging-and-stats.md has a row for each field."""
    documented = {c for row in _rows("logging-and-stats.md", heading) for c in _codes(row[0])}

    assert {field.name for field in attrs.fields(kind)} == documented


def test_the_tree_of_errors_is_the_real_one() -> None:
    """errors.md draws the tree that errors.py draws, and speaks of each class."""
    tree = (errors.__doc__ or "").split("\n\n")[1]
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    spoken_of = {code for row in _rows("errors.md", "error") for code in _codes(row[0])}
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.PolymarketWsError)
    }

    assert [line.strip() for line in tree.splitlines()] == [
        line.strip() for line in page.split("\n\n")[2].splitlines()
    ]
    assert classes - {"PolymarketWsError"} == spoken_of


def test_every_callback_is_documented() -> None:
    """quickstart.md's table has each on_ member."""
    members = {name for name in dir(Subscriber) if name.startswith("on_")}
    documented = {code for row in _rows("quickstart.md", "callback") for code in _codes(row[0])}

    assert members == documented


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link names a file that exists."""
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]

    assert [] == [target for target in local if not (page.parent / target).exists()]


def test_every_page_is_on_the_map() -> None:
    """The tables of index.md, of which the sidebar and llms.txt are made, have each page once."""
    spec = importlib.util.spec_from_file_location("page_map", DOCS / "_ext" / "page_map.py")
    assert spec is not None
    assert spec.loader is not None
    page_map = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page_map)
    files = [file.relative_to(DOCS) for file in DOCS.rglob("*.md")]
    pages = [file for file in files if file.parts[0] not in ("_build", "examples")]
    listed = page_map.read_pages((DOCS / "index.md").read_text(encoding="utf-8"))

    names = sorted(page.with_suffix("").as_posix() for page in pages)
    assert names == sorted(["index", *(page.name for page in listed)])


def test_the_readme_stands_alone() -> None:
    """README.md has no relative link, which would lead nowhere on PyPI, and names real files."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    files = re.findall(r"`(docs/[\w./-]+)`", text)

    assert [] == [link for link in links if "://" not in link and not link.startswith("#")]
    assert [] == [file for file in files if not (ROOT / file).exists()]


@pytest.mark.parametrize(
    ("part", "rows"),
    [
        ("faults", {*(row.injected for row in faults_proof.ROWS.values())}),
        ("hostile", {what for what, *_ in hostile_proof.ROWS.values()}),
    ],
)
def test_measured_tables_have_every_row(part: str, rows: set[str]) -> None:
    """reliability.md's tables have the rows of the commands that write them."""
    begin, end = markers(part)
    text = (DOCS / "reliability.md").read_text(encoding="utf-8").split(begin)[1].split(end)[0]

    assert set() == rows - {line.split(" | ")[0].removeprefix("| ") for line in text.splitlines()}

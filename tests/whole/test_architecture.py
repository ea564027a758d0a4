"""docs/architecture.md agrees with the code: its rooms, its arrows, the functions of its walks."""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "polymarket_ws"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
# What the map shows beside the rooms: two files of the root.
ROOT_FILES = {"subscriber", "lookup"}
MAP = PAGE.split("```mermaid\n")[1].split("```")[0]
ARROWS = re.findall(r"^ *(\w+) --> (\w+)$", MAP, re.MULTILINE)
WALKS = re.split(r"^### ", PAGE.split("\n## Five walks\n")[1].split("\n## ")[0], flags=re.MULTILINE)
STEPS = re.findall(r"`([\w/]+\.py): ([\w.]+)`", PAGE)


def _section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def _layers() -> dict[str, int]:
    """The layer of each room and file, 0 on top, as the import contract has them."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = config["importlinter:contract:one-way"]["layers"].split("\n")
    layers = [line.split(" | ") for line in lines if line]
    return {name: number for number, names in enumerate(layers) for name in names}


def _imported_by(path: Path) -> set[str]:
    """The rooms and root files that a file of the package imports."""
    package = path.relative_to(ROOT).parts[:-1]
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            if module[:1] == (PACKAGE.name,):
                names = module[1:2] or tuple(alias.name for alias in node.names)
                imported.update(names)
    return imported


def _imports(name: str) -> set[str]:
    folder = PACKAGE / name
    files = [*folder.rglob("*.py")] if folder.is_dir() else [PACKAGE / f"{name}.py"]
    return set().union(*map(_imported_by, files)) - {name}


IMPORTS = {name: _imports(name) & (ROOMS | ROOT_FILES) for name in ROOMS | ROOT_FILES}


def _reached(name: str, by: dict[str, set[str]]) -> set[str]:
    """Everything that a name leads to, over one step or several."""
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        for other in by[waiting.pop()] - reached:
            reached.add(other)
            waiting.append(other)
    return reached


def _defined(path: Path) -> set[str]:
    """The functions and classes of a file, and the members of its classes as `Class.member`."""
    names: set[str] = set()
    kinds = (ast.ClassDef, ast.FunctionDef)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, kinds):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names.update(f"{node.name}.{n.name}" for n in node.body if isinstance(n, kinds))
    return names


def test_the_map_shows_every_room() -> None:
    """The boxes of the map are the sub-packages and the two files of the root, and no others."""
    boxes = set(re.findall(r"^ *(\w+)\[", MAP, re.MULTILINE))

    assert ROOMS | ROOT_FILES == boxes


def test_the_table_describes_every_room() -> None:
    """The table has one row for each sub-package, and no other."""
    rows = re.findall(r"^\| `(\w+)/` \|", _section("The rooms"), re.MULTILINE)

    assert sorted(ROOMS) == sorted(rows)


def test_an_arrow_joins_two_boxes() -> None:
    """Both ends of each arrow are boxes of the map."""
    ends = {end for arrow in ARROWS for end in arrow}

    assert set() == ends - ROOMS - ROOT_FILES


@pytest.mark.parametrize(("importer", "imported"), ARROWS)
def test_an_arrow_is_an_import(importer: str, imported: str) -> None:
    """Code at the beginning of an arrow imports from its end."""
    assert imported in IMPORTS[importer]


@pytest.mark.parametrize(("importer", "imported"), ARROWS)
def test_an_arrow_points_to_a_lower_layer(importer: str, imported: str) -> None:
    """Each arrow goes down the layers of the import contract."""
    layers = _layers()

    assert layers[importer] < layers[imported]


@pytest.mark.parametrize("name", sorted(ROOMS | ROOT_FILES))
def test_every_import_is_on_the_map(name: str) -> None:
    """What a room imports is reached from its box by arrows."""
    drawn = {box: {end for begin, end in ARROWS if begin == box} for box in ROOMS | ROOT_FILES}

    assert _reached(name, IMPORTS) == _reached(name, drawn)


def test_there_are_five_walks() -> None:
    """Each of the five walks names functions in numbered steps."""
    walks = [walk for walk in WALKS[1:] if re.search(r"^1\. .*`[\w/]+\.py: ", walk, re.MULTILINE)]

    assert 5 == len(walks) == len(WALKS[1:])


@pytest.mark.parametrize(("file", "name"), sorted(set(STEPS)))
def test_a_step_of_a_walk_exists(file: str, name: str) -> None:
    """The file of each step is there, and defines the function that the step names."""
    path = PACKAGE / file

    assert (True, True) == (path.is_file(), path.is_file() and name in _defined(path))

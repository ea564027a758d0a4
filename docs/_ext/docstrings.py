"""Docstrings as Sphinx reads them: sections become fields, indented examples become code."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx import addnodes
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.pycode import ModuleAnalyzer

from polymarket_ws import events

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_SECTIONS = ("Args:", "Attributes:", "Raises:", "Returns:", "Yields:")
_CONFIG = Config(napoleon_use_rtype=False)
# Outside of backticks: as many follow as an even number.
_WORD_END = re.compile(r"(\w)_(?!\w)(?=[^`]*(?:`[^`]*`[^`]*)*$)")
# The other classes are made by the package: how is no concern of its users.
_MADE_BY_USERS = {
    "Credentials",
    "FakeServer",
    "Options",
    "PolymarketWS",
    "SimulatedExchange",
    "Subscriber",
    "SubscriberCollector",
}


def _restructured(lines: list[str]) -> list[str]:
    """Say before each indented block outside of the sections that it is code; take the underscore
    at a word's end for what it is.
    """
    marked: list[str] = []
    is_indented = is_section = False
    for line in lines:
        if line.startswith("    ") and not is_section and not is_indented:
            marked += [".. code-block:: python", ""]
        if line:
            is_indented = line.startswith("    ")
            is_section = line in _SECTIONS or (is_section and is_indented)
        is_code = is_indented and not is_section
        marked.append(line if is_code else _WORD_END.sub(r"\1\\_", line))
    return marked


def _process_docstring(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    # "object", whatever it is: of an attribute napoleon would take "Seconds: ..." for its type.
    lines[:] = GoogleDocstring(_restructured(lines), _CONFIG, app, "object", name, obj).lines()


def _process_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, args: str, result: str
) -> tuple[str, str] | None:
    is_hidden = what in ("class", "exception") and name.rpartition(".")[2] not in _MADE_BY_USERS
    return ("", "") if args and is_hidden else None


def _unlink_builtins(app: Sphinx, doctree: nodes.document) -> None:
    """Take the `type` of a signature for Python's, and not for some class's field of that name."""
    for link in list(doctree.findall(addnodes.pending_xref)):
        if link["refdomain"] == "py" and link.get("reftarget") == "type":
            link.replace_self(nodes.Text("type"))


def _name_their_modules() -> None:
    """Let the classes of events/ name the files where autodoc finds what is said of their fields,
    and not the room that their users import them from.
    """
    for found in pkgutil.iter_modules(events.__path__, "polymarket_ws.events."):
        module = importlib.import_module(found.name)
        for name, (kind, *_) in ModuleAnalyzer.for_module(found.name).find_tags().items():
            if kind == "class":
                getattr(module, name).__module__ = found.name


def setup(app: Sphinx) -> dict[str, bool]:
    """Take napoleon's place."""
    _name_their_modules()
    app.connect("autodoc-process-docstring", _process_docstring)
    app.connect("autodoc-process-signature", _process_signature)
    app.connect("doctree-read", _unlink_builtins)
    return {"parallel_read_safe": True}

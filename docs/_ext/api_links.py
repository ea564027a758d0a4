"""What a page writes as `Options.standby` or `on_gap` becomes a link into the API reference."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

_REFERENCE = "reference/"
_NAME = re.compile(r"(?:sub\.|polymarket_ws\.(?:[a-z_]+\.)*)?([A-Za-z_][\w.]*)(?:\(\))?")
_SHORT = ("Subscriber", "Options")  # whose members the pages name without their class


def _short_names(env: BuildEnvironment) -> dict[str, str]:
    """The full name of each entry of the reference, by the names that a page may use for it. Of
    several the one that is nearest to the package.
    """
    found: dict[str, set[str]] = {}
    for name, entry in env.get_domain("py").objects.items():
        if entry.aliased or not entry.docname.startswith(_REFERENCE):
            continue
        short = name.split(".")
        while short and short[0].islower():
            del short[0]
        names = {".".join(short)} if short else {name.rpartition(".")[2]}
        if len(short) == 2 and short[0] in _SHORT:
            names.add(short[1])
        for each in names:
            found.setdefault(each, set()).add(name)
    nearest: dict[str, str] = {}
    for short_name, candidates in found.items():
        first, *others = sorted(candidates, key=lambda name: name.count("."))
        if all(name.count(".") > first.count(".") for name in others):
            nearest[short_name] = first
    return nearest


class ApiLinks(SphinxPostTransform):
    """Runs for each page, once all are read."""

    default_priority = 500

    def run(self) -> None:
        """Link the literals of this page."""
        objects = self.env.get_domain("py").objects
        short_names = _short_names(self.env)
        for literal in list(self.document.findall(nodes.literal)):
            target = self._target(literal, short_names)
            if target and not isinstance(literal.parent, nodes.reference):
                entry = objects[target]
                link = make_refnode(
                    self.app.builder,
                    self.env.docname,
                    entry.docname,
                    entry.node_id,
                    literal.deepcopy(),
                    target,
                )
                literal.replace_self(link)

    def _target(self, literal: nodes.literal, short_names: dict[str, str]) -> str | None:
        if not (named := _NAME.fullmatch(literal.astext())):
            return None
        name = named[1]
        if not self.env.docname.startswith(_REFERENCE):
            is_plain_word = named[0].isalpha()  # `books` may be a room, `run` a word of a command
            return None if is_plain_word and name.islower() else short_names.get(name)
        # In a docstring: a member of the class that it is of, before anything else.
        of = self._described(literal)
        while of:
            if f"{of}.{name}" in self.env.get_domain("py").objects:
                return f"{of}.{name}"
            of = of.rpartition(".")[0]
        return short_names.get(name) if "." in name or not name.islower() else None

    def _described(self, node: nodes.Node) -> str:
        while node.parent is not None:
            node = node.parent
            if isinstance(node, addnodes.desc):
                return next(iter(node[0]["ids"]), "")
        return ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the transform."""
    app.add_post_transform(ApiLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

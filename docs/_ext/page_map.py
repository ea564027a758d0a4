"""docs/index.md is the one map of the pages: the sidebar and llms.txt are made of its tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_HEADING = re.compile(r"## (.+)")
_FILE_LINK = re.compile(r"\[[\w./-]+\.md\]\(([\w./-]+\.md(?:#[\w-]+)?)\)")  # shown by its title
_FOLDER_LINK = re.compile(r"\[([^]]+)\]\(examples(?:/[\w-]+)*/?\)")  # which the site does not have
_INCLUDED = {  # of files outside of docs/ the site has pages
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security-policy.md",
}
_ROW = re.compile(r"\| \[[^]]*\]\(([\w./-]+)\.md\) \| (.+) \|")


@frozen
class Page:
    """One row of a table."""

    group: str
    """The heading above its table."""
    name: str
    """As Sphinx has it: the path below docs/, without its suffix."""
    answer: str
    """The question that the page answers, or what it has."""


def read_pages(index: str) -> list[Page]:
    """The rows of the index, in its order."""
    group, pages = "", []
    for line in index.splitlines():
        if heading := _HEADING.fullmatch(line):
            group = heading[1]
        elif row := _ROW.fullmatch(line):
            pages.append(Page(group, row[1], row[2]))
    return pages


def _sidebar(pages: list[Page], others: list[str]) -> str:
    groups: dict[str, list[str]] = {}
    for page in pages:
        groups.setdefault(page.group, []).append(page.name)
    if others:
        groups["More"] = others
    return "".join(
        f"\n```{{toctree}}\n:hidden:\n:caption: {group}\n\n" + "\n".join(names) + "\n```\n"
        for group, names in groups.items()
    )


def _read_page(app: Sphinx, docname: str, content: list[str]) -> None:
    text = content[0]
    for file, page in _INCLUDED.items():
        text = text.replace(f"](../{file})", f"]({page})")
    if docname == app.config.root_doc:
        pages = read_pages(text)
        listed = {docname, *(page.name for page in pages)}
        text += _sidebar(pages, sorted(app.env.found_docs - listed))
    text = _FOLDER_LINK.sub(r"\1", text)
    content[0] = _FILE_LINK.sub(r"[](\1)", text)


def _write_llms_txt(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        index = (Path(app.srcdir) / "index.md").read_text(encoding="utf-8")
        titles = {name: title.astext() for name, title in app.env.titles.items()}
        (Path(app.outdir) / "llms.txt").write_text(llms_txt(index, titles), encoding="utf-8")


def llms_txt(index: str, titles: dict[str, str]) -> str:
    """The map for a language model, as https://llmstxt.org has it."""
    title, summary = index.split("\n\n")[:2]
    lines = [title, "", "> " + " ".join(summary.splitlines())]
    group = ""
    for page in read_pages(index):
        if page.group != group:
            group = page.group
            lines += ["", f"## {group}", ""]
        lines.append(f"- [{titles[page.name]}]({page.name}.html): {page.answer}")
    return "\n".join([*lines, ""])


def setup(app: Sphinx) -> dict[str, bool]:
    """Make both at each build."""
    app.connect("source-read", _read_page)
    app.connect("build-finished", _write_llms_txt)
    return {"parallel_read_safe": True}

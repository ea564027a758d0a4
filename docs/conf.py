"""The settings of Sphinx; `make docs` builds the site."""

from __future__ import annotations

import sys
from pathlib import Path

import polymarket_ws

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "polymarket_ws"
author = copyright = "polymarket_ws contributors"
release = version = polymarket_ws.__version__
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "docstrings",
    "flowchart",
    "api_links",
    "completeness",
    "page_map",
]
exclude_patterns = ["_build", "_ext", "examples"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!polymarket_ws).*"),  # the names of other packages
    ("py:class", r".*\.[A-Z]"),  # type variables
    ("py:class", r".*\.ObservedSubscriber"),  # a protocol: any Subscriber
    ("py:class", r".*\.celery\.sender\.Task"),  # a protocol: any task of Celery
]

myst_heading_anchors = 4  # the anchors of headings that a link may name, as the forges have them

default_role = "literal"  # docstrings are written with single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
add_module_names = False

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"polymarket_ws {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_search_scorer = str(HERE / "_ext" / "search_scorer.js")
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False

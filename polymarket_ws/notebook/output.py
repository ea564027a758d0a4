"""One output of a cell, replaced in place: by anywidget, else by IPython's display handles."""

from __future__ import annotations

import functools
import importlib
import uuid
from typing import Any, Protocol

from .cell import shell

# The view of anywidget: the kernel's HTML. An unchanged one is drawn anew, too: that restarts the
# animation which, when it ends, says that no update came (style.py).
_VIEW = """
export default {
  render({ model, el }) {
    const draw = () => { el.innerHTML = model.get("html"); };
    model.on("change:count", draw);
    draw();
  },
};
"""


class Output(Protocol):
    """What a view draws on. Used by the cell's own thread."""

    def draw(self, html: str) -> None:
        """Replace what is shown."""

    def close(self, html: str) -> None:
        """Leave this in the notebook; nothing follows."""


def open_output(html: str, text: str) -> Output:
    """A new output in the cell that runs.

    Args:
        html: What it shows first.
        text: The same for a client that shows no HTML.

    Raises:
        RuntimeError: outside of a notebook.
    """
    if getattr(shell(), "kernel", None) is None:
        raise RuntimeError(
            "show() needs a Jupyter notebook; elsewhere print the object, or use `polymarket-ws "
            "stream` in a terminal"
        )
    handle = _Handle(text)
    try:
        return _Widget(handle, html)
    except ImportError:
        handle.open({"text/html": html})
        return handle


class _Handle:
    """An output that is sent anew as a whole, under one id."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._id = uuid.uuid4().hex
        self._display: Any = importlib.import_module("IPython.display")

    def open(self, bundle: dict[str, object]) -> None:
        self._display.display(self._with_text(bundle), raw=True, display_id=self._id)

    def draw(self, html: str) -> None:
        bundle = self._with_text({"text/html": html})
        self._display.update_display(bundle, raw=True, display_id=self._id)

    def close(self, html: str) -> None:
        self.draw(html)

    def _with_text(self, bundle: dict[str, object]) -> dict[str, object]:
        return {"text/plain": self._text, **bundle}


class _Widget:
    """An output of which only the HTML is sent; the browser keeps the element.

    What stays in the notebook is plain HTML: a saved widget would need its kernel.
    """

    def __init__(self, handle: _Handle, html: str) -> None:
        self._handle = handle
        self._model = _widget_class()(html=html)
        data, _ = self._model._repr_mimebundle_()
        handle.open({**data, "text/html": html})

    def draw(self, html: str) -> None:
        with self._model.hold_sync():
            self._model.html = html
            self._model.count += 1

    def close(self, html: str) -> None:
        self._handle.close(html)
        self._model.close()


@functools.lru_cache
def _widget_class() -> Any:
    """A class of anywidget's, with our view.

    Raises:
        ImportError: the extra `[notebook]` is not installed.
    """
    base = importlib.import_module("anywidget").AnyWidget
    traitlets = importlib.import_module("traitlets")
    members = {
        "_esm": _VIEW,
        "html": traitlets.Unicode().tag(sync=True),
        "count": traitlets.Int(0).tag(sync=True),
    }
    return type("View", (base,), members)

"""A live view: one output, updated until something ends it. In IPython, but without a browser."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import RichOutput, capture_output
from traitlets.config import Config

from polymarket_ws.notebook import output
from polymarket_ws.notebook.cell import running_cell, shell
from polymarket_ws.notebook.show import show

PATIENCE = 30.0


@pytest.fixture
def outputs() -> Iterator[Callable[[], list[RichOutput]]]:
    """A shell that belongs to a kernel; what was displayed in it so far, updates included."""
    made = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    made.kernel = object()
    try:
        with capture_output() as captured:
            yield lambda: captured.outputs
    finally:
        InteractiveShell.clear_instance()


@pytest.fixture
def no_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra `[notebook]` is not installed."""
    output._widget_class.cache_clear()
    monkeypatch.setitem(sys.modules, "anywidget", None)


class Subject:
    """What is shown; it ends after so many drawings."""

    def __init__(self, drawings: int = 3, failure: BaseException | None = None) -> None:
        self.left = drawings
        self.failure = failure
        self.begun = threading.Event()

    def render(self, is_moving: bool, note: str) -> str:
        """Its HTML."""
        if is_moving:
            self.begun.set()
            self.left -= 1
            if self.left < 0 and self.failure is not None:
                raise self.failure
        return f"{'moving' if is_moving else 'still'} {self.left} {note}"

    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.left <= 0 and self.failure is None

    def show(self, seconds: float | None = None) -> None:
        """Show it on this thread."""
        show(self, self.render, self.is_over, seconds)


def html(outputs: list[RichOutput]) -> list[str]:
    """What each display and update showed."""
    return [one.data["text/html"] for one in outputs]


@pytest.mark.usefixtures("no_widgets")
def test_one_output_is_updated(outputs: Callable[[], list[RichOutput]]) -> None:
    """Under one id, and left as a still."""
    subject = Subject()
    subject.show()

    assert ["moving 2 ", "moving 1 ", "moving 0 ", "still 0 view ended"] == html(outputs())
    assert 1 == len({one.transient["display_id"] for one in outputs()})
    assert [False, True, True, True] == [one.update for one in outputs()]
    assert {repr(subject)} == {one.data["text/plain"] for one in outputs()}


def test_a_widget_is_updated_by_its_own_messages(
    outputs: Callable[[], list[RichOutput]],
) -> None:
    """The output is a widget, with HTML for who shows none, and in the end it is HTML alone."""
    Subject().show()

    first, last = outputs()
    assert "application/vnd.jupyter.widget-view+json" in first.data
    assert ["moving 2 ", "still 0 view ended"] == html(outputs())
    assert {"text/plain", "text/html"} == last.data.keys()


@pytest.mark.usefixtures("no_widgets")
def test_an_interrupt_ends_it(outputs: Callable[[], list[RichOutput]]) -> None:
    """It does not leave the cell."""
    Subject(2, KeyboardInterrupt()).show()

    assert "still -1 view ended by interrupt" == html(outputs())[-1]


@pytest.mark.usefixtures("no_widgets")
def test_an_exception_ends_it_too(outputs: Callable[[], list[RichOutput]]) -> None:
    """And is raised; what is left does not move."""
    with pytest.raises(ZeroDivisionError):
        Subject(2, ZeroDivisionError()).show()

    assert "still -1 view ended" == html(outputs())[-1]


@pytest.mark.usefixtures("no_widgets", "outputs")
def test_it_ends_after_its_seconds() -> None:
    """Though the subject goes on."""
    subject = Subject(10**6)
    subject.show(seconds=0.01)

    assert not subject.is_over()


@pytest.mark.usefixtures("no_widgets", "outputs")
def test_another_view_of_the_same_ends_the_former() -> None:
    """Cells of one kernel may run on several threads."""
    subject = Subject(10**6)
    former = threading.Thread(target=subject.show, daemon=True)
    former.start()
    assert subject.begun.wait(PATIENCE)
    subject.show(seconds=0.01)
    former.join(PATIENCE)

    assert not former.is_alive()


@pytest.mark.usefixtures("no_widgets")
def test_what_does_not_change_is_not_sent_at_once(
    outputs: Callable[[], list[RichOutput]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But now and then, so that the browser knows that the kernel is there."""
    monkeypatch.setattr("polymarket_ws.notebook.show.REDRAW_SECONDS", 0.001)
    left = iter(range(20))

    def is_over() -> bool:
        return next(left, None) is None

    show(Subject(), lambda is_moving, _: str(is_moving), is_over, None)
    assert ["True", "True", "False"] == html(outputs())

    monkeypatch.setattr("polymarket_ws.notebook.show.REFRESH_SECONDS", 0.0)
    left = iter(range(20))
    show(Subject(), lambda is_moving, _: str(is_moving), is_over, None)
    assert 3 + 22 == len(outputs())


def test_a_terminal_has_no_views(outputs: Callable[[], list[RichOutput]]) -> None:
    """IPython without a kernel could not update them."""
    del shell().kernel

    with pytest.raises(RuntimeError, match=r"^show\(\) needs a Jupyter notebook"):
        Subject().show()
    assert [] == outputs()


def test_the_running_cell_has_a_number(outputs: Callable[[], list[RichOutput]]) -> None:
    """Another one each time that it is run."""
    found: list[int | None] = []
    shell().push({"note": lambda: found.append(running_cell())})
    for _ in range(2):
        shell().run_cell("note()", store_history=True)

    [first, second] = found
    assert first != second


def test_outside_of_ipython_no_cell_runs() -> None:
    """Also where its module is loaded."""
    assert running_cell() is None

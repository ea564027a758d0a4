"""What a log line may contain, and that no handler can hurt who writes it."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from polymarket_ws.logs import Log, printable


@pytest.fixture
def handler() -> Iterator[logging.StreamHandler[io.StringIO]]:
    """A handler of the logger "polymarket_ws.test"."""
    handler = logging.StreamHandler(io.StringIO())
    logging.getLogger("polymarket_ws.test").addHandler(handler)
    yield handler
    logging.getLogger("polymarket_ws.test").removeHandler(handler)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢 😀", "plain é 漢 😀"),
        ("two\nlines\r\t", "two\\nlines\\r\\t"),
        ("\x1b[31mred\x07\x00", "\\x1b[31mred\\x07\\x00"),
        ("a\u202eb\u200bc\u2028", "a\\u202eb\\u200bc\\u2028"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    """Control and format characters, bidirectional overrides and lone surrogates become escapes."""
    assert shown == printable(text)


def test_every_argument_is_made_printable(handler: logging.StreamHandler[io.StringIO]) -> None:
    """Texts, exceptions and other objects; numbers keep their formats."""
    Log("polymarket_ws.test").warning("%s: %s %.2f %d", "a\nb", ValueError("\x1b[2J"), 0.5, 7)

    assert "a\\nb: \\x1b[2J 0.50 7\n" == handler.stream.getvalue()


def test_a_record_names_the_line_that_logged() -> None:
    """File, line and function are the caller's, the logger its module's."""
    records: list[logging.LogRecord] = []
    logger = logging.getLogger("polymarket_ws.test")
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger.addHandler(handler)
    try:
        Log("polymarket_ws.test").error("failed", cause=ValueError("why"))
    finally:
        logger.removeHandler(handler)

    [record] = records
    assert (__file__, "test_a_record_names_the_line_that_logged", "polymarket_ws.test") == (
        record.pathname,
        record.funcName,
        record.name,
    )
    assert record.exc_info is not None
    assert ValueError is record.exc_info[0]


def test_a_handler_that_raises_is_reported_and_nothing_else(
    handler: logging.StreamHandler[io.StringIO], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its exception goes to stderr, as those of the library's own handlers do."""

    def emit(_: logging.LogRecord) -> None:
        raise RuntimeError("the log server is down")

    handler.emit = emit  # type: ignore[method-assign]
    Log("polymarket_ws.test").warning("said")

    assert "the log server is down" in capsys.readouterr().err


def test_what_is_not_enabled_is_not_formatted(
    handler: logging.StreamHandler[io.StringIO],
) -> None:
    """An argument of a line below the level is not even turned into text."""

    class Untouched:
        def __str__(self) -> str:
            raise AssertionError("formatted")

    Log("polymarket_ws.test").debug("%s", Untouched())

    assert not Log("polymarket_ws.test").is_enabled_for(logging.DEBUG)
    assert "" == handler.stream.getvalue()

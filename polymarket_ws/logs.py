"""The package's loggers: what they are given is shown safely, and no handler of them can hurt.

A log line is written on the thread that receives, or under a user's call, by handlers that are not
ours: one that raises must not end a thread, nor keep a connection from being made anew. And what is
logged comes from the wire, from a proxy or from a user's names, and goes to a terminal: a newline
would forge a line, an escape sequence would be obeyed.
"""

from __future__ import annotations

import logging
import sys
import traceback


def printable(text: str) -> str:
    r"""The text with each character that a terminal would obey or hide as an escape: "\n", "\x1b".

    Control and format characters, and separators other than the space; Unicode's categories C
    and Z.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode()


class Log:
    """A module's logger of the standard library, as this package uses it. Any thread.

    Texts among the arguments are made printable; so are exceptions and other objects. A handler or
    filter that raises is reported on stderr, as the library's own handlers do, and nothing else.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def is_enabled_for(self, level: int) -> bool:
        return self._logger.isEnabledFor(level)

    def debug(self, message: str, *args: object) -> None:
        self._write(logging.DEBUG, message, args)

    def info(self, message: str, *args: object) -> None:
        self._write(logging.INFO, message, args)

    def warning(self, message: str, *args: object) -> None:
        self._write(logging.WARNING, message, args)

    def error(self, message: str, *args: object, cause: BaseException | None = None) -> None:
        """Log an error; with the traceback of `cause` when it is given."""
        self._write(logging.ERROR, message, args, cause)

    def log(self, level: int, message: str, *args: object) -> None:
        self._write(level, message, args)

    def _write(
        self,
        level: int,
        message: str,
        args: tuple[object, ...],
        cause: BaseException | None = None,
    ) -> None:
        if not self._logger.isEnabledFor(level):
            return
        caller = sys._getframe(2)  # of the method by which this was called
        code = caller.f_code
        try:
            record = self._logger.makeRecord(
                self._logger.name,
                level,
                code.co_filename,
                caller.f_lineno,
                message,
                tuple(map(_shown, args)),
                (type(cause), cause, cause.__traceback__) if cause is not None else None,
                code.co_name,
            )
            self._logger.handle(record)
        except Exception:
            if logging.raiseExceptions and sys.stderr is not None:
                traceback.print_exc()


def _shown(argument: object) -> object:
    return argument if isinstance(argument, (int, float)) else printable(str(argument))

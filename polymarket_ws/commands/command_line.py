"""The command `polymarket-ws`: arguments in, an exit code out."""

from __future__ import annotations

import argparse
import io
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from polymarket_ws import __version__
from polymarket_ws.errors import CertificateError, ConfigurationError, PolymarketWsError
from polymarket_ws.events import EVENTS, Event, Family, Unknown
from polymarket_ws.logs import Log
from polymarket_ws.lookup import GAMMA_URL, find_assets
from polymarket_ws.options import MARKET_URL, Options

from .event_lines import json_line, readable
from .find import find_open, json_lines, labels_of, table_lines
from .stream import StreamCommand

logger = Log(__name__)

ENDED, FAILED, WRONG, FORCED = 0, 1, 2, 130

_EXIT_CODES = """\
exit codes:
  0    ended by Ctrl-C, SIGTERM, --seconds or a reader that closed the pipe
  1    a fatal error, a market that was not found, or no connection within --seconds
  2    wrong arguments, or a missing extra
  130  forced by another Ctrl-C, half a second or more after the first"""


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="polymarket-ws",
        description="Polymarket's real-time WebSocket channels, in the terminal.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"polymarket-ws {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_demo(commands)
    _add_stream(commands)
    _add_find(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; None: that of the process. Returns the exit code.

    Raises:
        SystemExit: after --help and --version, and with wrong arguments.
    """
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):  # a terminal may not know every character
            output.reconfigure(errors="backslashreplace")
    options = make_parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except KeyboardInterrupt:
        _discard_stdout()
        return FORCED
    except BrokenPipeError:
        _discard_stdout()
        return ENDED


def _discard_stdout() -> None:
    """Nobody reads our pipe any more: let the interpreter's last flush go nowhere."""
    with suppress(OSError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def default_events() -> list[str]:
    """What is written unless --events says otherwise: all that a subscription alone brings."""
    plain = [n for n, kind in _market_events().items() if not kind.needs_custom_features]
    return [*plain, Unknown.event_type]


def events_to_choose() -> list[str]:
    """What --events may name: the defaults first, then the rest of what one connection tells."""
    ours = [n for n, k in EVENTS.items() if k.family in (Family.UNDECODED, Family.LIFECYCLE)]
    return list(dict.fromkeys([*default_events(), *_market_events(), *ours]))


def _market_events() -> dict[str, type[Event]]:
    return {name: kind for name, kind in EVENTS.items() if kind.family is Family.MARKET}


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = commands.add_parser(
        "demo",
        help="a simulated exchange in the terminal; needs no network",
        description="Follow a simulated exchange over real sockets on 127.0.0.1: live books, "
        "trades, own orders, connections that are cut once, and their recovery. Needs the extra "
        "[testing], and [rest] to tell what own orders did in between.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo.add_argument(
        "--seconds", type=_seconds, default=15.0, metavar="N", help="how long (default: 15)"
    )
    demo.set_defaults(run=_demo)


def _add_stream(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    stream = commands.add_parser(
        "stream",
        help="write the events of some assets to stdout, a line each",
        description="Write the events of some assets to stdout, a line each; logs go to stderr. It "
        "reconnects for ever.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, default = stream.add_argument, default_events()
    add(
        "assets",
        nargs="+",
        metavar="ASSET",
        help="token ids, decimal numbers of about 77 digits; or what `find` takes",
    )
    add("--json", action="store_true", help="JSON objects in the wire's shape, with received_at_ns")
    add(
        "--events",
        type=_event_kinds,
        default=_event_kinds(",".join(default)),
        metavar="NAME[,NAME...]",
        help=f"which, of {', '.join(events_to_choose())} (default: the first {len(default)})",
    )
    add("--seconds", type=_seconds, metavar="N", help="end after so many (default: never)")
    add("--url", default=MARKET_URL, help="another server's market channel, ws:// or wss://")
    _add_gamma_url(stream)
    add("-v", "--verbose", action="count", default=0, help="log connections; -vv: every message")
    stream.set_defaults(run=_stream)


def _add_find(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    find = commands.add_parser(
        "find",
        help="the assets of a market or an event",
        description="Write the assets of a market or an event to stdout, a line each. Needs the "
        "extra [rest].",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    find.add_argument(
        "address",
        metavar="ADDRESS",
        help="a page of polymarket.com, a market's or an event's slug, or a condition id",
    )
    find.add_argument("--json", action="store_true", help="JSON objects")
    _add_gamma_url(find)
    find.set_defaults(run=_find)


def _add_gamma_url(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--gamma-url", default=GAMMA_URL, metavar="URL", help="another market data service"
    )


def _demo(options: argparse.Namespace) -> int:
    try:
        from .demo import Demo
    except ImportError as error:
        sys.stderr.write(f"polymarket-ws demo: {error}\n")
        return WRONG
    with _logging_to_stderr(logging.CRITICAL):  # the demo tells of its lost connection itself
        Demo(options.seconds).run()
    return ENDED


def _stream(options: argparse.Namespace) -> int:
    level = max(logging.DEBUG, logging.WARNING - 10 * options.verbose)
    with _logging_to_stderr(level):
        try:
            assets = find_open(options.assets, options.gamma_url)
            command = StreamCommand(
                asset_ids=assets,
                kinds=options.events,
                line_of=json_line if options.json else _line_with(labels_of(assets)),
                seconds=options.seconds,
                options=Options(market_url=options.url),
            )
        except PolymarketWsError as error:
            return _refuse("stream", error)
        try:
            return command.run()
        except PolymarketWsError as error:
            _refuse("stream", error)
            return FAILED


def _line_with(labels: dict[str, str]) -> Callable[[Event], str]:
    return partial(readable, labels=labels) if labels else readable


def _find(options: argparse.Namespace) -> int:
    with _logging_to_stderr(logging.WARNING):
        try:
            assets = find_assets(options.address, url=options.gamma_url)
        except PolymarketWsError as error:
            return _refuse("find", error)
    for line in json_lines(assets) if options.json else table_lines(assets):
        sys.stdout.write(f"{line}\n")
    return ENDED


def _refuse(command: str, error: PolymarketWsError) -> int:
    sys.stderr.write(f"polymarket-ws {command}: {error}\n")
    is_of_arguments = isinstance(error, ConfigurationError)
    return WRONG if is_of_arguments and not isinstance(error, CertificateError) else FAILED


def _seconds(text: str) -> float:
    seconds = float(text)
    if not (math.isfinite(seconds) and seconds > 0):
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return seconds


def _event_kinds(text: str) -> tuple[type[Event], ...]:
    names = [name.strip().removeprefix("on_") for name in text.split(",")]
    choice = events_to_choose()
    for name in names:
        if name not in choice:
            listed = ", ".join(choice)
            raise argparse.ArgumentTypeError(f"there is no {name!r}; there are {listed}")
    return tuple(EVENTS[name] for name in dict.fromkeys(names))


@contextmanager
def _logging_to_stderr(level: int) -> Iterator[None]:
    """Show the package's log lines on stderr, as of `level`, and nowhere else."""
    package = logging.getLogger("polymarket_ws")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    former = package.level, package.propagate
    package.addHandler(handler)
    package.setLevel(level)
    package.propagate = False
    try:
        yield
    finally:
        package.removeHandler(handler)
        package.setLevel(former[0])
        package.propagate = former[1]

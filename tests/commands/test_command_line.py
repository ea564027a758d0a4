"""The command line: what it writes where, and with which exit code it ends."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from attrs import evolve
from kit.streaming import Streaming

import polymarket_ws
from polymarket_ws import Subscriber
from polymarket_ws.commands import interrupts
from polymarket_ws.commands.command_line import main, make_parser
from polymarket_ws.commands.event_lines import json_line, readable, short
from polymarket_ws.commands.screen import Line, Screen
from polymarket_ws.commands.table import table
from polymarket_ws.events import Disconnected, Fill, LevelChange, Side, Unknown
from polymarket_ws.rest.gamma import read_market
from polymarket_ws.testing import (
    FakeServer,
    SimulatedExchange,
    make_book,
    make_last_trade_price,
    make_order,
    make_price_change,
    make_tick_size_change,
    make_trade,
)

PATIENCE = 20.0
COMMAND = (sys.executable, "-m", "polymarket_ws")
ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that knows asset "1"."""
    with FakeServer() as server:
        server.add_book(make_book("1"))
        yield server


@contextlib.contextmanager
def process_of(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A process of its own, killed if the test forgets it."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def process(*arguments: str) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    """The command line in a process of its own."""
    return process_of(*COMMAND, *arguments)


def test_stream_writes_json_lines_in_the_wires_shape(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """--json gives one object a line, with the time of arrival, in the order of the wire."""
    change = make_price_change("1", [("BUY", "0.41", "5")], best_bid="0.41", best_ask="0.6")
    streaming = Streaming(["1", "--json", "--url", server.url()])
    with streaming as subscriber:
        server.send(change)
        server.send(make_last_trade_price("1"))
        server.settle(subscriber)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert ["book", "price_change", "last_trade_price"] == [line["event_type"] for line in lines]
    assert all(line.pop("received_at_ns") > 0 for line in lines)
    assert change.to_dict() == lines[1]
    assert 0 == streaming.code


def test_stream_writes_readable_lines(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --json a line tells time, kind and what matters."""
    with Streaming(["1", "--url", server.url()]) as subscriber:
        server.send(make_last_trade_price("1", "0.5", "10", "SELL"))
        server.settle(subscriber)
    book, trade = capsys.readouterr().out.splitlines()

    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} book 1 0\.4 x 10 / 0\.6 x 10 \(1 bids, 1 asks\)", book
    )
    assert trade.endswith("last_trade_price 1 SELL 10 at 0.5")


def test_stream_writes_only_the_events_that_were_named(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """--events picks kinds, lifecycle included; names may carry on_."""
    arguments = ["1", "--json", "--events", "connect,on_last_trade_price", "--url", server.url()]
    with Streaming(arguments) as subscriber:
        server.send(make_last_trade_price("1"))
        server.settle(subscriber)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert ["connect", "last_trade_price"] == [line["event_type"] for line in lines]


def test_stream_logs_to_stderr(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """-v shows connections on stderr; stdout has events alone."""
    with Streaming(["1", "-v", "--url", server.url()]):
        pass
    told = capsys.readouterr()

    assert "INFO stream-market: connected (generation 1)" in told.err
    assert 1 == len(told.out.splitlines())


def test_stream_names_an_asset_of_which_nothing_came(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the seconds are over, an asset without a book is named on stderr; the exit code is 0."""
    code = main(["stream", "1", "55", "--seconds", "2", "--url", server.url()])

    assert "no book came for 55: token ids have about 77 digits" in capsys.readouterr().err
    assert 0 == code


@pytest.mark.parametrize(
    ("asset", "sentence"),
    [
        ("will it rain", "which is no page address, slug or condition id"),
        ("0xabc", "a condition id is 0x and 62 or 64 hex digits"),
        ('["1"]', "is a JSON list as text"),
    ],
)
def test_wrong_ids_are_told_in_one_sentence(
    asset: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong ids give the sentence of the ConfigurationError on one line, and exit code 2."""
    code = main(["stream", asset])
    told = capsys.readouterr().err

    assert 2 == code
    assert sentence in told
    assert 1 == len(told.splitlines())


@pytest.fixture
def exchange_server() -> Iterator[FakeServer]:
    """A server with the markets of an exchange."""
    with FakeServer(SimulatedExchange(seed=3)) as server:
        yield server


def test_stream_looks_up_what_is_no_asset_id(
    exchange_server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page's address stands for its assets, whose lines say the question and the outcome."""
    exchange = exchange_server.exchange
    assert exchange is not None
    urls = ["--url", exchange_server.url(), "--gamma-url", exchange_server.gamma_url]
    arguments = ["https://polymarket.com/event/simulated-market-1", exchange.asset_ids[2], *urls]
    with Streaming(arguments) as subscriber:
        assert set(exchange.asset_ids[:3]) == subscriber.subscriptions.asset_ids
        exchange_server.settle(subscriber)
    lines = capsys.readouterr().out

    assert 3 == len(lines.splitlines())
    assert " book Will simulated market 1 resolve to…: Yes 0" in lines
    assert " book Will simulated market 1 resolve to…: No 0" in lines
    assert f" book {short(exchange.asset_ids[2])} 0" in lines


def test_stream_leaves_closed_markets_out(
    exchange_server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of an event the open part is streamed; what is closed as a whole ends the command."""
    exchange_server.play(lambda exchange: exchange.resolve(exchange.markets[0]))
    exchange = exchange_server.exchange
    assert exchange is not None
    for market in exchange.gamma_markets():
        exchange_server.add_market({**market, "events": [{"slug": "all"}]})
    urls = ["--url", exchange_server.url(), "--gamma-url", exchange_server.gamma_url]
    with Streaming(["all", *urls]) as subscriber:
        assert set(exchange.asset_ids) == subscriber.subscriptions.asset_ids
    assert "1 of 3 markets are closed" in capsys.readouterr().err

    assert 1 == main(["stream", "simulated-market-1", *urls])
    assert "simulated-market-1 is closed, so nothing comes of it" in capsys.readouterr().err


def test_find_writes_a_table(
    exchange_server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole ids, to be copied; the question last."""
    exchange = exchange_server.exchange
    assert exchange is not None
    code = main(["find", "simulated-market-2", "--gamma-url", exchange_server.gamma_url])
    heading, yes, no = capsys.readouterr().out.splitlines()

    assert 0 == code
    assert ["outcome", "closed", "asset", "id", "question"] == heading.split()
    assert ["Yes", "no", exchange.asset_ids[2]] == yes.split()[:3]
    assert no.endswith("  Will simulated market 2 resolve to Yes?")


def test_find_writes_json_lines(
    exchange_server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fields of an Asset; numbers as text."""
    code = main(["find", "simulated-market-2", "--json", "--gamma-url", exchange_server.gamma_url])
    first, _ = (json.loads(line) for line in capsys.readouterr().out.splitlines())

    assert 0 == code
    assert ("Yes", "0.01", False) == (first["outcome"], first["tick_size"], first["closed"])


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("no-such", 1, "Polymarket has no market or event 'no-such' (asked http://127.0.0.1:"),
        ("71", 2, "looks like an asset id"),
        ("https://example.org/event/x", 2, "not of polymarket.com"),
    ],
)
@pytest.mark.parametrize("command", ["find", "stream"])
def test_a_failed_lookup_is_told_in_one_sentence(
    exchange_server: FakeServer,
    capsys: pytest.CaptureFixture[str],
    command: str,
    address: str,
    code: int,
    said: str,
) -> None:
    """1 where it was not found, 2 where the argument is wrong."""
    if (command, address) == ("stream", "71"):  # there it is an asset id
        return
    assert code == main([command, address, "--gamma-url", exchange_server.gamma_url])
    told = capsys.readouterr().err

    assert told.startswith(f"polymarket-ws {command}: ")
    assert said in told
    assert 1 == len(told.splitlines())


def test_a_refused_certificate_ends_a_lookup_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    """It is no wrong argument."""
    with FakeServer(tls=True) as server:
        assert 1 == main(["find", "x", "--gamma-url", server.gamma_url])

    assert "the TLS certificate of 127.0.0.1 was refused" in capsys.readouterr().err


def test_a_wrong_url_is_an_argument_error(capsys: pytest.CaptureFixture[str]) -> None:
    """A URL that is none of a WebSocket gives exit code 2."""
    assert 2 == main(["stream", "1", "--url", "https://example.com"])
    assert "must begin with ws:// or wss://" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["stream"],
        ["stream", "1", "--events", "nothing"],
        ["stream", "1", "--seconds", "0"],
        ["demo", "--seconds", "nan"],
        ["demo", "--seconds", "soon"],
    ],
)
def test_wrong_arguments_end_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """argparse's own exit code, and its usage on stderr."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert 2 == ended.value.code
    assert "usage: polymarket-ws" in capsys.readouterr().err


def test_a_fatal_error_ends_with_1(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal is told in a sentence without a traceback."""
    server.faults.reject(401, times=None)
    code = main(["stream", "1", "--url", server.url()])
    told = capsys.readouterr().err

    assert 1 == code
    assert (
        "polymarket-ws stream: the server refused the opening handshake with HTTP status 401"
        in told
    )
    assert "Traceback" not in told


def test_no_connection_within_the_seconds_ends_with_1(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that cannot be reached is no success, and the reason is told."""
    url = server.url()
    server.stop_listening()
    code = main(["stream", "1", "--seconds", "0.5", "--url", url])

    assert 1 == code
    assert "no connection within 0.5 s: refused: Connection refused" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_stream_with_0(server: FakeServer, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM are the ordinary ways to end."""
    with process("stream", "1", "--url", server.url()) as command:
        assert command.stdout is not None
        assert "book 1" in command.stdout.readline()
        command.send_signal(number)
        _, errors = command.communicate(timeout=PATIENCE)

    assert (0, "") == (command.returncode, errors)


def test_a_closed_pipe_ends_the_stream_quietly(server: FakeServer) -> None:
    """A reader like head, which has seen enough, causes neither a traceback nor a failure."""
    with process("stream", "1", "--url", server.url()) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.readline()
        command.stdout.close()
        server.flood(make_last_trade_price("1"))
        code = command.wait(PATIENCE)
        errors = command.stderr.read()

    assert (0, "") == (code, errors)


def test_another_signal_forces_the_end(server: FakeServer) -> None:
    """A stream that cannot write ends at another Ctrl-C, with 130 and without a traceback."""
    program = (
        "import sys, threading\n"
        "from polymarket_ws.commands import command_line as cli\n"
        "def stuck(event):\n"
        "    sys.stdout.write('stuck\\n')\n"
        "    sys.stdout.flush()\n"
        "    threading.Event().wait(60)\n"
        "cli.readable = stuck\n"
        f"sys.exit(cli.main(['stream', '1', '--url', {server.url()!r}]))\n"
    )
    with process_of(sys.executable, "-c", program) as command:
        assert command.stdout is not None
        assert "stuck\n" == command.stdout.readline()
        deadline = time.monotonic() + PATIENCE
        while command.poll() is None and time.monotonic() < deadline:
            command.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                command.wait(2 * interrupts.ECHO_SECONDS)
        _, errors = command.communicate(timeout=PATIENCE)

    assert (130, "") == (command.returncode, errors)


def test_an_echo_of_a_signal_is_no_second_wish() -> None:
    """Two signals at once ask once."""
    asked: list[int] = []
    with interrupts.handled(lambda: asked.append(1), echo_seconds=60):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)

    assert [1] == asked


def test_a_later_signal_raises_and_handlers_come_back() -> None:
    """The second wish raises KeyboardInterrupt; afterwards signals are handled as before."""
    former = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interrupts.handled(lambda: None, echo_seconds=0):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    assert former is signal.getsignal(signal.SIGINT)


def test_demo_shows_a_loss_and_its_recovery(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal the demo writes plain lines, and sums up at the end."""
    code = main(["demo", "--seconds", "1"])
    told = capsys.readouterr().out
    summary = " ".join(told.split("\n\n")[-1].split())

    assert 0 == code
    assert "market connection lost (reset): 6 books stale" in told
    assert "all 6 books live again" in told
    assert re.search(r"trade  Will simulated market \d…: (Yes|No ) +(BUY|SELL) ", told)
    assert "\x1b" not in told
    assert "The connections were cut once (reset): 6 books were stale at once;" in summary
    assert "your orders and trades are complete again: REST told " in told
    assert re.search(r"order  .* BUY 20 at \S+  20 matched, MATCHED \(told by REST\)", told)
    assert re.search(r"order  .* BUY 20 at 0.01  0 matched, UNKNOWN \(told by REST\)", told)
    assert "0 messages were not understood, 0 events dropped." in summary


def test_demo_without_rest_says_what_is_not_known() -> None:
    """Without urllib3 it shows the same outage, and what the extra would tell."""
    program = (
        "import sys, importlib.util; sys.modules['urllib3'] = None; "
        "from polymarket_ws.commands.command_line import main; "
        "sys.exit(main(['demo', '--seconds', '1']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE
    )
    summary = " ".join(done.stdout.split("\n\n")[-1].split())

    assert (0, "") == (done.returncode, done.stderr)
    assert "told by REST" not in done.stdout
    assert "What your own orders did meanwhile is not known: pip install 'pol" in summary


def test_demo_ends_cleanly_at_ctrl_c() -> None:
    """Ctrl-C ends it with the summary and 0."""
    with process("demo", "--seconds", "60") as command:
        assert command.stdout is not None
        command.stdout.readline()
        command.send_signal(signal.SIGINT)
        told, errors = command.communicate(timeout=PATIENCE)

    assert (0, "") == (command.returncode, errors)
    assert "It ended before a connection was cut." in " ".join(told.split())


def test_demo_survives_a_closed_pipe() -> None:
    """`polymarket-ws demo | head -1` ends quietly."""
    with process("demo", "--seconds", "60") as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.readline()
        command.stdout.close()
        code = command.wait(PATIENCE)
        errors = command.stderr.read()

    assert (0, "") == (code, errors)


def test_demo_ends_when_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line into a closed pipe ends it, with 0."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert 0 == main(["demo", "--seconds", "60"])
        monkeypatch.undo()


def test_demo_needs_the_extra() -> None:
    """Without websockets it says in one sentence what to install, and ends with 2."""
    program = (
        "import sys; sys.modules['websockets'] = None; "
        "from polymarket_ws.commands.command_line import main; sys.exit(main(['demo']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE
    )

    assert 2 == done.returncode
    assert "install polymarket-ws[testing]" in done.stderr
    assert 1 == len(done.stderr.splitlines())


@pytest.fixture
def terminal_output(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], tuple[int, str]]:
    """Runs the demo on a terminal of this size; gives its exit code and all that it wrote."""

    def run(columns: int, lines: int) -> tuple[int, str]:
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("LINES", str(lines))
        monkeypatch.delenv("NO_COLOR", raising=False)
        master, slave = pty.openpty()
        chunks: list[bytes] = []

        def read() -> None:
            with contextlib.suppress(OSError):  # EIO: the other side has gone
                while chunk := os.read(master, 65536):
                    chunks.append(chunk)

        reader = threading.Thread(target=read)
        reader.start()
        with open(slave, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal)
            code = main(["demo", "--seconds", "1"])
        reader.join(PATIENCE)
        os.close(master)
        return code, b"".join(chunks).decode()

    return run


@pytest.mark.parametrize(("columns", "lines"), [(100, 40), (36, 12), (12, 4)])
def test_demo_fits_the_terminal(
    columns: int, lines: int, terminal_output: Callable[[int, int], tuple[int, str]]
) -> None:
    """No line is wider than the terminal, no drawing higher, and the cursor comes back."""
    code, told = terminal_output(columns, lines)
    drawings = told.split("\x1b[?25h")[0].split("\x1b[J")[1:]

    assert 0 == code
    assert told.startswith("\x1b[?25l")
    assert len(drawings) > 2
    for drawing in drawings:
        rows = ANSI.sub("", drawing).replace("\r", "").rstrip("\n").split("\n")
        assert max(map(len, rows)) < columns
        assert len(rows) < lines


def test_demo_draws_the_outage_in_the_table(
    terminal_output: Callable[[int, int], tuple[int, str]],
) -> None:
    """On a terminal the books are seen stale, then live again, in colours."""
    _, told = terminal_output(100, 40)

    assert "stale: disconnect" in told
    assert told.rindex("stale: disconnect") < told.rindex("live\x1b[0m")
    assert "\x1b[31m" in told
    assert "\x1b[32m" in told


def test_help_tells_the_exit_codes() -> None:
    """`python -m polymarket_ws --help` and that of each command list them."""
    for arguments in (["--help"], ["stream", "--help"], ["demo", "--help"]):
        done = subprocess.run(
            [*COMMAND, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=True
        )
        assert "exit codes:" in done.stdout


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints the name and the version."""
    with pytest.raises(SystemExit) as ended:
        make_parser().parse_args(["--version"])

    assert 0 == ended.value.code
    assert f"polymarket-ws {polymarket_ws.__version__}\n" == capsys.readouterr().out


def test_event_lines_tell_what_matters() -> None:
    """Each kind has its own words; a kind without any is shown by its repr."""
    change = LevelChange(asset_id="7" * 77, price=Decimal("0.5"), size=Decimal(0), side="SELL")

    assert "77777777…7777" == short("7" * 77)
    assert readable(make_price_change(changes=[change])).endswith(
        "price_change 77777777…7777 SELL 0.5 = 0"
    )
    assert readable(make_book(asks=[])).endswith("book 1 0.4 x 10 / - (1 bids, 0 asks)")
    assert "tick_size_change TickSizeChange(" in readable(make_tick_size_change())


def test_own_events_as_lines() -> None:
    """Side, size and price, how it stands, and whether REST told it."""
    order = make_order(size="20", size_matched="5", type="UPDATE")
    told = evolve(order, type=None, status="UNKNOWN", original_size=None, source="rest")
    trade = make_trade(status="MINED")
    fill = Fill(
        trade_id=trade.id,
        order_id=order.id,
        market=trade.market,
        asset_id="1",
        outcome=None,
        side=Side.BUY,
        price=None,
        size=Decimal(10),
        fee_rate_bps=None,
        role="MAKER",
        status="CONFIRMED",
        timestamp_ms=1,
        source="rest",
        received_at_ns=1,
    )

    assert readable(order).endswith("order 1 BUY 20 at 0.4  5 matched, LIVE")
    assert readable(told).endswith("order 1 BUY ? at 0.4  5 matched, UNKNOWN (told by REST)")
    assert readable(trade).endswith("trade 1 BUY 10 at 0.4  MINED")
    assert readable(fill).endswith(
        "fill 1 BUY 10 at ?  your own as maker, CONFIRMED (told by REST)"
    )


def test_json_lines_hold_what_is_not_of_the_wire() -> None:
    """Our own kinds and decimal numbers in unknown data are written, too."""
    lost = Disconnected(
        channel="market", connection="c", generation=1, reason="eof", will_retry=True, delay=0.5
    )
    unknown = Unknown(channel="market", wire_event_type="new", data={"a": Decimal("0.5")})

    assert "disconnect" == json.loads(json_line(lost))["event_type"]
    assert {"a": "0.5"} == json.loads(json_line(unknown))["data"]


@pytest.mark.parametrize("columns", [20, 40, 56, 67, 76, 120])
def test_the_table_keeps_prices_whatever_the_width(columns: int) -> None:
    """Sizes, last price and state give way before the best prices do."""
    exchange = SimulatedExchange()
    asset_ids = exchange.asset_ids
    with FakeServer(exchange) as server, Subscriber(asset_ids, options=server.options()) as sub:
        sub.wait_ready()
        books = [sub.books[asset_id] for asset_id in asset_ids]
        heading, *lines = table(books, columns)
        sub.subscribe(read_market(exchange.gamma_markets()[0]))
        labelled = table(books, columns)[1:]

    assert {"asset", "bid", "ask"} <= set(heading.text.split())
    assert len(asset_ids) == len(lines)
    assert all(len(line.text) <= max(columns, 29) for line in [*lines, *labelled])
    assert (columns >= 68) is labelled[0].text.startswith("Will simul")
    assert ": Yes  " in labelled[0].text or columns < 68
    assert labelled[2].text.startswith(short(asset_ids[2]))


def test_the_table_shows_the_last_trade_in_each_tokens_own_terms() -> None:
    """A trade of Yes at 0.57 is one of No at 0.43, beside whose prices it stands."""
    exchange = SimulatedExchange()
    yes, no = exchange.asset_ids[:2]
    with FakeServer(exchange) as server, Subscriber([yes, no], options=server.options()) as sub:
        sub.wait_ready()
        before = [line.text.split() for line in table(list(sub.books.values()), 100)[1:]]
        price = exchange.book(yes).asks[0].price
        server.play(lambda exchange: exchange.trade(yes, "BUY", "1"))
        server.settle(sub)
        _, *lines = table([sub.books[yes], sub.books[no]], 100)

    assert ["-", "-"] == [cells[5] for cells in before]
    assert [f"{price}", f"{1 - price}"] == [line.text.split()[5] for line in lines]


def test_a_resized_terminal_is_cleared(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a change of width the next drawing begins at the top of an empty screen."""
    monkeypatch.setenv("COLUMNS", "80")
    screen = Screen(sys.stdout)
    screen.draw([Line("a" * 100)])
    monkeypatch.setenv("COLUMNS", "40")
    screen.draw([Line("a" * 100, "good")])
    told = capsys.readouterr().out

    assert "a" * 78 + "…\n" in told
    assert "\x1b[2J\x1b[H\x1b[32m" + "a" * 38 + "…\x1b[0m\n" in told

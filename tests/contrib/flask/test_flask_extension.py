"""The Flask extension in one process: configuration, contexts, when it starts, its command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

pytest.importorskip("flask.cli", reason="needs the extra [flask]")

from flask import Flask, current_app
from flask.cli import FlaskGroup
from kit.recorder import Recorder

from polymarket_ws import Credentials, Options
from polymarket_ws.contrib.flask import PolymarketWS
from polymarket_ws.errors import ConfigurationError
from polymarket_ws.testing import FakeServer, SimulatedExchange


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server with a simulated exchange."""
    with FakeServer(SimulatedExchange()) as server:
        yield server


@pytest.fixture
def polymarket() -> Iterator[PolymarketWS]:
    """An extension without an application; its subscribers are stopped at the end."""
    extension = PolymarketWS()
    yield extension
    for feed in list(extension._feeds):
        feed.subscriber.stop()


def make_app(polymarket: PolymarketWS, server: FakeServer, name: str = "app", **config: object):
    """An application that follows the server's first market."""
    assert server.exchange is not None
    app = Flask(name)
    app.config.update(
        POLYMARKET_WS_ASSET_IDS=server.exchange.asset_ids[:2],
        POLYMARKET_WS_OPTIONS=server.options(),
    )
    app.config.update(config)
    polymarket.init_app(app)
    app.add_url_rule("/", "index", lambda: str(polymarket.subscriber.state))
    return app


def ready(polymarket: PolymarketWS, app: Flask):
    """The application's subscriber, once its books are live."""
    with app.app_context():
        polymarket.subscriber.wait_ready(20)
        return polymarket.subscriber


def trade(server: FakeServer) -> None:
    """One public trade."""
    assert server.exchange is not None
    asset_id = server.exchange.asset_ids[0]
    server.play(lambda exchange: exchange.trade(asset_id, "BUY", "5"))


def test_init_app_starts_nothing(polymarket: PolymarketWS, server: FakeServer) -> None:
    """An application with the extension has no connection until a request comes."""
    app = make_app(polymarket, server)
    with app.app_context():
        assert "IDLE" == polymarket.subscriber.state

    assert () == server.connections


def test_the_first_request_starts_it(polymarket: PolymarketWS, server: FakeServer) -> None:
    """Requests of one process share one connection."""
    app = make_app(polymarket, server)
    for _ in range(3):
        app.test_client().get("/")
    ready(polymarket, app)

    assert 1 == len(server.connections)


@pytest.mark.parametrize("config", [{"TESTING": True}, {"POLYMARKET_WS_AUTOSTART": False}])
def test_a_request_does_not_start_it(
    polymarket: PolymarketWS, server: FakeServer, config: dict[str, object]
) -> None:
    """With TESTING, or without AUTOSTART, `start` alone does."""
    app = make_app(polymarket, server, **config)

    assert "IDLE" == app.test_client().get("/").text
    assert polymarket.start(app)
    ready(polymarket, app)
    assert polymarket.stop(app)


def test_a_stopped_one_stays_so(polymarket: PolymarketWS, server: FakeServer) -> None:
    """A request after `stop` starts nothing."""
    app = make_app(polymarket, server)
    app.test_client().get("/")
    assert polymarket.stop(app)

    assert "STOPPED" == app.test_client().get("/").text


def test_a_callback_runs_in_the_context(polymarket: PolymarketWS, server: FakeServer) -> None:
    """A callback sees its application, and the teardown runs after it, told of its exception."""
    seen, torn = Recorder(), Recorder()

    @polymarket.on_last_trade_price
    def store(event: object) -> None:
        seen(current_app.name)
        raise LookupError("no table")

    app = make_app(polymarket, server)
    app.teardown_appcontext(torn)
    polymarket.start(app)
    ready(polymarket, app)
    torn.items.clear()
    trade(server)

    assert ["app"] == seen.wait_for(1)
    assert isinstance(torn.wait_for(1)[0], LookupError)
    with app.app_context():
        assert 1 == polymarket.subscriber.stats().callback_errors


def test_several_applications_have_one_each(polymarket: PolymarketWS, server: FakeServer) -> None:
    """A callback is called for each application, in its context, registered late or early."""
    early, late = Recorder(), Recorder()
    polymarket.on_last_trade_price(lambda event: early(current_app.name))
    apps = [make_app(polymarket, server, name) for name in ("one", "two")]
    polymarket.on_last_trade_price(lambda event: late(current_app.name))
    for app in apps:
        polymarket.start(app)
        ready(polymarket, app)
    trade(server)

    assert ["one", "two"] == sorted(early.wait_for(2))
    assert ["one", "two"] == sorted(late.wait_for(2))
    assert 2 == len(server.connections)


def test_a_filter_and_top_only_are_passed_on(polymarket: PolymarketWS, server: FakeServer) -> None:
    """A callback with a filter hears of its asset alone."""
    assert server.exchange is not None
    seen = Recorder()
    asset_id = server.exchange.asset_ids[1]
    polymarket.on_book_update(lambda book: seen(book.asset_id), asset_id=asset_id, top_only=True)
    app = make_app(polymarket, server)
    polymarket.start(app)
    server.settle(ready(polymarket, app))

    assert {asset_id} == set(seen.wait_for(1))


def test_a_partial_is_named_by_its_function(
    polymarket: PolymarketWS, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """What is logged of a callback that raised names the user's function."""
    told = Recorder()

    def refuse_trade(reason: str, event: object) -> None:
        raise LookupError(reason)

    polymarket.on_last_trade_price(partial(refuse_trade, "no table"))
    polymarket.on_error(told)
    app = make_app(polymarket, server)
    polymarket.start(app)
    ready(polymarket, app)
    trade(server)
    told.wait_for(1)

    assert "refuse_trade raised LookupError: no table" in caplog.text


def test_an_async_callback_is_refused(polymarket: PolymarketWS) -> None:
    """A callback is checked when it is registered, before there is an application."""

    async def store(event: object) -> None: ...

    with pytest.raises(ConfigurationError, match="async"):
        polymarket.on_book(store)


def test_one_extension_an_application(polymarket: PolymarketWS, server: FakeServer) -> None:
    """A second init_app of the same application is refused."""
    app = make_app(polymarket, server)

    with pytest.raises(ConfigurationError, match="has its PolymarketWS already"):
        PolymarketWS(app)


@pytest.mark.parametrize("wrong", [object(), "app", 3])
def test_what_is_no_application_is_named(wrong: Any) -> None:
    """Something else in the place of the application is told by its type."""
    with pytest.raises(ConfigurationError, match=f"application, not {type(wrong).__name__}$"):
        PolymarketWS(wrong)


def test_without_init_app_it_says_so(polymarket: PolymarketWS) -> None:
    """An application that the extension was not given is named as the mistake."""
    with pytest.raises(ConfigurationError, match="call init_app"):
        polymarket.start(Flask("bare"))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"ASSETS": ["1"]}, "POLYMARKET_WS_ASSETS is no setting, but POLYMARKET_WS_ASSET_IDS is"),
        ({"NOTHING_AT_ALL": 1}, "POLYMARKET_WS_NOTHING_AT_ALL is no setting; there are ASSET_IDS"),
        ({"AUTOSTART": "False"}, "AUTOSTART must be True or False, not 'False'; .* JSON"),
        ({"OPTIONS": {"verify": "top"}}, "must be Options, not dict"),
        ({"CREDENTIALS": "key"}, "POLYMARKET_WS_CREDENTIALS must be"),
        ({"VERIFY": "maybe"}, "POLYMARKET_WS_VERIFY must be 'hash' or"),
        ({"ASSET_IDS": "0xabc"}, "POLYMARKET_WS_ASSET_IDS: .*condition id"),
        ({"MARKETS": "1" * 77}, "POLYMARKET_WS_MARKETS: .*token id"),
        ({"MARKETS": "0x" + "1" * 64}, "POLYMARKET_WS_.*needs credentials"),
    ],
)
def test_a_wrong_setting_is_refused(
    polymarket: PolymarketWS, config: dict[str, object], sentence: str
) -> None:
    """A wrong key or value fails at init_app, with a sentence that names it."""
    app = Flask("app")
    app.config.update({f"POLYMARKET_WS_{key}": value for key, value in config.items()})

    with pytest.raises(ConfigurationError, match=sentence):
        polymarket.init_app(app)


def test_flask_shows_a_wrong_setting_as_a_sentence(
    polymarket: PolymarketWS, server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """`flask` ends with 1 and the sentence, without a traceback."""

    def create_app() -> Flask:
        return make_app(polymarket, server, POLYMARKET_WS_VERIFI="top")

    with pytest.raises(SystemExit) as ended:
        FlaskGroup(create_app=create_app).main(["polymarket", "stream"])

    assert 1 == ended.value.code
    assert capsys.readouterr().err.startswith(
        "Error: POLYMARKET_WS_VERIFI is no setting, but POLYMARKET_WS_VERIFY is;"
    )


def test_a_name_may_be_a_number(polymarket: PolymarketWS, server: FakeServer) -> None:
    """The environment's text 3 is read as a number."""
    app = make_app(polymarket, server, POLYMARKET_WS_NAME=3)
    with app.app_context():
        assert "3" == polymarket.subscriber.name


@pytest.mark.parametrize("value", [["1", "2"], "1,2", "1 2", (1, 2)])
def test_asset_ids_as_the_environment_has_them(polymarket: PolymarketWS, value: object) -> None:
    """Lists and separated text name the same assets; options have keys of their own."""
    app = Flask("app")
    app.config.update(
        POLYMARKET_WS_ASSET_IDS=value,
        POLYMARKET_WS_VERIFY="top",
        POLYMARKET_WS_CREDENTIALS=Credentials("key", "c2VjcmV0", "phrase"),
        POLYMARKET_WS_MARKETS="0x" + "1" * 64,
        POLYMARKET_WS_OPTIONS=Options(queue_limit=7),
        POLYMARKET_WS_NAME="prices",
    )
    polymarket.init_app(app)

    with app.app_context():
        wanted = polymarket.subscriber.subscriptions
        assert {"1", "2"} == wanted.asset_ids
        assert {"0x" + "1" * 64} == wanted.markets
        assert "prices" == polymarket.subscriber.name


def test_a_command_that_loads_the_application_does_not_start_it(
    polymarket: PolymarketWS, server: FakeServer
) -> None:
    """`start` at import has no effect under `flask routes`; in a command of one's own it starts."""
    told: list[bool] = []

    def create_app() -> Flask:
        app = make_app(polymarket, server)
        told.append(polymarket.start(app))
        app.cli.command("follow")(lambda: told.append(polymarket.start()))
        return app

    for command in ("routes", "follow"):
        FlaskGroup(create_app=create_app).main([command], standalone_mode=False)

    assert [False, False, True] == told


def test_once_ready_tells_of_live_books(polymarket: PolymarketWS, server: FakeServer) -> None:
    """`flask polymarket stream --once-ready` ends with 0 once every book is live."""
    app = make_app(polymarket, server)
    done = app.test_cli_runner().invoke(args=["polymarket", "stream", "--once-ready"])

    assert (0, "ready: 2 live books\n") == (done.exit_code, done.output)
    assert server.wait_until(lambda: server.connections[0].close_code == 1000)


def test_once_ready_tells_what_is_missing(polymarket: PolymarketWS, server: FakeServer) -> None:
    """It ends with 1 when a book does not come in time, and names it."""
    app = make_app(polymarket, server, POLYMARKET_WS_ASSET_IDS=["123"])
    arguments = ["polymarket", "stream", "--once-ready", "--timeout", "0.2"]
    done = app.test_cli_runner().invoke(args=arguments)

    assert 1 == done.exit_code
    assert "123" in done.output


@pytest.mark.parametrize(
    ("more", "words"), [(["--once-ready"], "nothing to wait for"), ([], "nothing to follow")]
)
def test_nothing_configured_is_refused(
    polymarket: PolymarketWS, server: FakeServer, more: list[str], words: str
) -> None:
    """Without assets and credentials there is nothing that could become live."""
    app = make_app(polymarket, server, POLYMARKET_WS_ASSET_IDS=[])
    done = app.test_cli_runner().invoke(args=["polymarket", "stream", *more])

    assert (1, True) == (done.exit_code, words in done.output), done.output


def test_a_callback_may_end_it_with_an_exit_code(
    polymarket: PolymarketWS, server: FakeServer
) -> None:
    """sys.exit(3) in a callback is the exit code of the command; the last line is printed."""
    polymarket.on_book(lambda book: sys.exit(3))
    app = make_app(polymarket, server)
    done = app.test_cli_runner().invoke(args=["polymarket", "stream"])

    assert 3 == done.exit_code
    assert "following 2 assets with 1 callback\n" in done.output
    assert "stopped: " in done.output


@pytest.mark.parametrize("argument", ["--timeout", "--stop-timeout"])
def test_a_timeout_is_a_number_of_seconds(
    polymarket: PolymarketWS, server: FakeServer, argument: str
) -> None:
    """NaN would never be reached."""
    app = make_app(polymarket, server)
    for wrong in ("nan", "-1", "x"):
        done = app.test_cli_runner().invoke(args=["polymarket", "stream", argument, wrong])
        assert (2, True) == (done.exit_code, argument in done.output), done.output

"""Options: defaults, bounds, and the sentences of what lies outside."""

from __future__ import annotations

import ast
import copy
import inspect
import pickle
import ssl
import textwrap
from decimal import Decimal
from typing import Any

import attrs
import pytest

from polymarket_ws.errors import ConfigurationError
from polymarket_ws.options import Options, is_readable_on_the_way

NUMBERS = {
    "heartbeat_interval": (0.01, 60),
    "pong_timeout": (0.01, 600),
    "first_event_timeout": (0.1, 3600),
    "connect_timeout": (0.01, 600),
    "send_timeout": (0.01, 600),
    "backoff_base": (0.001, 600),
    "backoff_cap": (0.001, 3600),
}
WHOLE = {
    "queue_limit": (1, 10_000_000),
    "max_attempts": (1, 1_000_000),
    "max_assets_per_connection": (1, 10_000),
    "max_message_bytes": (1024, 2**31 - 1),
}
URLS = ("market_url", "user_url")


def sentence(**wrong: Any) -> str:
    """What is said of a wrong value."""
    with pytest.raises(ConfigurationError) as caught:
        Options(**wrong)
    return str(caught.value)


def test_the_defaults_are_those_of_the_design() -> None:
    """Every option has one, so that a Subscriber needs none."""
    options = Options()

    assert {
        "verify": "hash",
        "callback_errors": "log",
        "custom_features": False,
        "reconcile": True,
        "deliver_duplicates": False,
        "queue_limit": 100_000,
        "proxy": None,
        "trust_env": True,
        "ssl_context": None,
        "restart_after_fork": False,
        "allow_insecure_credentials": False,
        "market_url": "wss://ws-subscriptions-clob.polymarket.com/ws/market",
        "user_url": "wss://ws-subscriptions-clob.polymarket.com/ws/user",
        "rest_url": "https://clob.polymarket.com",
        "data_url": "https://data-api.polymarket.com",
        "gamma_url": "https://gamma-api.polymarket.com",
        "rest_staleness": 2.0,
        "heartbeat_interval": 10.0,
        "pong_timeout": 15.0,
        "data_timeout": 60.0,
        "first_event_timeout": 15.0,
        "connect_timeout": 10.0,
        "send_timeout": 5.0,
        "backoff_base": 0.25,
        "backoff_cap": 30.0,
        "max_attempts": None,
        "max_assets_per_connection": 200,
        "standby": False,
        "rotate_every": None,
        "max_message_bytes": 64 * 2**20,
    } == attrs.asdict(options)


@pytest.mark.parametrize(("name", "bounds"), [*NUMBERS.items(), *WHOLE.items()])
def test_a_number_may_be_its_bound(name: str, bounds: tuple[float, float]) -> None:
    """Both ends belong to it."""
    assert list(bounds) == [getattr(Options(**{name: bound}), name) for bound in bounds]


@pytest.mark.parametrize(("name", "bounds"), NUMBERS.items())
@pytest.mark.parametrize(
    "wrong", [0, -1, 1e9, float("nan"), float("inf"), True, None, "5", Decimal(5)]
)
def test_a_number_outside_its_bound_is_refused(
    name: str, bounds: tuple[float, float], wrong: Any
) -> None:
    """With the option, the bound and the value."""
    low, high = bounds

    assert f"Options: {name} must be a number from {low} to {high}, not {wrong!r}" == sentence(
        **{name: wrong}
    )


@pytest.mark.parametrize(("name", "bounds"), WHOLE.items())
@pytest.mark.parametrize("wrong", [0, 2**31, 5000.0, True, "5"])
def test_a_whole_number_is_an_int(name: str, bounds: tuple[int, int], wrong: Any) -> None:
    """A float is refused, even a whole one."""
    low, high = bounds
    none = " or None" if name == "max_attempts" else ""

    assert (
        f"Options: {name} must be a whole number from {low} to {high}{none}, not {wrong!r}"
        == sentence(**{name: wrong})
    )


def test_a_missing_limit_is_none_only_where_it_may_be() -> None:
    """max_attempts None is for ever; a queue has a limit."""
    assert None is Options(max_attempts=None).max_attempts
    assert None is Options(data_timeout=None).data_timeout
    assert "not None" in sentence(queue_limit=None)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"verify": "full"}, "verify must be 'hash' or 'top' or 'off', not 'full'"),
        ({"verify": None}, "verify must be 'hash' or 'top' or 'off', not None"),
        ({"callback_errors": "ignore"}, "callback_errors must be 'log' or 'raise', not 'ignore'"),
        ({"custom_features": 1}, "custom_features must be True or False, not 1"),
        ({"reconcile": None}, "reconcile must be True or False, not None"),
        ({"deliver_duplicates": 0}, "deliver_duplicates must be True or False, not 0"),
        ({"rest_staleness": -1}, "rest_staleness must be a number from 0 to 60, not -1"),
        ({"rest_staleness": 61}, "rest_staleness must be a number from 0 to 60, not 61"),
        ({"rest_url": "ws://h"}, "rest_url must begin with http:// or https://"),
        ({"data_url": "https://"}, "data_url has no host"),
        ({"gamma_url": None}, "gamma_url must be a str, not NoneType"),
        ({"trust_env": "no"}, "trust_env must be True or False, not 'no'"),
        ({"ssl_context": True}, "ssl_context must be an ssl.SSLContext or None, not bool"),
    ],
)
def test_a_wrong_choice_is_named(wrong: dict[str, Any], said: str) -> None:
    """With what it may be."""
    assert f"Options: {said}" == sentence(**wrong)


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://example.org", "must begin with ws:// or wss://"),
        ("example.org/ws/market", "must begin with ws:// or wss://"),
        ("wss://", "has no host"),
        ("wss://h:99999/", "is no URL"),
        ("wss://h:port/", "is no URL"),
        ("wss://[::1/", "is no URL"),
        (None, "must be a str, not NoneType"),
        (b"wss://h/", "must be a str, not bytes"),
    ],
)
def test_a_wrong_url_is_refused(name: str, url: Any, said: str) -> None:
    """The sentence says what is wrong with it, and does not quote it."""
    assert f"Options: {name} {said}" == sentence(**{name: url})


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:80/ws/market", "wss://example.org/ws/user", "ws://[::1]"]
)
def test_a_url_is_ws_or_wss(url: str) -> None:
    """Any host, any path, a port or none."""
    assert url == Options(market_url=url).market_url


@pytest.mark.parametrize("scheme", ["http", "socks4", "socks4a", "socks5", "socks5h"])
def test_a_proxy_has_one_of_five_schemes(scheme: str) -> None:
    """And may carry a user and a password."""
    url = f"{scheme}://user:word@proxy:1080"

    assert url == Options(proxy=url).proxy


@pytest.mark.parametrize(
    "proxy",
    [
        "https://user:hunter2@proxy",
        "http://user:hunter2/x@proxy:80",
        "http://user:hunter2@proxy:hunter2",
        "user:hunter2@proxy",
        "http://user:hunter2\u2100@proxy",
    ],
)
def test_a_wrong_proxy_does_not_show_its_password(proxy: str) -> None:
    """Not the value, and not what urlsplit says of it, which may quote a piece."""
    with pytest.raises(ConfigurationError) as caught:
        Options(proxy=proxy)

    assert str(caught.value).startswith("Options: proxy ")
    assert "hunter2" not in str(caught.value)
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)


def test_a_repr_shows_no_address() -> None:
    """URLs may carry passwords; the rest is shown, for bug reports."""
    shown = repr(
        Options(proxy="http://user:hunter2@proxy", ssl_context=ssl.create_default_context())
    )

    assert [] == [word for word in ("hunter2", "://", "ssl") if word in shown]
    assert "queue_limit=100000" in shown


def test_options_are_varied_by_evolving() -> None:
    """They are immutable, checked again, compared by value, and can be pickled."""
    options = Options(queue_limit=5)

    assert Options(queue_limit=5, pong_timeout=1) == attrs.evolve(options, pong_timeout=1)
    with pytest.raises(ConfigurationError):
        attrs.evolve(options, pong_timeout=0)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        options.queue_limit = 6  # type: ignore[misc]
    assert options == pickle.loads(pickle.dumps(options))


def test_options_are_keyword_only() -> None:
    """Fields can be added and ordered anew."""
    with pytest.raises(TypeError):
        Options("top")  # type: ignore[misc]


def test_every_option_is_documented() -> None:
    """Each field is followed by its docstring in the source."""

    [cls] = ast.parse(textwrap.dedent(inspect.getsource(Options))).body
    assert isinstance(cls, ast.ClassDef)
    documented = {
        node.target.id
        for node, after in zip(cls.body, cls.body[1:], strict=False)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(after, ast.Expr)
    }

    assert {field.name for field in attrs.fields(Options)} == documented


PASSWORD = "proxy-password-proxy"


def test_options_are_pickled_without_a_password_alone() -> None:
    """A proxy's password is not written; a copy in this process is the same object."""
    plain = Options(proxy="http://proxy.example.org:8080", queue_limit=5)
    secret = Options(proxy=f"http://user:{PASSWORD}@proxy.example.org:8080")

    assert plain == pickle.loads(pickle.dumps(plain))
    with pytest.raises(TypeError, match="are not pickled") as raised:
        pickle.dumps(secret)
    assert PASSWORD not in str(raised.value)
    assert secret is copy.deepcopy(secret) is copy.copy(secret)


@pytest.mark.parametrize(
    ("url", "is_readable"),
    [
        ("ws://example.org/ws/user", True),
        ("ws://10.0.0.1/ws/user", True),
        ("wss://example.org/ws/user", False),
        ("ws://localhost:8080/ws/user", False),
        ("ws://127.8.9.1/ws/user", False),
        ("ws://[::1]/ws/user", False),
    ],
)
def test_what_can_be_read_on_the_way(url: str, is_readable: bool) -> None:
    """ws:// to another machine."""
    assert is_readable is is_readable_on_the_way(url)

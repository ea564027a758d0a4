"""The system checks: each mistake has an id and a hint, and none shows a secret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kit.django_project import NO, YES

from polymarket_ws import Credentials, Options, Subscriber
from polymarket_ws.testing import FakeServer

pytest.importorskip("django.core", reason="Django is not installed: the extra [django]")

from django.core.checks import run_checks
from django.test.utils import override_settings
from django.views.debug import SafeExceptionReporterFilter

from polymarket_ws.contrib.django import start_in_worker, subscriber
from polymarket_ws.contrib.django.lazy_subscriber import lazy

CONDITION = "0x" + "a" * 64
KEY = {"api_key": "TOPSECRET-1", "secret": "TOPSECRET-2", "passphrase": "TOPSECRET-3"}
PROXY = "http://user:TOPSECRET-4@127.0.0.1:1"


def _found(setting: object) -> list[Any]:
    with override_settings(POLYMARKET_WS=setting):
        return list(run_checks(tags=["polymarket_ws"]))


def _asked() -> list[str]:
    raise AssertionError("a check calls no function of the project")


@pytest.mark.parametrize(
    "setting",
    [
        {},
        {"ASSET_IDS": [YES, int(NO)], "NAME": "prices"},
        {"NAME": "prices.example.org"},
        {"ASSET_IDS": _asked, "OPTIONS": _asked, "CREDENTIALS": _asked, "MARKETS": _asked},
        {"CREDENTIALS": "env", "MARKETS": [CONDITION]},
        {"CREDENTIALS": Credentials("a", "b", "c"), "OPTIONS": {"standby": True}},
        {"OPTIONS": Options(proxy=PROXY)},
        {"ASSET_IDS": f"{__name__}._asked"},
    ],
)
def test_a_good_setting_has_no_issue(setting: dict[str, Any]) -> None:
    """Values, functions and dotted paths are taken; functions are not called."""
    assert [] == _found(setting)


@pytest.mark.parametrize(
    ("setting", "identity", "words"),
    [
        (["1"], "E001", "must be a dict, not list"),
        ({"ASSETS_IDS": [YES]}, "E002", "unknown key 'ASSETS_IDS'"),
        ({"ASSET_IDS": YES}, "E003", "asset_ids is one str: pass a list of token ids"),
        ({"ASSET_IDS": [CONDITION]}, "E003", "looks like a condition id"),
        ({"ASSET_IDS": "nowhere.at_all"}, "E003", "No module named 'nowhere'"),
        ({"ASSET_IDS": 7}, "E003", "a int: pass a list"),
        ({"CREDENTIALS": KEY}, "E004", "must be 'env', Credentials, or the dotted path"),
        ({"CREDENTIALS": "environment"}, "E004", "must be 'env'"),
        ({"CREDENTIALS": "env", "MARKETS": [YES]}, "E005", "looks like a token id"),
        ({"MARKETS": [CONDITION]}, "E005", "CREDENTIALS are needed"),
        ({"OPTIONS": {"standbye": True}}, "E006", "no option 'standbye'; did you mean 'standby'?"),
        ({"OPTIONS": {"backoff_base": -1}}, "E006", "backoff_base must be a number from"),
        ({"OPTIONS": ["standby"]}, "E006", "must be a dict or Options, not list"),
        ({"NAME": ""}, "E007", "must be a non-empty str"),
        ({"OPTIONS": {"proxy": PROXY}}, "W002", "a proxy with a password"),
    ],
)
def test_a_mistake_is_told_with_a_hint(setting: object, identity: str, words: str) -> None:
    """One message, of its own id, which says what is wrong and what to do."""
    (message,) = _found(setting)

    assert f"polymarket_ws.{identity}" == message.id
    assert words in message.msg
    assert message.hint
    assert "TOPSECRET" not in f"{message.msg}{message.hint}"


def test_a_handler_of_own_events_needs_credentials() -> None:
    """`on_trade` without CREDENTIALS would be refused at the start: the check says so before."""

    @subscriber.on_trade
    def store(trade: object) -> None: ...

    try:
        (message,) = _found({"ASSET_IDS": [YES]})
        assert [] == _found({"CREDENTIALS": "env"})
    finally:
        subscriber.remove_callback(store)

    assert "polymarket_ws.E009" == message.id
    assert "on_trade" in message.msg


@pytest.fixture
def stopped() -> Iterator[None]:
    """Stops what the test started through the app."""
    yield
    lazy.forget()


def test_what_was_started_too_early_is_told(server: FakeServer, stopped: None) -> None:
    """A subscriber that runs while checks do was started at import or in ready(), unless by us."""
    with Subscriber([YES], options=server.options(), name="too-early"):
        (message,) = _found({})
    with override_settings(POLYMARKET_WS={"ASSET_IDS": [YES], "OPTIONS": server.options()}):
        start_in_worker()
        at_its_place = run_checks(tags=["polymarket_ws"])
        lazy.forget()
        subscriber.start()
        (by_itself,) = run_checks(tags=["polymarket_ws"])

    assert "polymarket_ws.W001" == message.id
    assert "too-early" in message.msg
    assert [] == at_its_place
    assert "polymarket_ws.W001" == by_itself.id


@pytest.mark.parametrize(
    "setting",
    [
        {"CREDENTIALS": "env", "OPTIONS": Options(proxy=PROXY)},
        {"CREDENTIALS": Credentials(*KEY.values())},
        {"CREDENTIALS": KEY},
    ],
)
def test_the_debug_page_shows_no_secret(setting: dict[str, Any]) -> None:
    """What Django shows of the settings when a view fails: even a key that is refused is masked."""
    with override_settings(POLYMARKET_WS=setting):
        shown = repr(SafeExceptionReporterFilter().get_safe_settings()["POLYMARKET_WS"])

    assert "TOPSECRET" not in shown

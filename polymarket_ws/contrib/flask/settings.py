"""The configuration keys POLYMARKET_WS_..., and the Subscriber that they describe."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs
import click

from polymarket_ws import Credentials, Options, Subscriber
from polymarket_ws.errors import ConfigurationError
from polymarket_ws.subscriptions import check_assets, check_markets

PREFIX = "POLYMARKET_WS_"
OWN_KEYS = ("ASSET_IDS", "MARKETS", "CREDENTIALS", "NAME", "OPTIONS", "AUTOSTART")

_OPTIONS = {field.name.upper(): field.name for field in attrs.fields(Options)}


class SettingError(ConfigurationError, click.ClickException):
    """A wrong setting. `flask` shows its sentence, where another error would be a traceback."""

    def __init__(self, message: str) -> None:
        click.ClickException.__init__(self, message)


def make_subscriber(config: Mapping[str, object]) -> Subscriber:
    """A Subscriber as an application's configuration says; nothing is started.

    Raises:
        SettingError: an unknown key of this prefix, or a wrong value.
    """
    given = {
        key.removeprefix(PREFIX): value for key, value in config.items() if key.startswith(PREFIX)
    }
    for key in sorted(given.keys() - _OPTIONS.keys() - set(OWN_KEYS)):
        near = difflib.get_close_matches(key, [*OWN_KEYS, *_OPTIONS], 1)
        meant = f", but {PREFIX}{near[0]} is" if near else ""
        raise SettingError(
            f"{PREFIX}{key} is no setting{meant}; there are {', '.join(OWN_KEYS)} and the options"
        )
    autostart = given.get("AUTOSTART", True)
    if not isinstance(autostart, bool):
        raise SettingError(
            f"{PREFIX}AUTOSTART must be True or False, not {autostart!r}; the environment takes "
            "JSON: true, false"
        )
    asset_ids, markets = _ids(given.get("ASSET_IDS", ())), _ids(given.get("MARKETS"))
    with _named("ASSET_IDS"):
        check_assets(asset_ids)
    with _named("MARKETS"):
        check_markets(() if markets is None else markets)
    credentials, name = _credentials(given.get("CREDENTIALS")), given.get("NAME")
    options = _options(given)
    with _named("..."):
        return Subscriber(
            asset_ids,
            markets=markets,
            credentials=credentials,
            options=options,
            name=None if name is None else str(name),  # a number, as the environment has it
        )


def autostarts(config: Mapping[str, object]) -> bool:
    """Whether the first request starts the subscriber. It does not in tests (`TESTING`)."""
    return bool(config.get(f"{PREFIX}AUTOSTART", True)) and not config.get("TESTING")


@contextmanager
def _named(key: str) -> Iterator[None]:
    """Say which setting was wrong."""
    try:
        yield
    except ConfigurationError as error:
        text = str(error).removeprefix(f"Options: {key.lower()} ")
        colon = "" if text != str(error) else ":"
        raise SettingError(f"{PREFIX}{key}{colon} {text}") from None


def _ids(value: object) -> Any:
    """A list as it is; text and a bare number, as the environment has them, as a list."""
    if isinstance(value, str) and not value.lstrip().startswith("["):
        return value.replace(",", " ").split()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(value)  # a generator can be read once
    return [value] if isinstance(value, int) else value


def _credentials(value: object) -> Credentials | None:
    if value == "env":
        with _named("CREDENTIALS"):
            return Credentials.from_env()
    if value is None or isinstance(value, Credentials):
        return value
    raise SettingError(f'{PREFIX}CREDENTIALS must be Credentials, "env" or None')


def _options(given: Mapping[str, Any]) -> Options:
    options = given.get("OPTIONS", Options())
    if not isinstance(options, Options):
        raise SettingError(
            f"{PREFIX}OPTIONS must be Options, not {type(options).__name__}; each option has a key "
            f"of its own, too: {PREFIX}VERIFY"
        )
    for key in given.keys() & _OPTIONS.keys():
        with _named(key):
            options = attrs.evolve(options, **{_OPTIONS[key]: given[key]})
    return options

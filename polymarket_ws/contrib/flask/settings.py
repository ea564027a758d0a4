"""The configuration keys POLYMARKET_WS_..., and the Subscriber that they describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from polymarket_ws import Credentials, Options, Subscriber
from polymarket_ws.errors import ConfigurationError

PREFIX = "POLYMARKET_WS_"
OWN_KEYS = ("ASSET_IDS", "MARKETS", "CREDENTIALS", "NAME", "OPTIONS", "AUTOSTART")

_OPTIONS = {field.name.upper(): field.name for field in attrs.fields(Options)}


def make_subscriber(config: Mapping[str, object]) -> Subscriber:
    """A Subscriber as an application's configuration says; nothing is started.

    Raises:
        ConfigurationError: an unknown key of this prefix, or a wrong value.
    """
    given = {
        key.removeprefix(PREFIX): value for key, value in config.items() if key.startswith(PREFIX)
    }
    unknown = sorted(given.keys() - _OPTIONS.keys() - set(OWN_KEYS))
    if unknown:
        raise ConfigurationError(
            f"{PREFIX}{unknown[0]} is no setting; there are {', '.join(OWN_KEYS)} and the options"
        )
    markets = given.get("MARKETS")
    return Subscriber(
        _ids(given.get("ASSET_IDS", ())),  # type: ignore[arg-type]  # checked by the Subscriber
        markets=None if markets is None else _ids(markets),  # type: ignore[arg-type]  # likewise
        credentials=_credentials(given.get("CREDENTIALS")),
        options=_options(given),
        name=given.get("NAME"),  # type: ignore[arg-type]  # likewise
    )


def autostarts(config: Mapping[str, object]) -> bool:
    """Whether the first request starts the subscriber. It does not in tests (`TESTING`)."""
    return bool(config.get(f"{PREFIX}AUTOSTART", True)) and not config.get("TESTING")


def _ids(value: object) -> object:
    """A list as it is; text and a bare number, as the environment has them, as a list."""
    if isinstance(value, str) and not value.lstrip().startswith("["):
        return value.replace(",", " ").split()
    return [value] if isinstance(value, int) else value


def _credentials(value: object) -> Credentials | None:
    if value == "env":
        return Credentials.from_env()
    if value is None or isinstance(value, Credentials):
        return value
    raise ConfigurationError(f'{PREFIX}CREDENTIALS must be Credentials, "env" or None')


def _options(given: Mapping[str, object]) -> Options:
    options = given.get("OPTIONS", Options())
    if not isinstance(options, Options):
        raise ConfigurationError(
            f"{PREFIX}OPTIONS must be Options, not {type(options).__name__}; each option has a key "
            f"of its own, too: {PREFIX}VERIFY"
        )
    fields: dict[str, Any] = {_OPTIONS[k]: value for k, value in given.items() if k in _OPTIONS}
    return attrs.evolve(options, **fields) if fields else options

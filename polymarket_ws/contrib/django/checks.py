"""System checks: of the setting, of subscriptions.py, and of what was started too early."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured

from polymarket_ws import running
from polymarket_ws.errors import ConfigurationError
from polymarket_ws.events import OWN

from . import configuration
from .lazy_subscriber import import_subscriptions, lazy

_ENTRIES = {
    "ASSET_IDS": (
        "polymarket_ws.E003",
        "Give a list of token ids as str, or the dotted path of a function that returns one.",
    ),
    "CREDENTIALS": (
        "polymarket_ws.E004",
        "Give 'env' to read the environment, or the dotted path of a function that returns "
        "polymarket_ws.Credentials. Keep the parts of the key out of the settings.",
    ),
    "MARKETS": (
        "polymarket_ws.E005",
        "Give a list of condition ids to narrow the user channel, or leave it out for all markets.",
    ),
    "OPTIONS": (
        "polymarket_ws.E006",
        "Give a dict of the fields of polymarket_ws.Options, such as {'standby': True}.",
    ),
    "NAME": ("polymarket_ws.E007", "Give a short str: it stands in thread names and logs."),
}


def check_polymarket_ws(**_: object) -> list[CheckMessage]:
    """All checks. They connect nowhere, ask no database and read no environment."""
    try:
        setting = configuration.read()
    except ImproperlyConfigured as error:
        hint = f"{configuration.SETTING} = {{'ASSET_IDS': ['123...'], 'CREDENTIALS': 'env'}}"
        return [Error(str(error), hint=hint, id="polymarket_ws.E001")]
    return [
        *_check_keys(setting),
        *_check_entries(setting),
        *_check_handlers(setting),
        *_check_started(),
    ]


def _check_keys(setting: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for key in setting:
        if key not in configuration.KEYS:
            near = difflib.get_close_matches(str(key).upper(), configuration.KEYS, 1)
            meant = f"Did you mean {near[0]}? " if near else ""
            yield Error(
                f"{configuration.SETTING} has the unknown key {key!r}.",
                hint=f"{meant}Known are {', '.join(configuration.KEYS)}.",
                id="polymarket_ws.E002",
            )


def _check_entries(setting: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for key, (identity, hint) in _ENTRIES.items():
        try:
            configuration.check(key, setting.get(key))
        except (ConfigurationError, ImportError) as error:
            yield Error(f"{configuration.SETTING}[{key!r}]: {error}", hint=hint, id=identity)
    if setting.get("MARKETS") is not None and setting.get("CREDENTIALS") is None:
        yield Error(
            f"{configuration.SETTING}['MARKETS'] narrows the user channel: CREDENTIALS are needed.",
            hint="For books of markets, give the token ids of their outcomes as ASSET_IDS.",
            id="polymarket_ws.E005",
        )
    options = setting.get("OPTIONS")
    if isinstance(options, Mapping) and _has_password(options.get("proxy")):
        yield Warning(
            f"{configuration.SETTING}['OPTIONS'] has a proxy with a password, which Django's debug "
            "page shows.",
            hint="Set HTTPS_PROXY in the environment, or give Options(proxy=...), whose repr hides "
            "it.",
            id="polymarket_ws.W002",
        )


def _has_password(proxy: object) -> bool:
    try:
        return isinstance(proxy, str) and urlsplit(proxy).password is not None
    except ValueError:
        return False


def _check_handlers(setting: Mapping[str, Any]) -> Iterator[CheckMessage]:
    try:
        import_subscriptions()
    except Exception as error:  # whatever the project's code raises
        yield Error(
            f"The subscriptions.py of an app cannot be imported: {type(error).__name__}: {error}",
            hint="Its handlers would never be called; importing it by hand shows the traceback.",
            id="polymarket_ws.E008",
        )
    own = {f"on_{kind.event_type}" for kind in OWN} & set(lazy.handler_names)
    if own and setting.get("CREDENTIALS") is None:
        yield Error(
            f"{', '.join(sorted(own))}: a handler of one's own events, but no CREDENTIALS.",
            hint=f"Set {configuration.SETTING}['CREDENTIALS'] = 'env'.",
            id="polymarket_ws.E009",
        )


def _check_started() -> Iterator[CheckMessage]:
    at_its_place = (lazy.made,) if lazy.is_hosted else ()
    early = [one.name for one in running() if one not in at_its_place]
    if early:
        yield Warning(
            f"Started at import or in AppConfig.ready(): {', '.join(early)}. So every manage.py "
            "command connects, and runserver twice: each event is handled twice.",
            hint="Start it by `manage.py polymarket_stream`, or by start_in_worker() in the hook "
            "that your server runs in each worker.",
            id="polymarket_ws.W001",
        )

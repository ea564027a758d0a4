"""The setting `POLYMARKET_WS`: what may stand in it, and the Subscriber that it describes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from polymarket_ws import Credentials, Options, Subscriber
from polymarket_ws.errors import ConfigurationError

SETTING = "POLYMARKET_WS"
DEFAULT_NAME = "django"

_DOTTED_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_OPTIONS = [field.name for field in attrs.fields(Options)]
_STAND_IN = ("-", "-", "-")  # markets are checked by a Subscriber, which takes them with a key only


def read() -> Mapping[str, Any]:
    """The setting; empty where the project has none.

    Raises:
        ImproperlyConfigured: it is no dict.
    """
    value = getattr(settings, SETTING, {})
    if not isinstance(value, Mapping):
        raise ImproperlyConfigured(f"{SETTING} must be a dict, not {type(value).__name__}")
    return value


def check(key: str, value: object) -> None:
    """Check one entry without calling what is callable, and without reading the environment.

    Raises:
        ConfigurationError: wrong; the sentence shows no value of CREDENTIALS.
        ImportError: a dotted path leads nowhere.
    """
    found = _imported(key, value)
    if not callable(found):
        _READERS[key](found)


def make_subscriber() -> Subscriber:
    """Make what the setting describes; dotted paths are imported and callables called here.

    Raises:
        ImproperlyConfigured: an entry is wrong.
    """
    given = dict(read())
    found: dict[str, Any] = {}
    for key, read_entry in _READERS.items():
        try:
            value = _imported(key, given.pop(key, None))
            found[key] = read_entry(value() if callable(value) else value)
        except (ConfigurationError, ImportError) as error:
            raise ImproperlyConfigured(f"{SETTING}[{key!r}]: {error}") from error
    if given:
        raise ImproperlyConfigured(f"{SETTING} has unknown keys: {', '.join(map(str, given))}")
    credentials = found["CREDENTIALS"]
    try:
        return Subscriber(
            found["ASSET_IDS"],
            credentials=Credentials.from_env() if credentials == "env" else credentials,
            markets=found["MARKETS"],
            options=found["OPTIONS"],
            name=found["NAME"],
        )
    except ConfigurationError as error:
        raise ImproperlyConfigured(f"{SETTING}: {error}") from error


def _imported(key: str, value: object) -> Any:
    """What a dotted path leads to. A name is text, with or without dots."""
    if key != "NAME" and isinstance(value, str) and _DOTTED_PATH.fullmatch(value):
        return import_string(value)
    return value


def _listed(value: Any) -> Any:
    """A query set is asked once, and a generator can be read once."""
    is_several = isinstance(value, Iterable) and not isinstance(value, str | bytes)
    return tuple(value) if is_several else value


def _read_asset_ids(value: Any) -> Any:
    asset_ids = () if value is None else _listed(value)
    Subscriber(asset_ids)
    return asset_ids


def _read_credentials(value: Any) -> Any:
    if value is not None and value != "env" and not isinstance(value, Credentials):
        raise ConfigurationError(
            f"must be 'env', Credentials, or the dotted path of a function that returns them, "
            f"not a {type(value).__name__}"
        )
    return value


def _read_markets(value: Any) -> Any:
    if value is None:
        return None
    markets = _listed(value)
    Subscriber(markets=markets, credentials=Credentials(*_STAND_IN))
    return markets


def _read_name(value: Any) -> str:
    if value is None:
        return DEFAULT_NAME
    if not isinstance(value, str) or not value:
        raise ConfigurationError("must be a non-empty str")
    return value


def _read_options(value: Any) -> Options:
    if value is None or isinstance(value, Options):
        return value or Options()
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"must be a dict or Options, not {type(value).__name__}")
    for name in value:
        if name not in _OPTIONS:
            near = difflib.get_close_matches(str(name).lower(), _OPTIONS, 1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigurationError(f"there is no option {name!r}{meant}")
    return Options(**value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "ASSET_IDS": _read_asset_ids,
    "CREDENTIALS": _read_credentials,
    "MARKETS": _read_markets,
    "NAME": _read_name,
    "OPTIONS": _read_options,
}
KEYS = tuple(_READERS)

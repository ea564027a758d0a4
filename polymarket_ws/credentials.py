"""The API key of one account, kept out of everything that is printed."""

from __future__ import annotations

import os
from typing import NoReturn

from .errors import ConfigurationError
from .logs import Log

logger = Log(__name__)

# py-clob-client's names are the second set, so that its users need no new variables.
_VARIABLES = (
    ("POLYMARKET_API_KEY", "POLYMARKET_API_SECRET", "POLYMARKET_API_PASSPHRASE"),
    ("CLOB_API_KEY", "CLOB_SECRET", "CLOB_PASS_PHRASE"),
)


class Credentials:
    """The three parts of a CLOB API key, which open the `user` channel.

    Create one where the secret is known and hand it to a Subscriber; immutable, usable from any
    thread. Nothing shows the parts: no repr, log line, exception or traceback of this package, and
    pickling is refused. Derive the key with Polymarket's own client: keys made in the web page are
    refused on this channel (rs-clob-client#218).

        credentials = Credentials.from_env()
        credentials = Credentials(api_key, secret, passphrase)

    Args:
        api_key: The key's id, a UUID. Not a secret by itself, but not shown either.
        secret: URL-safe base64 text.
        passphrase: Any text.

    Raises:
        ConfigurationError: a part is empty or not a str.
    """

    __slots__ = ("_api_key", "_passphrase", "_secret")

    _api_key: str
    _secret: str
    _passphrase: str

    def __init__(self, api_key: str, secret: str, passphrase: str) -> None:
        wrong = _first_wrong(api_key=api_key, secret=secret, passphrase=passphrase)
        if wrong is not None:
            del api_key, secret, passphrase  # some tracebacks show the locals
            raise ConfigurationError(f"Credentials: {wrong} must be a non-empty str")
        object.__setattr__(self, "_api_key", api_key)
        object.__setattr__(self, "_secret", secret)
        object.__setattr__(self, "_passphrase", passphrase)

    @classmethod
    def from_env(cls) -> Credentials:
        """Read the parts from the environment.

        From POLYMARKET_API_KEY, POLYMARKET_API_SECRET and POLYMARKET_API_PASSPHRASE; else from
        CLOB_API_KEY, CLOB_SECRET and CLOB_PASS_PHRASE.

        Raises:
            ConfigurationError: neither set is complete; the sentence names what is missing.
        """
        for names in _VARIABLES:
            if all(map(_is_set, names)):
                logger.info("credentials read from %s", ", ".join(names))
                return cls(*(os.environ[name] for name in names))
        incomplete = next(
            (names for names in _VARIABLES if any(map(_is_set, names))), _VARIABLES[0]
        )
        missing = [name for name in incomplete if not _is_set(name)]
        raise ConfigurationError(f"no credentials in the environment: set {', '.join(missing)}")

    @property
    def api_key(self) -> str:
        """The key's id: the `owner` of one's own orders and trades."""
        return self._api_key

    def reveal(self) -> tuple[str, str, str]:
        """The api key, secret and passphrase, for the first text of the user channel alone."""
        return self._api_key, self._secret, self._passphrase

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("Credentials cannot be changed")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credentials) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __repr__(self) -> str:
        return "Credentials(***)"

    def __copy__(self) -> Credentials:
        return self

    def __deepcopy__(self, memo: object) -> Credentials:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            "Credentials are not pickled: call Credentials.from_env() in the other process"
        )


def _is_set(name: str) -> bool:
    return bool(os.environ.get(name, "").strip())


def _first_wrong(**parts: object) -> str | None:
    return next((n for n, v in parts.items() if not isinstance(v, str) or not v.strip()), None)

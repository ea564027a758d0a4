"""The API key of one account, kept out of everything that is printed."""

from __future__ import annotations

import os
import re
from typing import NoReturn

from .errors import ConfigurationError
from .logs import Log

logger = Log(__name__)

# py-clob-client's names are the second set, so that its users need no new variables.
_VARIABLES = (
    ("POLYMARKET_API_KEY", "POLYMARKET_API_SECRET", "POLYMARKET_API_PASSPHRASE"),
    ("CLOB_API_KEY", "CLOB_SECRET", "CLOB_PASS_PHRASE"),
)
_ADDRESS_VARIABLES = ("POLYMARKET_ADDRESS", "POLYMARKET_FUNDER")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


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
        address: Of the wallet that signs, "0x" and 40 hex digits; REST asks for it. None: REST is
            not asked. Not a secret.
        funder: Of the wallet that holds the positions, where it is another one (a proxy wallet);
            None: the signer's. Not a secret.

    Raises:
        ConfigurationError: a part is empty, not a str, or has a blank at an end or a line break; or
            an address is none.
    """

    __slots__ = ("_address", "_api_key", "_funder", "_passphrase", "_secret")

    _api_key: str
    _secret: str
    _passphrase: str
    _address: str | None
    _funder: str | None

    def __init__(
        self,
        api_key: str,
        secret: str,
        passphrase: str,
        address: str | None = None,
        funder: str | None = None,
    ) -> None:
        if problem := _problem(api_key=api_key, secret=secret, passphrase=passphrase):
            del api_key, secret, passphrase  # some tracebacks show the locals
            raise ConfigurationError(f"Credentials: {problem}")
        wrong = _first_no_address(address=address, funder=funder)
        if wrong is not None:
            del api_key, secret, passphrase, address, funder  # a swapped argument may be a secret
            raise ConfigurationError(f"Credentials: {wrong} must be 0x and 40 hex digits, or None")
        object.__setattr__(self, "_api_key", api_key)
        object.__setattr__(self, "_secret", secret)
        object.__setattr__(self, "_passphrase", passphrase)
        object.__setattr__(self, "_address", address)
        object.__setattr__(self, "_funder", funder)

    @classmethod
    def from_env(cls) -> Credentials:
        """Read the parts from the environment.

        From POLYMARKET_API_KEY, POLYMARKET_API_SECRET and POLYMARKET_API_PASSPHRASE; else from
        CLOB_API_KEY, CLOB_SECRET and CLOB_PASS_PHRASE. The addresses, if any, from
        POLYMARKET_ADDRESS and POLYMARKET_FUNDER.

        Raises:
            ConfigurationError: neither set is complete, and the sentence names what is missing; or
                an address is none.
        """
        for names in _VARIABLES:
            if all(map(_is_set, names)):
                addresses = [name for name in _ADDRESS_VARIABLES if _is_set(name)]
                logger.info("credentials read from %s", ", ".join((*names, *addresses)))
                parts = (os.environ[name].strip() for name in names)
                return cls(*parts, *map(_address_in, _ADDRESS_VARIABLES))
        incomplete = next(
            (names for names in _VARIABLES if any(map(_is_set, names))), _VARIABLES[0]
        )
        missing = [name for name in incomplete if not _is_set(name)]
        raise ConfigurationError(f"no credentials in the environment: set {', '.join(missing)}")

    @property
    def api_key(self) -> str:
        """The key's id: the `owner` of one's own orders and trades."""
        return self._api_key

    @property
    def address(self) -> str | None:
        """The address of the wallet that signs, as it was given; None: not known."""
        return self._address

    @property
    def funder(self) -> str | None:
        """The address of the wallet that holds the positions: the signer's, if no other was given;
        None: not known.
        """
        return self._funder or self._address

    def reveal(self) -> tuple[str, str, str]:
        """The api key, secret and passphrase, for the first text of the user channel alone."""
        return self._api_key, self._secret, self._passphrase

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("Credentials cannot be changed")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credentials) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())

    def _all(self) -> tuple[str | None, ...]:
        """Addresses without their case, which is a checksum alone."""
        addresses = (self.address, self.funder)
        return (*self.reveal(), *(address and address.lower() for address in addresses))

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


def _address_in(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None


def _problem(**parts: object) -> str:
    """What is wrong with a part, without it; "" for nothing."""
    for name, value in parts.items():
        if not isinstance(value, str) or not value.strip():
            return f"{name} must be a non-empty str"
        if value != value.strip() or not value.isprintable():
            return f"{name} has a blank or a line break at an end, or within: read it with strip()"
    return ""


def _first_no_address(**addresses: object) -> str | None:
    return next((n for n, a in addresses.items() if a is not None and not _is_address(a)), None)


def _is_address(value: object) -> bool:
    return isinstance(value, str) and _ADDRESS.fullmatch(value) is not None

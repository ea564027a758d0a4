"""Every tunable once, with its unit, default and bound."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Literal, SupportsIndex, TypeVar
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen

from .errors import ConfigurationError, forget_locals

MARKET_URL = "wss://ws-subscriptions-clob.polymarket.com/ws/market"
USER_URL = "wss://ws-subscriptions-clob.polymarket.com/ws/user"
REST_URL = "https://clob.polymarket.com"
DATA_URL = "https://data-api.polymarket.com"
GAMMA_URL = "https://gamma-api.polymarket.com"
"""Polymarket's market data service; it needs no key."""

_Validator = Callable[[Any, "Attribute[Any]", Any], None]


def _number(low: float, high: float, *, optional: bool = False, whole: bool = False) -> _Validator:
    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if value is None and optional:
            return
        kinds = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            none = " or None" if optional else ""
            raise ConfigurationError(
                f"Options: {attribute.name} must be {kind} from {low} to {high}{none}, "
                f"not {value!r}"
            )

    return check


def _choice(*choices: str) -> _Validator:
    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if value not in choices:
            listed = " or ".join(map(repr, choices))
            raise ConfigurationError(f"Options: {attribute.name} must be {listed}, not {value!r}")

    return check


def _flag(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if not isinstance(value, bool):
        raise ConfigurationError(f"Options: {attribute.name} must be True or False, not {value!r}")


def _url(*schemes: str) -> _Validator:
    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if value is None and attribute.default is None:
            return
        problem = _url_problem(value, schemes)
        if problem:  # the value itself may hold a password: it is not shown
            raise ConfigurationError(f"Options: {attribute.name} {problem}")

    return check


def _url_problem(value: object, schemes: tuple[str, ...]) -> str:
    if not isinstance(value, str):
        return f"must be a str, not {type(value).__name__}"
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - raises on a bad port
    except ValueError:  # its words may quote a piece of the password
        return "is no URL"
    if parts.scheme not in schemes:
        return f"must begin with {' or '.join(s + '://' for s in schemes)}"
    if not parts.hostname:
        return "has no host"
    return ""


def _ssl_context(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if value is not None and not isinstance(value, ssl.SSLContext):
        raise ConfigurationError(
            f"Options: ssl_context must be an ssl.SSLContext or None, not {type(value).__name__}"
        )


_C = TypeVar("_C")


def _forgetting_arguments(cls: type[_C]) -> type[_C]:
    """Some tracebacks show the locals, and the arguments of a class's constructor hold a password:
    whichever of them is refused, no frame of ours keeps it.
    """
    construct: Callable[..., None] = cls.__init__

    @functools.wraps(construct)
    def init(self: _C, *args: Any, **options: Any) -> None:
        try:
            construct(self, *args, **options)
        except ConfigurationError as error:
            del args, options
            forget_locals(error)
            raise

    cls.__init__ = init  # type: ignore[assignment, method-assign]
    return cls


@_forgetting_arguments
@frozen(kw_only=True)
class Options:
    """How a Subscriber behaves. Immutable; one may serve many; `attrs.evolve` varies it.

    Every bare duration is in seconds. The defaults suit a trading process on a good line.

        options = Options(callback_errors="raise", heartbeat_interval=5)

    Raises:
        ConfigurationError: a value outside its bound; the sentence names the option and the bound.
    """

    # Basic.
    verify: Literal["hash", "top", "off"] = field(
        default="hash", validator=_choice("hash", "top", "off")
    )
    """"top" compares each change's best prices with the local book; "hash" also proves the whole
    book by the hash of its newest change, at most ten times a second; "off" does neither."""
    callback_errors: Literal["log", "raise"] = field(
        default="log", validator=_choice("log", "raise")
    )
    """After a callback raised: "log" it and go on, or stop and "raise" CallbackError from run() and
    wait()."""
    custom_features: bool = field(default=False, validator=_flag)
    """Ask for best_bid_ask, new_market and market_resolved even while nothing listens for them."""
    queue_limit: int = field(default=100_000, validator=_number(1, 10_000_000, whole=True))
    """Events that may wait for callbacks: beyond it the oldest market data is dropped, counted and
    logged. As many own orders and trades may wait besides; beyond that the subscriber fails."""
    reconcile: bool = field(default=True, validator=_flag)
    """Ask REST for one's own orders, trades and positions at start and after each reconnect of the
    user channel. Needs the credentials' address and the extra [rest]."""
    deliver_duplicates: bool = field(default=False, validator=_flag)
    """Deliver own orders and trades again that the user channel repeats. They change nothing."""
    proxy: str | None = field(
        default=None, repr=False, validator=_url("http", "socks4", "socks4a", "socks5", "socks5h")
    )
    """http://[user:password@]host:port, or socks4, socks4a, socks5, socks5h with the extra [socks].
    None: the environment's, if `trust_env`."""
    trust_env: bool = field(default=True, validator=_flag)
    """Honour HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, read at each connect."""
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False, validator=_ssl_context)
    """For wss://; None: `ssl.create_default_context()`, made at the first connect of a run."""

    restart_after_fork: bool = field(default=False, validator=_flag)
    """Start anew by itself in each forked child of a process in which it is started. Without it the
    child's state is FORKED, and its books are stale, until it calls start()."""
    allow_insecure_credentials: bool = field(default=False, validator=_flag)
    """Send credentials over ws:// or http:// to a host that is not this machine, where anybody on
    the way can read them."""

    # Expert.
    market_url: str = field(default=MARKET_URL, repr=False, validator=_url("ws", "wss"))
    """Where the market channel is."""
    user_url: str = field(default=USER_URL, repr=False, validator=_url("ws", "wss"))
    """Where the user channel is."""
    rest_url: str = field(default=REST_URL, repr=False, validator=_url("http", "https"))
    """Where own orders and trades are asked for."""
    data_url: str = field(default=DATA_URL, repr=False, validator=_url("http", "https"))
    """Where positions are asked for."""
    gamma_url: str = field(default=GAMMA_URL, repr=False, validator=_url("http", "https"))
    """Where market data is asked for."""
    rest_staleness: float = field(default=2.0, validator=_number(0, 60))
    """By how much an answer of REST may lag behind the user channel."""
    heartbeat_interval: float = field(default=10.0, validator=_number(0.01, 60))
    """Between two text PINGs. The server closes idle connections after 30 s to 2 min."""
    pong_timeout: float = field(default=15.0, validator=_number(0.01, 600))
    """From a PING to the PONG that answers it; then the connection is made anew."""
    data_timeout: float | None = field(default=60.0, validator=_number(0.1, 86_400, optional=True))
    """A live book that brings no data for so long is compared with a fresh snapshot, fetched over a
    connection of its own; only when they differ is the book, or the connection, made anew. A book
    found unchanged is given twice the time. None: silence is never suspected."""
    first_event_timeout: float = field(default=15.0, validator=_number(0.1, 3600))
    """For a subscribed asset's first book: then it is asked for again, at most three times."""
    connect_timeout: float = field(default=10.0, validator=_number(0.01, 600))
    """For a whole attempt: name, TCP, proxy, TLS and handshake together."""
    send_timeout: float = field(default=5.0, validator=_number(0.01, 600))
    """For the socket to take what waits to be sent; then the connection is made anew."""
    backoff_base: float = field(default=0.25, validator=_number(0.001, 600))
    """After n failures in a row (from 0) the next attempt waits a random time from 0 to
    min(backoff_cap, backoff_base * 2**n)."""
    backoff_cap: float = field(default=30.0, validator=_number(0.001, 3600))
    """See backoff_base."""
    max_attempts: int | None = field(
        default=None, validator=_number(1, 1_000_000, optional=True, whole=True)
    )
    """Failed attempts in a row after which the subscriber fails; None: it tries for ever."""
    max_assets_per_connection: int = field(default=200, validator=_number(1, 10_000, whole=True))
    """More assets are split over several connections, each with a thread of its own. On one
    connection snapshots are known to be missing above some 500 (nautilus_trader#2915)."""
    standby: bool = field(default=False, validator=_flag)
    """Keep a second market connection beside each, which takes over when the first is lost, frozen
    or wrong, with every event delivered once and in order. Costs twice the receiving."""
    rotate_every: float | None = field(default=None, validator=_number(0.5, 604_800, optional=True))
    """Replace each market connection when it is so old, once its successor is sure to miss nothing:
    some feeds freeze after a while. None: a connection may grow old."""
    max_message_bytes: int = field(
        default=64 * 2**20, validator=_number(1024, 2**31 - 1, whole=True)
    )
    """A longer message closes the connection with code 1009. The first snapshot of some hundred
    assets has several MB, so this is far above what was seen."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        if self.proxy is not None and urlsplit(self.proxy).password is not None:
            raise TypeError("Options whose proxy has a password are not pickled")
        return super().__reduce_ex__(protocol)

    def __copy__(self) -> Options:
        return self

    def __deepcopy__(self, memo: object) -> Options:
        return self


def is_readable_on_the_way(url: str) -> bool:
    """Whether what is sent to a URL goes over a network without TLS."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "http") or parts.hostname == "localhost":
        return False
    try:
        return not ip_address(parts.hostname or "").is_loopback
    except ValueError:  # a name
        return True

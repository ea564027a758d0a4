"""From a market's page to the assets that a Subscriber takes. Needs the extra [rest]."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from attrs import frozen

from .asset import Asset
from .condition_ids import condition_key
from .errors import ConfigurationError, LookupFailed
from .logs import Log
from .options import GAMMA_URL, Options
from .rest.failures import RequestFailed, UnexpectedAnswer
from .rest.gamma import read_event, read_listing, read_market

if TYPE_CHECKING:
    from .rest.client import RestClient

__all__ = ["GAMMA_URL", "Asset", "find_assets"]

logger = Log(__name__)

_LONGEST_TIMEOUT = 600.0  # seconds
_NOT_FOUND = 404
_CONDITION_ID = re.compile(r"0x(?:[0-9a-f]{62}|[0-9a-f]{64})")
# One segment of a path: no dot at its beginning, which could lead elsewhere.
_SLUG = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*")
_PAGES = {"event", "market", "sports"}
_SHOWN_CHARS = 60


@frozen
class _Slug:
    """What is to be found: a name, and where it is asked for, in this order."""

    name: str
    kinds: tuple[str, ...]
    """"markets", "events"."""


@frozen
class _ConditionId:
    """What is to be found: a market by its id, in lower case."""

    id: str


def find_assets(
    where: str, *, url: str = GAMMA_URL, timeout: float = 10.0, options: Options | None = None
) -> tuple[Asset, ...]:
    """Ask Polymarket which assets a market or an event has. Blocks the calling thread.

    A closed market is found too: its assets have `closed` True, and one WARNING says so.

        assets = find_assets("https://polymarket.com/event/will-it-rain")
        with Subscriber(assets) as sub:
            sub.wait_ready()

    Args:
        where: The address of a page (https://polymarket.com/event/<event>, .../event/<event>/
            <market>, .../market/<market>, .../sports/<league>/<event>), a market's or an event's
            slug, or a condition id. The address of an event means all its markets; a lone slug is
            taken for a market's, or else for an event's.
        url: Of the service.
        timeout: In seconds, for all of it but the system's name look-up, which cannot be
            interrupted: 429, 425, 5xx and lost connections are tried again meanwhile, after the
            Retry-After that the server asks for.
        options: Its proxy, `trust_env` and `ssl_context` hold for the request too; None is all
            defaults.

    Returns:
        The assets, market by market, in the order of their outcomes.

    Raises:
        LookupFailed: there is no such market or event, or no answer that is understood.
        ConfigurationError: a wrong argument, the extra [rest] is not installed, or the server's
            certificate was refused (CertificateError).
    """
    wanted = _read_where(where)
    _check_timeout(timeout)
    question = _Question(_make_client(url, options), time.monotonic() + timeout)
    try:
        found = question.answer(wanted)
    except RequestFailed as error:
        raise LookupFailed(
            error.detail, url=error.url, status=error.status, retry_after=error.retry_after
        ) from error
    except UnexpectedAnswer as error:
        raise LookupFailed(
            f"{error}; a newer polymarket-ws may understand it", url=question.asked, status=200
        ) from error
    _warn_of_closed(found)
    return found


class _Question:
    """One lookup: what is asked, and what was asked last."""

    def __init__(self, client: RestClient, deadline: float) -> None:
        self.asked = client.url
        self._client = client
        self._deadline = deadline

    def answer(self, wanted: _Slug | _ConditionId) -> tuple[Asset, ...]:
        if isinstance(wanted, _ConditionId):
            return self._by_condition_id(wanted.id)
        return self._by_slug(wanted)

    def _by_slug(self, wanted: _Slug) -> tuple[Asset, ...]:
        for kind in wanted.kinds:
            try:
                answer = self._get([kind, "slug", wanted.name])
            except RequestFailed as error:
                if error.status != _NOT_FOUND:
                    raise
            else:
                return read_event(answer) if kind == "events" else read_market(answer)
        what = "market or event" if "events" in wanted.kinds else "market"
        raise LookupFailed(
            f"Polymarket has no {what} {wanted.name!r}", url=self.asked, status=_NOT_FOUND
        )

    def _by_condition_id(self, condition_id: str) -> tuple[Asset, ...]:
        query = [("condition_ids", name) for name in _spellings(condition_id)]
        for more in ([], [("closed", "true")]):  # closed markets are listed on request alone
            for market in read_listing(self._get(["markets", "keyset"], [*query, *more])):
                assets = read_market(market)
                if condition_key(assets[0].market) == condition_key(condition_id):
                    return assets
        raise LookupFailed(
            f"Polymarket has no market with the condition id {condition_id}", url=self.asked
        )

    def _get(self, segments: list[str], query: Sequence[tuple[str, str]] = ()) -> object:
        self.asked = self._client.address(segments, query)
        return self._client.get(self.asked, deadline=self._deadline)


def _make_client(url: str, options: Options | None) -> RestClient:
    problem = _url_problem(url)
    if problem:
        raise ConfigurationError(f"find_assets: url {problem}")
    if options is not None and not isinstance(options, Options):
        raise ConfigurationError(f"options must be Options, not {type(options).__name__}")
    try:
        from .rest.client import RestClient
    except ImportError as error:
        raise ConfigurationError(
            "find_assets needs an extra: pip install 'polymarket-ws[rest]'"
        ) from error
    return RestClient(url, options or Options())


def _url_problem(url: object) -> str:
    if not isinstance(url, str):
        return f"must be a str, not {type(url).__name__}"
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises on a bad port
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "must begin with http:// or https:// and a host"
    if "@" in parts.netloc or parts.query or parts.fragment:
        return "must have no user, no query and no fragment"
    return "" if url.isascii() else "must be ASCII"


def _check_timeout(timeout: object) -> None:
    is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if not is_number or not 0 < timeout <= _LONGEST_TIMEOUT:  # type: ignore[operator]  # is_number
        raise ConfigurationError(
            f"find_assets: timeout must be a number of seconds above 0 and up to "
            f"{_LONGEST_TIMEOUT:g}, not {timeout!r}"
        )


def _read_where(where: object) -> _Slug | _ConditionId:
    if isinstance(where, Asset):
        raise ConfigurationError("find_assets was given an Asset, which is found already")
    if isinstance(where, (list, tuple, set, frozenset)):
        raise ConfigurationError(
            f"find_assets was given a {type(where).__name__}: look one address up at a time"
        )
    if isinstance(where, int) or (isinstance(where, str) and where.strip().isdecimal()):
        raise ConfigurationError(
            f"find_assets was given {_shown(str(where))}, which looks like an asset id: "
            "a Subscriber takes it as it is"
        )
    if not isinstance(where, str):
        raise ConfigurationError(
            f"find_assets takes the address of a page, a slug or a condition id, not a "
            f"{type(where).__name__}"
        )
    text = where.strip()
    if not text:
        raise ConfigurationError(
            "find_assets was given nothing: the address of a page, a slug or a condition id"
        )
    if re.match(r"0[xX]", text):
        return _read_condition_id(text)
    return _read_page(text) if "/" in text else _read_slug(text, where, ("markets", "events"))


def _read_condition_id(text: str) -> _ConditionId:
    if not _CONDITION_ID.fullmatch(text.lower()):
        raise ConfigurationError(
            f"find_assets was given {_shown(text)}: a condition id is 0x and 62 or 64 hex digits"
        )
    return _ConditionId(text.lower())


def _read_page(text: str) -> _Slug:
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host = parts.hostname or ""
    except ValueError:
        raise ConfigurationError(f"find_assets was given {_shown(text)}, which is no URL") from None
    if host != "polymarket.com" and not host.endswith(".polymarket.com"):
        raise ConfigurationError(f"find_assets was given {_shown(text)}, not of polymarket.com")
    segments = [unquote(segment) for segment in parts.path.split("/") if segment]
    while segments and segments[0] not in _PAGES:  # a language
        segments.pop(0)
    if len(segments) < 2:
        raise ConfigurationError(
            f"find_assets was given {_shown(text)}, which is no market's or event's page: "
            "https://polymarket.com/event/<event>"
        )
    page, *names = segments
    names_market = page == "market" or (page == "event" and len(names) > 1)
    return _read_slug(names[-1], text, ("markets",) if names_market else ("events", "markets"))


def _read_slug(name: str, where: str, kinds: tuple[str, ...]) -> _Slug:
    if not _SLUG.fullmatch(name):
        raise ConfigurationError(
            f"find_assets was given {_shown(where)}, which is no page address, slug or condition id"
        )
    return _Slug(name, kinds)


def _spellings(condition_id: str) -> list[str]:
    """A condition id, and where it has another length, that too: the service may know either."""
    key = condition_key(condition_id)
    spellings = (condition_id, key, key.removesuffix("00"))
    return list(dict.fromkeys(s for s in spellings if condition_key(s) == key))


def _warn_of_closed(assets: tuple[Asset, ...]) -> None:
    closed = dict.fromkeys(asset.market for asset in assets if asset.closed)
    if closed:
        markets = len(dict.fromkeys(asset.market for asset in assets))
        logger.warning(
            "%d of %d markets are closed, so no book comes for their assets: %s",
            len(closed),
            markets,
            next(asset.question for asset in assets if asset.closed),
        )


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…")

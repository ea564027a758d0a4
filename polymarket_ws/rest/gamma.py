"""Markets as Gamma, Polymarket's market data service, describes them: JSON in, Assets out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from polymarket_ws.asset import Asset
from polymarket_ws.logs import printable
from polymarket_ws.wire.json_text import JSON, NUMBER, NUMBER_CHARS

from .failures import UnexpectedAnswer

_ID = re.compile(r"[0-9]{1,100}")
_ID_FIELDS = {"v1": "clobTokenIds", "v2": "positionIds"}
"""A market's ids are in the field of its `version`. Others may be there too: a captured v1 market
(gamma_market_2026-09.json) has both."""
_TRADED = ("enableOrderBook", "active", "acceptingOrders")
_SHOWN_CHARS = 40


def read_market(answer: object, *, event_slug: str = "") -> tuple[Asset, ...]:
    """The assets of one market, in the order of its outcomes.

    Args:
        answer: A market, as `/markets/slug/{slug}` answers it.
        event_slug: Of the event in whose answer the market stands.

    Raises:
        UnexpectedAnswer: it lacks a field, or has one of another kind.
    """
    market = _object(answer, "the answer")
    slug = _text(market, "slug", "the market")
    whose = f"the market {_shown(slug)}"
    outcomes = _texts(market, "outcomes", whose)
    ids = _texts(market, _ids_field(market, whose), whose)
    if len(ids) != len(outcomes) or not ids:
        raise UnexpectedAnswer(f"{whose} has {len(outcomes)} outcomes and {len(ids)} asset ids")
    closed = market.get("closed")
    if not isinstance(closed, bool):
        raise UnexpectedAnswer(_wrong(whose, "closed", closed, "neither true nor false"))
    neg_risk = market.get("negRisk")
    return tuple(
        Asset(
            asset_id=_id(asset_id, whose),
            outcome=outcome,
            market=_text(market, "conditionId", whose),
            question=_text(market, "question", whose),
            slug=slug,
            event_slug=event_slug or _event_slug(market),
            tick_size=_number(market, "orderPriceMinTickSize", whose),
            min_order_size=_number(market, "orderMinSize", whose),
            neg_risk=neg_risk if isinstance(neg_risk, bool) else None,
            closed=closed,
        )
        for asset_id, outcome in zip(ids, outcomes, strict=True)
    )


def read_event(answer: object) -> tuple[Asset, ...]:
    """The assets of all markets of an event that have an order book.

    Args:
        answer: An event, as `/events/slug/{slug}` answers it.

    Raises:
        UnexpectedAnswer: it, or one of its markets, lacks a field.
    """
    event = _object(answer, "the answer")
    slug = _text(event, "slug", "the event")
    whose = f"the event {_shown(slug)}"
    markets = event.get("markets")
    if not isinstance(markets, list):
        raise UnexpectedAnswer(_wrong(whose, "markets", markets, "no list"))
    found = [read_market(m, event_slug=slug) for m in markets if not _is_without_book(m)]
    if not found:
        raise UnexpectedAnswer(f"{whose} has no market with an order book")
    return tuple(asset for assets in found for asset in assets)


def read_listing(answer: object) -> list[object]:
    """The markets of a page of `/markets/keyset`.

    Raises:
        UnexpectedAnswer: there is no list of markets.
    """
    markets = _object(answer, "the answer").get("markets")
    if not isinstance(markets, list):
        raise UnexpectedAnswer(_wrong("the answer", "markets", markets, "no list"))
    return markets


def _is_without_book(market: object) -> bool:
    """Whether it is a place kept for a market that is not traded yet, or never was on a book."""
    if not isinstance(market, dict) or any(market.get(field) for field in _ID_FIELDS.values()):
        return False
    return not all(market.get(field) is True for field in _TRADED)


def _ids_field(market: Mapping[str, Any], whose: str) -> str:
    version = market.get("version") or "v1"  # not there before the autumn of 2026
    field = _ID_FIELDS.get(version) if isinstance(version, str) else None
    if field is None:
        raise UnexpectedAnswer(_wrong(whose, "version", version, "neither v1 nor v2"))
    return field


def _event_slug(market: Mapping[str, Any]) -> str:
    events = market.get("events")
    first = events[0] if isinstance(events, list) and events else None
    slug = first.get("slug") if isinstance(first, dict) else None
    return slug if isinstance(slug, str) else ""


def _object(value: object, whose: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnexpectedAnswer(f"{whose} is no JSON object but a {type(value).__name__}")
    return value


def _text(source: Mapping[str, Any], field: str, whose: str) -> str:
    value = source.get(field)
    if not isinstance(value, str) or not value:
        raise UnexpectedAnswer(_wrong(whose, field, value, "no text"))
    return value


def _texts(market: Mapping[str, Any], field: str, whose: str) -> list[str]:
    """A list: JSON as text in most captures, a real one in others."""
    value = market.get(field)
    parsed = _parsed(value) if isinstance(value, str) else value
    if not isinstance(parsed, list) or not all(type(item) in (str, int) for item in parsed):
        raise UnexpectedAnswer(_wrong(whose, field, value, "no list of texts"))
    return [str(item) for item in parsed]


def _parsed(text: str) -> object:
    try:
        return JSON.decode(text)
    except (ValueError, RecursionError):  # the caller says what was there
        return None


def _id(text: str, whose: str) -> str:
    if not _ID.fullmatch(text):
        raise UnexpectedAnswer(f"{whose} has the asset id {_shown(text)}, which is no number")
    return text


def _number(market: Mapping[str, Any], field: str, whose: str) -> Decimal | None:
    value = market.get(field)
    if value is None or value == "":
        return None
    text = value if isinstance(value, str) else str(value)
    if isinstance(value, bool) or len(text) > NUMBER_CHARS or not NUMBER.fullmatch(text):
        raise UnexpectedAnswer(_wrong(whose, field, value, "no number"))
    return Decimal(text)


def _wrong(whose: str, field: str, value: object, expected: str) -> str:
    if value is None:
        return f"{whose} has no {field}"
    return f"the {field} of {whose} is {expected} but {_shown(value)}"


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    cut = text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
    return printable(repr(cut) if isinstance(value, str) else cut)

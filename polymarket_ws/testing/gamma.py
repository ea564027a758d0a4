"""What a FakeServer answers in the place of Gamma, Polymarket's market data service. Sans-I/O.

Its markets have the shape of two captures (2026-03 and 2026-09), less what a lookup does not read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qs, unquote, urlsplit

from attrs import define, evolve, field, frozen

from .http_messages import Answer, HttpRequest
from .simulated_market import SimulatedMarket, Wire, number_text


@frozen
class GammaFault:
    """What happens to one request; see `Faults.gamma`."""

    status: int = 200
    headers: Mapping[str, str] = field(factory=dict)
    body: str | None = None
    renamed: Mapping[str, str] = field(factory=dict)

    def apply(self, answer: Answer) -> Answer:
        """What is answered in the place of the right answer."""
        altered = answer.altered(self.status, self.headers, self.body)
        body = altered.body
        if self.body is None:
            for old, new in self.renamed.items():
                body = body.replace(json.dumps(old), json.dumps(new))
        return evolve(altered, body=body)


@define(eq=False)
class Gamma:
    """Knows the markets and answers requests. Owned by one FakeServer; only its thread calls it."""

    markets_of_exchange: Callable[[], Sequence[Wire]]
    take_fault: Callable[[], GammaFault | None]
    _added: dict[object, Wire] = field(factory=dict)
    """By their slugs."""

    def add(self, market: Wire) -> None:
        """Know one more market; it takes the place of another of the same slug."""
        self._added[market.get("slug")] = market

    def answer(self, request: HttpRequest) -> Answer | None:
        """The answer to a request; None when it is none for Gamma."""
        if request.method != "GET":
            return None
        parts = urlsplit(request.target)
        path = [unquote(segment) for segment in parts.path.strip("/").split("/")]
        query = parse_qs(parts.query)
        if path == ["markets", "keyset"]:
            right = _found({"markets": self._listed(query), "next_cursor": ""})
        elif path[:2] == ["markets", "slug"] and len(path) == 3:
            right = _found(next((m for m in self._markets() if m.get("slug") == path[2]), None))
        elif path[:2] == ["events", "slug"] and len(path) == 3:
            right = _found(self._event(path[2]))
        else:
            return None
        fault = self.take_fault()
        return right if fault is None else fault.apply(right)

    def _markets(self) -> list[Wire]:
        by_slug = {market["slug"]: market for market in self.markets_of_exchange()}
        return [*{**by_slug, **self._added}.values()]

    def _listed(self, query: Mapping[str, list[str]]) -> list[Wire]:
        """Of these ids; the closed ones only when they are asked for, and then no others."""
        closed = query.get("closed") == ["true"]
        ids = {id_.lower() for id_ in query.get("condition_ids", ())}
        return [
            market
            for market in self._markets()
            if str(market.get("conditionId")).lower() in ids
            and bool(market.get("closed")) is closed
        ]

    def _event(self, slug: str) -> Wire | None:
        """The event and its markets, which do not name it again."""
        event: Wire | None = None
        for market in self._markets():
            for named in market.get("events", ()):
                if isinstance(named, dict) and named.get("slug") == slug:
                    event = event or {**named, "markets": []}
                    event["markets"].append({k: v for k, v in market.items() if k != "events"})
        return event


def gamma_market(market: SimulatedMarket, *, closed: bool) -> Wire:
    """A market of the exchange, in an event of its own."""
    event = {"id": str(900_000 + market.number), "ticker": market.slug, "slug": market.slug}
    state = {"active": True, "closed": closed}
    ids: Wire = {"clobTokenIds": json.dumps(market.asset_ids)}
    if market.protocol == "v2":
        ids = {"positionIds": list(market.asset_ids)}
    return {
        "id": str(market.number),
        "question": market.question,
        "conditionId": market.condition_id,
        "slug": market.slug,
        "outcomes": json.dumps(market.outcomes),
        **state,
        "enableOrderBook": True,
        "orderPriceMinTickSize": json.loads(number_text(market.tick_size)),
        "orderMinSize": json.loads(number_text(market.min_order_size)),
        **ids,
        "acceptingOrders": not closed,
        "negRisk": market.neg_risk,
        "events": [{**event, "title": market.question, **state, "negRisk": market.neg_risk}],
        "version": market.protocol,
    }


def _found(answer: Wire | None) -> Answer:
    if answer is None:
        missing = {"type": "not found error", "error": "slug not found"}
        return Answer(404, json.dumps(missing))
    return Answer(200, json.dumps(answer, ensure_ascii=False))

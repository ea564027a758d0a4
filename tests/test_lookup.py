"""From a page to assets, over real HTTP on 127.0.0.1, and a sentence for whatever goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.loopback import client_context

from polymarket_ws import Options, Subscriber
from polymarket_ws.errors import CertificateError, ConfigurationError, LookupFailed
from polymarket_ws.lookup import find_assets
from polymarket_ws.testing import FakeServer, SimulatedExchange

CONDITION = "0x" + "a1" * 32


@pytest.fixture
def exchange() -> SimulatedExchange:
    """Three markets."""
    return SimulatedExchange(seed=3)


@pytest.fixture
def server(exchange: SimulatedExchange) -> Iterator[FakeServer]:
    """A server that knows them."""
    with FakeServer(exchange) as server:
        yield server


def market(slug: str, *, event: str = "weather", **changes: Any) -> dict[str, Any]:
    """A market as Gamma describes it."""
    right = {
        "question": f"Will it {slug}?",
        "conditionId": CONDITION,
        "slug": slug,
        "outcomes": '["Yes", "No"]',
        "clobTokenIds": json.dumps([f"{len(slug)}1", f"{len(slug)}2"]),
        "closed": False,
        "enableOrderBook": True,
        "orderPriceMinTickSize": 0.01,
        "orderMinSize": 5,
        "negRisk": False,
        "events": [{"slug": event}],
    }
    return {**right, **changes}


def failure(server: FakeServer, where: str = "simulated-market-1", **more: Any) -> LookupFailed:
    """How a lookup fails."""
    with pytest.raises(LookupFailed) as caught:
        find_assets(where, url=server.gamma_url, **more)
    return caught.value


def asked(server: FakeServer) -> list[str]:
    """The paths of the requests."""
    return [record.path for record in server.connections]


@pytest.mark.parametrize(
    "where",
    [
        "https://polymarket.com/event/simulated-market-2",
        "https://polymarket.com/event/simulated-market-2/simulated-market-2?tid=1773307200#buy",
        "https://polymarket.com/event/any/simulated-market-2/",
        "https://polymarket.com/market/simulated-market-2",
        "https://polymarket.com/de/event/simulated-market-2",
        "https://www.polymarket.com/pt-br/market/simulated-market-2",
        "https://polymarket.com/sports/nfl/simulated-market-2",
        "https://polymarket.com/sports/nfl/games/week/1/simulated-market-2",
        "polymarket.com/event/simulated-market-2",
        " simulated-market-2\n",
    ],
)
def test_pages_and_slugs_lead_to_the_assets(
    server: FakeServer, exchange: SimulatedExchange, where: str
) -> None:
    """The last part of a page's address is the slug; a language and a query do not matter."""
    found = find_assets(where, url=server.gamma_url)

    assert exchange.asset_ids[2:4] == tuple(asset.asset_id for asset in found)
    assert {exchange.markets[1]} == {asset.market for asset in found}
    assert "Will simulated market 2 resolve to Yes?: Yes" == str(found[0])


def test_a_condition_id_leads_to_the_assets(
    server: FakeServer, exchange: SimulatedExchange
) -> None:
    """In any case of its letters."""
    for where in (exchange.markets[0], exchange.markets[0].upper()):
        found = find_assets(where, url=server.gamma_url)
        assert exchange.asset_ids[:2] == tuple(asset.asset_id for asset in found)


def test_a_short_condition_id_is_the_padded_one(server: FakeServer) -> None:
    """31 bytes that begin with 01 or 02, and the same with a zero byte at the end, are one."""
    short = "0x02" + "b" * 60
    server.add_market(market("snow", conditionId=f"{short}00"))
    server.add_market(market("thunder", conditionId="0x01" + "c" * 60))

    assert "snow" == find_assets(short, url=server.gamma_url)[0].slug
    assert "snow" == find_assets(f"{short}00", url=server.gamma_url)[0].slug
    assert "thunder" == find_assets("0x01" + "c" * 60 + "00", url=server.gamma_url)[0].slug
    assert "condition id 0x03" in str(failure(server, "0x03" + "c" * 60))


def test_an_event_has_all_its_markets(server: FakeServer) -> None:
    """Its page means all of them, a market's page the one."""
    server.add_market(market("rain"))
    server.add_market(market("snow", conditionId="0x" + "2" * 64))

    event = find_assets("https://polymarket.com/event/weather", url=server.gamma_url)
    one = find_assets("https://polymarket.com/event/weather/snow", url=server.gamma_url)

    assert ["rain", "rain", "snow", "snow"] == [asset.slug for asset in event]
    assert {"weather"} == {asset.event_slug for asset in event}
    assert ["snow", "snow"] == [asset.slug for asset in one]


def test_a_lone_slug_is_a_markets_or_an_events(server: FakeServer) -> None:
    """The market is asked for first."""
    server.add_market(market("rain", event="weather"))
    server.add_market(market("weather", event="other"))

    assert {"weather"} == {a.slug for a in find_assets("weather", url=server.gamma_url)}
    assert {"weather"} == {a.slug for a in find_assets("other", url=server.gamma_url)}
    assert ["/markets/slug/weather", "/markets/slug/other", "/events/slug/other"] == asked(server)


def test_both_captures_are_found_over_http(server: FakeServer, frames_dir: Path) -> None:
    """Real answers of 2026-03 and 2026-09, as they came."""
    march = json.loads((frames_dir / "rest" / "gamma_market_2026-03.json").read_text())
    (september,) = json.loads((frames_dir / "rest" / "gamma_market_2026-09.json").read_text())
    for captured in (march, september):
        server.add_market(captured)
        page = f"https://polymarket.com/event/{captured['events'][0]['slug']}"
        found = find_assets(page, url=server.gamma_url)
        assert json.loads(captured["clobTokenIds"]) == [asset.asset_id for asset in found]
        assert found == find_assets(captured["conditionId"], url=server.gamma_url)


def test_a_v2_market_has_position_ids(server: FakeServer) -> None:
    """What a subscription takes of it."""
    server.add_market(market("rain", version="v2", positionIds=["81", "82"]))

    assert ["81", "82"] == [a.asset_id for a in find_assets("rain", url=server.gamma_url)]


def test_a_closed_market_is_found_and_told(
    server: FakeServer, exchange: SimulatedExchange, caplog: pytest.LogCaptureFixture
) -> None:
    """By every way; the assets say so, and one WARNING does."""
    decided = exchange.markets[0]
    server.play(lambda exchange: exchange.resolve(decided))
    for where in ("simulated-market-1", "polymarket.com/event/simulated-market-1", decided):
        caplog.clear()
        assert [True, True] == [a.closed for a in find_assets(where, url=server.gamma_url)]
        assert [
            "1 of 1 markets are closed, so no book comes for their assets: "
            "Will simulated market 1 resolve to Yes?"
        ] == [record.getMessage() for record in caplog.records]


def test_what_was_found_is_subscribed(server: FakeServer) -> None:
    """Three lines from a page to a live book."""
    assets = find_assets("https://polymarket.com/event/simulated-market-1", url=server.gamma_url)
    with Subscriber(assets, options=server.options()) as sub:
        sub.wait_ready()
        seen: list[str] = []
        sub.on_book(lambda book: seen.append(book.asset_id), asset_id=assets[0])
        server.send(server.exchange.snapshot(assets[0].asset_id) or {})
        server.send(server.exchange.snapshot(assets[1].asset_id) or {})
        server.settle(sub)
        sub.unsubscribe(assets[1:])
        assert {assets[0].asset_id} == sub.subscriptions.asset_ids

    assert [assets[0].asset_id] == seen


@pytest.mark.parametrize(
    ("where", "told", "path"),
    [
        ("no-such", "Polymarket has no market or event 'no-such'", "/events/slug/no-such"),
        (
            "https://polymarket.com/event/no-such",
            "Polymarket has no market or event 'no-such'",
            "/markets/slug/no-such",
        ),
        (
            "https://polymarket.com/event/weather/no-such",
            "Polymarket has no market 'no-such'",
            "/markets/slug/no-such",
        ),
        (
            CONDITION,
            f"Polymarket has no market with the condition id {CONDITION}",
            f"/markets/keyset?condition_ids={CONDITION}&closed=true",
        ),
    ],
)
def test_what_does_not_exist_is_told(server: FakeServer, where: str, told: str, path: str) -> None:
    """With the address that was asked last."""
    error = failure(server, where)

    assert f"{told} (asked {server.gamma_url}{path})" == str(error)


def test_a_renamed_field_is_told(server: FakeServer) -> None:
    """Which one is missing, and what may help."""
    server.faults.gamma(rename={"clobTokenIds": "tokens"})
    error = failure(server)

    assert (
        "the market 'simulated-market-1' has no clobTokenIds; a newer polymarket-ws may understand "
        f"it (asked {server.gamma_url}/markets/slug/simulated-market-1)"
    ) == str(error)
    assert 200 == error.status


def test_another_document_is_told(server: FakeServer) -> None:
    """JSON, but no market."""
    server.faults.gamma(body="null")

    assert "the answer is no JSON object but a NoneType" in str(failure(server))


def test_a_listing_that_is_gone_is_told(server: FakeServer) -> None:
    """404 of a list is no answer, unlike that of a name."""
    server.faults.gamma(404)

    assert "HTTP status 404 (Not Found)" == failure(server, CONDITION).detail


def test_a_page_instead_of_json_is_told(server: FakeServer) -> None:
    """Its type, and how it begins."""
    server.faults.gamma(body="<html>Attention Required!</html>")

    assert str(failure(server)).startswith(
        "the answer is no JSON but text/html: <html>Attention Required!</html> (asked http://127."
    )


def test_too_many_requests_are_told(server: FakeServer) -> None:
    """A Retry-After that is too long to wait for is shown, and an attribute."""
    server.faults.gamma(429, {"Retry-After": "60"})
    error = failure(server)

    assert str(error).startswith("HTTP status 429 (Too Many Requests): it asks to wait 60 s (asked")
    assert (429, 60.0) == (error.status, error.retry_after)


def test_a_passing_refusal_is_not_noticed(server: FakeServer) -> None:
    """It is tried again."""
    server.faults.gamma(503, times=2)

    assert 2 == len(find_assets("simulated-market-1", url=server.gamma_url))
    assert 3 == len(asked(server))


def test_a_server_in_trouble_is_told(server: FakeServer) -> None:
    """5xx, at the end of the attempts or of the time."""
    server.faults.gamma(500, {"Retry-After": "5"}, times=None)
    error = failure(server, timeout=1)

    assert "HTTP status 500 (Internal Server Error): it asks to wait 5 s" == error.detail


def test_no_network_is_told(server: FakeServer) -> None:
    """In the words of the connections."""
    server.stop_listening()
    error = failure(server, timeout=0.2)

    assert ("no answer: refused: Connection refused", None) == (error.detail, error.status)


def test_tls_is_that_of_the_options(exchange: SimulatedExchange) -> None:
    """`ssl_context` is trusted; else the certificate is refused."""
    with FakeServer(exchange, tls=True) as server:
        found = find_assets("simulated-market-1", url=server.gamma_url, options=server.options())
        with pytest.raises(CertificateError):
            find_assets("x", url=server.gamma_url, options=Options(ssl_context=client_context()))

    assert 2 == len(found)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("", "was given nothing: the address of a page, a slug or a condition id"),
        ("  ", "was given nothing: the address of a page, a slug or a condition id"),
        (["a"], "was given a list: look one address up at a time"),
        (("a",), "was given a tuple: look one address up at a time"),
        ("71", "was given '71', which looks like an asset id: a Subscriber takes it as it is"),
        (71, "was given '71', which looks like an asset id: a Subscriber takes it as it is"),
        (None, "takes the address of a page, a slug or a condition id, not a NoneType"),
        ("0x12", "was given '0x12': a condition id is 0x and 62 or 64 hex digits"),
        (
            "0x" + "g" * 64,
            f"was given '0x{'g' * 58}…': a condition id is 0x and 62 or 64 hex digits",
        ),
        (
            "https://example.com/event/x",
            "was given 'https://example.com/event/x', not of polymarket.com",
        ),
        (
            "https://notpolymarket.com/event/x",
            "was given 'https://notpolymarket.com/event/x', not of polymarket.com",
        ),
        (
            "https://[polymarket.com/event/x",
            "was given 'https://[polymarket.com/event/x', which is no URL",
        ),
        (
            "https://polymarket.com/",
            "was given 'https://polymarket.com/', which is no market's or event's "
            "page: https://polymarket.com/event/<event>",
        ),
        (
            "https://polymarket.com/event/",
            "was given 'https://polymarket.com/event/', which is no market's "
            "or event's page: https://polymarket.com/event/<event>",
        ),
        (
            "will it rain",
            "was given 'will it rain', which is no page address, slug or condition id",
        ),
        (
            "polymarket.com/event/..%2f..",
            "was given 'polymarket.com/event/..%2f..', which is no page "
            "address, slug or condition id",
        ),
    ],
)
def test_wrong_arguments_are_told_apart(where: Any, said: str) -> None:
    """One sentence each, before anything is asked."""
    with pytest.raises(ConfigurationError) as caught:
        find_assets(where, url="http://127.0.0.1:1")

    assert f"find_assets {said}" == str(caught.value)


def test_an_asset_is_found_already(server: FakeServer) -> None:
    """Looking an Asset up is a slip."""
    (asset, _) = find_assets("simulated-market-1", url=server.gamma_url)
    with pytest.raises(ConfigurationError, match="was given an Asset, which is found already"):
        find_assets(asset)  # type: ignore[arg-type]  # the point


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"url": 5}, "url must be a str, not int"),
        ({"url": "wss://x"}, "url must begin with http:// or https:// and a host"),
        ({"url": "http://x:y"}, "url is no URL"),
        ({"url": "http://x?a=b"}, "url must have no user, no query and no fragment"),
        ({"url": "http://me:hunter2@x"}, "url must have no user, no query and no fragment"),
        ({"url": "http://x/ä"}, "url must be ASCII"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0 and up to 600, not 0"),
        ({"timeout": float("nan")}, "up to 600, not nan"),
        ({"timeout": True}, "up to 600, not True"),
        ({"timeout": None}, "up to 600, not None"),
        ({"options": 5}, "options must be Options, not int"),
    ],
)
def test_other_wrong_arguments_are_told(arguments: dict[str, Any], said: str) -> None:
    """As those of a Subscriber."""
    with pytest.raises(ConfigurationError) as caught:
        find_assets("x", **arguments)

    assert said in str(caught.value)


def test_without_the_extra_it_says_what_to_install() -> None:
    """Importing works; looking something up says which extra it needs."""
    program = (
        "import sys\n"
        "sys.modules['urllib3'] = None\n"
        "from polymarket_ws.errors import ConfigurationError\n"
        "from polymarket_ws.lookup import find_assets\n"
        "try:\n"
        "    find_assets('x')\n"
        "except ConfigurationError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert "find_assets needs an extra: pip install 'polymarket-ws[rest]'\n" == done.stdout

"""Gamma's markets: both captures, both protocol versions, and a sentence for each odd answer."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from polymarket_ws.rest.failures import UnexpectedAnswer
from polymarket_ws.rest.gamma import read_event, read_listing, read_market
from polymarket_ws.wire.json_text import JSON


def market(**changes: Any) -> dict[str, Any]:
    """A market as Gamma describes it; None takes a field away."""
    right = {
        "question": "Will it rain?",
        "conditionId": "0x" + "1" * 64,
        "slug": "will-it-rain",
        "outcomes": '["Yes", "No"]',
        "clobTokenIds": '["71", "72"]',
        "closed": False,
        "enableOrderBook": True,
        "active": True,
        "acceptingOrders": True,
        "orderPriceMinTickSize": Decimal("0.01"),
        "orderMinSize": 5,
        "negRisk": True,
        "events": [{"slug": "weather"}],
    }
    return {name: value for name, value in {**right, **changes}.items() if value is not None}


def sentence(answer: object) -> str:
    """What is said of an answer that is not understood."""
    with pytest.raises(UnexpectedAnswer) as caught:
        read_market(answer)
    return str(caught.value)


def test_the_capture_of_march(frames_dir: Path) -> None:
    """A market without `version`, as of 2026-03: ids, prices and names as they are."""
    text = (frames_dir / "rest" / "gamma_market_2026-03.json").read_text(encoding="utf-8")
    up, down = read_market(JSON.decode(text))

    assert ("Up", "Down") == (up.outcome, down.outcome)
    assert up.asset_id == (
        "104239898038807136052399800151408521467737075933964991162589336683346093173875"
    )
    assert "0x78443f961b9a65869dcb39359de9960165c7e5cbad0904eac7f29cd77872a63b" == up.market
    assert ("btc-updown-5m-1773307200",) * 2 == (up.slug, up.event_slug)
    assert (Decimal("0.01"), Decimal(5)) == (up.tick_size, up.min_order_size)
    assert (False, False) == (up.neg_risk, up.closed)
    assert "Bitcoin Up or Down - March 12, 5:20AM-5:25AM ET: Down" == str(down)


def test_the_capture_of_september(frames_dir: Path) -> None:
    """A v1 market with `positionIds` too, as of 2026-09: the ids are its `clobTokenIds`."""
    text = (frames_dir / "rest" / "gamma_market_2026-09.json").read_text(encoding="utf-8")
    first, second = read_market(JSON.decode(text)[0])

    assert first.asset_id.startswith("75313892657684104434100329364341570294")
    assert second.asset_id.startswith("45353365042853804097303208844798871546")
    assert Decimal("0.001") == first.tick_size


def test_a_v2_market_has_position_ids() -> None:
    """`version` decides, not which fields are there; a real array is read as one."""
    found = read_market(market(version="v2", positionIds=["81", 82]))

    assert ["81", "82"] == [asset.asset_id for asset in found]
    assert ["71", "72"] == [asset.asset_id for asset in read_market(market(version="v1"))]


def test_lists_come_as_text_or_as_lists() -> None:
    """Both forms were seen."""
    plain = market(clobTokenIds=["71", "72"], outcomes=["Yes", "No"])

    assert read_market(plain) == read_market(market())


@pytest.mark.parametrize("size", ["5", 5, Decimal("5.0")])
def test_numbers_come_as_text_or_as_numbers(size: object) -> None:
    """Each becomes a Decimal."""
    assert Decimal(5) == read_market(market(orderMinSize=size))[0].min_order_size


def test_what_may_be_missing_is_none() -> None:
    """The tick, the smallest order and the event are not what a subscription needs."""
    bare = market(orderPriceMinTickSize=None, orderMinSize="", negRisk=None, events=None)
    (asset, _) = read_market(bare)

    assert (None, None, None, "") == (
        asset.tick_size,
        asset.min_order_size,
        asset.neg_risk,
        asset.event_slug,
    )


@pytest.mark.parametrize("events", [[], {}, [5], [{}], [{"slug": 5}]])
def test_an_odd_event_is_no_event(events: object) -> None:
    """What is wrong with the event costs its name alone."""
    assert "" == read_market(market(events=events))[0].event_slug


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (5, "the answer is no JSON object but a int"),
        (market(slug=None), "the market has no slug"),
        (market(clobTokenIds=None), "the market 'will-it-rain' has no clobTokenIds"),
        (market(version="v2"), "the market 'will-it-rain' has no positionIds"),
        (
            market(version="v3"),
            "the version of the market 'will-it-rain' is neither v1 nor v2 but 'v3'",
        ),
        (market(version=2), "the version of the market 'will-it-rain' is neither v1 nor v2 but 2"),
        (market(question=None), "the market 'will-it-rain' has no question"),
        (market(conditionId=5), "the conditionId of the market 'will-it-rain' is no text but 5"),
        (market(closed=None), "the market 'will-it-rain' has no closed"),
        (
            market(closed="no"),
            "the closed of the market 'will-it-rain' is neither true nor false but 'no'",
        ),
        (
            market(outcomes="Yes, No"),
            "the outcomes of the market 'will-it-rain' is no list of texts but 'Yes, No'",
        ),
        (
            market(outcomes=[["Yes"], True]),
            "the outcomes of the market 'will-it-rain' is no list of texts but [['Yes'], True]",
        ),
        (
            market(outcomes='["Yes"]'),
            "the market 'will-it-rain' has 1 outcomes and 2 asset ids",
        ),
        (
            market(outcomes="[]", clobTokenIds="[]"),
            "the market 'will-it-rain' has 0 outcomes and 0 asset ids",
        ),
        (
            market(clobTokenIds=["7\x1b1", "72"]),
            "the market 'will-it-rain' has the asset id '7\\x1b1', which is no number",
        ),
        (
            market(orderMinSize="five" * 20),
            "the orderMinSize of the market 'will-it-rain' is no number but "
            "'fivefivefivefivefivefivefivefivefivefive…'",
        ),
        (
            market(orderMinSize=True),
            "the orderMinSize of the market 'will-it-rain' is no number but True",
        ),
        (
            market(orderMinSize="1" * 65),
            f"the orderMinSize of the market 'will-it-rain' is no number but '{'1' * 40}…'",
        ),
    ],
)
def test_a_changed_field_is_named(answer: object, said: str) -> None:
    """A missing field, or one of another kind, gives one sentence that names it."""
    assert said == sentence(answer)


def test_lists_nested_too_deeply_are_no_lists() -> None:
    """Hostile JSON in a text raises nothing else."""
    assert "is no list of texts" in sentence(market(outcomes="[" * 100_000))


def event(*markets: object) -> dict[str, Any]:
    """An event as Gamma describes it: its markets do not name it."""
    return {"slug": "weather", "markets": list(markets)}


def test_an_event_has_the_assets_of_all_its_markets() -> None:
    """Market by market, with the name of the event."""
    snow = market(slug="snow", clobTokenIds='["81", "82"]', events=None, closed=True)
    found = read_event(event(market(events=None), snow))

    assert ["71", "72", "81", "82"] == [asset.asset_id for asset in found]
    assert {"weather"} == {asset.event_slug for asset in found}
    assert [False, False, True, True] == [asset.closed for asset in found]


@pytest.mark.parametrize("missing", ["enableOrderBook", "active", "acceptingOrders"])
def test_a_market_that_is_not_traded_yet_is_left_out(missing: str) -> None:
    """A place kept for a later market has no ids, and a flag that says why."""
    kept = market(slug="later", clobTokenIds="", **{missing: False})

    assert ["71", "72"] == [asset.asset_id for asset in read_event(event(kept, market()))]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([], "the answer is no JSON object but a list"),
        ({"slug": "weather"}, "the event 'weather' has no markets"),
        (event(), "the event 'weather' has no market with an order book"),
        (event(market(clobTokenIds=None)), "the market 'will-it-rain' has no clobTokenIds"),
        (event(5), "the answer is no JSON object but a int"),
    ],
)
def test_an_odd_event_is_told(answer: object, said: str) -> None:
    """One sentence each."""
    with pytest.raises(UnexpectedAnswer) as caught:
        read_event(answer)
    assert said == str(caught.value)


def test_a_listing_has_markets() -> None:
    """The page of a list names its markets; anything else is told."""
    assert [5] == read_listing(json.loads('{"markets": [5], "next_cursor": ""}'))
    with pytest.raises(UnexpectedAnswer, match="the answer has no markets"):
        read_listing({"data": []})

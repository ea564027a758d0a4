"""What a Subscriber wants: ids are checked, and a sentence says what a wrong one looks like."""

from __future__ import annotations

from typing import Any

import pytest
from kit.assets import asset

from polymarket_ws.errors import ConfigurationError
from polymarket_ws.subscriptions import (
    Subscriptions,
    check_asset_ids,
    check_assets,
    check_filter_assets,
    check_filter_markets,
    check_markets,
    is_short,
)

TOKEN = "28756001267446015644282192000586184633181417034487430148393633388063374846479"
FINDS = "asset_ids takes token ids (clobTokenIds): polymarket_ws.lookup.find_assets finds them"
CONDITION = "0x690fafd3b7bb8b4919ccf0f219b0014b65334411a1076162e76353e76d7f9bec"


class NumpyInteger:
    """As numpy's int64: not an int, though `operator.index` takes it."""

    def __index__(self) -> int:
        return 5


NumpyInteger.__name__ = "int64"


def sentence(check: Any, value: Any) -> str:
    """What is said of a wrong value."""
    with pytest.raises(ConfigurationError) as caught:
        check(value)
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        [TOKEN, "1"],
        (TOKEN, "1", TOKEN),
        {TOKEN, "1"},
        {TOKEN: "yes", "1": "no"},
        [int(TOKEN), 1],
        (text for text in (TOKEN, "1")),
        map(str, [TOKEN, 1]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_iterable_of_token_ids_is_taken(value: Any) -> None:
    """Decimal strings and ints, repeated or not, a generator or a dict's keys."""
    assert {TOKEN, "1"} == check_asset_ids(value)


def test_assets_are_taken_for_their_ids() -> None:
    """What a lookup found is wanted, and filtered by, as it is: one or several."""
    rain = asset(TOKEN)

    assert {TOKEN, "1"} == check_asset_ids([rain, "1"]) == check_filter_assets([rain, 1])
    assert {TOKEN} == check_filter_assets(rain)
    assert "asset_ids is a Asset: pass a list of token ids" == sentence(check_asset_ids, rain)


def test_an_asset_is_kept_beside_its_id() -> None:
    """Also when the plain id is named again; the last Asset of an id counts."""
    old, new = asset(TOKEN, closed=True), asset(TOKEN)

    assert ({TOKEN, "1"}, {TOKEN: new}) == check_assets([old, new, TOKEN, "1"])


def test_nothing_is_a_set_too() -> None:
    """An empty iterable wants nothing."""
    assert frozenset() == check_asset_ids([]) == check_markets(())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (TOKEN, "asset_ids is one str: pass a list of token ids"),
        ("", "asset_ids is one str: pass a list of token ids"),
        (b"123", "asset_ids is one bytes: pass a list of token ids"),
        (
            f' ["{TOKEN}"]',
            "asset_ids is a JSON list as text: json.loads it first, then pass the list",
        ),
        (b'["1"]', "asset_ids is a JSON list as text: json.loads it first, then pass the list"),
        (b"\xff", "asset_ids is one bytes: pass a list of token ids"),
        (None, "asset_ids is a NoneType: pass a list of token ids"),
        (5, "asset_ids is a int: pass a list of token ids"),
        (1.5, "asset_ids is a float: pass a list of token ids"),
        (True, "asset_ids is a bool: pass a list of token ids"),
        ([None], "asset_ids holds a NoneType: a token id is a decimal string"),
        ([True], "asset_ids holds a bool: a token id is a decimal string"),
        ([b"1"], "asset_ids holds a bytes: a token id is a decimal string"),
        ([["1"]], "asset_ids holds a list: a token id is a decimal string"),
        ([NumpyInteger()], "asset_ids holds a int64: a token id is a decimal string"),
        (
            [2.875e76],
            "asset_ids holds the float 2.875e+76, which has lost digits of the token id: "
            "keep it a str",
        ),
        (
            [CONDITION],
            "asset_ids holds '0x690fafd3b7bb8b4919…', which looks like a condition id; " + FINDS,
        ),
        (
            ["will-it-rain"],
            "asset_ids holds 'will-it-rain', which looks like a slug; " + FINDS,
        ),
        (
            ["https://polymarket.com/event/x"],
            f"asset_ids holds 'https://polymarket.c…', which looks like a page's address; {FINDS}",
        ),
        (
            ['["1", "2"]'],
            'asset_ids holds \'["1", "2"]\', which is a JSON list as text: json.loads it first',
        ),
        (
            [""],
            "asset_ids holds '', which is no token id: a decimal string without spaces or signs",
        ),
        (
            ["1 "],
            "asset_ids holds '1 ', which is no token id: a decimal string without spaces or signs",
        ),
        (
            [-1],
            "asset_ids holds '-1', which is no token id: a decimal string without spaces or signs",
        ),
        (
            ["٣"],
            "asset_ids holds '٣', which is no token id: a decimal string without spaces or signs",
        ),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_wrong_token_id_is_named(value: Any, said: str) -> None:
    """Each mistake that was seen in the wild has a sentence of its own."""
    assert said == sentence(check_asset_ids, value)


def test_condition_ids_are_kept_in_lower_case() -> None:
    """As the wire writes them, so that a filter matches."""
    assert {CONDITION, "0xab"} == check_markets([CONDITION.upper().replace("0X", "0x"), "0xAB"])


def test_two_spellings_of_a_condition_id_are_one_market() -> None:
    """One of 31 bytes is kept as it is when padded, in lists and in filters."""
    short = "0x01" + "ab" * 30

    assert {f"{short}00"} == check_markets([short, short.upper(), f"{short}00"])
    assert {f"{short}00"} == check_filter_markets(short)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (CONDITION, "markets is one str: pass a list of condition ids"),
        (
            [TOKEN],
            "markets holds '28756001267446015644…', which looks like a token id; "
            "markets takes condition ids (0x and 62 or 64 hex digits)",
        ),
        (
            [7],
            "markets holds '7', which looks like a token id; "
            "markets takes condition ids (0x and 62 or 64 hex digits)",
        ),
        ([True], "markets holds a bool: a condition id is 0x and 62 or 64 hex digits"),
        ([None], "markets holds a NoneType: a condition id is 0x and 62 or 64 hex digits"),
        (["will-it"], "markets holds 'will-it': a condition id is 0x and 62 or 64 hex digits"),
        (["0x"], "markets holds '0x': a condition id is 0x and 62 or 64 hex digits"),
        (["0xg"], "markets holds '0xg': a condition id is 0x and 62 or 64 hex digits"),
    ],
)
def test_a_wrong_condition_id_is_named(value: Any, said: str) -> None:
    """A token id in `markets` above all."""
    assert said == sentence(check_markets, value)


@pytest.mark.parametrize(
    ("value", "ids"),
    [(None, None), ("1", {"1"}), (1, {"1"}), (["1", 2], {"1", "2"}), ((), set())],
)
def test_a_filter_takes_one_asset_or_several(value: Any, ids: set[str] | None) -> None:
    """None is no filter."""
    assert ids == check_filter_assets(value)


@pytest.mark.parametrize(
    ("value", "ids"), [(None, None), ("0xA", {"0xa"}), (["0xa", "0xb"], {"0xa", "0xb"})]
)
def test_a_filter_takes_one_market_or_several(value: Any, ids: set[str] | None) -> None:
    """None is no filter."""
    assert ids == check_filter_markets(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            1e76,
            "asset_id holds the float 1e+76, which has lost digits of the token id: keep it a str",
        ),
        (True, "asset_id holds a bool: a token id is a decimal string"),
        (
            CONDITION,
            "asset_id holds '0x690fafd3b7bb8b4919…', which looks like a condition id; " + FINDS,
        ),
    ],
)
def test_a_wrong_filter_is_named_by_its_own_argument(value: Any, said: str) -> None:
    """The sentence says asset_id or market, as it was written."""
    assert said == sentence(check_filter_assets, value)
    assert sentence(check_filter_markets, [TOKEN]).startswith("market holds '2875")


def test_subscriptions_are_a_value() -> None:
    """Frozen and comparable; by default nothing is wanted."""
    assert Subscriptions(asset_ids=frozenset("1")) == Subscriptions(asset_ids=frozenset("1"))
    assert (frozenset(), frozenset()) == (Subscriptions().asset_ids, Subscriptions().markets)


def test_a_token_id_that_was_cut_off_is_short() -> None:
    """Real ones have about 77 digits."""
    assert (False, True) == (is_short(TOKEN), is_short(TOKEN[:50]))


@pytest.mark.parametrize(
    ("markets", "shown"),
    [(None, ">all<"), (frozenset(), ">none<"), (frozenset([CONDITION]), CONDITION)],
)
def test_a_notebook_shows_what_is_wanted(markets: frozenset[str] | None, shown: str) -> None:
    """Each id, whole where the pointer rests on it."""
    html = Subscriptions(asset_ids=frozenset([TOKEN]), markets=markets)._repr_html_()

    assert f'title="{TOKEN}"' in html
    assert shown in html

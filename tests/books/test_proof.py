"""The book hash: the recipe to the byte, its unknowns, and which hashes can be checked at all."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.assets import asset

from polymarket_ws.books.proof import (
    MIN_ORDER_SIZES,
    TOUCHED_PRICES,
    Claim,
    HashProof,
    Levels,
    Parameters,
    _likely_parameters,
    book_hash,
    book_head,
    find_parameters,
    level_text,
    looks_real,
    price_texts,
)

HEAD = book_head("0x" + "a" * 64, "1")
BIDS = [("0.3", "5"), ("0.4", "10.5")]
ASKS = [("0.7", "2"), ("0.6", "1")]
USUAL = Parameters("5", False)


def lines(levels: Levels) -> list[str]:
    """Each level's part of the hashed text."""
    return [level_text(price, size) for price, size in levels]


def claim(
    price: str = "", parameters: Parameters = USUAL, tick_size: str = "0.01", bids: Levels = BIDS
) -> Claim:
    """Of a small book at time 7, with the hash that a server with these values would tell."""
    told = book_hash(HEAD, "7", bids, ASKS, parameters, tick_size, price)
    return Claim.of(HEAD, "7", lines(bids), lines(ASKS), told)


def proof(price: str = "") -> HashProof:
    """One that has learned its parameters from a snapshot with that last price."""
    known = HashProof(tick_size="0.01")
    assert known.learn(claim(price), price)
    return known


texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=8)
levels = st.lists(st.tuples(st.from_regex(r"0\.\d{1,4}", fullmatch=True), st.just("1.5")))


@given(texts, texts, levels, levels, st.sampled_from(MIN_ORDER_SIZES), st.booleans())
def test_the_hashed_text_is_compact_json(
    market: str, asset_id: str, bids: Levels, asks: Levels, min_order_size: str, neg_risk: bool
) -> None:
    """To the byte, whatever is in an id."""
    book = {
        "market": market,
        "asset_id": asset_id,
        "timestamp": "1790491135816",
        "hash": "",
        "bids": [{"price": price, "size": size} for price, size in bids],
        "asks": [{"price": price, "size": size} for price, size in asks],
        "min_order_size": min_order_size,
        "tick_size": "0.001",
        "neg_risk": neg_risk,
        "last_trade_price": "0.870",
    }
    text = json.dumps(book, separators=(",", ":"), ensure_ascii=False)

    assert hashlib.sha1(text.encode()).hexdigest() == book_hash(
        book_head(market, asset_id),
        "1790491135816",
        bids,
        asks,
        Parameters(min_order_size, neg_risk),
        "0.001",
        "0.870",
    )


def test_the_recipe_is_pinned() -> None:
    """One hash as it was on the day of the capture: a change of the recipe shows here."""
    told = book_hash(HEAD, "7", BIDS, ASKS, Parameters("5", True), "0.01", "")

    assert "a5a7a8f548f448046c89dedd98009f0d7efbfdbd" == told


def test_a_lone_surrogate_raises_nothing() -> None:
    """No text of the wire's may stop a check."""
    assert looks_real(book_hash(book_head("\ud800", "1"), "7", [], [], USUAL, "0.01", ""))


@pytest.mark.parametrize(
    ("hash", "is_real"),
    [
        ("0123456789abcdef0123456789abcdef01234567", True),
        ("0" * 40, False),
        ("0123456789ABCDEF0123456789ABCDEF01234567", False),
        ("0123456789abcdef0123456789abcdef0123456", False),
        ("0123456789abcdef0123456789abcdef012345678", False),
        ("0123456789abcdef0123456789abcdef0123456\n", False),
        ("h1", False),
        ("", False),
        (None, False),
    ],
)
def test_a_real_hash_has_forty_hex_digits(hash: str | None, is_real: bool) -> None:
    """Not all zeros: those were seen on an empty book."""
    assert is_real == looks_real(hash)


@pytest.mark.parametrize("min_order_size", MIN_ORDER_SIZES)
@pytest.mark.parametrize("neg_risk", [False, True])
@pytest.mark.parametrize("price", ["", "0.870"])
def test_parameters_are_found(min_order_size: str, neg_risk: bool, price: str) -> None:
    """Every known combination, with the last price that fits."""
    parameters = Parameters(min_order_size, neg_risk)

    found = find_parameters(claim(price, parameters), "0.01", ["0.870", ""])

    assert (parameters, price) == found


@pytest.mark.parametrize(
    ("known", "parameters"),
    [
        ({"min_order_size": Decimal("0.7")}, Parameters("0.7", False)),
        ({"min_order_size": Decimal(7), "neg_risk": True}, Parameters("7", True)),
        ({"min_order_size": Decimal(7), "neg_risk": None}, Parameters("7", True)),
        ({"min_order_size": Decimal(7)}, USUAL),
        ({"min_order_size": None, "neg_risk": True}, USUAL),
    ],
)
def test_what_a_lookup_found_is_tried_first(known: dict[str, Any], parameters: Parameters) -> None:
    """And then the usual ones, since it may be outdated."""
    made = claim("0.870", parameters)

    assert (parameters, "0.870") == find_parameters(made, "0.01", ["0.870"], asset(**known))


def test_one_try_is_enough_with_a_lookup() -> None:
    """Instead of up to 24 for each candidate of the last trade price."""
    parameters = Parameters("0", True)
    made, known = claim("", parameters), asset(min_order_size=Decimal(0), neg_risk=True)
    tries = [next(iter(_likely_parameters(one))) == parameters for one in (None, known)]

    assert [False, True] == tries
    assert HashProof(tick_size="0.01").learn(made, "", known)


@pytest.mark.parametrize(
    "made", [claim("0.5"), claim(tick_size="0.1"), claim(parameters=Parameters("7", False))]
)
def test_unknown_parameters_are_none(made: Claim) -> None:
    """Another price, tick or minimum than the known ones."""
    assert None is find_parameters(made, "0.01", ["", "0.870"])


@pytest.mark.parametrize(
    ("price", "printed"),
    [
        ("0.5", ("0.500", "0.5")),
        ("0.870", ("0.870", "0.870")),
        ("0.4567", ("0.457", "0.4567")),
        ("1E-7", ("0.000", "0.0000001")),
    ],
)
def test_a_price_is_printed_in_two_ways(price: str, printed: tuple[str, str]) -> None:
    """With three decimals as hashes were seen to have it, and as it is, without an exponent."""
    assert printed == price_texts(Decimal(price))


def test_a_hash_fits_with_the_last_fitting_price() -> None:
    """The usual case: nothing changed but the levels."""
    assert proof("0.250").check(claim("0.250", bids=[("0.1", "1")]))


@pytest.mark.parametrize("price", ["0.300", "0.3", "0.700", "0.7", "0.456", "0.4561"])
def test_a_hash_may_be_ahead_of_its_print(price: str) -> None:
    """Any price touched lately may be the last trade's, here or, mirrored, on the complement."""
    checked = proof()
    for touched in ("0.3", "0.4561"):
        checked.touched.append(touched)

    assert checked.check(claim(price))
    assert checked.check(claim(price, bids=[]))


@pytest.mark.parametrize("price", ["0.420", "0.580"])
def test_a_hash_may_be_ahead_of_its_own_trade(price: str) -> None:
    """The first change of a trade through several levels may carry the price of its last one."""
    checked = proof()

    assert (False, True) == (checked.fits(claim(price)), checked.fits(claim(price), ["0.42"]))


def test_a_touched_price_is_forgotten_in_time() -> None:
    """Only the newest are tried."""
    checked = proof()
    for number in range(TOUCHED_PRICES + 1):
        checked.touched.append(f"0.{number + 1:04d}")

    assert (False, True) == (checked.check(claim("0.0001")), checked.check(claim("0.0002")))


@pytest.mark.parametrize("price", ["0.500", "0.5", "0.610", "0.61"])
def test_a_print_may_be_the_markets_or_ones_own(price: str) -> None:
    """Where the hash has the taker's token's price only, the complement's changes nothing."""
    checked = proof()
    checked.hear_print(Decimal("0.5"), is_own=True)
    checked.hear_print(Decimal("0.61"), is_own=False)

    assert checked.check(claim(price))


def test_the_next_print_explains_a_check_that_failed() -> None:
    """Once: what failed is kept until then, and failures in a row are counted."""
    checked = proof()
    failed = [checked.check(claim("0.81")), checked.check(claim("0.8"))]
    seen = checked.failures
    before = checked.unexplained
    still = checked.explain()
    checked.check(claim("0.8"))
    checked.hear_print(Decimal("0.8"), is_own=False)

    assert ([False, False], 2, False) == (failed, seen, still)
    assert before is not None
    assert (True, False) == (checked.explain(), checked.explain())
    assert (0, None) == (checked.failures, checked.unexplained)


def test_a_print_explains_no_wrong_level() -> None:
    """What still does not fit is kept for the next print."""
    checked = proof()
    wrong = Claim.of(HEAD, "7", [], lines(ASKS), claim("0.8").hash)
    checked.check(wrong)
    checked.hear_print(Decimal("0.8"), is_own=True)

    assert (False, wrong) == (checked.explain(), checked.unexplained)


def test_nothing_fits_without_parameters() -> None:
    """They come from a snapshot; one that fits nothing takes them away."""
    lost = proof()

    assert (False, False) == (HashProof().check(claim()), lost.learn(claim("0.123"), ""))
    assert (None, False) == (lost.parameters, lost.check(claim()))


@pytest.mark.parametrize("told", [None, "", "0.123"])
def test_a_snapshot_is_learned_with_prices_known_before(told: str | None) -> None:
    """What the snapshot tells first, then the prints, the last fitting price, and none."""
    known = proof("0.250")
    known.hear_print(Decimal("0.7"), is_own=True)

    assert all(known.learn(claim(price), told) for price in ("0.250", "0.700", "", told or ""))


def test_a_print_is_known_by_its_price_and_whose_it_is() -> None:
    """Heard of the complement, it is news as one's own."""
    known = proof()
    known.hear_print(Decimal("0.5"), is_own=False)
    seen = [known.knows_print(Decimal(p), is_own=own) for p, own in (("0.5", False), ("0.5", True))]
    known.hear_print(Decimal("0.5"), is_own=True)

    assert [True, False] == seen
    assert known.knows_print(Decimal("0.5"), is_own=True)
    assert not known.knows_print(Decimal("0.6"), is_own=False)

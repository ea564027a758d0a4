"""Levels of books are read the same, from memory or anew, and memory stays small."""

from __future__ import annotations

import decimal
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymarket_ws.wire import levels as level_reader
from polymarket_ws.wire.fast_fields import FastPathMiss
from polymarket_ws.wire.levels import LevelReader, check_levels

PAIRS = [("0.4", "10"), ("0.45", "2.50"), ("0.5", ".5")]
READ = [
    (Decimal("0.4"), Decimal(10)),
    (Decimal("0.45"), Decimal("2.50")),
    (Decimal("0.5"), Decimal("0.5")),
]

prices = st.integers(1, 999).map(lambda n: f"0.{n:03d}")
sizes = st.integers(1, 50).map(lambda n: f"{n / 10}")
books = st.lists(st.tuples(st.sampled_from("12"), st.lists(st.tuples(prices, sizes))), max_size=8)


def texts(levels: list[level_reader.Level]) -> list[tuple[str, str]]:
    """As they are printed: 2.50 is not 2.5."""
    return [(str(price), str(size)) for price, size in levels]


@given(books)
def test_what_an_asset_had_before_changes_nothing(
    told: list[tuple[str, list[level_reader.Texts]]],
) -> None:
    """Books of two assets, some levels as before; read with one memory and with none."""
    reader = LevelReader()
    for asset_id, pairs in told:
        levels = reader.read(asset_id, pairs)
        assert levels == LevelReader().read(asset_id, pairs)
        assert pairs == texts(levels)
        check_levels(pairs)


def test_the_texts_are_read_as_numbers() -> None:
    """In their order, each with its scale."""
    reader = LevelReader()
    assert READ == reader.read("1", PAIRS) == reader.read("1", PAIRS)
    assert READ[::-1] == reader.read("1", PAIRS[::-1])
    assert [] == reader.read("1", [])


def test_a_level_is_made_once() -> None:
    """For one asset; another one has its own."""
    reader = LevelReader()
    first = reader.read("1", PAIRS)
    again = reader.read("1", [*PAIRS, ("0.6", "1")])
    assert all(a is b for a, b in zip(first, again, strict=False))
    assert first[0] is not reader.read("2", PAIRS)[0]


@pytest.mark.parametrize(
    "pair",
    [("x", "1"), ("0.4", "x"), ("0.4", "1.2.3"), ("0.4", "."), ("0.4", ""), ("0.4", "9" * 65),
     ("0.4", "1e3"), ("0.4", "NaN"), ("0.4", "-1"), ("9" * 65, "1"), ("0.4", "1_0")],
)  # fmt: skip
@pytest.mark.parametrize("traps", [True, False])
def test_what_is_no_number_misses_the_fast_path(pair: tuple[str, str], traps: bool) -> None:
    """Alone or among others, read or only looked at, whatever the thread's context does."""
    with decimal.localcontext() as context:
        context.traps[decimal.InvalidOperation] = traps
        for pairs in ([pair], [*PAIRS, pair], [pair, *PAIRS]):
            with pytest.raises(FastPathMiss):
                LevelReader().read("1", pairs)
            with pytest.raises(FastPathMiss):
                check_levels(pairs)


def test_a_level_of_size_0_misses_the_fast_path_where_an_event_is_made() -> None:
    """The event has none; a book that takes the texts does so itself."""
    with pytest.raises(FastPathMiss):
        LevelReader().read("1", [*PAIRS, ("0.6", "0.00")])
    check_levels([("0.6", "0.00")])


def test_levels_of_few_assets_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that came first, until so many books of others came that they may be gone."""
    monkeypatch.setattr(level_reader, "ASSETS_LIMIT", 2)
    monkeypatch.setattr(level_reader, "FORGET_AFTER", 4)
    reader = LevelReader()

    def is_kept(asset_id: str) -> bool:
        return reader.read(asset_id, PAIRS)[0] is reader.read(asset_id, PAIRS)[0]

    assert [True, True, False] == [is_kept(asset_id) for asset_id in "123"]
    assert [True, True] == [is_kept(asset_id) for asset_id in "12"]
    assert not is_kept("3")
    assert [] == reader.read("3", [])
    assert [True, True] == [is_kept(asset_id) for asset_id in "34"]
    assert not is_kept("1")


def test_levels_that_went_are_forgotten() -> None:
    """An asset whose sizes are ever new keeps some books' worth of them."""
    reader = LevelReader()
    for number in range(1, 100):
        reader.read("1", [("0.4", "10"), ("0.5", str(number))])
        assert len(reader._known["1"]) <= 4 * 2 + 2


def test_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """On request, and when all assets together have had too many levels."""
    reader = LevelReader()
    first = reader.read("1", PAIRS)
    reader.forget()
    assert first[0] is not reader.read("1", PAIRS)[0]

    monkeypatch.setattr(level_reader, "LEVELS_LIMIT", 4)
    kept = reader.read("1", PAIRS)
    assert READ == reader.read("2", PAIRS)
    assert kept[0] is not reader.read("1", PAIRS)[0]


def test_levels_of_a_long_id_are_not_kept() -> None:
    """It is no asset's."""
    reader, long = LevelReader(), "7" * 257

    assert READ == reader.read(long, PAIRS)
    assert reader.read(long, PAIRS)[0] is not reader.read(long, PAIRS)[0]

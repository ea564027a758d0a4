"""The levels of one book: how they are stored, changed, compared and hashed."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from polymarket_ws.wire.prices import first_texts, is_first_text, known_prices, price_of
from polymarket_ws.wire.updates import Change, Snapshot

from .proof import Claim, level_text

NEAR_LEVELS = 5  # of each side: what a trade through several levels mostly reaches


def _is_zero(size: str) -> bool:
    return size == "0" or (size[0] not in "123456789" and not Decimal(size))


Former = tuple[Decimal, "str | None", "Former | None"]
"""What a change replaced: the price, the size that it had (None: no level), and the same of the
change before. A chain, since making a tuple costs less than appending to a list."""


class BookSide:
    """One side of a book: the wire's sizes by price, and the prices in ascending order.

    A level costs its size's text and a place in a dict: its price's text is shared by all books,
    and kept in `_odd` only where it is not the first known one.
    """

    __slots__ = ("_hashed", "_odd", "former", "prices", "sizes")

    def __init__(self, levels: Sequence[tuple[str, str]] = ()) -> None:
        texts, sizes = zip(*levels, strict=True) if levels else ((), ())
        numbers = list(map(price_of, texts))
        self.sizes = dict(zip(numbers, sizes, strict=True))
        odd = {n: t for n, t in zip(numbers, texts, strict=True) if not is_first_text(n, t)}
        self._odd: dict[Decimal, str] | None = odd or None
        for number in [n for n, size in self.sizes.items() if _is_zero(size)]:
            del self.sizes[number]
        self.prices = sorted(self.sizes)
        self.former: Former | None = None  # reset by the book's writer when it is published
        # Of each level its part of the hashed text, from the second hash on.
        self._hashed: dict[Decimal, str] | None = None

    def set(self, price: str, size: str) -> Decimal:
        """Set a level, or remove it; returns its price."""
        number = known_prices.get(price)
        if number is None:
            number = price_of(price)
        sizes = self.sizes
        former = sizes.get(number)
        self.former = number, former, self.former
        if size[0] in "0." and _is_zero(size):
            if former is not None:
                del sizes[number]
                del self.prices[bisect_left(self.prices, number)]
            return number
        if former is None:
            insort(self.prices, number)
        sizes[number] = size
        if first_texts.get(number) != price or self._odd is not None:
            self._keep_text(number, price)
        if self._hashed is not None:
            self._hashed[number] = level_text(price, size)
        return number

    def _keep_text(self, number: Decimal, price: str) -> None:
        odd = self._odd or {}
        if is_first_text(number, price):
            odd.pop(number, None)
        else:
            odd[number] = price
        self._odd = odd or None

    def level(self, number: Decimal) -> tuple[str, str]:
        """Price and size as the wire wrote them."""
        odd = self._odd
        if odd is not None and number in odd:
            return odd[number], self.sizes[number]
        return first_texts[number], self.sizes[number]

    def best(self, index: int) -> tuple[str, str] | None:
        if not self.prices:
            return None
        number = self.prices[index]
        if self._odd is not None:
            return self.level(number)
        return first_texts[number], self.sizes[number]  # as level(), by one call less

    def as_published(self) -> BookSide:
        """A copy in which each level has the size that it had when last published."""
        copy = BookSide()
        copy.sizes, copy._odd = dict(self.sizes), self._odd
        former = self.former
        while former is not None:
            number, size, former = former
            if size is None:
                copy.sizes.pop(number, None)
            else:
                copy.sizes[number] = size
        copy.prices = sorted(copy.sizes)
        return copy

    def ascending_texts(self, *, keep: bool) -> list[str]:
        """Of each level its part of the hashed text, lowest price first.

        Args:
            keep: Whether another hash will follow soon.
        """
        texts = self._hashed
        if texts is None or len(texts) > 2 * len(self.prices):  # those that went are still in it
            texts = {price: level_text(*self.level(price)) for price in self.prices}
            self._hashed = texts if keep else None
        return [texts[price] for price in self.prices]

    def repeats(self, other: BookSide) -> bool:
        """Whether it is the other one to the letter."""
        return self is other or (self.sizes == other.sizes and self._odd == other._odd)

    def shows(self, levels: Sequence[tuple[str, str]]) -> bool:
        """Whether its levels, ascending by price, are these to the letter."""
        if len(levels) != len(self.prices):
            return False
        sizes = self.sizes
        if self._odd is not None:
            return [self.level(number) for number in self.prices] == levels
        return [(first_texts[number], sizes[number]) for number in self.prices] == levels

    def equals(self, other: BookSide) -> bool:
        """By value: the same size may be written in several ways."""
        ours, theirs = self.sizes, other.sizes
        return (
            ours is theirs
            or ours == theirs
            or (
                ours.keys() == theirs.keys()
                and all(Decimal(ours[p]) == Decimal(theirs[p]) for p in ours)
            )
        )


class BookSides(NamedTuple):
    """Both sides of one book."""

    bids: BookSide
    asks: BookSide

    @classmethod
    def of(cls, snapshot: Snapshot) -> BookSides:
        return cls(BookSide(snapshot.bids), BookSide(snapshot.asks))

    def set(self, change: Change) -> None:
        (self.bids if change.side == "BUY" else self.asks).set(change.price, change.size)

    def equals(self, other: BookSides) -> bool:
        return self.bids.equals(other.bids) and self.asks.equals(other.asks)

    def near_prices(self) -> Iterator[str]:
        """The best prices of both sides, which a trade reaches first."""
        near = slice(-NEAR_LEVELS, None), slice(NEAR_LEVELS)
        for side, best in zip(self, near, strict=True):
            for price in side.prices[best]:
                yield side.level(price)[0]

    def claim(self, head: str, timestamp_ms: int, hash: str, *, keep: bool) -> Claim:
        bids = self.bids.ascending_texts(keep=keep)
        asks = self.asks.ascending_texts(keep=keep)[::-1]
        return Claim.of(head, str(timestamp_ms), bids, asks, hash)

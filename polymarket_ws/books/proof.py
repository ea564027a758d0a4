"""The book hash: its recipe, and what of it is not on the wire and has to be found.

The channel has no sequence numbers. But the server sends with each `book`, and with each entry of a
`price_change`, a hash over the whole book after that change. If the local book has the same hash,
no message before was lost, doubled or misread.

The hash is the SHA-1 over the book as compact JSON. The fields and their order are those of
py_clob_client/utilities.py `generate_orderbook_summary_hash` (v0.34.4, PR #232) and clob-client
PR #250, and gave all 84 hashes of a live capture (2026-09-27). Prices and sizes stand in it as the
server writes them, so books keep the wire's own strings.

Three fields are not in the message that the hash comes with, and are found by trying:

- `min_order_size` and `neg_risk` never change for a market, and no message has them. `learn` tries
  those of the Asset, where there is one, then the usual values on a snapshot, whose levels are
  sure, and keeps those that fit.
- `tick_size` is told by the answer to a subscription, and by tick_size_change; before, it is the
  Asset's.
- `last_trade_price` may be that of the market or of the asset, and may be newer than its
  last_trade_price message, which comes some 80 ms later. `fits` tries what was told, then the
  prices of levels that changed of late, and 1 less these: a trade may have been made there.

Trying is cheap, since these fields come last: a Claim keeps the SHA-1 up to the last level, and
each try hashes the rest. It is also safe: of a wrong book no value gives the right hash by chance.

The danger is the opposite one, a right book whose hash does not fit: a trade price that was not
among those tried, or a recipe that the server has changed, as it did before. So a check that failed
is kept (`unexplained`) for the next print to explain, a mismatch is settled by a probe before
anything is torn down, and shelf.py gives the recipe up where it fits hardly any snapshot.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import deque
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from attrs import define, field

from polymarket_ws.asset import Asset

if TYPE_CHECKING:
    from hashlib import _Hash

Levels = Sequence[tuple[str, str]]
"""Prices and sizes in the wire's own strings, worst first: bids ascending, asks descending."""

MIN_ORDER_SIZES = ("5", "1", "15", "10", "20", "25", "50", "100", "2", "0.1", "0.01", "0")
"""min_order_size is not on the wire: those known from REST, the frequent ones first."""
TOUCHED_PRICES = 32  # of one asset, newest: a last trade price that is ahead of its print is there
_REAL_HASH = re.compile(r"(?!0{40})[0-9a-f]{40}")


class Parameters(NamedTuple):
    """What a market's hashes cover but no event of the channel carries."""

    min_order_size: str
    """As REST prints it ("5")."""
    neg_risk: bool
    """Whether the market belongs to a negative-risk event."""


def looks_real(hash: str | None) -> bool:
    """Whether it could be a SHA-1; 40 zeros were seen on an empty book."""
    return hash is not None and _REAL_HASH.fullmatch(hash) is not None


@lru_cache(maxsize=4096)
def book_head(market: str, asset_id: str) -> str:
    """The beginning of the hashed text, the same for every hash of one asset."""
    market, asset_id = (json.dumps(text, ensure_ascii=False) for text in (market, asset_id))
    return f'{{"market":{market},"asset_id":{asset_id},"timestamp":"'


def book_hash(
    head: str,
    timestamp: str,
    bids: Levels,
    asks: Levels,
    parameters: Parameters,
    tick_size: str,
    last_trade_price: str,
) -> str:
    """The hash of a book.

    Args:
        head: What `book_head` returns.
        timestamp: The server's time of the last change, in ms, as the wire prints it.
        bids: Every level, ascending by price.
        asks: Every level, descending by price.
        parameters: Of its market.
        tick_size: As the wire prints it.
        last_trade_price: As the server prints it ("0.870"), "" before the first trade.
    """
    bid_texts, ask_texts = ([level_text(*level) for level in side] for side in (bids, asks))
    claim = Claim.of(head, timestamp, bid_texts, ask_texts, "")
    return claim.hash_with(parameters, tick_size, last_trade_price)


class Claim(NamedTuple):
    """A book as it stood, digested up to its last level, and the hash that the server told of it.

    All that is uncertain comes after the levels, so trying another value costs about a microsecond.
    """

    digest: _Hash
    hash: str

    @classmethod
    def of(
        cls, head: str, timestamp: str, bids: Sequence[str], asks: Sequence[str], hash: str
    ) -> Claim:
        """Digest a book, of which each level is what `level_text` makes of it, worst first."""
        text = (
            f'{head}{timestamp}","hash":"","bids":{_levels_text(bids)},'
            f'"asks":{_levels_text(asks)},"min_order_size":"'
        )
        return cls(hashlib.sha1(_encode(text), usedforsecurity=False), hash)

    def hash_with(self, parameters: Parameters, tick_size: str, last_trade_price: str) -> str:
        digest = self.digest.copy()
        neg_risk = "true" if parameters.neg_risk else "false"
        digest.update(
            _encode(
                f'{parameters.min_order_size}","tick_size":"{tick_size}","neg_risk":{neg_risk},'
                f'"last_trade_price":"{last_trade_price}"}}'
            )
        )
        return digest.hexdigest()

    def find_price(
        self, parameters: Parameters, tick_size: str, candidates: Iterable[str]
    ) -> str | None:
        """The last trade price with which the hash fits. SHA-1 fits nothing by accident."""
        for price in candidates:
            if self.hash_with(parameters, tick_size, price) == self.hash:
                return price
        return None


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # no id of the wire's may make a check raise


def level_text(price: str, size: str) -> str:
    """A level's part of the hashed text: made once for each change of the level."""
    return f'{price}","size":"{size}'


def _levels_text(levels: Sequence[str]) -> str:
    if not levels:
        return "[]"
    inner = '"},{"price":"'.join(levels)
    return f'[{{"price":"{inner}"}}]'


def find_parameters(
    claim: Claim, tick_size: str, candidates: Sequence[str], asset: Asset | None = None
) -> tuple[Parameters, str] | None:
    """The known combination, and the last trade price, with which a snapshot's own hash fits.

    Args:
        claim: Of the snapshot.
        tick_size: As the wire printed it.
        candidates: What the last trade price may be.
        asset: What it says of the parameters is tried first.
    """
    for parameters in _likely_parameters(asset):
        price = claim.find_price(parameters, tick_size, candidates)
        if price is not None:
            return parameters, price
    return None


def _likely_parameters(asset: Asset | None) -> Iterable[Parameters]:
    sizes, risks = [*MIN_ORDER_SIZES], (False, True)
    if asset is not None and asset.min_order_size is not None:
        sizes.insert(0, f"{asset.min_order_size:f}")
    if asset is not None and asset.neg_risk:
        risks = (True, False)
    return itertools.starmap(Parameters, itertools.product(dict.fromkeys(sizes), risks))


def price_texts(price: Decimal) -> tuple[str, str]:
    """A price as the server prints it in hashes, three decimals, and as it is."""
    return f"{price:.3f}", f"{price:f}"


@define(eq=False)
class HashProof:
    """What one asset's hashes are checked with. Made with its book, used by the book's writer.

    The last trade price in a hash is that of the market, or of the asset alone, and may be ahead
    of the print that tells it, by 71 to 88 ms where that was seen (two captures of 2026-09 and
    py-clob-client-v2#117): so whatever it may be is tried.
    """

    parameters: Parameters | None = None
    tick_size: str = ""
    """As the wire printed it."""
    unexplained: Claim | None = None
    """The last check's, if it failed: the next print may explain it."""
    failures: int = 0
    """Checks in a row that failed."""
    _fitting: str = ""
    _own_print: Decimal | None = None
    _market_print: Decimal | None = None
    touched: deque[str] = field(factory=lambda: deque(maxlen=TOUCHED_PRICES))
    """Prices of the levels that changed of late: a trade may have been made there."""

    def learn(self, claim: Claim, last_trade_price: str | None, asset: Asset | None = None) -> bool:
        """Take a snapshot's own hash: check it, or else find the parameters with which it fits.

        Args:
            claim: Of the snapshot.
            last_trade_price: As the snapshot has it; None when it has none.
            asset: What is known of the asset; it may be outdated.
        """
        told = [] if last_trade_price is None else [last_trade_price]
        self.unexplained = None
        found = find_parameters(claim, self.tick_size, [*told, *self._known(), ""], asset)
        if found is None:
            self.parameters = None
            return False
        self.parameters, self._fitting = found
        self.failures = 0
        return True

    def check(self, claim: Claim) -> bool:
        """As `fits`; a check that failed is counted and kept."""
        fits = self.fits(claim)
        if not fits:
            self.fail(claim)
        return fits

    def fits(self, claim: Claim, near: Iterable[str] = ()) -> bool:
        """Whether the hash fits with anything that the last trade price may be.

        Args:
            claim: What is checked.
            near: The best prices of the book, looked at only if need be: the first change of a
                trade through several levels may carry the price of its last one.
        """
        self.unexplained = None
        if self.parameters is None:
            return False
        price = claim.find_price(self.parameters, self.tick_size, [self._fitting])
        if price is None:
            candidates = itertools.chain(self._known(), self._maybe_traded(near))
            price = claim.find_price(self.parameters, self.tick_size, candidates)
        if price is None:
            return False
        self._fitting, self.failures = price, 0
        return True

    def fail(self, claim: Claim) -> None:
        """Count a check that failed, and keep it for what may explain it yet."""
        if self.parameters is not None:
            self.unexplained = claim
            self.failures += 1

    def knows_print(self, price: Decimal, *, is_own: bool) -> bool:
        """Whether hearing it again would change nothing."""
        return self._market_print == price and (not is_own or self._own_print == price)

    def hear_print(self, price: Decimal, *, is_own: bool) -> None:
        """A last_trade_price came, for this asset or for its complement."""
        self._market_print = price
        if is_own:
            self._own_print = price

    def explain(self) -> bool:
        """Whether what came meanwhile explains the last check, which failed."""
        claim, self.unexplained = self.unexplained, None
        return claim is not None and self.check(claim)

    def _known(self) -> list[str]:
        prints = (self._market_print, self._own_print)
        return [self._fitting, *(t for p in prints if p is not None for t in price_texts(p))]

    def _maybe_traded(self, near: Iterable[str]) -> Iterable[str]:
        """A trade touches the price on its own token and 1 less the price on the complement."""
        for text in dict.fromkeys(itertools.chain(reversed(self.touched), near)):
            price = Decimal(text)
            yield from price_texts(price)
            yield from price_texts(1 - price)

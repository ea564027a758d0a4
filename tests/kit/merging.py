"""What tests of the merge share: messages that are told apart by a number, and two connections."""

from __future__ import annotations

from decimal import Decimal

from polymarket_ws.events import Book, LastTradePrice, LevelChange, PriceChange, Side
from polymarket_ws.shards.merge import Handover, Merge
from polymarket_ws.wire.updates import Change, Changes, Decoded, Snapshot

ONE, TWO = "1", "2"
MARKET = "0xm"
START = 1_000.0


def changed(
    number: int, *, hashed: bool = True, market: str = MARKET, ms: int = 0, part: int = 0
) -> Decoded:
    """A price_change of both tokens; its number is in its hashes and, unless given, its time.

    Those of one number and time are parts of one step of the engine; each changes its own level.
    """
    ids, price = tokens(market), f"0.5{part}"
    hashes = {a: f"{a}-{number}" if hashed else None for a in ids}
    levels = tuple(
        LevelChange(
            asset_id=a, price=Decimal(price), size=Decimal(number), side=Side.BUY, hash=hashes[a]
        )
        for a in ids
    )
    at = ms or number
    event = PriceChange(market=market, price_changes=levels, timestamp_ms=at)
    changes = [Change(a, price, str(number), "BUY", hashes[a], None, None) for a in ids]
    return Decoded(event, Changes(market, at, changes))


def tokens(market: str) -> tuple[str, str]:
    """The two assets of a market."""
    return (ONE, TWO) if market == MARKET else (f"{market}-1", f"{market}-2")


def book(
    asset_id: str, number: int, *, answers: bool = False, market: str = MARKET, ms: int = 0
) -> Decoded:
    """The book after change `number`: a refresh, or the answer to a subscription."""
    hash_, tick, at = f"{asset_id}-{number}", "0.01" if answers else None, ms or number
    event = Book(market=market, asset_id=asset_id, timestamp_ms=at, hash=hash_, bids=(), asks=())
    return Decoded(event, Snapshot(market, asset_id, at, hash_, [], [], tick, None))


def printed(number: int, *, asset_id: str = ONE, tx: str | None = None) -> Decoded:
    """A print."""
    event = LastTradePrice(
        market=MARKET,
        asset_id=asset_id,
        price=Decimal("0.5"),
        size=Decimal(1),
        side=Side.BUY,
        timestamp_ms=number,
        transaction_hash=tx,
    )
    return Decoded(event, None)


def answered(merge: Merge, number: int, now: float, assets: tuple[str, ...] = (ONE, TWO)) -> None:
    """The follower's subscription is answered with the books after change `number`."""
    for asset_id in assets:
        merge.keep(book(asset_id, number, answers=True), now)


def led(merge: Merge, number: int, now: float) -> None:
    """The leader's subscription is answered with the books after change `number`."""
    for asset_id in (ONE, TWO):
        assert merge.deliver(book(asset_id, number, answers=True), now)
        merge.restart(asset_id, MARKET, (number, f"{asset_id}-{number}"), now)


def renewed(merge: Merge, number: int, now: float, asset_id: str) -> None:
    """The leader's book of one asset was asked for anew, and stands after change `number`."""
    assert merge.deliver(book(asset_id, number, answers=True), now)
    merge.restart(asset_id, MARKET, (number, f"{asset_id}-{number}"), now)


def traded_and_renewed(merge: Merge) -> None:
    """Both brought change 11; the leader was told anew of one book, before any refresh."""
    merge.deliver(changed(11), START)
    merge.keep(changed(11), START)
    renewed(merge, 11, START + 0.05, TWO)


def numbers(handover: Handover) -> list[int]:
    """The missed changes."""
    return [int(m.event.price_changes[0].size) for m in handover.missed]  # type: ignore[union-attr]

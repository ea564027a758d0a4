"""What a service lists of one account: what is asked of it, and its rows as values. Sans-I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from attrs import frozen

from polymarket_ws.errors import DecodeError
from polymarket_ws.events import Order, Trade
from polymarket_ws.rest.failures import RequestFailed, UnexpectedAnswer
from polymarket_ws.wire.decode import decode_listed_order, decode_listed_trade
from polymarket_ws.wire.fields import read_id, read_number, read_text
from polymarket_ws.wire.json_text import InvalidValue

POSITION = "position"
"""The `event_type` of an error in a position."""

Row = Mapping[str, Any]
_T = TypeVar("_T")
_Decode = Callable[[Any, int, list[DecodeError]], _T]


class Service(Protocol):
    """Lists one account; each call may wait, and raise what `rest.clob` says. For one thread at a
    time, but for `stop`.
    """

    @property
    def clock_offset(self) -> float: ...
    def open_orders(self) -> Iterable[Row]: ...
    def trades(self, *, after_seconds: float | None = None, id: str = "") -> Iterable[Row]: ...
    def positions(self) -> Iterable[Row]: ...
    def stop(self) -> None: ...


@frozen
class Question:
    """What is asked besides the open orders."""

    trades_after: float
    """Seconds since 1970 by the server's clock: the trades that were matched later."""
    trade_ids: tuple[str, ...] = ()
    """Trades that were matched earlier, and may have changed since."""
    with_positions: bool = False


@frozen
class ListedPosition:
    """What the wallet holds of one asset, as the data service says."""

    asset_id: str
    market: str
    size: Decimal
    average_price: Decimal | None


@frozen
class Listing:
    """The answer to a question."""

    orders: tuple[Order, ...]
    trades: tuple[Trade, ...]
    positions: tuple[ListedPosition, ...] | None
    """None when they were not asked for, did not come, or were not understood."""
    flaws: tuple[DecodeError, ...]
    """What was not understood: a row, or, where its `lost` is False, a part of one."""
    received_ms: int
    """When all of it had come, by our clock."""
    clock_offset: float
    """Seconds that the server's clock is ahead of ours."""


def read_listing(service: Service, question: Question, wall_ns: Callable[[], int]) -> Listing:
    """Ask, and understand the rows; waits for the service.

    Args:
        service: Raises what makes an answer useless as a whole.
        question: What to ask for.
        wall_ns: Gives the time, nanoseconds since 1970.
    """
    flaws: list[DecodeError] = []

    def understood(rows: Iterable[Row], decode: _Decode[_T]) -> tuple[_T, ...]:
        values = []
        for row in rows:
            try:
                values.append(decode(row, wall_ns(), flaws))
            except DecodeError as error:  # the rows around it are good
                flaws.append(error)
        return tuple(values)

    trades = understood(service.trades(after_seconds=question.trades_after), decode_listed_trade)
    for trade_id in question.trade_ids:
        trades += understood(service.trades(id=trade_id), decode_listed_trade)
    positions = None
    if question.with_positions:  # soon after the trades: what is confirmed in between is unsure
        try:
            positions = understood(service.positions(), _read_position)
        except (RequestFailed, UnexpectedAnswer) as error:  # orders and trades are worth the more
            flaws.append(_position_flaw("$", f"positions were not listed: {error}", lost=False))
        if any(flaw.event_type == POSITION and flaw.lost for flaw in flaws):
            positions = None
    orders = understood(service.open_orders(), decode_listed_order)
    received_ms = wall_ns() // 1_000_000
    return Listing(orders, trades, positions, tuple(flaws), received_ms, service.clock_offset)


def _read_position(row: Any, received_at_ns: int, flaws: list[DecodeError]) -> ListedPosition:
    """One row of the data service (data-api.polymarket.com, 2026-09)."""
    key = "asset"
    try:
        asset_id = read_id(row["asset"])
        key = "size"
        size = read_number(row["size"])
        key = "conditionId"
        market = read_text(row["conditionId"])
        key = "avgPrice"
        price = row.get("avgPrice")
        return ListedPosition(asset_id, market, size, None if price is None else read_number(price))
    except (KeyError, TypeError, AttributeError):
        reason = "a position without this field"
    except InvalidValue as error:
        reason = error.reason
    raise _position_flaw(f"$.{key}", reason, lost=True)


def _position_flaw(path: str, reason: str, *, lost: bool) -> DecodeError:
    return DecodeError(path, reason, event_type=POSITION, lost=lost)

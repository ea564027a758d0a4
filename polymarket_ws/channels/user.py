"""The user channel: one's own orders and trades in some markets or all."""

from __future__ import annotations

from attrs import define, field, frozen

from polymarket_ws.account.core import AccountCore
from polymarket_ws.books.book import BookCore
from polymarket_ws.credentials import Credentials
from polymarket_ws.errors import DecodeError
from polymarket_ws.wire import requests
from polymarket_ws.wire.decode import decode_user
from polymarket_ws.wire.updates import Decoded

from . import clob
from .dialect import Control, Decode, DecodeFast, Heartbeat, no_fast_path
from .view import BooklessView, Taken
from .wanted import Wanted


@frozen(eq=False)
class UserDialect:
    """How the user channel of the CLOB speaks. The key goes into the opening text."""

    url: str
    heartbeat: Heartbeat
    credentials: Credentials = field(repr=False)
    name: str = "user"
    authenticates: bool = True
    data_begins: frozenset[str] = clob.DATA_BEGINS
    decode_fast: DecodeFast = no_fast_path
    fast_types: frozenset[str] = frozenset()
    decode: Decode = decode_user

    def opening_texts(self, wanted: Wanted) -> list[str]:
        ids = None if wanted.ids is None else sorted(wanted.ids)
        return [requests.user_subscription(self.credentials, ids)]

    def change_texts(self, before: Wanted, after: Wanted) -> list[str]:
        had, wants = before.ids or frozenset(), after.ids or frozenset()
        removed, added = sorted(had - wants), sorted(wants - had)
        texts = [requests.user_change("unsubscribe", removed)] if removed else []
        return texts + ([requests.user_change("subscribe", added)] if added else [])

    def resubscription_texts(self, asset_ids: list[str], wanted: Wanted) -> list[str]:
        """None: orders and trades have no snapshots."""
        return []

    def read_control(self, text: str, wanted: Wanted) -> Control | None:
        return clob.read_control(text)


@define(kw_only=True)
class UserView(BooklessView):
    """One's own orders and trades."""

    account: AccountCore

    def want(self, wanted: Wanted) -> None:
        """What was not wanted until now was not told."""
        if wanted.ids != self.account.markets:
            self.account.markets = wanted.ids
            self.account.completeness.interrupt()

    def take(self, decoded: Decoded, now: float) -> Taken:
        event = decoded.event  # of this channel it is always made
        return Taken(False, (), told=() if event is None else self.account.apply(event, now))

    def take_flaw(self, error: DecodeError, now: float) -> list[BookCore]:
        """What could not be read may have been an order, or a part of a trade."""
        if error.lost:
            self.account.lost += 1
            self.account.completeness.interrupt()
            self.deadline = 0.0  # whoever reconciles has a turn
        return []

    def tick(self, now: float) -> list[BookCore]:
        self.deadline = float("inf")
        return []

    def connection_ended(self, reason: str) -> list[BookCore]:
        self.account.completeness.interrupt()
        return []

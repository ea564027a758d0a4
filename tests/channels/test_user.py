"""The user channel: what it says to the server, and what its events do to the account."""

from __future__ import annotations

import json
from typing import Any

from kit.dialects import user_dialect

from polymarket_ws.account.core import AccountCore
from polymarket_ws.channels.user import UserView
from polymarket_ws.channels.view import Taken
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.credentials import Credentials
from polymarket_ws.errors import DecodeError
from polymarket_ws.wire.updates import Decoded

A, B, C = "0x" + "a" * 64, "0x" + "b" * 64, "0x" + "c" * 64
DIALECT = user_dialect("wss://example/ws/user", Credentials("K", "SECRET", "P"))


def take(view: UserView, message: dict[str, Any]) -> Taken | None:
    """What a message from the server does."""
    text = json.dumps({"market": A, "timestamp": "1", **message})
    [decoded] = DIALECT.decode(text, 0)
    assert isinstance(decoded, Decoded)
    return view.take(decoded, 1.0)


def test_the_user_channel_leaves_the_key_out_for_all_markets() -> None:
    """An empty list would get orders but no trades."""
    auth = '{"type":"user","auth":{"apiKey":"K","secret":"SECRET","passphrase":"P"}'

    assert [auth + "}"] == DIALECT.opening_texts(Wanted(None))
    assert [f'{auth},"markets":["{A}","{B}"]}}'] == DIALECT.opening_texts(Wanted(frozenset([B, A])))


def test_the_user_channel_changes_by_market() -> None:
    """Condition ids; gone ones first; nothing when nothing changed."""
    assert [
        f'{{"operation":"unsubscribe","markets":["{A}"]}}',
        f'{{"operation":"subscribe","markets":["{C}"]}}',
    ] == DIALECT.change_texts(Wanted(frozenset([A, B])), Wanted(frozenset([B, C])))
    assert [] == DIALECT.change_texts(Wanted(None), Wanted(None))


def test_a_trade_told_before_is_no_news() -> None:
    """The account knows which statuses were told; no book changes."""
    view = UserView(account=AccountCore())
    trade = {
        "event_type": "trade",
        "id": "t",
        "status": "MATCHED",
        "asset_id": "1",
        "side": "BUY",
        "price": "0.5",
        "size": "1",
    }

    first, second = (take(view, trade) for _ in range(2))

    assert first is not None
    assert (["t"], False) == ([event.id for event in first.told], first.is_news)  # type: ignore[attr-defined]  # a Trade
    assert Taken(False, ()) == second


def test_the_user_channel_has_no_books() -> None:
    """Nothing to hold, to mark stale, to renew or to lose; orders stay known."""
    view = UserView(account=AccountCore())
    view.want(Wanted(None))

    assert [] == view.take_flaw(DecodeError("$", "?", event_type="order"), 0.0)
    assert [] == view.connection_ended("disconnect")
    assert [] == DIALECT.resubscription_texts(["1"], Wanted(None))
    view.await_answers(["1"])
    assert [] == view.mark_stale(["1"], "silent")
    assert (0.0, [], []) == (view.deadline, view.tick(1.0), view.publish(1.0))
    assert float("inf") == view.deadline


def test_every_lost_connection_of_the_user_channel_leaves_a_gap() -> None:
    """It names no assets, and ends with the next connection."""
    view = UserView(account=AccountCore())

    assert (True, ()) == (
        view.is_complete_once_open,
        view.missed_by_loss(view.connection_ended("disconnect")),
    )


def test_the_user_dialect_is_what_it_says() -> None:
    """Name, address, and that an early close means wrong keys; no secret in a repr."""
    assert ("user", "wss://example/ws/user", True) == (
        DIALECT.name,
        DIALECT.url,
        DIALECT.authenticates,
    )
    assert DIALECT.read_control("PONG", Wanted()) is not None
    assert "SECRET" not in repr(DIALECT)


def test_what_was_not_wanted_was_not_told() -> None:
    """Another set of markets interrupts the account; a part that is not understood does not."""
    view = UserView(account=AccountCore())
    before = view.account.completeness.interruptions

    view.want(Wanted(None))
    view.take_flaw(DecodeError("$.fee", "?", event_type="order", lost=False), 0.0)
    assert before == view.account.completeness.interruptions

    view.want(Wanted(frozenset({"0xm"})))
    view.want(Wanted(frozenset({"0xm"})))
    assert before + 1 == view.account.completeness.interruptions
    assert frozenset({"0xm"}) == view.account.markets

"""A view without books: nothing in it is stale, held or asked for again."""

from __future__ import annotations

from polymarket_ws.channels.view import BooklessView, Taken
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.errors import DecodeError
from polymarket_ws.events import Unknown
from polymarket_ws.wire.updates import Decoded


def test_a_view_without_books_only_passes_on() -> None:
    """Every event is news; a flaw, a loss and time change nothing."""
    view = BooklessView()
    view.want(Wanted(None))
    view.await_answers(["1"])
    event = Unknown(channel="x", wire_event_type="y", data={}, received_at_ns=0)

    assert Taken(True, ()) == view.take(Decoded(event, None), 0.0)
    assert [] == view.take_flaw(DecodeError("$", "?"), 0.0)
    assert ([], [], []) == (view.publish(0.0), view.tick(0.0), view.connection_ended("disconnect"))
    assert ([], ()) == (view.mark_stale(["1"], "silent"), view.missed_by_loss([]))
    assert (True, True, True) == (view.needs_events, view.is_told, view.is_complete_once_open)
    assert view.inspectable is None

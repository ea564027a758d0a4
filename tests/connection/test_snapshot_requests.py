"""Snapshots that were asked for: how often, and no more often than that."""

from __future__ import annotations

from kit.books import snapshot

from polymarket_ws.books.book import BookCore
from polymarket_ws.connection.snapshot_requests import (
    RESUBSCRIPTION_SECONDS,
    RETRIES,
    SnapshotRequests,
    no_data_detail,
)

LONG_ID = "1234567890" * 7


def test_an_unanswered_one_is_asked_for_again_and_then_given_up() -> None:
    """Each time a whole timeout passes; a new subscription begins to count anew."""
    requests = SnapshotRequests(10.0)
    requests.put(["2", "1"], 0.0)
    seen = [requests.take_overdue(now) for now in (9.0, 10.0, 20.0)]
    requests.put(["2"], 20.0)
    seen += [requests.take_overdue(30.0 + 10 * number) for number in range(RETRIES + 1)]

    assert [([], []), (["1", "2"], []), (["1", "2"], [])] == seen[:3]
    assert [(["1", "2"], []), (["2"], ["1"]), (["2"], []), ([], ["2"])] == seen[3:]


def test_what_is_not_wanted_any_more_is_not_asked_for() -> None:
    """Unsubscribing forgets what was unanswered."""
    requests = SnapshotRequests(10.0)
    requests.put(["1", "2"], 0.0)
    requests.keep({"2"})

    assert (["2"], []) == requests.take_overdue(10.0)


def test_a_flawed_book_is_asked_for_at_once_and_then_seldom() -> None:
    """A storm of flaws asks for one snapshot in ten seconds."""
    requests, cores = SnapshotRequests(10.0), {"1": BookCore("1")}
    seen = []
    for now in (1.0, 2.0, 1.0 + RESUBSCRIPTION_SECONDS):
        requests.put_flawed(["1"], now)
        seen.append(requests.take_flawed(cores, now))

    assert [["1"], [], ["1"]] == seen


def test_a_flawed_book_that_healed_or_is_gone_is_left_alone() -> None:
    """A refresh may come first."""
    requests, cores = SnapshotRequests(10.0), {"1": BookCore("1")}
    cores["1"].replace(snapshot(asset_id="1"))
    requests.put_flawed(["1", "2"], 1.0)

    assert [] == requests.take_flawed(cores, 1.0)


def test_a_short_id_is_pointed_out() -> None:
    """Of real token ids nothing is said."""
    hint = "(token ids have about 77 digits)"

    assert (True, False) == (hint in no_data_detail(["123"]), hint in no_data_detail([LONG_ID]))

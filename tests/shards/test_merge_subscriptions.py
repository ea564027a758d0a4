"""The merge where a subscription is new, the follower's or the leader's."""

from __future__ import annotations

import pytest
from kit.merging import (
    MARKET,
    ONE,
    START,
    TWO,
    answered,
    book,
    changed,
    led,
    numbers,
    printed,
    renewed,
    traded_and_renewed,
)

from polymarket_ws.shards.alignment import MOST_LAG
from polymarket_ws.shards.lanes import FROZEN_SECONDS
from polymarket_ws.shards.merge import COMPLEMENT_SECONDS, Handover, Merge
from polymarket_ws.wire.updates import Snapshot


class TestJoining:
    """A follower whose window does not reach back."""

    @pytest.fixture
    def merge(self) -> Merge:
        merge = Merge()
        merge.want([ONE, TWO])
        led(merge, 10, START - 60)
        return merge

    def test_it_begins_where_its_snapshot_was_delivered(self, merge: Merge) -> None:
        """It joined after change 12; 14 is new."""
        for number in (11, 12, 13):
            merge.deliver(changed(number), START)
        answered(merge, 12, START)
        for number in (13, 14):
            merge.keep(changed(number), START + 0.01)
        merge.deliver(printed(13), START + 0.02)

        handover = merge.promote([ONE, TWO], START + 0.1)

        assert [14] == numbers(handover)
        assert [] == handover.incomplete

    def test_changes_that_came_before_its_snapshot_are_not_its_beginning(
        self, merge: Merge
    ) -> None:
        """A delta may come before the snapshot of a just-subscribed token."""
        for number in (11, 12, 13):
            merge.deliver(changed(number), START)
        merge.keep(changed(12), START)
        answered(merge, 12, START)
        merge.keep(changed(13), START + 0.01)
        merge.deliver(printed(13), START + 0.02)

        assert Handover([], []) == merge.promote([ONE, TWO], START + 0.1)

    def test_a_quiet_market_is_where_it_was(self, merge: Merge) -> None:
        """Its snapshot is the leader's own; nothing has happened since."""
        answered(merge, 10, START)
        merge.keep(changed(11), START + 0.01)

        handover = merge.promote([ONE, TWO], START + 0.1)

        assert [11] == numbers(handover)
        assert [] == handover.incomplete

    def test_a_snapshot_from_before_all_that_is_known_begins_before_it(self, merge: Merge) -> None:
        """The follower is behind: its snapshot is older than the leader's first change."""
        merge.restart(ONE, MARKET, (12, f"{ONE}-12"), START)
        merge.restart(TWO, MARKET, (12, f"{TWO}-12"), START)
        merge.deliver(changed(13), START)
        answered(merge, 9, START)
        merge.deliver(printed(13), START + 0.02)

        assert Handover([], []) == merge.promote([ONE, TWO], START + 0.1)
        assert not merge.deliver(changed(13), START + 0.1)

    def test_a_snapshot_that_is_ahead_leaves_a_hole(self, merge: Merge) -> None:
        """What lies between the leader's last change and the follower's first state is lost."""
        merge.deliver(changed(11), START)
        answered(merge, 15, START)
        merge.keep(changed(16), START)
        merge.deliver(printed(11), START + 0.02)

        handover = merge.promote([ONE, TWO], START + 0.1)

        assert [16] == numbers(handover)
        assert [ONE, TWO] == handover.incomplete

    def test_a_follower_that_began_ahead_long_ago_leaves_a_hole_too(self, merge: Merge) -> None:
        """The leader had frozen at change 10; the follower joined at 15, and now 16 shows it."""
        answered(merge, 15, START)
        late = START + 60
        merge.keep(changed(16), late)
        assert merge.is_frozen(late + FROZEN_SECONDS)

        handover = merge.promote([ONE, TWO], late + FROZEN_SECONDS, was_frozen=True)

        assert [ONE, TWO] == handover.incomplete

    def test_a_refresh_between_the_answers_for_twins_is_compared_by_itself(
        self, merge: Merge
    ) -> None:
        """The follower gets the refresh of the twin that was subscribed first alone."""
        merge.deliver(changed(11), START)
        answered(merge, 11, START, assets=(ONE,))
        for asset_id in (ONE, TWO):
            merge.deliver(book(asset_id, 11), START + 0.01)
        merge.keep(book(ONE, 11), START + 0.01)
        answered(merge, 11, START + 0.02, assets=(TWO,))
        for number in (12, 13):
            merge.keep(changed(number), START + 0.03)
        merge.deliver(changed(12), START + 0.03)
        merge.deliver(printed(12), START + 0.04)

        handover = merge.promote([ONE, TWO], START + 0.1)
        assert ([13], []) == (numbers(handover), handover.incomplete)

    def test_it_may_begin_after_refreshes_of_its_snapshots_state(self, merge: Merge) -> None:
        """The leader's own snapshot was of this state; it brought a refresh of one twin then."""
        led(merge, 11, START)
        merge.deliver(book(ONE, 11), START + 0.01)
        answered(merge, 11, START + 0.02)
        merge.deliver(changed(12), START + 0.03)
        for number in (12, 13):
            merge.keep(changed(number), START + 0.04)
        merge.deliver(printed(12), START + 0.05)

        handover = merge.promote([ONE, TWO], START + 0.1)
        assert ([13], []) == (numbers(handover), handover.incomplete)

    def test_an_asset_that_has_not_answered_is_incomplete_assets(self, merge: Merge) -> None:
        """Nobody knows what the follower would have said."""
        answered(merge, 10, START, assets=(ONE,))

        assert [TWO] == merge.promote([ONE, TWO], START).incomplete

    def test_a_leader_that_may_have_died_first_is_incomplete_assets_after_a_change(
        self, merge: Merge
    ) -> None:
        """The print of change 11 may have come between the two."""
        merge.deliver(changed(11), START)
        answered(merge, 11, START + MOST_LAG / 2)

        assert [ONE, TWO] == merge.promote([ONE, TWO], START + MOST_LAG).incomplete

    def test_nothing_is_incomplete_assets_when_nothing_had_happened_of_late(
        self, merge: Merge
    ) -> None:
        """The print of a change comes within a second."""
        merge.deliver(changed(11), START)
        answered(merge, 11, START + 2 * MOST_LAG)

        assert [] == merge.promote([ONE, TWO], START + 2 * MOST_LAG).incomplete

    def test_changes_without_hashes_are_laid_side_by_side_by_their_times(
        self, merge: Merge
    ) -> None:
        """A server that sends none."""
        for number in (11, 12):
            merge.deliver(changed(number, hashed=False), START)
        for number in (11, 12, 13):
            merge.keep(changed(number, hashed=False), START + 0.01)
        for asset_id in (ONE, TWO):
            snapshot = book(asset_id, 10, answers=True)
            assert isinstance(snapshot.update, Snapshot)
            merge.keep(snapshot._replace(update=snapshot.update._replace(hash=None)), START)

        assert [13] == numbers(merge.promote([ONE, TWO], START + 0.1))


class TestNewSubscriptions:
    def test_what_came_before_the_leaders_answer_is_not_missing(self, merge: Merge) -> None:
        """The leader's book was asked for anew and stands at 12: 11 and 12 are in it."""
        merge.restart(ONE, MARKET, (12, f"{ONE}-12"), START)
        for number in (11, 12, 13):
            merge.keep(changed(number), START)

        assert [13] == numbers(merge.promote([ONE, TWO], START + 0.1))

    def test_a_refresh_of_the_leaders_own_snapshot_contradicts_nothing(self) -> None:
        """The snapshots of the twins came apart, then a refresh of that very state on both."""
        merge = Merge()
        merge.want([ONE, TWO])
        for asset_id, late in ((ONE, 0.0), (TWO, 2 * COMPLEMENT_SECONDS)):
            merge.deliver(book(asset_id, 10, answers=True), START + late)
            merge.restart(asset_id, MARKET, (10, f"{asset_id}-10"), START + late)
            answered(merge, 10, START + late, assets=(asset_id,))
        for message in (book(ONE, 10), book(TWO, 10), changed(11)):
            merge.deliver(message, START + 0.3)
            merge.keep(message, START + 0.31)
        merge.keep(changed(12), START + 0.32)
        handover = merge.promote([ONE, TWO], START + 0.4)

        assert ([12], []) == (numbers(handover), handover.incomplete)
        assert merge.deliver(book(TWO, 10), START + 0.5)

    def test_refreshes_of_the_state_that_the_leader_was_told_anew_are_delivered(
        self, merge: Merge
    ) -> None:
        """The leader was lost between the answer and the refreshes that follow a trade."""
        traded_and_renewed(merge)
        for asset_id in (ONE, TWO):
            merge.keep(book(asset_id, 11), START + 0.1)

        missed = [book(ONE, 11), book(TWO, 11)]
        assert Handover(missed, []) == merge.promote([ONE, TWO], START + 0.2)

    def test_a_refresh_that_both_brought_after_the_answer_is_not_still_to_come(
        self, merge: Merge
    ) -> None:
        """Of the state that the leader was told anew."""
        traded_and_renewed(merge)
        for message in (book(ONE, 11), book(TWO, 11)):
            merge.deliver(message, START + 0.1)
            merge.keep(message, START + 0.1)

        assert Handover([], []) == merge.promote([ONE, TWO], START + 0.2)
        assert merge.deliver(book(TWO, 11), START + 0.3)

    def test_equal_changes_around_the_answer_are_told_apart_by_what_came_before(
        self, merge: Merge
    ) -> None:
        """Both brought change 12 twice, and the leader was told of it anew."""
        for number, at in ((11, 0.0), (12, 0.1), (12, 0.2)):
            merge.deliver(changed(number), START + at)
            merge.keep(changed(number), START + at + 0.09)  # the first, as the leader's second
        renewed(merge, 12, START + 0.3, ONE)
        merge.keep(changed(13), START + 0.4)

        assert [13] == numbers(merge.promote([ONE, TWO], START + 0.5))

    def test_what_lies_between_the_leaders_last_and_its_answer_is_in_that(
        self, merge: Merge
    ) -> None:
        """Both have 11, and 12 fell into the gap that the answer, at 13, ends."""
        merge.deliver(changed(11), START)
        renewed(merge, 13, START + 0.1, ONE)
        for number in (11, 12, 13, 14):
            merge.keep(changed(number), START + 0.15)

        assert [14] == numbers(merge.promote([ONE, TWO], START + 0.2))

    def test_an_answer_of_long_ago_says_nothing_of_today(self, merge: Merge) -> None:
        """The server's clock went back: what it tells now is no older for that."""
        merge.keep(changed(5), START)

        assert [5] == numbers(merge.promote([ONE, TWO], START + 0.1))

    def test_what_the_answer_overtook_does_not_come_before_all_else(self, merge: Merge) -> None:
        """A refresh of an older state, which the leader had not brought when it was told anew, is
        not delivered after what followed.
        """
        merge.keep(changed(11), START)
        merge.keep(book(TWO, 11), START + 0.01)
        renewed(merge, 11, START + 0.05, TWO)
        for number in (12, 13):
            merge.deliver(changed(number), START + 0.1)
            merge.keep(changed(number), START + 0.11)

        assert Handover([], []) == merge.promote([ONE, TWO], START + 0.2)

    def test_the_twins_refresh_may_be_older_than_the_answer(self, merge: Merge) -> None:
        """It shows the same state, and came over the follower alone."""
        merge.keep(changed(11), START)
        merge.keep(book(ONE, 11), START + 0.01)
        renewed(merge, 11, START + 0.05, TWO)
        merge.deliver(changed(12), START + 0.1)
        merge.keep(changed(12), START + 0.11)

        assert Handover([], []) == merge.promote([ONE, TWO], START + 0.2)

    def test_what_both_brought_of_an_asset_that_went_contradicts_nothing(
        self, merge: Merge
    ) -> None:
        """Its last refreshes, one connection's on their way when it was unsubscribed."""
        for message in (changed(11), book(ONE, 11), book(TWO, 11)):
            merge.deliver(message, START)
            if message != book(ONE, 11):
                merge.keep(message, START)
        merge.want([TWO])
        merge.keep(book(ONE, 11), START)
        merge.keep(changed(12), START)

        handover = merge.promote([TWO], START + 0.1)
        assert ([12], []) == (numbers(handover), handover.incomplete)

    def test_a_twin_stays_when_the_other_is_unsubscribed(self, merge: Merge) -> None:
        """The market's newest answer was of the one that went."""
        renewed(merge, 11, START, TWO)
        merge.want([ONE])
        merge.keep(changed(12), START + 0.1)

        assert [12] == numbers(merge.promote([ONE], START + 0.2))

    def test_a_late_print_from_before_the_leaders_answer_contradicts_nothing(self) -> None:
        """The follower brings it after the answer; what follows, both have brought."""
        merge = Merge()
        merge.want([ONE, TWO])
        led(merge, 10, START)
        answered(merge, 10, START)
        for number in (11, 12, 13, 14):
            if number > 11:
                merge.deliver(printed(number), START + number / 100)
            if number < 14:
                merge.keep(printed(number), START + number / 100 + 0.05)
        handover = merge.promote([ONE, TWO], START + 0.3)

        assert Handover([], []) == handover
        assert not merge.deliver(printed(14), START + 0.4)

    def test_prints_from_before_the_leaders_answer_are_not_missing(self, merge: Merge) -> None:
        """They fell into the time of the Gap that the answer ends."""
        merge.keep(printed(11), START)
        merge.restart(ONE, MARKET, (12, f"{ONE}-12"), START + 0.1)
        merge.keep(printed(12), START + 0.2)

        assert [printed(12)] == merge.promote([ONE, TWO], START + 0.3).missed

    def test_what_is_wanted_no_more_is_not_delivered(self, merge: Merge) -> None:
        """Unsubscribed: of one twin, then of both; nor is what was on its way kept."""
        for message in (changed(11), book(ONE, 11), book(TWO, 11)):
            merge.keep(message, START)
        merge.want([TWO])
        assert not merge.has_answered(ONE)
        assert merge.deliver(printed(11), START)
        merge.keep(book(ONE, 11, answers=True), START)
        assert not merge.has_answered(ONE)

        assert [changed(11), book(TWO, 11)] == merge.promote([TWO], START).missed
        merge.want([])
        merge.keep(changed(12), START)

        assert ([], {}) == (merge.promote([], START).missed, merge._lanes)

    def test_a_change_that_is_in_the_leaders_answer_has_not_frozen(self, merge: Merge) -> None:
        """The follower received it as a change, the leader in its new book alone."""
        merge.keep(changed(11), START)
        merge.restart(ONE, MARKET, (11, f"{ONE}-11"), START + 0.1)

        assert not merge.is_frozen(START + 2)

    def test_what_was_on_its_way_when_it_was_unsubscribed_has_not_frozen(
        self, merge: Merge
    ) -> None:
        """The follower was behind: the leader had had it before."""
        merge.deliver(printed(11), START)
        merge.want([TWO])
        merge.keep(printed(11), START + 0.1)

        assert not merge.is_frozen(START + 2)

    def test_what_a_lost_follower_had_is_worth_nothing(self, merge: Merge) -> None:
        """It begins anew with its next snapshots."""
        merge.keep(changed(11), START)
        merge.follower_lost()

        assert Handover([], [ONE]) == merge.promote([ONE], START)

"""Two connections, one stream: what is delivered at a failover, and what cannot be known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

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
)

from polymarket_ws.errors import DecodeError
from polymarket_ws.events import BestBidAsk, NewMarket, TickSizeChange, Unknown
from polymarket_ws.shards.alignment import MOST_LAG, Message
from polymarket_ws.shards.lanes import FROZEN_SECONDS, WINDOW_SECONDS
from polymarket_ws.shards.merge import Handover, Merge
from polymarket_ws.wire.updates import Decoded


class TestFailover:
    def test_what_the_follower_has_beyond_the_leader_is_delivered(self, merge: Merge) -> None:
        """The leader died after change 11; 12 and 13 come from the follower."""
        merge.deliver(changed(11), START)
        for number in (11, 12, 13):
            merge.keep(changed(number), START + 0.01)

        handover = merge.promote([ONE, TWO], START + 0.1)

        assert [12, 13] == numbers(handover)
        assert [] == handover.incomplete

    def test_what_the_leader_had_beyond_the_follower_is_left_out_once(self, merge: Merge) -> None:
        """The follower was behind: what it brings late is not delivered again."""
        for number in (11, 12, 13):
            merge.deliver(changed(number), START)
        merge.keep(changed(11), START)

        handover = merge.promote([ONE, TWO], START)

        assert [] == handover.missed
        late = [merge.deliver(changed(n), START + 0.1) for n in (12, 13, 14)]
        assert [False, False, True] == late

    def test_what_is_left_out_may_have_holes(self, merge: Merge) -> None:
        """The follower lost change 12: 13 was delivered all the same."""
        for number in (11, 12, 13):
            merge.deliver(changed(number), START)
        merge.keep(changed(11), START)
        merge.promote([ONE, TWO], START)

        assert not merge.deliver(changed(13), START + 0.1)

    def test_what_was_missed_is_delivered_though_something_equal_is_left_out(
        self, merge: Merge
    ) -> None:
        """It is out of turn for the new leader's late events, and ends nothing of theirs."""
        late = book(TWO, 11)
        answered(merge, 10, START - 1, assets=(TWO,))  # subscribed later than its twin
        merge.deliver(late, START)
        merge.keep(changed(12), START)
        (missed,) = merge.promote([ONE, TWO], START).missed

        assert merge.deliver(missed, START)
        assert not merge.deliver(late, START + 0.1)

    def test_of_equal_refreshes_each_has_its_own_counterpart(self, merge: Merge) -> None:
        """The follower is one behind, of two equal refreshes of an asset compared one by one."""
        answered(merge, 10, START - 1, assets=(TWO,))  # subscribed later than its twin
        refresh = book(TWO, 11)
        merge.deliver(changed(11), START)
        merge.deliver(refresh, START)
        merge.deliver(refresh, START)
        merge.keep(changed(11), START)
        merge.keep(refresh, START)
        handover = merge.promote([ONE, TWO], START)

        assert Handover([], []) == handover
        assert [False, True] == [merge.deliver(refresh, START + 0.1) for _ in range(2)]

    @pytest.mark.parametrize("message", [changed(11), book(TWO, 11)])
    def test_what_the_follower_cannot_bring_any_more_is_not_waited_for(
        self, merge: Merge, message: Decoded
    ) -> None:
        """In a market that has been quiet; the second is of an asset that is compared by itself."""
        answered(merge, 10, START - 1, assets=(TWO,))
        merge.deliver(message, START - 3)
        assert Handover([], []) == merge.promote([ONE, TWO], START)

        assert merge.deliver(message, START)

    def test_what_is_old_is_let_go(self, merge: Merge) -> None:
        """Also of lanes in which nothing happens any more."""
        merge.deliver(changed(11), START)
        merge.keep(changed(11), START)
        merge.prune(START + 60)

        (lane,) = merge._lanes.values()
        assert (0, 0) == (len(lane.delivered), len(lane.window))

    def test_a_flaw_of_the_leader_is_delivered_once(self, merge: Merge) -> None:
        """It has a lane like anything else."""
        flaw = DecodeError("$", "no number", event_type="book", market=MARKET)
        assert merge.deliver(flaw, START)
        merge.promote([ONE, TWO], START)

        assert not merge.deliver(flaw, START + 0.1)

    def test_an_idempotent_repeat_is_delivered_twice(self, merge: Merge) -> None:
        """Equal events really happen twice, so a set would be wrong."""
        merge.deliver(changed(11), START)
        merge.deliver(changed(12), START)
        for number in (11, 12, 12, 12):
            merge.keep(changed(number), START + 0.01)

        assert [12, 12] == numbers(merge.promote([ONE, TWO], START + 0.1))

    def test_a_quiet_lane_needs_nothing_in_common(self, merge: Merge) -> None:
        """The leader's last is long past, the follower's first is new."""
        merge.deliver(changed(11), START - 4)
        merge.keep(changed(12), START)

        handover = merge.promote([ONE, TWO], START)

        assert [12] == numbers(handover)
        assert [] == handover.incomplete

    def test_a_contradiction_is_incomplete_assets_and_goes_on_at_the_last_in_common(
        self, merge: Merge
    ) -> None:
        """The leader had lost change 12 already: nobody knows what else."""
        for number in (11, 13):
            merge.deliver(changed(number), START)
        for number in (11, 12, 13, 14):
            merge.keep(changed(number), START)

        handover = merge.promote([ONE, TWO], START)

        assert [14] == numbers(handover)
        assert [ONE, TWO] == handover.incomplete

    def test_messages_of_all_lanes_come_in_the_followers_order(self, merge: Merge) -> None:
        """Changes, refreshes, prints, ticks, flaws and unknown events, each in its lane."""
        tick = TickSizeChange(
            market=MARKET,
            asset_id=ONE,
            old_tick_size=Decimal("0.01"),
            new_tick_size=Decimal("0.001"),
            timestamp_ms=11,
        )
        bests = BestBidAsk(market=MARKET, asset_id=ONE, timestamp_ms=11)
        unknown = Unknown(channel="market", wire_event_type="later", data={"n": [1]})
        messages: list[Message] = [
            changed(11),
            book(ONE, 11),
            book(TWO, 11),
            Decoded(tick, None),
            Decoded(bests, None),
            DecodeError("$", "no number", event_type="book", market=MARKET),
            Decoded(unknown, None),
            printed(11, tx="0xa"),
        ]
        for message in messages:
            merge.keep(message, START)
        for message in messages[:2]:
            merge.deliver(message, START)

        assert messages[2:] == merge.promote([ONE, TWO], START).missed

    def test_a_broadcast_is_always_told(self, merge: Merge) -> None:
        """Whoever tells broadcasts once is to decide: they have no lane."""
        born = Decoded(NewMarket(id="1", market="0xn", timestamp_ms=5), None)
        assert merge.deliver(born, START)
        merge.keep(born, START)

        assert [born] == merge.promote([ONE, TWO], START).missed

    def test_what_differs_in_an_unsure_lane_is_no_doubt(self, merge: Merge) -> None:
        """best_bid_ask is not sent for each change, nor on each connection alike."""
        bests = [BestBidAsk(market=MARKET, asset_id=ONE, timestamp_ms=n) for n in (1, 2, 3)]
        merge.deliver(Decoded(bests[1], None), START)
        merge.deliver(Decoded(bests[1], None), START)
        for event in bests:
            merge.keep(Decoded(event, None), START + 0.2)

        handover = merge.promote([ONE, TWO], START + 0.3)

        assert [] == handover.incomplete


class TestPrints:
    def test_prints_without_a_transaction_hash_are_told_apart_by_time(self, merge: Merge) -> None:
        """Two equal prints 1.5 s apart: the follower's is the second."""
        merge.deliver(printed(11), START)
        merge.keep(printed(11), START + 1.5 * MOST_LAG)

        assert 1 == len(merge.promote([ONE, TWO], START + 1.6 * MOST_LAG).missed)

    def test_an_equal_print_at_the_same_moment_is_the_same(self, merge: Merge) -> None:
        """The follower's came 0.5 s after the leader's."""
        merge.deliver(printed(11), START)
        merge.keep(printed(11), START + MOST_LAG / 2)

        assert [] == merge.promote([ONE, TWO], START + MOST_LAG).missed

    def test_a_transaction_hash_identifies_a_print_at_any_lag(self, merge: Merge) -> None:
        """The follower's came 1.5 s after the leader's."""
        merge.deliver(printed(11, tx="0xa"), START)
        merge.keep(printed(11, tx="0xa"), START + 1.5 * MOST_LAG)

        assert [] == merge.promote([ONE, TWO], START + 1.6 * MOST_LAG).missed

    def test_a_print_that_one_alone_has_among_others_is_a_contradiction(self, merge: Merge) -> None:
        """One of the two connections lost it."""
        for tx in ("0xa", "0xc"):
            merge.deliver(printed(11, tx=tx), START)
        for tx in ("0xa", "0xb", "0xc"):
            merge.keep(printed(11, tx=tx), START)

        assert [ONE] == merge.promote([ONE, TWO], START).incomplete

    def test_leaving_out_ends_with_what_comes_out_of_turn_and_with_time(self, merge: Merge) -> None:
        """A print that looks like a left-out one, but later, really happened."""
        merge.deliver(printed(11), START)
        merge.promote([ONE, TWO], START)
        assert merge.deliver(printed(12), START + 0.1)
        assert merge.deliver(printed(11), START + 0.1)

        merge.promote([], START + 0.2)
        assert merge.deliver(printed(11), START + 0.3 + WINDOW_SECONDS)


class TestFrozen:
    def test_a_leader_is_frozen_without_what_the_follower_has_had_for_a_while(
        self, merge: Merge
    ) -> None:
        """Its lane alone counts: other lanes may flow."""
        merge.deliver(changed(11), START)
        merge.keep(changed(11), START)
        late = START + MOST_LAG + 0.1
        merge.keep(changed(12), late)
        merge.deliver(printed(12), late)

        assert not merge.is_frozen(late + FROZEN_SECONDS - 0.1)
        assert merge.is_frozen(late + FROZEN_SECONDS)

    def test_it_is_frozen_without_the_last_thing_that_happened(self, merge: Merge) -> None:
        """Nothing follows for long: it would be too late to look back for it."""
        merge.deliver(changed(11), START)
        merge.keep(changed(11), START)
        merge.keep(changed(12), START + 0.1)

        assert not merge.is_frozen(START + FROZEN_SECONDS)
        assert merge.is_frozen(START + 0.1 + FROZEN_SECONDS)

    def test_an_answer_in_another_market_hides_no_freeze(self, merge: Merge) -> None:
        """What the leader was told anew is of its own market alone."""
        other = ("0xn-1", "0xn-2")
        merge.want([ONE, TWO, *other])
        for asset_id in other:
            merge.restart(asset_id, "0xn", (10, f"{asset_id}-10"), START - 60)
            merge.keep(book(asset_id, 10, answers=True, market="0xn"), START - 60)
        merge.deliver(changed(11, market="0xn"), START)
        merge.keep(changed(11, market="0xn"), START)
        merge.keep(changed(12, market="0xn"), START + 0.1)
        renewed(merge, 10, START + 0.2, ONE)

        assert merge.is_frozen(START + 0.1 + FROZEN_SECONDS)

    def test_what_was_lost_among_others_is_no_freeze(self, merge: Merge) -> None:
        """While the leader brings what came after it, alignment or the hash will tell."""
        for number in (11, 13):
            merge.deliver(changed(number), START)
        for number in (11, 12, 13):
            merge.keep(changed(number), START)
        merge.deliver(changed(14), START + FROZEN_SECONDS)
        merge.keep(changed(14), START + FROZEN_SECONDS)

        assert not merge.is_frozen(START + FROZEN_SECONDS)

    def test_a_refresh_of_what_was_unsubscribed_has_not_frozen(self, merge: Merge) -> None:
        """It was on its way; the twin's lane stays."""
        merge.deliver(changed(11), START)
        for message in (changed(11), book(ONE, 11), book(TWO, 11)):
            merge.keep(message, START)
        merge.want([TWO])
        for asset_id in (ONE, TWO):
            merge.deliver(book(asset_id, 11), START + 0.05)

        assert not merge.is_frozen(START + FROZEN_SECONDS + 0.1)
        assert Handover([], []) == merge.promote([TWO], START + FROZEN_SECONDS + 0.1)

    def test_what_the_leader_is_not_subscribed_to_yet_has_not_frozen(self) -> None:
        """Refreshes and prints of an asset whose subscription the follower alone has answered."""
        merge = Merge()
        merge.want([ONE, TWO])
        answered(merge, 10, START)
        assert merge.deliver(book(TWO, 10, answers=True), START)
        merge.restart(TWO, MARKET, (10, f"{TWO}-10"), START)
        late = START + 2 * MOST_LAG
        for message in (changed(11), book(ONE, 11), printed(11)):
            merge.keep(message, late)
        merge.deliver(changed(11), late)

        assert not merge.is_frozen(late + FROZEN_SECONDS + 0.1)

    def test_a_quiet_lane_has_not_frozen(self, merge: Merge) -> None:
        """Both brought the same, one a little later."""
        merge.deliver(changed(11), START)
        merge.keep(changed(11), START + 0.9 * MOST_LAG)

        assert not merge.is_frozen(START + WINDOW_SECONDS)

    def test_an_equal_event_that_comes_too_late_is_another_one(self, merge: Merge) -> None:
        """The leader did not bring the second."""
        merge.deliver(changed(11), START)
        merge.keep(changed(11), START)
        merge.keep(changed(11), START + 1.1 * MOST_LAG)

        assert merge.is_frozen(START + 1.1 * MOST_LAG + FROZEN_SECONDS)

    def test_a_lag_is_no_freeze(self, merge: Merge) -> None:
        """The leader brings it too, a little later."""
        merge.keep(changed(11), START)
        merge.deliver(changed(11), START + 0.5)

        assert not merge.is_frozen(START + FROZEN_SECONDS)

    def test_unknown_events_may_come_over_one_alone(self, merge: Merge) -> None:
        """Such as a greeting."""
        hello = Unknown(channel="market", wire_event_type="hello", data={})
        merge.keep(Decoded(hello, None), START)

        assert not merge.is_frozen(START + 2 * FROZEN_SECONDS)


class TestSteps:
    """Messages of one engine step have the same time and hashes, and may be equal."""

    PARTS = (0, 1, 0, 2)

    def test_a_step_that_the_leader_did_not_finish_is_finished(self, merge: Merge) -> None:
        """The third message is equal to the first, and was not delivered yet."""
        parts = [changed(11, part=part) for part in self.PARTS]
        for message in parts[:2]:
            merge.deliver(message, START)
        for message in parts:
            merge.keep(message, START + 0.01)

        assert Handover(parts[2:], []) == merge.promote([ONE, TWO], START + 0.1)

    def test_a_step_that_was_delivered_is_left_out_to_its_end(self, merge: Merge) -> None:
        """The follower was in its middle; the next step is news."""
        parts = [changed(11, part=part) for part in self.PARTS]
        for message in parts:
            merge.deliver(message, START)
        for message in parts[:2]:
            merge.keep(message, START)

        assert Handover([], []) == merge.promote([ONE, TWO], START)
        late = [merge.deliver(m, START + 0.1) for m in (*parts[2:], changed(12))]
        assert [False, False, True] == late

    @pytest.mark.parametrize("joined", range(1, 5))
    @pytest.mark.parametrize("died", range(1, 5))
    def test_a_follower_may_join_in_the_middle_of_a_step(self, joined: int, died: int) -> None:
        """Its answers are of after the step, of which the rest comes still."""
        handover, parts = self.joined_and_lost(range(4), joined, max(died, joined))

        assert Handover(parts[max(died, joined) :], []) == handover

    @pytest.mark.parametrize("joined", range(1, 5))
    @pytest.mark.parametrize("died", range(1, 5))
    def test_where_equal_messages_make_that_undecidable_it_is_incomplete_assets(
        self, joined: int, died: int
    ) -> None:
        """The leader died in the step in which the follower joined: nothing goes without a word."""
        handover, parts = self.joined_and_lost(self.PARTS, joined, max(died, joined))

        missed = Counter(m.event for m in parts[max(died, joined) :])
        missed -= Counter(m.event for m in handover.missed if isinstance(m, Decoded))
        assert handover.incomplete or not missed

    def joined_and_lost(
        self, numbers: Iterable[int], joined: int, died: int
    ) -> tuple[Handover, list[Decoded]]:
        """After how many messages of a step the follower joined, and the leader was lost."""
        merge = Merge()
        merge.want([ONE, TWO])
        led(merge, 10, START - 60)
        parts = [changed(12, part=part) for part in numbers]
        for message in (changed(11), *parts[:died]):
            merge.deliver(message, START)
        answered(merge, 12, START)
        for message in parts[joined:]:
            merge.keep(message, START + 0.01)
        merge.deliver(printed(12), START + 0.02)
        return merge.promote([ONE, TWO], START + 0.1), parts


class TestRotation:
    def test_it_is_aligned_when_every_lane_has_its_place(self, merge: Merge) -> None:
        """All assets have answered and nothing contradicts."""
        merge.deliver(changed(11), START)
        merge.keep(changed(11), START)
        assert merge.is_aligned([ONE, TWO], START)

        merge.keep(changed(13), START + 0.1)
        merge.deliver(changed(12), START + 0.1)
        merge.deliver(changed(13), START + 0.1)
        assert not merge.is_aligned([ONE, TWO], START + 0.2)

    def test_it_is_not_aligned_before_all_have_answered(self) -> None:
        """The successor has just been opened."""
        merge = Merge()
        merge.want([ONE, TWO])
        led(merge, 10, START)
        answered(merge, 10, START + 0.1, assets=(ONE,))

        assert not merge.is_aligned([ONE, TWO], START + 0.1)

"""SimulatedExchange: what it does by its seed and by a test author's hand."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from polymarket_ws.testing import SimulatedExchange
from polymarket_ws.testing.simulated_market import book_hash, last_price_text, number_text

FRAMES = Path(__file__).resolve().parents[2] / "shared" / "frames"
SWITCHES = [(whose, when) for whose in ("market", "taker") for when in ("early", "late")]


CANDIDATE_PRICES = [f"{n / 1000:.3f}" for n in range(1, 1000)]


class Follower:
    """A plain model of what a careful client holds: the wire's strings, and the recipe."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self.exchange = exchange
        self.books: dict[str, dict[str, Any]] = {}
        self.checked = 0
        for asset_id in exchange.asset_ids:
            self.take(snapshot(exchange, asset_id))

    def take(self, event: dict[str, Any]) -> None:
        kind = event["event_type"]
        if kind == "book":
            self._book(event)
        elif kind == "price_change":
            for change in event["price_changes"]:
                self._change(change, event)
        elif kind == "tick_size_change":
            self.books[event["asset_id"]]["tick_size"] = event["new_tick_size"]
        elif kind == "new_market":
            for asset_id in event["assets_ids"]:
                self._book(snapshot(self.exchange, asset_id))

    def _book(self, event: dict[str, Any]) -> None:
        kept = self.books.setdefault(event["asset_id"], {})
        for side in ("bids", "asks"):
            levels = {level["price"]: level["size"] for level in event[side]}
            if kept.get("levels_known"):
                assert kept[side] == levels
            kept[side] = levels
        kept["levels_known"] = True
        kept["market"] = event["market"]
        kept["tick_size"] = event.get("tick_size", kept.get("tick_size"))
        self._check(event["asset_id"], event["hash"], event["timestamp"])

    def _change(self, change: dict[str, Any], event: dict[str, Any]) -> None:
        book = self.books[change["asset_id"]]
        levels = book["bids" if change["side"] == "BUY" else "asks"]
        if change["size"] == "0":
            del levels[change["price"]]
        else:
            levels[change["price"]] = change["size"]
        assert str(max(map(Decimal, book["bids"]), default=0)) == change["best_bid"]
        assert str(min(map(Decimal, book["asks"]), default=1)) == change["best_ask"]
        self._check(change["asset_id"], change["hash"], event["timestamp"])

    def _check(self, asset_id: str, expected: str, timestamp: str) -> None:
        self.checked += 1
        book = self.books[asset_id]
        minimum, neg_risk = self.exchange.hash_parameters(asset_id)
        prices = book.setdefault("prices", [""])
        levels = {
            side: [
                {"price": price, "size": book[side][price]}
                for price in sorted(book[side], key=Decimal, reverse=side == "asks")
            ]
            for side in ("bids", "asks")
        }
        for price in (*reversed(prices[-2:]), *CANDIDATE_PRICES):
            body = {
                "market": book["market"],
                "asset_id": asset_id,
                "timestamp": timestamp,
                "hash": "",
                **levels,
                "min_order_size": minimum,
                "tick_size": book["tick_size"],
                "neg_risk": neg_risk,
                "last_trade_price": price,
            }
            text = json.dumps(body, separators=(",", ":"))
            if hashlib.sha1(text.encode()).hexdigest() == expected:
                prices.append(price)
                return
        raise AssertionError(f"no last price explains the hash {expected} of {asset_id}")


def snapshot(exchange: SimulatedExchange, asset_id: str) -> dict[str, Any]:
    """The book of an open market's token."""
    book = exchange.snapshot(asset_id)
    assert book is not None
    return book


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """The type of each event."""
    return [event["event_type"] for event in events]


def only(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The events of one type."""
    return [event for event in events if event["event_type"] == kind]


@pytest.fixture
def exchange() -> SimulatedExchange:
    """One market, its hash parameters fixed."""
    return SimulatedExchange(seed=1, markets=1, min_order_size="5", neg_risk=False)


def best_ask(exchange: SimulatedExchange, asset_id: str) -> Decimal:
    """The lowest price somebody sells at."""
    return exchange.book(asset_id).asks[0].price


def test_hash_recipe_gives_the_hashes_of_the_live_capture() -> None:
    """All 84 book hashes of a live connection come out, its one lost delta put in."""
    if not (FRAMES / "market_capture.jsonl").exists():
        pytest.skip("the shared wire frames are not here: ../shared/frames")
    notes = json.loads((FRAMES / "market_capture.notes.json").read_text())
    gap, books, hashes = notes["real_gap"], {}, []
    for line in (FRAMES / "market_capture.jsonl").read_text().splitlines():
        frame = json.loads(line)
        for event in frame if isinstance(frame, list) else [frame]:
            if event["event_type"] == "book":
                books[event["asset_id"]] = {
                    side: {level["price"]: level["size"] for level in event[side]}
                    for side in ("bids", "asks")
                }
                hashes.append((_recomputed(event, books, notes), event["hash"]))
            for change in event.get("price_changes", ()):
                levels = books[change["asset_id"]]["bids" if change["side"] == "BUY" else "asks"]
                levels[change["price"]] = change["size"]
                if change["size"] == "0":
                    del levels[change["price"]]
                named = {**event, "asset_id": change["asset_id"]}
                hashes.append((_recomputed(named, books, notes), change["hash"]))
        if isinstance(frame, list):
            books[gap["asset"]]["bids"][gap["price"]] = gap["true_size"]
            books[gap["mirror_asset"]]["asks"][gap["mirror_price"]] = gap["true_size"]
    assert 84 == len(hashes)
    assert [ours for ours, _ in hashes] == [theirs for _, theirs in hashes]


def _recomputed(event: dict[str, Any], books: dict[str, Any], notes: dict[str, Any]) -> str:
    parameters = notes["hash_params"][event["asset_id"]]
    held = books[event["asset_id"]]
    wire = {
        "market": event["market"],
        "asset_id": event["asset_id"],
        "timestamp": event["timestamp"],
        "tick_size": parameters["tick_size"],
        "last_trade_price": parameters["last_trade_price"],
    }
    for side in ("bids", "asks"):
        prices = sorted(held[side], key=Decimal, reverse=side == "asks")
        wire[side] = [{"price": price, "size": held[side][price]} for price in prices]
    return book_hash(
        wire, min_order_size=parameters["min_order_size"], neg_risk=parameters["neg_risk"]
    )


@pytest.mark.parametrize("text", ["0", "0.5", "100", "0.001", "319637.93", "5"])
def test_numbers_are_printed_without_exponent_and_trailing_zeros(text: str) -> None:
    """A number is printed as the wire prints it."""
    assert text == number_text(Decimal(text))
    assert text == number_text(Decimal(text) + Decimal("0.000"))


@pytest.mark.parametrize(
    ("price", "text"),
    [("0.87", "0.870"), ("0.5", "0.500"), ("0.002", "0.002"), ("0.9995", "0.9995")],
)
def test_last_trade_price_has_three_decimals_at_least(price: str, text: str) -> None:
    """The last trade price has three decimals, or more where it needs them."""
    assert text == last_price_text(Decimal(price))


def test_equal_seeds_give_equal_events() -> None:
    """The seed decides everything."""
    assert SimulatedExchange(seed=5).steps(300) == SimulatedExchange(seed=5).steps(300)
    assert SimulatedExchange(seed=5).steps(30) != SimulatedExchange(seed=6).steps(30)


@pytest.mark.parametrize(("whose", "when"), SWITCHES)
@pytest.mark.parametrize("seed", range(4))
def test_every_hash_and_top_follows_from_the_events_alone(whose: Any, when: Any, seed: int) -> None:
    """A client that applies the events holds the books, tops and hashes that they claim."""
    exchange = SimulatedExchange(seed, hash_last_price=whose, hash_timing=when)
    follower = Follower(exchange)
    for _ in range(120):
        for event in exchange.step():
            follower.take(event)
    assert follower.checked > 100
    for asset_id in exchange.asset_ids:
        book = exchange.book(asset_id)
        held = follower.books[asset_id]
        assert held["bids"] == {str(price): str(size) for price, size in book.bids}
        assert held["asks"] == {str(price): str(size) for price, size in book.asks}


def test_every_price_is_text_and_every_event_is_json() -> None:
    """No float is anywhere on the wire."""

    def check(value: Any) -> None:
        assert not isinstance(value, float)
        for inner in (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        ):
            check(inner)

    events = SimulatedExchange(seed=2).steps(500)
    check(events)
    assert events == json.loads(json.dumps(events))


def test_the_seed_brings_every_kind_of_event_but_a_resolution() -> None:
    """Some thousand steps show what the protocol has, resolutions left to the author."""
    seen = Counter(kinds(SimulatedExchange(seed=1).steps(5000)))
    expected = {
        *("price_change", "book", "last_trade_price", "tick_size_change"),
        *("best_bid_ask", "new_market", "order", "trade"),
    }
    assert expected == set(seen)


def test_time_never_runs_backwards_within_a_market() -> None:
    """Timestamps of a market are non-decreasing, prints included."""
    last: dict[str, int] = {}
    for event in SimulatedExchange(seed=4).steps(1500):
        assert int(event["timestamp"]) >= last.get(event["market"], 0)
        last[event["market"]] = int(event["timestamp"])


def test_the_twin_token_mirrors_every_change(exchange: SimulatedExchange) -> None:
    """A BUY at p on one token comes with a SELL at 1 - p of the same size on the other."""
    for event in only(exchange.steps(200), "price_change"):
        one, other = event["price_changes"]
        assert {one["asset_id"], other["asset_id"]} <= set(exchange.asset_ids)
        assert Decimal(1) == Decimal(one["price"]) + Decimal(other["price"])
        assert one["size"] == other["size"]
        assert {"BUY", "SELL"} == {one["side"], other["side"]}
        assert Decimal(1) == Decimal(one["best_bid"]) + Decimal(other["best_ask"])


def test_a_trade_is_told_in_the_order_of_the_protocol(exchange: SimulatedExchange) -> None:
    """price_change, the books of both tokens with its hashes, and 33 to 48 ms later one print."""
    yes, no = exchange.asset_ids
    exchange.advance(5)
    price = best_ask(exchange, yes)
    change, book_yes, book_no, _, _, last = exchange.trade(yes, "BUY")
    assert ["price_change", "book", "book"] == kinds([change, book_yes, book_no])
    assert [yes, no] == [book_yes["asset_id"], book_no["asset_id"]]
    told = {c["asset_id"]: c["hash"] for c in change["price_changes"]}
    assert told == {book_yes["asset_id"]: book_yes["hash"], book_no["asset_id"]: book_no["hash"]}
    assert {change["timestamp"]} == {book_yes["timestamp"], book_no["timestamp"]}
    assert "tick_size" not in book_yes
    assert ("last_trade_price", yes, "BUY") == (last["event_type"], last["asset_id"], last["side"])
    assert price == Decimal(last["price"])
    assert 33 <= int(last["timestamp"]) - int(change["timestamp"]) <= 48


def test_tops_are_told_when_they_change(exchange: SimulatedExchange) -> None:
    """Taking the whole best level brings a best_bid_ask of each token."""
    yes, no = exchange.asset_ids
    tops = only(exchange.trade(yes, "BUY"), "best_bid_ask")
    assert [yes, no] == [event["asset_id"] for event in tops]
    assert best_ask(exchange, yes) == Decimal(tops[0]["best_ask"])
    assert Decimal(tops[0]["spread"]) == Decimal(tops[0]["best_ask"]) - Decimal(tops[0]["best_bid"])


def test_a_taker_walks_the_levels_and_the_oldest_order_goes_first(
    exchange: SimulatedExchange,
) -> None:
    """One order through two levels: a price_change for each, one print at the worse price."""
    yes = exchange.asset_ids[0]
    (first, first_size), (second, second_size) = exchange.book(yes).asks[:2]
    exchange.place(yes, "SELL", first, "7")
    newcomer = exchange.open_orders[-1]
    events = exchange.trade(yes, "BUY", first_size + 7 + second_size / 2)
    assert 2 == len(only(events, "price_change"))
    (last,) = only(events, "last_trade_price")
    assert second == Decimal(last["price"])
    assert newcomer.id not in {order.id for order in exchange.open_orders}
    exchange.place(yes, "SELL", second + Decimal("0.01"), "7")
    assert second == best_ask(exchange, yes)


def test_a_crossing_order_on_the_twin_matches_the_mirrored_level(
    exchange: SimulatedExchange,
) -> None:
    """A BUY of NO at 1 - p takes the bid of YES at p: the print is of NO, at its own price."""
    yes, no = exchange.asset_ids
    bid = exchange.book(yes).bids[0]
    events = exchange.place(no, "BUY", 1 - bid.price, bid.size)
    assert "0" == only(events, "price_change")[0]["price_changes"][0]["size"]
    (last,) = only(exchange.advance(50), "last_trade_price")
    assert (no, 1 - bid.price) == (last["asset_id"], Decimal(last["price"]))


@pytest.mark.parametrize(("whose", "when"), SWITCHES)
def test_the_switches_say_how_the_last_price_enters_the_hash(whose: Any, when: Any) -> None:
    """Market-wide or the taker's token's only, with the price_change or with the print."""
    exchange = SimulatedExchange(
        seed=9, markets=1, hash_last_price=whose, hash_timing=when, min_order_size="5"
    )
    yes, no = exchange.asset_ids
    text = last_price_text(best_ask(exchange, yes))
    exchange.place(yes, "BUY", best_ask(exchange, yes), exchange.book(yes).asks[0].size)
    during = [snapshot(exchange, asset)["last_trade_price"] for asset in (yes, no)]
    exchange.advance(50)
    after = [snapshot(exchange, asset)["last_trade_price"] for asset in (yes, no)]
    final = [text, text if whose == "market" else ""]
    assert final == after
    assert (final if when == "early" else ["", ""]) == during


def test_a_price_beyond_the_threshold_makes_the_tick_finer(exchange: SimulatedExchange) -> None:
    """A bid above 0.96 brings a tick_size_change of both tokens, once."""
    yes = exchange.asset_ids[0]
    exchange.place(yes, "BUY", "0.96", "100000")
    changes = only(exchange.place(yes, "BUY", "0.97", "10"), "tick_size_change")
    assert list(exchange.asset_ids) == [event["asset_id"] for event in changes]
    assert ("0.01", "0.001") == (changes[0]["old_tick_size"], changes[0]["new_tick_size"])
    assert "0.001" == snapshot(exchange, yes)["tick_size"]
    assert [] == only(exchange.place(yes, "BUY", "0.971", "10"), "tick_size_change")


def test_a_resolved_market_is_told_and_unknown_from_then_on(exchange: SimulatedExchange) -> None:
    """Resolution cancels own orders, is broadcast, and leaves nothing to subscribe or trade."""
    (market,), (yes, no) = exchange.markets, exchange.asset_ids
    exchange.place(yes, "BUY", "0.01", "9", own=True)
    order, resolved = exchange.resolve(market, no)
    assert ("CANCELLATION", "CANCELED_MARKET_RESOLVED") == (order["type"], order["status"])
    assert ("market_resolved", no, "No") == (
        resolved["event_type"],
        resolved["winning_asset_id"],
        resolved["winning_outcome"],
    )
    assert ((), ()) == (exchange.markets, exchange.open_orders)
    assert exchange.snapshot(yes) is None
    with pytest.raises(ValueError, match="resolved"):
        exchange.place(yes, "BUY", "0.5", "9")
    with pytest.raises(ValueError, match="nothing to match"):
        exchange.trade(yes)
    assert "new_market" == exchange.step()[0]["event_type"]


def test_an_own_order_is_told_through_its_life(exchange: SimulatedExchange) -> None:
    """PLACEMENT, UPDATE when partly matched, CANCELLATION of the rest; the owner is the api key."""
    yes = exchange.asset_ids[0]
    price = best_ask(exchange, yes) - Decimal("0.01")
    placed = only(exchange.place(yes, "SELL", price, "20", own=True), "order")[0]
    life = exchange.trade(yes, "BUY", "8")
    (update,) = only(life, "order")
    cancelled = only(exchange.cancel(placed["id"]), "order")[0]
    assert ["PLACEMENT", "UPDATE", "CANCELLATION"] == [
        event["type"] for event in (placed, update, cancelled)
    ]
    assert ["0", "8", "8"] == [event["size_matched"] for event in (placed, update, cancelled)]
    assert {exchange.api_key} == {event["owner"] for event in (placed, update, cancelled)}
    assert [life_id := only(life, "trade")[0]["id"]] == update["associate_trades"], life_id


@pytest.mark.parametrize(
    ("failed", "statuses"),
    [(False, ["MATCHED", "MINED", "CONFIRMED"]), (True, ["MATCHED", "RETRYING", "FAILED"])],
)
def test_an_own_trade_is_told_once_for_each_status(
    exchange: SimulatedExchange, failed: bool, statuses: list[str]
) -> None:
    """One id, from MATCHED to its end; the transaction's hash comes with the second status."""
    events = exchange.trade(exchange.asset_ids[0], "BUY", "8", own=True, failed=failed)
    trades = only(events, "trade")
    assert statuses == [trade["status"] for trade in trades]
    assert 1 == len({trade["id"] for trade in trades})
    assert "" == trades[0]["transaction_hash"]
    assert trades[1]["transaction_hash"] == only(events, "last_trade_price")[0]["transaction_hash"]
    assert ("TAKER", exchange.api_key) == (trades[0]["trader_side"], trades[0]["owner"])
    assert "8" == trades[0]["maker_orders"][0]["matched_amount"]


def test_a_maker_finds_its_fill_among_the_maker_orders(exchange: SimulatedExchange) -> None:
    """As MAKER, one's own fill is in maker_orders, perhaps of the twin token."""
    yes, no = exchange.asset_ids
    price = best_ask(exchange, yes) - Decimal("0.01")
    exchange.place(no, "BUY", 1 - price, "20", own=True)
    trade = only(exchange.trade(yes, "BUY", "8"), "trade")[0]
    assert "MAKER" == trade["trader_side"]
    assert exchange.api_key != trade["owner"]
    (mine,) = [m for m in trade["maker_orders"] if m["owner"] == exchange.api_key]
    assert (no, str(1 - price), "BUY") == (mine["asset_id"], mine["price"], mine["side"])


def test_a_fill_or_kill_order_that_cannot_be_filled_is_killed(exchange: SimulatedExchange) -> None:
    """FOK: one CANCELLATION with the venue's sentence, and the book is untouched."""
    yes = exchange.asset_ids[0]
    before = exchange.book(yes)
    (killed,) = exchange.place(yes, "BUY", "0.99", "99999999", own=True, order_type="FOK")
    assert ("CANCELLATION", "") == (killed["type"], killed["size_matched"])
    assert "fully filled or killed" in killed["status"]
    assert before == exchange.book(yes)
    assert [] == exchange.place(yes, "BUY", "0.99", "99999999", order_type="FOK")


def test_a_fill_and_kill_order_never_rests(exchange: SimulatedExchange) -> None:
    """FAK without anything to match changes nothing."""
    assert [] == exchange.place(exchange.asset_ids[0], "BUY", "0.01", "9", order_type="FAK")


def test_wrong_orders_are_refused(exchange: SimulatedExchange) -> None:
    """Off the grid, too small, unknown, or a float: the sentence says which."""
    yes = exchange.asset_ids[0]
    with pytest.raises(ValueError, match=r"price 0\.123 is off the grid of 0\.01"):
        exchange.place(yes, "BUY", "0.123", "9")
    with pytest.raises(ValueError, match="size 4 is below the minimum, 5"):
        exchange.place(yes, "BUY", "0.12", 4)
    with pytest.raises(TypeError, match="float"):
        exchange.place(yes, "BUY", 0.12, "9")  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        exchange.place("1", "BUY", "0.12", "9")
    with pytest.raises(KeyError):
        exchange.cancel("0x0")


@pytest.mark.parametrize("switch", [{"hash_last_price": "both"}, {"hash_timing": "soon"}])
def test_wrong_switches_are_refused(switch: dict[str, Any]) -> None:
    """A misspelt switch does not pass for the default."""
    with pytest.raises(ValueError, match=next(iter(switch))):
        SimulatedExchange(**switch)


def test_a_new_market_is_open_for_trade(exchange: SimulatedExchange) -> None:
    """open_market broadcasts a market whose tokens have books."""
    (event,) = exchange.open_market()
    assert exchange.asset_ids[2:] == tuple(event["assets_ids"])
    assert exchange.markets[1] == event["market"] == exchange.market_of(event["assets_ids"][0])
    assert snapshot(exchange, event["assets_ids"][0])["bids"]


def test_levels_are_worst_first_on_the_wire_and_best_first_in_the_book(
    exchange: SimulatedExchange,
) -> None:
    """The wire's order is the protocol's, the value's the user's."""
    yes = exchange.asset_ids[0]
    wire, book = snapshot(exchange, yes), exchange.book(yes)
    assert all(Decimal(a["price"]) < Decimal(b["price"]) for a, b in pairwise(wire["bids"]))
    assert all(Decimal(a["price"]) > Decimal(b["price"]) for a, b in pairwise(wire["asks"]))
    assert wire["bids"][-1]["price"] == str(book.bids[0].price)
    assert wire["hash"] == book.hash

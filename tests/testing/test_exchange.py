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

from polymarket_ws.events import Side
from polymarket_ws.testing import SimulatedExchange
from polymarket_ws.testing.public_events import best_bid_ask_event
from polymarket_ws.testing.simulated_market import (
    RestingOrder,
    SimulatedMarket,
    book_hash,
    last_price_text,
    number_text,
)

FRAMES = Path(__file__).resolve().parents[3] / "shared" / "frames"
SWITCHES = [(whose, when) for whose in ("market", "taker") for when in ("early", "late")]


CANDIDATE_PRICES = [f"{n / 1000:.3f}" for n in range(1, 1000)]


class Follower:
    """A plain model of what a careful client holds: the wire's strings, and the recipe.

    What the price_changes of one engine step claim is checked when `step` has read the last.
    """

    def __init__(self, exchange: SimulatedExchange) -> None:
        self.exchange = exchange
        self.books: dict[str, dict[str, Any]] = {}
        self.checked = 0
        self.crossed = 0  # books seen crossed in the middle of a step
        for asset_id in exchange.asset_ids:
            self.take(snapshot(exchange, asset_id))

    def step(self, events: list[dict[str, Any]]) -> None:
        """Read what is told at one moment: at most one engine step."""
        changes = only(events, "price_change")
        for event in events:
            self.take(event)
            if changes and event is changes[-1]:
                self._check_step(changes)

    def take(self, event: dict[str, Any]) -> None:
        kind = event["event_type"]
        if kind == "book":
            self._book(event)
        elif kind == "price_change":
            for change in event["price_changes"]:
                self._change(change)
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

    def _change(self, change: dict[str, Any]) -> None:
        book = self.books[change["asset_id"]]
        levels = book["bids" if change["side"] == "BUY" else "asks"]
        if change["size"] == "0":
            levels.pop(change["price"], None)  # absent when a step has named the level before
        else:
            levels[change["price"]] = change["size"]
        bid, ask = self.top(change["asset_id"])
        self.crossed += Decimal(bid) >= Decimal(ask)

    def top(self, asset_id: str) -> tuple[str, str]:
        """Best bid and ask, as the wire writes them."""
        book = self.books[asset_id]
        bid, ask = (
            max(map(Decimal, book["bids"]), default=0),
            min(map(Decimal, book["asks"]), default=1),
        )
        return str(bid), str(ask)

    def _check_step(self, changes: list[dict[str, Any]]) -> None:
        (claims,) = {ends(change) for change in changes}
        (timestamp,) = {change["timestamp"] for change in changes}
        for asset_id, expected, best_bid, best_ask in claims:
            assert (best_bid, best_ask) == self.top(asset_id)
            self._check(asset_id, expected, timestamp)

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


def ends(change: dict[str, Any]) -> frozenset[tuple[str, str, str, str]]:
    """What a price_change claims of both tokens' books: hash, best bid and best ask."""
    names = ("asset_id", "hash", "best_bid", "best_ask")
    (one, other) = (tuple(c[name] for name in names) for c in change["price_changes"])
    return frozenset((one, other))


def told(changes: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Of each price_change, what it says of the token that it names first."""
    names = ("asset_id", "side", "price", "size")
    return [tuple(c["price_changes"][0][name] for name in names) for c in changes]


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
        follower.step(exchange.step())
    assert follower.checked > 100
    assert_holds(follower, exchange)


def assert_holds(follower: Follower, exchange: SimulatedExchange) -> None:
    """The follower's books are the exchange's."""
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
    """Timestamps of a market are non-decreasing, prints included; its tops run 1 ms ahead."""
    last: dict[str, int] = {}
    for event in SimulatedExchange(seed=4).steps(1500):
        if event["event_type"] == "best_bid_ask":
            assert int(event["timestamp"]) >= last.get(event["market"], 0)
            continue
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
    """Tops, price_change, the books of both tokens with its hashes, 30 to 90 ms later a print."""
    yes, no = exchange.asset_ids
    exchange.advance(5)
    price = best_ask(exchange, yes)
    top_yes, top_no, change, book_yes, book_no, last = exchange.trade(yes, "BUY")
    assert ["best_bid_ask", "best_bid_ask"] == kinds([top_yes, top_no])
    assert ["price_change", "book", "book"] == kinds([change, book_yes, book_no])
    assert [yes, no] == [book_yes["asset_id"], book_no["asset_id"]]
    told = {c["asset_id"]: c["hash"] for c in change["price_changes"]}
    assert told == {book_yes["asset_id"]: book_yes["hash"], book_no["asset_id"]: book_no["hash"]}
    assert {change["timestamp"]} == {book_yes["timestamp"], book_no["timestamp"]}
    assert "tick_size" not in book_yes
    assert ("last_trade_price", yes, "BUY") == (last["event_type"], last["asset_id"], last["side"])
    assert price == Decimal(last["price"])
    assert 30 <= int(last["timestamp"]) - int(change["timestamp"]) <= 90


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
    (last,) = only(exchange.advance(90), "last_trade_price")
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
    exchange.advance(90)
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


# --- engine steps of several price_changes --------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2])
def test_the_steps_of_the_live_capture_come_out(number: int) -> None:
    """Four cancels at once, and a match whose rest is told first: the captured events come out."""
    path = FRAMES / "steps" / f"step_{number}.jsonl"
    if not path.exists():
        pytest.skip("the shared wire frames are not here: ../shared/frames")
    (yes, no), *captured = map(json.loads, path.read_text().splitlines())
    market, held = _captured_market(yes, no, last_price={1: "0.441", 2: "0.630"}[number])
    if number == 1:
        changed = [held["BUY", price] for price in ("0.554", "0.553", "0.552", "0.551")]
        for order in changed:
            market.remove(order)
    else:
        taker = _order(no["asset_id"], "BUY", "0.37", "100")
        for fill in market.crossing(taker):
            market.take(fill)
            taker.remaining -= fill.amount
        market.rest(taker)
        changed = [taker, held["BUY", "0.63"]]
    market.timestamp_ms = int(only(captured, "price_change")[0]["timestamp"])
    tops = [best_bid_ask_event(market, a, market.timestamp_ms + 1) for a in market.asset_ids]
    assert captured == [*tops, *market.tell(changed, traded=number == 2)]


def _captured_market(
    yes: dict[str, Any], no: dict[str, Any], last_price: str
) -> tuple[SimulatedMarket, dict[tuple[str, str], RestingOrder]]:
    """A market with one order of the first token at each level; the orders by side and price."""
    assets = yes["asset_id"], no["asset_id"]
    market = SimulatedMarket(yes["market"], assets, Decimal("0.001"), Decimal(5), False, 0, 1)
    market.last_prices = dict.fromkeys(assets, last_price)
    held = {}
    for name, side in (("bids", "BUY"), ("asks", "SELL")):
        for level in yes[name]:
            order = _order(assets[0], side, level["price"], level["size"])
            held[side, level["price"]] = order
            market.rest(order)
    return market, held


def _order(asset_id: str, side: str, price: str, size: str) -> RestingOrder:
    return RestingOrder(
        id=f"{asset_id} {side} {price}",
        asset_id=asset_id,
        side=Side(side),
        price=Decimal(price),
        size=Decimal(size),
        owner="",
        own=False,
        maker_address="",
        order_type="GTC",
        placed_ms=0,
        remaining=Decimal(size),
    )


def test_a_match_over_several_levels_is_one_step(exchange: SimulatedExchange) -> None:
    """A price_change for each level, all with the end's hashes, tops and sizes; then the books."""
    yes, no = exchange.asset_ids
    (p1, s1), (p2, s2), (p3, s3) = exchange.book(yes).asks[:3]
    events = exchange.place(yes, "BUY", p3, s1 + s2 + s3 - 1)
    assert [*["best_bid_ask"] * 2, *["price_change"] * 3, *["book"] * 2] == kinds(events)
    changes, books = only(events, "price_change"), only(events, "book")
    assert [
        (yes, "SELL", str(p1), "0"),
        (yes, "SELL", str(p2), "0"),
        (yes, "SELL", str(p3), "1"),
    ] == told(changes)
    bid = exchange.book(yes).bids[0].price
    assert {
        frozenset(
            (
                (yes, books[0]["hash"], str(bid), str(p3)),
                (no, books[1]["hash"], str(1 - p3), str(1 - bid)),
            )
        )
    } == {ends(change) for change in changes}
    assert {str(exchange.now_ms)} == {event["timestamp"] for event in changes + books}
    (last,) = exchange.advance(90)
    assert (yes, str(p3), number_text(s1 + s2 + s3 - 1)) == (
        last["asset_id"],
        last["price"],
        last["size"],
    )


def test_the_rest_of_a_matching_order_is_told_first(exchange: SimulatedExchange) -> None:
    """The new bid comes before the removal of the asks that it took: crossed in between."""
    yes = exchange.asset_ids[0]
    (p1, s1), (p2, s2) = exchange.book(yes).asks[:2]
    follower = Follower(exchange)
    events = exchange.place(yes, "BUY", p2, s1 + s2 + 9)
    assert [
        (yes, "BUY", str(p2), "9"),
        (yes, "SELL", str(p1), "0"),
        (yes, "SELL", str(p2), "0"),
    ] == told(only(events, "price_change"))
    follower.step(events)
    assert follower.crossed > 0
    assert_holds(follower, exchange)


def test_a_matched_level_of_both_tokens_is_named_twice(exchange: SimulatedExchange) -> None:
    """Each of the two price_changes names the token first whose orders it is about."""
    yes, no = exchange.asset_ids
    price, size = exchange.book(yes).asks[0]
    exchange.place(no, "BUY", 1 - price, 50)
    assert [
        (yes, "SELL", str(price), "40"),
        (no, "BUY", str(1 - price), "40"),
    ] == told(only(exchange.trade(yes, "BUY", size + 10), "price_change"))


def test_the_order_that_changed_decides_which_token_is_named_first(
    exchange: SimulatedExchange,
) -> None:
    """A BUY of NO that takes a bid of YES: the level is told with YES first, the rest with NO."""
    yes, no = exchange.asset_ids
    price, size = exchange.book(yes).bids[0]
    events = exchange.place(no, "BUY", 1 - price, size + 9)
    assert [
        (no, "BUY", str(1 - price), "9"),
        (yes, "BUY", str(price), "0"),
    ] == told(only(events, "price_change"))


def test_several_orders_are_taken_back_in_one_step(exchange: SimulatedExchange) -> None:
    """A price_change for each; a level with orders of both tokens is named with either first."""
    yes, no = exchange.asset_ids
    best = exchange.book(yes).bids[0].price
    price, behind = best + Decimal("0.01"), best - Decimal("0.20")
    exchange.place(yes, "BUY", price, 20)
    exchange.place(no, "SELL", 1 - price, 30)
    exchange.place(yes, "BUY", behind, 40, own=True)
    follower = Follower(exchange)
    orders = exchange.open_orders[-3:]
    events = exchange.cancel_all([order.id for order in orders], "CANCELED_BY_TEST")
    assert [*["best_bid_ask"] * 2, *["price_change"] * 3, "order"] == kinds(events)
    assert [
        (yes, "BUY", str(price), "0"),
        (no, "SELL", str(1 - price), "0"),
        (yes, "BUY", str(behind), "0"),
    ] == told(only(events, "price_change"))
    assert ("CANCELLATION", "CANCELED_BY_TEST") == (events[-1]["type"], events[-1]["status"])
    follower.step(events)
    assert_holds(follower, exchange)
    assert not {order.id for order in orders} & {order.id for order in exchange.open_orders}


def test_orders_are_taken_back_all_or_none() -> None:
    """Orders of several markets, or an unknown one among them: nothing changes."""
    exchange = SimulatedExchange(seed=1, markets=2)
    before = exchange.open_orders
    with pytest.raises(ValueError, match="one step is of one market, not of 2"):
        exchange.cancel_all([before[0].id, before[-1].id])
    with pytest.raises(KeyError):
        exchange.cancel_all([before[0].id, "0x0"])
    assert [] == exchange.cancel_all([])
    assert before == exchange.open_orders


def test_a_replaced_quote_is_told_before_the_removal(exchange: SimulatedExchange) -> None:
    """On the other side at the removed order's price it crosses the book in between."""
    yes, no = exchange.asset_ids
    price = exchange.book(yes).bids[0].price + Decimal("0.01")
    exchange.place(yes, "BUY", price, 20, own=True)
    old, follower = exchange.open_orders[-1], Follower(exchange)
    events = exchange.replace(old.id, 1 - price, 9, asset_id=no)
    new = exchange.open_orders[-1]
    assert ["PLACEMENT", "CANCELLATION"] == [event["type"] for event in only(events, "order")]
    assert [
        (no, "BUY", str(1 - price), "9"),
        (yes, "BUY", str(price), "0"),
    ] == told(only(events, "price_change"))
    assert (no, Side.BUY, 1 - price, 9, True) == (
        new.asset_id,
        new.side,
        new.price,
        new.remaining,
        new.own,
    )
    follower.step(events)
    assert follower.crossed > 0
    assert_holds(follower, exchange)
    assert old not in exchange.open_orders


def test_a_replacement_keeps_token_and_side_unless_told(exchange: SimulatedExchange) -> None:
    """At its own level both price_changes tell the size after the step."""
    yes = exchange.asset_ids[0]
    price = exchange.book(yes).bids[0].price + Decimal("0.01")
    exchange.place(yes, "BUY", price, 20)
    events = exchange.replace(exchange.open_orders[-1].id, price, 7)
    assert [(yes, "BUY", str(price), "7")] * 2 == told(only(events, "price_change"))


def test_wrong_replacements_are_refused() -> None:
    """Of another market, matching another order, off the grid, unknown: nothing changes."""
    exchange = SimulatedExchange(seed=1, markets=2)
    yes, _, other, _ = exchange.asset_ids
    old, before = exchange.open_orders[0], exchange.open_orders
    with pytest.raises(ValueError, match=f"token {other} is not of market"):
        exchange.replace(old.id, "0.5", 100, asset_id=other)
    crossing = best_ask(exchange, yes)
    with pytest.raises(ValueError, match=f"a quote at {crossing} would match another order"):
        exchange.replace(old.id, crossing, 100, asset_id=yes, side="BUY")
    with pytest.raises(ValueError, match="off the grid"):
        exchange.replace(old.id, "0.123", 100)
    with pytest.raises(KeyError):
        exchange.replace("0x0", "0.5", 100)
    assert before == exchange.open_orders


@pytest.mark.parametrize(("whose", "when"), SWITCHES)
@pytest.mark.parametrize("seed", range(5))
def test_every_seeded_step_of_several_frames_is_right_at_its_end(
    whose: Any, when: Any, seed: int
) -> None:
    """All its hashes and tops are those after its last price_change; some cross in their middle."""
    exchange = SimulatedExchange(seed, hash_last_price=whose, hash_timing=when, step_share=1)
    follower = Follower(exchange)
    for _ in range(60):
        follower.step(exchange.step())
    assert follower.checked > 100
    assert follower.crossed > 0
    assert_holds(follower, exchange)


def sizes_of_steps(exchange: SimulatedExchange, count: int) -> Counter[int]:
    """How many of so many seeded steps have how many price_changes; those without are left out."""
    sizes = Counter(len(only(exchange.step(), "price_change")) for _ in range(count))
    del sizes[0]
    return sizes


@pytest.mark.parametrize("seed", range(5))
def test_the_numbers_of_frames_are_within_their_bounds(seed: int) -> None:
    """2 to 6 by default, each of them, or as asked for."""
    default = sizes_of_steps(SimulatedExchange(seed, step_share=1), 300)
    assert {2, 3, 4, 5, 6} == set(default)
    chosen = SimulatedExchange(seed, step_share=1, step_frames=(3, 4))
    assert {3, 4} == set(sizes_of_steps(chosen, 200))


@pytest.mark.parametrize("seed", range(5))
def test_the_share_of_steps_of_several_frames_is_as_asked_for(seed: int) -> None:
    """None, a tenth unless said otherwise, or a half."""
    assert {1} == set(sizes_of_steps(SimulatedExchange(seed, step_share=0), 500))
    for share, exchange in (
        (0.1, SimulatedExchange(seed)),
        (0.5, SimulatedExchange(seed, step_share=0.5)),
    ):
        sizes = sizes_of_steps(exchange, 1000)
        assert share == pytest.approx(1 - sizes[1] / sizes.total(), abs=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_seeded_steps_are_matches_cancels_and_replacements(seed: int) -> None:
    """Each kind is at least a twentieth of them."""
    exchange, seen = SimulatedExchange(seed, step_share=1), Counter[str]()
    for _ in range(400):
        before = {order.id for order in exchange.open_orders}
        events = exchange.step()
        if len(only(events, "price_change")) < 2:
            continue
        after = {order.id for order in exchange.open_orders}
        seen["match" if only(events, "book") else "replace" if after - before else "cancel"] += 1
    assert {"match", "cancel", "replace"} == set(seen)
    assert min(seen.values()) > seen.total() / 20


@pytest.mark.parametrize("share", [0, 0.1, 1])
def test_books_never_run_empty(share: float) -> None:
    """After thousands of seeded steps every book has both sides."""
    exchange, events = SimulatedExchange(seed=2, markets=1, step_share=share), []
    for _ in range(3000):
        events += exchange.step()
        for event in only(events[-1:], "new_market"):
            exchange.resolve(event["market"])
    tops = {end[2:] for change in only(events, "price_change") for end in ends(change)}
    assert not {"0", "1"} & {price for top in tops for price in top}


def test_tops_come_before_the_frames_of_their_step() -> None:
    """With the step's timestamp or 1 ms more, by the seed, and the step's best prices."""
    exchange, later = SimulatedExchange(seed=3, step_share=0.5), Counter[int]()
    for _ in range(300):
        events = exchange.step()
        tops, changes = only(events, "best_bid_ask"), only(events, "price_change")
        if not tops:
            continue
        assert len(tops) == sum(kind == "best_bid_ask" for kind in kinds(_public(events))[:2])
        claims = {(asset, bid, ask) for asset, _, bid, ask in ends(changes[0])}
        assert {(t["asset_id"], t["best_bid"], t["best_ask"]) for t in tops} == claims
        (timestamp,) = {int(top["timestamp"]) for top in tops}
        later[timestamp - int(changes[0]["timestamp"])] += 1
    assert {0, 1} == set(later)


def _public(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["event_type"] not in ("order", "trade")]


def test_prints_come_30_to_90_ms_after_their_trade() -> None:
    """The whole range occurs."""
    exchange, delays = SimulatedExchange(seed=1, markets=1), set()
    for _ in range(300):
        events = exchange.trade(exchange.asset_ids[0], "BUY", "0.01")
        (last,), (change,) = only(events, "last_trade_price"), only(events, "price_change")
        delays.add(int(last["timestamp"]) - int(change["timestamp"]))
    assert (30, 90) == (min(delays), max(delays))


def test_prints_keep_the_order_of_their_trades(exchange: SimulatedExchange) -> None:
    """Also when trades follow each other within the range of the delays."""
    yes = exchange.asset_ids[0]
    exchange.place(yes, "BUY", exchange.book(yes).bids[0].price, "5000")
    sizes, events = [str(size) for size in range(5, 50)], []
    for size in sizes:
        exchange.place(yes, "SELL", "0.01", size, order_type="FAK")
        events += exchange.advance(7)
    events += exchange.advance(90)
    assert sizes == [event["size"] for event in only(events, "last_trade_price")]


def test_equal_calls_give_equal_steps() -> None:
    """Replacing and cancelling by hand is as deterministic as the seed is."""

    def told_by(exchange: SimulatedExchange) -> list[dict[str, Any]]:
        first, *others = [order.id for order in exchange.open_orders[:8]]
        events = exchange.replace(first, "0.01", 100, side="BUY", asset_id=exchange.asset_ids[0])
        return events + exchange.cancel_all(others) + exchange.steps(200)

    one, other = (SimulatedExchange(seed=5, step_share=0.5) for _ in range(2))
    assert told_by(one) == told_by(other)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"step_share": 1.5}, r"step_share is from 0 to 1, not 1\.5"),
        ({"step_share": -0.1}, r"step_share is from 0 to 1, not -0\.1"),
        ({"step_frames": (1, 6)}, r"step_frames are .* at least 2, .* not \(1, 6\)"),
        ({"step_frames": (4, 3)}, r"step_frames are .* not \(4, 3\)"),
        ({"step_frames": (2, 3, 4)}, r"step_frames are .* not \(2, 3, 4\)"),
    ],
)
def test_wrong_shares_and_numbers_of_frames_are_refused(
    arguments: dict[str, Any], sentence: str
) -> None:
    """One sentence says what is expected."""
    with pytest.raises(ValueError, match=sentence):
        SimulatedExchange(**arguments)

"""Callbacks: which are accepted, which events reach them, which replace which."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from polymarket_ws.books.book import BookCore
from polymarket_ws.books.live_book import LiveBook, Top
from polymarket_ws.delivery.callbacks import Callbacks, Registration, callback_name
from polymarket_ws.errors import ConfigurationError
from polymarket_ws.events import (
    EVENTS,
    Book,
    Connected,
    Disconnected,
    Event,
    Frame,
    Gap,
    Level,
    LevelChange,
    NewMarket,
    PriceChange,
    Resync,
    Side,
    Unknown,
)
from polymarket_ws.locks import holds_any

M1, M2 = "0x" + "1" * 64, "0x" + "2" * 64


def show(event: Any) -> None:
    """A callback as it should be."""


def two(event: Any, more: Any) -> None:
    """One argument too many."""


def none() -> None:
    """One argument too few."""


def keyword(event: Any, *, more: Any) -> None:
    """A keyword that nobody gives."""


def optional(event: Any, more: Any = 1, *rest: Any, **others: Any) -> None:
    """More arguments, none of them needed."""


async def coroutine(event: Any) -> None:
    """Never awaited."""


async def async_generator(event: Any) -> Any:
    """Never iterated."""
    yield event


def generator(event: Any) -> Any:
    """Never iterated."""
    yield event


class Strategy:
    """A user's own class."""

    def __init__(self, event: Any = None) -> None:
        self.event = event

    def handle(self, event: Any) -> None: ...

    async def handle_async(self, event: Any) -> None: ...

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Strategy)

    __hash__ = None  # type: ignore[assignment]


class CallableObject:
    def __call__(self, event: Any) -> None: ...

    def __repr__(self) -> str:
        raise AssertionError("user code")


class AsyncObject:
    async def __call__(self, event: Any) -> None: ...


class NoNew:
    """A class whose instances are asynchronous; making one is not."""

    def __init__(self, event: Any) -> None: ...

    async def __call__(self) -> None: ...


def decorated(function: Callable[..., None]) -> Callable[..., None]:
    """A decorator that adds an argument, as sessions and contexts are added."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> None:
        function(*args, "session")

    return wrapper


def register(callback: Any, name: str = "book", **filters: Any) -> Registration:
    """A registration that was accepted."""
    registration = Registration(name, callback, **filters)
    Callbacks().add(registration)
    return registration


def book(asset_id: str = "1", market: str = M1) -> Book:
    """An event of one asset and market."""
    return Book(asset_id=asset_id, market=market, timestamp_ms=1, bids=(), asks=())


def price_change(*asset_ids: str, market: str = M1) -> PriceChange:
    """An event of several assets."""
    entries = tuple(
        LevelChange(asset_id=i, price=Decimal("0.5"), size=Decimal(1), side=Side.BUY)
        for i in asset_ids
    )
    return PriceChange(market=market, timestamp_ms=1, price_changes=entries)


# --- what is accepted ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "callback",
    [
        show,
        optional,
        lambda event: None,
        Strategy().handle,
        Strategy,
        NoNew,
        CallableObject(),
        print,
        [].append,
        str,
        int,
        dict,
        functools.partial(two, 1),
        functools.partial(keyword, more=1),
        functools.partial(functools.partial(optional, 1), 2),
        decorated(two),
        functools.lru_cache(show),
    ],
    ids=callback_name,
)
def test_whatever_takes_one_argument_is_accepted(callback: Any) -> None:
    """Functions, methods, classes, objects, builtins, partials and wrapped functions."""
    assert callback is register(callback).callback


@pytest.mark.parametrize(
    "callback",
    [two, none, keyword, Strategy.handle, functools.partial(show, 1), lambda: None],
    ids=callback_name,
)
def test_a_wrong_arity_is_refused_at_registration(callback: Any) -> None:
    """Not at the first event, which may come hours later."""
    with pytest.raises(ConfigurationError) as caught:
        register(callback)

    assert (
        f"on_book: {callback_name(callback)} must be callable with exactly one positional argument"
        == str(caught.value)
    )


@pytest.mark.parametrize(
    "callback",
    [
        coroutine,
        async_generator,
        Strategy().handle_async,
        AsyncObject(),
        functools.partial(coroutine),
        functools.partial(AsyncObject()),
    ],
    ids=callback_name,
)
def test_an_async_function_is_refused(callback: Any) -> None:
    """Its coroutine would never be awaited."""
    with pytest.raises(ConfigurationError) as caught:
        register(callback)

    assert (
        f"on_book: {callback_name(callback)} is an async function; callbacks are plain functions "
        "that run on the subscriber's own thread"
    ) == str(caught.value)


def test_a_generator_function_is_refused() -> None:
    """Calling it runs nothing."""
    with pytest.raises(ConfigurationError) as caught:
        register(generator)

    assert "on_book: generator is a generator function; calling it would do nothing" == str(
        caught.value
    )


def test_something_that_is_no_function_is_refused() -> None:
    """An asset id, say, that was meant as a filter."""
    with pytest.raises(ConfigurationError) as caught:
        register("123", "trade")

    assert "on_trade takes a function, not str" == str(caught.value)


@pytest.mark.parametrize("name", ["connect", "disconnect", "frame", "error", "unknown"])
@pytest.mark.parametrize("filters", [{"asset_ids": frozenset("1")}, {"markets": frozenset([M1])}])
def test_a_filter_that_could_never_match_is_refused(name: str, filters: dict[str, Any]) -> None:
    """These have neither asset nor market."""
    with pytest.raises(ConfigurationError) as caught:
        register(show, name, **filters)

    assert f"on_{name} has no asset and no market to filter by" == str(caught.value)


@pytest.mark.parametrize(
    ("callback", "name"),
    [
        (show, "show"),
        (Strategy().handle, "Strategy.handle"),
        (CallableObject(), "CallableObject object"),
        (functools.partial(functools.partial(two, "secret"), 1), "two"),
        (print, "print"),
    ],
    ids=["function", "method", "object", "partial", "builtin"],
)
def test_a_callback_is_named_without_its_repr(callback: Any, name: str) -> None:
    """A repr is user code, and shows the arguments of a partial."""
    assert name == callback_name(callback)


# --- filters -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "matches"),
    [
        ({}, True),
        ({"asset_ids": frozenset("1")}, True),
        ({"asset_ids": frozenset("12")}, True),
        ({"asset_ids": frozenset("2")}, False),
        ({"markets": frozenset([M1])}, True),
        ({"markets": frozenset([M1, M2])}, True),
        ({"markets": frozenset([M2])}, False),
        ({"asset_ids": frozenset("1"), "markets": frozenset([M2])}, False),
        ({"asset_ids": frozenset("2"), "markets": frozenset([M1])}, False),
        ({"asset_ids": frozenset("1"), "markets": frozenset([M1])}, True),
        ({"asset_ids": frozenset()}, False),
    ],
)
def test_a_filter_takes_one_or_several_ids(filters: dict[str, Any], matches: bool) -> None:
    """Asset and market both have to fit; the same rule for events and for live books."""
    registration = register(show, **filters)

    assert matches is registration.matches(book("1", M1))
    assert matches is registration.matches_book("1", M1)


def test_a_market_is_the_same_in_capitals() -> None:
    """Filters are kept in lower case; a server may write its ids otherwise."""
    registration = register(show, markets=frozenset(["0xab"]))

    assert registration.matches(book("1", "0xAB"))
    assert registration.matches_book("1", "0xAb")


def test_a_market_is_the_same_when_it_is_padded() -> None:
    """Filters are kept in the longer spelling; the wire may have either."""
    short = "0x01" + "ab" * 30
    registration = register(show, markets=frozenset([f"{short}00"]))

    assert registration.matches(book("1", short))
    assert registration.matches_book("1", f"{short}00")
    assert not registration.matches_book("1", f"{short}01")


def test_a_price_change_passes_whole_if_any_entry_does() -> None:
    """It may name the twin token besides."""
    registration = register(show, "price_change", asset_ids=frozenset("1"))

    assert [True, True, False, False] == [
        registration.matches(price_change(*ids)) for ids in (("2", "1"), ("1",), ("2",), ())
    ]


def test_events_without_asset_pass_no_asset_filter() -> None:
    """on_event may be filtered: what concerns no asset is left out."""
    unknown = Unknown(channel="market", wire_event_type="x", data={})
    new = NewMarket(id="1", market=M1, timestamp_ms=1, asset_ids=("1", "2"))
    by_asset = register(show, "event", asset_ids=frozenset("2"))
    by_market = register(show, "event", markets=frozenset([M1]))

    assert [False, True, True] == [by_asset.matches(e) for e in (unknown, new, book("2"))]
    assert [False, True, True] == [by_market.matches(e) for e in (unknown, new, book("2"))]


def test_top_only_compares_with_the_last_call_for_that_asset() -> None:
    """Best prices, best sizes and validity count; the time of the last change does not."""
    registration = register(show, "book_update", top_only=True)
    level, larger = Level(Decimal("0.5"), Decimal(1)), Level(Decimal("0.5"), Decimal(2))
    tops = [
        ("1", Top(level, None, 1, True, "unverified"), True),
        ("1", Top(level, None, 2, True, "unverified"), False),
        ("2", Top(level, None, 2, True, "unverified"), True),
        ("1", Top(larger, None, 3, True, "unverified"), True),
        ("1", Top(larger, level, 4, True, "unverified"), True),
        ("1", Top(larger, level, 4, False, "unverified"), True),
        ("1", Top(larger, level, 5, False, "mismatch"), False),
    ]

    shown = [registration.is_news(i, SimpleNamespace(top=top)) for i, top, _ in tops]  # type: ignore[arg-type]  # what it asks of a book
    assert [news for _, _, news in tops] == shown


def test_without_top_only_everything_is_news() -> None:
    """Any level may have changed."""
    registration = register(show, "book_update")
    book = LiveBook(BookCore("1"))

    assert [True, True] == [registration.is_news("1", book) for _ in range(2)]


# --- the collection ------------------------------------------------------------------------------


def test_several_callbacks_of_one_event_stay_in_order() -> None:
    """The same function may be registered twice: it is called twice."""
    callbacks = Callbacks()
    for callback in (show, print, show):
        callbacks.add(Registration("book", callback))
    callbacks.add(Registration("trade", show))

    assert [show, print, show] == [r.callback for r in callbacks["book"]]
    assert () == callbacks["order"]
    assert [show, print, show, show] == [r.callback for r in callbacks.all()]
    assert {"book", "trade"} == callbacks.names()


def test_on_event_hears_every_data_event_after_its_own_callbacks() -> None:
    """Not what happens to connections, not what was missed, and not raw frames."""
    callbacks = Callbacks()
    callbacks.add(Registration("event", print))
    for name in ("book", "connect", "frame", "gap"):
        callbacks.add(Registration(name, show))
    connected = Connected(
        channel="market", connection="c", generation=1, reconnected=False, attempt=1
    )

    frame = Frame(channel="market", text="x")
    gap = Gap(channel="market", connection="c", reason="disconnect")

    heard = [
        [r.callback for r in callbacks.for_event(event)]
        for event in (book(), connected, frame, gap, price_change("1"))
    ]

    assert [[show, print], [show], [show], [show], [print]] == heard
    assert {Connected, Disconnected, Frame, Gap, Resync} == {
        k for k in EVENTS.values() if not k.is_data
    }


def test_a_gap_is_filtered_by_its_assets() -> None:
    """Any of them; that of the user channel has none and passes no filter by asset."""
    gaps = [
        Gap(channel="market", connection="c", reason="disconnect", asset_ids=("1", "2")),
        Gap(channel="market", connection="c", reason="disconnect", asset_ids=("3",)),
        Gap(channel="user", connection="c", reason="disconnect"),
    ]

    assert [[True, False, False], [True, True, True]] == [
        [register(show, "gap", **filters).matches(gap) for gap in gaps]
        for filters in ({"asset_ids": frozenset("2")}, {})
    ]


def test_removing_compares_with_equality() -> None:
    """A bound method is a new object each time it is read; all its registrations go."""
    callbacks = Callbacks()
    strategy = Strategy()
    for name in ("book", "trade"):
        callbacks.add(Registration(name, strategy.handle))
        callbacks.add(Registration(name, show))

    assert (True, False) == (callbacks.remove(strategy.handle), callbacks.remove(strategy.handle))
    assert [show, show] == [r.callback for r in callbacks.all()]
    assert callbacks.remove(show)
    assert frozenset() == callbacks.names()


def test_an_equality_of_the_users_own_may_use_the_collection() -> None:
    """No lock is held while it runs."""
    callbacks = Callbacks()

    class Reentrant:
        def __call__(self, event: Event) -> None: ...

        def __eq__(self, other: object) -> bool:
            callbacks.add(Registration("trade", show))
            return True

        __hash__ = None  # type: ignore[assignment]

    callbacks.add(Registration("book", Reentrant()))

    assert callbacks.remove(print)
    assert {"trade"} == callbacks.names()


# --- a notebook's second run ---------------------------------------------------------------------


def define(source: str, module: str = "__main__") -> Any:
    """What `f` is after a cell with this source was run."""
    namespace: dict[str, Any] = {"__name__": module}
    exec(source, namespace)
    return namespace["f"]


PLAIN = "def f(event): pass"


def replaces(first: str, second: str, module: str = "__main__", **second_filter: Any) -> bool:
    """Whether the second function takes the place of the first."""
    callbacks = Callbacks()
    former, later = define(first, module), define(second, module)
    callbacks.add(Registration("book", former, asset_ids=frozenset("1")))
    callbacks.add(Registration("book", print))
    callbacks.add(Registration("book", later, **{"asset_ids": frozenset("1"), **second_filter}))
    kept = [r.callback for r in callbacks["book"]]
    assert kept in ([former, print, later], [print, later])
    return len(kept) == 2


def test_a_cell_run_twice_replaces_its_function() -> None:
    """The same name in __main__, for the same event with the same filter."""
    assert replaces(PLAIN, PLAIN)
    assert replaces(PLAIN, PLAIN, top_only=True)


def test_a_decorated_function_is_replaced_too() -> None:
    """functools.wraps keeps its name."""
    source = (
        "import functools\n"
        "def timed(g):\n"
        "    @functools.wraps(g)\n"
        "    def inner(event): g(event)\n"
        "    return inner\n"
        "@timed\n"
        "def f(event): pass"
    )

    assert replaces(source, source)


@pytest.mark.parametrize("other", [{"asset_ids": frozenset("2")}, {"markets": frozenset([M1])}])
def test_another_filter_is_another_callback(other: dict[str, Any]) -> None:
    """One function may serve two assets by two registrations."""
    assert not replaces(PLAIN, PLAIN, **other)


def in_cells(*filters: tuple[int | None, str, Any]) -> list[str]:
    """The filters that are left of functions registered in these cells."""
    callbacks = Callbacks()
    for cell, asset_id, function in filters:
        callbacks.add(Registration("book", function, frozenset(asset_id), cell=cell))
    return ["".join(r.asset_ids or ()) for r in callbacks["book"]]


def test_another_filter_in_a_later_cell_replaces_all_former_ones() -> None:
    """A cell was changed, or its filter's value was, and it was run again."""
    former, later = define(PLAIN), define(PLAIN)

    assert ["3"] == in_cells((1, "1", former), (1, "2", former), (2, "3", later))
    assert ["3", "4"] == in_cells((1, "1", former), (2, "3", later), (2, "4", later))


def test_one_function_may_have_several_filters_in_several_cells() -> None:
    """It is the same object: nothing was defined again."""
    function = define(PLAIN)

    assert ["1", "2"] == in_cells((1, "1", function), (2, "2", function))


def test_a_loop_in_one_cell_or_in_a_script_defines_several() -> None:
    """A function for each of several filters."""
    for cell in (None, 1):
        assert ["1", "2"] == in_cells((cell, "1", define(PLAIN)), (cell, "2", define(PLAIN)))
    assert ["1", "2"] == in_cells((None, "1", define(PLAIN)), (1, "2", define(PLAIN)))


def test_in_a_notebook_a_callback_has_the_context_of_its_cell() -> None:
    """Jupyter tells by it which cell a print belongs to. What it sets there is not kept."""
    cell: ContextVar[str] = ContextVar("cell")

    def callback(event: object) -> str:
        found = cell.get("none")
        cell.set("another")
        return found

    cell.set("first")
    in_script, in_cell = Registration("book", callback), Registration("book", callback, cell=1)
    cell.set("second")

    assert ["first", "first"] == [in_cell.call(None), in_cell.call(None)]
    assert callback == in_cell.callback == in_script.call


def test_another_event_is_another_callback() -> None:
    """One function may serve two events."""
    callbacks = Callbacks()
    callbacks.add(Registration("book", define(PLAIN)))
    callbacks.add(Registration("trade", define(PLAIN)))

    assert {"book", "trade"} == callbacks.names()


@pytest.mark.parametrize(
    "source",
    [
        "f = lambda event: None",
        "def make():\n    def f(event): pass\n    return f\nf = make()",
        "class C:\n    def go(self, event): pass\nf = C().go",
        "class C:\n    def __call__(self, event): pass\nf = C()",
        "import functools\ndef g(a, event): pass\nf = functools.partial(g, 1)",
    ],
    ids=["lambda", "local", "method", "object", "partial"],
)
def test_what_a_name_does_not_identify_is_never_replaced(source: str) -> None:
    """Lambdas, local functions, methods of two objects, objects and partials: both are called."""
    assert not replaces(source, source)


def test_functions_of_a_module_are_never_replaced() -> None:
    """A module runs once; two of one name are two."""
    assert not replaces(PLAIN, PLAIN, module="worker")


def test_its_lock_can_be_replaced() -> None:
    """In a forked child, whoever holds it; and it knows its holder."""
    shared = Callbacks()
    [former] = shared.locks
    with former:
        assert holds_any(shared.locks)
        shared.renew_locks()
        assert not holds_any(shared.locks)
    assert [former] != shared.locks

"""`subscriber`: handlers before settings, the Subscriber when it is needed, and signals."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from kit.django_project import NO, PATIENCE, YES

from polymarket_ws import Book, LastTradePrice, Subscriber, running
from polymarket_ws.errors import CallbackError, ConfigurationError
from polymarket_ws.testing import FakeServer, make_last_trade_price

pytest.importorskip("django.core", reason="Django is not installed: the extra [django]")

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.test.utils import override_settings

from polymarket_ws.contrib.django import signals, start_in_worker, subscriber
from polymarket_ws.contrib.django.lazy_subscriber import lazy


@pytest.fixture
def configured(server: FakeServer) -> Iterator[None]:
    """A setting that leads to the server of this test."""
    setting = {"ASSET_IDS": [YES], "OPTIONS": server.options(), "NAME": "shop"}
    with override_settings(POLYMARKET_WS=setting):
        yield


@pytest.fixture
def heard() -> Iterator[queue.Queue[Any]]:
    """What a handler was called with; afterwards no handler is left."""
    before = list(lazy._entries)
    yield queue.Queue()
    for entry in set(lazy._entries) - set(before):
        lazy.remove_callback(entry.handler)
    lazy.forget()


def test_handlers_are_registered_before_the_settings_are_read(heard: queue.Queue[Any]) -> None:
    """A decorator returns its function, and makes no Subscriber of settings that are wrong yet."""
    with override_settings(POLYMARKET_WS={"ASSET_IDS": "wrong"}):

        @subscriber.on_book
        @subscriber.on_last_trade_price(asset_id=YES)
        def store(event: object) -> None: ...

        assert "store" == store.__name__
        assert "<subscriber of POLYMARKET_WS, not made yet>" == repr(subscriber)
        with pytest.raises(ImproperlyConfigured, match=r"POLYMARKET_WS\['ASSET_IDS'\]: asset_ids"):
            _ = subscriber.books
    assert ["on_last_trade_price", "on_book"] == lazy.handler_names[-2:]


def test_a_wrong_handler_is_refused_where_it_stands(heard: queue.Queue[Any]) -> None:
    """As a Subscriber refuses it: async functions, wrong ids, members that do not exist."""

    async def store(event: object) -> None: ...

    with pytest.raises(ConfigurationError, match="store is an async function"):
        subscriber.on_book(store)
    with pytest.raises(ConfigurationError, match="asset_id"):
        subscriber.on_book(asset_id="yes")
    with pytest.raises(AttributeError, match="on_fills"):
        _ = subscriber.on_fills  # type: ignore[attr-defined]  # the point
    assert "on_book" == subscriber.on_book.__name__  # type: ignore[attr-defined]  # a function
    assert "A callback receives a `Book`" in (subscriber.on_book.__doc__ or "")


def test_handlers_are_called_with_their_filters(
    configured: None, server: FakeServer, heard: queue.Queue[Any]
) -> None:
    """Those of before the start, and those registered while it runs; each once."""
    subscriber.on_last_trade_price(partial(heard.put), asset_id=YES)
    subscriber.on_last_trade_price(heard.put, asset_id=NO)
    with subscriber as entered:
        assert entered is subscriber
        subscriber.on_book_update(heard.put)
        subscriber.wait_ready()
        server.settle(lazy.made)
        server.send(make_last_trade_price(YES))
        server.settle(lazy.made)
        assert (True, ("shop",)) == (subscriber.healthy, tuple(one.name for one in running()))
    assert 1 == sum(isinstance(event, LastTradePrice) for event in heard.queue)


def test_a_removed_handler_is_not_called(
    configured: None, server: FakeServer, heard: queue.Queue[Any]
) -> None:
    """remove_callback finds a handler that was registered, before and after the start."""
    subscriber.on_book(heard.put)
    assert subscriber.remove_callback(heard.put)
    subscriber.on_last_trade_price(heard.put)
    with subscriber:
        subscriber.wait_ready()
        assert subscriber.remove_callback(heard.put)
        assert not subscriber.remove_callback(heard.put)
        server.send(make_last_trade_price(YES))
        server.settle(lazy.made)
    assert heard.empty()


def test_a_test_may_override_the_settings(
    configured: None, server: FakeServer, heard: queue.Queue[Any]
) -> None:
    """The Subscriber of other settings is stopped, and handlers go with the new one."""
    subscriber.on_book(heard.put)
    subscriber.start()
    former = lazy.made
    with override_settings(POLYMARKET_WS={"ASSET_IDS": [NO], "OPTIONS": server.options()}):
        assert () == running()
        with subscriber:
            subscriber.wait_ready()
            server.settle(lazy.made)
            assert lazy.made is not former
    assert () == running()
    assert NO in {book.asset_id for book in heard.queue}


@pytest.mark.parametrize("call_handlers", [False, True])
def test_a_worker_has_books_and_calls_handlers_if_asked(
    call_handlers: bool, configured: None, server: FakeServer, heard: queue.Queue[Any]
) -> None:
    """start_in_worker() keeps books live; handlers are left to the command unless it is told."""
    subscriber.on_book(heard.put)
    start_in_worker(call_handlers=call_handlers)
    subscriber.wait_ready()
    server.settle(lazy.made)

    assert subscriber.books[YES].valid
    assert call_handlers is not heard.empty()


def test_a_worker_is_not_started_while_apps_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In AppConfig.ready() it would start in every command: it is refused, with the way out."""
    monkeypatch.setattr(apps, "ready", False)
    monkeypatch.setattr(apps, "loading", True)
    with pytest.raises(ImproperlyConfigured, match="call it in the hook that your server runs"):
        start_in_worker()


def test_callables_are_asked_when_the_subscriber_is_made(
    monkeypatch: pytest.MonkeyPatch, heard: queue.Queue[Any]
) -> None:
    """A query set or a generator of ids will do; credentials of the environment are read here."""
    lazy.forget()
    with override_settings(POLYMARKET_WS={"ASSET_IDS": lambda: (each for each in (YES, NO))}):
        assert {YES, NO} == subscriber.subscriptions.asset_ids
    for name in ("POLYMARKET_API_KEY", "CLOB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with (
        override_settings(POLYMARKET_WS={"CREDENTIALS": "env"}),
        pytest.raises(ImproperlyConfigured, match="set POLYMARKET_API_KEY"),
    ):
        _ = subscriber.books
    with (
        override_settings(POLYMARKET_WS={"ASSETS": [YES]}),
        pytest.raises(ImproperlyConfigured, match="unknown keys: ASSETS"),
    ):
        _ = subscriber.books


def test_a_typed_name_stands_for_the_subscriber() -> None:
    """Each public member of a Subscriber is reached through it."""
    members = {name for name in dir(Subscriber) if not name.startswith("_")}

    with override_settings(POLYMARKET_WS={}):
        assert set() == {name for name in members if not hasattr(subscriber, name)}
    lazy.forget()


def test_signals_tell_what_handlers_hear(
    configured: None, server: FakeServer, heard: queue.Queue[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A receiver filters by the class that is the sender; one that raises is told as a failure."""

    def receive(sender: type, event: object, **_: object) -> None:
        heard.put((sender, event))

    def fail(event: object, **_: object) -> None:
        raise LookupError("no such strategy")

    def note(error: CallbackError, **_: object) -> None:
        heard.put((type(error.cause), error.event))

    signals.event_received.connect(fail, sender=LastTradePrice)
    signals.event_received.connect(receive)
    signals.callback_failed.connect(note)
    with subscriber:
        subscriber.wait_ready()
        server.send(make_last_trade_price(YES))
        server.settle(lazy.made)
        failures = subscriber.stats().callback_errors
    for signal, receiver in (
        (signals.event_received, receive),
        (signals.callback_failed, note),
    ):
        assert signal.disconnect(receiver)
    assert signals.event_received.disconnect(fail, sender=LastTradePrice)

    assert 1 == failures
    told = [heard.get(timeout=PATIENCE)[0] for _ in range(3)]
    assert [Book, LastTradePrice, LookupError] == told

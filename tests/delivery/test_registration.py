"""The on_... members: one signature, as function, decorator, with filters."""

from __future__ import annotations

import functools
import pydoc
import re
from typing import Any

import pytest

from polymarket_ws import Subscriber
from polymarket_ws.delivery.callbacks import Registration
from polymarket_ws.delivery.registrars import Registrars
from polymarket_ws.delivery.registration import On, OnBookUpdate, Registrar
from polymarket_ws.errors import ConfigurationError
from polymarket_ws.events import Book

M = "0x" + "a" * 64


class Followed:
    """Something with on_... members that notes what is registered."""

    on_book = On[Book]("""A callback receives a `Book`.""")
    """Documented on the class."""

    def __init__(self) -> None:
        self.registrations: list[Registration] = []

    on_book_update = OnBookUpdate[Any]("""A callback receives a `LiveBook`.""")

    def _register(self, registration: Registration) -> None:
        self.registrations.append(registration)

    def __repr__(self) -> str:
        return "<Followed>"


@pytest.fixture
def followed() -> Followed:
    """A fresh one."""
    return Followed()


def show(event: object) -> str:
    """A callback."""
    return "shown"


def described(followed: Followed) -> list[tuple[Any, ...]]:
    """What was registered."""
    return [
        (r.name, r.callback, r.asset_ids, r.markets, r.top_only) for r in followed.registrations
    ]


def test_a_function_is_registered_and_given_back(followed: Followed) -> None:
    """sub.on_book(show): the name of the member is the event's."""
    assert show is followed.on_book(show)
    assert [("book", show, None, None, False)] == described(followed)


def test_a_decorator_leaves_the_function_as_it_is(followed: Followed) -> None:
    """With or without parentheses; several may be stacked."""

    @followed.on_book
    @followed.on_book()
    @followed.on_book(asset_id=1)
    def decorated(event: object) -> str:
        return "decorated"

    assert "decorated" == decorated(None)
    assert [
        ("book", decorated, frozenset("1"), None, False),
        ("book", decorated, None, None, False),
        ("book", decorated, None, None, False),
    ] == described(followed)


def test_filters_take_one_id_or_several(followed: Followed) -> None:
    """Besides any callable, a partial for one."""
    partial = functools.partial(print, "book")

    followed.on_book(partial, asset_id=["1", 2], market=M.upper().replace("0X", "0x"))

    assert [("book", partial, frozenset("12"), frozenset([M]), False)] == described(followed)


def test_wrong_ids_are_refused_before_the_function_is_seen(followed: Followed) -> None:
    """The line that is wrong is the decorator's."""
    with pytest.raises(
        ConfigurationError, match=r"^asset_id holds 'a-slug', which looks like a sl"
    ):
        followed.on_book(asset_id="a-slug")
    with pytest.raises(ConfigurationError, match=r"^market holds '7', which looks like a token id"):
        followed.on_book(market="7")
    assert [] == followed.registrations


def test_book_updates_may_be_of_the_top_alone(followed: Followed) -> None:
    """top_only goes with the filters."""
    followed.on_book_update(show)
    followed.on_book_update(top_only=True, asset_id="1")(show)

    assert [
        ("book_update", show, None, None, False),
        ("book_update", show, frozenset("1"), None, True),
    ] == described(followed)


def test_only_book_updates_know_top_only(followed: Followed) -> None:
    """Other events have no top."""
    with pytest.raises(TypeError):
        followed.on_book(show, top_only=True)  # type: ignore[call-overload]


def test_the_callback_is_positional(followed: Followed) -> None:
    """So that its name may be anything, for ever."""
    with pytest.raises(TypeError):
        followed.on_book(callback=show)  # type: ignore[call-overload]


def test_a_member_is_shown_with_its_owner(followed: Followed) -> None:
    """In a notebook; read from the class it is the declaration itself."""
    assert "<on_book of <Followed>>" == repr(followed.on_book)
    assert "<on_book_update of <Followed>>" == repr(followed.on_book_update)
    assert isinstance(Followed.on_book, On)
    assert isinstance(followed.on_book, Registrar)


def test_help_shows_the_signature_and_what_a_callback_receives() -> None:
    """Of the member of a class and of an instance alike."""
    member, text = Followed().on_book, "A callback receives a `Book`."
    for shown in (pydoc.plain(pydoc.render_doc(member)), Followed.on_book.__doc__ or ""):
        assert "on_book(callback=None, /, *, asset_id=None, market=None)" in shown
        assert text in shown
        assert "@sub.on_book(asset_id=YES)" in shown
    assert text in pydoc.plain(pydoc.render_doc(Followed))


@pytest.mark.parametrize(
    "name", sorted(name for name in vars(Registrars) if name.startswith("on_"))
)
def test_help_of_a_member_is_of_that_member(name: str) -> None:
    """Its examples have its name, and filters only where the event has something to filter by."""
    text = getattr(Subscriber, name).__doc__
    is_filtered = name not in ("on_connect", "on_disconnect", "on_error", "on_frame", "on_unknown")

    assert text == getattr(Subscriber(), name).__doc__
    assert {name} == set(re.findall(r"sub\.(\w+)", text))
    assert is_filtered is (f"@sub.{name}(asset_id=YES)" in text) is ("asset_id=None" in text)
    assert ("top_only=False)" in text) is (name == "on_book_update")
    if not is_filtered:
        with pytest.raises(ConfigurationError, match="no asset and no market"):
            getattr(Subscriber(), name)(show, asset_id="1")

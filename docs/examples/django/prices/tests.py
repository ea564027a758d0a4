"""Tests of the handlers: `python manage.py test`."""

from decimal import Decimal

from django.test import TestCase, TransactionTestCase, override_settings

from polymarket_ws.contrib.django import subscriber
from polymarket_ws.testing import FakeServer, make_book, make_last_trade_price

from .models import Print
from .subscriptions import store


class StoreTest(TestCase):
    """A handler is a function: call it with an event."""

    def test_a_trade_becomes_a_row(self) -> None:
        """Within the test's transaction, as any function."""
        store(make_last_trade_price("1", price="0.42"))
        assert [Decimal("0.42")] == [row.price for row in Print.objects.all()]


class StreamTest(TransactionTestCase):
    """The whole way, from a server on this machine to the database.

    The handlers run on a thread with a database connection of its own, which sees nothing of a
    TestCase's transaction; so this is a TransactionTestCase.
    """

    def test_a_streamed_trade_becomes_a_row(self) -> None:
        """`settle` waits until every handler has returned."""
        with FakeServer() as server:
            server.add_book(make_book("1"))
            setting = {"ASSET_IDS": ["1"], "OPTIONS": server.options()}
            with override_settings(POLYMARKET_WS=setting), subscriber:
                subscriber.wait_ready()
                server.send(make_last_trade_price("1", price="0.42"))
                server.settle(subscriber)
                assert Print.objects.count() == 1

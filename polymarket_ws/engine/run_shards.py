"""The shards of one run: which channels it has, how their shards are made, and what is wanted of
each.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import define, field, frozen

from polymarket_ws.account.core import AccountCore
from polymarket_ws.account.listing import Service
from polymarket_ws.account.reconciliation import Reconciliation
from polymarket_ws.books.book import BookCore
from polymarket_ws.books.shelf import Books
from polymarket_ws.channels import clob
from polymarket_ws.channels.dialect import Dialect, Heartbeat
from polymarket_ws.channels.market import MarketDialect, MarketView
from polymarket_ws.channels.user import UserDialect, UserView
from polymarket_ws.channels.view import Reconciled, View
from polymarket_ws.channels.wanted import Wanted
from polymarket_ws.clock import Clock
from polymarket_ws.condition_ids import condition_key
from polymarket_ws.connection.pacing import Pacer
from polymarket_ws.credentials import Credentials
from polymarket_ws.delivery.callbacks import Callbacks
from polymarket_ws.delivery.event_queue import Item
from polymarket_ws.delivery.streams import EventStreams
from polymarket_ws.errors import PolymarketWsError
from polymarket_ws.events import BROADCASTS, CUSTOM_FEATURES, DATA, Event
from polymarket_ws.logs import Log
from polymarket_ws.options import Options
from polymarket_ws.shards.broadcasts import Broadcasts
from polymarket_ws.shards.merge import Merge
from polymarket_ws.shards.partition import Partition
from polymarket_ws.shards.shard import Shard
from polymarket_ws.shards.standby import LeaderView
from polymarket_ws.subscriptions import Subscriptions
from polymarket_ws.waiters import Waiters

logger = Log(__name__)

_BROADCAST_NAMES = frozenset(kind.event_type for kind in BROADCASTS)


@define(eq=False, kw_only=True)
class RunShards:
    """Makes a shard when something is first wanted of it. Made by an Engine, and lives as long.

    `want` is called under the Subscriber's lock, everything else from any thread. `stop` takes no
    lock.
    """

    name: str
    """The subscriber's."""
    options: Options
    credentials: Credentials | None
    callbacks: Callbacks
    streams: EventStreams
    account: AccountCore
    waiters: Waiters
    clock: Clock
    put: Callable[[Sequence[Item]], None]
    """Takes what is to be delivered."""
    fail: Callable[[PolymarketWsError], None]
    on_internal_error: Callable[[str, Exception], object]
    on_end: Callable[[], None]
    """Called on a shard's thread when its connections are closed."""
    books: list[Books] = field(factory=list)
    """Those of each market shard."""
    broadcasts: Broadcasts = field(factory=Broadcasts)
    _markets: frozenset[str] | None = frozenset()
    _partition: Partition = field(init=False)
    _pacer: Pacer = field(factory=Pacer)
    _shards: dict[str, Shard] = field(factory=dict)
    _is_wanted: dict[str, bool] = field(factory=dict)
    _is_stopped: bool = False
    _is_doubled: bool = field(init=False)
    """Whether a market shard may have two connections at a time."""
    _ssl_context: Callable[[], ssl.SSLContext] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._partition = Partition(self.options.max_assets_per_connection)
        self._is_doubled = self.options.standby or self.options.rotate_every is not None
        self._ssl_context = functools.lru_cache(maxsize=1)(self._make_ssl_context)

    def __iter__(self) -> Iterator[Shard]:
        return iter(tuple(self._shards.values()))

    def wanted(self) -> list[Shard]:
        """Those of which something is wanted now."""
        shards = tuple(self._shards.items())
        return [shard for name, shard in shards if self._is_wanted.get(name)]

    def want(self, subscriptions: Subscriptions, cores: Mapping[str, BookCore]) -> None:
        """Subscribe to exactly this.

        Raises:
            OSError, RuntimeError: the system has no descriptor or thread left for another shard.
        """
        self._markets = subscriptions.markets
        for channel in CHANNELS:
            for number, wanted in enumerate(channel.divide(self, cores)):
                name = channel.name if number == 0 else f"{channel.name}-{number + 1}"
                self._want(channel, name, number, wanted)

    def stop(self, reason: str) -> None:
        """Ask all to end, and make no more; the first reason counts."""
        self._is_stopped = True
        for shard in self:
            shard.stop(reason)

    def become_forked(self) -> None:
        """In a forked child: forget them, since they would say that they are open."""
        self._is_stopped = True
        for shard in self:
            shard.become_forked()
        self._shards = {}

    def _want(self, channel: Channel, name: str, number: int, wanted: Wanted) -> None:
        shard = self._shards.get(name)
        if shard is None:
            if wanted.is_empty or self._is_stopped:
                return
            shard = self._make(channel, name, number)
            shard.start()  # first, since whoever finds it in the dict may join it
            self._shards[name] = shard
        shard.want(wanted)
        self._is_wanted[name] = not wanted.is_empty
        if self._is_stopped:  # while this shard was being made
            shard.stop("stopped")

    def _make(self, channel: Channel, name: str, number: int) -> Shard:
        heartbeat = clob.heartbeat(self.options.heartbeat_interval)
        share = functools.partial(self._deliver_share, number)
        return Shard(
            f"{self.name}-{name}",
            *channel.make(self, heartbeat),
            self.options,
            self._ssl_context,
            self._pacer,
            deliver=share if channel.shares_events else self.put,
            fail=self.fail,
            on_internal_error=self.on_internal_error,
            hears=self._hears,
            on_end=self.on_end,
            waiters=self.waiters,
            clock=self.clock,
        )

    def _make_ssl_context(self) -> ssl.SSLContext:
        context = self.options.ssl_context or ssl.create_default_context()
        if context.verify_mode == ssl.CERT_NONE:
            logger.warning(
                "%s: Options.ssl_context verifies no certificate: anybody on the way can read and "
                "change what is sent",
                self.name,
            )
        return context

    def _deliver_share(self, number: int, items: Sequence[Item]) -> None:
        """Put those items of a market shard that no other shard tells."""
        if len(self.books) > 1:
            share = functools.partial(self._partition.share, number)
            shares = (share(item) if isinstance(item, Event) else item for item in items)
            items = [item for item in shares if item is not None]
        # One connection alone repeats a broadcast when the server does, and so do we.
        if len(self.books) > 1 or self._is_doubled:
            items = self.broadcasts.first(items)
        self.put(items)

    def _hears(self) -> frozenset[str]:
        names = self.callbacks.names() | self.streams.names()
        return names | DATA if "event" in names else names

    def _divide_market(self, cores: Mapping[str, BookCore]) -> list[Wanted]:
        names = self.callbacks.names() | self.streams.names()
        custom = self.options.custom_features or bool(names & CUSTOM_FEATURES)
        parts = self._partition.assign(cores, lambda asset_id: cores[asset_id].market_key)
        if not cores and names & _BROADCAST_NAMES:
            return [Wanted(custom_features=True, discovers=True), *(Wanted() for _ in parts[1:])]
        return [Wanted(part, {a: cores[a] for a in part}, custom) for part in parts]

    def _make_market(self, heartbeat: Heartbeat) -> tuple[Dialect, View]:
        books = Books(self.options.verify)
        self.books.append(books)
        view = LeaderView(books, merge=Merge()) if self._is_doubled else MarketView(books)
        return MarketDialect(self.options.market_url, heartbeat), view

    def _divide_user(self, cores: Mapping[str, BookCore]) -> list[Wanted]:
        return [] if self.credentials is None else [Wanted(self._markets)]

    def _make_user(self, heartbeat: Heartbeat) -> tuple[Dialect, View]:
        assert self.credentials is not None  # or nothing is wanted of it
        dialect = UserDialect(self.options.user_url, heartbeat, self.credentials)
        service = self._account_service(self.credentials)
        if service is None:
            return dialect, UserView(account=self.account)
        plan = Reconciliation(
            self.account,
            self.options.rest_staleness,
            started_at=self.clock.wall_ns() / 1e9,
            is_wanted=self._is_market_wanted,
        )
        reconciled = Reconciled(plan, service)
        return dialect, UserView(
            account=self.account, reconciled=reconciled, is_complete_once_open=False
        )

    def _is_market_wanted(self, market: str | None) -> bool:
        return self._markets is None or market is None or condition_key(market) in self._markets

    def _account_service(self, credentials: Credentials) -> Service | None:
        """Who lists the account over REST; None, and a word about it, when nobody can."""
        if not self.options.reconcile:
            return None
        if credentials.address is None:
            lacking = "the signer's address: Credentials(..., address=...)"
        else:
            try:
                from polymarket_ws.rest.clob import ClobAccount
            except ImportError:
                lacking = "an extra: pip install 'polymarket-ws[rest]'"
            else:
                return ClobAccount(
                    credentials,
                    credentials.address,
                    credentials.funder or credentials.address,
                    self.options,
                    wall=lambda: self.clock.wall_ns() / 1e9,
                )
        logger.warning(
            "%s: own orders and trades from before the start and from an outage stay unknown, and "
            "account.complete False: REST, which knows them, needs %s",
            self.name,
            lacking,
        )
        return None


@frozen
class Channel:
    """What a run has to know of a channel; all else is its dialect and its view."""

    name: str
    divide: Callable[[RunShards, Mapping[str, BookCore]], list[Wanted]]
    """What is wanted of each of its shards, given the books of the subscribed assets."""
    make: Callable[[RunShards, Heartbeat], tuple[Dialect, View]]
    """A dialect and a view for one more shard."""
    shares_events: bool
    """Whether its shards receive each other's events, of which each is delivered once."""


# The user channel first, since many market shards take turns to connect.
CHANNELS = (
    Channel("user", RunShards._divide_user, RunShards._make_user, shares_events=False),
    Channel("market", RunShards._divide_market, RunShards._make_market, shares_events=True),
)

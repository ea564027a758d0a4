"""Subscribers as Prometheus metrics, made at each scrape. Needs the extra [prometheus]."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from polymarket_ws import LiveBook, State, Subscriber, running
from polymarket_ws.errors import ConfigurationError

__all__ = ["SubscriberCollector"]

_SUBSCRIBER = ("subscriber",)
_CONNECTION = ("subscriber", "connection", "channel")
_ASSET = ("subscriber", "asset_id")

_CONNECTION_STATES = ("idle", "connecting", "open", "waiting", "closed")
_INTEGRITIES = ("verified", "unverified", "mismatch")

# Fields of Stats that count since start(), and what each counts.
_COUNTERS = {
    "decode_errors": "Elements of messages that were not understood.",
    "slow_path": "Texts of the frequent kinds whose fields the fast path does not know.",
    "notices": "Texts of the server such as INVALID OPERATION.",
    "duplicates": "Own orders and trades that the channel told again.",
    "late": "Own orders and trades that a later message had overtaken.",
    "late_changes": "Level changes older than their book's snapshot, not applied.",
    "held_overflows": "Level changes before a book's snapshot that were too many to keep.",
    "gaps": "Gaps of connections; what a queue drops is in dropped_total.",
    "resyncs": "Ends of those gaps.",
    "reconciliations": "Times that own orders and trades were found complete by REST.",
    "rest_failures": "Listings over REST that brought no answer that could be used.",
    "failovers": "Times that a standby took over.",
    "probes": "Times that fresh snapshots were fetched to settle a suspicion.",
    "hash_checks": "Books compared with the server's hash.",
    "hash_mismatches": "Times that a book began to differ from its hash.",
    "unverifiable": "Hashes that could not be checked.",
    "refresh_mismatches": "Refreshes whose levels no change had told.",
    "broadcast_duplicates": "Copies of a broadcast that came over further connections.",
    "top_mismatches": "Times that a book's best prices began to differ from the server's.",
    "reconnects": "Connections after the first of each name.",
    "internal_errors": "Exceptions that polymarket_ws did not foresee.",
    "callback_errors": "Exceptions that callbacks raised.",
    "dropped": "Market-data events dropped because queue_limit were waiting.",
    "discarded": "Events and changed books that were queued at stop().",
    "stream_dropped": "Market-data events dropped by events() iterators read too slowly.",
    "coalesced": "Connects, disconnects, gaps and resyncs dropped since many were waiting.",
}
_GAUGES = {
    "queue_depth": "Events waiting for their callbacks.",
    "queue_high_water": "The most events that ever waited since start().",
    "pending": "Events waiting for their callbacks, the one being handled included.",
}


class SubscriberCollector(Collector):
    """Prometheus metrics of Subscribers. Made by a program, and registered by it:

        REGISTRY.register(SubscriberCollector())

    It keeps nothing and starts nothing: at each scrape, on the thread that scrapes, it reads
    `Subscriber.stats()` and `Subscriber.books`. Counters begin at 0 with each start() of a
    subscriber, which Prometheus takes for the restart that it is.

    Args:
        subscribers: Which ones, by different names; None is those that are `running()` at the
            scrape. One that failed or was stopped is told of only where it is named here.
        per_asset: Tell the validity and the age of each book as well: two series for each asset.
            Without it no label grows with the number of assets.
        prefix: What each metric's name begins with.

    Raises:
        ConfigurationError: no list of Subscribers, or two of them have the same name.
    """

    def __init__(
        self,
        subscribers: Iterable[Subscriber] | None = None,
        *,
        per_asset: bool = False,
        prefix: str = "polymarket_ws",
    ) -> None:
        self._subscribers = None if subscribers is None else _checked(subscribers)
        self._per_asset = per_asset
        self._prefix = prefix
        twice = Counter(subscriber.name for subscriber in self._subscribers or ())
        if twice and max(twice.values()) > 1:
            name = max(twice, key=twice.__getitem__)
            raise ConfigurationError(
                f"two subscribers are called {name!r}, so their metrics could not be told apart: "
                "give them names, Subscriber(..., name=...)"
            )

    def describe(self) -> Iterator[Metric]:
        """The metrics without their values, which registering asks for."""
        return iter(_Families(self._prefix, self._per_asset))

    def collect(self) -> Iterator[Metric]:
        """The metrics with their present values."""
        families = _Families(self._prefix, self._per_asset)
        subscribers = running() if self._subscribers is None else self._subscribers
        for subscriber in subscribers:
            families.add(subscriber)
        return iter(families)


def _checked(subscribers: object) -> tuple[Subscriber, ...]:
    if not isinstance(subscribers, Iterable) or isinstance(subscribers, str):
        raise ConfigurationError("pass a list of Subscribers: SubscriberCollector([sub])")
    return tuple(subscribers)


class _Families:
    """The metrics of one scrape."""

    def __init__(self, prefix: str, per_asset: bool) -> None:
        self._prefix = prefix
        self._per_asset = per_asset
        self._all: list[Metric] = []

        gauge, counter = self._gauge, self._counter
        self.state = gauge("state", "1 for its present state.", (*_SUBSCRIBER, "state"))
        self.healthy = gauge("healthy", "1 while all is connected and every book is live.")
        self.uptime = gauge("uptime_seconds", "Since start().")
        self.events = counter(
            "events", "Events received, delivered or not.", (*_SUBSCRIBER, "event_type")
        )
        self.counters = {name: counter(name, text) for name, text in _COUNTERS.items()}
        self.gauges = {name: gauge(name, text) for name, text in _GAUGES.items()}

        self.books = gauge("books_subscribed", "Subscribed books.")
        self.missing = gauge("books_missing", "Subscribed books that are not live.")
        self.stale = gauge("books_stale", "Books not live, by reason.", (*_SUBSCRIBER, "reason"))
        self.integrity = gauge(
            "books_integrity", "Books by the outcome of their check.", (*_SUBSCRIBER, "integrity")
        )
        self.oldest = gauge(
            "books_oldest_age_seconds", "Since anything arrived for the quietest live book."
        )
        if per_asset:
            self.valid = gauge("book_valid", "1 while the book is live.", _ASSET)
            self.age = gauge("book_age_seconds", "Since anything arrived for the book.", _ASSET)

        self.connection_state = gauge(
            "connection_state", "1 for its present state.", (*_CONNECTION, "state")
        )
        self.attempt = gauge(
            "connection_attempt", "Attempts since it was last open; 0 while open.", _CONNECTION
        )
        self.generations = counter(
            "connection_generations", "Connections that this name has had.", _CONNECTION
        )
        self.messages = counter("connection_messages", "Texts received.", _CONNECTION)
        self.received = counter(
            "connection_received_bytes", "Bytes received, after TLS.", _CONNECTION
        )
        self.data_age = gauge(
            "connection_last_data_age_seconds", "Since the last data; PONG is none.", _CONNECTION
        )
        self.round_trip = gauge(
            "connection_last_round_trip_seconds", "From a PING to its PONG.", _CONNECTION
        )

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._all)

    def add(self, subscriber: Subscriber) -> None:
        stats, name = subscriber.stats(), subscriber.name
        _add_choice(self.state, (name,), State, stats.state)
        self.healthy.add_metric((name,), subscriber.healthy)
        self.uptime.add_metric((name,), stats.uptime)
        for event_type, count in stats.events.items():
            self.events.add_metric((name, event_type), count)
        for field, counter in self.counters.items():
            counter.add_metric((name,), getattr(stats, field))
        for field, gauge in self.gauges.items():
            gauge.add_metric((name,), getattr(stats, field))
        self._add_books(name, subscriber.books)

        for connection in stats.connections:
            labels = (name, connection.connection, connection.channel)
            _add_choice(self.connection_state, labels, _CONNECTION_STATES, connection.state)
            self.attempt.add_metric(labels, connection.attempt)
            self.generations.add_metric(labels, connection.generation)
            self.messages.add_metric(labels, connection.total_messages)
            self.received.add_metric(labels, connection.total_bytes)
            _add_known(self.data_age, labels, connection.last_data_age)
            _add_known(self.round_trip, labels, connection.last_round_trip)

    def _add_books(self, name: str, books: Mapping[str, LiveBook]) -> None:
        reasons: Counter[str] = Counter()
        integrities = Counter(dict.fromkeys(_INTEGRITIES, 0))
        oldest: float | None = None
        for asset_id, book in books.items():
            reason, age = book.stale_reason, book.age
            integrities[book.integrity] += 1
            if reason is not None:
                reasons[reason] += 1
            elif age is not None:
                oldest = age if oldest is None else max(oldest, age)
            if self._per_asset:
                self.valid.add_metric((name, asset_id), reason is None)
                _add_known(self.age, (name, asset_id), age)
        self.books.add_metric((name,), integrities.total())
        self.missing.add_metric((name,), reasons.total())
        for reason, count in reasons.items():
            self.stale.add_metric((name, reason), count)
        for integrity, count in integrities.items():
            self.integrity.add_metric((name, integrity), count)
        _add_known(self.oldest, (name,), oldest)

    def _gauge(
        self, name: str, text: str, labels: tuple[str, ...] = _SUBSCRIBER
    ) -> GaugeMetricFamily:
        family = GaugeMetricFamily(f"{self._prefix}_{name}", text, labels=labels)
        self._all.append(family)
        return family

    def _counter(
        self, name: str, text: str, labels: tuple[str, ...] = _SUBSCRIBER
    ) -> CounterMetricFamily:
        family = CounterMetricFamily(f"{self._prefix}_{name}", text, labels=labels)
        self._all.append(family)
        return family


def _add_choice(
    family: GaugeMetricFamily, labels: tuple[str, ...], choices: Iterable[str], present: str
) -> None:
    """1 for the present one, 0 for the others."""
    for choice in dict.fromkeys((*map(str, choices), str(present))):
        family.add_metric((*labels, choice), choice == present)


def _add_known(family: GaugeMetricFamily, labels: tuple[str, ...], value: float | None) -> None:
    if value is not None:
        family.add_metric(labels, value)

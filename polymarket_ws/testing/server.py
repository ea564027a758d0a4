"""A Polymarket-like WebSocket server on the loopback interface, for tests and the demo."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Literal

from polymarket_ws.credentials import Credentials
from polymarket_ws.events import OWN, Book, Event
from polymarket_ws.options import Options

from .admission import Admission
from .certificate import loopback_contexts
from .exchange import SimulatedExchange
from .faults import ConnectFault, Faults
from .gamma import Gamma
from .http_messages import Answer, HttpRequest
from .loop import ServerLoop
from .manners import Close, Manners, Reset, event_text, kind_of, snapshot_text, wants
from .peer import Peer
from .record import ConnectionRecord
from .rest_answers import RestAnswers, RestRequest, RestStyle
from .settling import ObservedSubscriber, Settling
from .simulated_market import Wire
from .snapshots import Snapshots

Channel = Literal["market", "user"]
Sendable = Event | Wire | Sequence[Event | Wire] | str | bytes

_MOST_STEPS_AT_ONCE = 200  # of a paced exchange that fell behind, so that sockets are still served


class FakeServer:
    """A real WebSocket server, ws:// or wss://, with the manners and the faults of Polymarket's.

    Made by a test (or by the fixture `polymarket_server`), used as a context manager; it lives in
    one daemon thread between `start` and `stop`. Every method may be called from any thread, takes
    what clients have sent so far first, and has done its work when it returns. It is written
    against the protocol and serves any client. On the same port it answers over HTTP: requests for
    market data (`gamma_url`), and those for books and the user's orders, trades and positions
    (`rest_url`, `data_url`), from the same exchange.

        with FakeServer() as server, Subscriber(["1"], options=server.options()) as sub:
            server.send(make_book("1", bids=[("0.4", "10")]))
            server.settle(sub)                       # every callback has handled all that was sent
            assert sub.books["1"].best_bid == Decimal("0.4")

    Without an exchange it remembers the last book of each asset that was sent, and answers
    subscriptions with it. With one it answers from the exchange's present state; `play` lets the
    exchange act and sends what came of it.

    Args:
        exchange: Where books come from; None: from `send` and `add_book`.
        tls: Serve wss:// with a throw-away certificate, which `options` trusts.
        credentials: Whom the user channel and REST let in, REST by its signature; None: on the
            channel anyone who shows three texts, in REST anyone who shows the exchange's `api_key`.
        max_assets_per_connection: Serve the first so many assets of each market connection; of
            those beyond it silently nothing comes. An unsubscribed one makes room for the next.
        connects_per_second: Answer handshakes beyond so many within one second with HTTP 429 and
            Retry-After 1.
    """

    def __init__(
        self,
        exchange: SimulatedExchange | None = None,
        tls: bool = False,
        *,
        credentials: Credentials | None = None,
        max_assets_per_connection: int | None = None,
        connects_per_second: int | None = None,
    ) -> None:
        self.exchange = exchange
        self._snapshots = Snapshots()
        self._manners = Manners(self._snapshot, credentials, max_assets_per_connection)
        self._server_tls: ssl.SSLContext | None = None
        self._client_tls: ssl.SSLContext | None = None
        if tls:
            self._server_tls, self._client_tls = loopback_contexts()
        self.faults = Faults(
            lambda function: self._loop.call(function),
            self._release_answers,
        )
        self._admission = Admission(connects_per_second)
        self._gamma = Gamma(
            lambda: self.exchange.gamma_markets() if self.exchange else (), self.faults.take_gamma
        )
        self._rest = RestAnswers(
            lambda: self.exchange,
            self._snapshot,
            self.play,
            credentials,
            self.faults.of_rest,
            time.time,
        )
        self._loop = ServerLoop(
            self.faults,
            self._receive,
            self._tick,
            self._admit,
            self._server_tls,
            answer=self._answer,
        )
        self._step_seconds: float | None = None
        self._next_step_at = 0.0
        self._freeze_new = False

    # Life.

    def start(self) -> FakeServer:
        """Listen on a free port and serve; RuntimeError when it runs already."""
        if self._loop.running:
            raise RuntimeError("the fake server runs already")
        self._loop.start()
        return self

    def stop(self, timeout: float = 5.0) -> None:
        """Close every connection with 1001 and end the thread; a no-op while it does not run."""
        self._loop.stop(timeout)

    def __enter__(self) -> FakeServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """Its TCP port on 127.0.0.1; it stays the same while it runs."""
        if not self._loop.port:
            raise RuntimeError("the fake server was not started")
        return self._loop.port

    def url(self, channel: Channel = "market") -> str:
        """Where a channel is."""
        return f"{'wss' if self._server_tls else 'ws'}://127.0.0.1:{self.port}/ws/{channel}"

    @property
    def gamma_url(self) -> str:
        """Where `polymarket_ws.lookup.find_assets` finds its markets: those of the exchange, and
        what `add_market` added.
        """
        return f"{'https' if self._server_tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def rest_url(self) -> str:
        """Where books and the user's orders and trades are asked for."""
        return self.gamma_url

    @property
    def data_url(self) -> str:
        """Where positions are asked for."""
        return self.gamma_url

    @property
    def rest_style(self) -> RestStyle:
        """How its REST answers look; set the fields at any time."""
        return self._rest.style

    def options(self, **overrides: Any) -> Options:
        """Options that lead a Subscriber here, past any proxy; `overrides` win."""
        ours = {
            "market_url": self.url("market"),
            "user_url": self.url("user"),
            "rest_url": self.rest_url,
            "data_url": self.data_url,
            "gamma_url": self.gamma_url,
            "ssl_context": self._client_tls,
            "trust_env": False,
        }
        return Options(**{**ours, **overrides})

    # What it sends.

    def add_book(self, book: Book | Wire) -> None:
        """Answer subscriptions of an asset with this book from now on, without sending it now."""
        wire = _to_wire(book)
        self._loop.call(lambda: self._snapshots.remember(wire))

    def add_market(self, market: Wire) -> None:
        """Answer requests for market data with this market too, in the shape of Gamma's JSON; it
        takes the place of another of the same slug.
        """
        self._loop.call(lambda: self._gamma.add(market))

    def send(self, event: Sendable, channel: Channel = "market") -> int:
        """Send an event to whoever is subscribed to it, and remember a book.

        Args:
            event: An event value or a dict in the wire's shape goes to the connections that the
                protocol sends it to: of its asset, of its market, or, without either, all of
                `channel`. A list goes out as one array, without the elements that a connection did
                not subscribe. A str or bytes goes out untouched as one text message to all of
                `channel`.
            channel: See there; only connections whose subscription was accepted count.

        Returns:
            To how many connections it went.
        """
        if isinstance(event, (str, bytes)):
            raw = event
            return self._loop.call(lambda: self._send_all(raw, channel))
        if isinstance(event, (Event, dict)):
            wire = _to_wire(event)
            return self._loop.call(lambda: self._publish_one(wire, channel))
        wires = [_to_wire(item) for item in event]
        return self._loop.call(lambda: self._send_array(wires, channel))

    def send_delayed(self) -> int:
        """End `faults.disorder`, and send what faults hold back; returns how many events."""

        def run() -> int:
            late = self.faults.end_disorder()
            self._publish(late)
            return len(late)

        return self._loop.call(run)

    def publish(self, events: Sequence[Event | Wire]) -> None:
        """Send events one by one, each as its own message."""
        wires = [_to_wire(event) for event in events]
        self._loop.call(lambda: self._publish(wires))

    def play(self, act: int | Callable[[SimulatedExchange], list[Wire]] = 1) -> list[Wire]:
        """Let the exchange act, in the server's thread, and send what came of it.

            server.play(100)                                        # seeded steps
            server.play(lambda exchange: exchange.trade(yes, "BUY", "5"))

        Args:
            act: How many seeded steps, or what to do with the exchange.

        Returns:
            The events, in order.
        """
        exchange = self._exchange()
        do = act if callable(act) else lambda exchange: exchange.steps(act)

        def run() -> list[Wire]:
            self._rest.note()
            events = do(exchange)
            self._publish(events)
            return events

        return self._loop.call(run)

    def run(self, rate: float = 20.0) -> None:
        """Play seeded steps in the background, `rate` of them a second, until `pause` or `stop`."""
        self._exchange()
        if rate <= 0:
            raise ValueError(f"rate must be above 0, not {rate!r}")

        def begin() -> None:
            self._step_seconds, self._next_step_at = 1 / rate, time.monotonic()

        self._loop.call(begin)

    def pause(self) -> None:
        """End what `run` began."""
        self._loop.call(lambda: setattr(self, "_step_seconds", None))

    # What it does to open connections. `only` names one, `channel` those of one channel, else all.

    def disconnect(
        self,
        code: int | None = None,
        reason: str = "",
        *,
        channel: Channel | None = None,
        only: ConnectionRecord | None = None,
    ) -> int:
        """End connections: with a close frame, or, without a code, with a TCP reset."""

        def act(link: Peer) -> None:
            if code is None:
                link.reset()
            else:
                link.send_close(code, reason, time.monotonic())

        return self._each(act, channel, only)

    def end(self, *, channel: Channel | None = None, only: ConnectionRecord | None = None) -> int:
        """End connections without a close frame: the client reads the end of the stream."""
        return self._each(lambda link: link.end(time.monotonic()), channel, only)

    def freeze(
        self,
        *,
        new_too: bool = False,
        channel: Channel | None = None,
        only: ConnectionRecord | None = None,
    ) -> int:
        """Send no more data, while PING is still answered: the known silent freeze. Data is lost.

        Args:
            new_too: Freeze connections to come, too, their snapshots included.
            channel: Only connections of this channel.
            only: Only this connection.
        """
        self._loop.call(lambda: setattr(self, "_freeze_new", self._freeze_new or new_too))
        return self._each(lambda link: setattr(link.record, "frozen", True), channel, only)

    def thaw(self) -> None:
        """End every freeze; what happened meanwhile is not sent again."""
        self._loop.call(lambda: setattr(self, "_freeze_new", False))
        self._each(lambda link: setattr(link.record, "frozen", False), None, None)

    def stop_answering_pings(
        self, *, channel: Channel | None = None, only: ConnectionRecord | None = None
    ) -> int:
        """Leave PING unanswered; data goes on."""
        return self._each(lambda link: setattr(link.record, "answers_pings", False), channel, only)

    def half_open(
        self, *, channel: Channel | None = None, only: ConnectionRecord | None = None
    ) -> int:
        """Neither read nor write any more, and keep the sockets: a peer gone without a word."""
        return self._each(lambda link: setattr(link, "deaf", True), channel, only)

    def stall(
        self,
        text: str = '{"event_type":"book", "asset_id":"1"}',
        *,
        channel: Channel | None = None,
        only: ConnectionRecord | None = None,
    ) -> int:
        """Send the first half of a text's frame and then nothing at all, PONG included."""
        return self._each(lambda link: link.send_half(text), channel, only)

    def flood(
        self,
        event: Event | Wire | str,
        *,
        channel: Channel | None = None,
        only: ConnectionRecord | None = None,
    ) -> int:
        """Send one event again and again, as fast as each socket takes it, until `stop_flood`."""
        text = event if isinstance(event, str) else event_text(_to_wire(event))
        return self._each(lambda link: link.flood(text), channel, only)

    def stop_flood(self) -> None:
        """End what `flood` began."""
        self._each(lambda link: link.flood(None), None, None)

    def send_bytes(
        self,
        data: bytes,
        *,
        channel: Channel | None = None,
        only: ConnectionRecord | None = None,
    ) -> int:
        """Write raw bytes to the stream between two frames, such as one of `faults.BAD_FRAMES`."""
        return self._each(lambda link: link.send_bytes(data), channel, only)

    def stop_listening(self) -> None:
        """Close the listening socket, so that connecting is refused; open connections stay."""
        self._loop.call(self._loop.stop_listening)

    def listen_again(self) -> None:
        """Undo `stop_listening`, on the same port."""
        self._loop.call(self._loop.listen)

    # What it saw.

    @property
    def connections(self) -> tuple[ConnectionRecord, ...]:
        """Every connection ever accepted, oldest first, the ended and refused ones too."""
        return tuple(self._loop.records)

    @property
    def rest_requests(self) -> tuple[RestRequest, ...]:
        """Every request to REST that was answered, oldest first, without headers."""
        return tuple(self._rest.requests)

    def open_connections(self, channel: Channel | None = None) -> tuple[ConnectionRecord, ...]:
        """Those that are open and whose subscription was accepted."""
        return tuple(
            r for r in self.connections if r.open and r.ready and channel in (None, r.channel)
        )

    def wait_for_connection(
        self, channel: Channel = "market", timeout: float = 10.0
    ) -> ConnectionRecord:
        """Wait for a subscribed connection and return the newest; TimeoutError if none."""
        if not self.wait_until(lambda: bool(self.open_connections(channel)), timeout):
            raise TimeoutError(f"no subscribed {channel} connection within {timeout:g} s")
        return self.open_connections(channel)[-1]

    def wait_until(self, predicate: Callable[[], bool], timeout: float = 10.0) -> bool:
        """Wait until a predicate holds; evaluated in this thread after each progress.

        Returns:
            False when it did not within `timeout` seconds.
        """
        return self._loop.wait_until(predicate, timeout)

    def settle(self, subscriber: ObservedSubscriber, timeout: float = 5.0) -> None:
        """Wait until a subscriber has received all it was sent, and every callback returned.

        Covered is what was sent before the call and, on a connection that is still being made, the
        answer to its subscription.

        Raises:
            TimeoutError: the sentence says what is missing.
        """
        Settling(self, subscriber).wait(timeout)

    # In the server's thread.

    def _receive(self, link: Peer, text: str) -> None:
        record = link.record
        record.frozen = record.frozen or self._freeze_new
        user_subscription = record.channel == "user" and not record.ready and text != "PING"
        if user_subscription and self.faults.take_bad_credentials():
            link.reset()
            return
        for reply in self._manners.receive(text, record):
            if isinstance(reply, str):
                link.send_text(reply)
            elif isinstance(reply, Close):
                link.send_close(reply.code, reply.reason, time.monotonic())
            elif isinstance(reply, Reset):
                link.reset()

    def _answer(self, request: HttpRequest) -> Answer | None:
        return self._gamma.answer(request) or self._rest.answer(request)

    def _release_answers(self) -> None:
        for link in self._loop.links:
            link.release()

    def _admit(self) -> ConnectFault | None:
        return self._admission.judge(time.monotonic())

    def _tick(self, now: float) -> float | None:
        if self._step_seconds is None or self.exchange is None:
            return None
        for _ in range(_MOST_STEPS_AT_ONCE):
            if now < self._next_step_at:
                break
            self._next_step_at += self._step_seconds
            self._rest.note()
            self._publish(self.exchange.step())
        else:
            self._next_step_at = now
        return self._next_step_at

    def _snapshot(self, asset_id: str) -> Wire | None:
        if self.exchange is not None:
            return self.exchange.snapshot(asset_id)
        return self._snapshots.answer(asset_id)

    def _publish(self, events: Sequence[Wire]) -> None:
        for event in events:
            self._publish_one(event, "market")
        self._rest.note()

    def _publish_one(self, event: Wire, channel: Channel) -> int:
        if self.exchange is None:
            self._snapshots.remember(event)
        return sum(self._deliver(sent, channel) for sent in self.faults.apply(event))

    def _deliver(self, event: Wire, channel: Channel) -> int:
        kind = kind_of(event)
        names_whom = any(name in event for name in ("asset_id", "price_changes", "assets_ids"))
        if not (names_whom or kind.is_broadcast or kind in OWN):
            return self._send_all(event_text(event), channel)
        text = event_text(event)
        takers = (link for link in self._loop.links if wants(link.record, event))
        return sum(_send_data(link, text) for link in takers)

    def _send_all(self, text: str | bytes, channel: Channel) -> int:
        takers = (k for k in self._loop.links if k.record.ready and k.record.channel == channel)
        return sum(_send_data(link, text) for link in takers)

    def _send_array(self, events: list[Wire], channel: Channel) -> int:
        if self.exchange is None:
            for event in events:
                self._snapshots.remember(event)
        count = 0
        for link in self._loop.links:
            wanted = [event for event in events if wants(link.record, event)]
            if wanted or (not events and link.record.channel == channel and link.record.ready):
                count += _send_data(link, snapshot_text(wanted))
        return count

    def _each(
        self, act: Callable[[Peer], None], channel: Channel | None, only: ConnectionRecord | None
    ) -> int:
        def run() -> int:
            chosen = [
                link
                for link in self._loop.links
                if channel in (None, link.record.channel) and only in (None, link.record)
            ]
            for link in chosen:
                act(link)
            return len(chosen)

        return self._loop.call(run)

    def _exchange(self) -> SimulatedExchange:
        if self.exchange is None:
            raise RuntimeError("this fake server has no exchange: FakeServer(SimulatedExchange())")
        return self.exchange


def _send_data(link: Peer, text: str | bytes) -> bool:
    return not link.record.frozen and link.send_text(text)


def _to_wire(event: Event | Wire) -> Wire:
    return event.to_dict() if isinstance(event, Event) else event

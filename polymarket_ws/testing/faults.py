"""Scripted faults: what goes wrong with connections to come and events to be sent."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from attrs import define, field, frozen

from .gamma import GammaFault
from .rest_faults import Act, Lag, RestFault, RestFaults
from .simulated_market import Wire

_T = TypeVar("_T")
RunInServer = Callable[[Callable[[], _T]], _T]

BAD_FRAMES: Mapping[str, bytes] = {
    "masked": b"\x81\x82\x01\x02\x03\x04\x69\x6b",
    "rsv1": b"\xc1\x02{}",
    "bad_opcode": b"\x83\x00",
    "bad_utf8": b"\x81\x02\xc3\x28",
    "fragmented_ping": b"\x09\x00",
    "long_ping": b"\x89\x7e\x00\x7e" + bytes(126),
    "lone_continuation": b"\x80\x02{}",
    "one_byte_close": b"\x88\x01\x03",
    "bad_close_code": b"\x88\x02\x03\xed",
    "huge_length": b"\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff",
}
"""Frames that break RFC 6455, for `FakeServer.send_bytes`."""


@frozen
class ConnectFault:
    """What happens to one connection instead of being served."""

    kind: Literal["refuse", "hang", "hang_tls", "drip", "reject"]
    status: int = 0
    headers: Mapping[str, str] = field(factory=dict)
    seconds_per_byte: float = 0.0


@frozen
class _DeltaFault:
    kind: Literal["lose", "double", "delay"]
    event_type: str
    nth: int
    by: int = 0


@frozen
class _Disorder:
    event_types: tuple[str, ...]
    double: float
    delay: float
    by: int
    random: random.Random


@define(eq=False)
class Faults:
    """What shall go wrong next; `FakeServer.faults`. Callable from any thread, at any time.

    Connect faults are used up one by one, in the order they were asked for, by the connections
    that are accepted from then on, requests over HTTP included (but `reject` waits for a
    handshake); with `times=None` the last one stays until `clear()`.

        server.faults.reject(429, {"Retry-After": "2"}, times=3)
        server.faults.lose("price_change", nth=2)
        server.faults.clear()

    What goes wrong with a connection that is open is a method of the server: `disconnect`, `end`,
    `freeze`, `stop_answering_pings`, `half_open`, `stall`, `flood`, `send_bytes`.
    """

    _run: RunInServer[Any]
    _release_answers: Callable[[], None]
    _connects: deque[ConnectFault] = field(factory=deque)
    _standing: ConnectFault | None = None
    _deltas: list[_DeltaFault] = field(factory=list)
    _held: list[tuple[int, Wire]] = field(factory=list)
    _disorder: _Disorder | None = None
    _bad_credentials: int = 0
    _gamma: deque[GammaFault] = field(factory=deque)
    _standing_gamma: GammaFault | None = None
    of_rest: RestFaults = field(factory=RestFaults)
    """For the server's thread."""

    def refuse(self, times: int | None = 1) -> None:
        """Accept and reset at once. (`FakeServer.stop_listening` makes connecting itself fail.)"""
        self._next(ConnectFault("refuse"), times)

    def hang(self, times: int | None = 1) -> None:
        """Accept TCP and never say anything."""
        self._next(ConnectFault("hang"), times)

    def hang_in_tls(self, times: int | None = 1) -> None:
        """Read the client's TLS greeting and never answer it (like `hang` without TLS)."""
        self._next(ConnectFault("hang_tls"), times)

    def drip(self, seconds_per_byte: float = 0.2, times: int | None = 1) -> None:
        """Send the handshake's answer byte by byte."""
        self._next(ConnectFault("drip", seconds_per_byte=seconds_per_byte), times)

    def reject(
        self, status: int, headers: Mapping[str, str] | None = None, times: int | None = 1
    ) -> None:
        """Answer the handshake with an HTTP status (429 with Retry-After, 301 with Location)."""
        self._next(ConnectFault("reject", status=status, headers=dict(headers or {})), times)

    def bad_credentials(self, times: int = 1) -> None:
        """Treat the next user subscriptions as wrongly signed: a reset without a text."""
        self._run(lambda: setattr(self, "_bad_credentials", times))

    def lose(self, event_type: str = "price_change", nth: int = 1) -> None:
        """Drop the `nth` event of a type from now on, for all connections."""
        self._next_delta(_DeltaFault("lose", event_type, nth))

    def double(self, event_type: str = "price_change", nth: int = 1) -> None:
        """Send the `nth` event of a type twice."""
        self._next_delta(_DeltaFault("double", event_type, nth))

    def delay(self, event_type: str = "price_change", nth: int = 1, by: int = 1) -> None:
        """Send the `nth` event of a type only after the `by` events that follow it."""
        self._next_delta(_DeltaFault("delay", event_type, nth, by))

    def disorder(
        self,
        event_types: Sequence[str] = ("order", "trade"),
        *,
        double: float = 0.1,
        delay: float = 0.1,
        by: int = 5,
        seed: int = 0,
    ) -> None:
        """Double and delay events at random from now on, until `FakeServer.send_delayed`.

        Args:
            event_types: Of which types.
            double: Share of them that is sent twice, the copy at once or late.
            delay: Share of the rest that is sent late, so that others overtake it.
            by: After how many events that follow it a late one is sent, at most.
            seed: Of the draws.
        """
        disorder = _Disorder(tuple(event_types), double, delay, by, random.Random(seed))
        self._run(lambda: setattr(self, "_disorder", disorder))

    def gamma(
        self,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        body: str | None = None,
        rename: Mapping[str, str] | None = None,
        times: int | None = 1,
    ) -> None:
        """Answer the next requests for market data wrongly; with `times=None` all, until `clear()`.

            server.faults.gamma(429, {"Retry-After": "2"})
            server.faults.gamma(body="<html>Attention required</html>")
            server.faults.gamma(rename={"clobTokenIds": "tokens"})

        Args:
            status: The HTTP status.
            headers: More headers of the answer.
            body: In the place of JSON; None: the right answer, or an error's with another status.
            rename: Fields that the right answer has under another name.
            times: How many requests.
        """
        fault = GammaFault(status, dict(headers or {}), body, dict(rename or {}))

        def add() -> None:
            if times is None:
                self._standing_gamma = fault
            else:
                self._gamma.extend([fault] * times)

        self._run(add)

    def rest(
        self,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        body: str | None = None,
        cut: bool = False,
        seconds: float = 0.0,
        path: str = "",
        times: int | None = 1,
    ) -> None:
        """Answer the next requests to REST wrongly or late; with `times=None` all, until it is
        ended by `end_rest` or `clear`.

            server.faults.rest(425, times=3)                         # the engine restarts
            server.faults.rest(429, {"Retry-After": "2"})
            server.faults.rest(cut=True, path="/data/trades")
            server.faults.rest(seconds=math.inf)                     # until end_rest()

        Args:
            status: The HTTP status.
            headers: More headers of the answer.
            body: In the place of JSON; None: the right answer, or an error's with another status.
            cut: Whether the connection ends in the middle of the body.
            seconds: How long the answer is held back; infinite: until `end_rest`.
            path: Only requests whose path begins so.
            times: How many requests.
        """
        fault = RestFault(status, dict(headers or {}), body, cut, seconds, path)
        self._run(lambda: self.of_rest.add(fault, times))

    def rest_clock(self, seconds: float) -> None:
        """Let REST's clock be so far ahead: it refuses timestamps more than 60 s off its own."""
        self._run(lambda: setattr(self.of_rest, "clock_seconds", seconds))

    def rest_lag(
        self, seconds: float, *, clock: Literal["exchange", "server"] = "exchange", seed: int = 0
    ) -> None:
        """Let each REST answer show the exchange as it was up to so many seconds before.

        Args:
            seconds: The most; each answer's own lag is drawn from 0 to it.
            clock: Whose seconds: the exchange's time, which stands still while nothing is played,
                or real ones.
            seed: Of the draws.
        """
        lag = Lag(seconds, clock, random.Random(seed))
        self._run(lambda: setattr(self.of_rest, "lag", lag if seconds else None))

    def tear_pages(self, act: Act | None = None, times: int = 1) -> None:
        """Let listings of several pages change while they are fetched.

        Args:
            act: What the exchange does after a page that is not the last was answered; None: the
                next page leaves out a row, as if one of the page before it had gone meanwhile.
            times: How often.
        """
        self._run(lambda: self.of_rest.between_pages.extend([act] * times))

    def end_rest(self) -> None:
        """End what goes wrong with REST, and send the answers that are held back."""
        self._run(self._end_rest)

    def clear(self) -> None:
        """Forget every fault that has not happened yet; what a delay holds back is lost."""
        self._run(self._forget)

    # Called by the server's thread.

    def take_connect(self) -> ConnectFault | None:
        """What happens to the connection that was just accepted."""
        return self._connects.popleft() if self._connects else self._standing

    def give_back(self, fault: ConnectFault) -> None:
        """Keep what was meant for a handshake, and came to a connection without one."""
        if fault is not self._standing:
            self._connects.appendleft(fault)

    def end_disorder(self) -> list[Wire]:
        """End `disorder`, and return what is held back, oldest first."""
        self._disorder = None
        held, self._held = self._held, []
        return [late for _, late in held]

    def take_gamma(self) -> GammaFault | None:
        """What happens to the present request for market data."""
        return self._gamma.popleft() if self._gamma else self._standing_gamma

    def take_bad_credentials(self) -> bool:
        """Whether the present subscription of the user channel is to be refused."""
        self._bad_credentials -= 1
        return self._bad_credentials >= 0

    def apply(self, event: Wire) -> list[Wire]:
        """What is sent in the place of one event."""
        held, self._held = [(left - 1, late) for left, late in self._held], []
        self._held = [(left, late) for left, late in held if left > 0]
        due = [late for left, late in held if left <= 0]
        return [*self._in_place_of(event), *due]

    def _in_place_of(self, event: Wire) -> list[Wire]:
        fault = self._take_delta(str(event.get("event_type")))
        if fault is None:
            return self._disordered(event)
        if fault.kind == "double":
            return [event, event]
        if fault.kind == "delay":
            self._held.append((fault.by, event))
        return []

    def _disordered(self, event: Wire) -> list[Wire]:
        disorder = self._disorder
        if disorder is None or event.get("event_type") not in disorder.event_types:
            return [event]
        by = disorder.random.randint(0, disorder.by)
        if disorder.random.random() < disorder.double:
            if not by:
                return [event, event]
            self._held.append((by, event))
        elif by and disorder.random.random() < disorder.delay:
            self._held.append((by, event))
            return []
        return [event]

    def _take_delta(self, event_type: str) -> _DeltaFault | None:
        candidates = [fault for fault in self._deltas if fault.event_type == event_type]
        for fault in candidates:
            self._deltas.remove(fault)
            if fault.nth > 1:
                self._deltas.append(_DeltaFault(fault.kind, event_type, fault.nth - 1, fault.by))
        return next((fault for fault in candidates if fault.nth == 1), None)

    def _next(self, fault: ConnectFault, times: int | None) -> None:
        def add() -> None:
            if times is None:
                self._standing = fault
            else:
                self._connects.extend([fault] * times)

        self._run(add)

    def _next_delta(self, fault: _DeltaFault) -> None:
        self._run(lambda: self._deltas.append(fault))

    def _end_rest(self) -> None:
        self.of_rest.clear()
        self._release_answers()

    def _forget(self) -> None:
        self._connects.clear()
        self._standing = None
        self._gamma.clear()
        self._standing_gamma = None
        self._end_rest()
        self._deltas.clear()
        self._held.clear()
        self._disorder = None
        self._bad_credentials = 0

"""The one thread of a FakeServer: it owns the listening socket and every connection."""

from __future__ import annotations

import logging
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from attrs import define, field

from .faults import ConnectFault, Faults
from .http_messages import Answer, HttpRequest
from .peer import Peer
from .record import ConnectionRecord

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_CALL_SECONDS = 10.0
_LONGEST_WAIT = 1.0


@define(eq=False)
class ServerLoop:
    """Accepts, reads and writes in a daemon thread named after the port; `stop` ends it.

    Owned by one FakeServer, which hands in what a text means (`receive`), what happens by time
    (`tick`, which returns when it wants to be called next), who is turned away (`admit`) and what
    other requests than handshakes are answered (`answer`). Other threads reach the sockets
    through `call` alone.
    """

    faults: Faults
    receive: Callable[[Peer, str], None]
    tick: Callable[[float], float | None]
    admit: Callable[[], ConnectFault | None]
    tls: ssl.SSLContext | None = None
    port: int = 0
    answer: Callable[[HttpRequest], Answer | None] = lambda request: None
    links: list[Peer] = field(factory=list)
    """The open connections; for the server's thread only."""
    records: list[ConnectionRecord] = field(factory=list)
    """Of all connections ever accepted; only grows."""
    _thread: threading.Thread | None = None
    _selector: selectors.BaseSelector | None = None
    _listener: socket.socket | None = None
    _wake: tuple[socket.socket, socket.socket] | None = None
    _commands: deque[Callable[[], None]] = field(factory=deque)
    _stopping: bool = False
    # Guards _turns alone: how often anything happened.
    _progress: threading.Condition = field(factory=threading.Condition)
    _turns: int = 0

    @property
    def running(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Listen on a free port of 127.0.0.1 and start the thread."""
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._wake = socket.socketpair()
        for end in self._wake:
            end.setblocking(False)
        self._selector.register(self._wake[0], selectors.EVENT_READ)
        self.port = 0
        self.listen()
        self._thread = threading.Thread(
            target=self._run, name=f"fake-server-{self.port}", daemon=True
        )
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End the thread and close every socket; TimeoutError when it does not end in time."""
        thread = self._thread
        if thread is None:
            return
        self._stopping = True
        self._wake_up()
        thread.join(timeout)
        if thread.is_alive():
            raise TimeoutError(f"the fake server's thread did not end within {timeout:g} s")
        self._thread = None

    def call(self, function: Callable[[], _T]) -> _T:
        """Run a function in the server's thread and return its result; at once while none runs."""
        if not self.running or threading.current_thread() is self._thread:
            return function()
        result: Future[_T] = Future()
        self._commands.append(lambda: _resolve(result, function))
        self._wake_up()
        return result.result(_CALL_SECONDS)

    def wait_until(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Evaluate a predicate in the calling thread after each progress, until it holds."""
        deadline = time.monotonic() + timeout
        while True:
            seen = self._turns
            if predicate():
                return True
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return False
            with self._progress:
                if self._turns == seen:
                    self._progress.wait(remaining)

    def listen(self) -> None:
        """Open the listening socket, on the former port if there was one."""
        if self._listener is None and self._selector is not None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
            self._listener.setblocking(False)
            self.port = self._listener.getsockname()[1]
            self._selector.register(self._listener, selectors.EVENT_READ)

    def stop_listening(self) -> None:
        """Close the listening socket: connecting is refused by the operating system."""
        if self._listener is not None and self._selector is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _wake_up(self) -> None:
        try:
            if self._wake is not None:
                self._wake[1].send(b"\0")
        except OSError:  # full: it will wake anyway; closed: the thread is gone
            logger.debug("the fake server's wake-up socket takes nothing")

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except Exception:
            logger.exception("the fake server's thread failed")
        finally:
            self._close_all()

    def _turn(self) -> None:
        deadline = self._next_deadline()
        wait = _LONGEST_WAIT if deadline is None else max(0.0, deadline - time.monotonic())
        # What a client sent before a command was given is received before it is carried out.
        given = len(self._commands)
        assert self._selector is not None
        ready = self._selector.select(0.0 if given else min(wait, _LONGEST_WAIT))
        for key, mask in ready:
            self._serve(key, mask)
        for _ in range(given):
            self._commands.popleft()()
        now = time.monotonic()
        for link in self.links:
            link.flush(now)
        self._forget_closed()
        if ready or given or (deadline is not None and now >= deadline):
            self._tell_progress()

    def _next_deadline(self) -> float | None:
        wanted = [self.tick(time.monotonic())]
        for link in self.links:
            link.flush(time.monotonic())
        self._forget_closed()  # a peer that is gone may be noticed while writing
        for link in self.links:
            self._watch(link)
            wanted.append(link.wake_at)
        return min((at for at in wanted if at is not None), default=None)

    def _serve(self, key: selectors.SelectorKey, mask: int) -> None:
        if isinstance(key.data, Peer):
            for text in key.data.receive():
                self.receive(key.data, text)
        elif key.fileobj is self._listener:
            self._accept()
        elif self._wake is not None:
            _drain(self._wake[0])

    def _accept(self) -> None:
        while self._listener is not None:
            try:
                sock, address = self._listener.accept()
            except OSError:  # nothing left to accept, or the client is gone already
                return
            fault = self.faults.take_connect()
            record = ConnectionRecord(len(self.records) + 1, address[1], time.monotonic())
            link = Peer.accept(
                sock,
                record,
                self._unwatch,
                self.admit,
                self.answer,
                self.faults.give_back,
                fault,
                self.tls,
            )
            self.records.append(record)
            if fault and fault.kind == "refuse":
                link.reset()
            else:
                self.links.append(link)

    def _watch(self, link: Peer) -> None:
        assert self._selector is not None
        registered = self._selector.get_map().get(link.sock)
        interest = link.interest
        if registered is None:
            if interest:
                self._selector.register(link.sock, interest, link)
        elif not interest:
            self._selector.unregister(link.sock)
        elif registered.events != interest:
            self._selector.modify(link.sock, interest, link)

    def _unwatch(self, link: Peer) -> None:
        assert self._selector is not None
        if link.sock in self._selector.get_map():
            self._selector.unregister(link.sock)

    def _forget_closed(self) -> None:
        self.links[:] = [link for link in self.links if link.record.open]

    def _tell_progress(self) -> None:
        with self._progress:
            self._turns += 1
            self._progress.notify_all()

    def _close_all(self) -> None:
        for link in self.links:
            link.send_close(1001, "", time.monotonic())
            link.flush(time.monotonic())
            link.close()
        self._forget_closed()
        self.stop_listening()
        assert self._selector is not None
        self._selector.close()
        for end in self._wake or ():
            end.close()
        while self._commands:
            self._commands.popleft()()
        self._tell_progress()


def _resolve(result: Future[_T], function: Callable[[], _T]) -> None:
    try:
        result.set_result(function())
    except Exception as error:
        result.set_exception(error)


def _drain(sock: socket.socket) -> None:
    try:
        while sock.recv(4096):
            pass
    except BlockingIOError:
        return

"""Ending a request from another thread, at every moment."""

from __future__ import annotations

import threading
import time

import pytest
from kit.loopback import Server, read_head, reply

from polymarket_ws.options import Options
from polymarket_ws.rest.abort import Abort
from polymarket_ws.rest.client import RestClient
from polymarket_ws.rest.failures import RequestFailed


def ask(server: Server, abort: Abort) -> None:
    """A request that would wait for a minute."""
    client = RestClient(f"http://127.0.0.1:{server.port}", Options(trust_env=False), abort)
    with pytest.raises(RequestFailed):
        client.get(client.address(["x"]), deadline=time.monotonic() + 60)


def test_a_request_ends_while_its_answer_is_awaited() -> None:
    """The server says nothing for longer than the test may take."""
    asked, is_over = threading.Event(), threading.Event()

    def hold(connection: object) -> None:
        read_head(connection)
        asked.set()
        is_over.wait(60)

    abort = Abort()
    with Server(hold) as server:
        thread = threading.Thread(target=ask, args=(server, abort))
        thread.start()
        assert asked.wait(20)
        abort.abort()
        thread.join(20)
        is_over.set()

    assert not thread.is_alive()


def test_the_wait_between_two_attempts_ends() -> None:
    """Retry-After asks for half a minute."""
    busy = "HTTP/1.1 429 Slow down\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"
    abort = Abort()
    with Server(reply(busy)) as server:
        thread = threading.Thread(target=ask, args=(server, abort))
        thread.start()
        assert server.accepted.acquire(timeout=20)
        abort.abort()
        thread.join(20)

    assert not thread.is_alive()


def test_nothing_is_asked_after_it() -> None:
    """The action of the block is called at once."""
    abort, called = Abort(), []
    abort.abort()

    with abort.calls(lambda: called.append(1)):
        assert [1] == called
    abort.abort()

    assert [1] == called
    assert abort.wait(60)

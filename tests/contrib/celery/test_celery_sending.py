"""`attach` and `to_task` in one process: what is refused, what a task receives, what is lost."""

from __future__ import annotations

import base64
import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("celery.signals", reason="needs the extra [celery]")
pytest.importorskip("redis", reason="needs the extra [hosts]")

import celery
import redis
from kit.programs import free_port
from kit.recorder import Recorder
from kit.redis_server import redis_server

from polymarket_ws import Event, LastTradePrice, LiveBook, Subscriber, testing
from polymarket_ws.contrib.celery import TaskNotSent, attach, attachment, to_task
from polymarket_ws.contrib.celery.sender import to_json
from polymarket_ws.errors import ConfigurationError
from polymarket_ws.testing import FakeServer, make_book, make_last_trade_price

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "celery.md").read_text(encoding="utf-8")

# kombu's Redis transport keeps a selector, older releases several.
pytestmark = pytest.mark.keeps_descriptors


@pytest.fixture(autouse=True)
def no_attachments() -> Iterator[None]:
    """Forget what a test attached, and close what it sent by."""
    yield
    for known in attachment.attachments:
        known.stop()
    attachment.attachments.clear()


@pytest.fixture
def sub() -> Subscriber:
    """A subscriber that no test starts."""
    return Subscriber(["1"], name="feed")


def make_task(broker: str = "memory://"):
    """A task of an application with this broker."""
    app = celery.Celery("tasks", broker=broker)

    @app.task(name="tasks.store")
    def store(event: dict[str, object]) -> None: ...

    return store


def test_attach_starts_nothing(sub: Subscriber) -> None:
    """A program that only sends tasks does not connect."""
    attach(make_task().app, sub)

    assert "IDLE" == sub.state


def test_an_unknown_scope_is_refused(sub: Subscriber) -> None:
    """A scope is a process or a node."""
    with pytest.raises(ConfigurationError, match=r'"process" or "node", not \'worker\''):
        attach(make_task().app, sub, scope="worker")


def test_a_subscriber_is_attached_once(sub: Subscriber) -> None:
    """A second attach would start it by two rules."""
    task = make_task()
    attach(task.app, sub)

    with pytest.raises(ConfigurationError, match="feed is attached already"):
        attach(task.app, sub, scope="node")


def test_to_task_is_for_one_a_node(sub: Subscriber) -> None:
    """In each process of a pool every event would be sent again."""
    task = make_task()
    attach(task.app, sub)

    with pytest.raises(ConfigurationError, match="scope='node'"):
        to_task("trade", task, subscriber=sub)
    with pytest.raises(ConfigurationError, match="0 subscribers are attached"):
        to_task("trade", task)


@pytest.mark.parametrize("kind", ["error", "frame", "nothing"])
def test_what_is_no_event_is_refused(sub: Subscriber, kind: str) -> None:
    """An exception cannot be sent, nor what does not exist."""
    with pytest.raises(ConfigurationError, match=f"no event '{kind}'"):
        to_task(kind, make_task(), subscriber=sub)


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"pause": -1}])
def test_wrong_times_are_refused(sub: Subscriber, wrong: dict[str, float]) -> None:
    """There is no sending without a limit."""
    with pytest.raises(ConfigurationError, match="timeout must be above 0"):
        to_task("trade", make_task(), subscriber=sub, **wrong)


MAKERS = sorted(name for name in vars(testing) if name.startswith("make_"))


@pytest.mark.parametrize("make", [vars(testing)[name] for name in MAKERS], ids=MAKERS)
def test_every_event_is_json(make: Callable[[], object]) -> None:
    """What a task receives survives JSON, and has no float."""
    event = make()
    if not isinstance(event, Event):
        pytest.skip("a part of an event")
    sent = to_json(event)

    assert sent == json.loads(json.dumps(sent), parse_float=str)
    assert event.event_type == sent["event_type"]


def test_a_task_receives_the_event(sub: Subscriber, tmp_path: Path) -> None:
    """One message with the event as a dict, in the queue that the options name; no result is
    asked for.
    """
    with redis_server(tmp_path, free_port()) as broker:
        task = make_task(broker)
        attach(task.app, sub, scope="node")
        send = to_task(LastTradePrice, task, options={"queue": "trades"})
        send(make_last_trade_price("1", price="0.25", size="5"))
        with redis.Redis.from_url(broker) as client:
            (message,) = map(json.loads, client.lrange("trades", 0, -1))
        send.close()
    args = json.loads(base64.b64decode(message["body"]))[0]

    assert ("0.25", "5") == (args[0]["price"], args[0]["size"])
    assert message["headers"]["ignore_result"]
    assert (1, 0) == (send.sent, send.lost)


def test_a_refusing_broker_loses_and_says_so(sub: Subscriber) -> None:
    """An event that was not sent raises, names the task and the cause, and is counted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        broker = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    send = to_task("event", make_task(broker), subscriber=sub, pause=0)

    for _ in range(2):
        with pytest.raises(TaskNotSent, match=r"task tasks.store was not sent: .*refused"):
            send(make_last_trade_price())
    send.close()
    assert (0, 2) == (send.sent, send.lost)


def test_a_silent_broker_is_not_asked_for_each_event(sub: Subscriber) -> None:
    """A broker that takes connections and says nothing costs one timeout; then it is left alone."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        broker = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        send = to_task("event", make_task(broker), subscriber=sub, timeout=0.2, pause=1000)
        with pytest.raises(TaskNotSent, match="imeout"):
            send(make_last_trade_price())
        for _ in range(100):
            with pytest.raises(TaskNotSent, match="no attempt for 1000 s"):
                send(make_last_trade_price())
        listener.setblocking(False)
        taken = 0
        while True:
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                break
            taken += 1
    send.close()
    assert (1, 101) == (taken, send.lost)


def test_lost_events_are_told_to_on_error(caplog: pytest.LogCaptureFixture) -> None:
    """A subscriber whose broker is down counts each lost event and tells on_error of it, and its
    books go on. The log names the task.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        broker = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    told = Recorder()
    with FakeServer() as server, Subscriber(["1"], options=server.options()) as sub:
        server.add_book(make_book("1"))
        send = to_task("last_trade_price", make_task(broker), subscriber=sub)
        sub.on_error(told)
        sub.wait_ready(20)
        for size in ("1", "2", "3"):
            server.send(make_last_trade_price("1", size=size))
        errors = told.wait_for(3)
        server.settle(sub)

        assert ["1", "2", "3"] == [str(error.event.size) for error in errors]
        assert {TaskNotSent} == {type(error.cause) for error in errors}
        assert 3 == sub.stats().callback_errors
        assert sub.books["1"].valid
    send.close()
    assert "callback to_task(tasks.store) raised TaskNotSent" in caplog.text


def test_what_was_lost_is_kept_as_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block of docs/celery.md writes each event that a stopped broker did not take."""
    (keep,) = re.findall(r"```py\n# tasks.py, at its end\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        broker = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    with FakeServer() as server, Subscriber(["1"], options=server.options()) as feed:
        server.add_book(make_book("1"))
        send = to_task("last_trade_price", make_task(broker), subscriber=feed)
        exec(keep, {"feed": feed, "json": json})
        feed.wait_ready(20)
        for size in ("1", "2"):
            server.send(make_last_trade_price("1", size=size))
        server.settle(feed)
    send.close()
    kept = [json.loads(line) for line in Path("lost.jsonl").read_text().splitlines()]

    assert ["1", "2"] == [event["size"] for event in kept]


def test_a_book_can_be_sent() -> None:
    """`book_update` sends the book as it is."""
    with FakeServer() as server, Subscriber(["1"], options=server.options()) as sub:
        server.add_book(make_book("1", bids=[("0.4", "10")]))
        sub.wait_ready(20)
        book = sub.books["1"]
        assert isinstance(book, LiveBook)
        sent = to_json(book)

    assert ("book_update", [["0.4", "10"]]) == (sent["event_type"], sent["bids"])

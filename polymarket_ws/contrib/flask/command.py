"""`flask polymarket stream`: the application's callbacks, in a process of their own."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext

from polymarket_ws import PolymarketWsError
from polymarket_ws.contrib.stream_report import (
    counted,
    describe_end,
    describe_followed,
    describe_missing,
    describe_ready,
    is_anything_followed,
    is_anything_subscribed,
    seconds,
)
from polymarket_ws.process import handling_signals

from .feed import Feed, feed_of

_LOOK_SECONDS = 0.25  # between two looks for a signal, for readiness and for the end
_NOTHING = "give POLYMARKET_WS_ASSET_IDS or POLYMARKET_WS_CREDENTIALS"


def _stream(once_ready: bool, timeout: float, stop_timeout: float) -> None:
    feed = feed_of(current_app)
    try:
        if once_ready:
            _check(feed, timeout)
        else:
            _follow(feed, timeout, stop_timeout)
    except (PolymarketWsError, TimeoutError) as error:
        raise click.ClickException(str(error)) from error


def _check(feed: Feed, timeout: float) -> None:
    if not is_anything_subscribed(feed.subscriber):
        raise click.ClickException(f"nothing to wait for: {_NOTHING}")
    with feed.subscriber as subscriber:
        subscriber.wait_ready(timeout)
        click.echo(describe_ready(subscriber))


def _follow(feed: Feed, timeout: float, stop_timeout: float) -> None:
    feed.register_stream_callbacks()
    subscriber, callbacks = feed.subscriber, feed.callback_names
    if not is_anything_followed(subscriber, callbacks):
        raise click.ClickException(f"nothing to follow: {_NOTHING}")
    with handling_signals(lambda: None) as is_asked_to_stop:
        subscriber.start()
        followed = describe_followed(subscriber)
        click.echo(f"following {followed} with {counted(len(callbacks), 'callback')}")
        try:
            is_told = False
            while not subscriber.wait(_LOOK_SECONDS) and not is_asked_to_stop():
                is_told = is_told or _tell_readiness(feed, timeout)
            if not subscriber.stop(stop_timeout, drain=True):
                click.echo(f"a callback has not returned within {stop_timeout:g} s", err=True)
        except KeyboardInterrupt:  # the second Ctrl-C: some callback does not return
            subscriber.stop(timeout=0.0)
            raise
        finally:
            click.echo(describe_end(subscriber.stats()))
    if feed.exits:
        raise feed.exits[-1]


def _tell_readiness(feed: Feed, timeout: float) -> bool:
    """Say so when the books are live, or late; whether it was said."""
    subscriber = feed.subscriber
    if subscriber.healthy:
        click.echo(describe_ready(subscriber))
        return True
    if subscriber.stats().uptime <= timeout:
        return False
    click.echo(f"not ready after {timeout:g} s: {describe_missing(subscriber)}", err=True)
    return True


polymarket_commands = AppGroup("polymarket", help="Polymarket's real-time channels.")
polymarket_commands.add_command(
    click.Command(
        "stream",
        callback=with_appcontext(_stream),
        params=[
            click.Option(
                ["--once-ready"], is_flag=True, help="End with 0 as soon as every book is live."
            ),
            click.Option(
                ["--timeout"],
                type=seconds,
                default=10.0,
                show_default=True,
                help="Seconds after which what is not live is told; with --once-ready it then ends "
                "with 1.",
            ),
            click.Option(
                ["--stop-timeout"],
                type=seconds,
                default=10.0,
                show_default=True,
                help="Seconds for callbacks to take what is queued at the end.",
            ),
        ],
        help="Run the application's callbacks until Ctrl-C or SIGTERM.",
    )
)

"""`flask polymarket stream`: the application's callbacks, in a process of their own."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext

from polymarket_ws import PolymarketWsError, Subscriber

from .feed import feed_of


def _stream(once_ready: bool, timeout: float) -> None:
    feed = feed_of(current_app)
    try:
        if once_ready:
            _check(feed.subscriber, timeout)
        else:
            feed.register_stream_callbacks()
            feed.subscriber.run()
    except (PolymarketWsError, TimeoutError) as error:
        raise click.ClickException(str(error)) from error


def _check(subscriber: Subscriber, timeout: float) -> None:
    with subscriber:
        subscriber.wait_ready(timeout)
        click.echo(f"ready: {len(subscriber.books)} books are live")


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
                type=click.FloatRange(min=0),
                default=10.0,
                show_default=True,
                help="With --once-ready: end with 1 after so many seconds.",
            ),
        ],
        help="Run the application's callbacks until Ctrl-C or SIGTERM.",
    )
)

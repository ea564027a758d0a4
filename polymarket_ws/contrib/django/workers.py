"""Starting the subscriber in the worker processes of web servers."""

from __future__ import annotations

import logging

import django
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from .lazy_subscriber import lazy

logger = logging.getLogger(__name__)


def start_in_worker(*, call_handlers: bool = False) -> None:
    """Start the subscriber in this process, so that views may read `subscriber.books`.

    To be called once in each worker, after any fork: in gunicorn's `post_worker_init`, in a
    function decorated with uWSGI's `@postfork`, or at the end of wsgi.py or asgi.py where nothing
    forks after its import. Returns at once; the process's exit stops it.

    Args:
        call_handlers: Call the handlers of subscriptions.py too. Then each worker does, so that
            four of them write each event four times; `manage.py polymarket_stream` writes it once.

    Raises:
        ImproperlyConfigured: the setting is wrong, or this was called while apps are loaded.
        ConfigurationError: it cannot be started in this process; see `Subscriber.start`.
    """
    if not apps.ready:
        if apps.loading:
            raise ImproperlyConfigured(
                "start_in_worker() was called while Django loads its apps, which every manage.py "
                "command does: call it in the hook that your server runs in each worker"
            )
        django.setup()
    lazy.host(call_handlers=call_handlers)
    logger.info("%s: started in this worker, handlers %s", lazy.made.name, _said(call_handlers))


def _said(call_handlers: bool) -> str:
    return "included" if call_handlers else "left to manage.py polymarket_stream"

"""The development server that reloads: which of its two processes serves."""

from __future__ import annotations

import os

import click


def is_watcher() -> bool:
    """Whether this process only watches files, for a child of it that serves.

    `flask run` with the reloader imports the application in both. Of `app.run(debug=True)` in a
    script nothing can be known before it is called.
    """
    if os.environ.get("WERKZEUG_RUN_MAIN") == "true":
        return False
    context = click.get_current_context(silent=True)
    if context is None or context.info_name != "run" or "reload" not in context.params:
        return False
    reload = context.params["reload"]
    return _is_debug() if reload is None else bool(reload)


def _is_debug() -> bool:
    from flask.helpers import get_debug_flag

    return bool(get_debug_flag())

"""Which processes of Flask's command line serve: those that only load the application do not."""

from __future__ import annotations

import os

import click
from flask.cli import ScriptInfo
from flask.helpers import get_debug_flag


def why_not_here() -> str:
    """Why this process is not the one to start a subscriber in; "" when it is.

    `flask --debug run` imports the application in two processes, of which one serves, and every
    other command imports it, too. Of `app.run(debug=True)` in a script nothing can be known before
    it is called.
    """
    if os.environ.get("WERKZEUG_RUN_MAIN") == "true":
        return ""
    context = click.get_current_context(silent=True)
    info = context.find_object(ScriptInfo) if context is not None else None
    if context is None or info is None:
        return ""
    if context.info_name != "run":
        is_loaded = getattr(info, "_loaded_app", True) is not None
        return "" if is_loaded else f"flask {context.info_name} only loads the application"
    reload = context.params.get("reload")
    watches = get_debug_flag() if reload is None else reload
    return "this process only watches files for the one that serves" if watches else ""

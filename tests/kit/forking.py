"""Runs something in a really forked child, and returns what it told."""

from __future__ import annotations

import json
import os
import select
import signal
import warnings
from collections.abc import Callable
from typing import Any

from kit.recorder import DEADLINE


def in_child(run: Callable[[], Any]) -> Any:
    """Fork, call `run` in the child, and return its result (which JSON can hold) to the parent.

    Raises:
        AssertionError: the child raised, or had not ended within DEADLINE.
    """
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: what is tested
        child = os.fork()
    if not child:
        _run_and_exit(run, theirs)
    os.close(theirs)
    told, has_ended = b"", False
    while not has_ended and select.select([ours], [], [], DEADLINE)[0]:
        piece = os.read(ours, 65536)
        told += piece
        has_ended = not piece
    os.close(ours)
    if not has_ended:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert has_ended, "the child hangs"
    result = json.loads(told)
    assert "error" not in result, result["error"]
    return result["value"]


def _run_and_exit(run: Callable[[], Any], pipe: int) -> None:
    """The child's end: nothing of the test run that it is a copy of may go on."""
    try:
        os.write(pipe, json.dumps({"value": run()}).encode())
    except BaseException as error:
        os.write(pipe, json.dumps({"error": repr(error)}).encode())
    finally:
        os._exit(0)

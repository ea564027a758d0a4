"""`manage.py polymarket_stream`, as a process of its own."""

from __future__ import annotations

import signal

import pytest
from kit.django_project import Project

pytest.importorskip("django.core", reason="Django is not installed: the extra [django]")


def test_each_event_is_written_once_and_sigterm_ends_it_with_0(project: Project) -> None:
    """One connection, one row for each event; at SIGTERM a close frame and exit code 0."""
    running = project.start("manage.py", "polymarket_stream")
    running.wait_for("ready: 2 books are live")
    project.send(*range(1, 201))
    project.wait_for_rows(200)

    assert 0 == running.end(signal.SIGTERM)
    assert list(range(1, 201)) == project.rows()
    assert [1000] == [record.close_code for record in project.server.connections]
    assert "stopped: 202 events, 0 failed handlers, 0 dropped, 0 discarded" in running.log

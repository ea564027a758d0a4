"""The project of docs/examples/django, copied for each test and run against a server here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.django_project import EXAMPLE, NO, PATIENCE, YES, Project

from polymarket_ws.testing import FakeServer, make_book

try:
    import django
    from django.conf import settings
except ImportError:  # each test module says that it is skipped
    pass
else:  # for the tests that use the app in this process
    settings.configure(
        INSTALLED_APPS=["polymarket_ws.contrib.django"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        SECRET_KEY="-",
        USE_TZ=True,
    )
    django.setup()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """Two books that stand still."""
    with FakeServer() as server:
        for asset_id in (YES, NO):
            server.add_book(make_book(asset_id, bids=[("0.4", "10")], asks=[("0.6", "10")]))
        yield server


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with an SQLite database that has its tables."""
    folder = tmp_path_factory.mktemp("django") / "project"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", "*.sqlite3"))
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0"],
        cwd=folder,
        check=True,
        timeout=PATIENCE,
        env={**os.environ, "SQLITE_FILE": str(folder / "db.sqlite3")},
    )
    return folder


@pytest.fixture
def project(migrated: Path, tmp_path: Path, server: FakeServer) -> Iterator[Project]:
    """The example, which follows YES and NO at the server of this test."""
    folder = tmp_path / "project"
    shutil.copytree(migrated, folder)
    made = Project(
        folder,
        server,
        {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "MARKET_URL": server.url(),
            "ASSET_IDS": f"{YES},{NO}",
            "SQLITE_FILE": str(folder / "db.sqlite3"),
        },
    )
    yield made
    made.end_all()

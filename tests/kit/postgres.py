"""A PostgreSQL server of a test's own, on a Unix socket, from the packages of the system."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define

PATIENCE = 60.0
OWNER = "postgres"


def find_pg_ctl() -> Path | None:
    """The newest that Debian's packages installed, or the one on PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    on_path = shutil.which("pg_ctl")
    return found[-1] if found else Path(on_path) if on_path else None


@define
class Cluster:
    """A server with one empty database. Its folder holds the socket."""

    folder: Path
    pg_ctl: Path

    @property
    def environment(self) -> dict[str, str]:
        """What libpq's clients, and the example's settings, connect by."""
        return {"PGHOST": str(self.folder), "PGDATABASE": OWNER, "PGUSER": OWNER}

    def control(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Begin pg_ctl; the server refuses to run as root, so as root it is its package's user."""
        log = self.folder / "log"
        return subprocess.Popen(
            [self.pg_ctl, "-D", self.folder / "data", "-w", "-l", log, *arguments],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            **_as_owner(),
        )


def _as_owner() -> dict[str, str]:
    return {"user": OWNER, "group": OWNER} if os.geteuid() == 0 else {}


@contextmanager
def running_cluster(pg_ctl: Path) -> Iterator[Cluster]:
    """Make it, start it, stop it and remove it."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # pytest's own folders are root's alone
    if os.geteuid() == 0:
        shutil.chown(folder, OWNER, OWNER)
    cluster = Cluster(folder, pg_ctl)
    settings = f"-k {folder} -c listen_addresses='' -c fsync=off"
    try:
        subprocess.run(
            [pg_ctl.with_name("initdb"), "-D", folder / "data", "-A", "trust", "-U", OWNER, "-N"],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=PATIENCE,
            **_as_owner(),
        )
        assert 0 == cluster.control("-o", settings, "start").wait(PATIENCE)
        try:
            yield cluster
        finally:
            cluster.control("-m", "immediate", "stop").wait(PATIENCE)
    finally:
        shutil.rmtree(folder)

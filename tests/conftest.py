"""What every test stands on: bounded examples, and nothing left behind."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

import pluggy
import pytest
from hypothesis import HealthCheck, Phase, settings

FRAMES = Path(__file__).resolve().parents[2] / "shared" / "frames"
# Parts of the keys and passwords that tests use: none may be printed or logged by any test.
SECRETS = (
    "VE9QU0VDUkVU",
    "PASSPHRASE9",
    "c2VjcmV0",
    "hunter2",
    "proxy-password-proxy",
    "-passphrase",
)
JOIN_SECONDS = 10.0  # a busy machine; an idle one needs milliseconds

# The same examples in every run: the suite fails for a change, never for a draw. "long" draws anew.
settings.register_profile(
    "default", max_examples=100, deadline=None, derandomize=True, print_blob=True, database=None
)
# In CI a failure is not shrunk, since one by the time limit would be tried again for minutes.
settings.register_profile(
    "ci", settings.get_profile("default"), phases=(Phase.explicit, Phase.generate)
)
# For the runs with other versions: these look for what a version lacks, not for rare orders.
settings.register_profile("versions", settings.get_profile("ci"), max_examples=25)
settings.register_profile(
    "long", max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default")
)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pluggy.Result[pytest.TestReport], None]:
    """Fail a test after which a secret stands in what was logged or printed."""
    result = yield
    report = result.get_result()
    told = f"{report.caplog}{report.capstdout}{report.capstderr}"
    leaked = [secret for secret in SECRETS if secret in told]
    if report.when == "teardown" and report.passed and leaked:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: logged or printed: {', '.join(leaked)}"


def _threads() -> set[threading.Thread]:
    return {t for t in threading.enumerate() if t.name.startswith("polymarket-ws")}


def _descriptors() -> Counter[str]:
    """Open sockets, pipes and selectors by kind; files are left to the interpreter's warning."""
    kinds: Counter[str] = Counter()
    for entry in os.scandir("/proc/self/fd"):
        try:
            target = os.readlink(entry.path)
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
        if target.startswith(("socket:", "pipe:", "anon_inode:")):
            kinds[target.split("[")[0].rstrip(":")] += 1
    return kinds


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test after which a thread of the package runs or a descriptor is open."""
    threads = _threads()
    descriptors = _descriptors() if os.path.isdir("/proc/self/fd") else None
    yield
    deadline = time.monotonic() + JOIN_SECONDS
    for thread in _threads() - threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    left = sorted(thread.name for thread in _threads() - threads)
    if left:
        pytest.fail(f"threads left running: {', '.join(left)}")
    if descriptors is None or request.node.get_closest_marker("keeps_descriptors"):
        return
    if _descriptors() - descriptors:
        gc.collect()  # a traceback in a cycle may hold the last reference to a closed object
    more = _descriptors() - descriptors
    if more:
        pytest.fail(f"descriptors left open: {dict(more)}")


@pytest.fixture
def frames_dir() -> Path:
    """The recorded and documented wire frames, which lie beside the checkout."""
    if not FRAMES.is_dir():
        pytest.skip(f"no recorded frames at {FRAMES}")
    return FRAMES

"""What the tests of this room share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polymarket_ws.testing import FakeServer


@pytest.fixture(params=[False, True], ids=["ws", "wss"])
def tls(request: pytest.FixtureRequest) -> bool:
    """Both schemes."""
    return bool(request.param)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A started server without an exchange."""
    with FakeServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _past_any_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")

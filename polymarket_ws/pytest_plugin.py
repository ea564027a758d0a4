"""The pytest fixture `polymarket_server`, found by pytest through the entry point `pytest11`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import FakeServer


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        "polymarket_server(exchange=None, tls=False, credentials=None): "
        "the arguments of the FakeServer that the fixture polymarket_server starts",
    )


@pytest.fixture
def polymarket_server(request: pytest.FixtureRequest) -> Iterator[FakeServer]:
    """A started FakeServer of this test's own, without an exchange unless the marker gives it one.

        @pytest.mark.polymarket_server(exchange=SimulatedExchange(seed=1), tls=True)
        def test_my_strategy(polymarket_server): ...

    The exchange is taken as it is: one that a decorator made is shared by the runs of a
    parametrized test.
    """
    from .testing import FakeServer

    marker = request.node.get_closest_marker("polymarket_server")
    with FakeServer(
        *(marker.args if marker else ()), **(marker.kwargs if marker else {})
    ) as server:
        yield server

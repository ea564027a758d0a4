"""What the tests of this room share."""

from __future__ import annotations

import pytest
from kit.merging import ONE, START, TWO, answered, led

from polymarket_ws.shards.merge import Merge


@pytest.fixture
def merge() -> Merge:
    """A leader whose books stand at change 10, and a follower that has been there for long."""
    merge = Merge()
    merge.want([ONE, TWO])
    led(merge, 10, START - 60)
    answered(merge, 10, START - 60)
    return merge

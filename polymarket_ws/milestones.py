"""Which repetition of one happening is worth another log line."""

from __future__ import annotations


def is_milestone(count: int) -> bool:
    """True for 1, 10, 100, ...: a storm leaves a handful of lines, and each tells its size."""
    return count > 0 and count == 10 ** (len(str(count)) - 1)

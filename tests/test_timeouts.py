"""What is no number of seconds is refused before a wait begins."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from polymarket_ws.errors import ConfigurationError
from polymarket_ws.timeouts import check_timeout


@pytest.mark.parametrize("timeout", [0, 0.0, 1, 0.5, 1e9, float("inf"), Fraction(1, 3)])
def test_a_number_of_seconds_is_taken(timeout: object) -> None:
    """Any real number from 0 on; infinity is no limit."""
    check_timeout("wait", timeout)


@pytest.mark.parametrize("timeout", [-1, -0.1, float("nan"), "x", "1", None, True, Decimal(1), 1j])
def test_what_is_no_number_of_seconds_is_refused(timeout: object) -> None:
    """The sentence names the member and shows the value."""
    with pytest.raises(ConfigurationError) as refused:
        check_timeout("wait", timeout)

    expected = f"wait: timeout must be a number of seconds, 0 or more, not {timeout!r}"
    assert expected == str(refused.value)

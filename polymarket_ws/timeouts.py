"""How long a caller is ready to wait: checked before the wait begins."""

from __future__ import annotations

from numbers import Real

from .errors import ConfigurationError


def check_timeout(member: str, timeout: object) -> None:
    """Refuse what is no number of seconds, 0 or more. NaN would never pass; infinity may.

    Raises:
        ConfigurationError: names the member and what was given.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, Real) or not float(timeout) >= 0:
        raise ConfigurationError(
            f"{member}: timeout must be a number of seconds, 0 or more, not {timeout!r}"
        )

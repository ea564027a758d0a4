"""What one connection is to be subscribed to."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from polymarket_ws.books.book import BookCore


@frozen(eq=False)
class Wanted:
    """What one connection is to be subscribed to."""

    ids: frozenset[str] | None = frozenset()
    """Token ids (market) or condition ids (user); None is all of them."""
    cores: Mapping[str, BookCore] = field(factory=dict)
    """The book of each token id; a new core for a known id wants a new snapshot."""
    custom_features: bool = False
    discovers: bool = False
    """Whether broadcasts are wanted, so that a connection without any id is too."""

    @property
    def is_empty(self) -> bool:
        return self.ids is not None and not self.ids and not self.discovers

"""A read-only mapping of what a Subscriber knows at the moment it is looked at."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from typing import TypeVar

V = TypeVar("V")


class LiveMapping(Mapping[str, V]):
    """Shows the present dict of its source, over restarts too. Usable from any thread.

    Iterating goes over a copy, so it is safe while entries come and go. `items()` and `values()`
    are copies; `dict(mapping)` looks each key up anew, when it may have gone.
    """

    def __init__(self, source: Callable[[], dict[str, V]], absent: str = "{}") -> None:
        self._source = source
        self._absent = absent
        """What a KeyError says, with the key in it."""

    def __getitem__(self, key: str) -> V:
        try:
            return self._source()[key]
        except KeyError:
            raise KeyError(self._absent.format(key)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._source()))

    def __len__(self) -> int:
        return len(self._source())

    def values(self) -> ValuesView[V]:
        return self._source().copy().values()

    def items(self) -> ItemsView[str, V]:
        return self._source().copy().items()

    def __repr__(self) -> str:
        return repr(dict(self._source().copy()))

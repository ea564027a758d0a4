"""What a Subscriber wants: token ids and condition ids, checked in sentences that help."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from attrs import field, frozen

from .asset import Asset
from .condition_ids import condition_key
from .errors import ConfigurationError

_CONDITION_ID = re.compile(r"0[xX][0-9a-fA-F]{1,64}")
_DIGITS = re.compile(r"[0-9]+")
_TOKEN_IDS = "asset_ids takes token ids (clobTokenIds): polymarket_ws.lookup.find_assets finds them"

_SHORTEST_SURE_TOKEN_ID = 60  # digits

TOKEN_ID_HINT = "token ids have about 77 digits"
"""For sentences about ids that are short."""

AssetId = str | int | Asset
"""A token id as a caller may give it."""
AssetIds = Iterable[AssetId]
"""Several of them."""


@frozen(kw_only=True)
class Subscriptions:
    """What is wanted at one moment."""

    asset_ids: frozenset[str] = frozenset()
    """Token ids of the market channel."""
    markets: frozenset[str] | None = frozenset()
    """Condition ids of the user channel, in lower case and of 64 digits; None is all markets, an
    empty set none."""
    assets: Mapping[str, Asset] = field(factory=dict, eq=False, repr=False)
    """Those of `asset_ids` that were given as Assets, by their ids. Two are equal without it."""

    def _repr_html_(self) -> str:
        from .notebook.record import record_html

        markets = "all" if self.markets is None else self.markets
        return record_html("Subscriptions", {"asset_ids": self.asset_ids, "markets": markets})


def check_asset_ids(value: AssetIds, argument: str = "asset_ids") -> frozenset[str]:
    """The token ids in `value`, as strings; as `check_assets`."""
    return check_assets(value, argument)[0]


def check_assets(
    value: AssetIds, argument: str = "asset_ids"
) -> tuple[frozenset[str], dict[str, Asset]]:
    """The token ids in `value`, as strings, and by these what was given as an Asset.

    Raises:
        ConfigurationError: not an iterable of token ids; the sentence says what it looks like.
    """
    items = _items(value, argument, "token ids")
    asset_ids = frozenset(_asset_id(item, argument) for item in items)
    return asset_ids, {item.asset_id: item for item in items if isinstance(item, Asset)}


def check_markets(value: Iterable[str], argument: str = "markets") -> frozenset[str]:
    """The keys of the condition ids in `value`: in lower case, a short one padded.

    Raises:
        ConfigurationError: not an iterable of condition ids.
    """
    return frozenset(_market(item, argument) for item in _items(value, argument, "condition ids"))


def check_filter_assets(value: AssetId | AssetIds | None) -> frozenset[str] | None:
    """A callback's `asset_id=`: one id or several; None for all."""
    if value is None:
        return None
    several: AssetIds = [value] if isinstance(value, (str, int, float, Asset)) else value
    return check_asset_ids(several, "asset_id")


def check_filter_markets(value: str | Iterable[str] | None) -> frozenset[str] | None:
    """A callback's `market=`: one id or several; None for all."""
    if value is None:
        return None
    return check_markets([value] if isinstance(value, str) else value, "market")


def is_short(asset_id: str) -> bool:
    """Whether it looks cut off, or made up."""
    return len(asset_id) < _SHORTEST_SURE_TOKEN_ID


def _items(value: object, argument: str, kind: str) -> list[object]:
    if isinstance(value, (str, bytes)):
        text = value if isinstance(value, str) else value.decode("ascii", "replace")
        if text.lstrip().startswith("["):
            raise ConfigurationError(
                f"{argument} is a JSON list as text: json.loads it first, then pass the list"
            )
        raise ConfigurationError(f"{argument} is one {type(value).__name__}: pass a list of {kind}")
    if isinstance(value, (int, float)) or not isinstance(value, Iterable):
        raise ConfigurationError(f"{argument} is a {type(value).__name__}: pass a list of {kind}")
    return list(value)


def _asset_id(item: object, argument: str) -> str:
    if isinstance(item, Asset):
        item = item.asset_id
    if isinstance(item, bool):
        raise ConfigurationError(f"{argument} holds a bool: a token id is a decimal string")
    if isinstance(item, int):
        item = str(item)
    if isinstance(item, float):
        raise ConfigurationError(
            f"{argument} holds the float {item!r}, which has lost digits of the token id: "
            "keep it a str"
        )
    if not isinstance(item, str):
        raise ConfigurationError(
            f"{argument} holds a {type(item).__name__}: a token id is a decimal string"
        )
    if _DIGITS.fullmatch(item):
        return item
    raise ConfigurationError(f"{argument} holds {_shown(item)}, which {_resemblance(item)}")


def _resemblance(item: str) -> str:
    if item.lower().startswith("0x"):
        return f"looks like a condition id; {_TOKEN_IDS}"
    if item.lstrip().startswith("["):
        return "is a JSON list as text: json.loads it first"
    if re.search(r"[A-Za-z]", item):
        kind = "page's address" if "/" in item else "slug"
        return f"looks like a {kind}; {_TOKEN_IDS}"
    return "is no token id: a decimal string without spaces or signs"


def _market(item: object, argument: str) -> str:
    if isinstance(item, str) and _CONDITION_ID.fullmatch(item):
        return condition_key(item)
    is_whole = isinstance(item, int) and not isinstance(item, bool)
    if is_whole or (isinstance(item, str) and _DIGITS.fullmatch(item)):
        raise ConfigurationError(
            f"{argument} holds {_shown(str(item))}, which looks like a token id; "
            "markets takes condition ids (0x and 62 or 64 hex digits)"
        )
    shown = _shown(item) if isinstance(item, str) else f"a {type(item).__name__}"
    raise ConfigurationError(
        f"{argument} holds {shown}: a condition id is 0x and 62 or 64 hex digits"
    )


def _shown(item: str) -> str:
    return repr(item if len(item) <= 24 else f"{item[:20]}…")

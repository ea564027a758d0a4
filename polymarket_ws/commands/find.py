"""`polymarket-ws find`: the assets of a page on stdout; and what `stream` looks up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import attrs

from polymarket_ws.asset import label_of
from polymarket_ws.errors import LookupFailed
from polymarket_ws.logs import printable
from polymarket_ws.lookup import Asset, find_assets


def find_open(arguments: Sequence[str], gamma_url: str) -> list[str | Asset]:
    """Asset ids as they are, and in the place of any other argument the open assets it leads to.

    Raises:
        LookupFailed: one leads nowhere, or to closed markets alone.
        ConfigurationError: one is no address; or the extra [rest] is missing.
    """
    found: list[str | Asset] = []
    for argument in arguments:
        if argument.isdecimal() or argument.lstrip().startswith("["):  # the latter is refused later
            found.append(argument)
            continue
        assets = find_assets(argument, url=gamma_url)
        still_open = [asset for asset in assets if not asset.closed]
        if not still_open:
            raise LookupFailed(f"{argument} is closed, so nothing comes of it", url=gamma_url)
        found += still_open
    return found


def labels_of(assets: Sequence[str | Asset]) -> dict[str, str]:
    """What a line says in the place of an asset id, for those that were looked up."""
    return {asset.asset_id: label_of(asset) for asset in assets if isinstance(asset, Asset)}


def table_lines(assets: Sequence[Asset]) -> Iterator[str]:
    """A heading and a line for each asset; ids are whole, so that they can be copied."""
    rows = [("outcome", "closed", "asset id", "question")]
    rows += [(a.outcome, "yes" if a.closed else "no", a.asset_id, a.question) for a in assets]
    printed = [tuple(map(printable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*printed, strict=True)]
    for row in printed:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()


def json_lines(assets: Sequence[Asset]) -> Iterator[str]:
    """A JSON object for each asset; numbers as text, as on the wire."""
    for asset in assets:
        yield json.dumps(attrs.asdict(asset), separators=(",", ":"), default=str)

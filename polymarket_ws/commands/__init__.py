"""What the subcommands of `polymarket-ws` do, and how it looks on a terminal."""

from __future__ import annotations

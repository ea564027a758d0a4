"""`python -m polymarket_ws`: the same as the command `polymarket-ws`."""

from __future__ import annotations

import sys

from .commands.command_line import main

if __name__ == "__main__":
    sys.exit(main())

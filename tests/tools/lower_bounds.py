"""Print setup.cfg's lower bounds as exact pins: `pip install -c` of them gives the oldest set."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path

SETUP_CFG = Path(__file__).resolve().parents[2] / "setup.cfg"
EXTRAS = (
    "fast",
    "notebook",
    "prometheus",
    "rest",
    "socks",
    "testing",
)  # what users install; the suite's own tools stay new


def pins(config: configparser.ConfigParser) -> Iterator[str]:
    """Yield `name==lower` for every run-time requirement and those of the users' extras."""
    listings = [config["options"]["install_requires"]]
    listings += [config["options.extras_require"][extra] for extra in EXTRAS]
    for requirement in "\n".join(listings).split():
        found = re.match(r"([\w.-]+).*?>=([\w.]+)", requirement)
        if found is None:
            raise SystemExit(f"setup.cfg: {requirement} has no lower bound")
        yield f"{found[1]}=={found[2]}"


if __name__ == "__main__":
    parser = configparser.ConfigParser()
    parser.read(SETUP_CFG)
    print("\n".join(pins(parser)))

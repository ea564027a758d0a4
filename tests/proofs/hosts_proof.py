"""The package in the servers, pools and shells that it is used in, each run for real. A command:
`make hosts`.

This process serves a simulated exchange on the loopback interface; each row starts a host with a
small application and asks it what a subscriber there sees. Arguments: words, of which a row's host
or set-up has to hold one (all rows without them).
"""

from __future__ import annotations

import logging
import os
import sys
from importlib.metadata import version

from hosts import celery, children, gunicorn, reloaders, scripts, uwsgi  # noqa: F401 - their rows
from hosts.bench import ROWS, Row, bench


def show(row: Row, seen: str) -> str:
    """The row as a line of the table."""
    package = (
        ""
        if not row.package
        else " " + (sys.version.split()[0] if row.package == "python" else version(row.package))
    )
    cells = [
        row.host + package,
        row.setup,
        row.expected,
        seen,
        "ok" if seen == row.expected else "NO",
    ]
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"


def main(words: list[str]) -> int:
    """Run the rows; returns 1 when one saw something else than expected."""
    logging.disable(logging.CRITICAL)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # an edited file must not be taken for its cache
    chosen = [r for r in ROWS if not words or any(w in f"{r.host} {r.setup}" for w in words)]
    print("| host | set-up | expected | seen | |\n|---|---|---|---|---|", flush=True)
    bad = 0
    with bench() as made:
        for row in chosen:
            try:
                seen = row.run(made)
            except Exception as error:
                seen = f"{type(error).__name__}: {error}"
            finally:
                made.clear()
            bad += seen != row.expected
            print(show(row, seen), flush=True)
    print(f"\n{len(chosen) - bad} of {len(chosen)} rows as expected")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

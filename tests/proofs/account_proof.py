"""One account through cuts, repeats, delays and stale listings, against the exchange's own truth.

    python tests/proofs/account_proof.py 100            # seeds; REST lags by up to 0.2 s
    python tests/proofs/account_proof.py 10 --lag 2     # by up to 2 s
    python tests/proofs/account_proof.py 10 --no-rest

Each seed plays 500 own orders and their trades through all statuses, and cuts the channel 8 times.
At the end orders, trades, fills and positions have to equal the exchange's, and each transition was
told once, in order; without REST nothing may have said that it is complete. `make account`.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from kit.accounts import Course


def main() -> None:
    """Play the seeds, and print what came of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seeds", type=int)
    parser.add_argument("--lag", type=float, default=0.2)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--no-rest", action="store_true")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    seconds: list[float] = []
    print("seed  orders  trades  fills  told  UNKNOWN  doubled  to complete: median, most  seconds")
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        began_at = time.monotonic()
        course = Course(seed, staleness=arguments.lag, rest=not arguments.no_rest)
        sub = course.run()
        seconds += course.seconds_to_complete
        truth, told = course.exchange.account(), course.told
        kinds = (told.orders, told.trades, told.fills)
        events = sum(len(events) for kind in kinds for events in kind.values())
        unknown = sum(order.status == "UNKNOWN" for order in sub.orders.values())
        print(
            f"{seed:4}  {len(truth.orders):6}  {len(truth.trades):6}  {len(truth.fills):5}"
            f"  {events:4}  {unknown:7}  {sub.stats().duplicates:7}"
            f"  {_median_and_most(course.seconds_to_complete):>26}"
            f"  {time.monotonic() - began_at:8.1f}",
            flush=True,
        )
    print(f"all {arguments.seeds} equal; to complete: {_median_and_most(seconds)} s")


def _median_and_most(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f}, {max(seconds):.2f}" if seconds else "-"


if __name__ == "__main__":
    main()

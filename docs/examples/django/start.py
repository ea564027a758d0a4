"""One command for the whole project: the database, the stream and two web workers.

    python start.py --demo                 # follows a simulated exchange on this machine
    python start.py 7132104567...2563      # follows Polymarket: token ids

Then http://127.0.0.1:8000/ shows prices and trades. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Start everything, and end everything when one part ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("asset_ids", nargs="*")
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with ExitStack() as stack:
        environment = {**os.environ, "ASSET_IDS": ",".join(arguments.asset_ids)}
        if arguments.demo:
            from polymarket_ws.testing import FakeServer, SimulatedExchange

            server = stack.enter_context(FakeServer(SimulatedExchange()))
            server.run(rate=20)
            asset_ids = ",".join(server.exchange.asset_ids[:2])
            environment |= {"ASSET_IDS": asset_ids, "MARKET_URL": server.url()}
        manage = [sys.executable, "manage.py"]
        subprocess.run([*manage, "migrate", "--verbosity=0"], cwd=HERE, env=environment, check=True)
        web = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{arguments.port}"]
        parts = [
            subprocess.Popen(command, cwd=HERE, env=environment)
            for command in ([*manage, "polymarket_stream"], [*web, "mysite.wsgi"])
        ]
        try:
            return parts[0].wait()
        except (KeyboardInterrupt, SystemExit):
            return 0
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            for part in parts:
                part.terminate()
            for part in parts:
                part.wait()


if __name__ == "__main__":
    sys.exit(main())

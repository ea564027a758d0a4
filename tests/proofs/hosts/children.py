"""Forks of Python's own: os.fork, multiprocessing and pools."""

from __future__ import annotations

import textwrap

from .bench import IDLE, IN_CHILD, LIVE, row
from .scripts import run_script

CHILDREN = {
    "os.fork": """
        ours, theirs = os.pipe()
        if not os.fork():
            os.write(theirs, feed.look("see", "start", "stop").encode())
            os._exit(0)
        os.close(theirs)
        tell("child: " + open(ours).read())
    """,
    **{
        f"multiprocessing {method}": f"""
        context = multiprocessing.get_context("{method}")
        with context.Pool(1) as pool:
            tell("child: " + pool.apply(feed.look, ("see", "start", "stop")))
        """
        for method in ("fork", "forkserver", "spawn")
    },
    "ProcessPoolExecutor": """
        with concurrent.futures.ProcessPoolExecutor(1) as pool:
            tell("child: " + pool.submit(feed.look, "see", "start", "stop").result())
    """,
}


def _add_children() -> None:
    for host, body in CHILDREN.items():
        is_forked = "spawn" not in host and "forkserver" not in host
        script = (
            "import concurrent.futures, multiprocessing, os\nimport feed\nfrom feed import tell\n"
            'if __name__ == "__main__":\n    feed.sub.start()\n    feed.sub.wait_ready(10)\n'
            + textwrap.indent(textwrap.dedent(body), "    ")
            + '    tell("parent: " + feed.look("see", "heard", "stop"))\n'
        )
        seen = IN_CHILD if is_forked else IDLE
        row(
            host,
            "python",
            "started in the parent",
            f"child: {seen}; start LIVE; stop True; parent: {LIVE}; goes on; stop True; exit 0",
        )(lambda bench, script=script: run_script(bench, script))  # type: ignore[misc]


_add_children()

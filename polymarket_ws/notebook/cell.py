"""The notebook that the code runs in, if there is one.

IPython is not imported for it: where code runs in a notebook, it is loaded.
"""

from __future__ import annotations

import sys
from typing import Any


def shell() -> Any:
    """IPython's shell; None outside of IPython."""
    get = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return None if get is None else get()


def running_cell() -> int | None:
    """The number of the cell that runs: another one each time. None outside of IPython."""
    found = shell()
    return None if found is None else int(found.execution_count)

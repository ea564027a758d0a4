"""Asks a task, and prints its answer."""

import sys

from tasks import look

print(look.delay(*sys.argv[1:]).get(timeout=30), end="")

"""The parts of docs/reliability.md that commands write themselves."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"


def markers(part: str) -> tuple[str, str]:
    """The lines around a part."""
    return f"<!-- {part}: written by a command -->", f"<!-- {part}: end -->"


def write_part(part: str, lines: Sequence[str], page: Path = PAGE) -> None:
    """Replace what stands between a part's markers, with the date and the machine below it."""
    begin, end = markers(part)
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page} has no part {part!r}")
    text = "\n".join([begin, *lines, "", _machine(), end])
    page.write_text(before + text + after, encoding="utf-8")


def _machine() -> str:
    cores = Path("/proc/cpuinfo").read_text().count("processor\t")
    day = datetime.now(timezone.utc).date().isoformat()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{day}, {python}, {platform.system()} {platform.machine()}, {cores} shared cores."

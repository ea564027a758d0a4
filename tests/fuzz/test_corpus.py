"""The kept corpus, and mutations of it, through what `make fuzz` runs: bounded, always the same."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import pytest

from fuzz.__main__ import TARGET_NAMES
from fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
MUTATIONS = 20  # of each file
FILES = sorted(path for path in CORPUS.glob("*/*") if path.is_file())
TOKENS = (b"\0", b"\xff", b"\r\n\r\n", b'"', b"{", b"[", b"1e999999", b"-0", b"null", b"\\ud800")


def mutate(data: bytes, dice: random.Random) -> bytes:
    """Change a few places."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        start = dice.randrange(len(changed) + 1)
        stop = min(len(changed), start + dice.choice((0, 1, 1, 2, 8, 64)))
        piece = changed[start:stop]
        changed[start:stop] = dice.choice(
            (b"", piece * 2, piece[::-1], bytes((dice.randrange(256),)), dice.choice(TOKENS))
        )
    return bytes(changed)


def test_each_target_has_a_corpus() -> None:
    """The corpus's folders are the targets."""
    assert {*TARGETS} == {*TARGET_NAMES} == {path.parent.name for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_corpus_and_its_mutations(path: Path) -> None:
    """Neither a kept input nor what is made of it raises."""
    target, data = TARGETS[path.parent.name], path.read_bytes()
    dice = random.Random(zlib.crc32(data))

    target(data)
    for _ in range(MUTATIONS):
        target(mutate(data, dice))

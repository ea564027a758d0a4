"""What one named connection counted."""

from __future__ import annotations

from collections import Counter

from attrs import define, field


@define(eq=False)
class Tally:
    """What one named connection received, over all its sessions. Written by its shard's thread."""

    messages: int = 0
    received_bytes: int = 0
    decode_errors: int = 0
    slow_path: int = 0
    notices: int = 0
    events: Counter[str] = field(factory=Counter)
    last_data_at: float | None = None
    last_round_trip: float | None = None

"""The ids of a simulated exchange, random by its seed."""

from __future__ import annotations

import random
import uuid
from typing import Literal

from attrs import frozen

Protocol = Literal["v1", "v2"]


@frozen
class Ids:
    """Draws ids. Made by a SimulatedExchange, whose random numbers it shares.

    Args:
        random: Where every draw comes from.
        protocol: "v1": a condition id of 64 hex digits and two unrelated token ids of 77 digits;
            "v2": a condition id of 62, and two position ids of 75 digits that are the condition id,
            as a number, and the index of the outcome (so the captured ones seem to be made:
            frames/rest/gamma_market_2026-09.json).
    """

    random: random.Random
    protocol: Protocol

    def market(self) -> tuple[str, tuple[str, str]]:
        """A condition id and the ids of its two assets."""
        if self.protocol == "v2":
            condition_id = f"0x01{self.hex(32)[2:]}{'00' * 14}"
            first = int(condition_id + "00", 16)
            return condition_id, (str(first), str(first + 1))
        return self.hex(64), (self._token(), self._token())

    def hex(self, digits: int) -> str:
        """Of an order, a transaction or a wallet."""
        return f"0x{self.random.getrandbits(4 * digits):0{digits}x}"

    def uuid(self) -> str:
        """Of a trade or an api key."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def _token(self) -> str:
        return str(self.random.randrange(10**76, 10**77))

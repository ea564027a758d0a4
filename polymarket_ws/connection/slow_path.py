"""Decode what the fast path of a channel does not read, and count what it should have read.

The fast path knows the fields of its messages in advance (wire/fast_path.py). When the server adds
one, nothing goes wrong: the general decoder reads each message, five times as slowly. So what goes
this way is counted, and many such texts are logged.
"""

from __future__ import annotations

from collections.abc import Sequence

from polymarket_ws.channels.dialect import Dialect
from polymarket_ws.errors import DecodeError
from polymarket_ws.logs import Log
from polymarket_ws.milestones import is_milestone
from polymarket_ws.wire.updates import Decoded

from .tally import Tally

logger = Log(__name__)

WARNING_FROM = 100  # texts: some few are no sign of new fields on the wire


def decode_slowly(
    text: str, received_at_ns: int, dialect: Dialect, tally: Tally, name: str
) -> Sequence[Decoded | DecodeError]:
    """Decode a text that `decode_fast` did not read.

    It is counted when all of it is understood, and of types that `decode_fast` knows.

    Args:
        text: A message that carries data.
        received_at_ns: Given to every event.
        dialect: Whose decoder reads it.
        tally: Of the connection.
        name: The connection's, for the log.
    """
    messages = dialect.decode(text, received_at_ns)
    types = [message.event_type for message in messages if isinstance(message, Decoded)]
    if types and len(types) == len(messages) and dialect.fast_types.issuperset(types):
        tally.slow_path += 1
        if tally.slow_path >= WARNING_FROM and is_milestone(tally.slow_path):
            logger.warning(
                "%s: %d texts took the slow path, the last a %s: its fields are not those that the "
                "fast path knows (docs/performance.md)",
                name,
                tally.slow_path,
                types[0],
            )
    return messages

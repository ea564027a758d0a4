"""What a decoder's result shows, for comparing the fast path with the general decoder."""

from __future__ import annotations

from operator import attrgetter

import attrs

from polymarket_ws.errors import DecodeError
from polymarket_ws.wire.decode import decode_market
from polymarket_ws.wire.fast_path import decode_fast
from polymarket_ws.wire.updates import Change, Changes, Decoded

CHANGE_FIELDS = attrgetter(*(field.name for field in attrs.fields(Change)))


def facts(decoded: Decoded | DecodeError) -> object:
    """All that a caller can see of it."""
    assert isinstance(decoded, Decoded)
    update = decoded.update
    seen: object = update
    if isinstance(update, Changes):
        seen = (update.market, update.timestamp_ms, list(map(CHANGE_FIELDS, update.changes)))
    event = decoded.event
    assert event is not None
    return (event, event.received_at_ns, repr(event.to_dict()), type(update), seen)


def agrees(text: str) -> bool:
    """Whether the fast path read it; if so, it reads what the general decoder reads."""
    fast = decode_fast(text, 7, None)
    if fast is None:
        return False
    assert list(map(facts, decode_market(text, 7))) == list(map(facts, fast))
    return True

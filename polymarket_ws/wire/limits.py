"""How much a message may hold: far above what an honest server sends, and harmless to us.

Time and memory for a message are then bounded by its size with a small factor, whatever is in it.
A book beyond its limit is refused with a DecodeError, and asked for again; a message beyond its
limits ends the connection with code 1008, and the next one brings everything anew.
"""

from __future__ import annotations

ELEMENTS = 20_000  # of one message: a subscription of 10 000 assets is answered with as many
ERRORS = 1_000  # of one message: each is told by itself
ENTRIES = 20_000  # of one price_change, or of any other array of parts
LEVELS = 20_000  # of each side of a book: the finest grid of prices, 0.0001, has 10 000
ID_CHARS = 256  # an asset id has up to 78 digits, a condition id 66 characters
# Of a level's price. CPython's hashes of numbers are not salted: of longer ones, thousands with the
# same hash could be chosen, and a dict of them would take seconds for each look-up of all.
PRICE_CHARS = 20

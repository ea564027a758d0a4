"""One's own orders and trades, by id.

No clock, no thread, no socket.
"""

"""JSON texts to events and book updates, and requests to JSON texts.

No clock, no thread, no socket.
"""

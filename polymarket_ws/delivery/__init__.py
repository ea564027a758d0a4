"""From the I/O threads to callbacks and iterators: registration, queue and the callback thread.

Nothing here knows a socket.
"""

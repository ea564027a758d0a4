"""What each channel is asked, and what its events change.

No clock, no thread, no socket.
"""

"""One connection kept alive: its session, heartbeat, backoff, pacing and gaps.

Nothing here knows of other connections.
"""

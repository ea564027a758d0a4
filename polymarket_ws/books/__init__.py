"""The levels of each asset, their verification, and the handle that users hold.

No clock, no thread, no socket: `now` is an argument.
"""

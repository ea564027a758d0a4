"""The runs of a Subscriber: one from its start to its stop, and what goes on from one to the next.
Knows nothing of what users call.
"""

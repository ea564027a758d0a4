"""Requests to Polymarket's REST services: one GET with its retries, and what the answers mean.

The only room that knows urllib3, of the extra [rest]: whoever uses `client` imports it when a
request is made, not before. Nothing here knows of a Subscriber.
"""

from __future__ import annotations

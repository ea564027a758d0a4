"""Bytes to texts: dialing, proxies, TLS, the handshake, frames, the open socket.

Nothing here knows what a text means.
"""

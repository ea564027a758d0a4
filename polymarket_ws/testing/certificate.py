"""A throw-away certificate for wss:// on the loopback interface."""

from __future__ import annotations

import ssl
from functools import lru_cache


@lru_cache(maxsize=1)
def loopback_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's and the client's TLS context, for localhost and 127.0.0.1; made once a process.

    Raises:
        ImportError: trustme is missing; the sentence says what to install.
    """
    try:
        import trustme
    except ImportError as error:
        raise ImportError("tls=True needs trustme: install polymarket-ws[testing]") from error
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client

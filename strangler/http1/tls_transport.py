# Compiled with mypyc: see docs/hot-path.md.
"""The facts of a client connection by TLS that a plain one lacks: limits of its buffers, the client's certificate."""

import asyncio
import ssl
from typing import Any, cast

_BUFFER_BYTES = 64 * 1024
"""How much may wait in TLS itself for a client, beside what its socket's transport holds: uvloop allows 512 KiB."""


def begin_tls(transport: asyncio.Transport) -> bytes:
    """Bound the buffers of a new connection. Return the client's certificate as DER; empty if it has shown none.

    A certificate that was shown is valid: else the handshake would have failed.
    """
    transport.set_write_buffer_limits(_BUFFER_BYTES)
    # While reading is paused, the client's end must stay unread, too: uvloop would drop what came before it.
    cast(Any, transport).set_read_buffer_limits(1, 0)
    connection: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    return (connection is not None and connection.getpeercert(binary_form=True)) or b""

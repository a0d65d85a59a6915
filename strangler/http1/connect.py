"""The one place where connections to upstreams are made: for requests, shadows, health checks and the probe of legacy.

So what one of them reaches, all reach: names with a final dot, unix sockets, and upstreams that ask for a certificate.
"""

import asyncio
import errno
import os
from collections.abc import Callable
from typing import TypeVar

from strangler.core.listener_settings import MAX_UNIX_PATH_BYTES
from strangler.core.settings import Url
from strangler.tls.client_context import ClientTlsState

CONNECT_ERRORS = (OSError, UnicodeError)
"""The errors that `connect` raises. Those of time and TLS are kinds of OSError; UnicodeError: no name is like that."""

_Protocol = TypeVar("_Protocol", bound=asyncio.BaseProtocol)


async def connect(
    factory: Callable[[], _Protocol], url: Url, address: str, tls: ClientTlsState
) -> tuple[asyncio.Transport, _Protocol]:
    """Connect to `url` at one of its addresses, which may be its `connect_host`. Raises `CONNECT_ERRORS`."""
    loop = asyncio.get_running_loop()
    if url.unix_path is not None:
        if len(os.fsencode(url.unix_path)) > MAX_UNIX_PATH_BYTES:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        return await loop.create_unix_connection(factory, url.unix_path)
    if url.scheme != "https":
        return await loop.create_connection(factory, address, url.port)
    transport, protocol = await loop.create_connection(
        factory, address, url.port, ssl=tls.context, server_hostname=tls.server_name(url)
    )
    # At the end of a connection uvloop drops bytes that a paused reader has not got: the end must stay unread, too.
    transport.set_read_buffer_limits(high=1, low=0)  # type: ignore[attr-defined]  # transports of TLS have it
    return transport, protocol

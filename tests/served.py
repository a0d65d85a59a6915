"""An HTTP server of tests, for what the proxy or control sends to others."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


@asynccontextmanager
async def served(response: Callable[[Any], Awaitable[web.StreamResponse]]) -> AsyncIterator[int]:
    """The port of this machine at which `response` gets each request."""
    runner = web.ServerRunner(web.Server(response), shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port: int = runner.addresses[0][1]
    try:
        yield port
    finally:
        await runner.cleanup()

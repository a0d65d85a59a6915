"""The cap on connections to the admin listener: a client with many idle connections shuts nobody out."""

import asyncio
from collections.abc import Callable

from aiohttp import hdrs, web
from aiohttp.web_protocol import RequestHandler

MAX_CONNECTIONS = 200
"""An operator's browsers, a scraper and some probes need a dozen."""


class _NamelessResponse(web.Response):
    """A response that aiohttp makes by itself to a malformed request; it discloses no program and version either."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.popall(hdrs.SERVER, None)


class _Protocol(RequestHandler):
    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close the oldest connections if this one is more than there may be. With TLS its handshake is complete."""
        super().connection_made(transport)
        assert self._manager is not None
        there = self._manager.connections
        for oldest in there[: max(0, len(there) - MAX_CONNECTIONS)]:
            if oldest.transport is not None:
                oldest.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return aiohttp's response without the field `Server`."""
        made = super().handle_error(request, status, exc, message)
        assert isinstance(made, web.Response)
        response = _NamelessResponse(status=made.status, text=made.text, content_type=made.content_type)
        response.force_close()
        return response


async def nameless(request: web.Request, response: web.StreamResponse) -> None:
    """Remove the field `Server` from a response of the application, so that no version is disclosed."""
    response.headers.popall(hdrs.SERVER, None)


def bounded(server: web.Server) -> Callable[[], RequestHandler]:
    """Return the factory of connection protocols. A new connection always gets in; the oldest are closed for it.

    aiohttp has no timeout for a request's header section. A cap on the number of connections needs none, and a
    short-lived probe always gets in.
    """

    def enter() -> RequestHandler:
        loop = asyncio.get_running_loop()
        return _Protocol(server, loop=loop, access_log=None)  # type: ignore[arg-type]  # None: no access log

    return enter

"""Connections to the admin listener are counted: who holds many of them and asks for nothing shuts nobody out."""

import asyncio
from collections.abc import Callable

from aiohttp import hdrs, web
from aiohttp.web_protocol import RequestHandler

MAX_CONNECTIONS = 200
"""An operator's browsers, a scraper and some probes need a dozen."""


class _NamelessResponse(web.Response):
    """An answer of aiohttp's own, to what is no request: it does not name the program and its version either."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.popall(hdrs.SERVER, None)


class _Protocol(RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return aiohttp's answer without the line `Server`."""
        made = super().handle_error(request, status, exc, message)
        assert isinstance(made, web.Response)
        response = _NamelessResponse(status=made.status, text=made.text, content_type=made.content_type)
        response.force_close()
        return response


async def nameless(request: web.Request, response: web.StreamResponse) -> None:
    """Take the line `Server` from an answer of the application: which versions run is nobody's business."""
    response.headers.popall(hdrs.SERVER, None)


def bounded(server: web.Server, most: int = MAX_CONNECTIONS) -> Callable[[], RequestHandler]:
    """Makes the protocols of new connections. The newest always gets in: the oldest ones make room for it.

    aiohttp waits for a request's head without end, so a limit on time would have to be our own; a limit on number
    needs none, and a probe, which comes and goes, always finds a place.
    """

    def enter() -> RequestHandler:
        there = server.connections
        for oldest in there[: max(0, len(there) + 1 - most)]:
            if oldest.transport is not None:
                oldest.transport.abort()
        loop = asyncio.get_running_loop()
        return _Protocol(server, loop=loop, access_log=None)  # type: ignore[arg-type]  # None: no access log

    return enter

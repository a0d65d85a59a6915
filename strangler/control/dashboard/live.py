"""Server-sent events that keep an open page up to date."""

import asyncio

import msgspec
from aiohttp import web
from yarl import URL

from strangler.control.dashboard.auth import Auth
from strangler.control.dashboard.layout import HEADERS, Layout
from strangler.control.dashboard.pages import Pages
from strangler.control.dashboard.visit import Visit, local_url

REDRAW_S = 1.0
"""How often an open page is rendered again."""

MAX_STREAMS = 50
_REDRAWS_PER_COMMENT = 15
"""After this many renderings without a change, a comment shows that the stream is alive."""


class LiveStreams:
    """The open streams: at most `MAX_STREAMS`, all ended by `stop`."""

    def __init__(self, auth: Auth, layout: Layout, pages: Pages) -> None:
        self._auth = auth
        self._layout = layout
        self._pages = pages
        self._open = 0
        self._stopping = asyncio.Event()

    async def stop(self, _: web.Application) -> None:
        """End every stream; a handler of aiohttp's `on_shutdown`."""
        self._stopping.set()

    async def stream(self, visit: Visit) -> web.StreamResponse:
        """Send `content`, the main part of a page as a JSON string, whenever it has changed."""
        if self._open >= MAX_STREAMS:
            return self._layout.problem(visit, 503, f"{MAX_STREAMS} pages are open already. Close one, and reload.")
        fields = {**HEADERS, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=fields)
        self._open += 1
        try:
            await response.prepare(visit.request)
            await self._send_changes(visit, response, local_url(visit.request.query.get("of", "/")))
        except ConnectionError:  # the browser has gone
            pass
        finally:
            self._open -= 1
        return response

    async def _send_changes(self, visit: Visit, response: web.StreamResponse, url: URL) -> None:
        sent, unchanged = "", 0
        while not self._stopping.is_set() and not _is_gone(visit.request):
            if not self._auth.visit(visit.request).is_inside:
                await response.write(b"event: leave\ndata: \n\n")
                return
            html = await self._render(visit, url)
            unchanged += 1
            if html is not None and html != sent:
                sent, unchanged = html, 0
                await response.write(b"event: content\ndata: %b\n\n" % msgspec.json.encode(html))
            elif unchanged >= _REDRAWS_PER_COMMENT:
                unchanged = 0
                await response.write(b": still here\n\n")
            await self._pause()

    async def _render(self, visit: Visit, url: URL) -> str | None:
        content = await self._pages.content(visit.state, url)
        if content is None or not content.is_live:
            return None
        return self._layout.fragment(visit, content)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(REDRAW_S):
                await self._stopping.wait()
        except TimeoutError:
            pass


def _is_gone(request: web.Request) -> bool:
    """Return True once the browser has closed the connection: a page without changes would not notice it."""
    return request.transport is None or request.transport.is_closing()

"""Connections to the admin listener are counted: who holds many of them and asks for nothing shuts nobody out."""

from collections.abc import Callable

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

MAX_CONNECTIONS = 200
"""An operator's browsers, a scraper and some probes need a dozen."""


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
        return server()

    return enter

"""The dry-run contract of a candidate: a shadow write gets the response of a real one, but changes nothing."""

from aiohttp import web
from aiohttp.typedefs import Middleware

from legacy_stub.build import BUILD, SHADOW_MARK
from legacy_stub.responses import Handler
from legacy_stub.shop import Shop

_HANDLED = {"X-Strangler-Shadow-Handled": "1"}


def dry_runs(shop: Shop) -> Middleware:
    """Return the middleware that rehearses marked writes, and promises so in its response to OPTIONS.

    A build that does not know shadows runs them like any other: the accident that the OPTIONS request prevents.
    """

    @web.middleware
    async def rehearse(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.app[BUILD].knows_shadows or request.headers.get(SHADOW_MARK) != "dry-run":
            return await handler(request)
        if request.method == "OPTIONS":
            return await _promise(request, handler)
        await request.read()  # so that nothing in the rehearsal waits for the client
        with shop.rehearsal():
            response = await handler(request)
        response.headers.update(_HANDLED)
        return response

    return rehearse


async def _promise(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Confirm the paths that are served here, with their methods."""
    error = request.match_info.http_exception
    if not isinstance(error, web.HTTPMethodNotAllowed):
        return await handler(request)
    return web.Response(status=204, headers={"Allow": error.headers["Allow"], **_HANDLED})

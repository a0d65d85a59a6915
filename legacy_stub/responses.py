"""The common parts of the shop's responses: JSON, gzip, error pages, the frame of a page."""

import html
import json
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from aiohttp import web

from legacy_stub.shop import Json

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_GZIP_FROM_BYTES = 500


def json_response(data: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    body = json.dumps(data, ensure_ascii=False)
    return web.Response(text=body, status=status, headers=headers, content_type="application/json")


def json_error(status: int, message: str) -> web.Response:
    return json_response({"error": message}, status)


def timestamp() -> str:
    """Return the time to the microsecond, which differs between any two responses."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def json_body(request: web.Request) -> Json:
    """Return the request's JSON object. Raises 400 (HTTPBadRequest)."""
    try:
        data = await request.json()
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise web.HTTPBadRequest(reason="the body must be a JSON object")
    return data


@web.middleware
async def gzip(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Compress longer bodies for clients that accept gzip. A strong ETag stands for uncompressed bytes."""
    response = await handler(request)
    if not isinstance(response, web.Response) or len(_bytes_of(response)) < _GZIP_FROM_BYTES:
        return response
    if response.etag is not None and not response.etag.is_weak:
        return response
    response.headers["Vary"] = "Accept-Encoding"
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        response.enable_compression(web.ContentCoding.gzip)
    return response


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn a raised 4xx into JSON under /api and into a page elsewhere, and a raised redirect into a response."""
    try:
        return await handler(request)
    except web.HTTPRedirection as redirect:
        return web.Response(status=redirect.status, headers={"Location": redirect.headers["Location"]})
    except web.HTTPClientError as error:
        if request.path.startswith("/api/"):
            response = json_error(error.status, error.reason)
        else:
            response = page(str(error.status), f"<p>{html.escape(error.reason)}</p>", error.status)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response


def _bytes_of(response: web.Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b""


def page(title: str, body: str, status: int = 200, token: str = "") -> web.Response:
    """Return a whole HTML page. `body` is markup; `title` is text; `token` is for scripts that post forms.

    A nonce of this very response allows its script to run (Content Security Policy, level 3).
    """
    name, nonce = html.escape(title), secrets.token_urlsafe(12)
    return web.Response(
        status=status,
        content_type="text/html",
        headers={"Content-Security-Policy": f"script-src 'nonce-{nonce}'; object-src 'none'; base-uri 'none'"},
        text=f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{name} · Tea &amp; Mugs</title>
<meta name="csrf-token" content="{token}">
<script nonce="{nonce}">document.documentElement.className = "script";</script></head>
<body>
<nav><a href="/">Home</a> <a href="/products">Products</a> <a href="/cart">Cart</a> <a href="/account">Account</a></nav>
<main>
<h1>{name}</h1>
{body}
</main>
</body>
</html>
""",
    )

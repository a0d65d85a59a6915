"""What all answers of the shop have in common: JSON, ETag and 304, gzip, error pages, the session cookie."""

import hashlib
import html
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from aiohttp import ETag, web

from legacy_stub.shop import Json, Session, Shop

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_COOKIE = "sid"
_GZIP_FROM_BYTES = 500


def json_answer(data: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    body = json.dumps(data, ensure_ascii=False)
    return web.Response(text=body, status=status, headers=headers, content_type="application/json")


def json_error(status: int, message: str) -> web.Response:
    return json_answer({"error": message}, status)


def timestamp() -> str:
    """Now, to the microsecond: differs in any two answers."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def json_body(request: web.Request) -> Json:
    """The request's JSON object. Raises 400."""
    try:
        data = await request.json()
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise web.HTTPBadRequest(reason="a JSON object is needed")
    return data


def with_etag(request: web.Request, answer: web.Response) -> web.Response:
    """The answer with an ETag of its body, or 304 if the client has it (RFC 9110 section 13.1.2).

    The tag is weak because the same body may be sent with and without gzip.
    """
    tag = ETag(value=hashlib.sha256(_bytes_of(answer)).hexdigest()[:16], is_weak=True)
    if any(known.value in (tag.value, "*") for known in request.if_none_match or ()):
        answer = web.Response(status=304)
    answer.etag = tag
    return answer


@web.middleware
async def gzip(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Compress text that is worth it, where the client takes gzip."""
    answer = await handler(request)
    if not isinstance(answer, web.Response) or len(_bytes_of(answer)) < _GZIP_FROM_BYTES:
        return answer
    answer.headers["Vary"] = "Accept-Encoding"
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        answer.enable_compression(web.ContentCoding.gzip)
    return answer


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """4xx as JSON under /api, as a page elsewhere."""
    try:
        return await handler(request)
    except web.HTTPClientError as error:
        if request.path.startswith("/api/"):
            answer = json_error(error.status, error.reason)
        else:
            answer = page(str(error.status), f"<p>{html.escape(error.reason)}</p>", error.status)
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer


def _bytes_of(answer: web.Response) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else b""


def page(title: str, body: str, status: int = 200) -> web.Response:
    """A whole HTML page. `body` is markup; `title` is text."""
    name = html.escape(title)
    return web.Response(
        status=status,
        content_type="text/html",
        text=f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{name} · Tea &amp; Mugs</title></head>
<body>
<nav><a href="/">Home</a> <a href="/products">Products</a> <a href="/account">Account</a></nav>
<h1>{name}</h1>
{body}
</body>
</html>
""",
    )


def session_of(request: web.Request, shop: Shop) -> Session | None:
    return shop.session(request.cookies.get(_COOKIE))


def remember(answer: web.Response, session: Session) -> web.Response:
    """The answer with the session's cookie."""
    answer.set_cookie(_COOKIE, session.sid, httponly=True, samesite="Lax")
    return answer

"""Visitors: the session cookie, the count of their visits, and the tokens against forged forms."""

import hashlib
import secrets

from aiohttp import web
from aiohttp.typedefs import Middleware

from legacy_stub.build import BUILD
from legacy_stub.responses import Handler, json_response
from legacy_stub.shop import Session, Shop, new_session

_COOKIE = "sid"
_SESSION = web.RequestKey("session", Session)
_MASK_DIGITS = 8
_NOT_A_VISIT = ("/api/visits", "/healthz", "/faults", "/events", "/ws")
_NO_PAGE = ("/api/", "/files/")


def sessions(shop: Shop) -> Middleware:
    """Return the middleware that counts visits, and opens a session for a visitor of a page who has none.

    Each request with a session's cookie is one visit, whatever its outcome, so that an extra request by a proxy shows
    in the count. A build that knows shadows neither counts a shadow nor opens a session for it.
    """

    @web.middleware
    async def remember_visit(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _NOT_A_VISIT:
            return await handler(request)
        is_shadow = request.app[BUILD].is_shadow(request)
        sid = request.cookies.get(_COOKIE)
        session = shop.session(sid) if is_shadow else shop.count_visit(sid)
        is_new = session is None and not request.path.startswith(_NO_PAGE)
        if is_new:
            session = new_session() if is_shadow else shop.open_session()
        if session is not None:
            request[_SESSION] = session
        response = await handler(request)
        if is_new and session and not response.prepared and _COOKIE not in response.cookies:
            remember(response, session)
        return response

    return remember_visit


def session_of(request: web.Request) -> Session | None:
    return request.get(_SESSION)


def remember(response: web.StreamResponse, session: Session) -> None:
    """Set the session's cookie."""
    response.set_cookie(_COOKIE, session.sid, httponly=True, samesite="Lax")


def forget(response: web.StreamResponse) -> None:
    response.del_cookie(_COOKIE)


def csrf_token(session: Session) -> str:
    """Return a token for the session's forms: a new one each time, so that gzip gives nothing away (BREACH)."""
    return _masked(session, secrets.token_hex(_MASK_DIGITS // 2))


def is_token_of(session: Session | None, token: str) -> bool:
    """Return True if a page made the token for this session."""
    return session is not None and secrets.compare_digest(
        token.encode(), _masked(session, token[:_MASK_DIGITS]).encode()
    )


def _masked(session: Session, mask: str) -> str:
    return mask + hashlib.sha256(f"{mask} {session.csrf}".encode()).hexdigest()[:24]


class Visits:
    """The count of a visitor's visits, for checks. Reading it is no visit."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/visits", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        session = self._shop.session(request.cookies.get(_COOKIE))
        return json_response({"visits": session.visits if session else 0}, headers={"Cache-Control": "no-store"})

"""Authentication for the dashboard: sessions behind a cookie, login and logout, and forms that only our pages can make.

A browser may use a session in place of the API's `Authorization: Bearer`. The API itself never accepts a cookie, so
that only the forms here can be sent from other sites, and these carry a mark.
"""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from yarl import URL

from strangler.control import guard
from strangler.control.dashboard.actions import ActionError
from strangler.control.dashboard.layout import Layout
from strangler.control.dashboard.page_content import Content
from strangler.control.dashboard.pages import Control
from strangler.control.dashboard.sessions import COOKIE, LASTS_S, SessionsState, is_cookie, new_cookie
from strangler.control.dashboard.visit import Access, Visit, form_text, local_url, read_form
from strangler.control.responses import VISITOR
from strangler.control.visitor import PREFIX_FIELD

_WRONG_TOKEN_S = 0.5  # the delay of each wrong guess
_MAX_COOKIES = 8

log = structlog.get_logger()


class Auth:
    """Decides what a browser may do. `state_of` returns the state of control behind a request."""

    def __init__(self, state_of: Callable[[web.Request], Control], sessions: SessionsState, layout: Layout) -> None:
        self._state_of = state_of
        self._sessions = sessions
        self._layout = layout

    def visit(self, request: web.Request) -> Visit:
        """Return the visit: the request with what its cookie and its token allow now."""
        state = self._state_of(request)
        token, cookies = state.token, _cookies(request)
        held = next((cookie for cookie in cookies if token is not None and self._sessions.holds(cookie, token)), None)
        cookie = held or next(iter(cookies), "")
        by_session = held is not None
        return Visit(
            request=request,
            state=state,
            visitor=request[VISITOR],
            cookie=cookie or new_cookie(),
            is_new=not cookie,
            is_inside=by_session or guard.has_token(token, request.headers),
            by_session=by_session,
        )

    async def refusal(self, visit: Visit, access: Access) -> web.Response | None:
        """Return the response to a refused request, or None.

        Raises ActionError for a form that none of our pages made.
        """
        refused = _foreign_link(visit) if access is Access.LINK else _foreign(visit)
        if refused is not None:
            return self._layout.problem(visit, *refused)
        if not visit.is_inside and access is Access.LOGIN:
            return self._login_first(visit)
        if visit.request.method == "POST" and access is not Access.LINK:
            await self._check_form(visit)
        return None

    def _login_first(self, visit: Visit) -> web.Response:
        request = visit.request
        if request.method == "GET" and request.path != "/live":
            return visit.see(URL("/login").with_query(next=str(request.rel_url)))
        return self._layout.problem(visit, 401, "Your session has ended. Log in again.")

    async def _check_form(self, visit: Visit) -> None:
        """Raise ActionError for a form without our mark: another site may have made the operator's browser send it."""
        is_hidden = visit.request.headers.get("Origin") == "null"  # then only the mark shows whose page it is
        if visit.state.token is not None and not visit.by_session and visit.is_inside and not is_hidden:
            return  # it carries the token, which no browser adds by itself
        form = await read_form(visit.request)
        if visit.is_new:
            raise ActionError(403, _no_cookie_text(visit))
        if not self._sessions.is_ours(visit.cookie, form_text(form, "mark")):
            raise ActionError(403, "This form is too old, or from another site. Go back, reload, and try again.")

    async def login_page(self, visit: Visit) -> web.Response:
        """Return the login form, or redirect a visitor who is logged in already."""
        target = local_url(visit.request.query.get("next", "/"))
        if visit.is_inside:
            return visit.see(target)
        return self._layout.page(visit, Content("Log in", "login.html", {"next": str(target)}))

    async def login(self, visit: Visit) -> web.Response:
        """Trade the token for a session."""
        form, token = await read_form(visit.request), visit.state.token
        if not guard.has_token(token, {"Authorization": f"Bearer {form_text(form, 'token')}"}):
            log.warning("dashboard.login_refused", client=visit.visitor.address)
            await asyncio.sleep(_WRONG_TOKEN_S)
            raise ActionError(403, "The token is wrong.")
        response = visit.see(local_url(form_text(form, "next")))
        if token is not None:
            self._sessions.end(visit.cookie)
            set_cookie(visit, response, self._sessions.begin(token))
            await visit.state.audit(visit.actor, "login", "", "", "")
        return response

    async def logout(self, visit: Visit) -> web.Response:
        """End the session, and give the browser another cookie."""
        self._sessions.end(visit.cookie)
        await visit.state.audit(visit.actor, "logout", "", "", "")
        response = visit.see(URL("/login"))
        set_cookie(visit, response, new_cookie())
        return response


def _foreign(visit: Visit) -> tuple[int, str] | None:
    request, visitor = visit.request, visit.visitor
    return guard.foreign(
        visit.state.token, request.method, request.headers, visitor.hosts, scheme=visitor.scheme, has_mark=True
    )


def _foreign_link(visit: Visit) -> tuple[int, str] | None:
    """Return the same for a path that people reach by a link: the name in `admin.url` is one of ours.

    A page from elsewhere may send no form here even if it knows a link: it would use the network that its reader is in.
    """
    request, visitor, url = visit.request, visit.visitor, visit.state.settings.admin.url
    own = "" if url is None else urlsplit(url).netloc
    token = visit.state.token
    if own and request.headers.get("Host", "").lower() == own.lower():
        return guard.foreign_page(request.method, request.headers, visitor.hosts, scheme=visitor.scheme)
    hosts = (*visitor.hosts, own) if own else visitor.hosts
    return guard.foreign(token, request.method, request.headers, hosts, scheme=visitor.scheme)


def set_cookie(visit: Visit, response: web.StreamResponse, cookie: str) -> None:
    """Set the cookie for this site and path only, sent by its own pages only, and never shown to a script."""
    request = visit.request
    is_secure = request.secure or _is_https(request.headers.get("X-Forwarded-Proto", ""))
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(LASTS_S),
        path=visit.visitor.prefix or "/",
        secure=is_secure,
        httponly=True,
        samesite="Strict",
    )


def _cookies(request: web.Request) -> list[str]:
    """Return the cookies of our name, the most specific path first (RFC 6265 section 5.4).

    Below a path there may be two of them: ours, and that of a dashboard at the root of the same host or of another
    application.
    """
    pairs = (pair.strip().partition("=") for line in request.headers.getall("Cookie", []) for pair in line.split(";"))
    found = (value.strip().strip('"') for name, _, value in pairs if name == COOKIE)
    return [value for value in found if is_cookie(value)][:_MAX_COOKIES]


def _is_https(proto: str) -> bool:
    """Return whether the browser used https: in a chain of proxies the first scheme is the browser's."""
    return proto.partition(",")[0].strip().lower() == "https"


def _no_cookie_text(visit: Visit) -> str:
    """Return why a form comes without a cookie, and the way out."""
    text = (
        "This form came without our cookie, so it may come from another site. Let the browser keep cookies, and the"
        " proxy in front pass Cookie and Set-Cookie unchanged."
    )
    if PREFIX_FIELD in visit.visitor.ignored:
        return text  # the page says why
    return (
        f"{text} If the dashboard is below a path, that proxy must name the path (nginx:"
        " `proxy_set_header X-Forwarded-Prefix /PATH;`), with its address in admin.trusted_proxies."
    )

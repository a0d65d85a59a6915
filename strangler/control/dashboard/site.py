"""The dashboard on the admin listener: its paths, the check before each of them, and the headers of each response."""

from collections.abc import Callable
from importlib.resources import files
from typing import Final

import structlog
from aiohttp import web

from strangler.control.dashboard.actions import ActionError
from strangler.control.dashboard.approval_page import ApprovalPage
from strangler.control.dashboard.auth import Auth, set_cookie
from strangler.control.dashboard.cached_ledger import CachedLedgerState
from strangler.control.dashboard.cached_queries import EvidenceState
from strangler.control.dashboard.forms import Forms
from strangler.control.dashboard.layout import HEADERS, Layout, ignored_prefix_text
from strangler.control.dashboard.live import LiveStreams
from strangler.control.dashboard.pages import Control, Pages
from strangler.control.dashboard.sessions import COOKIE, SessionsState
from strangler.control.dashboard.visit import Access, Handler, Visit
from strangler.control.responses import VISITOR
from strangler.control.rollout import approval_links
from strangler.control.visitor import PREFIX_FIELD, Visitor

_NAME: Final = "page:"
_PAGES: Final = (
    "/",
    "/routes/{name}",
    "/routes/{name}/refused",
    "/signatures",
    "/signatures/{name}",
    "/ledger",
    "/ledger/endpoint",
    "/rollouts",
    "/rollouts/{name}",
    "/explain",
    "/config",
    "/audit",
)
_STATIC: Final = {
    "dashboard.css": "text/css",
    "dashboard.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}

log = structlog.get_logger()


def is_page(request: web.Request) -> bool:
    """Return whether a request is for the dashboard, which checks access itself."""
    return (request.match_info.route.name or "").startswith(_NAME)


class Dashboard:
    """The paths of the dashboard. `state_of` returns the state of control behind a request."""

    def __init__(self, state_of: Callable[[web.Request], Control]) -> None:
        sessions, evidence, ledger = SessionsState(), EvidenceState(), CachedLedgerState()
        self._layout = Layout(sessions)
        self._auth = Auth(state_of, sessions, self._layout)
        self._pages = Pages(evidence, ledger)
        self._live = LiveStreams(self._auth, self._layout, self._pages)
        self._forms = Forms(evidence, ledger)
        self._approvals = ApprovalPage(self._layout)
        self._static = {
            name: files("strangler.control.dashboard").joinpath("static", name).read_bytes() for name in _STATIC
        }
        self._has_warned_of_prefix = False

    def attach(self, app: web.Application) -> None:
        """Add every path to the application of the admin listener."""
        for method in ("GET", "HEAD", "POST"):
            self._add_link(app, method)
        for path in _PAGES:
            self._add(app, "GET", path, self._page)
        self._add(app, "GET", "/live", self._live.stream)
        self._add(app, "GET", "/static/{name}", self._static_file, Access.LINK)
        self._add(app, "GET", "/login", self._auth.login_page, Access.OPEN)
        self._add(app, "POST", "/login", self._auth.login, Access.OPEN)
        self._add(app, "POST", "/logout", self._auth.logout)
        self._add(app, "POST", "/actions/kill-switch", self._forms.turn_kill_switch)
        self._add(app, "POST", "/actions/signatures/{name}", self._forms.review_one)
        self._add(app, "POST", "/actions/signatures", self._forms.review_many)
        self._add(app, "POST", "/actions/shadows/{name}", self._forms.resume_shadow)
        self._add(app, "POST", "/actions/ledger", self._forms.change_ledger)
        self._add(app, "POST", "/actions/rollouts/{name}", self._forms.move_rollout)
        app.on_shutdown.append(self._live.stop)

    def _add_link(self, app: web.Application, method: str) -> None:
        """Add the path of approval links. Without a token it is the page of a route of that name."""
        handler = self._approvals.approve if method == "POST" else self._approvals.show

        async def respond(request: web.Request) -> web.StreamResponse:
            visit = self._auth.visit(request)
            if method != "POST" and "token" not in request.query:
                return await self._respond(visit, self._page, Access.LOGIN)
            return await self._respond(visit, handler, Access.LINK)

        app.router.add_route(method, approval_links.PATH, respond, name=f"{_NAME}{method}.approval")

    def _add(
        self, app: web.Application, method: str, path: str, handler: Handler, access: Access = Access.LOGIN
    ) -> None:
        async def respond(request: web.Request) -> web.StreamResponse:
            return await self._respond(self._auth.visit(request), handler, access)

        name = f"{_NAME}{method}{path.replace('{name}', 'name')}".replace("/", ".").replace("-", "_")
        app.router.add_route(method, path, respond, name=_route_name(name))

    async def _respond(self, visit: Visit, handler: Handler, access: Access) -> web.StreamResponse:
        self._warn_of_prefix(visit.visitor)
        try:
            refused = await self._auth.refusal(visit, access)
            response = await handler(visit) if refused is None else refused
        except ActionError as error:
            response = self._layout.problem(visit, error.status, str(error))
        except web.HTTPException as error:
            response = self._layout.problem(visit, error.status, error.reason)
        if not response.prepared:
            response.headers.update(HEADERS)
            is_keeping = access is not Access.LINK
            if is_keeping and visit.is_new and "Set-Cookie" not in response.headers and COOKIE not in response.cookies:
                set_cookie(visit, response, visit.cookie)
        return response

    def _warn_of_prefix(self, visitor: Visitor) -> None:
        """Warn once that our links do not work behind the proxy in front."""
        if PREFIX_FIELD in visitor.ignored and not self._has_warned_of_prefix:
            self._has_warned_of_prefix = True
            log.warning("dashboard.prefix_ignored", proxy=visitor.address, way_out=ignored_prefix_text(visitor))

    async def _page(self, visit: Visit) -> web.Response:
        content = await self._pages.content(visit.state, visit.request.rel_url)
        if content is None:
            return self._layout.problem(visit, 404, "There is nothing of that name.")
        return self._layout.page(visit, content)

    async def _static_file(self, visit: Visit) -> web.Response:
        name = visit.request.match_info["name"]
        if name not in self._static:
            return self._layout.problem(visit, 404, "There is nothing of that name.")
        return web.Response(body=self._static[name], content_type=_STATIC[name], charset="utf-8")

    def unstripped(self, request: web.Request) -> web.Response:
        """Return the page for a path that still has the prefix that the proxy in front should remove."""
        prefix = request[VISITOR].prefix
        response = self._layout.problem(
            self._auth.visit(request),
            404,
            f"The path still begins with {prefix}, which the proxy in front should remove"
            f" (nginx: `location {prefix}/ {{ proxy_pass http://HOST:PORT/; }}`, with the slash at the end).",
        )
        response.headers.update(HEADERS)
        return response


def _route_name(text: str) -> str:
    """Return a name that aiohttp takes: words separated by dots or colons."""
    return text.replace("..", ".").rstrip(".")

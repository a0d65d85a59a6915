"""The dashboard on the admin listener: who may see it, its pages, the stream that keeps them up to date, its actions.

Beside the API's `Authorization: Bearer` a browser may come with a session; the API itself never takes a cookie, so that
nothing but the forms here can be used across sites, and those carry a mark.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import msgspec
import structlog
from aiohttp import web
from multidict import MultiMapping
from yarl import URL

from strangler import __version__
from strangler.control import guard
from strangler.control.answers import VISITOR
from strangler.control.dashboard.actions import ActionError, resume, review, turn
from strangler.control.dashboard.evidence import EvidenceState, chosen_open
from strangler.control.dashboard.pages import FILTERS, Content, Control, Pages
from strangler.control.dashboard.rendering import environment
from strangler.control.dashboard.sessions import COOKIE, LASTS_S, SessionsState, is_cookie, new_cookie
from strangler.control.visitor import PREFIX_FIELD, Visitor

EVERY_S = 1.0
"""How often a page that is watched is drawn again."""

MAX_STREAMS = 50
_BEAT_EVERY = 15
"""Of these, so many without a change: then a comment says that the stream lives."""

_WRONG_TOKEN_S = 0.5  # what each guess costs
_NAME: Final = "page:"

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer. No script and no style but our own files: what came from traffic could not run if it got through."""

_STATIC = {
    "dashboard.css": "text/css",
    "dashboard.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}

_SAID = {
    "killed": "The kill switch is on: every request goes to legacy.",
    "alive": "The kill switch is off: the routes decide again.",
    "resumed": "Shadowing goes on. The candidate is asked anew whether it knows dry runs.",
    "known": "Noted as known.",
    "fixed": "Noted as fixed. If it is seen again, it is told as regressed.",
    "accepted": "Accepted: routes.yaml has the rule.",
}

_BULK_SAID = ("state_said", "changed", "unchanged", "refused", "why_not")
_MAX_WHY_NOT = 300
_MAX_COOKIES = 8

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a browser. `is_inside`: it may see and do what is here."""

    request: web.Request
    state: Control
    visitor: Visitor
    cookie: str
    is_new: bool  # the cookie was made just now
    is_inside: bool
    by_session: bool

    @property
    def who(self) -> str:
        """For the audit."""
        return self.visitor.name("dashboard")

    def see(self, target: URL) -> web.Response:
        """Lead the browser on to a path of ours, wherever a proxy in front shows it."""
        return web.Response(status=303, headers={"Location": f"{self.visitor.prefix}{target}"})


_Handler = Callable[[Visit], Awaitable[web.StreamResponse]]


def is_page(request: web.Request) -> bool:
    """True if a request is for the dashboard, which guards itself."""
    return (request.match_info.route.name or "").startswith(_NAME)


class Dashboard:
    """`of`: the state behind a request."""

    def __init__(self, of: Callable[[web.Request], Control]) -> None:
        self._of = of
        self._sessions = SessionsState()
        self._evidence = EvidenceState()
        self._pages = Pages(self._evidence)
        self._static = {
            name: files("strangler.control.dashboard").joinpath("static", name).read_bytes() for name in _STATIC
        }
        self._streams = 0
        self._has_told_ignored = False
        self._stopping = asyncio.Event()

    def attach(self, app: web.Application) -> None:
        """Add all of it to the application of the admin listener."""
        for path in ("/", "/routes/{name}", "/signatures", "/signatures/{name}", "/explain", "/config", "/audit"):
            self._add(app, "GET", path, self._page)
        self._add(app, "GET", "/live", self._live)
        self._add(app, "GET", "/static/{name}", self._file, is_open=True)
        self._add(app, "GET", "/login", self._login_page, is_open=True)
        self._add(app, "POST", "/login", self._login, is_open=True)
        self._add(app, "POST", "/logout", self._logout)
        self._add(app, "POST", "/actions/kill-switch", self._kill_switch)
        self._add(app, "POST", "/actions/signatures/{name}", self._review)
        self._add(app, "POST", "/actions/signatures", self._review_many)
        self._add(app, "POST", "/actions/shadows/{name}", self._resume)
        app.on_shutdown.append(self._stop)

    def _add(self, app: web.Application, method: str, path: str, handler: _Handler, is_open: bool = False) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            return await self._enter(request, handler, is_open)

        name = f"{_NAME}{method}{path.replace('{name}', 'name')}".replace("/", ".").replace("-", "_")
        app.router.add_route(method, path, answer, name=_route_name(name))

    async def _stop(self, _: web.Application) -> None:
        self._stopping.set()

    # 1. Who comes in

    async def _enter(self, request: web.Request, handler: _Handler, is_open: bool) -> web.StreamResponse:
        visit = self._visit(request)
        self._tell_ignored(visit.visitor)
        try:
            answer = await self._guarded(visit, handler, is_open)
        except ActionError as error:
            answer = self._problem(visit, error.status, str(error))
        except web.HTTPException as error:
            answer = self._problem(visit, error.status, error.reason)
        if not answer.prepared:
            answer.headers.update(HEADERS)
            if visit.is_new and "Set-Cookie" not in answer.headers and COOKIE not in answer.cookies:
                _set_cookie(visit, answer, visit.cookie)
        return answer

    def _tell_ignored(self, visitor: Visitor) -> None:
        """Warn once that the links of our pages do not fit the proxy in front."""
        if PREFIX_FIELD in visitor.ignored and not self._has_told_ignored:
            self._has_told_ignored = True
            log.warning("dashboard.prefix_ignored", proxy=visitor.address, way_out=_ignored_text(visitor))

    def _visit(self, request: web.Request) -> Visit:
        state = self._of(request)
        token, cookies = state.token, _cookies(request)
        held = next((one for one in cookies if token is not None and self._sessions.holds(one, token)), None)
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

    async def _guarded(self, visit: Visit, handler: _Handler, is_open: bool) -> web.StreamResponse:
        request = visit.request
        refused = guard.foreign(visit.state.token, request.method, request.headers, visit.visitor.hosts, has_mark=True)
        if refused is not None:
            return self._problem(visit, *refused)
        if not visit.is_inside and not is_open:
            return self._turned_away(visit)
        if request.method == "POST":
            await self._check_form(visit)
        return await handler(visit)

    def _turned_away(self, visit: Visit) -> web.Response:
        request = visit.request
        if request.method == "GET" and request.path != "/live":
            return visit.see(URL("/login").with_query(next=str(request.rel_url)))
        return self._problem(visit, 401, "Your session has ended. Log in again.")

    async def _check_form(self, visit: Visit) -> None:
        """A form that another site made our operator's browser send does not know the mark."""
        is_hidden = visit.request.headers.get("Origin") == "null"  # then nothing but the mark tells whose page it is
        if visit.state.token is not None and not visit.by_session and visit.is_inside and not is_hidden:
            return  # came with the token itself, which no browser adds by itself
        form = await _form(visit.request)
        if visit.is_new:
            raise ActionError(403, _no_cookie(visit))
        if not self._sessions.is_ours(visit.cookie, _text(form, "mark")):
            raise ActionError(403, "This form is too old, or no page of ours made it. Go back, reload, and try again.")

    # 2. Pages

    async def _page(self, visit: Visit) -> web.Response:
        content = await self._pages.content(visit.state, visit.request.rel_url)
        if content is None:
            return self._problem(visit, 404, "There is none of that name.")
        return self._whole(visit, content)

    def _whole(self, visit: Visit, content: Content, status: int = 200) -> web.Response:
        said = visit.request.query.get("said", "")
        template = environment().get_template("base.html")
        text = template.render(
            content.context,
            fragment=content.fragment,
            title=content.title,
            live=content.is_live,
            version=__version__,
            base=visit.visitor.prefix,
            path=visit.request.path,
            here=str(visit.request.rel_url.without_query_params("said", *_BULK_SAID)),
            mark=self._sessions.mark(visit.cookie),
            is_inside=visit.is_inside,
            can_leave=visit.by_session,
            said=_bulk_said(visit.request.query) if said == "bulk" else _SAID.get(said),
            said_kind="bad" if said == "killed" else "",
        )
        return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")

    def _problem(self, visit: Visit, status: int, detail: str) -> web.Response:
        heading = {401: "Logged out", 403: "Refused", 404: "Not found"}.get(status, "That did not work")
        if PREFIX_FIELD in visit.visitor.ignored:
            detail = f"{detail} {_ignored_text(visit.visitor)}"
        return self._whole(visit, Content(heading, "problem.html", {"heading": heading, "detail": detail}), status)

    def unstripped(self, request: web.Request) -> web.Response:
        """Return the page for a path that the proxy in front has not made ours."""
        prefix = request[VISITOR].prefix
        answer = self._problem(
            self._visit(request),
            404,
            f"The path still begins with {prefix}, which the proxy in front should take away"
            f" (nginx: `location {prefix}/ {{ proxy_pass http://HOST:PORT/; }}`, with the slash at the end).",
        )
        answer.headers.update(HEADERS)
        return answer

    async def _file(self, visit: Visit) -> web.Response:
        name = visit.request.match_info["name"]
        if name not in self._static:
            return self._problem(visit, 404, "There is none of that name.")
        return web.Response(body=self._static[name], content_type=_STATIC[name], charset="utf-8")

    async def _live(self, visit: Visit) -> web.StreamResponse:
        """Server-sent events: `content`, the main part of a page as a JSON string, whenever it has changed."""
        if self._streams >= MAX_STREAMS:
            return self._problem(visit, 503, f"{MAX_STREAMS} pages are watched already.")
        answer = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        self._streams += 1
        try:
            await answer.prepare(visit.request)
            await self._watch(visit, answer, _local(visit.request.query.get("of", "/")))
        except ConnectionError:  # the browser has gone
            pass
        finally:
            self._streams -= 1
        return answer

    async def _watch(self, visit: Visit, answer: web.StreamResponse, url: URL) -> None:
        shown, beats = "", 0
        while not self._stopping.is_set():
            if not self._visit(visit.request).is_inside:
                await answer.write(b"event: leave\ndata: \n\n")
                return
            html = await self._fragment(visit, url)
            beats += 1
            if html is not None and html != shown:
                shown, beats = html, 0
                await answer.write(b"event: content\ndata: %b\n\n" % msgspec.json.encode(html))
            elif beats >= _BEAT_EVERY:
                beats = 0
                await answer.write(b": still here\n\n")
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(EVERY_S):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def _fragment(self, visit: Visit, url: URL) -> str | None:
        content = await self._pages.content(visit.state, url)
        if content is None or not content.is_live:
            return None
        template = environment().get_template(content.fragment)
        return template.render(content.context, base=visit.visitor.prefix, mark=self._sessions.mark(visit.cookie))

    # 3. In and out

    async def _login_page(self, visit: Visit) -> web.Response:
        target = _local(visit.request.query.get("next", "/"))
        if visit.is_inside:
            return visit.see(target)
        return self._whole(visit, Content("Log in", "login.html", {"next": str(target)}))

    async def _login(self, visit: Visit) -> web.Response:
        form, token = await _form(visit.request), visit.state.token
        if not guard.has_token(token, {"Authorization": f"Bearer {_text(form, 'token')}"}):
            log.warning("dashboard.login_refused", client=visit.visitor.address)
            await asyncio.sleep(_WRONG_TOKEN_S)
            raise ActionError(403, "That is not the token.")
        answer = visit.see(_local(_text(form, "next")))
        if token is not None:
            self._sessions.end(visit.cookie)
            _set_cookie(visit, answer, self._sessions.begin(token))
            await visit.state.audit(visit.who, "login", "", "", "")
        return answer

    async def _logout(self, visit: Visit) -> web.Response:
        self._sessions.end(visit.cookie)
        await visit.state.audit(visit.who, "logout", "", "", "")
        answer = visit.see(URL("/login"))
        _set_cookie(visit, answer, new_cookie())
        return answer

    # 4. Actions

    async def _kill_switch(self, visit: Visit) -> web.Response:
        form = await _form(visit.request)
        on = _text(form, "on") == "1"
        await turn(visit.state, on, _text(form, "reason"), visit.who)
        return visit.see(URL("/").with_query(said="killed" if on else "alive"))

    async def _resume(self, visit: Visit) -> web.Response:
        form, name = await _form(visit.request), visit.request.match_info["name"]
        await resume(visit.state, name, _text(form, "why"), visit.who)
        return visit.see((URL("/routes") / name).with_query(said="resumed"))

    async def _review(self, visit: Visit) -> web.Response:
        form, name = await _form(visit.request), visit.request.match_info["name"]
        said = _said_in(form)
        await review(visit.state, self._evidence, [name], said, visit.who)
        return visit.see((URL("/signatures") / name).with_query(said=said["state"]))

    async def _review_many(self, visit: Visit) -> web.Response:
        """The rows that are ticked, or all that the filters of the page choose."""
        form = await _form(visit.request)
        said = _said_in(form)
        by = {key: _text(form, f"by_{key}") for key in FILTERS}
        if _text(form, "which") == "all":
            rows = chosen_open(await self._evidence.inbox(visit.state.store, visit.state.settings), by)
            names = [row.id for row in rows]
        else:
            names = [one for one in form.getall("id", []) if isinstance(one, str)]
        done = await review(visit.state, self._evidence, names, said, visit.who)
        query = {key: value for key, value in by.items() if value} | {
            "said": "bulk",
            "state_said": said["state"],
            "changed": str(done.changed),
            "unchanged": str(done.unchanged),
            "refused": str(len(names) - done.changed - done.unchanged),
            "why_not": "; ".join(done.refused)[:_MAX_WHY_NOT],
        }
        return visit.see(URL("/signatures").with_query(query))


def _bulk_said(query: Mapping[str, str]) -> str:
    """Return the outcome of a form for many differences. It stands in the address, so anybody may have written it."""
    changed, unchanged, refused = (_figure(query.get(key, "")) for key in ("changed", "unchanged", "refused"))
    word = query.get("state_said", "")
    parts = [f"{changed:,} noted as {word if word in _SAID else 'reviewed'}."]
    parts += [f"{unchanged:,} were so already."] if unchanged else []
    parts += [f"{refused:,} left as they were: {query.get('why_not', '')[:_MAX_WHY_NOT]}."] if refused else []
    return " ".join(parts)


def _figure(text: str) -> int:
    return int(text[:6]) if text.isascii() and text.isdigit() else 0


def _route_name(text: str) -> str:
    """aiohttp takes words parted by dots or colons."""
    return text.replace("..", ".").rstrip(".")


async def _form(request: web.Request) -> MultiMapping[Any]:
    """Its fields. aiohttp keeps them, so that asking twice costs nothing."""
    try:
        return await request.post()
    except (ValueError, LookupError):  # bytes that are no text, an unknown charset
        raise ActionError(400, "This form cannot be read.") from None


def _no_cookie(visit: Visit) -> str:
    """The cause that a form comes without a cookie, and the way out."""
    text = (
        "This form came without our cookie, so nothing tells that a page of ours made it. Let the browser keep cookies,"
        " and the proxy in front pass Cookie and Set-Cookie as they are."
    )
    if PREFIX_FIELD in visit.visitor.ignored:
        return text  # the page says why
    return (
        f"{text} Below a path it has to name that path (nginx: `proxy_set_header X-Forwarded-Prefix /PATH;`), with its"
        " address in admin.trusted_proxies."
    )


def _ignored_text(visitor: Visitor) -> str:
    """The cause that a proxy in front is not believed, and the line that mends it."""
    return (
        f"{PREFIX_FIELD} of {visitor.address} was not believed: write `trusted_proxies: [{visitor.address}]` under"
        " admin in routes.yaml, if that is the proxy in front."
    )


def _text(form: Mapping[str, Any], key: str) -> str:
    value = form.get(key, "")
    return value.strip() if isinstance(value, str) else ""


def _said_in(form: Mapping[str, Any]) -> dict[str, str]:
    """Return what a form says of differences."""
    return {key: _text(form, key) for key in ("state", "owner", "why", "until")}


def _local(text: str) -> URL:
    """A path here, or the overview: a link to the login page must not lead elsewhere."""
    try:
        url = URL(text)
    except ValueError:
        return URL("/")
    is_here = text.startswith("/") and not text.startswith("//") and "\\" not in text and not url.is_absolute()
    return url if is_here and text.isprintable() else URL("/")


def _cookies(request: web.Request) -> list[str]:
    """Those of our name, the most specific path first (RFC 6265 section 5.4): below a path there may be two of them,
    ours and that of a dashboard at the root of the same host, or what another application has set."""
    pairs = (pair.strip().partition("=") for line in request.headers.getall("Cookie", []) for pair in line.split(";"))
    found = (value.strip().strip('"') for name, _, value in pairs if name == COOKIE)
    return [value for value in found if is_cookie(value)][:_MAX_COOKIES]


def _is_https(proto: str) -> bool:
    """The scheme that the browser used, of a chain of proxies the first."""
    return proto.partition(",")[0].strip().lower() == "https"


def _set_cookie(visit: Visit, answer: web.StreamResponse, cookie: str) -> None:
    """Sent to this site and path only, by its own pages only, and never shown to a script."""
    request = visit.request
    is_secure = request.secure or _is_https(request.headers.get("X-Forwarded-Proto", ""))
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=int(LASTS_S),
        path=visit.visitor.prefix or "/",
        secure=is_secure,
        httponly=True,
        samesite="Strict",
    )

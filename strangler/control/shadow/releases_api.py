"""The API about releases: list them, name the current one, and set evidence aside."""

from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from strangler.config.edit import unknown_route
from strangler.control.responses import json_response, named, problem, read_body
from strangler.control.shadow.evidence_actions import EvidenceActions
from strangler.core.documents import ReleaseNamedDocument, ReleaseRequest, ResetDocument, ResetRequest
from strangler.core.settings import Settings
from strangler.store.evidence import queries, reading
from strangler.store.evidence.reading import NoEvidenceError
from strangler.store.evidence.stored_releases import name_problem, set_aside_problem
from strangler.store.store import Store, StoreError


class Slowness(Protocol):
    """The judge of how slow candidates are."""

    def forget(self, route: str) -> None: ...


class Control(Protocol):
    """The parts of control that are needed here."""

    @property
    def settings(self) -> Settings: ...
    @property
    def store(self) -> Store: ...
    @property
    def evidence(self) -> EvidenceActions: ...
    @property
    def slow(self) -> Slowness: ...
    async def audit(self, actor: str, what: str, route: str, why: str, detail: str) -> None: ...


class ReleasesApi:
    """The handlers of the API about releases. `of` returns the state of control behind a request."""

    def __init__(self, of: Callable[[web.Request], Control]) -> None:
        self._of = of

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/releases", self.releases),
            web.post("/api/releases", self.name),
            web.post("/api/routes/{route}/reset", self.reset),
        ]

    async def releases(self, request: web.Request) -> web.Response:
        """Return the releases of `?route=orders`, or of all routes."""
        state, route = self._of(request), request.query.get("route")
        missing = None if route is None else _missing(state.settings, route)
        if missing is not None:
            return missing
        settings = state.settings
        try:
            found = await reading.ask(state.store, lambda connection: queries.releases(connection, settings, route))
        except NoEvidenceError as error:
            return problem(503, str(error))
        return json_response(found)

    async def name(self, request: web.Request) -> web.Response:
        """Name a release: `{"route": "orders", "name": "v1.4.2", "who": "ci", "why": "deployed"}`."""
        body = await read_body(request, ReleaseRequest)
        if isinstance(body, web.Response):
            return body
        state = self._of(request)
        missing, wrong = _missing(state.settings, body.route), name_problem(body.name)
        if missing is not None:
            return missing
        if wrong is not None:
            return problem(400, wrong)
        if state.evidence.is_set_aside(body.route, body.name):
            return problem(400, set_aside_problem(body.name))
        try:
            former, is_new = await state.evidence.name_release(body.route, body.name)
        except StoreError as error:
            return problem(507, f"the release is current from now on, but the store cannot be written: {error}")
        if is_new:
            detail = f"{former or '(unnamed)'} to {body.name}"
            await state.audit(named(request, body.who), "release", body.route, body.why, detail)
        return json_response(ReleaseNamedDocument(body.route, body.name, former or None, is_new))

    async def reset(self, request: web.Request) -> web.Response:
        """Set all evidence of a route aside: `{"who": "ana", "why": "the candidate was another one"}`."""
        body = await read_body(request, ResetRequest)
        if isinstance(body, web.Response):
            return body
        state, route = self._of(request), request.match_info["route"]
        missing = _missing(state.settings, route)
        if missing is not None:
            return missing
        if not body.why.strip():
            return problem(400, "why must not be empty: the audit keeps the reason")
        try:
            names = await state.evidence.reset(route)
        except StoreError as error:
            return problem(507, f"nothing was set aside: the store cannot be written: {error}")
        state.slow.forget(route)
        if names:
            await state.audit(named(request, body.who), "evidence reset", route, body.why, ", ".join(names))
        return json_response(ResetDocument(route, names))


def _missing(settings: Settings, route: str) -> web.Response | None:
    names = [each_route.name for each_route in settings.routes]
    return None if route in names else problem(404, unknown_route(route[:100], names))

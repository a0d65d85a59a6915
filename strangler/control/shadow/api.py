"""The API about shadows: the inbox, one signature, the readiness of a route, the report's data, the audit."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import msgspec
import structlog
from aiohttp import web

from strangler.config.edit import unknown_route
from strangler.control.responses import json_response, named, problem, read_body
from strangler.control.shadow.evidence_actions import EvidenceActions
from strangler.core.compare import Severity
from strangler.core.documents import MAX_TEXT as MAX_TEXT
from strangler.core.documents import (
    AuditDocument,
    AuditRequest,
    BulkReviewRequest,
    DoneDocument,
    LedgerDocument,
    ProposalDocument,
    ResumeRequest,
    ReviewedDocument,
    ReviewRequest,
    RolloutDocument,
)
from strangler.core.percents import rollouts_of
from strangler.core.settings import GateSettings, Settings
from strangler.core.source import SOURCES
from strangler.ledger.ledger_excerpt import excerpt
from strangler.ledger.ledger_queries import Filters as LedgerFilters
from strangler.store.connection import Connection
from strangler.store.evidence import audits, queries, reading
from strangler.store.evidence.audits import AuditFilters, write_audit
from strangler.store.evidence.reading import Filters, NoEvidenceError, UnknownReleaseError
from strangler.store.evidence.reviews import MAX_MARKED, Marked, Review, mark
from strangler.store.evidence.writing import STATES
from strangler.store.store import Store, StoreError
from strangler.times import utc_day

MAX_BULK_BYTES = 1024 * 1024
"""The largest body that names many signatures."""

_SOME = 5
_MAX_NAME = 40

_Question = Callable[[Connection, Settings], msgspec.Struct | None]

log = structlog.get_logger()


def log_marked(review: Review, marked: Marked, actor: str) -> None:
    """Log what was marked, in one line."""
    if marked.changed:
        some = list(marked.changed[:_SOME])
        log.info("audit", who=actor, what=review.state, why=review.why or "", count=len(marked.changed), ids=some)


class Ledger(Protocol):
    """The ledger as the report reads it."""

    async def listed(self, filters: LedgerFilters) -> LedgerDocument: ...


class Control(Protocol):
    """The parts of control that are needed here."""

    @property
    def settings(self) -> Settings: ...
    @property
    def store(self) -> Store: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def evidence(self) -> EvidenceActions: ...
    async def resume_shadows(self, route: str, actor: str, why: str) -> bool: ...


class ShadowApi:
    """The handlers of the API about shadows. `of` returns the state of control behind a request."""

    def __init__(self, of: Callable[[web.Request], Control]) -> None:
        self._of = of

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/diffs", self.inbox),
            web.get("/api/diffs/{id}", self.detail),
            web.post("/api/diffs/{id}", self.review),
            web.post("/api/diffs", self.review_many),
            web.get("/api/rollout", self.rollout),
            web.get("/api/routes/{route}/readiness", self.ready),
            web.get("/api/routes/{route}/proposal", self.proposal),
            web.get("/api/report", self.report),
            web.get("/api/audit", self.audited),
            web.post("/api/audit", self.audit),
            web.post("/api/shadows/{route}/resume", self.resume),
        ]

    async def inbox(self, request: web.Request) -> web.Response:
        """Return the inbox, for `?route=orders&severity=breaking&state=new&since=1790000000&release=v1&source=live`."""
        filters = _filters(request)
        if isinstance(filters, str):
            return problem(400, filters)
        return await self._read(
            request, lambda connection, settings: queries.inbox(connection, settings, filters, utc_day())
        )

    async def detail(self, request: web.Request) -> web.Response:
        name, release = request.match_info["id"], request.query.get("release")
        return await self._read(
            request, lambda connection, settings: queries.detail(connection, settings, name, utc_day(), release)
        )

    async def ready(self, request: web.Request) -> web.Response:
        """Return the verdict for a route. `?release=v1.4.2`: for that release, else the current one.
        `?gate={"min_pairs":3000,…}`: by this gate, which has all fields, in place of the route's."""
        name, release, text = request.match_info["route"], request.query.get("release"), request.query.get("gate")
        try:
            gate = None if text is None else msgspec.json.decode(text, type=GateSettings)
        except msgspec.DecodeError as error:
            return problem(400, f"gate: {error}")
        if gate is not None and not gate.sources:
            return problem(400, f"gate: sources is empty; name {' or '.join(SOURCES)}")
        return await self._read(
            request, lambda connection, settings: queries.ready(connection, settings, name, utc_day(), release, gate)
        )

    async def rollout(self, request: web.Request) -> web.Response:
        """Return the percent in force, the candidate and the gate of each route."""
        return json_response(RolloutDocument(await asyncio.to_thread(rollouts_of, self._of(request).settings)))

    async def proposal(self, request: web.Request) -> web.Response:
        name = request.match_info["route"]
        return await self._read(request, lambda connection, _: ProposalDocument(reading.proposal(connection, name)))

    async def report(self, request: web.Request) -> web.Response:
        state, release = self._of(request), request.query.get("release")
        ledger = None if state.settings.ledger is None else excerpt(await state.ledger.listed(LedgerFilters()))
        return await self._read(
            request, lambda connection, settings: queries.report(connection, settings, utc_day(), release, ledger)
        )

    async def review(self, request: web.Request) -> web.Response:
        """Review a signature: `{"state": "known", "owner": "ana", "who": "ana"}`."""
        body = await read_body(request, ReviewRequest)
        if isinstance(body, web.Response):
            return body
        return await self._mark(request, [request.match_info["id"]], body)

    async def review_many(self, request: web.Request) -> web.Response:
        """Review all of `{"ids": ["9f2c…", …], "state": "known", "who": "ana"}`, or none if an id is unknown."""
        body = await read_body(request.clone(client_max_size=MAX_BULK_BYTES), BulkReviewRequest)
        if isinstance(body, web.Response):
            return body
        if len(body.ids) > MAX_MARKED:
            return problem(400, f"{len(body.ids)} ids are too many at once; {MAX_MARKED} are possible")
        return await self._mark(request, body.ids, body)

    async def _mark(self, request: web.Request, names: list[str], body: ReviewRequest) -> web.Response:
        review, actor = Review(body.state, body.owner, body.why, body.until), named(request, body.who)
        now = self._of(request).evidence.now()
        try:
            marked = await self._of(request).store.call(lambda connection: mark(connection, names, review, actor, now))
        except StoreError as error:
            return problem(507, f"the store cannot be written: {error}")
        if marked.unknown:
            some = ", ".join(name[:_MAX_NAME] for name in marked.unknown[:_SOME])
            return problem(404, f"nothing was changed: no signature {some}")
        log_marked(review, marked, actor)
        return json_response(ReviewedDocument(True, list(marked.changed), list(marked.unchanged)))

    async def audited(self, request: web.Request) -> web.Response:
        """Return the audit, newest first. `?route=orders&since=1790000000&who=ana&limit=100`, all optional."""
        query = request.query
        try:
            since = float(query["since"]) if "since" in query else None
            limit = int(query.get("limit", str(audits.DEFAULT_LIMIT)))
        except ValueError:
            return problem(400, "since is a Unix time in seconds, and limit a number")
        filters = AuditFilters(query.get("route"), since, query.get("who"), limit)
        return await self._read(request, lambda connection, _: AuditDocument(audits.entries(connection, filters)))

    async def audit(self, request: web.Request) -> web.Response:
        """Add an entry: `{"what": "shift", "route": "orders", "why": "agreed", "who": "ana", "detail": "to 25 %"}`."""
        body = await read_body(request, AuditRequest)
        if isinstance(body, web.Response):
            return body
        now = time.time()

        def work(connection: Connection) -> bool:
            write_audit(connection, now, named(request, body.who), body.what, body.route, body.why, body.detail)
            return True

        return await self._write(request, work, "")

    async def resume(self, request: web.Request) -> web.Response:
        """Resume shadows that stopped by themselves: `{"who": "ana", "why": "it confirms dry runs now"}`."""
        body = await read_body(request, ResumeRequest)
        if isinstance(body, web.Response):
            return body
        state, name = self._of(request), request.match_info["route"]
        refused = resume_problem(state.settings, name)
        if refused is not None:
            return problem(404, refused)
        if not await state.resume_shadows(name, named(request, body.who), body.why):
            return problem(409, f"shadowing of route '{name}' is not stopped: there is nothing to resume")
        return json_response(DoneDocument(True))

    async def _read(self, request: web.Request, ask: _Question) -> web.Response:
        state = self._of(request)
        settings = state.settings
        try:
            found = await reading.ask(state.store, lambda connection: ask(connection, settings))
        except UnknownReleaseError as error:
            return problem(400, str(error))
        except NoEvidenceError as error:
            return problem(503, str(error))
        return problem(404, "there is none of that name") if found is None else json_response(found)

    async def _write(self, request: web.Request, work: Callable[[Connection], bool], missing: str) -> web.Response:
        try:
            is_done = await self._of(request).store.call(work)
        except StoreError as error:
            return problem(507, f"the store cannot be written: {error}")
        return json_response(DoneDocument(True)) if is_done else problem(404, missing)


def resume_problem(settings: Settings, name: str) -> str | None:
    """Return why the shadows of a route cannot be resumed, with the way out; None if they can."""
    route = queries.route_named(settings, name)
    if route is None:
        return unknown_route(name[:_MAX_NAME], [each.name for each in settings.routes])
    if route.shadow is None or not route.shadow.percent:
        return f"route '{name}' has no shadows in routes.yaml"
    return None


def _filters(request: web.Request) -> Filters | str:
    """Return the filters of a query, or what is wrong with them."""
    query = request.query
    severity, state, since = query.get("severity"), query.get("state"), query.get("since")
    source = next((source for source in SOURCES if source == query.get("source")), None)
    if source != query.get("source"):
        return f"source is one of {', '.join(SOURCES)}"
    if severity is not None and severity not in set(Severity):
        return f"severity is one of {', '.join(Severity)}"
    if state is not None and state not in STATES:
        return f"state is one of {', '.join(STATES)}"
    try:
        last = None if since is None else float(since)
        return Filters(query.get("route"), severity, state, last, query.get("release"), source)
    except ValueError:
        return "since is a Unix time in seconds"

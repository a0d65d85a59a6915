"""The admin listener: probes, metrics, status, explain, kill switch, and the dashboard."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from aiohttp import web

from strangler.control import guard
from strangler.control.app import ControlApp
from strangler.control.connection_cap import nameless
from strangler.control.dashboard.site import Dashboard, is_page
from strangler.control.exposition import expose
from strangler.control.ledger_api import LedgerApi
from strangler.control.operator_actions import TurnRefusedError
from strangler.control.recording.recordings_api import RecordingsApi
from strangler.control.responses import VISITOR, json_response, named, problem, read_body
from strangler.control.rollout.rollout_api import RolloutApi
from strangler.control.shadow.api import ShadowApi
from strangler.control.shadow.releases_api import ReleasesApi
from strangler.control.shadow.replays_api import ReplaysApi
from strangler.control.status import kill_switch_status
from strangler.control.visitor import visitor_of
from strangler.core.documents import EventsDocument, ExplainRequest, KillSwitchRequest
from strangler.core.routing.explain import explain
from strangler.http1.request_text import DescriptionError, described_head
from strangler.store.store import StoreError

MAX_BODY_BYTES = 64 * 1024

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_STATE: web.AppKey[ControlApp] = web.AppKey("state", ControlApp)
_DASHBOARD: web.AppKey[Dashboard] = web.AppKey("dashboard", Dashboard)

log = structlog.get_logger()


def application(state: ControlApp) -> web.Application:
    """Return the aiohttp application of the admin listener."""
    app = web.Application(middlewares=[_guarded], client_max_size=MAX_BODY_BYTES)
    app[_STATE] = state
    app.on_response_prepare.append(nameless)
    app.add_routes(
        [
            web.get("/healthz", _healthz),
            web.get("/readyz", _readyz),
            web.get("/metrics", _metrics),
            web.get("/api/openapi.json", _openapi),
            web.get("/api/status", _status),
            web.get("/api/explain", _explain_query),
            web.post("/api/explain", _explain_body),
            web.get("/api/kill-switch", _kill_switch),
            web.post("/api/kill-switch", _turn_kill_switch),
            web.get("/api/events", _events),
            *ShadowApi(lambda request: request.app[_STATE]).routes(),
            *ReleasesApi(lambda request: request.app[_STATE]).routes(),
            *ReplaysApi(lambda request: request.app[_STATE]).routes(),
            *RolloutApi(lambda request: request.app[_STATE]).routes(),
            *LedgerApi(lambda request: request.app[_STATE]).routes(),
            *RecordingsApi(lambda request: request.app[_STATE]).routes(),
        ]
    )
    app[_DASHBOARD] = dashboard = Dashboard(lambda request: request.app[_STATE])
    dashboard.attach(app)
    app.on_shutdown.append(_end_recording)
    return app


async def _end_recording(app: web.Application) -> None:
    app[_STATE].recordings.stop()


@web.middleware
async def _guarded(request: web.Request, handler: _Handler) -> web.StreamResponse:
    visitor = visitor_of(request.app[_STATE].settings.admin, request)
    request[VISITOR] = visitor
    if visitor.has_unstripped(request.path) and request.match_info.http_exception is not None:
        return request.app[_DASHBOARD].unstripped(request)
    if request.path not in guard.PROBES and not is_page(request):
        refused = guard.refusal(_token(request), request.method, request.headers, visitor.hosts, scheme=visitor.scheme)
        if refused is not None:
            return problem(*refused)
    try:
        return await handler(request)
    except web.HTTPException as error:
        return problem(error.status, error.reason)


def _token(request: web.Request) -> str | None:
    return request.app[_STATE].token


async def _healthz(request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _readyz(request: web.Request) -> web.Response:
    """Respond with 200 or 503. Problems may quote routes.yaml: if a token is set, they are shown only with it."""
    readiness = await request.app[_STATE].readiness()
    if not guard.has_token(_token(request), request.headers):
        readiness = msgspec.structs.replace(readiness, problems=msgspec.UNSET)
    return json_response(readiness, status=200 if readiness.ready else 503)


async def _metrics(request: web.Request) -> web.Response:
    exposed = await request.app[_STATE].numbers()
    text, content_type = await asyncio.to_thread(expose, exposed, request.headers.get("Accept", ""))
    return web.Response(body=text, headers={"Content-Type": content_type})


async def _openapi(request: web.Request) -> web.Response:
    from strangler.control.api_reference.openapi import openapi_text  # loaded on demand

    return web.Response(body=await asyncio.to_thread(openapi_text), content_type="application/json")


async def _status(request: web.Request) -> web.Response:
    return json_response(request.app[_STATE].status())


async def _explain_query(request: web.Request) -> web.Response:
    """Explain the request of `?method=GET&url=/api/orders/7&header=X-User-Id:%209`; `header` may be repeated."""
    query = request.query
    if "url" not in query:
        return problem(400, "the query needs url, and may have method, header and client")
    pairs = [(name, value) for name, _, value in (item.partition(":") for item in query.getall("header", []))]
    described = ExplainRequest(query.get("method", "GET"), query["url"], pairs, query.get("client", "127.0.0.1"))
    return await _explain(request, described)


async def _explain_body(request: web.Request) -> web.Response:
    """Explain the request of a body: `{"method": "GET", "url": "/api/orders/7", "headers": [["X-User-Id", "9"]]}`."""
    described = await read_body(request, ExplainRequest)
    return described if isinstance(described, web.Response) else await _explain(request, described)


async def _explain(request: web.Request, described: ExplainRequest) -> web.Response:
    state = request.app[_STATE]
    try:
        snapshot = await state.snapshot()
        head = described_head(snapshot.settings, described.method, described.url, described.headers, described.client)
    except DescriptionError as error:
        return problem(400, str(error))
    return json_response(
        explain(snapshot, head, state.kill_switch.on, time.time(), frozenset(state.kill_switch.routes))
    )


MAX_EVENTS = 1000


async def _events(request: web.Request) -> web.Response:
    """Return events with their `seq`, oldest first. `?after=SEQ&since=UNIX_TIME&limit=100`, all optional."""
    query = request.query
    try:
        after, since = int(query.get("after", "0")), float(query.get("since", "0"))
        limit = min(max(int(query.get("limit", "100")), 1), MAX_EVENTS)
        found = await request.app[_STATE].read_events(after, since, limit)
    except (ValueError, OverflowError) as error:
        return problem(400, f"after, since and limit must be numbers: {error}")
    except StoreError as error:
        return problem(503, f"the store: {error}")
    return json_response(EventsDocument(found))


async def _kill_switch(request: web.Request) -> web.Response:
    state = request.app[_STATE]
    return json_response(kill_switch_status(state.kill_switch, state.store.problem))


async def _turn_kill_switch(request: web.Request) -> web.Response:
    """Turn the kill switch as a body like `{"on": true, "reason": "orders answers nonsense", "who": "ana"}` says, for
    all routes or for its `route`."""
    turn = await read_body(request, KillSwitchRequest)
    if isinstance(turn, web.Response):
        return turn
    try:
        state = await request.app[_STATE].turn_kill_switch(turn.on, turn.reason, named(request, turn.who), turn.route)
    except TurnRefusedError as error:
        return problem(error.status, str(error))
    except OSError as error:
        return problem(507, f"the kill switch cannot be written to the state folder: {error.strerror}")
    return json_response(kill_switch_status(state, request.app[_STATE].store.problem))

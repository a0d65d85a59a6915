"""The API about the ledger: its rows, one endpoint, calls by day, and the changes that an operator makes."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from strangler.control.ledger_home import LedgerAwayError, LedgerOffError
from strangler.control.ledger_keeper import LedgerKeeper
from strangler.control.responses import json_response, named, problem, read_body
from strangler.core.documents import LedgerActionDocument, LedgerActionRequest, LedgerImportRequest
from strangler.ledger.actions import LedgerError
from strangler.ledger.ledger_queries import Filters, filters_problem
from strangler.store.store import StoreError

MAX_IMPORT_BYTES = 16 << 20
"""The longest body of an import."""


class Control(Protocol):
    """The parts of control that are needed here."""

    @property
    def ledger(self) -> LedgerKeeper: ...
    async def audit(self, actor: str, what: str, route: str, why: str, detail: str) -> None: ...


class LedgerApi:
    """The handlers of the API about the ledger. `of` returns the state of control behind a request."""

    def __init__(self, of: Callable[[web.Request], Control]) -> None:
        self._of = of

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/ledger", self.rows),
            web.get("/api/ledger/endpoint", self.endpoint),
            web.get("/api/ledger/history", self.history),
            web.post("/api/ledger/fold", self.fold),
            web.post("/api/ledger/unfold", self.unfold),
            web.post("/api/ledger/ignore", self.ignore),
            web.post("/api/ledger/own", self.own),
            web.post("/api/ledger/import", self.import_file),
        ]

    async def rows(self, request: web.Request) -> web.Response:
        """Return the rows of `?state=legacy&state=quiet&route=orders&since=2027-02-01&q=users&sort=calls&hidden=1`."""
        query = request.query
        states = {name for text in query.getall("state", []) for name in text.split(",") if name}
        filters = Filters(
            states=frozenset(states),
            route=query.get("route") or None,
            since=query.get("since") or None,
            text=query.get("q", ""),
            sort=query.get("sort") or "calls",
            with_hidden=query.get("hidden", "") not in ("", "0"),
        )
        wrong = filters_problem(filters)
        if wrong is not None:
            return problem(400, wrong)
        try:
            return json_response(await self._of(request).ledger.listed(filters))
        except LedgerOffError as error:
            return problem(404, str(error))

    async def endpoint(self, request: web.Request) -> web.Response:
        """Return all about the endpoint of `?endpoint=GET%20/orders/{}`."""
        endpoint = request.query.get("endpoint", "")
        if not endpoint.strip():
            return problem(400, "the query needs endpoint, such as GET%20/orders/{}")
        try:
            found = await self._of(request).ledger.endpoint(endpoint)
        except LedgerOffError as error:
            return problem(404, str(error))
        if found is None:
            return problem(404, f"there is no endpoint {endpoint[:200]!r}; /api/ledger?hidden=1 has all of them")
        return json_response(found)

    async def history(self, request: web.Request) -> web.Response:
        """Return the calls of all endpoints together, by day and by earlier month."""
        try:
            return json_response(self._of(request).ledger.history())
        except LedgerOffError as error:
            return problem(404, str(error))

    async def fold(self, request: web.Request) -> web.Response:
        """Make all paths of a template one endpoint: `{"endpoint": "/shops/{}", "who": "ana", "why": "tenants"}`."""
        return await self._act(request, "fold", lambda ledger, body: ledger.fold(body.endpoint))

    async def unfold(self, request: web.Request) -> web.Response:
        """Undo a fold: `{"endpoint": "GET /shops/{}", "who": "ana"}`."""
        return await self._act(request, "unfold", lambda ledger, body: ledger.unfold(body.endpoint))

    async def ignore(self, request: web.Request) -> web.Response:
        """Hide an endpoint, or show one that is hidden again: `{"endpoint": "GET /healthz", "who": "ana"}`."""
        return await self._act(request, "ignore", lambda ledger, body: ledger.ignore(body.endpoint))

    async def own(self, request: web.Request) -> web.Response:
        """Name the owner of an endpoint: `{"endpoint": "GET /orders/{}", "name": "team-orders", "who": "ana"}`."""
        return await self._act(request, "own", lambda ledger, body: ledger.own(body.endpoint, body.name))

    async def _act(
        self,
        request: web.Request,
        what: str,
        act: Callable[[LedgerKeeper, LedgerActionRequest], Awaitable[str]],
    ) -> web.Response:
        body = await read_body(request, LedgerActionRequest)
        if isinstance(body, web.Response):
            return body
        state = self._of(request)
        try:
            done = await act(state.ledger, body)
        except (LedgerOffError, LedgerError, StoreError) as error:
            return _refusal(error)
        await state.audit(named(request, body.who), f"ledger {what}", "", body.why, done)
        return json_response(LedgerActionDocument(done))

    async def import_file(self, request: web.Request) -> web.Response:
        """Take over a file that `strangler ledger import` has read."""
        try:
            body = await read_body(request.clone(client_max_size=MAX_IMPORT_BYTES), LedgerImportRequest)
        except web.HTTPRequestEntityTooLarge:
            limit = MAX_IMPORT_BYTES >> 20
            return problem(413, f"an import has at most {limit} MiB; import the file in parts, or a shorter time of it")
        if isinstance(body, web.Response):
            return body
        state = self._of(request)
        try:
            done = await state.ledger.import_file(body)
        except (LedgerOffError, LedgerError, StoreError) as error:
            return _refusal(error)
        detail = f"{body.name[:200]}: {done.new_endpoints} new endpoints, {done.calls} calls"
        await state.audit(named(request, body.who), "ledger import", "", "", detail)
        return json_response(done)


def _refusal(error: LedgerOffError | LedgerError | StoreError) -> web.Response:
    if isinstance(error, LedgerOffError):
        return problem(404, str(error))
    if isinstance(error, LedgerError):
        return problem(400, str(error))
    if isinstance(error, LedgerAwayError):
        return problem(503, str(error))
    return problem(507, f"the store cannot be written: {error}; the change is stored once it can be")

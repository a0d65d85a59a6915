"""The API that takes the findings of replays. Shadows come first: it waits for them, and never the other way round."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog
from aiohttp import web

from strangler.config.edit import unknown_route
from strangler.control.responses import json_response, named, problem, read_body
from strangler.control.shadow.evidence_actions import EvidenceActions
from strangler.core.documents import MAX_REPLAY_BYTES, ReplaysDocument, ReplaysRequest
from strangler.core.settings import Settings
from strangler.store.evidence.replayed import ReplayedError, decoded, unknown_routes
from strangler.store.store import StoreError

RETRY_AFTER_S: Final = 1
READ_S: Final = 30.0
"""The longest time that a request's body may take, since others wait."""
_MAX_NAME: Final = 40
_SOME: Final = 5

log = structlog.get_logger()


class Control(Protocol):
    """The parts of control that are needed here."""

    @property
    def settings(self) -> Settings: ...
    @property
    def evidence(self) -> EvidenceActions: ...


class ReplaysApi:
    """The handler of the API about replays. `of` returns the state of control behind a request."""

    def __init__(self, of: Callable[[web.Request], Control]) -> None:
        self._of = of
        self._taking = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/api/replays", self.add)]

    async def add(self, request: web.Request) -> web.Response:
        """Add findings of a replay: `{"who": "ana", "run": "01J…", "findings": […]}`, one request at a time."""
        busy = self._of(request).evidence.cannot_take_replays
        if self._taking.locked():
            busy = "findings of a replay are being stored"
        if busy is not None:
            return problem(503, f"{busy}; try again in a moment", retry_after_s=RETRY_AFTER_S)
        async with self._taking:
            try:
                async with asyncio.timeout(READ_S):
                    body = await read_body(request.clone(client_max_size=MAX_REPLAY_BYTES), ReplaysRequest)
            except TimeoutError:
                return problem(408, f"the body did not arrive within {READ_S:g} s")
            return body if isinstance(body, web.Response) else await self._store(request, body)

    async def _store(self, request: web.Request, body: ReplaysRequest) -> web.Response:
        state, actor = self._of(request), named(request, body.who)
        names = [route.name for route in state.settings.routes]
        missing = unknown_routes(body.findings, names)
        if missing:
            some = "; ".join(unknown_route(name[:_MAX_NAME], names) for name in missing[:_SOME])
            return problem(404, f"nothing was stored: {some}")
        try:
            findings = await asyncio.to_thread(decoded, body.findings, time.time())
            stored = await state.evidence.add_replayed(findings, body.run, actor)
        except ReplayedError as error:
            return problem(400, f"nothing was stored: {error}")
        except StoreError as error:
            return problem(507, f"nothing was stored: the store cannot be written: {error}")
        log.info("replay.added", who=actor, run=body.run, stored=stored)
        return json_response(ReplaysDocument(stored, len(findings) - stored))

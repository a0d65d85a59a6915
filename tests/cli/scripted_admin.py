"""An admin listener whose rollouts are given, for standings that a real one reaches only after hours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from strangler.control.api_reference.examples import STATUS
from strangler.core.documents import ProblemDocument, RolloutRequest, RolloutsDocument, RolloutStatus


@dataclass(slots=True)
class ScriptedAdmin:
    """Serves `/api/rollouts` and `/api/status`, and takes commands. `refusal`: status and text for each command."""

    rollouts: list[RolloutStatus] = field(default_factory=list)
    without: tuple[str, ...] = ()  # routes that have no rollout
    after: RolloutStatus | None = None  # the response to a command
    refusal: tuple[int, str] | None = None
    commands: list[tuple[str, RolloutRequest]] = field(default_factory=list)
    url: str = ""

    def application(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/api/rollouts", self._all),
                web.get("/api/status", self._status),
                web.post("/api/rollouts/{route}/{command}", self._command),
            ]
        )
        return app

    async def _all(self, request: web.Request) -> web.Response:
        return _json(RolloutsDocument(self.rollouts))

    async def _status(self, request: web.Request) -> web.Response:
        (example,) = STATUS.routes
        names = [*(status.route for status in self.rollouts), *self.without]
        routes = [msgspec.structs.replace(example, name=name) for name in names]
        return _json(msgspec.structs.replace(STATUS, routes=routes))

    async def _command(self, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read(), type=RolloutRequest)
        self.commands.append((request.path, body))
        if self.refusal is not None:
            status, text = self.refusal
            return _json(ProblemDocument(status, text), status)
        assert self.after is not None
        return _json(self.after)


def _json(document: msgspec.Struct, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), status=status, content_type="application/json")


@asynccontextmanager
async def serving(admin: ScriptedAdmin) -> AsyncIterator[ScriptedAdmin]:
    server = TestServer(admin.application(), host="127.0.0.1")
    await server.start_server()
    admin.url = str(server.make_url("/")).rstrip("/")
    try:
        yield admin
    finally:
        await server.close()

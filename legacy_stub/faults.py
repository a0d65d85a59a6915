"""Faults on demand: slow responses and errors, to see how the proxy handles them."""

import asyncio
import random
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Middleware

from legacy_stub.responses import Handler, json_body, json_error, json_response

_SPARED = ("/faults", "/healthz")


@dataclass(slots=True)
class FaultState:
    """The present faults. `PUT /faults` with one or both fields changes them."""

    latency_ms: float = 0.0
    error_percent: float = 0.0

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/faults", self.get), web.put("/faults", self.put)]

    def middleware(self) -> Middleware:
        @web.middleware
        async def trouble(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path in _SPARED:
                return await handler(request)
            await asyncio.sleep(self.latency_ms / 1000)
            if random.random() * 100 < self.error_percent:
                return json_error(503, "the shop is overwhelmed")
            return await handler(request)

        return trouble

    async def get(self, request: web.Request) -> web.Response:
        return json_response({"latency_ms": self.latency_ms, "error_percent": self.error_percent})

    async def put(self, request: web.Request) -> web.Response:
        wanted = await json_body(request)
        try:
            self.latency_ms = float(wanted.get("latency_ms", self.latency_ms))
            self.error_percent = float(wanted.get("error_percent", self.error_percent))
        except (TypeError, ValueError):
            return json_error(422, "latency_ms and error_percent are numbers")
        return await self.get(request)

"""The release that a running shop names: another one, as after a deployment that nobody noticed otherwise."""

from dataclasses import dataclass

from aiohttp import web

from legacy_stub.responses import json_body, json_error, json_response


@dataclass(slots=True)
class ReleaseState:
    """The value of `X-Release` in each response; None for no such header. `PUT /release` changes it."""

    release: str | None

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/release", self.get), web.put("/release", self.put)]

    async def name(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add the release to the head of every response, whatever its status (a signal handler of aiohttp)."""
        if self.release is not None:
            response.headers["X-Release"] = self.release

    async def get(self, request: web.Request) -> web.Response:
        return json_response({"release": self.release})

    async def put(self, request: web.Request) -> web.Response:
        wanted = (await json_body(request)).get("release")
        if wanted is not None and (not isinstance(wanted, str) or not wanted.isascii() or not wanted.isprintable()):
            return json_error(422, "release is printable ASCII, or null")
        self.release = wanted
        return await self.get(request)

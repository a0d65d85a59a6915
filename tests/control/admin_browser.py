"""The admin listener over HTTP as a browser sees it, in front of a control without its process."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, CookieJar
from aiohttp.test_utils import TestClient, TestServer

from strangler.control.admin import application
from strangler.control.app import ControlApp
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.writing import store_findings
from tests.control.control import control_of

TOKEN = "a-long-s3cret"
EVIL = "<script>alert(1)</script>"
ROUTES = """\
version: 1
admin: {listen: 127.0.0.1:0, token: "${TOKEN:-}"}
state: state
upstreams:
  legacy: {url: http://127.0.0.1:8000}
  orders: {url: http://127.0.0.1:8001, headers: {set: {X-Api-Token: hush}}}
routes:
  - name: orders # the first to move
    match: {prefix: /api/orders}
    candidate: orders
    split: {percent: 25, sticky: ["header:X-User-Id"]}
    shadow: {percent: 10}
"""


@dataclass(slots=True)
class Browser:
    """A client of the admin listener that follows nothing by itself, and keeps cookies."""

    client: TestClient[Any, Any]
    state: ControlApp

    async def get(self, path: str, **more: Any) -> ClientResponse:
        response: ClientResponse = await self.client.get(path, allow_redirects=False, **more)
        return response

    async def text(self, path: str, **more: Any) -> str:
        response = await self.get(path, **more)
        text: str = await response.text()
        assert response.status == 200, text
        return text

    async def until(self, condition: Callable[[], Any]) -> None:
        """Let routes.yaml be watched until a condition holds."""
        watching = asyncio.ensure_future(self.state.reload.run())
        try:
            async with asyncio.timeout(5):
                while not condition():  # noqa: ASYNC110 - the state has no event for this
                    await asyncio.sleep(0.02)
        finally:
            watching.cancel()

    async def post(self, path: str, form: Any, **more: Any) -> ClientResponse:
        response: ClientResponse = await self.client.post(path, data=form, allow_redirects=False, **more)
        return response

    async def mark(self, page: str = "/") -> str:
        """Return the mark in a page's form."""
        found = re.search(r'name="mark" value="(\w+)"', await self.text(page))
        assert found is not None
        return found[1]

    async def log_in(self, token: str = TOKEN, **more: str) -> ClientResponse:
        return await self.post("/login", {"mark": await self.mark("/login"), "token": token, **more})

    async def keep(self, *findings: Finding) -> None:
        """Put findings into the store."""
        await self.state.store.call(lambda connection: store_findings(connection, IndexState(), findings, time.time()))

    async def signature(self) -> str:
        """Return the id of the only difference there is."""
        names: set[str] = set(re.findall(r'href="/signatures/(\w+)"', await self.text("/signatures")))
        (name,) = names
        return name


Open = Callable[..., Awaitable[Browser]]


class Opened:
    """Opens admin listeners, and closes them in the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ends: list[Any] = []

    async def __aenter__(self) -> "Opened":
        return self

    async def open(self, token: str = "", routes: str = ROUTES) -> Browser:
        (self._folder / "routes.yaml").write_text(routes)
        control = control_of(self._folder, {"TOKEN": token})
        state = await control.__aenter__()
        client: TestClient[Any, Any] = TestClient(
            TestServer(application(state), host="127.0.0.1"), cookie_jar=CookieJar(unsafe=True)
        )
        await client.start_server()
        self._ends += [control, client]
        return Browser(client, state)

    async def __aexit__(self, *error: object) -> None:
        for end in reversed(self._ends):
            await (end.close() if isinstance(end, TestClient) else end.__aexit__(None, None, None))

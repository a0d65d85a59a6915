"""A proxy between two arms that answer as a test says, and what became of the shadows."""

import json
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.e2e.serving import Proxy
from tests.served import served

ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
state: state
limits: {{drain: 5s}}
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  orders: {{url: "http://127.0.0.1:{candidate}"{upstream}}}
{more}routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: orders
{route}    shadow: {{percent: 100{shadow}}}
"""

Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Heard:
    """One request as an arm got it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def is_shadow(self) -> bool:
        return any(name.lower() == "x-strangler-shadow" for name, _ in self.headers)

    def value(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(slots=True)
class Arm:
    """An upstream; `response` may be replaced at any time."""

    response: Respond
    port: int = 0
    heard: list[Heard] = field(default_factory=list)

    @property
    def shadows(self) -> list[Heard]:
        return [heard for heard in self.heard if heard.is_shadow]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        headers = [(name.decode(), value.decode()) for name, value in request.raw_headers]
        self.heard.append(Heard(request.method, request.raw_path, headers, await request.read()))
        return await self.response(request)


@asynccontextmanager
async def arm(response: Respond) -> AsyncIterator[Arm]:
    state = Arm(response)
    async with served(state.serve) as state.port:
        yield state


def says(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Respond:
    """An arm that answers this JSON."""

    async def response(_: web.Request) -> web.StreamResponse:
        return web.json_response(value, status=status, headers=headers)

    return response


@dataclass(slots=True)
class Stage:
    """All that a test plays with."""

    proxy: Proxy
    legacy: Arm
    candidate: Arm

    @property
    def state(self) -> Path:
        return self.proxy.folder / "state"

    @property
    def lines(self) -> list[dict[str, Any]]:
        """shadow-diffs.jsonl so far."""
        file = self.state / "shadow-diffs.jsonl"
        text = file.read_text() if file.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    async def compared(self, count: int = 1, outcome: str | None = None) -> None:
        """Wait until so many comparisons are counted."""
        labels = {"outcome": outcome} if outcome else {}

        async def is_counted() -> bool:
            return await self.proxy.metric("strangler_shadow_comparisons_total", **labels) >= count

        await self.proxy.until(is_counted)

    async def dropped(self, reason: str, count: int = 1) -> None:
        async def is_counted() -> bool:
            return await self.proxy.metric("strangler_shadow_dropped_total", reason=reason) >= count

        await self.proxy.until(is_counted)

    async def line(self, index: int = 0) -> dict[str, Any]:
        """The line of that number, once it is written."""
        found: dict[str, Any] = await self.proxy.until(lambda: next(iter(self.lines[index:]), None))
        return found

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.state / "strangler.db", timeout=5)) as connection:
            return connection.execute(query, values).fetchall()


@asynccontextmanager
async def stage(
    folder: Path,
    legacy_says: Respond,
    candidate_says: Respond,
    *,
    shadow: str = ", recheck: 0, baseline: 0",
    route: str = "",
    upstream: str = "",
    more: str = "",
    candidate_port: int | None = None,
    start: bool = True,
) -> AsyncIterator[Stage]:
    """The proxy, ready, with `shadow` added to the keys of the route's shadow, `route` to those of the route."""
    async with arm(legacy_says) as legacy, arm(candidate_says) as candidate:
        proxy = Proxy(folder, legacy.port)
        proxy.file.write_text(
            ROUTES.format(
                legacy=legacy.port,
                candidate=candidate_port or candidate.port,
                shadow=shadow,
                route=route,
                upstream=upstream,
                more=more,
            )
        )
        try:
            if start:
                await proxy.start()
            yield Stage(proxy, legacy, candidate)
        finally:
            await proxy.stop()


async def kill_control(on: Stage, meanwhile: Any = None) -> None:
    """SIGKILL, and wait until its successor has all workers."""
    before = (await on.proxy.status())["pid"]["control"]
    os.kill(before, signal.SIGKILL)
    if meanwhile is not None:
        for _ in range(5):
            assert await meanwhile() == 200

    async def is_back() -> bool:
        try:
            status = await on.proxy.status()
        except OSError:
            return False
        return status["pid"]["control"] != before and all(worker["is_connected"] for worker in status["workers"])

    await on.proxy.until(is_back)
